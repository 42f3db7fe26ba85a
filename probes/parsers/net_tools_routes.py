"""Routes as ``netstat -r`` and ``route`` print them: net-tools and busybox, IPv4 and IPv6.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layouts from
rprint_fib, rprint_cache (lib/inet_gr.c) and rprint_fib6 (lib/inet6_gr.c) of net-tools, and
route.c of busybox. ``-rn``; ``-rne`` and ``route -n``; ``-rnee``; ``-rnC``; IPv6 as net-tools
prints it today, and as net-tools 1.60 and busybox do::

    Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface
    192.0.2.0       198.51.100.9    255.255.255.0   UG        0 8192     300 eth0
    Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
    203.0.113.128   -               255.255.255.128 !     0      -        0 -
    Destination    Gateway        Genmask         Flags Metric Ref    Use Iface  MSS   Window irtt
    0.0.0.0        198.51.100.1   0.0.0.0         UG    100    0        0 eth0   0     0      0
    Source          Destination     Gateway         Flags   MSS Window  irtt Iface
    192.0.2.7       198.51.100.9    198.51.100.1            0 0          0 eth0
    Destination                    Next Hop                   Flag Met Ref  Use If
    2001:db8:99::/48               2001:db8:10:20::1          UG   512 1      0 eth0

Without ``-n`` there are names, cut to 15 characters; they stay names. A route with ``!`` refuses
what it matches. The kernel shows a black hole as a route without an interface, ``*``.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_QUEUE, OddLine, is_ipv4, visible
from probes.parsers.net_tools_rows import HOST_NAME
from probes.parsers.netstat_linux import BUSYBOX, NAME
from probes.parsers.records import Route, Tables
from probes.parsers.words import gettext_noop

_NAME_WIDTH = 15
_EXTENDED_INTERFACE_WIDTH = 6
"""``-ee`` cuts interface names to this length (%-6.6s)."""

_FLAGS = re.compile(r"[A-Za-z!#+-]{1,16}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_CACHE_COLUMNS = (8, 11, 13, 15)
"""Without ``-ee``, with it, and with what Linux 2.0 and 2.2 have beside it."""
_METRIC_LIMIT = 2**32
_INTERFACE = re.compile(r"[^\s/]{1,64}")
_PREFIX = re.compile(r"[0-9]{1,3}")
_FLAGS_COLUMN = re.compile(r"(?:\S+ +){3}(\S+)( +)")
_FLAGS_WIDTH = 5
_NO_NAME = {
    "destination": gettext_noop("the destination is neither an address nor a name"),
    "gateway": gettext_noop("the gateway is neither an address nor a name"),
}
_MASKS = {str(ipaddress.IPv4Network((0, length)).netmask): length for length in range(33)}


class Routes(sections.Reader):
    """Rows of one table of IPv4 routes. Four columns after the flags are of ``-e`` or not, which
    only the heading tells; without one, where their first digit stands."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._metric: bool | None = None
        self._cache = False
        if heading is not None:
            self._metric = "Metric" in heading
            self._cache = heading.startswith("Source")

    def read(self, line: str) -> bool:
        """Add the row."""
        route = _cached(line, metric=self._metric) if self._cache else self._route(line)
        self.tables.routes.append(route)
        return True

    def _route(self, line: str) -> Route:
        words = line.split()
        if len(words) not in (8, 11):
            raise OddLine("not the columns of a route")
        destination, gateway, mask, flags, *rest = words
        if mask not in _MASKS:
            if is_ipv4(mask):
                raise OddLine("the mask has gaps, which no prefix can express")
            raise OddLine("no mask of a network")
        marks: list[str] = []
        network = _network(destination, _MASKS[mask], marks)
        hop = _gateway(gateway, marks)
        metric_first = self._metric
        if metric_first is None:
            metric_first = _is_metric_next(line)
        long = len(rest) == 7
        numbers = _Numbers(rest[:3], rest[4:] if long else [], metric_first=metric_first or long)
        interface = _interface(rest[3])
        refused = _checked_flags(flags).startswith("!")
        if long and interface and len(interface) == _EXTENDED_INTERFACE_WIDTH:
            marks.append("interface_truncated")
        if refused and rest[3] == "*":
            self.dialect = BUSYBOX
        return Route(
            family="inet",
            destination=network,
            gateway=hop,
            interface=interface,
            flags=flags,
            kind="unreachable" if refused else "blackhole" if rest[3] == "*" else "unicast",
            metric=numbers.metric,
            references=numbers.references,
            uses=numbers.uses,
            mss=numbers.mss,
            window=numbers.window,
            irtt=numbers.irtt,
            marks=tuple(marks),
        )


