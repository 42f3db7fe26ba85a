"""``manage.py connections HOST``: the sockets of a host, now or at any time."""

from __future__ import annotations

import argparse
from typing import Any, Final

from probes import console
from probes.console import Column, named
from probes.filters import SocketFilter
from probes.management.asking import TROUBLE, Question, add_filters, add_limit, asked_of

NAMES: Final = ("at", "snapshot", *SocketFilter.model_fields, "sort", "cursor")

SOCKETS: Final = (
    named("proto", "protocol", least=2),
    Column("local", lambda row: console.endpoint(row["local_ip"], row["local_port"])),
    Column("remote", lambda row: console.endpoint(row["foreign_ip"], row["foreign_port"])),
    named("state", "state", colours=console.STATES),
    named("pid", "pid", number=True, least=3),
    named("program", "program", least=1),
    named("dir", "direction", least=5),
    named("recv-q", "recv_queue", number=True, least=7),
    named("send-q", "send_queue", number=True, least=7),
    Column("first seen", lambda row: console.clock(row["first_seen"]), least=4),
    Column("copies", lambda row: row["copies"] if row["copies"] != 1 else "", number=True, least=6),
)

EPILOG: Final = """\
exit status:
  0  the sockets were printed, were there any or not
  2  trouble: no such host, no snapshot of that time, an option that is wrong
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Print the sockets of a host, now or at any time that is kept, filtered as on its page."
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``HOST`` and the filters of every list of sockets."""
        parser.add_argument("host", metavar="HOST", help="name, address or id of a host")
        add_filters(parser, NAMES)
        add_limit(parser, "else 500 in a terminal and all in a pipe")

    def ask(self, options: dict[str, Any]) -> int:
        """Print what the API answers."""
        from probes.api import sockets

        host = self.host_of(options["host"], removed=True)
        data = self.answer(
            sockets.connections,
            sockets.ConnectionList,
            host,
            **asked_of(options, NAMES),
            limit=options["limit"],
        )
        if data is None:  # the rows are printed; none may be for want of a snapshot
            data = self.peek(sockets.connections, sockets.ConnectionList, host)
        shown = data["snapshot"]
        if shown is None:
            self.console.warn(
                f"{host.name}: no whole snapshot yet. `manage.py probe` takes one and says what "
                "is wrong."
            )
            return TROUBLE
        if self.form != "table":
            return 0
        self.console.table(SOCKETS, data["connections"])
        self.console.tell(
            f"{host.name} at {console.clock(shown['taken_at'])}: {data['sockets']} of "
            f"{shown['sockets']} sockets."
        )
        self.tell_rest(len(data["connections"]), data["total"])
        return 0
