"""``manage.py bootstrap_site``: brings a site to where it can be opened.

Place: run by ``manage.py up`` before anything else starts. Safe to run again: it migrates and
collects what is new, and makes the first administrator and the first host in an empty database
only.
"""

from __future__ import annotations

import secrets
import socket
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from hosts.models import Host
from netadmin.access import audit

ADMIN = "admin"


class Command(BaseCommand):
    """Migrate, collect static files, and fill an empty database with an admin and this host."""

    help = "Prepares the database and static files; creates the first administrator and host."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line for each thing made; the password is shown here and nowhere else."""
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as error:
            # The first line says what a person can mend; psycopg adds hints below it.
            raise CommandError(
                f"The database cannot be used: {str(error).strip().splitlines()[0]}"
            ) from None
        call_command("collectstatic", interactive=False, verbosity=0)
        password = create_first_admin()
        if password is not None:
            self.stdout.write(
                f"\n    Administrator: {ADMIN}\n"
                f"    Password:      {password}   (shown only this once)\n\n"
            )


@transaction.atomic
def create_first_admin() -> str | None:
    """In a database without users, make an administrator and add this machine as a host.

    Returns the new password, or None where there are users already. Both or neither are made, so
    a host deleted later does not come back.
    """
    users = get_user_model()._default_manager
    if users.exists():
        return None
    password = secrets.token_urlsafe(12)
    admin = users.create_superuser(username=ADMIN, email="", password=password)
    audit.record("user.add", actor="system", target=admin)
    if not Host.objects.exists():
        host = Host(name=local_name(), address="localhost", is_local=True)
        host.save()
        audit.record("host.add", actor="system", target=host)
    return password


def local_name() -> str:
    """This machine's host name, or ``localhost`` where that is no name netadmin accepts."""
    name = socket.gethostname()
    try:
        Host._meta.get_field("name").run_validators(name)
    except ValidationError:
        return "localhost"
    return name