class Ipv6Routes(sections.Reader):
    """Rows of one table of IPv6 routes: destination, next hop, flags, metric, references, uses,
    interface."""

    def read(self, line: str) -> bool:
        """Add the row."""
        words = line.split()
        # net-tools 1.60 leaves no blank before a use count of six digits.
        if len(words) == 6 and _NUMBER.fullmatch(words[4]):
            words[4:5] = ["-", "-"]
        if len(words) != 7:
            raise OddLine("not the columns of an IPv6 route")
        destination, hop, flags, metric, references, uses, interface = words
        marks: list[str] = []
        network = _ipv6_network(destination, marks)
        gateway = _ipv6_gateway(hop, marks)
        kind = "unicast"
        if "!" in _checked_flags(flags):
            kind = "unreachable"
        elif network.startswith("ff00::/"):
            kind = "multicast"
        elif "n" in flags and network.endswith("/128"):
            kind = "local"
        self.tables.routes.append(
            Route(
                family="inet6",
                destination=network,
                gateway=gateway,
                interface=_interface(interface),
                flags=flags,
                kind=kind,
                metric=_metric(metric),
                references=_number(references),
                uses=_number(uses),
                marks=tuple(marks),
            )
        )
        return True


class _Numbers:
    """The numbers of a row by what they are."""

    def __init__(self, first: list[str], last: list[str], *, metric_first: bool) -> None:
        self.metric: int | None = None
        self.references: int | None = None
        self.uses: int | None = None
        self.mss: int | None = None
        self.window: int | None = None
        self.irtt: int | None = None
        if metric_first:
            self.metric, self.references, self.uses = _metric(first[0]), *map(_number, first[1:])
            first = last
        if first:
            self.mss, self.window, self.irtt = map(_number, first)


def _is_metric_next(line: str) -> bool:
    """A metric stands at the left of its column, an MSS at the right."""
    found = _FLAGS_COLUMN.match(line)
    return found is not None and len(found[2]) <= 1 + max(0, _FLAGS_WIDTH - len(found[1]))


def _cached(line: str, *, metric: bool | None) -> Route:
    """A row of the routing cache that kernels before 3.6 had: one destination a row, and flags
    that may be empty."""
    words = line.split()
    if len(words) > 3 and _NUMBER.fullmatch(words[3]):
        words.insert(3, "")
    if len(words) not in _CACHE_COLUMNS:
        raise OddLine("not the columns of the routing cache")
    source, destination, gateway, flags, *rest = words
    marks: list[str] = []
    network = _network(destination, 32, marks)
    hop = _gateway(gateway, marks)
    numbers = _Numbers(rest[:3], rest[4:7], metric_first=bool(metric))
    if not is_ipv4(source):
        raise OddLine("the source is no address")
    if flags:
        _checked_flags(flags)
    kinds = {"b": "broadcast", "m": "multicast", "!": "unreachable", "l": "local"}
    return Route(
        family="inet",
        destination=network,
        gateway=None if hop == destination else hop,
        interface=_interface(rest[3]),
        flags=flags or None,
        source=source if source != "0.0.0.0" else None,
        kind=next((kind for letter, kind in kinds.items() if letter in flags), "unicast"),
        table="cache",
        metric=numbers.metric,
        references=numbers.references,
        uses=numbers.uses,
        mss=numbers.mss,
        window=numbers.window,
        irtt=numbers.irtt,
        marks=tuple(marks),
    )


