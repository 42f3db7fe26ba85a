"""One synchronisation of a source: asked, planned, guarded, and done in one transaction.

Place in the data's way: above the readers and ``hosts.cmdb.plan``; changes hosts through
``hosts.inventory`` only, recorded as by the source. Called by the task, the command, the pages and
the JSON routes. Knows nothing of probes.

A lease in the source's row keeps two workers from doing it at once; a killed worker's lease runs
out. Whatever goes wrong before the transaction changes nothing, and so does a plan that waits.

Where a source gives a host another address or port, the host keeps its credential only if that is
the source's own, which an administrator confirmed for this source (``hosts.cmdb.sources``). Any
other is taken off the host, so that no stored secret goes where nobody sent it; the run shows it.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import inventory
from hosts.cmdb import plan as planning
from hosts.cmdb import reading, shown
from hosts.cmdb.plan import Came, Change, Other, Plan
from hosts.cmdb.rows import HOST_FIELDS, Listed, Problem, Row, Unreadable
from hosts.models import Host, Source, SourcedHost, SyncRun
from hosts.secrets import DecryptionError
from hosts.values import fit_text
from netadmin import outbound
from netadmin.access import audit

logger = logging.getLogger(__name__)

LEASE_S = 900
"""Longer than reading (60 s) and storing take together."""
AT_ONCE = 500
"""Hosts added and changed by one run, so that its transaction keeps no other writer of SQLite
waiting for long (about 10 ms a host); the rest follows with the next run, at once."""
LATELY = dt.timedelta(hours=24)
State = SyncRun.State


class _TakeBackError(Exception):
    """Ends the transaction of a dry run."""


class _LostError(Exception):
    """The source was removed, or its lease went to another worker."""


def due(now: dt.datetime) -> list[int]:
    """Sources whose time has come and that nobody is at."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    when = Q(next_sync_at=None) | Q(next_sync_at__lte=now)
    rows = Source.objects.filter(free, when, enabled=True).order_by(F("next_sync_at").asc(
        nulls_first=True), "pk")  # fmt: skip
    return list(rows.values_list("pk", flat=True))


def run_due() -> int:
    """Synchronise what is due; returns how many were begun."""
    begun = 0
    for pk in due(timezone.now()):
        begun += run(pk, scheduled=True) is not None
    return begun


def run(
    source_id: int,
    *,
    request: HttpRequest | None = None,
    by: str = "",
    dry: bool = False,
    scheduled: bool = False,
    approved: SyncRun | None = None,
) -> SyncRun | None:
    """Synchronise one source and return the run, ended; None where another worker is at it.

    ``approved`` is a waiting run whose removals a person confirmed: it is planned anew and done
    if it removes those, or fewer; else it waits again.
    """
    begun = _begin(source_id, request=request, by=by, dry=dry, scheduled=scheduled,
                   approved=approved)  # fmt: skip
    if begun is None:
        return None
    row, lease = begun
    confirmed = None if approved is None else {each["host"] for each in approved.plan["remove"]}
    try:
        source = Source.objects.get(pk=source_id)
        listed = _read(source, row)
        if listed is not None:
            _store(row, lease, listed, dry=dry, confirmed=confirmed)
    except (Source.DoesNotExist, _LostError):
        _end(row, State.FAILED, code="interrupted")
    except Exception:
        logger.exception("synchronising source %s", source_id)
        # Of a transaction that was taken back nothing was added or changed.
        row.added = row.changed = row.removed = 0
        row.plan = {}
        _end(row, State.FAILED, code="error")
    finally:
        Source.objects.filter(pk=source_id, lease_until=lease).update(lease_until=None)
    return row


def _begin(
    source_id: int,
    *,
    request: HttpRequest | None,
    by: str,
    dry: bool,
    scheduled: bool,
    approved: SyncRun | None,
) -> tuple[SyncRun, dt.datetime] | None:
    now = timezone.now()
    lease = now + dt.timedelta(seconds=LEASE_S)
    with transaction.atomic():
        wanted = Q(lease_until=None) | Q(lease_until__lt=now)
        if scheduled:
            wanted &= Q(enabled=True) & (Q(next_sync_at=None) | Q(next_sync_at__lte=now))
        if not Source.objects.filter(wanted, pk=source_id).update(lease_until=lease):
            return None
        source = Source.objects.get(pk=source_id)
        if scheduled or not dry:
            source.next_sync_at = now + dt.timedelta(minutes=source.every_minutes)
            source.save(update_fields=["next_sync_at"])
        SyncRun.objects.filter(source=source, state=State.RUNNING).update(
            state=State.FAILED, code="interrupted", ended_at=now
        )
        user = request.user.get_username() if request is not None else ""
        if approved is None:
            row = SyncRun(source=source, started_at=now, by=by or user)
        else:
            waiting = SyncRun.objects.select_for_update().filter(
                pk=approved.pk, source=source, state=State.WAITING
            )
            found = waiting.first()
            if found is None:
                raise ValidationError({"decision": _("It does not wait any more.")})
            row = found
            row.decided_by, row.decided_at = by or user, now
            row.state, row.code, row.error = State.RUNNING, "", ""
        row.save()
        if request is not None or by:
            action = "source.approve" if approved is not None else "source.sync"
            audit.record(action, request=request, actor=by if request is None else "",
                         target=source, detail={"run": row.pk, "dry_run": dry})  # fmt: skip
    return row, lease


