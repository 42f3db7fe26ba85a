"""The statistics counted in plain Python over parsed rows: what the database must say as well."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from probes import parsers
from probes.history import packing
from probes.history.packing import Way
from probes.parsers.records import Flag, Socket

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "linux"

INSIDE = [
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3", "::/128", "fc00::/7",
        "fe80::/10", "ff00::/8",
    )
]  # fmt: skip


def text_of(name: str) -> str:
    """A fixture as a probe decodes it."""
    return (FIXTURES / f"{name}.out").read_bytes().decode("utf-8", "surrogateescape")


class Row:
    """A parsed socket of a host, with what the reference asks of it."""

    def __init__(self, host: int, socket: Socket, listening: set[tuple[str, int | None]]) -> None:
        self.host = host
        self.it = socket
        self.base = packing.base(socket.protocol)
        self.way = packing.way(socket, listening)
        self.listens = self.way is Way.LISTEN
        cut = socket.flags & (Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME)
        self.ip = "…" if cut else socket.foreign_ip.partition("%")[0]
        self.connected = not self.listens and self.ip not in ("0.0.0.0", "::")

    @property
    def scope(self) -> str:
        """By Python's own reading of the address."""
        if self.ip == "…":
            return "external"
        address = ipaddress.ip_address(self.ip)
        if address.is_loopback:
            return "loopback"
        inside = any(address in net for net in INSIDE if net.version == address.version)
        return "private" if inside else "external"


def rows(texts: Mapping[int, str]) -> list[Row]:
    """All sockets of hosts that print these texts."""
    found = []
    for host, text in texts.items():
        sockets = parsers.parse_sockets(text).sockets
        listening = {
            (packing.base(one.protocol), one.local_port)
            for one in sockets
            if packing.is_listener(one)
        }
        found += [Row(host, one, listening) for one in sockets]
    return found


def by_state(chosen: Iterable[Row]) -> dict[str, int]:
    """Rows by state, without those that have none."""
    return dict(Counter(row.it.state for row in chosen if row.it.state is not None))


def remote_ips(chosen: Iterable[Row]) -> dict[str, Any]:
    """(total, by state, hosts, scope) by address."""
    groups = _grouped((row.ip, row) for row in chosen if row.connected)
    return {
        ip: (len(of), by_state(of), len({row.host for row in of}), of[0].scope)
        for ip, of in groups.items()
    }


def remote_ends(chosen: Iterable[Row]) -> dict[Any, Any]:
    """(total, local addresses, hosts) by address and port."""
    groups = _grouped(((row.ip, row.it.foreign_port), row) for row in chosen if row.connected)
    return {
        end: (len(of), len({row.it.local_ip for row in of}), len({row.host for row in of}))
        for end, of in groups.items()
    }


def local_ports(chosen: Iterable[Row]) -> dict[Any, Any]:
    """(connections, arrived, listeners, addresses, hosts, by state) by port and protocol."""
    groups = _grouped(
        ((row.it.local_port, row.base), row) for row in chosen if row.it.local_port is not None
    )
    return {
        port: (
            sum(row.connected for row in of),
            sum(row.connected and row.way is not Way.OUT for row in of),
            sum(row.listens for row in of),
            len({row.ip for row in of if row.connected}),
            len({row.host for row in of}),
            by_state(row for row in of if row.connected),
        )
        for port, of in groups.items()
    }


def programs(chosen: Iterable[Row]) -> dict[Any, Any]:
    """(sockets, listeners, addresses, hosts, by state) by program."""
    groups = _grouped(
        (None if row.it.program is None else packing.storable(row.it.program), row)
        for row in chosen
    )
    return {
        program: (
            len(of),
            sum(row.listens for row in of),
            len({row.ip for row in of if row.connected}),
            len({row.host for row in of}),
            by_state(of),
        )
        for program, of in groups.items()
    }


def states(chosen: Iterable[Row]) -> dict[Any, Any]:
    """(sockets, of TCP, hosts) by state."""
    groups = _grouped((row.it.state, row) for row in chosen)
    return {
        state: (len(of), sum(row.base == "tcp" for row in of), len({row.host for row in of}))
        for state, of in groups.items()
    }


def protocols(chosen: Iterable[Row]) -> dict[str, dict[str, int]]:
    """By protocol, the kinds of it."""
    kinds: dict[str, dict[str, int]] = {"tcp": {}, "udp": {}}
    for row in chosen:
        of = kinds.setdefault(row.base, {})
        of[row.it.protocol] = of.get(row.it.protocol, 0) + 1
    return kinds


def scopes(chosen: Iterable[Row]) -> dict[str, Any]:
    """(connections, addresses, hosts, by state) by scope."""
    groups = _grouped((row.scope, row) for row in chosen if row.connected)
    return {
        scope: (len(of), len({row.ip for row in of}), len({row.host for row in of}), by_state(of))
        for scope, of in groups.items()
    }


def _grouped(pairs: Iterable[tuple[Any, Row]]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for key, row in pairs:
        groups.setdefault(key, []).append(row)
    return groups
