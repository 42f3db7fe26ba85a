"""What several routes of the API have in common: finding objects, and parameters of lists.

Place in the data's way: used by the handlers of this package. The only place that decides which
host, group or snapshot a parameter means; all of them look among what the caller may see.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, Protocol

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostQuerySet
from netadmin import envelope
from probes.api.routing import Refusal
from probes.filters import Cursor, FilterError, Identifier, Limit, Moment, Query, Seconds
from probes.history import queries
from probes.history.queries import moments
from probes.history.queries.sql import Scope
from probes.models import Outcome, Snapshot

Format = Literal["json", "csv"]

LONGEST: Final = dt.timedelta(days=366)
USUAL: Final = dt.timedelta(hours=6)


class Listed(Query):
    """A list, a page at a time. ``format=csv`` gives all of its rows, whatever the page."""

    cursor: Cursor | None = None
    limit: Limit = 100
    format: Format = "json"


class Of(Query):
    """Which hosts a statistic is over; all that the caller sees where nothing is said."""

    host: Identifier | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""


class At(Query):
    """Which snapshot of a host: the newest whole one at or before ``at``, or one by its id."""

    at: Moment | None = None
    snapshot: Identifier | None = None


class Span(Query):
    """From when to when a chart goes, and how finely."""

    since: Moment | None = None
    """Six hours before ``until``, where not given."""
    until: Moment | None = None
    step: Seconds | None = None
    """Seconds between points at least; the answer says which was used."""

    def ends(self) -> tuple[dt.datetime, dt.datetime]:
        """Both ends; FilterError where they are in the wrong order or too far apart."""
        until = self.until or timezone.now()
        since = self.since or until - USUAL
        if since >= until:
            raise FilterError("since", _("Give a time before until."))
        if until - since > LONGEST:
            raise FilterError("since", _("Give a time at most 366 days before until."))
        return since, until


class AsksForTime(Protocol):
    """What :func:`moment_of` reads."""

    @property
    def at(self) -> dt.datetime | None: ...
    @property
    def snapshot(self) -> int | None: ...


class AsksForHosts(Protocol):
    """What :func:`hosts_of` reads."""

    @property
    def host(self) -> int | None: ...
    @property
    def group(self) -> str | None: ...


def visible_hosts(request: HttpRequest) -> HostQuerySet:
    """The hosts the caller may see."""
    return Host.objects.kept().visible_to(request.user)


def visible_host(request: HttpRequest, pk: int) -> Host | None:
    """One of them by its id."""
    return visible_hosts(request).filter(pk=pk).first()


def readable_host(request: HttpRequest, pk: int) -> Host | None:
    """A host the caller may see, or one that was removed and whose history is kept.

    For routes that only read what is known of it: a removed host is never acted on.
    """
    return Host.objects.readable().visible_to(request.user).filter(pk=pk).first()


def visible_snapshot(request: HttpRequest, pk: int) -> Snapshot | None:
    """A snapshot of a host that :func:`readable_host` would give; snapshots are only ever read."""
    hosts = Host.objects.readable().visible_to(request.user)
    return Snapshot.objects.select_related("host").filter(pk=pk, host__in=hosts).first()


def hosts_of(request: HttpRequest, query: AsksForHosts, *, removed: bool = False) -> HostQuerySet:
    """The visible hosts that ``host`` and ``group`` name; absent ones end the request.

    With ``removed`` also hosts that are no longer watched, whose history is kept.
    """
    hosts = Host.objects.visible_to(request.user) if removed else visible_hosts(request)
    if query.group is not None:
        hosts = hosts.in_group(query.group, request.user)
        if not hosts.exists():
            raise absent("group", _("There is no such host group, or no host in it."))
    if query.host is not None:
        hosts = hosts.filter(pk=query.host)
        if not hosts.exists():
            raise absent("host", _("There is no such host."))
    return hosts


def moment_of(host: Host, query: AsksForTime) -> Snapshot | None:
    """The whole snapshot that ``at`` or ``snapshot`` means; None where neither is given.

    A time in whole seconds means the end of that second, so that a time read off a page, which
    shows no fractions, finds what the page showed.
    """
    if query.snapshot is not None:
        if query.at is not None:
            raise FilterError("snapshot", _("Give at or snapshot, not both."))
        stored = Snapshot.objects.filter(pk=query.snapshot, host=host).first()
        if stored is None:
            raise absent("snapshot", _("This host has no such snapshot."))
        if stored.outcome != Outcome.OK:
            raise FilterError("snapshot", _("This probe gave no whole table. Choose another."))
        return stored
    if query.at is None:
        return None
    stored = queries.snapshot_at(host, end_of_second(query.at))
    if stored is None:
        raise absent("at", _("No whole snapshot is kept of that time or before it."))
    return stored


def end_of_second(when: dt.datetime) -> dt.datetime:
    """A time in whole seconds as the end of that second; a more exact one as it is."""
    return when if when.microsecond else when.replace(microsecond=999_999)


class AsksForScope(AsksForHosts, AsksForTime, Protocol):
    """What :func:`scope_of` reads."""


def scope_of(request: HttpRequest, query: AsksForScope) -> tuple[Scope | None, Snapshot | None]:
    """Whose sockets, and when, that ``host``, ``group``, ``at`` and ``snapshot`` mean.

    Of one host at a past time it is the snapshot beside it, absent where none is kept; of several
    each is at its own newest whole snapshot by then, and those without one are left out. None
    where the caller sees no host.
    """
    hosts = hosts_of(request, query)
    if query.host is not None:
        snapshot = moment_of(hosts.get(), query)
        return moments.scope(hosts, snapshot=snapshot), snapshot
    if query.snapshot is not None:
        raise FilterError("snapshot", _("This is of one host: give host as well."))
    at = None if query.at is None else end_of_second(query.at)
    return moments.scope(hosts, at=at), None


def absent(field: str, message: str) -> Refusal:
    """404 for what a parameter names; the same whether it does not exist or may not be seen."""
    return Refusal(envelope.error(404, "not_found", f"{field}: {message}", field=field))