def _read(source: Source, row: SyncRun) -> Listed | None:
    """What the source lists; None where the run ended with what went wrong."""
    try:
        listed = reading.read(source)
    except Unreadable as error:
        _end(row, State.REFUSED, code=error.code, values=error.values)
    except reading.NotRead as error:
        _end(row, State.FAILED, code=error.code, values={"status": error.status})
    except (outbound.Blocked, outbound.Failed) as error:
        _end(row, State.FAILED, code=error.code, error=str(error))
    except DecryptionError:
        _end(row, State.FAILED, code="token")
    else:
        if listed.rows:
            return listed
        row.rows = listed.seen
        row.plan = {
            "problems": [shown.problem(each, None) for each in listed.problems[: shown.SHOWN]]
        }
        _end(row, State.REFUSED, code="no_good_row")
    return None


def _store(
    row: SyncRun,
    lease: dt.datetime,
    listed: Listed,
    *,
    dry: bool,
    confirmed: set[int] | None,
) -> None:
    """Plan and do it: all of it with the run's row, or nothing."""
    try:
        with transaction.atomic():
            source = _locked(row.source_id, lease)
            planned = planning.make(
                listed, _came(source), _others(source), lately=_removed_lately(source)
            )
            row.rows = listed.seen
            may = confirmed is not None and {one.host_id for one in planned.remove} <= confirmed
            if planned.waits and not may and not dry:
                _wait(row, planned)
                return
            done = _Doing(source, planned)
            done.all()
            later = done.later if dry else []
            row.added, row.changed = len(done.added) + len(later), len(done.changed)
            row.removed = len(done.removed)
            if dry:
                row.changed += len(planned.change) - len(done.changing)
            row.plan = done.shown(later)
            moved = bool(row.added or row.changed or row.removed)
            if moved:
                counts = {"added": row.added, "changed": row.changed, "removed": row.removed}
                audit.record("source.synced", actor=_actor(source), target=source,
                             detail={"run": row.pk, **counts})  # fmt: skip
            if dry:
                raise _TakeBackError
            if done.left:
                Source.objects.filter(pk=source.pk).update(next_sync_at=timezone.now())
            _supersede(row)
            if done.problems:
                _end(row, State.DONE, code="refused", values={"refused": len(done.problems)})
            else:
                _end(row, State.DONE if moved else State.UNCHANGED)
    except _TakeBackError:
        code = planned.waits
        _end(row, State.DRY_RUN, code=code, values=_guard_values(planned) if code else None)


def _locked(source_id: int, lease: dt.datetime) -> Source:
    source = Source.objects.select_for_update(of=("self",)).filter(pk=source_id).first()
    if source is None or source.lease_until != lease:
        raise _LostError
    return source


def _wait(row: SyncRun, planned: Plan) -> None:
    _supersede(row)
    row.added, row.changed = len(planned.add), len(planned.change)
    row.removed = len(planned.remove)
    row.plan = shown.whole(planned)
    _end(row, State.WAITING, code=planned.waits, values=_guard_values(planned))


def _supersede(row: SyncRun) -> None:
    """An older run that waits has nothing left to wait for."""
    older = SyncRun.objects.filter(source=row.source_id, state=State.WAITING).exclude(pk=row.pk)
    older.update(state=State.REFUSED, code="superseded")


def _removed_lately(source: Source) -> int:
    """Hosts that its runs removed in the last 24 hours, but for what a person approved."""
    rows = SyncRun.objects.filter(
        source=source,
        state=State.DONE,
        decided_at=None,
        started_at__gt=timezone.now() - LATELY,
        removed__gt=0,
    )
    return sum(rows.values_list("removed", flat=True))


def _guard_values(planned: Plan) -> dict[str, Any]:
    lately = planned.lately if planned.waits == "many_lately" else 0
    return {
        "removed": len(planned.remove) + lately,
        "known": planned.known + lately,
        "percent": planning.MAX_REMOVED_PERCENT,
        "unclear": planned.unclear,
    }


def _end(
    row: SyncRun,
    state: State,
    *,
    code: str = "",
    error: str = "",
    values: dict[str, Any] | None = None,
) -> None:
    row.state, row.code, row.error = state, code, fit_text(error[:1000])
    if values:
        row.plan = {**row.plan, "values": values}
    row.ended_at = timezone.now()
    if SyncRun.objects.filter(pk=row.pk).exists():  # not where its source was removed meanwhile
        row.save()


def _actor(source: Source) -> str:
    return f"source {source.name}"


