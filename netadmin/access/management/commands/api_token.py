"""``manage.py api_token USER --scope read``: make a token and print it, once.

Standard output holds the token alone on one line, so that a script can take it; what people need
to know goes to standard error.
"""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from netadmin.access import networks, tokens
from netadmin.access.models import Scope
from netadmin.access.permissions import SCOPE_ROLES, user_role

MAX_DAYS = 3650


class Command(BaseCommand):
    """Makes a token for a user who exists, of a scope that its role allows."""

    help = "Make an API token for a user and print it once."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """``USER --scope SCOPE [--name NAME] [--days DAYS]``"""
        parser.add_argument("user", metavar="USER", help="Name of the user it acts as.")
        parser.add_argument(
            "--scope", required=True, choices=Scope.values, help="What it may do at most."
        )
        parser.add_argument("--name", default="command line", help="What uses it.")
        parser.add_argument("--days", type=_days, help="Days until it expires; default: never.")

        parser.add_argument(
            "--from",
            dest="networks",
            action="append",
            default=[],
            metavar="NETWORK",
            help="Address or network (CIDR) it may be used from; may be repeated. "
            "Default: anywhere.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError where the user is unknown, inactive or below the scope."""
        try:
            user = User.objects.get(username=options["user"])
        except User.DoesNotExist:
            raise CommandError(f"There is no user {options['user']!r}.") from None
        scope = Scope(options["scope"])
        role = user_role(user)
        if role is None:
            raise CommandError(f"{user} is inactive or has no role.")
        if SCOPE_ROLES[scope] > role:
            raise CommandError(f"{user} is {role.label} and cannot have the scope {scope.value}.")
        name = options["name"].strip()
        if not name or len(name) > 100 or not name.isprintable():
            raise CommandError("--name has 1 to 100 printable characters.")
        days: int | None = options["days"]
        expires_at = timezone.now() + dt.timedelta(days=days) if days else None
        try:
            from_networks = networks.read(" ".join(options["networks"]))
        except ValidationError as error:
            raise CommandError(f"--from: {' '.join(error.messages)}") from None
        _token, text = tokens.make(
            user=user,
            name=name,
            scope=scope,
            expires_at=expires_at,
            from_networks=from_networks,
            by="command",
        )
        ends = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "until it is revoked"
        places = f", from {', '.join(from_networks)}" if from_networks else ""
        self.stderr.write(
            f"Token {name!r} of {user}, scope {scope.value}, {ends}{places}. It is shown only now:"
        )
        self.stdout.write(text)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_DAYS}, not {text!r}")
    return int(text)
