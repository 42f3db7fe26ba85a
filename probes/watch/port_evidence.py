"""What shows that a port changed: its holder before and after, and who was connected to it.

Place in the data's way: made for ``probes.watch.port_watch`` and kept in changes and alerts. Reads
sockets only where an alert is opened, and then once for all ports of a snapshot that went.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from probes import payloads
from probes.history import packing
from probes.history.queries import sockets
from probes.history.store import Stored
from probes.models import ClosedSocket, Direction, Interval, OpenSocket
from probes.watch import lifecycle
from probes.watch.ports import Event, Holding, Key

MOST_TOP: Final = 5
MOST_ROWS: Final = 10
MOST_HELD: Final = 20
"""Addresses, programs and PIDs of one holder that a change keeps."""
MOST_READ: Final = 20_000
"""Sockets that are counted for one snapshot."""

_ARRIVED: Final = (Direction.IN, Direction.LOCAL)


def detail(stored: Stored, event: Event) -> dict[str, Any]:
    """The facts of a transition: codes and values, no words."""
    now = event.after or event.before or Holding()
    return {
        "event": event.kind.value,
        "protocol": event.key.protocol,
        "port": event.key.port,
        "range": event.range.value,
        "addresses": list(now.addresses[:MOST_HELD]),
        "programs": list(now.programs[:MOST_HELD]),
        "before": _held(event.before) | {"at": payloads.time(stored.before_at)},
        "after": _held(event.after) | {"at": payloads.time(stored.snapshot.taken_at)},
    }


def _held(holding: Holding | None) -> dict[str, Any]:
    held = holding or Holding()
    return {
        "addresses": list(held.addresses[:MOST_HELD]),
        "programs": list(held.programs[:MOST_HELD]),
        "pids": list(held.pids[:MOST_HELD]),
    }


class Evidence:
    """The sockets behind the events of one snapshot, read when they are first asked for."""

    def __init__(self, stored: Stored, events: Sequence[Event]) -> None:
        self._stored = stored
        self._went = {event.key for event in events if event.after is None}
        self._held = {event.key for event in events if event.after is not None}
        self._rows: dict[Key, list[Interval]] | None = None

    def of(self, event: Event) -> lifecycle.Evidence:
        """The listener's rows, those of its clients where it went, and the largest of these."""
        if self._rows is None:
            self._rows = self._read()
        rows = self._rows.get(event.key, [])
        clients = [row for row in rows if row.direction in _ARRIVED]
        listening = [row for row in rows if row.direction == Direction.LISTEN]
        ips: Counter[str] = Counter()
        programs: Counter[str] = Counter()
        for row in clients:
            ips[packing.address(bytes(row.remote_ip), row.remote_zone)] += row.copies
            if row.program:
                programs[row.program] += row.copies
        chosen = [*listening[:MOST_ROWS], *clients[: 2 * MOST_ROWS - len(listening[:MOST_ROWS])]]
        return lifecycle.Evidence(
            rows=[payloads.connection(_row(each)) for each in chosen],
            facts={
                "clients": sum(ips.values()),
                "top_ips": [list(each) for each in ips.most_common(MOST_TOP)],
                "top_programs": [list(each) for each in programs.most_common(MOST_TOP)],
            },
        )

    def _read(self) -> dict[Key, list[Interval]]:
        """Of ports that went: what closed just now, and clients that are still connected. Of the
        others: their listeners."""
        stored, found = self._stored, defaultdict[Key, list[Interval]](list)
        if self._held:
            listening = OpenSocket.objects.using(stored.using).filter(
                host_id=stored.host_id,
                direction=Direction.LISTEN,
                local_port__in={key.port for key in self._held},
            )
            _gather(found, listening.order_by("local_port", "key"), self._held)
        if self._went:
            ports = {key.port for key in self._went}
            if stored.before_at is not None:
                closed = ClosedSocket.objects.using(stored.using).filter(
                    host_id=stored.host_id,
                    last_seen=stored.before_at,
                    local_port__in=ports,
                    direction__in=(Direction.LISTEN, *_ARRIVED),
                )
                _gather(found, closed.order_by("local_port", "key"), self._went)
            still = OpenSocket.objects.using(stored.using).filter(
                host_id=stored.host_id, local_port__in=ports, direction__in=_ARRIVED
            )
            _gather(found, still.order_by("local_port", "key"), self._went)
        return found


def _gather(found: dict[Key, list[Interval]], rows: Any, keys: Iterable[Key]) -> None:
    wanted = set(keys)
    for row in rows[:MOST_READ]:
        base = packing.base(packing.PROTOCOLS[row.protocol])
        key = Key("tcp" if base == "mptcp" else base, row.local_port)
        if key in wanted:
            found[key].append(row)


def _row(of: Interval) -> sockets.SocketRow:
    """An interval as the API shows it."""
    extra = {"recv_queue": None, "send_queue": None, "last_seen": None}
    values = (getattr(of, name, extra.get(name)) for name in sockets.COLUMNS)
    return sockets.socket_row(tuple(values))
