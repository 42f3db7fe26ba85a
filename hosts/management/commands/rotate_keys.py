"""``manage.py rotate_keys``: re-encrypt every stored secret under the newest key.

Put the new key first in FIELD_ENCRYPTION_KEYS, restart, run this, then remove the old key. It may
be stopped and started again at any point, and run while the site works.
"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hosts import rotation, secrets
from netadmin.access import audit


class Command(BaseCommand):
    """Seals what older keys sealed, and says which keys may go."""

    help = (
        "Re-encrypts every stored secret under the first key of FIELD_ENCRYPTION_KEYS, "
        "and says which keys are no longer needed. May be interrupted and repeated."
    )
    # It must run where a stored secret does not open, which is an error to the checks.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """``[--new-key | --forget-unreadable]``"""
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            "--new-key", action="store_true", help="Only print a fresh key, as id:base64."
        )
        either.add_argument(
            "--forget-unreadable",
            action="store_true",
            help="Clear the secrets whose key is lost, so that the site starts again.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError where the ring is bad or a secret does not open."""
        try:
            if options["new_key"]:
                self.stdout.write(secrets.new_key())
                return
            secrets.newest_key_id()
        except secrets.KeyRingError as error:
            raise CommandError(str(error)) from None
        if options["forget_unreadable"]:
            for name in rotation.forget_unreadable():
                self.stdout.write(f"forgotten: {name}")
        self._rotate()

    def _rotate(self) -> None:
        newest = secrets.newest_key_id()
        report = rotation.rotate()
        self.stdout.write(f"{report.changed} secrets re-encrypted under {newest!r}.")
        if report.skipped:
            self.stdout.write(f"{report.skipped} were changed by someone else meanwhile.")
        used = rotation.usage()
        for key_id in secrets.key_ids():
            if key_id != newest and not used[key_id]:
                self.stdout.write(
                    f"The key {key_id!r} is no longer used: remove it from FIELD_ENCRYPTION_KEYS "
                    "(backups made before this still need it)."
                )
        if report.changed:
            audit.record("keys.rotate", detail={"changed": report.changed, "key": newest})
        if report.failed:
            raise CommandError(
                "These do not open and were left as they are:\n  " + "\n  ".join(report.failed)
            )
