"""The Celery application: JSON only, no results, one idempotent beat entry.

The database owns the schedule (``probes.schedule``); Redis only rings the bell. Each beat entry
expires just before its next run, so a stalled worker piles nothing up.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")

app = Celery("netadmin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

DISPATCH_EVERY_S = 2.0
app.conf.beat_schedule = {
    "dispatch": {
        "task": "probes.tasks.dispatch",
        "schedule": DISPATCH_EVERY_S,
        "options": {"expires": DISPATCH_EVERY_S * 0.9},
    },
    "heartbeat": {
        "task": "probes.tasks.heartbeat",
        "schedule": 10.0,
        "options": {"expires": 9.0},
    },
    "retention": {
        "task": "probes.tasks.retain",
        "schedule": 600.0,
        "options": {"expires": 540.0},
    },
}
