"""``manage.py top [WHAT]``: who has most connections, of one host or all, at any time."""

from __future__ import annotations

import argparse
from typing import Any, Final

from probes import console
from probes.console import Column, Row, named
from probes.filters import SocketFilter
from probes.management.asking import Question, add_filters, add_limit, asked_of

FILTERS: Final = ("host", "group", "at", "snapshot", *SocketFilter.model_fields)
OF_SUMS: Final = ("scope", "sort")
"""What only the lists of largest sums have."""


def _ports(row: Row) -> str:
    return " ".join(str(each["port"]) for each in row["local_ports"])


_STATES: Final = named("states", "by_state", least=2)
_HOSTS: Final = named("hosts", "hosts", number=True, least=1)

TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "ips": (
        named("remote address", "ip"),
        named("connections", "total", number=True),
        named("scope", "scope", least=3),
        _HOSTS,
        _STATES,
        Column("local ports", _ports, least=4),
    ),
    "ends": (
        Column("remote end", lambda row: console.endpoint(row["ip"], row["port"])),
        named("connections", "total", number=True),
        named("scope", "scope", least=3),
        _HOSTS,
    ),
    "ports": (
        named("port", "port", number=True),
        named("proto", "protocol"),
        named("arrived", "arrived", number=True),
        named("connections", "connections", number=True),
        named("listeners", "listeners", number=True, least=3),
        named("addresses", "ips", number=True, least=4),
        _HOSTS,
        _STATES,
    ),
    "programs": (
        named("program", "program"),
        named("sockets", "sockets", number=True),
        named("listeners", "listeners", number=True),
        named("addresses", "ips", number=True, least=4),
        _HOSTS,
        _STATES,
    ),
    "states": (
        named("state", "state", colours=console.STATES),
        named("sockets", "sockets", number=True),
        named("hosts", "hosts", number=True),
    ),
    "protocols": (
        named("proto", "protocol"),
        named("sockets", "sockets", number=True),
        named("kinds", "kinds", least=1),
    ),
    "scopes": (
        named("scope", "scope"),
        named("connections", "connections", number=True),
        named("addresses", "ips", number=True),
        _HOSTS,
        _STATES,
    ),
}

EPILOG: Final = """\
ips are remote addresses, ends remote addresses with their port, ports are local ones, scopes
external, private and loopback addresses.

exit status:
  0  the counts were printed
  2  trouble: no such host or group, an option that is wrong
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Count connections by address, port, program or state, most first."
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``[WHAT]`` and the filters of the statistics."""
        parser.add_argument(
            "what",
            metavar="WHAT",
            nargs="?",
            choices=tuple(TABLES),
            default="ips",
            help=f"{', '.join(TABLES)}; ips where nothing is said",
        )
        add_filters(parser, (*FILTERS, *OF_SUMS))
        add_limit(parser, "else 20")

    def ask(self, options: dict[str, Any]) -> int:
        """Print what the API answers."""
        from probes.api import counts

        operation, model = {
            "ips": (counts.ips, counts.IpStatistics),
            "ends": (counts.ends, counts.EndStatistics),
            "ports": (counts.ports, counts.PortStatistics),
            "programs": (counts.programs, counts.ProgramStatistics),
            "states": (counts.states, counts.Counted),
            "protocols": (counts.protocols, counts.Counted),
            "scopes": (counts.scopes, counts.Counted),
        }[options["what"]]
        asked = asked_of(options, (*FILTERS, *OF_SUMS))
        asked["host"] = self.host_id(options["host"])
        limit = 20 if options["limit"] is None else options["limit"]
        data = self.answer(operation, model, **asked, limit=limit)
        if self.form != "table":
            return 0
        rows = data[options["what"]]
        self.console.table(TABLES[options["what"]], rows)
        of = data["hosts"]
        if of["newest"] is None:
            self.console.tell("No host has a whole snapshot of that time.")
        else:
            silent = f", {of['silent']} of them without a whole snapshot" if of["silent"] else ""
            when = console.span(of["oldest"], of["newest"])
            self.console.tell(f"{console.counted(of['total'], 'host')}{silent}, {when}.")
        self.tell_rest(len(rows), data["total"])
        return 0