def _network(text: str, length: int, marks: list[str]) -> str:
    if is_ipv4(text):
        return str(ipaddress.IPv4Network((text, length), strict=False))
    if text == "default":
        return "0.0.0.0/0"
    return _named(text, "destination", marks)


def _gateway(text: str, marks: list[str]) -> str | None:
    if text in ("0.0.0.0", "*", "-"):
        return None
    return text if is_ipv4(text) else _named(text, "gateway", marks)


def _named(text: str, column: str, marks: list[str]) -> str:
    if HOST_NAME.fullmatch(text) is None:
        raise OddLine(_NO_NAME[column])
    marks.append(f"{column}_name")
    if len(text) == _NAME_WIDTH:
        marks.append(f"{column}_truncated")
    return text


def _ipv6_network(text: str, marks: list[str]) -> str:
    address, _, length = text.rpartition("/")
    if _PREFIX.fullmatch(length) is None or int(length) > 128:
        raise OddLine("the destination has no prefix length")
    if address in ("default", "[::]"):
        return f"::/{int(length)}"
    try:
        return str(ipaddress.IPv6Network((address, int(length)), strict=False))
    except ValueError:
        if HOST_NAME.fullmatch(address) is None:
            raise OddLine("the destination is neither an address nor a name") from None
    marks.append("destination_name")
    return f"{address}/{int(length)}"


def _ipv6_gateway(text: str, marks: list[str]) -> str | None:
    if text in ("::", "[::]", "*"):
        return None
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        if HOST_NAME.fullmatch(text) is None:
            raise OddLine("the next hop is neither an address nor a name") from None
    marks.append("gateway_name")
    return text


def _checked_flags(text: str) -> str:
    if _FLAGS.fullmatch(text) is None:
        raise OddLine("no flags of a route")
    return text


def _interface(text: str) -> str | None:
    if text in ("-", "*"):
        return None
    if _INTERFACE.fullmatch(text) is None:
        raise OddLine("no name of an interface")
    return visible(text)


def _number(text: str) -> int | None:
    if text == "-":
        return None
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_QUEUE:
        raise OddLine("a column that counts holds no number")
    return int(text)


def _metric(text: str) -> int | None:
    """A metric; net-tools prints those of 2^31 and more as negative."""
    if text.startswith("-") and text != "-":
        known = _number(text[1:])
        if known is None or known > _METRIC_LIMIT // 2:
            raise OddLine("no metric of a route")
        return _METRIC_LIMIT - known
    return _number(text)


_V4_SHAPE = (
    r"\S+ +\S+ +[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3} +[U!][A-Za-z!]*"
    r" +[0-9-]+ +[0-9-]+ +[0-9-]+ +\S+"
)
_V6_SHAPE = r"\S+/[0-9]{1,3} +\S+ +[U!][A-Za-z!]* +-?[0-9]+ +[0-9]+(?: +[0-9]+)? +[^\s]+ *\Z"

OPENINGS = (
    sections.Opening(
        NAME,
        "routes",
        None,
        heading=r"Kernel IP(?:v6)? routing (?:table|cache)|Kernel IPv6 Neighbour Cache"
        r"|Neighbour +HW Address +Iface|INET6? \(IPv[46]\) not configured",
    ),
    sections.Opening(
        NAME,
        "routes",
        Routes,
        heading=r"Destination +Gateway +Genmask +Flags|Source +Destination +Gateway +Flags",
        row=_V4_SHAPE,
        untold=2,
    ),
    sections.Opening(
        NAME,
        "routes",
        Ipv6Routes,
        heading=r"Destination +Next Hop +Flags? +Met",
        row=_V6_SHAPE,
        untold=2,
    ),
)
