"""The Celery application: JSON only, no results, one idempotent beat entry.

The database owns the schedule (``probes.schedule``); Redis only rings the bell. Each beat entry
expires just before its next run, so a stalled worker piles nothing up.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")

app = Celery("netadmin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

DISPATCH_EVERY_S = 2.0
NAMES_EVERY_S = 15.0
ROLL_UP_EVERY_S = 60.0
REPORTS_EVERY_S = 60.0
HUNT_EVERY_S = 60.0
DRIFT_EVERY_S = 60.0
WATCH_EVERY_S = 30.0
RECOVER_EVERY_S = 2.0
ANNOUNCE_EVERY_S = 2.0
FOLLOW_UP_EVERY_S = 30.0
SYNC_HOSTS_EVERY_S = 30.0
app.conf.beat_schedule = {
    "dispatch": {
        "task": "probes.tasks.dispatch",
        "schedule": DISPATCH_EVERY_S,
        "kwargs": {"by_beat": True},
        "options": {"expires": DISPATCH_EVERY_S * 0.9},
    },
    "roll_up": {
        "task": "probes.tasks.roll_up",
        "schedule": ROLL_UP_EVERY_S,
        "options": {"expires": ROLL_UP_EVERY_S * 0.9},
    },
    "names": {
        "task": "probes.tasks.name_addresses",
        "schedule": NAMES_EVERY_S,
        "options": {"expires": NAMES_EVERY_S * 0.9},
    },
    "reports": {
        "task": "probes.tasks.send_reports",
        "schedule": REPORTS_EVERY_S,
        "options": {"expires": REPORTS_EVERY_S * 0.9},
    },
    "hunt": {
        "task": "probes.tasks.hunt",
        "schedule": HUNT_EVERY_S,
        "options": {"expires": HUNT_EVERY_S * 0.9},
    },
    "watch": {
        "task": "probes.tasks.watch",
        "schedule": WATCH_EVERY_S,
        "options": {"expires": WATCH_EVERY_S * 0.9},
    },
    "recover": {
        "task": "probes.tasks.recover",
        "schedule": RECOVER_EVERY_S,
        "options": {"expires": RECOVER_EVERY_S * 0.9},
    },
    "drift": {
        "task": "probes.tasks.drift",
        "schedule": DRIFT_EVERY_S,
        "options": {"expires": DRIFT_EVERY_S * 0.9},
    },
    "announce": {
        "task": "probes.tasks.announce",
        "schedule": ANNOUNCE_EVERY_S,
        "options": {"expires": ANNOUNCE_EVERY_S * 0.9},
    },
    "follow_up": {
        "task": "probes.tasks.follow_up",
        "schedule": FOLLOW_UP_EVERY_S,
        "options": {"expires": FOLLOW_UP_EVERY_S * 0.9},
    },
    "sync_hosts": {
        "task": "hosts.tasks.sync_hosts",
        "schedule": SYNC_HOSTS_EVERY_S,
        "options": {"expires": SYNC_HOSTS_EVERY_S * 0.9},
    },
    "retention": {
        "task": "probes.tasks.retain",
        "schedule": 600.0,
        "options": {"expires": 540.0},
    },
}


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_a_bad_key_ring(**kwargs: Any) -> None:
    """End the worker or scheduler before its first task; signals would swallow an exception."""
    from hosts import secrets

    try:
        secrets.verify_ring()
    except ImproperlyConfigured as error:
        raise SystemExit(f"netadmin does not start: {error}") from None
