"""What the commands of operators have in common: options, who asks, errors, exit status.

Place in the data's way: the words of a shell in, the API's own handlers asked in this process, the
JSON they answer out, by way of ``probes.console``. So a command has the filters of the pages, the
JSON and CSV of the API, and nothing of its own to keep true. Whoever may run it on the machine of
the site sees every host. What is heavy is imported where it is needed: ``--help`` asks no database.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter
from django.db import DatabaseError
from django.http import HttpRequest

from netadmin.envelope import Refused
from probes.console import Console
from probes.filters import FilterError, Query, read

if TYPE_CHECKING:
    from hosts.models import Host
    from probes.api.routing import Operation

TROUBLE: Final = 2
"""Exit status where there is no answer, as of grep and diff: 0 and 1 are answers."""

ACTOR: Final = "command line"
"""Who the audit log says it was."""

IN_TERMINAL: Final = 500
"""Rows of a table in a terminal, where no limit is given."""
ALL: Final = 10_000_000
"""More rows than any list has."""
_ENDS: Final = tuple(".!?。！？")
"""What ends a sentence; a title of a probe's failure ends in none of them."""

POSITIONAL: Final = {"port": "PORT", "indicators": "IOC", "body.indicators": "IOC"}
"""What a parameter of the API is called that is no option."""

TIMES: Final = frozenset({"at", "since", "until", "from", "to"})
_AGO: Final = re.compile(r"([0-9]{1,6}) ?(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_METAVARS: Final = {
    "local_ip": "IP",
    "local_port": "PORTS",
    "program": "NAME",
    "q": "TEXT",
    "remote_ip": "IP",
    "remote_port": "PORTS",
    "snapshot": "ID",
    "sort": "COLUMN",
    "state": "STATES",
}

HELP: Final = {
    "at": "then, and not now: 2026-01-31T03:12:00Z, or 90m, 2h, 3d for so long ago",
    "cursor": "begin behind this, the next of an earlier answer",
    "direction": "in, out, listen or local",
    "family": "4 or 6",
    "from": "the earlier time; else the newest snapshot but one",
    "group": "only hosts of this group",
    "hide": "loopback, listen, or both with a comma between",
    "host": "only this host: its name, address or id",
    "kind": "opened, closed or changed",
    "local_ip": "an address, or a network such as 10.0.0.0/8",
    "local_port": "ports and ranges: 80,8000-8100",
    "pid": "a process, or none for those that are not known",
    "program": "part of a program's name",
    "proto": "tcp, udp, tcp6, ..., or all",
    "q": "of all ports, those with this in their number or a program's name",
    "remote_ip": "an address, or a network such as 10.0.0.0/8",
    "remote_port": "ports and ranges: 443,8000-8100",
    "scope": "where the remote addresses are: external, private, loopback or all",
    "show": "all, differences (the default), a, b or both",
    "since": "from then on: a time as of --at",
    "snapshot": "the snapshot of this id, and not the newest",
    "sort": "the column to sort by, with - before it from the largest",
    "state": "LISTEN, ESTABLISHED, ...: one or several with commas, in any spelling",
    "to": "the later time; else now",
    "until": "up to then: a time as of --at",
    "what": "listeners or connections; of two hosts listeners, talks or clients",
}
"""What ``--help`` says of each parameter of the API."""


