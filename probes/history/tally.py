"""What a snapshot counts, as sums that can be carried from one probe to the next.

Place in the data's way: made by ``history.diff`` (of a whole text, or signed, of what changed),
added up and stored by ``history.store``. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from probes.history import packing
from probes.parsers.records import Socket

OWNERLESS_STATES = frozenset(
    {"TIME_WAIT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK"}
)
"""States in which the kernel holds a socket that no process needs to own: TIME_WAIT and SYN_RECV
always (tcp_timewait_sock and request_sock have no inode), the others once it was closed
(tcp_close(), net/ipv4/tcp.c, orphans them). Root too sees no PID there."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by kind, and lines by fate; negative where it is a difference."""

    sockets: int = 0
    listeners: int = 0
    without_pid: int = 0
    """Rows without a PID in a state that has an owner."""
    by_state: Mapping[str, int] = field(default_factory=dict)
    by_protocol: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    header_lines: int = 0
    blank_lines: int = 0
    lines: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            sockets=self.sockets + other.sockets,
            listeners=self.listeners + other.listeners,
            without_pid=self.without_pid + other.without_pid,
            by_state=_sum(self.by_state, other.by_state),
            by_protocol=_sum(self.by_protocol, other.by_protocol),
            rejected=self.rejected + other.rejected,
            header_lines=self.header_lines + other.header_lines,
            blank_lines=self.blank_lines + other.blank_lines,
            lines=self.lines + other.lines,
        )

    def __neg__(self) -> Counts:
        return Counts(
            sockets=-self.sockets,
            listeners=-self.listeners,
            without_pid=-self.without_pid,
            by_state={name: -count for name, count in self.by_state.items()},
            by_protocol={name: -count for name, count in self.by_protocol.items()},
            rejected=-self.rejected,
            header_lines=-self.header_lines,
            blank_lines=-self.blank_lines,
            lines=-self.lines,
        )

    @property
    def none_has_pid(self) -> bool:
        """Whether every row in a state that has an owner lacks its PID."""
        ownerless = sum(self.by_state.get(state, 0) for state in OWNERLESS_STATES)
        return self.without_pid == self.sockets - ownerless

    @property
    def consistent(self) -> bool:
        """False where a sum of differences went below nothing: something was missed."""
        return min(
            self.sockets, self.listeners, self.without_pid, self.rejected, self.lines,
            *self.by_state.values(), *self.by_protocol.values(),
        ) >= 0  # fmt: skip


def count(
    sockets: Iterable[Socket], *, rejected: int, header_lines: int, blank_lines: int
) -> Counts:
    """Counts of parsed rows and of the lines beside them; every row was one line."""
    kinds = Counter([(s[0], s[7], s[6] is None, s[8] is None) for s in sockets])
    by_state: Counter[str] = Counter()
    by_protocol: Counter[str] = Counter()
    total = listeners = without_pid = 0
    for (protocol, state, no_foreign_port, no_pid), rows in kinds.items():
        total += rows
        by_protocol[protocol] += rows
        if state is not None:
            by_state[state] += rows
        if state == "LISTEN" or (no_foreign_port and protocol in packing.CONNECTIONLESS):
            listeners += rows
        if no_pid and state not in OWNERLESS_STATES:
            without_pid += rows
    return Counts(
        sockets=total,
        listeners=listeners,
        without_pid=without_pid,
        by_state=by_state,
        by_protocol=by_protocol,
        rejected=rejected,
        header_lines=header_lines,
        blank_lines=blank_lines,
        lines=total + rejected + header_lines + blank_lines,
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Sum of both, without the names that come to nothing."""
    total = dict(one)
    for name, number in other.items():
        total[name] = total.get(name, 0) + number
    return {name: number for name, number in total.items() if number}
