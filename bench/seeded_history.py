"""A month of history of many hosts, made up from a seed: what ``bench.history`` asks questions of.

Rows are written as the store writes them (intervals between times of whole snapshots, counts of
each snapshot that add up, closed sockets in the order in which they closed), but in bulk: playing
in ten million sockets probe by probe would take a day.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from django.db import connections

from hosts.models import Host, HostGroup
from probes.filters import packed
from probes.history import packing, partitions, rollups
from probes.models import Direction, Outcome, RollUp, Schedule, Snapshot

DAYS = 30
FINE = dt.timedelta(days=1)
"""How long before the end a host was probed each minute; before that, each quarter of an hour."""
GROUPS = 20
CLIENTS, SERVERS = 40_000, 200
OPEN_PER_HOST = 300
ROLLED = 20
"""Hosts whose roll-ups are worked out."""

TCP, TCP6, UDP = (packing.PROTOCOL_NUMBERS[name] for name in ("tcp", "tcp6", "udp"))
STATES = {name: packing.STATE_NUMBERS[name] for name in ("LISTEN", "ESTABLISHED", "TIME_WAIT",
          "CLOSE_WAIT", "SYN_RECV", "FIN_WAIT2")}  # fmt: skip
NAMES = {number: name for name, number in STATES.items()}
SERVICES = ((443, "nginx"), (80, "nginx"), (22, "sshd"), (5432, "postgres"), (6379, "redis-server"),
            (8080, "java"), (9100, "node_exporter"), (25, "master"))  # fmt: skip
UPSTREAM = ((5432, "gunicorn"), (6379, "gunicorn"), (443, "curl"), (3306, "php-fpm"), (53, "named"))
SOCKET_COLUMNS = (
    "key", "protocol", "state", "local_ip", "local_port", "remote_ip", "remote_port", "pid",
    "program", "flags", "direction", "copies", "host_id", "first_seen",
)  # fmt: skip
INT2, INT4, INT8, BYTEA, TEXT, TIMESTAMPTZ = 21, 23, 20, 17, 25, 1184
SOCKET_TYPES = (INT8, INT2, INT2, BYTEA, INT4, BYTEA, INT4, INT8, TEXT, INT2, INT2, INT4, INT8,
                TIMESTAMPTZ)  # fmt: skip


class End(NamedTuple):
    """What a socket is, but for its own numbers."""

    protocol: int
    state: int
    local_port: int
    remote_ip: bytes
    remote_port: int | None
    program: str | None
    direction: int


@dataclass(frozen=True)
class Fleet:
    """What was made."""

    host_ids: list[int]
    since: dt.datetime
    until: dt.datetime
    clients: list[str]
    """Remote addresses, the most frequent first."""


def build(*, hosts: int, closed: int, until: dt.datetime, seed: int = 1) -> Fleet:
    """Fill the default database, which must be empty and migrated: ``closed`` intervals."""
    until = until.replace(second=0, microsecond=0)
    numbers = random.Random(seed)
    clients = [_client(numbers) for _ in range(CLIENTS)]
    servers = [packed(ipaddress.IPv4Address(f"10.{n // 250 + 1}.9.{n % 250}"))
               for n in range(SERVERS)]  # fmt: skip
    made = _hosts(hosts)
    writer = _Writer()
    for place, host in enumerate(made):
        _fill_host(writer, host, place, closed // hosts, until, clients, servers)
    writer.finish(until)
    _roll_up(until)
    return Fleet(
        [host.pk for host in made],
        until - dt.timedelta(days=DAYS),
        until,
        [packing.address(client, None) for client in clients],
    )


def _roll_up(until: dt.datetime) -> None:
    """Of the first ROLLED hosts by the task's own code, but of days that are two days old or older
    each hour remembers the largest addresses and ports of one time of that day; the other hosts get
    copies of theirs. A chart costs the same whichever host's sums it reads, and this saves hours.
    """
    schedules = Schedule.objects.order_by("pk")
    sources = list(schedules.values_list("pk", flat=True)[:ROLLED])
    others = list(schedules.exclude(pk__in=sources).values_list("pk", flat=True))
    Schedule.objects.filter(pk__in=others).update(rolled_until=until)
    work_out, kept = rollups._tops, {}

    def tops(using: str, host_id: int, taken_at: dt.datetime) -> bytes:
        old = taken_at < until - dt.timedelta(days=2)
        key = host_id, taken_at.date() if old else taken_at
        if key not in kept:
            kept[key] = work_out(using, host_id, taken_at)
        return kept[key]

    rollups._tops = tops
    try:
        rollups.roll_up(until + dt.timedelta(hours=1), run_s=3600)
    finally:
        rollups._tops = work_out
    columns = ", ".join(
        field.attname
        for field in RollUp._meta.concrete_fields
        if field.attname not in ("id", "host_id")
    )
    table = RollUp._meta.db_table
    with connections["default"].cursor() as cursor:
        for place, pk in enumerate(others):
            cursor.execute(
                f"INSERT INTO {table} (host_id, {columns}) SELECT %s, {columns} FROM {table}"
                " WHERE host_id = %s",
                [pk, sources[place % len(sources)]],
            )
        if connections["default"].vendor == "postgresql":
            cursor.execute(f"ANALYZE {table}")
    done = schedules.values_list("rolled_until", flat=True)[0]
    Schedule.objects.filter(pk__in=others).update(rolled_until=done)


def _hosts(number: int) -> list[Host]:
    groups = HostGroup.objects.bulk_create([HostGroup(name=f"group-{n:02}") for n in range(GROUPS)])
    hosts = Host.objects.bulk_create(
        [
            Host(name=f"host-{n:03}", address=f"10.{n // 250 + 1}.0.{n % 250 + 1}")
            for n in range(number)
        ]
    )
    Host.groups.through.objects.bulk_create(
        [
            Host.groups.through(host_id=host.pk, hostgroup_id=groups[place % GROUPS].pk)
            for place, host in enumerate(hosts)
        ]
    )
    return hosts


def _client(numbers: random.Random) -> bytes:
    if numbers.random() < 0.05:
        tail = numbers.getrandbits(64).to_bytes(8, "big")
        return bytes.fromhex("20010db8") + bytes([0, numbers.randrange(200), 0, 0]) + tail
    first = numbers.choice((10, 10, 172, 203, 198, 5, 45, 91, 185))
    tail = bytes([16 if first == 172 else numbers.randrange(256), *numbers.randbytes(2)])
    return bytes(10) + b"\xff\xff" + bytes([first]) + tail


def _times(until: dt.datetime, place: int) -> list[dt.datetime]:
    """When the host was probed, each time in its own second of the minute."""
    own = dt.timedelta(seconds=place % 60)
    coarse = int((dt.timedelta(days=DAYS) - FINE) / dt.timedelta(minutes=15))
    fine = int(FINE / dt.timedelta(minutes=1))
    begun = until - dt.timedelta(days=DAYS + 0, minutes=2)
    return [
        *(begun + own + n * dt.timedelta(minutes=15) for n in range(coarse)),
        *(until - FINE - dt.timedelta(minutes=2) + own + n * dt.timedelta(minutes=1)
          for n in range(fine)),
    ]  # fmt: skip


def _fill_host(
    writer: _Writer,
    host: Host,
    place: int,
    closed: int,
    until: dt.datetime,
    clients: Sequence[bytes],
    servers: Sequence[bytes],
) -> None:
    numbers = random.Random(1_000 + place)
    times = _times(until, place)
    last = len(times) - 1
    own = packed(ipaddress.IPv4Address(host.address))
    deltas: dict[int, array[int]] = {state: array("l", bytes(8 * (last + 2))) for state in NAMES}
    opened, gone = array("l", bytes(8 * (last + 2))), array("l", bytes(8 * (last + 2)))

    def note(state: int, first: int, end: int) -> None:
        deltas[state][first] += 1
        deltas[state][end + 1] -= 1
        opened[first] += 1
        gone[min(end + 1, last + 1)] += 1

    for _ in range(closed):
        first = numbers.randrange(last)
        end = min(first + int(numbers.expovariate(0.3)), last - 1)
        what = _end(numbers, clients, servers)
        note(what.state, first, end)
        writer.closed((*_row(numbers, host.pk, own, what, times[first]), times[end]))
    for n in range(OPEN_PER_HOST):
        if n < len(SERVICES):
            port, program = SERVICES[n]
            what, first = _listener(port, program), 0
        else:
            what = _end(numbers, clients, servers)
            first = last - min(last, int(numbers.expovariate(0.02)))
        note(what.state, first, last)
        writer.open(_row(numbers, host.pk, own, what, times[first]))
    counts = {NAMES[state]: list(accumulate(changes))[:-1] for state, changes in deltas.items()}
    for n, taken_at in enumerate(times):
        by_state = {name: series[n] for name, series in counts.items() if series[n]}
        writer.snapshot(host.pk, taken_at, by_state, opened[n], gone[n])


def _end(numbers: random.Random, clients: Sequence[bytes], servers: Sequence[bytes]) -> End:
    kind = numbers.random()
    if kind < 0.004:
        return _listener(numbers.randrange(1024, 20_000), "java")
    state = STATES[
        numbers.choices(
            ("ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "SYN_RECV", "FIN_WAIT2"), (60, 30, 5, 3, 2)
        )[0]
    ]
    ephemeral = numbers.randrange(32_768, 61_000)
    ownerless = state in (STATES["TIME_WAIT"], STATES["SYN_RECV"], STATES["FIN_WAIT2"])
    if kind < 0.7:
        port, program = SERVICES[int(len(SERVICES) * numbers.random() ** 2)]
        # A few clients come often, most of them seldom.
        remote = clients[int(CLIENTS * numbers.random() ** 4)]
        protocol = TCP6 if remote[:12] != bytes(10) + b"\xff\xff" else TCP
        return End(protocol, state, port, remote, ephemeral, None if ownerless else program,
                   Direction.IN.value)  # fmt: skip
    port, program = UPSTREAM[int(len(UPSTREAM) * numbers.random() ** 2)]
    remote = servers[int(SERVERS * numbers.random() ** 2)]
    return End(TCP, state, ephemeral, remote, port, None if ownerless else program,
               Direction.OUT.value)  # fmt: skip


def _listener(port: int, program: str) -> End:
    anywhere = bytes(10) + b"\xff\xff" + bytes(4)
    return End(TCP, STATES["LISTEN"], port, anywhere, None, program, Direction.LISTEN.value)


def _row(
    numbers: random.Random, host_id: int, own: bytes, what: End, first_seen: dt.datetime
) -> tuple[Any, ...]:
    listens = what.direction == Direction.LISTEN.value
    pid = None if what.program is None else 500 + hash_of(what.program) % 3_000
    return (
        numbers.getrandbits(64) - 2**63, what.protocol, what.state,
        what.remote_ip if listens else own, what.local_port, what.remote_ip, what.remote_port, pid,
        what.program, 0, what.direction, 1, host_id, first_seen,
    )  # fmt: skip


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode()[:6].ljust(6, b"x"), "big")


class _Writer:
    """Takes rows of all kinds and writes them as the engine takes them fastest."""

    BATCH = 20_000

    def __init__(self) -> None:
        self._connection = connections["default"]
        self._postgresql = self._connection.vendor == "postgresql"
        self._rows: dict[str, list[tuple[Any, ...]]] = {"closed": [], "open": [], "snapshot": []}
        self._indexes: list[str] = []
        with self._connection.cursor() as cursor:
            if self._postgresql:
                self._drop_indexes(cursor)
                cursor.execute("CREATE UNLOGGED TABLE bench_closed (LIKE probes_closedsocket)")
            else:
                self._drop_indexes(cursor)
                cursor.execute("CREATE TABLE bench_closed AS SELECT * FROM probes_closedsocket")

    def closed(self, row: tuple[Any, ...]) -> None:
        """A closed interval: SOCKET_COLUMNS and last_seen."""
        self._add("closed", row)

    def open(self, row: tuple[Any, ...]) -> None:
        """An open one: SOCKET_COLUMNS."""
        self._add("open", row)

    def snapshot(
        self, host_id: int, taken_at: dt.datetime, by_state: dict[str, int], opened: int, gone: int
    ) -> None:
        """A whole snapshot of these counts."""
        sockets = sum(by_state.values())
        self._add(
            "snapshot",
            (host_id, taken_at, 80, Outcome.OK.value, "", "", "netstat", "netstat -antuwpW",
             "root", sockets, by_state.get("LISTEN", 0), json.dumps(by_state),
             json.dumps({"tcp": sockets}), 0, 0, sockets + 2, opened, gone),
        )  # fmt: skip

    def finish(self, until: dt.datetime) -> None:
        """Write what is left, in the order of time, with its indexes and what a planner knows."""
        for kind in self._rows:
            self._flush(kind)
        columns = ", ".join((*SOCKET_COLUMNS, "last_seen"))
        with self._connection.cursor() as cursor:
            for day in range(DAYS + 2):
                partitions.ensure("default", until - dt.timedelta(days=day))
            cursor.execute(
                f"INSERT INTO probes_closedsocket ({columns})"
                f" SELECT {columns} FROM bench_closed ORDER BY last_seen"
            )
            cursor.execute("DROP TABLE bench_closed")
            for statement in self._indexes:
                cursor.execute(statement)
        Schedule.objects.bulk_create(_schedules(until))
        with self._connection.cursor() as cursor:
            if self._postgresql:  # as autovacuum does; nobody does it in SQLite
                cursor.execute("VACUUM ANALYZE")

    def _drop_indexes(self, cursor: Any) -> None:
        """Of the closed table: made again at the end, much faster than row by row."""
        if self._postgresql:
            cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s",
                           ["probes_closedsocket"])  # fmt: skip
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"
                           " AND tbl_name = 'probes_closedsocket'")  # fmt: skip
        for name, statement in cursor.fetchall():
            self._indexes.append(statement.replace(" ON ONLY ", " ON "))
            cursor.execute(f"DROP INDEX {name}")

    def _add(self, kind: str, row: tuple[Any, ...]) -> None:
        rows = self._rows[kind]
        rows.append(row)
        if len(rows) >= self.BATCH:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        rows, self._rows[kind] = self._rows[kind], []
        if not rows:
            return
        snapshot_columns = tuple(
            field.attname for field in Snapshot._meta.concrete_fields if field.attname != "id"
        )
        table, columns, types = {
            "closed": ("bench_closed", (*SOCKET_COLUMNS, "last_seen"),
                       (*SOCKET_TYPES, TIMESTAMPTZ)),
            "open": ("probes_opensocket", SOCKET_COLUMNS, SOCKET_TYPES),
            "snapshot": ("probes_snapshot", snapshot_columns, None),
        }[kind]  # fmt: skip
        listed = ", ".join(columns)
        with self._connection.cursor() as cursor:
            if not self._postgresql:
                marks = ", ".join(["%s"] * len(columns))
                cursor.executemany(
                    f"INSERT INTO {table} ({listed}) VALUES ({marks})",
                    [tuple(self._stored(value) for value in row) for row in rows],
                )
                return
            form = " (FORMAT BINARY)" if types else ""
            with cursor.copy(f"COPY {table} ({listed}) FROM STDIN{form}") as copy:
                if types:
                    copy.set_types(types)
                for row in rows:
                    copy.write_row(row)

    def _stored(self, value: Any) -> Any:
        if isinstance(value, dt.datetime):
            return self._connection.ops.adapt_datetimefield_value(value)
        return value


def _schedules(until: dt.datetime) -> Iterator[Schedule]:
    """One a host, pointing at its newest snapshot."""
    newest: dict[int, int] = {}
    recent = Snapshot.objects.filter(taken_at__gte=until - dt.timedelta(minutes=10))
    for host_id, pk in recent.order_by("taken_at").values_list("host_id", "pk"):
        newest[host_id] = pk
    for host_id, pk in newest.items():
        yield Schedule(
            host_id=host_id,
            next_probe_at=until + dt.timedelta(days=365),
            latest_id=pk,
            latest_whole_id=pk,
        )
