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
from pydantic import AfterValidator, Field, WithJsonSchema

from hosts.models import Host, HostQuerySet
from netadmin import envelope
from probes.api.routing import Refusal
from probes.filters import (
    Cursor,
    FilterError,
    Identifier,
    Invalid,
    Limit,
    Moment,
    Query,
    Seconds,
)
from probes.history.queries import moments
from probes.history.queries.sql import Scope
from probes.models import Snapshot
from probes.tools.when import end_of_second, snapshot_of

Format = Literal["json", "csv"]

LONGEST: Final = dt.timedelta(days=366)
USUAL: Final = dt.timedelta(hours=6)


NEWEST: Final = "newest"


def _place(text: str) -> str:
    if text != NEWEST and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Invalid(_("Give next_after of an answer, or newest."))
    return text


Place = Annotated[
    str,
    AfterValidator(_place),
    WithJsonSchema({"type": "string", "pattern": f"^({NEWEST}|[0-9]{{1,18}})$"}),
]
"""A place in the feed of changes, or :data:`NEWEST`."""


class Listed(Query):
    """A list, a page at a time. ``format=csv`` gives all of its rows, whatever the page."""

    cursor: Cursor | None = None
    """``data.next`` of the page before."""
    limit: Limit = 100
    """Rows of a page."""
    format: Format = "json"
    """``csv`` gives all rows, whatever the page."""


class Of(Query):
    """Which hosts a statistic is over; all that the caller sees where nothing is said."""

    host: Identifier | None = None
    """Id of a host."""
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""


class At(Query):
    """Which snapshot of a host: the newest whole one at or before ``at``, or one by its id."""

    at: Moment | None = None
    """The newest whole snapshot at or before this time; without a zone it is UTC."""
    snapshot: Identifier | None = None
    """Id of a snapshot, instead of ``at``."""


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
    """The whole snapshot that ``at`` or ``snapshot`` means; None where neither is given."""
    return snapshot_of(host, at=query.at, snapshot=query.snapshot)


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
