"""``manage.py ports [PORT]``: who holds a port, on one host or on all; exits 1 where one does."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from probes import console
from probes.console import Column, Row, named
from probes.management.asking import (
    TROUBLE,
    Question,
    add_filters,
    add_limit,
    asked_of,
    caller,
)

if TYPE_CHECKING:
    from probes.history.queries.moments import Coverage

NAMES: Final = ("host", "group", "proto", "at", "q", "cursor")


def _programs(row: Row) -> str:
    more = f" +{row['more_programs']}" if row["more_programs"] else ""
    return f"{console.said(row['programs'])}{more}"


_HELD: Final = (
    named("proto", "protocol"),
    Column("local", lambda row: console.endpoint(row["local_ip"], row["local_port"])),
    named("pid", "pid", number=True, least=2),
    named("program", "program", least=1),
    named("connections", "connections", number=True, least=4),
    named("reached from", "bound", least=5),
    Column("since", lambda row: console.clock(row["first_seen"]), least=3),
)
HOLDERS: Final = (named("host", "host"), *_HELD)
LISTENERS: Final = _HELD
TOTALS: Final = (
    named("port", "port", number=True),
    named("proto", "protocol"),
    named("hosts", "hosts", number=True),
    named("listeners", "listeners", number=True, least=1),
    Column("programs", _programs),
)
LIVE: Final = (
    named("proto", "protocol"),
    named("local", "local_ip"),
    named("pid", "pid", number=True),
    named("program", "program"),
    named("state", "state", colours=console.STATES),
)

EPILOG: Final = """\
Without PORT it prints what is listened on: of one host its listeners, else the ports of all hosts.
Without --live it answers from the newest snapshots, or from those of --at. A port is occupied by
who listens on it, and by connections that have it at their local end.

