"""``manage.py import_hosts FILE``: hosts from CSV, or with ``--dry-run`` what it would do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hosts import csv_import
from hosts.csv_import import Fate, Kind


class Command(BaseCommand):
    """Prints each row's fate; stores all rows or none."""

    help = (
        "Adds and changes hosts from a CSV file with the columns "
        f"{','.join(csv_import.COLUMNS)} (name and address at least). One wrong row: nothing."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """``FILE [--dry-run]``"""
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Only say what would happen.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError, after naming line and field, where a row is wrong."""
        try:
            with options["file"].open("rb") as file:
                data = file.read(csv_import.MAX_BYTES + 1)
            rows = csv_import.read(csv_import.decode(data))
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        except csv_import.UnreadableError as error:
            raise CommandError(str(error)) from None
        outcome = csv_import.run(rows, request=None, store=not options["dry_run"])
        for fate in outcome.fates:
            self.stdout.write(_line(fate))
        counts = ", ".join(f"{outcome.count(kind)} {kind}" for kind in Kind)
        if not outcome.good:
            raise CommandError(f"Nothing was stored: {counts}.")
        self.stdout.write(f"{'Stored' if outcome.stored else 'Dry run, nothing stored'}: {counts}.")


def _line(fate: Fate) -> str:
    if fate.kind is Kind.ERROR:
        text = "; ".join(f"{column}: {message}" for column, message in fate.problems)
    elif fate.kind is Kind.CHANGED:
        text = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in fate.changes.items())
    else:
        text = ""
    return f"line {fate.line}: {fate.name!r} {fate.kind}{': ' if text else ''}{text}"
