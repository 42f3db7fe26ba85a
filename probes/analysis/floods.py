"""Half-open connections at one listener: a SYN flood, or clients that the answer does not reach.

Place in the data's way: ``queries.trouble`` counts, this judges. Pure.

A connection is in SYN_RECV from the first packet until the third of the handshake. Over a healthy
path that is one round trip, so a probe sees few. Many from addresses that nobody else comes from,
spread over many networks with one or two each, are most likely forged; many from few addresses are
a client or a path that drops the answer (or an attacker who does not forge).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from probes.analysis import findings
from probes.analysis.findings import Code, Finding, Kind, Limit, Point, Severity, Share


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which numbers on something is said."""

    fewest: int = 64
    """Half-open connections at one listener."""
    bad: int = 256
    bad_share: float = 0.75
    """Of the most there may be at one listener."""
    spread: float = 0.8
    """Different addresses to connections, from which on the addresses are most likely forged."""
    networks: float = 0.5
    """Different networks (/24, /64) to different addresses, for the same."""
    sources: int = 5
    """Addresses and networks that are named."""


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """One port of one address with connections in SYN_RECV."""

    protocol: str
    local_ip: str
    local_port: int | None
    sources: Mapping[str, int]
    """Half-open connections by remote address."""
    trend: tuple[Point, ...] = ()
    """SYN_RECV of the host."""


def judge(
    attacked: Attacked,
    most_half_open: Limit,
    *,
    cookies: int | None,
    thresholds: Thresholds = DEFAULT,
) -> Finding | None:
    """The finding about a port; None where too few are half open. ``cookies`` is tcp_syncookies."""
    count = sum(attacked.sources.values())
    if count < thresholds.fewest:
        return None
    networks = by_network(attacked.sources)
    spread = len(attacked.sources) / count
    forged = spread >= thresholds.spread and len(networks) >= thresholds.networks * len(
        attacked.sources
    )
    bad = count >= min(thresholds.bad, thresholds.bad_share * most_half_open.value)
    named = networks if len(networks) < len(attacked.sources) else attacked.sources
    return Finding(
        kind=Kind.FLOOD,
        code=Code.SYN_FLOOD,
        severity=Severity.BAD if bad else Severity.WARN,
        count=count,
        protocol=attacked.protocol,
        local_ip=attacked.local_ip,
        local_port=attacked.local_port,
        limit=most_half_open,
        since=findings.since(attacked.trend, thresholds.fewest),
        trend=attacked.trend,
        facts={
            "addresses": len(attacked.sources),
            "networks": len(networks),
            "forged": int(forged),
            "cookies": -1 if cookies is None else cookies,
        },
        parts=(
            *_most(attacked.sources, thresholds.sources),
            *(_most(named, thresholds.sources) if named is networks else ()),
        ),
    )


def by_network(sources: Mapping[str, int]) -> dict[str, int]:
    """Connections by /24 of IPv4 and /64 of IPv6; an address cut short stands for itself."""
    networks: Counter[str] = Counter()
    for source, count in sources.items():
        networks[_network(source)] += count
    return dict(networks)


def _network(source: str) -> str:
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    bits = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address, bits), strict=False))


def _most(counts: Mapping[str, int], most: int) -> tuple[Share, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(name, count) for name, count in ranked[:most])
