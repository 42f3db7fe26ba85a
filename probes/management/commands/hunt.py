"""``manage.py hunt IOC...``: which host ever talked to an address, held a port, ran a program."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from django.core.management.base import CommandError

from probes import console
from probes.console import Column, named
from probes.filters import SocketFilter
from probes.management.asking import TROUBLE, Question, add_filters, add_limit, asked_of

NAMES: Final = ("since", "until", "host", "group", *SocketFilter.model_fields, "cursor")

SIGHTINGS: Final = (
    named("indicator", "indicator"),
    named("host", "host"),
    Column("first seen", lambda row: console.clock(row["first_seen"]), least=1),
    Column("last seen", lambda row: console.clock(row["last_seen"]), least=2),
    named("still there", "still_there", number=True),
    named("times", "intervals", number=True, least=7),
    named("dir", "directions", least=6),
    named("local ports", "local_ports", least=4),
    named("remote ports", "remote_ports", least=5),
    named("programs", "programs", least=3),
)
ROWS: Final = (
    named("indicator", "indicator"),
    named("host", "host"),
    named("proto", "protocol"),
    Column("local", lambda row: console.endpoint(row["local_ip"], row["local_port"])),
    Column("remote", lambda row: console.endpoint(row["foreign_ip"], row["foreign_port"])),
    named("state", "state", colours=console.STATES),
    named("program", "program"),
    Column("first seen", lambda row: console.clock(row["first_seen"]), least=2),
    Column("last seen", lambda row: console.clock(row["last_seen"]), least=1),
)

EPILOG: Final = """\
An IOC is an address, a network, an address with a port, port:4444, 4444/tcp or program:xmrig;
10[.]0[.]0[.]1 and URLs whose host is an address are understood. All history is searched, of
removed hosts too, as long as it is kept.

exit status:
  0  something was found
  1  nothing was found
  2  trouble: an IOC or an option that is wrong
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Look for addresses, networks, ports and programs in all history of all hosts."
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``IOC...``, narrowed by the filters."""
        parser.add_argument("indicators", metavar="IOC", nargs="+", help="- reads a list")
        parser.add_argument(
            "--rows",
            dest="view",
            action="store_const",
            const="rows",
            help="each connection, and not one line for each indicator and host",
        )
        add_filters(parser, NAMES)
        add_limit(parser, "else 500 in a terminal and all in a pipe")

    def ask(self, options: dict[str, Any]) -> int:
        """Print what the API answers."""
        from probes.api import sightings
        from probes.indicators import MOST_CHARACTERS

        text = self._list(options["indicators"], MOST_CHARACTERS)
        asked = asked_of(options, (*NAMES, "view"))
        asked["host"] = self.host_id(options["host"], removed=True)
        rejected = self._rejected(text)
        data = self.answer(
            sightings.search_list,
            sightings.PastedSearch,
            **asked,
            body=sightings.PastedList(indicators=text),
            limit=options["limit"],
        )
        of_rows = options["view"] == "rows"
        found = data["rows" if of_rows else "sightings"] if data is not None else ()
        if self.form == "table":
            self.console.table(ROWS if of_rows else SIGHTINGS, found)
            self._tell(data, found)
        if rejected:
            return TROUBLE
        return 0 if found or (data is None and self.csv_rows) else 1

    def _tell(self, data: dict[str, Any], found: Any) -> None:
        if not found:
            since = console.clock(data["kept_since"])
            self.console.tell(f"Nothing was found. History is kept since {since}.")
        elif "total" in data:
            self.tell_rest(len(found), data["total"])
        elif data["next"]:
            self.console.tell(f"The first {len(found)} rows. --limit 0 shows all of them.")
        for text in data.get("capped", ()):
            self.console.warn(f"{text}: found so often that not all of it was counted.")

    def _rejected(self, text: str) -> bool:
        """Tell what of the list is no indicator; True where anything is not."""
        from probes import indicators

        wrong = indicators.read(text).rejected
        for each in wrong:
            self.console.warn(f"{each.text}: {each.reason}")
        return bool(wrong)

    def _list(self, words: list[str], most: int) -> str:
        """The indicators as one text; what is read from standard input stands in for ``-``."""
        parts = []
        for word in words:
            if word == "-":
                if sys.stdin.isatty():
                    self.console.tell("Reading from the terminal; Ctrl-D ends the list.")
                word = sys.stdin.buffer.read(most + 1).decode("utf-8", "replace")
            parts.append(word)
        text = "\n".join(parts)
        if len(text) > most:
            raise CommandError(f"At most {most} characters of indicators.", returncode=TROUBLE)
        if not text.strip():
            raise CommandError("No indicator was given.", returncode=TROUBLE)
        return text
