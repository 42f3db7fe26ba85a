"""What it costs to store snapshots, against keeping every socket of every snapshot as a row.

``python -m bench.storing [--sockets 100000] [--churn 0.2] [--quick]`` prints the tables of
docs/performance.md, from one run: SQLite and a PostgreSQL started for it, each design in a
process and a database of its own, all fed the same texts. The peers parse the same text with the
same parser and insert all of it: by COPY (on SQLite ``executemany``), and by ``bulk_create``.

CPU is user and system time of the client, and of its PostgreSQL backend (/proc/PID/stat). The
first snapshot of a host is a baseline and counted apart. Bytes are those of tables and indexes,
and of the SQLite file, over the number of sockets seen in all snapshots; the last text and the
snapshot's own row are part of netadmin's. Autovacuum would come once a minute, as the probes do,
but these rounds take no minute: a plain VACUUM, not counted, follows each of them instead.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.netstat_text import churn, generate

INTERVALS, COPY, BULK_CREATE = "netadmin", "row per socket, COPY", "row per socket, bulk_create"
STARTED = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Workload:
    """So many hosts of so many sockets, probed so often."""

    hosts: int
    sockets: int
    probes: int
    churn: float

    @property
    def title(self) -> str:
        """For people."""
        hosts = "one host" if self.hosts == 1 else f"{self.hosts} hosts"
        return f"{hosts} of {self.sockets:,} sockets, {self.churn:.0%} churn"

    def write(self, folder: Path) -> None:
        """The texts of all probes, one file each, from the first to the last."""
        texts = [generate(self.sockets, host) for host in range(self.hosts)]
        for probe in range(self.probes + 1):
            for host, text in enumerate(texts):
                (folder / f"{probe}-{host}").write_text(text)
                texts[host] = churn(text, self.churn, 1000 * probe + host)


@dataclass(frozen=True)
class Cost:
    """Of one design under one workload; per probe, without the first of each host."""

    client_ms: float
    backend_ms: float
    write_ms: float
    """Client's and backend's part without reading and comparing the text."""
    first_s: float
    """Wall time of the slowest first snapshot, from bytes to commit."""
    slowest_s: float
    """Wall time of the slowest other one."""
    bytes_per_sample: float
    compact_bytes_per_sample: float
    peak_mb: float

    @property
    def total_ms(self) -> float:
        """CPU from text to commit."""
        return self.client_ms + self.backend_ms


# --- one design, in a process of its own --------------------------------------------------------
def run(design: str, workload: Workload, folder: Path) -> Cost:
    """Play the texts in ``folder`` into the empty database of the environment's settings."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from hosts.models import Host

    call_command("migrate", verbosity=0)
    meter = Meter()
    save = {INTERVALS: _intervals, COPY: _rows_by_copy, BULK_CREATE: _rows_by_bulk_create}[design](
        meter
    )
    hosts = [Host.objects.create(name=f"h{n}", address="192.0.2.1") for n in range(workload.hosts)]
    first_s = slowest_s = 0.0
    for probe in range(workload.probes + 1):
        if probe == 1:
            meter.reset()
        for number, host in enumerate(hosts):
            raw = (folder / f"{probe}-{number}").read_bytes()
            taken_at = STARTED + dt.timedelta(minutes=probe)
            started = time.monotonic()
            with meter.measured("total"):
                save(host, raw, taken_at)
            wall_s = time.monotonic() - started
            if probe == 0:
                first_s = max(first_s, wall_s)
            else:
                slowest_s = max(slowest_s, wall_s)
        if connection.vendor == "postgresql":
            with meter.not_counted(), connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    probes = workload.hosts * workload.probes
    total, reading, backend_s = meter.client_s["total"], meter.client_s["reading"], meter.backend_s
    samples = workload.hosts * workload.sockets * (workload.probes + 1)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            size = _postgresql_bytes(cursor)
            cursor.execute("VACUUM FULL")
            compact = _postgresql_bytes(cursor)
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            name = Path(connection.settings_dict["NAME"])
            size = name.stat().st_size
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            compact = name.stat().st_size
    return Cost(
        client_ms=total / probes * 1000,
        backend_ms=backend_s / probes * 1000,
        write_ms=(total - reading + backend_s) / probes * 1000,
        first_s=first_s,
        slowest_s=slowest_s,
        bytes_per_sample=size / samples,
        compact_bytes_per_sample=compact / samples,
        peak_mb=peak_mb,
    )


