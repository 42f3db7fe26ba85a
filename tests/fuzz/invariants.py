"""What holds of any bytes that come from a host, whatever they are.

The one place that says so: the fuzz target and the property tests both ask here. An AssertionError
names what does not hold.
"""

from __future__ import annotations

import ipaddress
import json
import math
import types
import typing
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from probes import parsers
from probes.history import packing
from probes.parsers import Parsed, ParseError
from probes.parsers.document import document
from probes.parsers.records import (
    INTERFACE_COUNTERS,
    TCP_STATES,
    Details,
    Flag,
    Interface,
    Membership,
    Route,
    Socket,
    Tables,
    Translation,
    UnixSocket,
)

MAX_NUMBER = 2**63 - 1
"""What a bigint holds."""
MAX_COUNTER = 2**64 - 1
"""What the kernel counts to: counters are kept as text and as JSON."""
MAX_TEXT = 255
MAX_REJECTED = 500
UNIX_STATES = {*TCP_STATES, "CONNECTED", "CONNECTING", "DISCONNECTING", "FREE"}
UNIX_TYPES = {"stream", "dgram", "seqpacket", "raw", "rdm"}
_COUNTERS = {f"Interface.{name}" for name in INTERFACE_COUNTERS}
ROUTE_KINDS = {
    "unicast", "local", "broadcast", "anycast", "multicast", "unreachable", "blackhole",
    "prohibit", "throw",
}  # fmt: skip
TABLES = {
    "sockets", "unix", "routes", "interfaces", "protocols", "multicast", "masquerade", "processes",
    "kernel", "rdma",
}  # fmt: skip
DIALECTS = {
    "net-tools", "busybox", "ss", "iproute2", "proc", "conntrack", "windows", "macos", "freebsd",
    "openbsd", "netbsd", "bsd",
}  # fmt: skip


def check(raw: bytes) -> Parsed | None:
    """Decode and parse ``raw`` and check all of it; None where it is refused as a whole."""
    text = parsers.decode(raw)
    _storable(text.replace("\t", "").replace("\n", ""), limit=None)
    return check_text(text)


def check_text(text: str, *, wide: bool = False) -> Parsed | None:
    """The same for text that is decoded."""
    check_history(text, wide=wide)
    try:
        parsed = parsers.parse(text, wide=wide)
    except ParseError:
        return None
    check_parsed(parsed, text)
    assert parsers.parse(text, wide=wide) == parsed, "the same text gave another result"
    return parsed


