"""Writes a :class:`~probes.metrics.reading.Reading` as Prometheus text, format version 0.0.4.

Place in the data's way: between ``reading`` and the answer; asks nothing. The format is of
https://prometheus.io/docs/instrumenting/exposition_formats/; prometheus-client escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

import netadmin
from netadmin.celery import app
from probes.history.queries import HostRow
from probes.metrics import declared
from probes.metrics.declared import Family
from probes.metrics.reading import Reading, Site
from probes.models import AlertKind, Change, Channel, Delivery, Outcome
from probes.models.rules import Severity
from probes.status import Level

STATES = ("ESTABLISHED", "LISTEN", "TIME_WAIT", "CLOSE_WAIT", "SYN_SENT", "SYN_RECV")
"""Said of every host, also where it has none: a rule over them must not lose its series."""
PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
LABEL_CHARACTERS = 200

Values = Iterable[tuple[tuple[str, ...], float]]


def text(reading: Reading) -> bytes:
    """The whole answer, UTF-8."""
    return generate_latest(ReadingCollector(reading))


class ReadingCollector(Collector):
    """The families of one reading, in the order of ``declared``."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def collect(self) -> Iterator[Metric]:
        """Every family, also those without a series: their names are then still explained."""
        values = self._values()
        for family in declared.FAMILIES:
            if family.whole_site and self.reading.site is None:
                continue
            made = (
                CounterMetricFamily(family.name, family.help, labels=family.labels)
                if family.kind == "counter"
                else GaugeMetricFamily(family.name, family.help, labels=family.labels)
            )
            for labels, value in values.get(family, ()):
                made.add_metric(labels, value)
            yield made

    def _values(self) -> dict[Family, Values]:
        values: dict[Family, list[tuple[tuple[str, ...], float]]] = {}
        for row in self.reading.hosts:
            for family, labels, value in _of_host(row, self.reading):
                values.setdefault(family, []).append((labels, value))
        found: dict[Family, Values] = dict(values)
        found.update(_of_fleet(self.reading))
        if self.reading.site is not None:
            found.update(_of_site(self.reading.site))
        return found


def label(value: str) -> str:
    """``value`` fit for a label: cut, and without control characters or what is no UTF-8.

    The format escapes newline, quote and backslash; others of them would only confuse who reads.
    """
    cut = value[:LABEL_CHARACTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _of_host(row: HostRow, reading: Reading) -> Iterator[tuple[Family, tuple[str, ...], float]]:
    host = (label(row.host.name), str(row.host.pk))
    for level in Level:
        yield declared.STATUS, (*host, level.name.lower()), row.status.level == level
    if row.status.level == Level.OFF:
        return  # what it was when it was switched off says nothing of now
    yield declared.INTERVAL, host, row.host.effective_interval_s
    paused = row.host.pk in reading.paused
    if row.schedule is not None:
        yield declared.FAILURES, host, row.schedule.failures
        yield declared.PAUSED, host, paused
    latest, whole = row.latest, row.latest_whole
    if latest is not None:
        yield declared.DURATION, host, latest.duration_ms / 1000
        yield declared.AGE, host, max(0.0, (reading.at - latest.taken_at).total_seconds())
        for outcome in Outcome.values:
            yield declared.OUTCOME, (*host, outcome), latest.outcome == outcome
    code = row.schedule.paused_code if row.schedule is not None and paused else ""
    if latest is not None and latest.outcome != Outcome.OK:
        code = code or latest.code
    if code:
        yield declared.FAILURE, (*host, label(code)), 1
    if whole is None:
        return
    yield declared.WHOLE_AGE, host, max(0.0, (reading.at - whole.taken_at).total_seconds())
    yield declared.SOCKETS, host, whole.sockets
    yield declared.LISTENERS, host, whole.listeners
    yield declared.WITHOUT_PID, host, whole.without_pid
    yield declared.UNPARSED, host, whole.rejected
    for state, number in (dict.fromkeys(STATES, 0) | whole.by_state).items():
        yield declared.BY_STATE, (*host, label(state)), number
    for protocol, number in (dict.fromkeys(PROTOCOLS, 0) | whole.by_protocol).items():
        yield declared.BY_PROTOCOL, (*host, label(protocol)), number


def _of_fleet(reading: Reading) -> dict[Family, Values]:
    by_status = dict.fromkeys(Level, 0)
    for row in reading.hosts:
        by_status[row.status.level] += 1
    alerts = [(kind, severity) for kind in AlertKind.values for severity in Severity.values]
    return {
        declared.BUILD: [((netadmin.__version__,), 1)],
        declared.HOSTS: [((level.name.lower(),), number) for level, number in by_status.items()],
        declared.DUE: [((), reading.waiting.due)],
        declared.LEASED: [((), reading.waiting.leased)],
        declared.LAG: [((), reading.waiting.lag_s)],
        declared.ALERTS: [(of, reading.alerts.get(of, 0)) for of in alerts],
        declared.UNACKNOWLEDGED: [(of, reading.unacknowledged.get(of, 0)) for of in alerts],
        declared.CHANGES_LAST_HOUR: _single(Change.Kind.values, reading.changes),
    }


def _of_site(site: Site) -> dict[Family, Values]:
    outcomes = [(kind, state) for kind in Channel.Kind.values for state in Delivery.State.values]
    said: dict[Family, Values] = {
        declared.CHANGES: [((), site.changes)],
        declared.LATE: [((), site.late)],
        declared.WORKERS: [((), len(site.connections))],
        declared.CONNECTIONS: [((label(node),), kept) for node, kept in site.connections.items()],
        declared.BROKER: [((), site.queued is not None)],
        declared.DELIVERIES: [(of, site.deliveries.get(of, 0)) for of in outcomes],
        declared.WAITING: _single(Channel.Kind.values, site.waiting),
        declared.DATABASE: [((), site.database_bytes)],
    }
    if site.heartbeat_age_s is not None:
        said[declared.HEARTBEAT_AGE] = [((), site.heartbeat_age_s)]
    if site.queued is not None:
        said[declared.QUEUE] = [((app.conf.task_default_queue,), site.queued)]
    return said


def _single(names: Iterable[str], numbers: Mapping[str, int]) -> Values:
    return [((name,), numbers.get(name, 0)) for name in names]
