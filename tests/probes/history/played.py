"""Texts as hosts print them, observations of them, and what history says was there."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hosts.models import Host
from probes import parsers
from probes.history import packing
from probes.history.tally import Counts
from probes.models import ClosedSocket, OpenSocket, Snapshot
from probes.observation import Code, Failure, Observation, Privilege
from probes.parsers.records import Socket

START = dt.datetime(2026, 3, 28, 23, 58, tzinfo=dt.UTC)

HEADER = (
    "Active Internet connections (servers and established)\n"
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State       "
    "PID/Program name\n"
)

COLUMNS = (
    "protocol", "state", "local_ip", "local_port", "remote_ip", "remote_port", "pid", "program",
    "local_zone", "remote_zone", "flags",
)  # fmt: skip


def line(
    local: str = "10.0.0.5:22",
    foreign: str = "10.0.0.9:51000",
    state: str = "ESTABLISHED",
    holder: str = "811/sshd",
    *,
    protocol: str = "tcp",
    queues: tuple[int, int] = (0, 0),
) -> str:
    """One row of net-tools."""
    columns = f"{protocol:<5} {queues[0]:>6} {queues[1]:>6} {local:<23} {foreign:<23}"
    return f"{columns} {state:<11} {holder}"


LISTENER = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")


def table(*lines: str) -> str:
    """A whole output of net-tools with these rows."""
    return HEADER + "".join(f"{one}\n" for one in lines)


def ss_table(*rows: Sequence[str]) -> str:
    """A whole output of ss, its columns as wide as their widest cell."""
    header = ("Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port")
    cells = [(*header, "Process"), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(6)]
    return "".join("  ".join([*map(str.ljust, row[:6], widths), *row[6:]]) + "\n" for row in cells)


def at(minute: float) -> dt.datetime:
    """Minutes after START, which is two minutes before midnight."""
    return START + dt.timedelta(minutes=minute)


def observed(minute: float, text: str, **fields: Any) -> Observation:
    """A whole probe at that minute."""
    base = Observation(
        taken_at=at(minute),
        duration_s=0.25,
        tool="netstat",
        command="netstat -antup",
        privilege=Privilege.ROOT,
        text=text,
        raw=text.encode("utf-8", "surrogatepass"),
    )
    return replace(base, **fields)


def failed(minute: float, code: Code = Code.UNREACHABLE, **fields: Any) -> Observation:
    """A probe that failed at that minute."""
    return Observation(
        taken_at=at(minute), duration_s=3.0, failure=Failure(code, "said so"), **fields
    )


def rows_of(text: str) -> Counter[Socket]:
    """What the parser reads in a text, queues left out."""
    return Counter(without_queues(parsers.parse_sockets(text).sockets))


def without_queues(sockets: Iterable[Socket]) -> list[Socket]:
    """The identities."""
    return [socket._replace(recv_queue=None, send_queue=None) for socket in sockets]


def open_rows(host: Host, using: str) -> Counter[Socket]:
    """What the open table holds, queues left out."""
    return _counted(OpenSocket.objects.using(using).filter(host_id=host.pk))


def rows_at(host: Host, when: dt.datetime, using: str) -> Counter[Socket]:
    """What history says was there at a whole snapshot."""
    return _counted(
        OpenSocket.objects.using(using).filter(host_id=host.pk, first_seen__lte=when)
    ) + _counted(
        ClosedSocket.objects.using(using).filter(
            host_id=host.pk, first_seen__lte=when, last_seen__gte=when
        )
    )


def queues(host: Host, using: str) -> Counter[tuple[Socket, int, int | None, int | None]]:
    """The open table with the sums of its queues."""
    rows = OpenSocket.objects.using(using).filter(host_id=host.pk)
    return Counter(
        (packing.unpack(**_columns(row)), row["copies"], row["recv_queue"], row["send_queue"])
        for row in rows.values(*COLUMNS, "copies", "recv_queue", "send_queue")
    )


def counts_of(snapshot: Snapshot) -> Counts:
    """The counts a snapshot carries; headers and blanks are not stored."""
    return Counts(
        sockets=snapshot.sockets,
        listeners=snapshot.listeners,
        without_pid=snapshot.without_pid,
        by_state=snapshot.by_state,
        by_protocol=snapshot.by_protocol,
        rejected=snapshot.rejected,
        lines=snapshot.lines,
    )


def everything(host: Host, using: str) -> list[Any]:
    """All that is stored of a host's history, to compare before with after."""
    return [
        sorted(model.objects.using(using).filter(host_id=host.pk).values_list(), key=repr)
        for model in (OpenSocket, ClosedSocket, Snapshot)
    ]


def _counted(rows: Any) -> Counter[Socket]:
    counted: Counter[Socket] = Counter()
    for row in rows.values(*COLUMNS, "copies"):
        counted[packing.unpack(**_columns(row))] += row["copies"]
    return counted


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS}