class Meter:
    """CPU seconds by phase."""

    def __init__(self) -> None:
        from django.db import connection

        self._backend_pid: int | None = None
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._backend_pid = cursor.fetchone()[0]
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.client_s: dict[str, float] = {"total": 0.0, "reading": 0.0}
        self._backend_before_s = self._backend_s()

    @property
    def backend_s(self) -> float:
        """Of the PostgreSQL backend since the reset; 0 on SQLite."""
        return self._backend_s() - self._backend_before_s

    @contextmanager
    def measured(self, phase: str) -> Iterator[None]:
        """The client's time inside counts for ``phase``."""
        before = _cpu_s()
        yield
        self.client_s[phase] += _cpu_s() - before

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """What the backend does inside counts for nothing."""
        before = self._backend_s()
        yield
        self._backend_before_s += self._backend_s() - before

    def _backend_s(self) -> float:
        if self._backend_pid is None:
            return 0.0
        # proc(5): utime and stime are fields 14 and 15, counted after the command's bracket.
        fields = Path(f"/proc/{self._backend_pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


Save = Callable[[Any, bytes, dt.datetime], None]


def _intervals(meter: Meter) -> Save:
    """netadmin itself."""
    from probes import parsers
    from probes.history import store
    from probes.observation import Observation, Privilege

    read = store._read

    def timed_read(*args: Any, **kwargs: Any) -> Any:
        with meter.measured("reading"):
            return read(*args, **kwargs)

    store._read = timed_read

    def save(host: Any, raw: bytes, taken_at: dt.datetime) -> None:
        with meter.measured("reading"):
            text = parsers.decode(raw)
        observation = Observation(
            taken_at, 0.1, "netstat", privilege=Privilege.ROOT, text=text, raw=raw
        )
        snapshot = store.save(host, observation)
        assert snapshot.outcome == "ok", snapshot.detail

    return save


ROW_COLUMNS = (
    "protocol, state, local_ip, local_port, remote_ip, remote_port, pid, program, local_zone,"
    " remote_zone, flags, recv_queue, send_queue"
)

ROW_TYPES = (
    "int2", "int2", "bytea", "int4", "bytea", "int4", "int8", "text", "text", "text", "int2",
    "int8", "int8", "int8",
)  # fmt: skip


def _parsed_rows(raw: bytes) -> tuple[Any, list[tuple[Any, ...]]]:
    """Counts and rows of a whole text, without a key, which no row of a snapshot needs."""
    from probes import parsers
    from probes.history import packing, tally

    parsed = parsers.parse(parsers.decode(raw))
    counts = tally.count(
        parsed.sockets,
        rejected=len(parsed.rejected),
        header_lines=parsed.header_lines,
        blank_lines=parsed.blank_lines,
    )
    rows = [
        (*packing.pack(socket, 0)[1:], socket.recv_queue, socket.send_queue)
        for socket in parsed.sockets
    ]
    return counts, rows


def _snapshot(host: Any, taken_at: dt.datetime, counts: Any) -> int:
    from probes.models import Snapshot

    return Snapshot.objects.create(
        host=host,
        taken_at=taken_at,
        outcome="ok",
        sockets=counts.sockets,
        by_state=dict(counts.by_state),
        by_protocol=dict(counts.by_protocol),
    ).pk


def _make_row_table(*, with_id: bool) -> None:
    from django.db import connection

    postgresql = connection.vendor == "postgresql"
    binary = "bytea" if postgresql else "blob"
    serial = "bigserial PRIMARY KEY" if postgresql else "integer PRIMARY KEY AUTOINCREMENT"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE bench_row ({f'id {serial},' if with_id else ''}"
            " snapshot_id bigint NOT NULL, pid bigint, recv_queue bigint, send_queue bigint,"
            " local_port integer, remote_port integer, protocol smallint NOT NULL,"
            f" state smallint, flags smallint NOT NULL, local_ip {binary} NOT NULL,"
            f" remote_ip {binary} NOT NULL, program text, local_zone text, remote_zone text)"
        )
        cursor.execute("CREATE INDEX bench_row_snapshot ON bench_row (snapshot_id)")
        cursor.execute("CREATE INDEX bench_row_remote ON bench_row (remote_ip, snapshot_id)")


def _rows_by_copy(meter: Meter) -> Save:
    """A row per socket per snapshot, as fast as the engine takes them."""
    from django.db import connection, transaction

    _make_row_table(with_id=False)

    def save(host: Any, raw: bytes, taken_at: dt.datetime) -> None:
        with meter.measured("reading"):
            counts, rows = _parsed_rows(raw)
        with transaction.atomic(), connection.cursor() as cursor:
            snapshot = _snapshot(host, taken_at, counts)
            if connection.vendor == "postgresql":
                with cursor.copy(
                    f"COPY bench_row ({ROW_COLUMNS}, snapshot_id) FROM STDIN (FORMAT BINARY)"
                ) as copy:
                    copy.set_types(ROW_TYPES)
                    for row in rows:
                        copy.write_row((*row, snapshot))
            else:
                marks = ", ".join(["%s"] * 13)
                cursor.executemany(
                    f"INSERT INTO bench_row ({ROW_COLUMNS}, snapshot_id)"
                    f" VALUES ({marks}, {snapshot})",
                    rows,
                )

    return save


def _rows_by_bulk_create(meter: Meter) -> Save:
    """A row per socket per snapshot, as an ORM is usually used."""
    from django.db import models, transaction

    _make_row_table(with_id=True)

    class BenchRow(models.Model):
        id = models.BigAutoField(primary_key=True)
        protocol = models.PositiveSmallIntegerField()
        state = models.PositiveSmallIntegerField(null=True)
        local_ip = models.BinaryField()
        local_port = models.PositiveIntegerField(null=True)
        remote_ip = models.BinaryField()
        remote_port = models.PositiveIntegerField(null=True)
        pid = models.BigIntegerField(null=True)
        program = models.TextField(null=True)
        local_zone = models.TextField(null=True)
        remote_zone = models.TextField(null=True)
        flags = models.PositiveSmallIntegerField()
        recv_queue = models.BigIntegerField(null=True)
        send_queue = models.BigIntegerField(null=True)
        snapshot_id = models.BigIntegerField()

        class Meta:
            app_label = "probes"
            db_table = "bench_row"
            managed = False

    names = [name.strip() for name in ROW_COLUMNS.split(",")]

    def save(host: Any, raw: bytes, taken_at: dt.datetime) -> None:
        with meter.measured("reading"):
            counts, rows = _parsed_rows(raw)
        with transaction.atomic():
            snapshot = _snapshot(host, taken_at, counts)
            BenchRow.objects.bulk_create(
                [
                    BenchRow(snapshot_id=snapshot, **dict(zip(names, row, strict=True)))
                    for row in rows
                ],
                batch_size=2_000,
            )

    return save


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _postgresql_bytes(cursor: Any) -> int:
    cursor.execute(
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind = 'r'"
        " AND (c.relname LIKE 'probes_%%' OR c.relname = 'bench_row')",
        [],
    )
    return int(cursor.fetchone()[0])


# --- the run as a whole -------------------------------------------------------------------------
def measure(
    design: str, engine: str, workload: Workload, texts: Path, database_url: str, folder: Path
) -> Cost:
    """Run one design in a process of its own."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "netadmin.settings",
        "SECRET_KEY": "only-for-this-benchmark",
        "FIELD_ENCRYPTION_KEYS": f"b1:{'A' * 43}=",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
        "DEBUG": "off",
    }
    job = json.dumps([design, *vars(workload).values(), str(texts)])
    done = subprocess.run(
        [sys.executable, "-m", "bench.storing", "--run", job],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    print(f"{engine}: {workload.title}: {design}", file=sys.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main(workloads: list[Workload], designs: dict[str, int]) -> str:
    """The result as Markdown. ``designs``: most probes each gets, since some are slow."""
    from tests.servers import PostgreSQL

    out: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgreSQL(folder / "postgresql") as server:
            for number, workload in enumerate(workloads):
                texts = folder / f"texts-{number}"
                texts.mkdir()
                workload.write(texts)
                for engine in ("SQLite", "PostgreSQL"):
                    costs: dict[str, Cost] = {}
                    for design, most in designs.items():
                        if workload.hosts > 1 and design == BULK_CREATE:
                            continue
                        own = folder / f"{engine}-{number}-{len(costs)}"
                        own.mkdir()
                        url = ""
                        if engine == "PostgreSQL":
                            url = server.create_database(f"bench_{number}_{len(costs)}")
                        shorter = Workload(
                            workload.hosts,
                            workload.sockets,
                            min(workload.probes, most),
                            workload.churn,
                        )
                        costs[design] = measure(design, engine, shorter, texts, url, own)
                    out += _table(engine, workload, costs)
    return "\n".join(out)


def _table(engine: str, workload: Workload, costs: dict[str, Cost]) -> list[str]:
    ours = costs[INTERVALS]
    out = [
        f"**{engine}: {workload.title}**",
        "",
        "| design | CPU ms a probe, text to commit (client + server) | of it writing"
        " | netadmin's share: all, writing | bytes a sample (compact)"
        " | slowest probe, first one (s) | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for design, cost in costs.items():
        share = (
            "" if design == INTERVALS
            else f"{ours.total_ms / cost.total_ms:.2f}, {ours.write_ms / cost.write_ms:.2f}"
        )  # fmt: skip
        out.append(
            f"| {design} | {cost.client_ms:.1f} + {cost.backend_ms:.1f} | {cost.write_ms:.1f}"
            f" | {share} | {cost.bytes_per_sample:.0f} ({cost.compact_bytes_per_sample:.0f})"
            f" | {cost.slowest_s:.2f}, {cost.first_s:.2f} | {cost.peak_mb:.0f} |"
        )
    return [*out, ""]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sockets", type=int, default=100_000, help="of the one large host")
    arguments.add_argument("--churn", type=float, default=0.2, help="of the one large host")
    arguments.add_argument("--quick", action="store_true", help="the large host at --churn alone")
    arguments.add_argument("--run", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        design, *numbers, texts = json.loads(given.run)
        print(json.dumps(vars(run(design, Workload(*numbers), Path(texts)))))
    else:
        chosen = [Workload(1, given.sockets, 6, given.churn)]
        if not given.quick:
            chosen += [
                Workload(1, given.sockets, 6, 0.1),
                Workload(1, given.sockets, 6, 0.01),
                Workload(50, 500, 30, 0.1),
                Workload(50, 500, 30, 0.01),
            ]
        print(main(chosen, {INTERVALS: 30, COPY: 30, BULK_CREATE: 2}))
