"""WSGI entry for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from netadmin import gate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")
application = gate.guarded(get_wsgi_application())

from hosts import secrets  # noqa: E402 - Django is ready only now

secrets.verify_ring()
