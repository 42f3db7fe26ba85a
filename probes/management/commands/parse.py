"""``manage.py parse [FILE|-]``: what netadmin reads in a text of netstat, ss and their like.

Place in the data's way: bytes of a file or of standard input in, ``probes.brought``, tables out.
Asks no database, no host and no secret, so it works in a bare checkout and in a pipe::

    netstat -an | python3 manage.py parse --as json
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from netadmin import csvfile
from probes import brought, parsed_tables, parsers
from probes.console import Console
from probes.parsers.records import Parsed, ParseError

MAX_BYTES = 64 * 1024 * 1024
"""Twice what a probe takes by default; a socket is about 90 bytes of it."""

UNDERSTOOD, SOME_REJECTED, NOTHING = 0, 1, 2

EPILOG = """\
Dialects and tables are found by what is in the text, whatever made it: net-tools, busybox, ss and
iproute2, /proc/net, Windows, macOS, FreeBSD, OpenBSD, NetBSD, conntrack; several of them in one
text are read too. What a mail, a chat or a log put before every line is taken off, and so are the
colours of a terminal.

exit status:
  0  every line was understood
  1  the tables were printed, but some lines were not understood: their number and the first of
     them are told on standard error, json and table show them all
  2  nothing was printed: no table that is known, no such file or table, a text that is too large
"""


class Command(BaseCommand):
    """Exit status as in EPILOG; only the tables go to standard output."""

    help = "Read the output of netstat, ss and their like, and print its tables."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """With the exit statuses below the options, in their own lines."""
        kwargs |= {"epilog": EPILOG, "formatter_class": _Formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """``[FILE] [--as FORMAT] [--table NAME] [--wide]``"""
        parser.add_argument(
            "file", metavar="FILE", nargs="?", default="-", help="a file; - or nothing: the input"
        )
        parser.add_argument(
            "--as",
            dest="form",
            choices=("table", "json", "csv"),
            default="table",
            help="table (the default, in a pipe too): aligned columns; json: all tables and the "
            "lines not understood; csv: one table",
        )
        parser.add_argument(
            "--table",
            choices=tuple(parsed_tables.titles()),
            help="only this table; where it is not given, csv is of the first one of the text",
        )
        parser.add_argument(
            "--wide",
            action="store_true",
            help="netstat ran with -W: an IPv6 address as long as its column is no cut one",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with the status to exit with."""
        if options["table"] and options["form"] == "json":
            raise CommandError("--table goes with table and csv; json has all.", returncode=NOTHING)
        try:
            text = parsers.decode(self._read(options["file"]))
            parsed = brought.understand(text, wide=options["wide"]).parsed
        except ParseError as error:
            raise CommandError(f"Not understood: {error}.", returncode=NOTHING) from None
        names = self._tables(parsed, options["table"], options["form"])
        shown = Console(cast("Any", self.stdout), cast("Any", self.stderr))
        if options["form"] == "json":
            shown.put(chain(parsed_tables.json_pieces(parsed), "\n"))
        elif options["form"] == "csv":
            header = parsed_tables.header(names[0])
            shown.put(csvfile.lines(header, parsed_tables.csv_rows(parsed, names[0])))
        else:
            shown.put(parsed_tables.aligned(parsed, names))
        if parsed.rejected:
            first = parsed.rejected[0]
            raise CommandError(
                f"{len(parsed.rejected)} of {parsed.lines} lines were not understood, "
                f"the first is line {first.line}: {first.reason}.",
                returncode=SOME_REJECTED,
            )

    def _read(self, name: str) -> bytes:
        """The bytes of a file or of standard input; CommandError where that cannot be."""
        try:
            with ExitStack() as stack:
                if name == "-":
                    source: BinaryIO = sys.stdin.buffer
                    if sys.stdin.isatty():
                        self.stderr.write("Reading from the terminal; Ctrl-D ends the text.")
                else:
                    source = stack.enter_context(Path(name).open("rb"))
                    # Not so that a pipe or a device is refused: those are read up to the limit.
                    about = os.fstat(source.fileno())
                    if stat.S_ISREG(about.st_mode) and about.st_size > MAX_BYTES:
                        raise _too_large(name)
                data = source.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CommandError(f"{name!r}: {reason}", returncode=NOTHING) from None
        if len(data) > MAX_BYTES:
            raise _too_large(name)
        return data

    def _tables(self, parsed: Parsed, wanted: str | None, form: str) -> list[str]:
        there = parsed_tables.found(parsed)
        if wanted is None:
            if form == "csv" and len(there) > 1:
                others = ", ".join(there[1:])
                self.stderr.write(f"This is {there[0]}; --table gives the others: {others}.")
            return there
        if wanted not in there:
            raise CommandError(
                f"The text has no table {wanted}. It has: {', '.join(there)}.", returncode=NOTHING
            )
        return [wanted]


def _too_large(name: str) -> CommandError:
    most = MAX_BYTES // (1024 * 1024)
    return CommandError(f"{name!r} is larger than {most} MiB.", returncode=NOTHING)


class _Formatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's, which puts the command's own options first, with the lines of EPILOG kept."""
