"""``hosts/{id}/diff``, ``hosts/{id}/history`` and ``diff``: what changed, and since when."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import AfterValidator, Field, create_model

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import route
from probes.api.shared import (
    LONGEST,
    Listed,
    absent,
    readable_host,
    visible_hosts,
)
from probes.filters import (
    FilterError,
    Invalid,
    Moment,
    SocketFilter,
    orders,
    text_like,
    whole_number,
)
from probes.history.queries import compared, diffs, intervals
from probes.history.queries.pages import slice_rows
from probes.models import Snapshot
from probes.payloads import history as history_payloads
from probes.payloads.shapes import history as shapes
from probes.tools.when import end_of_second, ends_of

USUAL: Final = dt.timedelta(days=1)


class _Differences(SocketFilter, Listed):
    """Which differences, and in which order."""

    kind: Literal["opened", "closed", "changed"] | None = None
    what: Literal["listeners", "connections"] | None = None
    sort: Annotated[str, Field(max_length=20), orders(diffs.ORDERS)] = ""


Times = create_model(
    "Times",
    __base__=_Differences,
    __doc__="Between which two times. (``from`` is no name that a class can declare.)",
    **{"from": (Moment | None, None), "to": (Moment | None, None)},  # type: ignore[call-overload]
)


class OverTime(SocketFilter, Listed):
    """Which connections of a host, seen from when to when."""

    since: Moment | None = None
    """A day before ``until``, where not given."""
    until: Moment | None = None
    what: Literal["listeners", "connections"] | None = None
    sort: Annotated[str, Field(max_length=20), orders(intervals.ORDERS)] = ""


def _pair(text: str) -> str:
    ids = [whole_number(part, least=1, most=2**63 - 1) for part in text.split(",")]
    if len(ids) != 2:
        raise Invalid(_("Give the ids of two hosts, such as 1,2."))
    return ",".join(str(number) for number in ids)


class TwoHosts(Listed):
    """Which two hosts, when, and what of them."""

    hosts: Annotated[
        str,
        AfterValidator(_pair),
        text_like(pattern="^[1-9][0-9]{0,17},[1-9][0-9]{0,17}$", examples=["1,2"]),
    ]
    """Ids of two hosts."""
    at: Moment | None = None
    what: Literal["listeners", "talks", "clients"] | None = None
    show: Literal["all", "differences", "a", "b", "both"] = "all"


@route("GET", Role.VIEWER, query=Times, about=readable_host, data=shapes.Diff)
def diff(request: HttpRequest, host: Host, query: Any) -> HttpResponseBase:
    """What opened, closed and changed on a host between two times."""
    before, after = ends_of(host, getattr(query, "from"), query.to)
    if before is None or after is None:  # probed once, or not yet: there is nothing to compare
        return _nothing(host, after, as_csv=query.format == "csv")
    chosen = {"filters": query.filters(), "what": query.what, "kind": query.kind}
    if query.format == "csv":
        rows = diffs.iter_times(host, before, after, sort=query.sort, **chosen)
        return payloads.csv(
            f"diff-{host.pk}", history_payloads.DIFFERENCE, map(history_payloads.difference, rows)
        )
    found = diffs.times(
        host, before, after, sort=query.sort, cursor=query.cursor, limit=query.limit, **chosen
    )
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "from": payloads.brief(before),
            "to": payloads.brief(after),
            "counts": found.counts,
            "differences": [history_payloads.difference(change) for change in found.rows],
            "total": found.total(what=query.what, kind=query.kind),
            "next": found.next,
        }
    )


def _nothing(host: Host, after: Snapshot | None, *, as_csv: bool) -> HttpResponseBase:
    if as_csv:
        return payloads.csv(f"diff-{host.pk}", history_payloads.DIFFERENCE, ())
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "from": None,
            "to": None if after is None else payloads.brief(after),
            "counts": diffs.no_counts(),
            "differences": [],
            "total": 0,
            "next": None,
        }
    )


@route("GET", Role.VIEWER, query=OverTime, about=readable_host, data=shapes.HistoryOfHost)
def history(request: HttpRequest, host: Host, query: OverTime) -> HttpResponseBase:
    """The connections of a host over a time, each with its states, processes and duration."""
    until = query.until or timezone.now()
    since = query.since or until - USUAL
    if since >= until:
        raise FilterError("since", _("Give a time before until."))
    if until - since > LONGEST:
        raise FilterError("since", _("Give a time at most 366 days before until."))
    listeners = None if query.what is None else query.what == "listeners"
    if query.format == "csv":
        rows = intervals.iter_history(
            host,
            since=since,
            until=until,
            filters=query.filters(),
            listeners=listeners,
            sort=query.sort,
        )
        return payloads.csv(
            f"history-{host.pk}", history_payloads.OVER_TIME, map(history_payloads.over_time, rows)
        )
    found = intervals.history(
        host,
        since=since,
        until=until,
        filters=query.filters(),
        listeners=listeners,
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "since": payloads.time(found.since),
            "until": payloads.time(found.until),
            "complete": found.complete,
            "connections": [history_payloads.over_time(row) for row in found.rows],
            "total": found.total,
            "next": found.next,
        }
    )


@route("GET", Role.VIEWER, query=TwoHosts, data=shapes.Comparison)
def compare(request: HttpRequest, query: TwoHosts) -> HttpResponseBase:
    """What one of two hosts listens on, talks to and serves, and the other does not."""
    a, b = _hosts(request, query)
    at = None if query.at is None else end_of_second(query.at)
    found = compared.hosts(a, b, at=at)
    rows = [
        row
        for row in found.rows
        if (query.what is None or row.what == query.what) and row.shown(query.show)
    ]
    if query.format == "csv":
        return payloads.csv(
            f"compare-{a.pk}-{b.pk}",
            history_payloads.COMPARED,
            map(history_payloads.compared, rows),
        )
    page = slice_rows(
        rows,
        kind=f"compare:{query.hosts}:{query.at}:{query.what}:{query.show}",
        key=compared.order,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "hosts": [payloads.host_name(a), payloads.host_name(b)],
            "snapshots": [
                None if stored is None else payloads.brief(stored) for stored in (found.a, found.b)
            ],
            "rows": [history_payloads.compared(row) for row in page.rows],
            "capped": found.capped,
            "total": page.total,
            "next": page.next,
        }
    )


def _hosts(request: HttpRequest, query: TwoHosts) -> tuple[Host, Host]:
    ids = [int(number) for number in query.hosts.split(",")]
    found = {host.pk: host for host in visible_hosts(request).filter(pk__in=ids)}
    if found.keys() != set(ids):
        raise absent("hosts", _("There is no such host."))
    return found[ids[0]], found[ids[1]]
