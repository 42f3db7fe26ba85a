"""The questions of ``bench.history``: how each is drawn, asked of history, and asked of a page.

The first ones have targets; those below ``INFORMATION`` are measured so that nobody is surprised.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from bench.seeded_history import Fleet
from hosts.models import Host
from probes.filters import NOTHING_FILTERED
from probes.history import queries
from probes.history.queries import exposure, moments, sightings, statistics, trends
from probes.history.queries.exposure import ExposureFilter
from probes.history.queries.sought import Sought
from probes.indicators import Indicator, read


@dataclass(frozen=True)
class Question:
    """One question. ``draw`` gives what ``run`` and ``page`` take, another each time."""

    name: str
    draw: Callable[[random.Random, Fleet], Any]
    run: Callable[[Any], object] | None = None
    """None: the statements of the page are measured."""
    page: Callable[[Any], str] | None = None
    target: bool = False


# --- what is drawn --------------------------------------------------------------------------------


def _moment(numbers: random.Random, fleet: Fleet) -> dt.datetime:
    return fleet.since + (fleet.until - fleet.since) * numbers.uniform(0.02, 1)


def _host_at(numbers: random.Random, fleet: Fleet) -> tuple[int, dt.datetime]:
    return numbers.choice(fleet.host_ids), _moment(numbers, fleet)


def _client(numbers: random.Random, fleet: Fleet) -> str:
    # One of the frequent ones: whoever is looked for usually did something.
    return fleet.clients[int(2_000 * numbers.random() ** 2)]


def _client_day(numbers: random.Random, fleet: Fleet) -> tuple[str, dt.datetime]:
    return _client(numbers, fleet), _moment(numbers, fleet)


def _end(_numbers: random.Random, fleet: Fleet) -> dt.datetime:
    return fleet.until


def _host_end(numbers: random.Random, fleet: Fleet) -> tuple[int, dt.datetime]:
    return numbers.choice(fleet.host_ids), fleet.until


def _thousand(numbers: random.Random, fleet: Fleet) -> str:
    return "\n".join(numbers.sample(fleet.clients, 1000))


# --- asked of history -----------------------------------------------------------------------------


def _connections(given: tuple[int, dt.datetime]) -> object:
    host = Host.objects.get(pk=given[0])
    snapshot = queries.snapshot_at(host, given[1])
    return queries.connections(host, snapshot=snapshot, filters=NOTHING_FILTERED)


def _sought(given: tuple[str, dt.datetime]) -> Sought:
    since = given[1] - dt.timedelta(days=1)
    return Sought(_indicators(given[0]), since=since, until=given[1])


def _indicators(text: str) -> tuple[Indicator, ...]:
    return read(text).indicators


def _seen(given: tuple[str, dt.datetime]) -> object:
    hosts = Host.objects.all()
    sought = _sought(given)
    return sightings.summary(hosts, sought), sightings.rows(hosts, sought)


def _ever(text: str) -> object:
    return sightings.summary(Host.objects.all(), Sought(_indicators(text)))


def _top_of_host(given: tuple[int, dt.datetime]) -> object:
    host = Host.objects.get(pk=given[0])
    scope = moments.scope(
        Host.objects.filter(pk=host.pk), snapshot=queries.snapshot_at(host, given[1])
    )
    assert scope is not None
    return statistics.remote_ips(scope)


def _top(counts: Callable[..., object]) -> Callable[[dt.datetime | None], object]:
    def run(at: dt.datetime | None) -> object:
        scope = moments.scope(Host.objects.kept(), at=at)
        assert scope is not None
        return counts(scope)

    return run


def _chart(hours: int) -> Callable[[tuple[int | None, dt.datetime]], object]:
    def run(given: tuple[int | None, dt.datetime]) -> object:
        pk, until = given
        hosts = Host.objects.kept() if pk is None else Host.objects.get(pk=pk)
        since = until - dt.timedelta(hours=hours)
        return queries.timeline(hosts, by="state", since=since, until=until)

    return run


def _new_listeners(days: float) -> Callable[[dt.datetime], object]:
    def run(until: dt.datetime) -> object:
        return exposure.find(Host.objects.kept(), _since(until, days))

    return run


def _since(until: dt.datetime, days: float) -> ExposureFilter:
    return ExposureFilter.model_validate({"since": _stamp(until - dt.timedelta(days=days))})


def _trend(hours: int) -> Callable[[tuple[int | None, dt.datetime]], object]:
    def run(given: tuple[int | None, dt.datetime]) -> object:
        pk, until = given
        hosts = Host.objects.kept() if pk is None else Host.objects.get(pk=pk)
        return trends.trend(hosts, by="ip", since=until - dt.timedelta(hours=hours), until=until)

    return run


# --- asked of a page ------------------------------------------------------------------------------


def _stamp(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _url(path: str, **query: object) -> str:
    said = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(said)}"


def _chart_url(
    route: str, hours: int, **query: str
) -> Callable[[tuple[int | None, dt.datetime]], str]:
    """Of the route that a chart is drawn from."""

    def url(given: tuple[int | None, dt.datetime]) -> str:
        pk, until = given
        since = until - dt.timedelta(hours=hours)
        return _url(
            f"/api/v1/statistics/{route}",
            host=pk, since=_stamp(since), until=_stamp(until), **query,
        )  # fmt: skip

    return url


def _fleet_end(_numbers: random.Random, fleet: Fleet) -> tuple[None, dt.datetime]:
    return None, fleet.until


def _seen_url(given: tuple[str, dt.datetime]) -> str:
    since = given[1] - dt.timedelta(days=1)
    return _url("/hunt/", ip=given[0], since=_stamp(since), until=_stamp(given[1]))


def _diff_url(given: tuple[int, dt.datetime]) -> str:
    pk, at = given
    before = at - dt.timedelta(days=1)
    return _url(f"/hosts/{pk}/diff/", **{"from": _stamp(before), "to": _stamp(at)})


CHARTS: Final = (("1 h", 1), ("24 h", 24), ("7 days", 7 * 24), ("30 days", 30 * 24),
                 ("366 days", 366 * 24))  # fmt: skip
SPANS: Final = (("an hour", 1 / 24), ("a day", 1.0), ("a week", 7.0))

TARGETS: Final = (
    Question(
        "a host at a time",
        _host_at,
        _connections,
        lambda given: _url(f"/hosts/{given[0]}/", at=_stamp(given[1])),
    ),
    Question("an IP across the fleet for a day", _client_day, _seen, _seen_url),
    Question(
        "top 20 IPs of a host at a time",
        _host_at,
        _top_of_host,
        lambda given: _url("/statistics/", by="ips", host=given[0], at=_stamp(given[1])),
    ),
    Question(
        "top 20 IPs of the fleet now",
        lambda _numbers, _fleet: None,
        _top(statistics.remote_ips),
        lambda _given: _url("/statistics/", by="ips"),
    ),
    Question(
        "top 20 IPs of the fleet at a time",
        _moment,
        _top(statistics.remote_ips),
        lambda at: _url("/statistics/", by="ips", at=_stamp(at)),
    ),
    *(
        Question(f"state chart of a host, {words}", _host_end, _chart(hours),
                 _chart_url("timeline", hours, by="state"))
        for words, hours in CHARTS
    ),
    *(
        Question(f"state chart of the fleet, {words}", _fleet_end, _chart(hours),
                 _chart_url("timeline", hours, by="state"))
        for words, hours in CHARTS
    ),
    *(
        Question(
            f"listeners new since {words}",
            _end,
            _new_listeners(days),
            lambda until, days=days: _url(
                "/exposure/", since=_stamp(until - dt.timedelta(days=days))
            ),
        )
        for words, days in SPANS
    ),
)  # fmt: skip

INFORMATION: Final = (
    Question(
        "overview of 500 hosts", lambda _numbers, _fleet: None, page=lambda _given: "/",
    ),
    Question(
        "exposure of the fleet now",
        lambda _numbers, _fleet: None,
        page=lambda _given: "/exposure/",
    ),
    *(
        Question(
            f"{words} of the fleet now",
            lambda _numbers, _fleet: None,
            _top(counts),
            lambda _given, by=by: _url("/statistics/", by=by),
        )
        for words, by, counts in (
            ("local ports", "ports", statistics.local_ports),
            ("programs", "programs", statistics.programs),
            ("states", "states", statistics.states),
            ("common ports", "common", statistics.common_ports),
            ("external and internal", "scopes", statistics.scopes),
        )
    ),
    Question("what differs between two times of a host", _host_at, page=_diff_url),
    Question(
        "a host's connections of a day",
        _host_at,
        page=lambda given: _url(
            f"/hosts/{given[0]}/history/",
            since=_stamp(given[1] - dt.timedelta(days=1)), until=_stamp(given[1]),
        ),
    ),
    Question(
        "map of the fleet now", lambda _numbers, _fleet: None, page=lambda _given: "/map/"
    ),
    Question(
        "map of the fleet at a time", _moment, page=lambda at: _url("/map/", at=_stamp(at))
    ),
    Question(
        "report of a host", _host_at, page=lambda given: _url("/report/", host=given[0])
    ),
    Question(
        "report of the fleet", lambda _numbers, _fleet: None, page=lambda _given: "/report/"
    ),
    Question(
        "findings of the fleet", lambda _numbers, _fleet: None, page=lambda _given: "/findings/"
    ),
    Question("search for an IP", _client, page=lambda ip: _url("/search/", q=ip)),
    Question("an IP over all time", _client, _ever, lambda ip: _url("/hunt/", ip=ip)),
    Question(
        "the most frequent IP over all time",
        lambda _numbers, fleet: fleet.clients[0],
        _ever,
        lambda ip: _url("/hunt/", ip=ip),
    ),
    Question(
        "port 8080 over all time",
        lambda _numbers, _fleet: "port:8080",
        _ever,
        lambda _given: _url("/hunt/", port=8080),
    ),
    Question(
        "program java over all time",
        lambda _numbers, _fleet: "program:java",
        _ever,
        lambda _given: _url("/hunt/", program="java"),
    ),
    Question("1,000 IPs over all time", _thousand, _ever),
    *(
        Question(f"trend of a host's IPs, {words}", _host_end, _trend(hours),
                 _chart_url("trend", hours, by="ip"))
        for words, hours in CHARTS[1:4]
    ),
    *(
        Question(f"trend of the fleet's IPs, {words}", _fleet_end, _trend(hours),
                 _chart_url("trend", hours, by="ip"))
        for words, hours in CHARTS[1:4]
    ),
)  # fmt: skip

QUESTIONS: Final = (*TARGETS, *INFORMATION)
