"""What people decide about a synchronisation: removals, hosts that are in the way, comebacks.

Place in the data's way: between the pages and JSON routes and ``hosts.cmdb.sync``. Each decision
is one transaction with its audit entry. Refusals are ValidationErrors by field.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.cmdb import sync
from hosts.models import Host, Source, SourcedHost, SyncRun
from netadmin.access import audit

BATCH_ROWS = 500


def approve(row: SyncRun, *, request: HttpRequest | None, by: str = "") -> SyncRun:
    """Do what a waiting run would do: read and planned anew, and done where it removes no other
    host than those shown; else it waits again. Raises ValidationError where it does not wait, or
    another worker is at the source."""
    _still_waits(row)
    done = sync.run(row.source_id, request=request, by=by, approved=row)
    if done is None:
        raise ValidationError({"decision": _("This source is being synchronised right now.")})
    return done


def decline(row: SyncRun, *, request: HttpRequest | None) -> SyncRun:
    """Do nothing of what a waiting run would do; the next synchronisation asks anew."""
    with transaction.atomic():
        stored = SyncRun.objects.select_for_update(of=("self",)).get(pk=row.pk)
        _still_waits(stored)
        stored.state, stored.code = SyncRun.State.REFUSED, "declined"
        stored.decided_by = request.user.get_username() if request is not None else ""
        stored.decided_at = timezone.now()
        stored.save()
        audit.record(
            "source.decline", request=request, target=stored.source, detail={"run": stored.pk}
        )
    return stored


def adopt(row: SyncRun, host_id: int, *, request: HttpRequest | None) -> Host:
    """Let the source have a host that is here already and was in its way in this run.

    From the next synchronisation on it follows the source, its removal included; with another
    address it loses its credential, as any host of a source does whose credential is not the
    source's own.
    """
    found = next(
        (each for each in row.plan.get("problems", [])
         if each.get("code") == "exists" and each.get("host") == host_id),
        None,
    )  # fmt: skip
    with transaction.atomic():
        host = Host.objects.select_for_update(of=("self",)).kept().filter(pk=host_id).first()
        if found is None or host is None:
            raise ValidationError({"host": _("This host is not in the way of that run.")})
        if host.is_local:
            raise ValidationError({"host": _("This machine itself comes from no source.")})
        if SourcedHost.objects.filter(host=host).exists():
            raise ValidationError({"host": _("This host came from a source already.")})
        if SourcedHost.objects.filter(source=row.source_id, external_id=found["key"]).exists():
            raise ValidationError({"host": _("The source has a host of this id already.")})
        SourcedHost.objects.create(
            host=host, source_id=row.source_id, external_id=found["key"], given={}
        )
        host.groups.add(row.source.group)
        audit.record("host.adopt", request=request, target=host, detail={"source": row.source.name})
        _soon(row.source)
    return host


def take_back(row: SyncRun, host_id: int, *, request: HttpRequest | None) -> None:
    """Let a host come again that a person had removed here and the source still lists."""
    with transaction.atomic():
        gone = SourcedHost.objects.filter(
            source=row.source_id, host=host_id, host__removed_at__isnull=False
        ).select_related("host").first()  # fmt: skip
        if gone is None:
            raise ValidationError({"host": _("This host was not removed here.")})
        audit.record(
            "host.take_back", request=request, target=gone.host, detail={"source": row.source.name}
        )
        gone.delete()
        _soon(row.source)


def waiting() -> int:
    """How many runs wait for a person."""
    return SyncRun.objects.filter(state=SyncRun.State.WAITING).count()


def forget_old_runs(now: dt.datetime) -> int:
    """Delete runs older than RETENTION_DAYS, in small transactions; returns how many.

    What waits, and the newest run of each source, stays.
    """
    until = now - dt.timedelta(days=settings.RETENTION_DAYS)
    newer = SyncRun.objects.filter(source=OuterRef("source"), started_at__gt=OuterRef("started_at"))
    old = SyncRun.objects.filter(Exists(newer), started_at__lt=until).exclude(
        state=SyncRun.State.WAITING
    )
    deleted = 0
    while pks := list(old.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS]):
        deleted += SyncRun.objects.filter(pk__in=pks).delete()[0]
    return deleted


def _still_waits(row: SyncRun) -> None:
    if row.state != SyncRun.State.WAITING:
        raise ValidationError({"decision": _("It does not wait any more.")})


def _soon(source: Source) -> None:
    Source.objects.filter(pk=source.pk).update(next_sync_at=timezone.now())
