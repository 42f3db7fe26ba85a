"""The difference of two texts, from the lines that only one of them has."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.netstat_text import churn, generate
from probes import parsers
from probes.history import diff
from probes.history.diff import Delta
from probes.history.tally import Counts
from probes.parsers.records import ParseError, Socket
from tests.probes.history.played import LISTENER, line, rows_of, ss_table, table, without_queues
from tests.probes.history.test_store_exact import SS_TABLES, TABLES

NET_TOOLS = "net-tools"


def applied(before: Counter[Socket], delta: Delta) -> Counter[Socket]:
    """The rows after a difference; subtract() shows what was not there as less than nothing."""
    after = before.copy()
    for change in (*delta.opened, *delta.closed):
        [socket] = without_queues([change.socket])
        after[socket] += change.copies
    return Counter({socket: copies for socket, copies in after.items() if copies})


def check(old: str, new: str, dialect: str) -> Delta | None:
    """Compare, and hold the answer against parsing both from end to end."""
    delta = diff.compare(old, new, dialect)
    if delta is None:
        return None
    assert applied(rows_of(old), delta) == rows_of(new)
    assert all(change.copies > 0 for change in delta.opened)
    assert all(change.copies < 0 for change in delta.closed)
    assert all(change.copies == 0 for change in delta.requeued)
    old_whole, new_whole = parsers.parse(old), parsers.parse(new)
    assert delta.counts == counts(new_whole) + -counts(old_whole)
    identities = [
        without_queues([change.socket])[0]
        for change in (*delta.opened, *delta.closed, *delta.requeued)
    ]
    assert len(set(identities)) == len(identities)
    return delta


def counts(parsed: parsers.Parsed) -> Counts:
    """Counted the slow way."""
    sockets = parsed.sockets
    return Counts(
        sockets=len(sockets),
        listeners=sum(
            s.state == "LISTEN"
            or (s.foreign_port is None and s.protocol.startswith(("udp", "raw")))
            for s in sockets
        ),
        without_pid=sum(
            s.pid is None
            and s.state not in {"TIME_WAIT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "CLOSING",
                                "LAST_ACK"}
            for s in sockets
        ),
        by_state=Counter(s.state for s in sockets if s.state),
        by_protocol=Counter(s.protocol for s in sockets),
        rejected=len(parsed.rejected),
        header_lines=parsed.header_lines,
        blank_lines=parsed.blank_lines,
        lines=parsed.lines,
    )  # fmt: skip


@given(TABLES, TABLES)
@settings(deadline=None)
def test_any_two_tables_of_netstat(old: str, new: str) -> None:
    assert check(old, new, NET_TOOLS) is not None  # short texts are always compared


@given(SS_TABLES, SS_TABLES)
@settings(deadline=None)
def test_any_two_tables_of_ss(old: str, new: str) -> None:
    assert check(old, new, "ss") is not None


@given(st.text(), st.text())
def test_any_two_texts(old: str, new: str) -> None:
    delta = diff.compare(old, new, NET_TOOLS)
    if delta is not None:
        assert delta.counts.lines == len(_lines(new)) - len(_lines(old))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


@pytest.mark.parametrize("tool", ["netstat", "ss"])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.1, 0.3])
def test_a_busy_server(tool: str, fraction: float) -> None:
    old = generate(3_000, 7, tool=tool)  # type: ignore[arg-type]
    new = churn(old, fraction, 8)
    assert check(old, new, NET_TOOLS if tool == "netstat" else "ss") is not None


def test_the_same_text_is_no_difference() -> None:
    text = table(LISTENER, line())
    assert diff.compare(text, text, NET_TOOLS) == Delta()


def test_only_unseen_lines_are_parsed() -> None:
    lines = [line(foreign=f"10.0.1.{n % 250}:{n}") for n in range(1_000, 2_000)]
    delta = check(table(*lines), table(*lines[5:], line(), line("10.0.0.5:23")), NET_TOOLS)
    assert delta is not None
    assert (delta.unseen_lines, len(delta.opened), len(delta.closed)) == (2, 2, 5)


def test_too_much_unseen_is_left_to_a_parse_of_the_whole() -> None:
    old = [line(foreign=f"10.0.1.1:{n}") for n in range(1_000)]
    new = [line(foreign=f"10.0.1.2:{n}") for n in range(1_000)]
    assert check(table(*old), table(*old[:610], *new[:390]), NET_TOOLS) is not None
    assert check(table(*old), table(*old[:590], *new[:410]), NET_TOOLS) is None


def test_order_does_not_matter() -> None:
    rows = [LISTENER, line(), line("10.0.0.5:23")]
    delta = diff.compare(table(*rows), table(*reversed(rows)), NET_TOOLS)
    assert delta == Delta()


def test_other_queues_are_no_other_socket() -> None:
    delta = check(
        table(LISTENER, line(queues=(3, 0))), table(LISTENER, line(queues=(1, 9))), NET_TOOLS
    )
    assert delta is not None
    assert (delta.opened, delta.closed) == ([], [])
    [change] = delta.requeued
    assert (change.copies, change.recv_queue, change.send_queue) == (0, -2, 9)


def test_rows_that_swap_their_queues_are_no_difference() -> None:
    one, other = line(queues=(3, 0)), line(queues=(0, 3))
    delta = check(table(one, other), table(other, one), NET_TOOLS)
    assert delta is not None
    assert [*delta.opened, *delta.closed, *delta.requeued] == []


def test_copies_are_counted() -> None:
    delta = check(table(*[LISTENER] * 2), table(*[LISTENER] * 5), NET_TOOLS)
    assert delta is not None
    assert [change.copies for change in delta.opened] == [3]
    delta = check(table(*[LISTENER] * 5), table(LISTENER), NET_TOOLS)
    assert delta is not None
    assert [change.copies for change in delta.closed] == [-4]


def test_a_longer_address_in_ss_moves_columns_and_no_socket() -> None:
    row = ("tcp", "ESTAB", "0", "0", "10.0.0.5:22", "10.0.0.9:51000", 'users:(("sshd",pid=8,fd=4))')
    long = ("tcp", "ESTAB", "0", "0", "[2001:db8:1234:5678:9abc:def0:1234:5678]:22", "[::9]:5")
    delta = check(ss_table(row), ss_table(row, long), "ss")
    assert delta is not None
    assert (len(delta.opened), len(delta.closed)) == (1, 0)
    assert delta.unseen_lines == 1


def test_blanks_in_names_of_programs_count() -> None:
    def named(name: str) -> str:
        users = f'users:(("{name}",pid=8,fd=4))'
        return ss_table(("tcp", "ESTAB", "0", "0", "10.0.0.5:22", "10.0.0.9:51000", users))

    delta = check(named("a b"), named("a  b"), "ss")
    assert delta is not None
    assert (len(delta.opened), len(delta.closed)) == (1, 1)


def test_a_text_in_no_dialect_is_refused() -> None:
    with pytest.raises(ParseError):
        diff.whole("rubbish\n")


def test_a_whole_text_sums_its_copies() -> None:
    whole = diff.whole(table(LISTENER, line(queues=(1, 2)), line(queues=(3, 2**63 - 1))))
    held = sorted(held for _socket, held in whole.sockets.values())
    assert held == [(1, 0, 0), (2, 4, 2 + 2**40)]
    assert whole.counts.sockets == 3


@pytest.mark.parametrize(
    "text",
    [
        "netstat: no support for `AF INET (tcp)' on this system.\n",
        "Active Internet connections (servers and established)\n",
        "(Not all processes could be identified, non-owned process info\n",
    ],
)
def test_a_complaint_or_a_bare_title_is_no_empty_table(text: str) -> None:
    with pytest.raises(ParseError):
        diff.whole(text)
