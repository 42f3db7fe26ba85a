"""Four hosts and what they printed: what the commands of the tests and of the docs ask about."""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.management import CommandError, call_command

from hosts.models import Host, HostGroup
from probes.history import store
from tests.probes.history.played import line, observed, table

HOSTILE = "\x1b[31mred\x1b[0m [bold]x[/bold] \u202eabc"
"""A name of a program that would colour a terminal, be markup, or turn the line around."""

SSHD = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")
WEB = (
    SSHD,
    line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "901/nginx"),
    line("0.0.0.0:443", "0.0.0.0:*", "LISTEN", "901/nginx"),
    line("10.0.0.5:443", "198.51.100.7:40123", "ESTABLISHED", "902/nginx"),
    line("10.0.0.5:443", "198.51.100.7:40124", "TIME_WAIT", "-"),
)
FIRST = table(*WEB, line("10.0.0.5:38442", "10.0.0.9:5432", "ESTABLISHED", "950/gunicorn"))
SECOND = table(
    *WEB,
    line("10.0.0.5:38442", "10.0.0.9:5432", "CLOSE_WAIT", "950/gunicorn"),
    line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "1444/java"),
)
OTHER = table(
    SSHD,
    line("0.0.0.0:443", "0.0.0.0:*", "LISTEN", "700/nginx"),
    line("10.0.0.6:443", "203.0.113.8:51001", "ESTABLISHED", "701/nginx"),
)
DATABASE = table(
    SSHD,
    line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "600/postgres"),
    line("10.0.0.9:5432", "10.0.0.5:38442", "ESTABLISHED", "610/postgres"),
)


@dataclass
class Fleet:
    """Two web servers in a group, a database, and a host that was never probed."""

    web1: Host
    web2: Host
    db1: Host
    spare: Host


class Printed(NamedTuple):
    """What a command did."""

    status: int
    out: str
    told: str


def build() -> Fleet:
    """The hosts and their history; web1 was probed twice, 20 minutes apart.

    Their ids are given, since the docs show them.
    """
    fleet = Fleet(
        *(
            Host.objects.create(pk=number, name=name, address=f"192.0.2.{number}")
            for number, name in enumerate(("web1", "web2", "db1", "spare"), start=1)
        )
    )
    for host in (fleet.web1, fleet.web2):
        host.groups.add(HostGroup.objects.get_or_create(name="web")[0])
    store.save(fleet.web1, observed(0, FIRST))
    store.save(fleet.web1, observed(20, SECOND))
    store.save(fleet.web2, observed(19, OTHER))
    store.save(fleet.db1, observed(19, DATABASE))
    return fleet


def run(*words: str, together: bool = False) -> Printed:
    """Run a command in this process; ``together`` puts what is told among what is printed."""
    out = io.StringIO()
    told = out if together else io.StringIO()
    status = 0
    try:
        call_command(*words, stdout=out, stderr=told)
    except CommandError as error:
        status = error.returncode
        told.write(f"CommandError: {error}\n")
    except SystemExit as left:
        status = int(left.code or 0)
    return Printed(status, out.getvalue(), told.getvalue())


def options_of(name: str) -> list[argparse.Action]:
    """The options of a command that are its own."""
    from django.core.management import BaseCommand, load_command_class

    usual = {action.dest for action in BaseCommand().create_parser("x", "x")._actions}
    command: Any = load_command_class("probes", name)
    parser = command.create_parser("manage.py", name)
    return [action for action in parser._actions if action.dest not in usual]
