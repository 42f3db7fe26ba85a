"""Whether netadmin itself works: the scheduler's heartbeat, the database, the broker.

Place in the data's way: beside it. Beat sends a heartbeat through the broker, a worker writes
the row; pages and ``/readyz`` read its age, so any broken link of that chain shows.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import ChannelError

from netadmin.access.permissions import public
from netadmin.celery import app
from probes.models import Heartbeat

LATE_AFTER_S = 45
"""Heartbeats come every few seconds; this many without one is no hiccup."""


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """Age of the newest heartbeat; ``at`` None means none ever came."""

    at: dt.datetime | None
    late: bool


def beat(node: str, *, connections: int = 0) -> None:
    """Write the heartbeat row of a worker node, which keeps so many SSH connections open."""
    now = {"at": timezone.now(), "connections": connections}
    Heartbeat.objects.update_or_create(node=node[:200], defaults=now)


def scheduler_state() -> SchedulerState:
    """What the pages' banner and ``/readyz`` say of scheduler and workers."""
    newest = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    late = newest is None or timezone.now() - newest > dt.timedelta(seconds=LATE_AFTER_S)
    return SchedulerState(at=newest, late=late)


def forget_gone_nodes() -> None:
    """Delete the rows of workers not heard of for a day: containers have ever new names."""
    Heartbeat.objects.filter(at__lt=timezone.now() - dt.timedelta(days=1)).delete()


def live_nodes() -> int:
    """Worker nodes heard of lately; at least the one that asks."""
    since = timezone.now() - dt.timedelta(seconds=LATE_AFTER_S)
    return max(1, Heartbeat.objects.filter(at__gt=since).count())


def queued() -> int | None:
    """Messages in the broker's queue that no worker took yet; None where no broker answers."""
    try:
        with Connection(
            settings.CELERY_BROKER_URL, connect_timeout=2, transport_options={"socket_timeout": 2}
        ) as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
            try:
                channel: Any = broker.default_channel
                told = channel.queue_declare(app.conf.task_default_queue, passive=True)
            except ChannelError:
                return 0  # an empty queue is no key in Redis
            return int(told.message_count)
    except Exception:
        # Every transport raises its own family of errors; the answer is the same for all.
        return None


@public
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


@public
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 where database, migrations, broker and scheduler are well, else 503; says which.

    ``heartbeat_age_s`` is null where no heartbeat ever came, or nobody can say.
    """
    checks = {"database": _database(), "broker": "ok" if queued() is not None else "unreachable"}
    age_s = None
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
        checks["scheduler"] = "unknown"
        if checks["migrations"] == "ok":
            checks["scheduler"], age_s = _scheduler()
    ready = all(state == "ok" for state in checks.values())
    said = {
        "ready": ready,
        "checks": checks,
        "heartbeat_age_s": age_s,
        "late_after_s": LATE_AFTER_S,
    }
    response = JsonResponse(said, status=200 if ready else 503)
    response["Cache-Control"] = "no-store"
    # Asked again and again while something is away: the answer says it, the log need not.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "unapplied" if plan else "ok"


def _scheduler() -> tuple[str, float | None]:
    """In a word, and the age of the newest heartbeat in seconds."""
    state = scheduler_state()
    if state.at is None:
        return "never ran", None
    age_s = round(max(0.0, time.time() - state.at.timestamp()), 1)
    return (f"late: last heartbeat {int(age_s)} s ago" if state.late else "ok"), age_s
