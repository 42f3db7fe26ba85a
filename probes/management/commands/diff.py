"""``manage.py diff HOST`` and ``manage.py diff --hosts A,B``: what changed, or what differs."""

from __future__ import annotations

import argparse
from typing import Any, Final

from django.core.management.base import CommandError

from probes import console
from probes.console import Column, Row, named
from probes.filters import SocketFilter
from probes.management.asking import TROUBLE, Question, add_filters, add_limit, asked_of

OF_TIMES: Final = ("from", "to", "kind", *SocketFilter.model_fields, "sort")
OF_HOSTS: Final = ("at", "show")
BOTH: Final = ("what", "cursor")


def _was(name: str) -> Any:
    """``before -> after``, or the one there is."""

    def text(row: Row) -> Any:
        before, after = row[f"{name}_before"], row[f"{name}_after"]
        if before == after or after is None or before is None:
            return before if after is None else after
        return f"{before} -> {after}"

    return text


CHANGES: Final = (
    named("kind", "kind", colours=console.KINDS),
    named("proto", "protocol", least=2),
    Column("local", lambda row: console.endpoint(row["local_ip"], row["local_port"])),
    Column("remote", lambda row: console.endpoint(row["foreign_ip"], row["foreign_port"])),
    named("dir", "direction", least=4),
    Column("state", _was("state"), colours=console.STATES),
    Column("pid", _was("pid"), least=3),
    Column("program", _was("program"), least=1),
)


def _programs(side: str) -> Any:
    return lambda row: console.said(row[f"programs_{side}"])


def _compared(a: str, b: str) -> tuple[Column, ...]:
    return (
        named("what", "what"),
        Column("on", lambda row: {"a": a, "b": b}.get(row["side"], row["side"])),
        named("proto", "protocol"),
        Column("end", lambda row: console.endpoint(row["ip"], row["port"])),
        Column(a, lambda row: row["count_a"] or "", number=True),
        Column(b, lambda row: row["count_b"] or "", number=True),
        Column(f"programs on {a}", _programs("a"), least=1),
        Column(f"programs on {b}", _programs("b"), least=1),
    )


EPILOG: Final = """\
Of one host the newest snapshot is compared with the one before it, or those of --from and --to.

exit status:
  0  nothing differs
  1  something differs
  2  trouble: no such host, no snapshot of that time, an option that is wrong
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Say what opened, closed and changed on a host, or in what two hosts differ."
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``HOST`` with two times, or two hosts with one."""
        parser.add_argument("host", metavar="HOST", nargs="?", help="name, address or id of a host")
        parser.add_argument("--hosts", metavar="A,B", help="compare two hosts with each other")
        add_filters(parser, OF_TIMES, title="of one host at two times")
        add_filters(parser, OF_HOSTS, title="of two hosts")
        add_filters(parser, BOTH, title="of both")
        add_limit(parser, "else 500 in a terminal and all in a pipe")

    def ask(self, options: dict[str, Any]) -> int:
        """Print what the API answers."""
        if (options["host"] is None) == (options["hosts"] is None):
            raise CommandError("Give HOST, or --hosts A,B.", returncode=TROUBLE)
        of_times = options["host"] is not None
        if wrong := asked_of(options, OF_HOSTS if of_times else OF_TIMES):
            of = "two hosts" if of_times else "one host at two times"
            raise CommandError(
                f"--{next(iter(wrong)).replace('_', '-')} is of {of}.", returncode=TROUBLE
            )
        return self._times(options) if of_times else self._hosts(options)

    def _times(self, options: dict[str, Any]) -> int:
        from probes.api import history

        host = self.host_of(options["host"], removed=True)
        asked = asked_of(options, (*OF_TIMES, *BOTH))
        ends = self.peek(history.diff, history.Times, host, **asked)
        if ends["from"] is None:
            raise CommandError(
                f"{host.name} has no two whole snapshots to compare.", returncode=TROUBLE
            )
        data = self.answer(history.diff, history.Times, host, **asked, limit=options["limit"])
        if data is None:
            return 1 if self.csv_rows else 0
        if self.form == "table":
            self.console.table(CHANGES, data["differences"])
            before, after = (console.clock(data[end]["taken_at"]) for end in ("from", "to"))
            self.console.tell(
                f"{host.name}, {before} to {after}: {_counts(data['counts'], asked)}."
            )
            self.tell_rest(len(data["differences"]), data["total"])
        return 1 if data["total"] else 0

    def _hosts(self, options: dict[str, Any]) -> int:
        from probes.api import history

        words = [word.strip() for word in options["hosts"].split(",")]
        if len(words) != 2 or not all(words):
            raise CommandError("--hosts: give two hosts, such as web1,web2.", returncode=TROUBLE)
        a, b = map(self.host_of, words)
        asked = asked_of(options, (*OF_HOSTS, *BOTH)) | {"hosts": f"{a.pk},{b.pk}"}
        asked.setdefault("show", "differences")
        told = self.peek(history.compare, history.TwoHosts, **asked)
        for host, snapshot in zip((a, b), told["snapshots"], strict=True):
            if snapshot is None:
                raise CommandError(
                    f"{host.name} has no whole snapshot of that time.", returncode=TROUBLE
                )
        differs = self._differ(asked)
        data = self.answer(history.compare, history.TwoHosts, **asked, limit=options["limit"])
        if self.form == "table":
            self.console.table(_compared(a.name, b.name), data["rows"])
            self.console.tell(
                f"{a.name} and {b.name}: {'they differ' if differs else 'nothing differs'}."
            )
            self.tell_rest(len(data["rows"]), data["total"])
        if told["capped"]:
            self.console.warn("Only the peers with most connections were compared.")
        return 1 if differs else 0

    def _differ(self, asked: dict[str, Any]) -> bool:
        """Whether anything differs of what was asked for, shown or not."""
        from probes.api import history

        only = asked | {"show": "differences", "cursor": None}
        return bool(self.peek(history.compare, history.TwoHosts, **only)["total"])


def _counts(counts: dict[str, dict[str, int]], asked: dict[str, Any]) -> str:
    """``listeners: 1 opened; connections: 12 opened, 3 closed``, of what was asked for."""
    parts = []
    for what, kinds in counts.items():
        said = ", ".join(
            f"{number} {kind}"
            for kind, number in kinds.items()
            if number and asked.get("kind") in (None, kind)
        )
        if said and asked.get("what") in (None, what):
            parts.append(f"{what}: {said}")
    return "; ".join(parts) or "nothing differs"