exit status:
  0  the port is free on every host that was asked about; without PORT: the list was printed
  1  the port is occupied
  2  trouble, or it is not known: no such host, no snapshot, no login
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Say who holds a port, on one host or on all: 1 where it is occupied, 0 where it is free"
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``[PORT]``, where and when; ``--live`` looks at the host now."""
        parser.add_argument("port", metavar="PORT", nargs="?", help="1 to 65535")
        add_filters(parser, NAMES)
        add_limit(parser, "else 500 in a terminal and all in a pipe")
        now = parser.add_argument_group("now")
        now.add_argument(
            "--live",
            action="store_true",
            help="look at the host now: --host, else this machine; --proto is tcp where not given",
        )
        now.add_argument(
            "--ssh-port", metavar="PORT", help="of the host's SSH, where it is not the stored one"
        )

    def ask(self, options: dict[str, Any]) -> int:
        """Print what the API, or the host, answers."""
        asked = asked_of(options, NAMES)
        if options["live"]:
            return self._live(options, asked)
        if options["ssh_port"] is not None:
            raise CommandError("--ssh-port goes with --live.", returncode=TROUBLE)
        if options["port"] is not None:
            return self._check(options, asked)
        if "host" in asked and "group" not in asked and "q" not in asked:
            return self._listeners(options, asked)
        return self._totals(options, asked)

    def _check(self, options: dict[str, Any], asked: dict[str, Any]) -> int:
        from probes.api import shared, sockets
        from probes.filters import read
        from probes.history.queries import moments
        from probes.management.asking import given
        from probes.tools import ports
        from probes.tools.when import end_of_second

        host_word = asked.get("host")
        asked["host"] = self.host_id(host_word)
        asked["port"] = options["port"]
        query = read(sockets.PortLookup, given(asked))
        at = None if query.at is None else end_of_second(query.at)
        data = self.answer(sockets.ports, sockets.PortLookup, **asked, limit=options["limit"])
        held = self.csv_rows if data is None else data["total"]
        if self.form == "table":
            assert data is not None
            self.console.table(HOLDERS, data["ports"])
            self.tell_rest(len(data["ports"]), data["total"])
        hosts = shared.hosts_of(caller(), query)
        scope = moments.scope(hosts, at=at)
        ends = 0
        if not held and scope is not None and query.port is not None:
            ends = ports.local_ends(scope, port=query.port, proto=query.proto)
        outdated = 0 if at is not None else ports.outdated(hosts)
        return self._judged(
            f"Port {query.port}", held, ends, known=moments.coverage(scope), outdated=outdated
        )

    def _judged(self, port: str, held: int, ends: int, *, known: Coverage, outdated: int) -> int:
        """The sentence below the answer, and the status that goes with it."""
        from probes import payloads

        if not known.hosts:
            self.console.warn(f"{port}: not known. There is no host to ask about.")
            return TROUBLE
        when = console.span(payloads.time(known.oldest), payloads.time(known.newest))
        of_all = f"of {console.counted(known.hosts, 'host')}"
        seen = known.hosts - known.silent - outdated
        if held:
            self.console.tell(f"{port} is occupied: {console.counted(held, 'listener')}, {when}.")
        elif ends:
            self.console.tell(
                f"{port} is occupied: no listener, but the local end of "
                f"{console.counted(ends, 'connection')}, {when}."
            )
        elif seen:
            self.console.tell(f"{port} is free on {console.counted(seen, 'host')}, {when}.")
        if outdated:
            self.console.warn(
                f"Not known of {outdated} {of_all} now: the newest probe gave no whole table, or "
                "is too old. --at asks what was, --live looks."
            )
        if known.silent:
            self.console.warn(
                f"Not known of {known.silent} {of_all}: no whole snapshot of that time."
            )
        return 1 if held or ends else TROUBLE if known.silent or outdated else 0

    def _listeners(self, options: dict[str, Any], asked: dict[str, Any]) -> int:
        from probes.api import sockets

        host = self.host_of(asked.pop("host"), removed=True)
        data = self.answer(
            sockets.host_ports, sockets.PortList, host, **asked, limit=options["limit"]
        )
        if self.form == "table":
            self.console.table(LISTENERS, data["ports"])
            if data["snapshot"] is None:
                self.console.tell(f"{host.name}: no whole snapshot yet.")
            else:
                when = console.clock(data["snapshot"]["taken_at"])
                self.console.tell(
                    f"{host.name} at {when}: {console.counted(data['total'], 'listener')}."
                )
            self.tell_rest(len(data["ports"]), data["total"])
        return 0

    def _totals(self, options: dict[str, Any], asked: dict[str, Any]) -> int:
        from probes.api import sockets

        asked["host"] = self.host_id(asked.get("host"))
        data = self.answer(sockets.ports, sockets.PortLookup, **asked, limit=options["limit"])
        if self.form == "table":
            self.console.table(TOTALS, data["ports"])
            self.console.tell(f"{console.counted(data['total'], 'port')}.")
            self.tell_rest(len(data["ports"]), data["total"])
        return 0

    def _live(self, options: dict[str, Any], asked: dict[str, Any]) -> int:
        from netadmin import csvfile, envelope
        from probes.filters import read
        from probes.tools import live

        if options["port"] is None:
            raise CommandError("--live goes with a PORT.", returncode=TROUBLE)
        stored = asked.keys() & {"at", "group", "q", "cursor"}
        if stored:
            raise CommandError(
                f"--{min(stored)} asks what is stored, and --live does not.", returncode=TROUBLE
            )
        query = read(live.LivePort, asked | asked_of(options, ("port", "ssh_port")))
        data, message = live.check_port_occupation(caller(), query)
        if self.form == "json":
            answered = envelope.answer(data, message=message).content
            self.console.json(json.loads(answered))
        elif self.form == "csv":
            rows = ([row[name] for name in live.OCCUPATION] for row in data["occupations"])
            self.console.put(csvfile.lines(live.OCCUPATION, rows))
        else:
            self.console.table(LIVE, data["occupations"])
            self.console.tell(str(message))
        return 1 if data["is_occupied"] else 0