class Question(BaseCommand, ABC):
    """A command that asks: subclasses say what, and return the exit status."""

    requires_system_checks = []  # they would load every page there is
    epilog: ClassVar[str] = ""

    console: Console
    form: str
    """``table``, ``json`` or ``csv``."""
    csv_rows: int
    """Rows of the CSV that was printed."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """With the exit statuses below the options, in their own lines."""
        kwargs |= {"epilog": self.epilog, "formatter_class": _Formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is asked, and how it is shown."""
        self.add_question(parser)
        shown = parser.add_argument_group("output")
        form = shown.add_mutually_exclusive_group()
        form.add_argument(
            "--json",
            dest="form",
            action="store_const",
            const="json",
            help="the answer of the API as JSON",
        )
        form.add_argument(
            "--csv",
            dest="form",
            action="store_const",
            const="csv",
            help="all rows as CSV, inert in a spreadsheet",
        )
        shown.add_argument(
            "-q", "--quiet", action="store_true", help="tell nothing but errors beside the output"
        )

    @abstractmethod
    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    @abstractmethod
    def ask(self, options: dict[str, Any]) -> int:
        """Ask, print, and return the exit status."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with SystemExit where the status is not 0; raises CommandError for trouble."""
        colour = True if options["force_color"] else False if options["no_color"] else None
        self.console = Console(
            cast("Any", self.stdout),
            cast("Any", self.stderr),
            colour=colour,
            quiet=options["quiet"],
        )
        self.form = options["form"] or "table"
        try:
            with _ended_in_order():
                status = self.ask(options)
        except (FilterError, Refused, _Answered) as error:
            raise self._refused(error) from None
        except DatabaseError as error:
            raise self._refused(_unanswered(error)) from None
        if status:
            sys.exit(status)

    # --- asking ---------------------------------------------------------------------------------

    def host_of(self, word: str, *, removed: bool = False) -> Host:
        """The host that is meant; raises Refused."""
        from probes.tools import whom

        return whom.host_of(caller(), word, removed=removed)

    def host_id(self, word: str | None, *, removed: bool = False) -> str | None:
        """Its id, as a parameter."""
        return None if word is None else str(self.host_of(word, removed=removed).pk)

    def answer(self, operation: Operation, model: type[Query], *subject: Any, **asked: Any) -> Any:
        """The ``data`` of the API's answer, which in the form json is printed at once.

        In the form csv all rows are printed, ``csv_rows`` is their number, and None is returned.
        """
        body = {"body": asked.pop("body")} if "body" in asked else {}
        limit = asked.pop("limit", None)
        query = read(model, given(asked))
        changed: dict[str, Any] = {}
        if "limit" in model.model_fields:
            changed["limit"] = self._rows(limit)
        if self.form == "csv":
            changed["format"] = "csv"
        response = _response(operation, *subject, query=query.model_copy(update=changed), **body)
        if self.form == "csv":
            self.console.put(self._counted(response))
            return None
        answered = json.loads(response.content)
        if self.form == "json":
            self.console.json(answered)
        return answered["data"]

    def peek(self, operation: Operation, model: type[Query], *subject: Any, **asked: Any) -> Any:
        """The ``data`` of an answer of one row at most, unprinted: for what it says besides."""
        query = read(model, given(asked) | {"limit": 1})
        return json.loads(_response(operation, *subject, query=query).content)["data"]

    def _counted(self, response: Any) -> Iterator[str]:
        """The pieces of a CSV; a record of it is one line, whatever its cells hold."""
        self.csv_rows = -1
        for piece in response.streaming_content:
            text = piece.decode()
            self.csv_rows += text.count("\r\n")
            yield text

    def _rows(self, limit: int | None) -> int:
        if limit is None:
            return IN_TERMINAL if self.form == "table" and self.console.draws else ALL
        return limit or ALL

    def tell_rest(self, shown: int, total: int | None) -> None:
        """Say where a table does not show all."""
        if total is not None and shown < total:
            self.console.tell(f"{shown} of {total} rows. --limit 0 shows all of them.")

    def _refused(self, error: FilterError | Refused | _Answered) -> CommandError:
        """Told as an error; as JSON its envelope is the output too, for whoever reads that."""
        answered = _envelope(error)
        if self.form == "json":
            self.console.json(answered)
        field = answered["error"]["field"]
        message = answered["message"]
        if field and message.startswith(f"{field}: "):
            option = POSITIONAL.get(field) or f"--{field.replace('_', '-')}"
            message = f"{option}: {message[len(field) + 2 :]}"
        hint = answered["error"]["hint"]
        if hint and message[-1:] not in _ENDS:
            message += "."
        text = " ".join(filter(None, (message, hint)))
        from probes.parsers.lines import visible

        return CommandError(visible(text), returncode=TROUBLE)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM (of ``timeout``, of a service manager) ends what is inside as Ctrl-C does, so that
    the lease of a host that is being probed is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: object) -> None:
    # The status that a shell gives a process which a signal ended.
    raise SystemExit(128 + number)


class _Answered(Exception):
    """The API answered with an error."""

    def __init__(self, answered: dict[str, Any]) -> None:
        super().__init__(answered["message"])
        self.answered = answered


class _Formatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's, which puts the command's own options first, with the lines of the epilog kept."""


def caller() -> HttpRequest:
    """Who asks: somebody who may run commands on the machine of the site, and so sees all."""
    from django.contrib.auth.models import User

    request = HttpRequest()
    request.method = "GET"
    request.user = User(username=ACTOR, is_superuser=True)
    request.token = None  # type: ignore[attr-defined]
    return request


def add_filters(
    parser: argparse.ArgumentParser, names: Iterable[str], *, title: str = "filters"
) -> None:
    """An option for each parameter of these names; the API's own models read what is given."""
    group = parser.add_argument_group(title)
    for name in names:
        metavar = "TIME" if name in TIMES else _METAVARS.get(name, name.upper())
        group.add_argument(
            f"--{name.replace('_', '-')}", dest=name, metavar=metavar, help=HELP[name]
        )


def add_limit(parser: argparse.ArgumentParser, usual: str) -> None:
    """``--limit``, of rows."""
    parser.add_argument(
        "--limit", type=_count, metavar="N", help=f"rows at most, 0 for all; {usual}"
    )


def asked_of(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The given ones of these options, as parameters."""
    return {name: options[name] for name in names if options.get(name) is not None}


def _response(operation: Operation, *subject: Any, **keywords: Any) -> Any:
    """What the handler answers; raises _Answered where that is an error."""
    from probes.api.routing import Refusal

    try:
        response = operation.handler(caller(), *subject, **keywords)
    except Refusal as refusal:
        response = refusal.response
    if response.status_code >= 400:
        raise _Answered(json.loads(response.content))  # type: ignore[attr-defined]
    return response


def given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not given, and with ``2h`` as the time so long ago."""
    return {
        name: _moment(value) if name in TIMES else value
        for name, value in asked.items()
        if value is not None
    }


def _moment(text: str) -> str:
    """``2h`` as the time so long ago; anything else is left to the filters."""
    ago = _AGO.fullmatch(text) if text.isascii() else None
    if ago is None:
        return text
    from django.utils import timezone

    passed = dt.timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        return (timezone.now() - passed).isoformat()
    except OverflowError:
        return text


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError("give a whole number")
    return int(text)


def _unanswered(error: DatabaseError) -> Refused:
    said = str(error).strip().partition("\n")[0]
    return Refused(
        503,
        "database",
        f"The database does not answer: {said}.",
        hint="`manage.py up` starts the site, and `manage.py migrate` makes its tables.",
    )


def _envelope(error: FilterError | Refused | _Answered) -> dict[str, Any]:
    if isinstance(error, _Answered):
        return error.answered
    if isinstance(error, FilterError):
        error = Refused(400, "invalid", f"{error.field}: {error.message}", field=error.field)
    answered: dict[str, Any] = json.loads(error.answer().content)
    return answered
