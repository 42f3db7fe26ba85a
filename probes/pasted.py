"""Output that a person brought, stored as if a probe had: a history for hosts out of reach.

Place in the data's way: between the page "Paste netstat output" and ``history.store`` and
``history.tables``, as ``probes.work`` stands between a probe and those. Decides for which hosts
that may be, takes a text apart into its tables, and records who did it. Knows no form, no page.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.http import HttpRequest
from django.utils import timezone

from hosts.models import Host, HostQuerySet
from netadmin.access import audit
from probes import brought, parsers, status
from probes.history import store, tables
from probes.models import Outcome, Snapshot, TableStatus
from probes.observation import Observation, Privilege, Table, TableOutput, gettext_noop
from probes.parsers.records import Parsed, ParseError
from probes.watch import judging

TOOL: Final = status.TOOL_PASTED
"""``Snapshot.tool`` of what a person brought."""

MAX_SKEW: Final = dt.timedelta(minutes=2)
"""How far the clock of whoever took the output may be ahead of netadmin's."""

NOT_PROBED_WELL: Final = (Outcome.FAILED, Outcome.PARTIAL)


class Refused(Exception):
    """It is not stored. ``message`` is an English msgid, filled with ``values``."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.values = values


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a text."""

    snapshot: Snapshot | None
    """None where the text had no table of sockets."""
    tables: tuple[Table, ...] = ()
    """The other tables that were stored."""
    left: tuple[Table, ...] = ()
    """Those that were not: newer ones are known, or there is nothing in them."""
    again: bool = False
    """There is a snapshot of that very time already; nothing was done now."""


def hosts(visible: HostQuerySet) -> HostQuerySet:
    """Those of ``visible`` whose history may be told by hand: netadmin does not probe them well.

    Disabled ones, those netadmin never had a whole table of, and those whose newest probe by
    netadmin itself failed. Of any other the next probe would contradict what was pasted.
    """
    own = Snapshot.objects.filter(host=OuterRef("pk")).exclude(tool=TOOL)
    newest = Subquery(own.order_by("-taken_at").values("outcome")[:1])
    return visible.annotate(newest_own=newest).filter(
        Q(enabled=False)
        | Q(newest_own__in=NOT_PROBED_WELL)
        | ~Exists(own.filter(outcome=Outcome.OK))
    )


def may_be_told(host: Host) -> bool:
    """Whether ``host`` is one of :func:`hosts`."""
    return hosts(Host.objects.filter(pk=host.pk)).exists()


def storable_tables(parsed: Parsed) -> list[str]:
    """Names of those tables of a text that a host's history keeps."""
    return [name for name in ("sockets", *Table) if name in parsed.found]


def save(
    host: Host,
    text: str,
    *,
    taken_at: dt.datetime,
    privilege: Privilege,
    wide: bool,
    request: HttpRequest,
) -> Stored:
    """Store ``text``, taken on ``host`` at ``taken_at``, in one transaction with its audit entry.

    ``text`` is what ``brought.understand`` made of what was sent. Of several socket tables one
    after the other in it the last counts: a snapshot is of one moment.

    A second time with the same host and time it does nothing. Raises Refused where the host is
    probed well, the time cannot be, or the text tells nothing. Older than the newest whole
    snapshot, its sockets are kept as late and change nothing (``history.store``).
    """
    if not may_be_told(host):
        raise Refused(
            gettext_noop(
                "netadmin probes %(host)s itself and its newest probe was good, so nothing pasted "
                "is mixed into its history. Disable the host first if netadmin shall not probe it."
            ),
            host=host.name,
        )
    _check_time(taken_at)
    last = brought.newest(text, wide=wide)
    sockets, others = _taken_apart(last, wide=wide)
    if last != text:
        others = _between(text, wide=wide) | others
    outputs = tuple(TableOutput(table=table, tool=TOOL, text=others[table]) for table in others)
    observation = Observation(
        taken_at=taken_at,
        duration_s=0.0,
        tool=TOOL,
        privilege=privilege,
        text=sockets or "",
        wide=wide,
        raw=text.encode("utf-8", "backslashreplace"),
        tables=outputs,
    )
    with transaction.atomic():
        # One at a time for a host, so that a form sent twice is recorded once.
        Host.objects.select_for_update(no_key=True).get(pk=host.pk)
        known = Snapshot.objects.filter(host=host, taken_at=taken_at).first()
        if known is not None and sockets is not None:
            return Stored(known, again=True)
        audit.record(
            "snapshot.paste",
            request=request,
            target=host,
            detail={
                "taken_at": taken_at.isoformat(),
                "privilege": privilege.value,
                "bytes": len(observation.raw),
                "tables": [*(["sockets"] if sockets is not None else []), *others],
            },
        )
        snapshot = None
        if sockets is not None:
            # What an ordinary user saw is not compared with what root saw before: that it shows
            # less is known to whoever brought it.
            login_version = f"{TOOL}:{privilege.value}"
            snapshot = store.save(
                host, observation, login_version=login_version, judge=judging.judge
            )
        tables.save(host, observation)
        fresh = TableStatus.objects.filter(host=host, attempted_at=taken_at, code="")
        there = set(fresh.values_list("table", flat=True))
    return Stored(
        snapshot,
        tables=tuple(table for table in others if table.value in there),
        left=tuple(table for table in others if table.value not in there),
    )


def _check_time(taken_at: dt.datetime) -> None:
    now = timezone.now()
    if taken_at > now + MAX_SKEW:
        raise Refused(gettext_noop("That time is in the future. When was the output taken?"))
    if taken_at < now - dt.timedelta(days=settings.RETENTION_DAYS):
        raise Refused(
            gettext_noop("That is more than %(days)s days ago, and history is kept no longer."),
            days=settings.RETENTION_DAYS,
        )


def _between(text: str, *, wide: bool) -> dict[Table, str]:
    """The other tables of a text with several socket tables, of which some stand between those."""
    try:
        return _taken_apart(text, wide=wide)[1]
    except Refused:
        return {}


def _taken_apart(text: str, *, wide: bool) -> tuple[str | None, dict[Table, str]]:
    """The text that history compares, None without sockets; and the text of each other table.

    Where each line stands for itself, the lines of other tables are left out of the first, or
    they would count as lines that no rule reads. Raises Refused.
    """
    try:
        parsed = parsers.parse(text, wide=wide)
    except ParseError:
        raise Refused(gettext_noop("No table that netadmin knows was found in the text.")) from None
    others = [table for table in Table if table in parsed.found]
    if "sockets" not in parsed.found:
        if not others:
            raise Refused(
                gettext_noop(
                    "History keeps sockets, routes, interfaces, protocol counters and multicast "
                    "groups, and the text has none of these."
                )
            )
        return None, dict.fromkeys(others, text)
    if len(parsed.rejected) > len(parsed.sockets):
        raise Refused(
            gettext_noop("Most lines of the text were not understood, so it is no whole table.")
        )
    sockets = parsers.parse_sockets(text, wide=wide)
    if sockets.dialect not in parsers.LINEWISE:
        return text, dict.fromkeys(others, text)
    unread = {row.line for row in parsed.rejected}
    elsewhere = {row.line for row in sockets.rejected} - unread
    kept: list[str] = []
    rest: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if number not in elsewhere:
            kept.append(line)
        if number in elsewhere or not line.strip():
            rest.append(line)
    return "\n".join(kept), dict.fromkeys(others, "\n".join(rest))
