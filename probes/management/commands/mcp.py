"""``manage.py mcp``: the Model Context Protocol over standard input and output."""

from __future__ import annotations

import signal
import sys
from typing import Any, Final

import anyio
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from mcp.server.stdio import stdio_server

from netadmin.access.models import APIToken, Scope
from netadmin.access.permissions import user_role
from netadmin.envelope import Refused
from probes.mcp_tools import calling, server
from probes.mcp_tools.calling import Caller

SCOPES: Final = (Scope.READ.value, Scope.OPERATE.value)


class Command(BaseCommand):
    """Serves one assistant that starts this command; ends when its input does."""

    help = (
        "Answer an assistant on this machine by the Model Context Protocol over standard input and"
        " output. It may do what --scope says, as --user. Standard output holds the protocol"
        " alone; the log goes to standard error."
    )
    requires_system_checks: list[str] = []
    stealth_options = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Who asks, what they may, and in which language they are answered."""
        parser.add_argument("--user", help="user name; the first active superuser by default")
        parser.add_argument("--scope", choices=SCOPES, default=Scope.READ.value)
        parser.add_argument(
            "--language",
            choices=[code for code, _name in settings.LANGUAGES],
            default=settings.LANGUAGE_CODE,
            help="of messages and hints",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until the input ends."""
        try:
            user = _user(options["user"])
        except DatabaseError as error:
            said = str(error).strip().partition("\n")[0]
            raise CommandError(
                f"The database does not answer: {said}. `manage.py up` starts the site, and"
                " `manage.py migrate` makes its tables."
            ) from None
        scope = Scope(options["scope"])
        caller = Caller(lambda: request_of(user.pk, scope), options["language"])
        sys.stderr.write(f"netadmin mcp: as {user.get_username()}, scope {scope.value}\n")
        # Ctrl-C ends it at once, as SIGTERM does: the thread that reads the input would not hear of
        # it before the next line.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        anyio.run(_serve, caller)


def request_of(user_id: int, scope: Scope) -> HttpRequest:
    """What says who asks, read anew for each question: this process may outlive a right. Raises
    Refused once the user has none."""
    calling.fresh_connections()
    user = User.objects.select_related("access").filter(pk=user_id, is_active=True).first()
    if user is None or user_role(user) is None:
        raise Refused(
            401,
            "not_authenticated",
            _("This user may no longer ask."),
            hint=_("Start the command as another user."),
        )
    request = HttpRequest()
    request.user = user
    # No token is stored for a process on this very machine; this one only carries its scope.
    request.token = APIToken(user=user, name="stdio", scope=scope)  # type: ignore[attr-defined]
    return request


def _user(name: str | None) -> User:
    users = User.objects.filter(is_active=True).order_by("pk")
    found = users.filter(username=name) if name else users.filter(is_superuser=True)
    user = found.first()
    if user is None:
        raise CommandError(
            f"There is no active user called {name}." if name else "There is no active superuser."
        )
    if user_role(user) is None:
        raise CommandError(f"{user.get_username()} has no role in netadmin.")
    return user


async def _serve(caller: Caller) -> None:
    made = server.of(caller)
    async with stdio_server() as (read_stream, write_stream):
        await made.run(read_stream, write_stream, made.create_initialization_options())