def _came(source: Source) -> list[Came]:
    rows = SourcedHost.objects.filter(source=source).select_related("host__credential")
    return [
        Came(
            host_id=row.host_id,
            key=row.external_id,
            given=row.given,
            stored={name: getattr(row.host, name) for name in HOST_FIELDS},
            removed=row.host.removed_at is not None,
            foreign_credential=row.host.credential.name
            if row.host.credential and row.host.credential_id != source.credential_id
            else "",
        )
        for row in rows.order_by("host__name")
    ]


def _others(source: Source) -> list[Other]:
    hosts = Host.objects.kept().exclude(sourced__source=source)
    return [Other(*row) for row in hosts.values_list("pk", "name", "address", "port")]


class _Doing:
    """Does a plan, host by host; what is refused becomes a problem and leaves that host alone."""

    def __init__(self, source: Source, planned: Plan) -> None:
        self.source = source
        self.plan = planned
        self.added: list[Row] = []
        self.changed: list[Change] = []
        self.removed: list[Came] = []
        self.problems: list[dict[str, Any]] = []
        self.turns: list[list[Change]] = []
        for together in planning.in_turn(planned.change):
            if len(self.changing) >= AT_ONCE:
                break
            self.turns.append(together)
        changes, adding = self.changing, planned.add
        self.adding = adding[: max(0, AT_ONCE - len(changes))]
        self.later = adding[len(self.adding) :]
        self.left = len(self.later) + len(planned.change) - len(changes)
        """Hosts that the next run adds or changes."""

    @property
    def changing(self) -> list[Change]:
        """What is changed in this run."""
        return [change for together in self.turns for change in together]

    def all(self) -> None:
        """Removals first: they free names."""
        hosts = Host.objects.select_related("credential").in_bulk(
            [one.host_id for one in self.plan.remove]
            + [one.came.host_id for one in (*self.plan.change, *self.plan.remember)]
        )
        for came in self.plan.remove:
            self._try(came.stored["name"], came.key, self._remove, came, hosts[came.host_id])
        for turn in self.turns:
            self._take_turn(turn, hosts)
        for change in self.plan.remember:
            self._remember(change)
        for row in self.adding:
            self._try(row.fields["name"], row.key, self._add, row)

    def _take_turn(self, turn: list[Change], hosts: dict[int, Host]) -> None:
        """Change one host, or all those that swap names: then all of them, or none."""
        done = len(self.changed)
        try:
            with transaction.atomic():
                for one in turn[1:]:
                    # Out of the way for as long as this transaction.
                    aside = {"name": f"renamed {one.came.host_id} {uuid.uuid4().hex}"}
                    host = hosts[one.came.host_id]
                    inventory.change_host(host, aside, request=None, actor=_actor(self.source))
                for one in turn:
                    self._change(one, hosts[one.came.host_id])
        except ValidationError as invalid:
            del self.changed[done:]
            for one in turn:
                self._refuse(one.came.stored["name"], one.row.key, invalid)

    def _try(self, name: str, key: str, act: Any, *arguments: Any) -> None:
        try:
            with transaction.atomic():
                act(*arguments)
        except ValidationError as invalid:
            self._refuse(name, key, invalid)

    def _refuse(self, name: str, key: str, invalid: ValidationError) -> None:
        values = {"message": " ".join(invalid.messages)[:300]}
        self.problems.append(shown.problem(Problem("refused", "", name, key, values), None))

    def _remove(self, came: Came, host: Host) -> None:
        inventory.remove_host(host, request=None, actor=_actor(self.source))
        SourcedHost.objects.filter(host=host, source=self.source).delete()
        self.removed.append(came)

    def _change(self, change: Change, host: Host) -> None:
        data = {name: after for name, (_before, after) in change.fields.items()}
        inventory.change_host(host, data, request=None, actor=_actor(self.source))
        self._remember(change)
        self.changed.append(change)

    def _remember(self, change: Change) -> None:
        SourcedHost.objects.filter(host=change.came.host_id, source=self.source).update(
            given=change.row.fields, external_id=change.row.key
        )

    def _add(self, row: Row) -> None:
        data = {**row.fields, "credential": self.source.credential, "groups": [self.source.group]}
        host = inventory.create_host(data, request=None, actor=_actor(self.source))
        SourcedHost.objects.create(
            host=host, source=self.source, external_id=row.key, given=row.fields
        )
        self.added.append(row)

    def shown(self, later: list[Row]) -> dict[str, Any]:
        """What was done, for the run's row; ``later`` are shown with it."""
        plan = shown.whole(self.plan)
        plan["later"] = self.left
        plan["add"] = [shown.addition(row) for row in (*self.added, *later)[: shown.SHOWN]]
        plan["change"] = [shown.changed(change) for change in self.changed[: shown.SHOWN]]
        plan["remove"] = [shown.removal(came) for came in self.removed]
        plan["problems"] = (self.problems + plan["problems"])[: shown.SHOWN]
        return plan
