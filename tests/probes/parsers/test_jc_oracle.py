"""A second opinion: whatever jc reads, ours reads the same, or better for a reason given here.

jc reads a table as a whole and may lose all of it to one line, so lines that stand for themselves
are given to it one at a time, under the headings of their table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jc
import pytest

from bench.netstat_text import Tool, generate
from probes import parsers
from probes.parsers import ParseError
from probes.parsers.encoding import decode
from probes.parsers.records import Tables
from tests.probes.parsers import jc_words as words
from tests.probes.parsers.jc_differences import DIFFERENCES, Compared

FOLDER = Path(__file__).parents[2] / "fixtures"
HEADING = re.compile(r"Active |Proto |Netid ")


@dataclass(frozen=True, slots=True)
class Lines:
    """Tables whose lines stand for themselves: how to find them, and what jc makes of one."""

    name: str
    pattern: str
    parser: str
    row: re.Pattern[str]
    theirs: Callable[[dict[str, Any]], dict[str, Any]]
    of_jc: Callable[[dict[str, Any]], bool]
    ours: Callable[[Tables], list[Any]]


@dataclass(frozen=True, slots=True)
class Whole:
    """Tables that are compared as a whole."""

    name: str
    cases: tuple[str, ...]
    parser: str
    theirs: Callable[[dict[str, Any]], dict[str, Any] | list[dict[str, Any]]]
    ours: Callable[[Tables], list[Any]]
    of_jc: Callable[[dict[str, Any]], bool] = lambda row: True
    part: str | None = None
    """Of a text of /proc/net: the file."""


LINES = (
    Lines(
        "sockets of netstat", "linux/netstat--*", "netstat",
        re.compile(r"(?:tcp|udp|udpl|raw)6? +[0-9]"), words.netstat_socket,
        lambda row: row["kind"] == "network", lambda tables: tables.sockets,
    ),
    Lines(
        "sockets of busybox", "linux/busybox--*", "netstat",
        re.compile(r"(?:tcp|udp|udpl|raw)6? +[0-9]"), words.netstat_socket,
        lambda row: row["kind"] == "network", lambda tables: tables.sockets,
    ),
    Lines(
        "UNIX sockets of netstat", "linux/*--*", "netstat", re.compile(r"unix +[0-9]"),
        words.netstat_unix, lambda row: row["kind"] == "socket", lambda tables: tables.unix,
    ),
    Lines(
        "sockets of ss", "linux/ss--*", "ss", re.compile(r"(?:tcp|udp|raw) +[A-Z]"),
        words.ss_socket, lambda row: True, lambda tables: tables.sockets,
    ),
    Lines(
        "UNIX sockets of ss", "linux/ss--*", "ss", re.compile(r"u_(?:str|dgr|seq) +[A-Z]"),
        words.ss_unix, lambda row: True, lambda tables: tables.unix,
    ),
)  # fmt: skip


def _part(text: str, name: str | None) -> str:
    """One file of a text of /proc/net, less its heading; all of any other text."""
    if name is None:
        return text
    return text.partition(f"==> /proc/net/{name} <==\n")[2].partition("==> ")[0]


def _of_family(family: str) -> Callable[[Tables], list[Any]]:
    return lambda tables: [row for row in tables.routes if row.family == family]


def _sockets(*protocols: str) -> Callable[[Tables], list[Any]]:
    return lambda tables: [row for row in tables.sockets if row.protocol in protocols]


PROC = ("linux/proc--captured",)
WHOLE = (
    Whole(
        "routes of netstat",
        ("linux/netstat--captured_routes", "linux/netstat--captured_routes_extended",
         "linux/netstat--captured_routes_names"),
        "netstat", words.netstat_route, _of_family("inet"), lambda row: row["kind"] == "route",
    ),
    Whole("routes of route", ("linux/route--captured",), "route", words.netstat_route,
          _of_family("inet")),
    Whole("IPv6 routes of route",
          ("linux/route--captured_ipv6", "linux/netstat--captured_routes_ipv6",
           "linux/busybox--captured_routes_ipv6"),
          "route", words.netstat_route, _of_family("inet6")),
    Whole("routes of ip", ("linux/ip--captured_routes",), "ip_route", words.ip_route,
          lambda tables: tables.routes),
    Whole("interfaces of netstat", ("linux/netstat--captured_interfaces",), "netstat",
          words.netstat_interface, lambda tables: tables.interfaces),
    Whole("interfaces of ifconfig",
          ("linux/ifconfig--captured", "linux/busybox--captured_ifconfig",
           "linux/netstat--captured_interfaces_extended"),
          "ifconfig", words.ifconfig, lambda tables: tables.interfaces),
    Whole("sockets of a BSD",
          ("macos/netstat--sockets_and_all_else", "macos/netstat--names",
           "macos/netstat--verbose_with_pid", "freebsd/netstat--retransmits",
           "freebsd/netstat--buffers_and_timers", "netbsd/netstat--sockets",
           "openbsd/netstat--sockets"),
          "netstat", words.bsd_socket, lambda tables: tables.sockets,
          lambda row: row["kind"] == "network"),
    Whole("UNIX sockets of a BSD", ("macos/netstat--sockets_and_all_else",), "netstat",
          words.bsd_unix, lambda tables: tables.unix, lambda row: row["kind"] == "socket"),
    Whole("routes of a BSD",
          ("macos/netstat--routes", "macos/netstat--routes_long", "freebsd/netstat--routes",
           "netbsd/netstat--routes", "openbsd/netstat--routes"),
          "netstat", words.netstat_route, lambda tables: tables.routes),
    Whole("sockets of Windows",
          ("windows/netstat--ano_english", "windows/netstat--anob_english",
           "windows/netstat--anoq_english", "windows/netstat--names"),
          "netstat", words.windows_socket, lambda tables: tables.sockets),
    Whole("routes of Windows", ("windows/netstat--routes_english",), "route_print",
          words.route_print, lambda tables: [row for row in tables.routes if not row.persistent]),
    Whole("/proc/net/tcp", PROC, "proc_net_tcp", words.proc_socket, _sockets("tcp"), part="tcp"),
    Whole("/proc/net/tcp6", PROC, "proc_net_tcp", words.proc_socket, _sockets("tcp6"),
          part="tcp6"),
    Whole("/proc/net/unix", PROC, "proc_net_unix", words.proc_unix, lambda tables: tables.unix,
          part="unix"),
    Whole("/proc/net/route", PROC, "proc_net_route", words.proc_route, _of_family("inet"),
          part="route"),
    Whole("/proc/net/ipv6_route", PROC, "proc_net_ipv6_route", words.proc_ipv6_route,
          _of_family("inet6"), part="ipv6_route"),
    Whole("/proc/net/dev", PROC, "proc_net_dev", words.proc_dev,
          lambda tables: tables.interfaces, part="dev"),
    Whole("/proc/net/igmp", PROC, "proc_net_igmp", words.proc_igmp,
          lambda tables: [row for row in tables.multicast if row.family == "inet"], part="igmp"),
    Whole("/proc/net/igmp6", PROC, "proc_net_igmp6", words.proc_igmp6,
          lambda tables: [row for row in tables.multicast if row.family == "inet6"],
          part="igmp6"),
)  # fmt: skip


@dataclass(slots=True)
class Result:
    """What came of one kind of table in all fixtures."""

    same: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    lost_by_jc: list[str] = field(default_factory=list)
    """Lines for which jc raises or gives no row, and ours gives one."""
    unexplained: list[Compared] = field(default_factory=list)

    def hold(self, theirs: dict[str, Any], row: Any, line: str) -> None:
        """Compare a row, field by field."""
        known = row._asdict()
        for name, value in theirs.items():
            ours = set(known[name]) if isinstance(value, set) else known[name]
            one = Compared(name, value, ours, line, row, theirs)
            if ours == value:
                self.same += 1
                continue
            why = next((key for key, each in DIFFERENCES.items() if each.holds(one)), None)
            if why is None:
                self.unexplained.append(one)
            else:
                self.explained[why] += 1


def text_of(case: str) -> str:
    return decode((FOLDER / f"{case}.out").read_bytes())


def jc_rows(parser: str, text: str) -> list[dict[str, Any]] | None:
    """The rows jc gives; None where it raises."""
    try:
        rows = jc.parse(parser, text, quiet=True)
    except Exception:  # whatever it is that jc trips over
        return None
    return list(rows) if not isinstance(rows, dict) else [rows]


def tables_of(text: str) -> Tables:
    try:
        return parsers.parse(text).tables
    except ParseError:
        return Tables()


@cache
def compared(name: str) -> Result:
    """All fixtures of one kind of table."""
    result = Result()
    for kind in LINES:
        if kind.name == name:
            for path in sorted(FOLDER.glob(f"{kind.pattern}.out")):
                _line_by_line(kind, decode(path.read_bytes()), result)
    for whole in WHOLE:
        if whole.name == name:
            for case in whole.cases:
                _as_a_whole(whole, text_of(case), result)
    return result


def _line_by_line(kind: Lines, text: str, result: Result) -> None:
    headings = ""
    for line in text.split("\n"):
        if HEADING.match(line):
            headings = f"{headings}{line}\n" if line.startswith("Proto") else f"{line}\n"
        if kind.row.match(line) is None:
            continue
        ours = kind.ours(tables_of(headings + line))
        rows = [row for row in jc_rows(kind.parser, headings + line) or [] if kind.of_jc(row)]
        if len(rows) != 1 and len(ours) == 1:
            result.lost_by_jc.append(line)
        elif len(rows) == len(ours) == 1:
            result.hold(kind.theirs(rows[0]), ours[0], line)
        elif rows:
            result.unexplained.append(Compared("row", rows, ours, line, None, {}))


def _as_a_whole(whole: Whole, text: str, result: Result) -> None:
    rows = jc_rows(whole.parser, _part(text, whole.part)) or []
    theirs: list[dict[str, Any]] = []
    for row in rows:
        if whole.of_jc(row):
            told = whole.theirs(row)
            theirs += told if isinstance(told, list) else [told]
    ours = whole.ours(tables_of(text))
    assert len(theirs) == len(ours) > 0, f"{whole.name}: {len(theirs)} of jc, {len(ours)} of ours"
    for told, row in zip(theirs, ours, strict=True):
        result.hold(told, row, "")


@pytest.mark.parametrize("name", [kind.name for kind in (*LINES, *WHOLE)])
def test_what_jc_reads_ours_reads_the_same_or_better_for_a_reason(name: str) -> None:
    result = compared(name)
    assert not result.unexplained, "\n".join(map(str, result.unexplained[:12]))
    assert result.same > 5


def test_every_reason_to_differ_is_met() -> None:
    met: Counter[str] = Counter()
    for kind in (*LINES, *WHOLE):
        met += compared(kind.name).explained
    assert set(met) == set(DIFFERENCES)


@pytest.mark.parametrize("tool", ["netstat", "ss"])
def test_jc_reads_the_same_from_what_both_can_read(tool: Tool) -> None:
    text = generate(400, 3, tool=tool)
    rows = jc.parse(tool, text, quiet=True)
    ours = parsers.parse(text).sockets
    assert isinstance(rows, list)
    assert len(rows) == len(ours)
    compared = 0
    for row, socket in zip(rows, ours, strict=True):
        if tool == "netstat":
            assert (row["proto"], row["recv_q"], row["send_q"]) == (
                socket.protocol, socket.recv_queue, socket.send_queue,
            )  # fmt: skip
            assert (row["local_address"], row.get("local_port_num")) == socket[3:5]
            assert (row["foreign_address"], row.get("foreign_port_num")) == socket[5:7]
            assert (row["state"] or None) == socket.state
            assert row.get("pid") == socket.pid
            # jc drops what follows a slash within the name and the blank before it.
            if socket.program is not None and "/" not in socket.program:
                assert row["program_name"] == socket.program
        else:
            assert (row["netid"], row["recv_q"], row["send_q"]) == (
                socket.protocol.rstrip("6"), socket.recv_queue, socket.send_queue,
            )  # fmt: skip
            assert row.get("local_port_num") == socket.local_port
            assert row.get("peer_port_num") == socket.foreign_port
        compared += 1
    assert compared == 400