def check_parsed(parsed: Parsed, text: str) -> None:
    """Every line is accounted for and every value is of its type, within bounds and printable."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    assert parsed.lines == len(lines)
    counted = parsed.row_lines + parsed.header_lines + parsed.blank_lines + len(parsed.rejected)
    assert counted == parsed.lines, f"{counted} lines are accounted for, not {parsed.lines}"
    assert min(parsed.row_lines, parsed.header_lines, parsed.blank_lines) >= 0
    before = 0
    for number, shown, reason in parsed.rejected:
        assert number > before, "rejected lines are not in the text's order"
        assert lines[number - 1].strip(), "a blank line is rejected"
        _storable(shown, limit=MAX_REJECTED)
        _storable(reason, limit=MAX_TEXT)
        assert reason
        before = number
    dialects = parsed.dialect.split(" + ")
    assert set(dialects) <= DIALECTS, parsed.dialect
    assert len(dialects) == len(set(dialects)), parsed.dialect
    assert parsed.found
    assert set(parsed.found) <= TABLES
    assert len(set(parsed.found)) == len(parsed.found)
    _check_tables(parsed.tables)
    shown_as = document(parsed)
    assert json.loads(json.dumps(shown_as, allow_nan=False)) == shown_as


def check_history(text: str, *, wide: bool) -> None:
    """What history reads of a text: the same whether its lines come at once or alone."""
    try:
        whole = parsers.parse_sockets(text, wide=wide)
    except ParseError:
        return
    counted = whole.row_lines + whole.header_lines + whole.blank_lines + len(whole.rejected)
    assert counted == whole.lines
    for row in whole.sockets:
        _check_socket(row)
    if whole.dialect not in parsers.LINEWISE:
        return
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    alone = parsers.parse_lines(lines, whole.dialect, wide=wide)
    assert alone.sockets == whole.sockets
    assert (alone.header_lines, alone.blank_lines) == (whole.header_lines, whole.blank_lines)
    assert [reason for _, reason in alone.rejected] == [line.reason for line in whole.rejected]
    assert [line for line, _ in alone.rejected] == [lines[row.line - 1] for row in whole.rejected]
    turned = parsers.parse_lines(lines[::-1], whole.dialect, wide=wide)
    assert Counter(turned.sockets) == Counter(alone.sockets), "the order of lines matters"


def _check_tables(tables: Tables) -> None:
    for row in tables.sockets:
        _check_socket(row)
    assert all(0 <= index < len(tables.sockets) for index in tables.details)
    for details in tables.details.values():
        _check_details(details)
    for unix in tables.unix:
        _typed(unix, UnixSocket)
        assert unix.state is None or unix.state in UNIX_STATES, unix
        assert unix.type is None or unix.type in UNIX_TYPES, unix
    for route in tables.routes:
        _check_route(route)
    for interface in tables.interfaces:
        _check_interface(interface)
    for membership in tables.multicast:
        _check_membership(membership)
    for translation in tables.masquerade:
        _check_translation(translation)
    for protocol, counters in tables.protocols.items():
        _storable(protocol, limit=MAX_TEXT)
        for name, value in counters.items():
            _storable(name, limit=MAX_TEXT)
            assert name
            assert type(value) is int
            assert -MAX_NUMBER - 1 <= value <= MAX_COUNTER
    for pid, name in tables.processes.items():
        assert type(pid) is int
        assert 0 <= pid <= MAX_NUMBER
        _storable(name, limit=MAX_TEXT)
    assert len(set(tables.remarks)) == len(tables.remarks)
    for remark in tables.remarks:
        _storable(remark, limit=MAX_REJECTED)


def _check_socket(row: Socket) -> None:
    _typed(row, Socket)
    assert row.protocol in packing.PROTOCOL_NUMBERS, row
    assert row.state is None or row.state in TCP_STATES, row
    for port in (row.local_port, row.foreign_port):
        assert port is None or port <= 65535, row
    assert row.pid is None or row.pid < 2**32, row
    assert row.program != "", row
    assert row.flags < 256, row
    for ip, unknown in (
        (row.local_ip, row.flags & (Flag.LOCAL_NAME | Flag.LOCAL_TRUNCATED)),
        (row.foreign_ip, row.flags & (Flag.FOREIGN_NAME | Flag.FOREIGN_TRUNCATED)),
    ):
        assert ip, row
        if not unknown:
            _check_address(ip)
    packed = packing.pack(row, packing.key(row))
    assert type(packed.key) is int
    back = packing.unpack(
        **{name: value for name, value in packed._asdict().items() if name != "key"},
        recv_queue=row.recv_queue,
        send_queue=row.send_queue,
    )
    assert back == row, f"stored as {back}"


def _check_details(details: Details) -> None:
    _typed(details, Details)
    timer = details.timer
    if timer is not None and timer.expires_s is not None:
        assert math.isfinite(timer.expires_s), timer
    for name, value in details.more:
        _storable(name, limit=MAX_TEXT)
        _storable(value, limit=MAX_TEXT)


def _check_route(route: Route) -> None:
    _typed(route, Route)
    assert route.family in ("inet", "inet6"), route
    assert route.kind in ROUTE_KINDS, route
    assert set(route.marks) <= {
        "destination_name", "destination_truncated", "gateway_name", "gateway_truncated",
        "interface_truncated",
    }, route  # fmt: skip
    bits = 32 if route.family == "inet" else 128
    if not {"destination_name", "destination_truncated"} & set(route.marks):
        text, slash, prefix = route.destination.rpartition("/")
        assert slash, route
        assert 0 <= int(prefix) <= bits, route
        bare, _, zone = text.partition("%")
        network = ipaddress.ip_network(f"{bare}/{prefix}")  # raises where host bits are set
        assert network.max_prefixlen == bits, route
        assert str(network.network_address) == bare, f"{route} is not canonical"
        assert not zone or zone.isprintable()
    if route.gateway is not None and not {"gateway_name", "gateway_truncated"} & set(route.marks):
        _check_address(route.gateway)
    if route.source is not None:
        _check_address(route.source)


def _check_interface(interface: Interface) -> None:
    _typed(interface, Interface)
    assert interface.name, interface
    for each in interface.addresses:
        bare, _, prefix = each.partition("/")
        _check_address(bare)
        assert not prefix or 0 <= int(prefix) <= 128, interface


def _check_membership(membership: Membership) -> None:
    _typed(membership, Membership)
    assert membership.family in ("inet", "inet6", "link"), membership
    if membership.family != "link":
        _check_address(membership.group)


def _check_translation(translation: Translation) -> None:
    _typed(translation, Translation)
    for ip in (
        translation.source_ip,
        translation.destination_ip,
        translation.reply_source_ip,
        translation.reply_destination_ip,
    ):
        if ip is not None:
            _check_address(ip)
    for name, port in translation._asdict().items():
        if name.endswith("_port"):
            assert port is None or port <= 65535, translation
    assert translation.kind in (None, "snat", "dnat", "both"), translation


def _check_address(text: str) -> None:
    """An address in canonical form, with a zone or without."""
    bare, percent, zone = text.partition("%")
    assert str(ipaddress.ip_address(bare)) == bare, f"{text} is not canonical"
    assert bool(percent) == bool(zone), text


def _storable(text: str, *, limit: int | None) -> None:
    assert type(text) is str
    assert text.isprintable() if limit is not None else not set(text) & _CONTROLS, ascii(text)
    text.encode("utf-8")  # no lone surrogates
    assert limit is None or len(text) <= limit, f"{len(text)} characters"


_CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


def _typed(row: Any, kind: type[Any]) -> None:
    """Each field of a named tuple is of its declared type, and within bounds."""
    assert type(row) is kind, type(row)
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]
    for name, value in zip(kind._fields, row, strict=True):
        _fits(value, hints[name], f"{kind.__name__}.{name}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any, place: str) -> None:
    """``value`` is of the type ``hint``: a union, a tuple of one type or of several, a record."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            assert type(None) in typing.get_args(hint), f"{place} is None"
            return
        (inner,) = [each for each in typing.get_args(hint) if each is not type(None)]
        _fits(value, inner, place)
    elif origin is tuple:
        assert type(value) is tuple, place
        arguments = typing.get_args(hint)
        inner_hints: Iterable[Any] = arguments
        if arguments[-1] is Ellipsis:
            inner_hints = [arguments[0]] * len(value)
        for each, inner in zip(value, inner_hints, strict=True):
            _fits(each, inner, place)
    elif isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        _typed(value, hint)
    else:
        assert type(value) is hint, f"{place} is {value!r}"
        if hint is int:
            limit = MAX_COUNTER if place in _COUNTERS else MAX_NUMBER
            assert 0 <= value <= limit, f"{place} is {value}"
        elif hint is str:
            _storable(value, limit=MAX_TEXT)


class Shape(NamedTuple):
    """What kind of result came of an input: where patterns hide the turns of the code from a
    trace of lines, this tells inputs apart."""

    dialect: str
    found: tuple[str, ...]
    rejected: frozenset[str]
    rows: frozenset[tuple[str, tuple[bool, ...]]]
    """By table, which fields of a row are known."""


def shape(parsed: Parsed) -> Shape:
    """The shape of a result."""
    tables = parsed.tables
    kinds: set[tuple[str, tuple[bool, ...]]] = set()
    for name, table in (
        ("sockets", tables.sockets),
        ("details", tables.details.values()),
        ("unix", tables.unix),
        ("routes", tables.routes),
        ("interfaces", tables.interfaces),
        ("multicast", tables.multicast),
        ("masquerade", tables.masquerade),
    ):
        rows: Iterable[Any] = table
        kinds |= {(name, tuple(value not in (None, ()) for value in row)) for row in rows}
    kinds |= {("protocols", (True,)) for _ in tables.protocols}
    return Shape(
        parsed.dialect,
        parsed.found,
        frozenset(row.reason for row in parsed.rejected),
        frozenset(kinds),
    )
