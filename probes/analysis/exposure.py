"""What a listener is exposed to, and since when: rules over what was seen.

Place in the data's way: after ``probes.history.queries.exposure``, which fetches, and before pages
and routes, which say it in words. Pure: knows no database, no sockets, no time of day.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from probes.parsers import addresses
from probes.parsers.records import Flag

UNSPECIFIED: Final = frozenset({"0.0.0.0", "::"})
_NO_ADDRESS: Final = Flag.LOCAL_TRUNCATED | Flag.LOCAL_NAME


class Bound(enum.StrEnum):
    """What kind of address a listener is bound to, the most exposed first."""

    ANY = "any"
    PUBLIC = "public"
    UNKNOWN = "unknown"
    """The tool cut the address, or printed a name in its place."""
    PRIVATE = "private"
    """A private, unique local or carrier-grade NAT address (100.64.0.0/10)."""
    LINK_LOCAL = "link-local"
    MULTICAST = "multicast"
    LOOPBACK = "loopback"


_BOUND_OF_SCOPE: Final[dict[str, Bound]] = {
    "any": Bound.PRIVATE,  # 0.1.2.3: nothing routes it
    "loopback": Bound.LOOPBACK,
    "link-local": Bound.LINK_LOCAL,
    "private": Bound.PRIVATE,
    "cgnat": Bound.PRIVATE,
    "multicast": Bound.MULTICAST,
    "public": Bound.PUBLIC,
}

OUTWARD: Final = frozenset({Bound.ANY, Bound.PUBLIC})
"""Where clients from outside can knock, as far as the host itself is concerned."""


class Stack(enum.StrEnum):
    """Which families a listener on every address takes."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    BOTH = "both"
    PROBABLY_BOTH = "probably_both"
    """A listener on ``::`` of which nothing seen says whether IPV6_V6ONLY is set."""


class Because(enum.StrEnum):
    """What a :class:`Stack` is concluded from."""

    ADDRESS = "address"
    """``0.0.0.0`` takes IPv4 alone."""
    STAR = "star"
    """The tool itself says so: ss prints ``*``, BSD ``tcp46``."""
    CONNECTIONS = "connections"
    """IPv4 connections came in through it."""
    BESIDE = "beside"
    """A listener on ``0.0.0.0`` has the same port, which the kernel allows beside ``::`` only
    where IPV6_V6ONLY is set (or both share the port by SO_REUSEPORT)."""
    NOTHING = "nothing"
    """Linux' default (net.ipv6.bindv6only = 0) is both."""


class Families(NamedTuple):
    """Which families, and why that is believed."""

    stack: Stack
    because: Because


class Skip(enum.StrEnum):
    """Why a listener is not tried from the controller."""

    UDP = "udp"
    """UDP answers nothing to nothing: silence proves neither."""
    LOOPBACK = "loopback"
    LOCAL_ONLY = "local_only"
    """Link-local or multicast: means something on its own link only."""
    UNKNOWN = "unknown"
    """The address is not known whole."""
    NOT_ITS_OWN = "not_its_own"
    """Not an address that the host's configured address is or resolves to."""
    CONTROLLER = "controller"
    """An address that the controller has itself, so another machine would answer."""
    NO_ADDRESS = "no_address"
    """The host has no address of the family it listens on."""
    TOO_MANY = "too_many"


class Span(NamedTuple):
    """An interval of one process on one address and port."""

    first_seen: dt.datetime
    last_seen: dt.datetime | None
    """The last whole snapshot that showed it; None while it is there."""


def bound(ip: str, flags: int) -> Bound:
    """What ``ip``, as a parsed socket has it (with its zone), is; flags are those of the socket."""
    if flags & _NO_ADDRESS or not ip:
        return Bound.UNKNOWN
    if ip.partition("%")[0] in UNSPECIFIED:
        return Bound.ANY
    return _BOUND_OF_SCOPE[addresses.scope(ip)]


def families(ip: str, *, star: bool, ipv4_beside: bool, ipv4_connections: bool) -> Families | None:
    """Which families a listener on every address takes; None for one on a single address.

    ``star``: the tool said dual-stack. ``ipv4_beside``: another listener of the same protocol and
    port is on 0.0.0.0. ``ipv4_connections``: connections to an IPv4 address of the host that no
    other listener can have taken, or that the kernel counts as IPv6 sockets.
    """
    plain = ip.partition("%")[0]
    if plain == "0.0.0.0":
        return Families(Stack.IPV4, Because.ADDRESS)
    if plain != "::":
        return None
    if star:
        return Families(Stack.BOTH, Because.STAR)
    if ipv4_connections:
        return Families(Stack.BOTH, Because.CONNECTIONS)
    if ipv4_beside:
        return Families(Stack.IPV6, Because.BESIDE)
    return Families(Stack.PROBABLY_BOTH, Because.NOTHING)


def runs(spans: Iterable[Span]) -> list[Span]:
    """Spans that overlap or touch, joined; newest first. What is open lasts for ever."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: one.first_seen):
        last = joined[-1] if joined else None
        if last is not None and (last.last_seen is None or span.first_seen <= last.last_seen):
            ends = None if None in (last.last_seen, span.last_seen) else max(
                last.last_seen, span.last_seen  # type: ignore[type-var]
            )  # fmt: skip
            joined[-1] = Span(last.first_seen, ends)
        else:
            joined.append(span)
    return joined[::-1]


def gaps(spans: Sequence[Span]) -> list[tuple[dt.datetime, dt.datetime]]:
    """Between which times nothing of :func:`runs` was there, newest first: (from, to)."""
    return [
        (older.last_seen, newer.first_seen)
        for newer, older in pairwise(spans)
        if older.last_seen is not None
    ]


def since(spans: Sequence[Span], real_gaps: set[tuple[dt.datetime, dt.datetime]]) -> dt.datetime:
    """When the newest chain of :func:`runs` began; one at least is needed.

    A gap is real where a whole snapshot lies in it: that one did not show the listener. Without
    one, the listener went and came back between two probes, as in a restart, and nobody can say
    that it was ever away.
    """
    began = spans[0].first_seen
    for gap, older in zip(gaps(spans), spans[1:], strict=True):
        if gap in real_gaps:
            break
        began = older.first_seen
    return began


def severity(kind: Bound, external_connections: int) -> int:
    """Where a listener stands in a list of the worst first: 0 is the worst."""
    if kind in OUTWARD:
        return 0 if external_connections else 1
    return 2 + [Bound.UNKNOWN, Bound.PRIVATE, Bound.LINK_LOCAL, Bound.MULTICAST,
                Bound.LOOPBACK].index(kind)  # fmt: skip
