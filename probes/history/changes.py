"""Applies what changed to the open and closed sockets of one host.

Place in the data's way: between ``history.diff`` (what changed) and ``history.engines`` (how a
database writes it), inside the transaction of ``history.store``. Knows no text and no snapshot.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from probes.history import engines, packing
from probes.history.diff import Change, Delta, Held, Whole, added
from probes.history.engines import OpenRow
from probes.history.packing import PROTOCOLS
from probes.parsers.records import Socket


@dataclass(slots=True)
class Changes:
    """Differences by key. Each is a net Held: ``copies`` may be negative, as may queues."""

    moved: dict[int, Held] = field(default_factory=dict)
    """Keys whose copies differ: their interval ends, and another begins where copies remain."""
    sockets: dict[int, Socket] = field(default_factory=dict)
    """Rows of the moved keys, where known; unknown only where no copy remains."""
    requeued: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Keys with as many copies and other queues: what to add to them."""

    @property
    def opened(self) -> int:
        """Rows there are now that were not before."""
        return sum(net.copies for net in self.moved.values() if net.copies > 0)

    @property
    def closed(self) -> int:
        """Rows there were before that are not now."""
        return -sum(net.copies for net in self.moved.values() if net.copies < 0)


def of_delta(delta: Delta) -> Changes:
    """Changes against the last text."""
    changes = Changes()
    for change in (*delta.opened, *delta.closed):
        key = packing.key(change.socket)
        net = _net(change)
        # Two identities of one hash are taken for copies of one: no write fails for it.
        known = changes.moved.get(key)
        changes.moved[key] = net if known is None else added(known, net)
        changes.sockets[key] = change.socket
    for change in delta.requeued:
        key = packing.key(change.socket)
        if key not in changes.moved:
            changes.requeued[key] = change.recv_queue, change.send_queue
    return changes


def of_whole(whole: Whole, open_now: dict[int, Held]) -> Changes:
    """Changes against the open sockets themselves."""
    changes = Changes()
    for key, (socket, now) in whole.sockets.items():
        before = open_now.get(key)
        if before is None:
            changes.moved[key] = now
            changes.sockets[key] = socket
        elif before != now:
            net = Held(
                now.copies - before.copies,
                _difference(now.recv_queue, before.recv_queue),
                _difference(now.send_queue, before.send_queue),
            )
            if net.copies:
                changes.moved[key] = net
                changes.sockets[key] = socket
            else:
                changes.requeued[key] = net.recv_queue or 0, net.send_queue or 0
    for key in open_now.keys() - whole.sockets.keys():
        changes.moved[key] = Held(-open_now[key].copies, None, None)
    return changes


def apply(
    using: str,
    host_id: int,
    changes: Changes,
    *,
    last_seen: dt.datetime | None,
    taken_at: dt.datetime,
) -> None:
    """Write ``changes``: intervals that end were last seen at ``last_seen``, the previous whole
    snapshot (None: there was none, nothing is open); those that begin, at ``taken_at``.

    Raises engines.Inconsistent where the open sockets are not what the changes take them for.
    """
    found: dict[int, Held] = {}
    listening: list[tuple[int, int | None]] = []
    deltas = {key: net.copies for key, net in changes.moved.items() if net.copies}
    if last_seen is not None and (deltas or changes.requeued):
        found, listening = engines.move(
            using, host_id, deltas=deltas, requeued=changes.requeued, last_seen=last_seen
        )
    rows: list[tuple[Socket, int, Held]] = []
    for key, net in changes.moved.items():
        before = found.get(key)
        if before is not None:
            rows.append((changes.sockets[key], key, added(before, net)))
        elif net.copies > 0:
            rows.append((changes.sockets[key], key, net))
    if rows:
        engines.insert(using, host_id, _open_rows(rows, listening), first_seen=taken_at)


def _open_rows(
    rows: list[tuple[Socket, int, Held]], left_open: list[tuple[int, int | None]]
) -> list[OpenRow]:
    """Rows for the open table, their direction judged by the listeners left open and their own."""
    listening = {(packing.base(PROTOCOLS[protocol]), port) for protocol, port in left_open}
    listening |= {
        (packing.base(socket.protocol), socket.local_port)
        for socket, _key, _held in rows
        if packing.is_listener(socket)
    }
    return [
        OpenRow(*packing.pack(socket, key), packing.way(socket, listening), *held)
        for socket, key, held in rows
    ]


def _net(change: Change) -> Held:
    socket = change.socket
    return Held(
        change.copies,
        None if socket.recv_queue is None else change.recv_queue,
        None if socket.send_queue is None else change.send_queue,
    )


def _difference(now: int | None, before: int | None) -> int | None:
    return None if now is None else now - (before or 0)
