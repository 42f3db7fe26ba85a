"""The search box: a few characters, and where they are found among hosts, sockets and alerts.

Place in the data's way: between the page and JSON route of the search and the queries. Each kind of
find is asked for only where the text can mean it, by an index, and shows a few rows with a link to
all of them; what was not looked through to the end is said.

    web-1 · 10.0.0 · group      hosts and their listeners, hunts and alerts of that name
    10.0.0.9 · 2001:db8::/32    hosts; who is connected with it; who ever was
    443 · :443 · port 443       who listens on it; who ever used it; with 443 alone also that PID
    pid 812                     the processes of that number, on hosts that are looked through
    nginx                       who runs it now; who ever did
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q, QuerySet

from hosts.models import Host, HostGroup, HostQuerySet, visible_groups
from probes import indicators
from probes.filters import Invalid
from probes.history.queries import found_now, sightings
from probes.history.queries.found_now import PidRow, Talker
from probes.history.queries.sightings import Sighting
from probes.history.queries.sought import Sought
from probes.indicators import Indicator
from probes.models import Alert, Hunt

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

LONGEST: Final = 200
SHOWN: Final = 10
"""Rows of each kind."""
COUNTED: Final = 20_000
"""Intervals of history that are counted for a search; the page of hunts counts more."""
LEAST_LETTERS: Final = 2
"""Of a word that is looked for among programs; one letter is in most of them."""

_PID: Final = re.compile(r"pid[:= ]\s*([0-9]{1,10})", re.IGNORECASE)
_NUMBER: Final = re.compile(r":?([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Some:
    """A few of the finds of one kind."""

    rows: Sequence[Any]
    total: int
    """Of all of them; where ``more`` is set, at least."""
    more: bool = False
    """Whether not everything was looked through."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. What the text cannot mean is None."""

    text: str
    indicator: Indicator | None
    """What it means in history."""
    pid: int | None
    hosts: Some
    """:class:`Host`."""
    listeners: Some | None
    """:class:`Talker`: who listens on the port, or is the program that listens."""
    now: Some | None
    """:class:`Talker`: whose open sockets fit."""
    history: Some | None
    """:class:`Sighting`."""
    pids: Some | None
    """:class:`PidRow`."""
    looked_through: tuple[int, int] | None
    """Of how many hosts the open sockets were looked through for the PID, and of how many not."""
    hunts: Some
    """:class:`Hunt`."""
    alerts: Some
    """:class:`Alert`."""

    @property
    def anything(self) -> bool:
        """Whether there is anything at all."""
        parts = (
            self.hosts, self.listeners, self.now, self.history, self.pids, self.hunts, self.alerts
        )  # fmt: skip
        return any(part is not None and part.total for part in parts)


def the_host(user: AbstractBaseUser | AnonymousUser, text: str) -> Host | None:
    """The host that is called exactly so, where there is one and the text can mean nothing else."""
    if _NUMBER.fullmatch(text) or _indicator(text, only_addresses=True) is not None:
        return None
    named = list(_kept(user).filter(name__iexact=text)[:2]) if text else []
    return named[0] if len(named) == 1 else None


def find(user: AbstractBaseUser | AnonymousUser, text: str) -> Found:
    """Look for ``text`` among what ``user`` may see. About ten queries, whatever there is."""
    text = " ".join(text.replace("\0", "").split())[:LONGEST]
    kept, every = _kept(user), Host.objects.visible_to(user)
    pid, indicator = _meant(text)
    listeners = now = history = pids = looked = None
    if indicator is not None:
        talkers = found_now.talkers(kept, indicator)
        listening = [row for row in talkers.rows if row.listeners]
        connected = [row for row in talkers.rows if row.connections]
        if indicator.addresses is None:
            listeners = _some(listening, more=talkers.more)
        now = _some(connected, more=talkers.more)
        seen = sightings.summary(every, Sought((indicator,)), most=COUNTED)
        history = _some(seen.sightings, more=bool(seen.capped) or seen.more_programs)
    if pid is not None:
        processes = found_now.processes(kept, pid)
        pids = _some(processes.rows, more=bool(processes.left_out))
        looked = (processes.looked_through, processes.left_out)
    return Found(
        text=text,
        indicator=indicator,
        pid=pid,
        hosts=_hosts(kept, visible_groups(user), text),
        listeners=listeners,
        now=now,
        history=history,
        pids=pids,
        looked_through=looked,
        hunts=_hunts(text),
        alerts=_alerts(every, text),
    )


def _meant(text: str) -> tuple[int | None, Indicator | None]:
    """The PID and the thing in history that a text can mean."""
    match = _PID.fullmatch(text)
    if match is not None:
        return int(match[1]), None
    match = _NUMBER.fullmatch(text)
    if match is not None:
        number = int(match[1])
        port = indicators.of_port(number) if 1 <= number <= 65535 else None
        return (None if text.startswith(":") else number), port
    return None, _indicator(text)


def _indicator(text: str, *, only_addresses: bool = False) -> Indicator | None:
    reading = indicators.read(text)
    if len(reading.indicators) == 1 and not reading.rejected:
        found = reading.indicators[0]
        return found if found.addresses is not None or not only_addresses else None
    if only_addresses or len(text) < LEAST_LETTERS or not re.search(r"\w", text):
        return None
    try:
        return indicators.of_program(text)
    except Invalid:
        return None


def _kept(user: AbstractBaseUser | AnonymousUser) -> HostQuerySet:
    return Host.objects.kept().visible_to(user)


def _some(rows: Sequence[Any], *, more: bool = False) -> Some:
    return Some(rows[:SHOWN], len(rows), more)


def _counted(rows: Any) -> Some:
    """The first rows of a QuerySet, counted apart only where there are more."""
    found = list(rows[: SHOWN + 1])
    return Some(found[:SHOWN], len(found) if len(found) <= SHOWN else rows.count())


def _hosts(kept: HostQuerySet, groups: QuerySet[HostGroup], text: str) -> Some:
    if not text:
        return Some((), 0)
    wanted = Q(name__icontains=text) | Q(address__icontains=text)
    wanted |= Q(pk__in=Host.groups.through.objects.filter(
        hostgroup__in=groups.filter(name__iexact=text)).values("host_id"))  # fmt: skip
    return _counted(kept.filter(wanted).order_by("name"))


def _hunts(text: str) -> Some:
    if not text:
        return Some((), 0)
    wanted = Q(name__icontains=text) | Q(indicators__icontains=text)
    return _counted(Hunt.objects.filter(wanted).order_by("name"))


def _alerts(every: HostQuerySet, text: str) -> Some:
    if not text:
        return Some((), 0)
    rows = Alert.objects.filter(subject__icontains=text, host__in=every)
    return _counted(rows.select_related("host").order_by("-newest_at", "-pk"))


__all__ = ["Found", "PidRow", "Sighting", "Some", "Talker", "find", "the_host"]
