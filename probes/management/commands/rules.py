"""``manage.py rules export [FILE]`` and ``manage.py rules import FILE``: the rule set as YAML."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from probes import rule_set
from probes.rule_set import Difference, Kind, RuleSetError


class Command(BaseCommand):
    """Prints what an import does; stores all of it or nothing."""

    help = (
        "Exports rules, port policies, new-peer watches, restart commands, services, channels "
        "(without secrets) and maintenance windows as YAML, or imports such a file."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """``export [FILE]`` or ``import FILE [--dry-run] [--replace]``"""
        what = parser.add_subparsers(dest="what", required=True)
        export = what.add_parser("export", help="Write the rule set.")
        export.add_argument("file", metavar="FILE", type=Path, nargs="?", help="Else to stdout.")
        taken = what.add_parser("import", help="Read a rule set: all of it or nothing.")
        taken.add_argument("file", metavar="FILE", type=Path)
        taken.add_argument("--dry-run", action="store_true", help="Only say what would happen.")
        taken.add_argument(
            "--replace",
            action="store_true",
            help="Remove what the file does not have, of the sections that it has.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError, after every position that is wrong."""
        try:
            if options["what"] == "export":
                self._export(options["file"])
            else:
                self._import(options)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        except RuleSetError as error:
            raise CommandError("\n".join(["Nothing was stored.", *error.lines])) from None

    def _export(self, file: Path | None) -> None:
        text = rule_set.export()
        if file is None:
            self.stdout.write(text, ending="")
        else:
            file.write_text(text, encoding="utf-8")

    def _import(self, options: dict[str, Any]) -> None:
        with options["file"].open("rb") as file:
            text = rule_set.decode(file.read(rule_set.MAX_BYTES + 1))
        outcome = rule_set.apply(
            rule_set.load(text), replace=options["replace"], dry_run=options["dry_run"]
        )
        for one in outcome.differences:
            if one.kind not in (Kind.UNCHANGED, Kind.LEFT):
                self.stdout.write(_line(one))
        for name, said in outcome.notes:
            self.stdout.write(f"{name}: {said}")
        counts = ", ".join(f"{n} {kind}" for kind in Kind if (n := outcome.count(kind)))
        begin = "Stored" if outcome.stored else "Dry run, nothing stored"
        self.stdout.write(f"{begin}: {counts or 'nothing to do'}.")


def _line(one: Difference) -> str:
    values = {name: tuple(map(rule_set.shown, pair)) for name, pair in one.changes.items()}
    if one.kind == Kind.ADDED:
        changes = ", ".join(f"{name}: {new}" for name, (_old, new) in values.items())
    else:
        changes = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in values.items())
    return f"{one.kind} {one.section}: {one.label}" + (f" ({changes})" if changes else "")
