"""iproute2: ``ip route``, ``ip -6 route``, ``show table all``, with ``-d``, ``-s`` or ``-o``.

Place in the data's way: a table of the dialect ``iproute2``, behind ``probes.parsers.parse``.
Pure. There is no heading. Layout from ip/iproute.c (print_route, print_rta_multipath)::

    default via 10.9.1.2 dev near0 proto dhcp src 10.9.1.1 metric 100
    unreachable 2001:db8:66::/48 dev lo metric 1024 error -101 pref medium
    10.8.0.0/16 proto static metric 20
        nexthop via 10.9.1.2 dev near0 weight 1
        nexthop via inet6 fe80::2 dev near1 weight 1

Each next hop of a route that has several becomes a route of its own. A row names no family: the
addresses do, and for a ``default`` without any, ``pref`` and ``error``, which only IPv6 has.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, MORE_THAN_ONE, OddLine, queue, visible
from probes.parsers.records import Route, Tables

NAME = "iproute2"

_KINDS = frozenset(
    {
        "unicast", "local", "broadcast", "multicast", "anycast", "blackhole", "unreachable",
        "prohibit", "throw",
    }
)  # fmt: skip
_WORDS = frozenset(
    {
        "onlink", "linkdown", "dead", "pervasive", "offload", "trap", "notify", "unresolved",
        "rt_offload", "rt_trap", "rt_offload_failed",
    }
)  # fmt: skip
"""Flags of a route or a next hop (print_rt_flags)."""
_TEXTS = {"dev": "interface", "proto": "protocol", "table": "table"}
_NUMBERS = {
    "metric": "metric", "mtu": "mtu", "advmss": "mss", "window": "window", "users": "references",
    "used": "uses",
}  # fmt: skip
_NOT_KEPT = frozenset(
    {
        "scope", "pref", "hoplimit", "weight", "realm", "realms", "features", "congctl", "cc",
        "quickack", "initcwnd", "initrwnd", "ssthresh", "cwnd", "reordering", "rto_min", "rttvar",
        "fastopen_no_cookie", "nhid", "ttl-propagate", "uid", "mark", "iif", "oif", "tos",
        "dsfield", "error", "age", "ipid", "ts", "tsage", "flowlabel",
    }
)  # fmt: skip
"""Attributes with a value that Route has no field for."""
_TIME = re.compile(r"([0-9]{1,18})(sec|ms|s)?")
_CACHE = re.compile(r"\s+cache\b")
_NEXT_HOP = re.compile(r"\s+nexthop ")
_CACHE_FLAGS = re.compile(
    r"<[a-zA-Z0-9,~-]{0,80}>?|(?:local|redirected|nocache|src-direct|brd|mc|reject|notify|proxy)>?"
)
_BEGINS_A_ROUTE = re.compile(r"default|[0-9a-f]*[.:][0-9a-f.:]*/[0-9]{1,3}")
_NO_ROUTE = Route(family="inet", destination="")
_FAMILIES = {4: "inet", 6: "inet6"}
_MAX_TEXT = 255


class Routes(sections.Reader):
    """Rows of the table, each with the lines of its next hops."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._open: Route | None = None
        """The route of the last line, not added yet: next hops may follow."""
        self._hops = 0

    def read(self, line: str) -> bool:
        """Add a route, or a next hop to the one before."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        first, *others = line.split("\\")
        if not all(_NEXT_HOP.match(part) or _CACHE.match(part) for part in others):
            raise OddLine(MORE_THAN_ONE)
        if _NEXT_HOP.match(first):
            self._add_hops([first, *others])
            return True
        if _CACHE.match(first):
            if self._open is None:
                raise OddLine("goes on with a route that was not read")
            _check_cache([first, *others])
            return True
        self._end()
        hops = [part for part in others if _NEXT_HOP.match(part)]
        _check_cache(others)
        self._open = _route(first)
        if hops:
            self._add_hops(hops)
        return True

    def _add_hops(self, parts: list[str]) -> None:
        """OddLine, and none added, where one of them cannot be read."""
        base = self._open
        if base is None:
            raise OddLine("next hop of a route that was not read")
        hops = [_with(base, part.split()[1:]) for part in parts]
        self.tables.routes += hops
        self._hops += len(hops)

    def _end(self) -> None:
        if self._open is not None and not self._hops:
            self.tables.routes.append(self._open)
        self._open, self._hops = None, 0

    def close(self) -> None:
        """Add the last route."""
        self._end()


def _check_cache(parts: list[str]) -> None:
    """OddLine where what a line tells of the route cache (print_cache_flags) is not that."""
    for part in parts:
        if _CACHE.match(part):
            words = part.split()[1:]
            _with(_NO_ROUTE, [word for word in words if _CACHE_FLAGS.fullmatch(word) is None])


def _route(line: str) -> Route:
    words = line.split()
    kind = words.pop(0) if words and words[0] in _KINDS else "unicast"
    if not words:
        raise OddLine("the destination is missing")
    destination = words.pop(0)
    base = _NO_ROUTE._replace(kind=kind)
    if destination != "default":
        network = _network(destination)
        return _with(
            base._replace(family=_FAMILIES[network.version], destination=str(network)), words
        )
    route = _with(base, words)
    if ":" in (route.source or "") or {"pref", "error"} & set(words):
        is_v6 = True
    elif ":" in (route.gateway or ""):
        is_v6 = "inet6" not in words  # "via inet6" stands where it is not the route's own family
    else:
        is_v6 = False
    return route._replace(
        family="inet6" if is_v6 else "inet", destination="::/0" if is_v6 else "0.0.0.0/0"
    )


def _with(base: Route, words: list[str]) -> Route:
    """``base`` with the attributes in ``words``; OddLine for one that is unknown or odd."""
    known: dict[str, str | int | None] = {}
    flags = [base.flags] if base.flags else []
    at = 0
    met = set[str]()

    def value() -> str:
        nonlocal at
        at += 1
        if at >= len(words):
            raise OddLine("an attribute has no value")
        return words[at]

    while at < len(words):
        word = words[at]
        if word in met:
            raise OddLine(MORE_THAN_ONE)
        met.add(word)
        if word in _WORDS:
            if word not in (base.flags or "").split():
                flags.append(word)
        elif word in _TEXTS:
            known[_TEXTS[word]] = visible(value()[:_MAX_TEXT])[:_MAX_TEXT]
        elif word in _NUMBERS:
            text = value()
            known[_NUMBERS[word]] = queue(value() if text == "lock" else text)
        elif word == "via":
            text = value()
            known["gateway"] = _address(value() if text in ("inet", "inet6") else text)
        elif word == "src":
            known["source"] = _address(value())
        elif word in ("expires", "rtt"):
            text = value()
            known["expires_s" if word == "expires" else "irtt"] = _time(
                value() if text == "lock" else text
            )
        elif word == "from":
            flags.append(f"from {visible(value()[:_MAX_TEXT])[:_MAX_TEXT]}")
        elif word == "encap":
            while at + 1 < len(words) and words[at + 1] not in ("via", "dev"):
                at += 1
                if _BEGINS_A_ROUTE.fullmatch(words[at]):
                    raise OddLine(MORE_THAN_ONE)
        elif word in _NOT_KEPT:
            if value() == "lock":
                value()
        else:
            raise OddLine("an attribute that is not known")
        at += 1
    if flags:
        known["flags"] = " ".join(flags)[:_MAX_TEXT]
    return base._replace(**known)  # type: ignore[arg-type]


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if len(text) > 49:
        raise OddLine("destination not understood")
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise OddLine("destination not understood") from None


def _address(text: str) -> str:
    if len(text) > 45 or "%" in text:
        raise OddLine("address not understood")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise OddLine("address not understood") from None


def _time(text: str) -> int | None:
    """``1799sec`` in seconds, ``300ms`` in milliseconds; None where it is neither."""
    time = _TIME.fullmatch(text)
    return int(time[1]) if time else None


_DESTINATION = r"(?:default|[0-9a-f.:]+(?:/[0-9]{1,3})?)"
_ATTRIBUTE = (
    r"(?:via|dev|proto|scope|src|metric|table|nhid|encap|from|tos|onlink|linkdown|dead"
    r"|expires|pref)"
)
_ROW = (
    rf"(?:{'|'.join(sorted(_KINDS))}) {_DESTINATION}(?:[ \t]|$)"
    rf"|{_DESTINATION} {_ATTRIBUTE}[ \t]"
    r"|default ?(?:$|\\)|[0-9a-f.:]+/[0-9]{1,3} (?:$|\\)"
)
"""The first line of a route: of a type, or with an attribute, or with next hops to follow."""

OPENINGS = (sections.Opening(NAME, "routes", Routes, row=_ROW),)
