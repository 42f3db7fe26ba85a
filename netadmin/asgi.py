"""ASGI entry, for those who prefer an ASGI server."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")
application = get_asgi_application()

from hosts import secrets  # noqa: E402 - Django is ready only now

secrets.verify_ring()
