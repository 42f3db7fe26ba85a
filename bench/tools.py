"""How long the history tools of assistants take over a month of history, as the whole answer.

``python -m bench.tools [--folder FOLDER] [--times 40] [--only NAME]`` asks each tool that reads
history through ``/mcp`` (token, audit, arguments, queries, shaping, JSON), with other arguments
each time, over the SQLite file with a million intervals that ``bench.history`` fills (in
``FOLDER/sqlite``; filled first where it is not there; it is copied and the copy is migrated). It
prints the table of docs/performance.md: p50 and p95 of the whole answer in ms, the CPU time that it
used, which other work disturbs less, its statements, and the size of the largest answer.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.history import SEED, _cpu_s, _percentile, run

TARGET_MS: Final = 300
INTERVALS, HOSTS = 1_000_000, 500


@dataclass(frozen=True)
class Question:
    """A tool with drawn arguments."""

    name: str
    tool: str
    draw: Callable[[random.Random, Any], dict[str, Any]]


def _at(numbers: random.Random, fleet: Any) -> str:
    when = fleet.since + (fleet.until - fleet.since) * numbers.uniform(0.02, 1)
    return str(when.isoformat())


def _host(numbers: random.Random, fleet: Any) -> str:
    return str(numbers.choice(fleet.host_ids))


def _client(numbers: random.Random, fleet: Any) -> str:
    # One of the frequent ones: whoever is looked for usually did something.
    return str(fleet.clients[int(2_000 * numbers.random() ** 2)])


def _day(numbers: random.Random, fleet: Any) -> dict[str, str]:
    until = fleet.since + (fleet.until - fleet.since) * numbers.uniform(0.1, 1)
    return {"since": (until - dt.timedelta(days=1)).isoformat(), "until": until.isoformat()}


def _port(numbers: random.Random) -> int:
    return numbers.choice((22, 80, 443, 5432, 6379, 8080, 9100))


def _times(numbers: random.Random, fleet: Any) -> dict[str, str]:
    earlier, later = sorted((_at(numbers, fleet), _at(numbers, fleet)))
    return {"from": earlier, "to": later}


QUESTIONS: Final = (
    Question("connections_at, now", "connections_at", lambda n, f: {"host": _host(n, f)}),
    Question(
        "connections_at, a past time, 200 rows",
        "connections_at",
        lambda n, f: {"host": _host(n, f), "at": _at(n, f), "limit": 200},
    ),
    Question("diff_times, newest two", "diff_times", lambda n, f: {"host": _host(n, f)}),
    Question(
        "diff_times, any two times",
        "diff_times",
        lambda n, f: {"host": _host(n, f), **_times(n, f)},
    ),
    Question(
        "who_talked_to, an address, all history",
        "who_talked_to",
        lambda n, f: {"ip": _client(n, f)},
    ),
    Question(
        "who_talked_to, an address, a day",
        "who_talked_to",
        lambda n, f: {"ip": _client(n, f), **_day(n, f)},
    ),
    Question(
        "who_talked_to, a network of 256, all history",
        "who_talked_to",
        lambda n, f: {"cidr": _client(n, f).rpartition(".")[0] + ".0/24"},
    ),
    Question(
        "who_talked_to, a port of one host, a day",
        "who_talked_to",
        lambda n, f: {"port": _port(n), "host": _host(n, f), **_day(n, f)},
    ),
    Question(
        "who_talked_to, a port, a day, all hosts",
        "who_talked_to",
        lambda n, f: {"port": _port(n), **_day(n, f)},
    ),
    Question(
        "who_talked_to, a program, a day, all hosts",
        "who_talked_to",
        lambda n, f: {"program": n.choice(("nginx", "sshd", "java")), **_day(n, f)},
    ),
    Question(
        "who_talked_to, a port, all history",
        "who_talked_to",
        lambda n, _f: {"port": _port(n)},
    ),
    Question(
        "explain_port, now",
        "explain_port",
        lambda n, f: {"host": _host(n, f), "port": _port(n)},
    ),
    Question(
        "explain_port, a past time",
        "explain_port",
        lambda n, f: {"host": _host(n, f), "port": _port(n), "at": _at(n, f)},
    ),
    Question("fleet_ports, one port, now", "fleet_ports", lambda n, _f: {"port": _port(n)}),
    Question(
        "fleet_ports, one port, a past time",
        "fleet_ports",
        lambda n, f: {"port": _port(n), "at": _at(n, f)},
    ),
    Question("fleet_ports, all, now", "fleet_ports", lambda _n, _f: {}),
    Question("fleet_ports, all, a past time", "fleet_ports", lambda n, f: {"at": _at(n, f)}),
    Question(
        "top_remote_ips, one host, now",
        "top_remote_ips",
        lambda n, f: {"host": _host(n, f)},
    ),
    Question(
        "top_remote_ips, one host, a past time",
        "top_remote_ips",
        lambda n, f: {"host": _host(n, f), "at": _at(n, f)},
    ),
    Question("top_remote_ips, all hosts, now", "top_remote_ips", lambda _n, _f: {}),
    Question(
        "top_remote_ips, all hosts, a past time",
        "top_remote_ips",
        lambda n, f: {"at": _at(n, f)},
    ),
    Question("open_alerts", "open_alerts", lambda _n, _f: {}),
)


def ask(fleet: Any, times: int, only: str) -> Iterator[str]:
    """The rows of the table; what takes long is told at once."""
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client

    from netadmin.access import tokens
    from netadmin.access.models import Scope

    user = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("ann")
    _row, token = tokens.create(user=user, name="bench", scope=Scope.READ)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    client = Client()

    def asked(tool: str, arguments: dict[str, Any]) -> int:
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        }
        response = client.post(
            "/mcp", json.dumps(message), content_type="application/json", headers=headers
        )
        result = json.loads(response.content)["result"]
        assert not result["isError"], result
        return len(result["content"][0]["text"].encode())

    counted = [0]

    def count(execute: Any, *given: Any) -> Any:
        counted[0] += 1
        return execute(*given)

    for question in QUESTIONS:
        if only not in question.name:
            continue
        numbers = random.Random(SEED)
        drawn = [question.draw(numbers, fleet) for _ in range(times)]
        asked(question.tool, drawn[0])  # plans and caches of the process, once
        took_ms, cpu_ms, statements, largest = [], [], 0, 0
        for arguments in drawn:
            counted[0] = 0
            started, cpu_s = time.perf_counter(), _cpu_s()
            with connection.execute_wrapper(count):
                largest = max(largest, asked(question.tool, arguments))
            took_ms.append((time.perf_counter() - started) * 1000)
            cpu_ms.append((_cpu_s() - cpu_s) * 1000)
            statements = max(statements, counted[0])
        cells = [
            question.name,
            str(statements),
            *(f"{_percentile(took_ms, percent):.0f}" for percent in (50, 95)),
            *(f"{_percentile(cpu_ms, percent):.0f}" for percent in (50, 95)),
            f"{largest / 1024:.0f}",
        ]
        late = "" if _percentile(took_ms, 95) < TARGET_MS else " (late)"
        print(" ".join(cells) + late, file=sys.stderr, flush=True)
        yield f"| {' | '.join(cells)} |"


def measured(folder: Path, times: int, only: str) -> str:
    """In the process that has the copy as its database: migrate it, then ask."""
    import django

    django.setup()
    from django.core.management import call_command

    from bench import seeded_history

    call_command("migrate", verbosity=0)
    found = json.loads((folder / "fleet.json").read_text())
    fleet = seeded_history.Fleet(
        found["host_ids"],
        dt.datetime.fromisoformat(found["since"]),
        dt.datetime.fromisoformat(found["until"]),
        found["clients"],
    )
    return "\n".join(
        [
            f"**SQLite: {INTERVALS:,} closed intervals, {HOSTS} hosts, 30 days**",
            "",
            "| tool | statements | p50 | p95 | CPU p50 | CPU p95 | KB |",
            "|---|---|---|---|---|---|---|",
            *ask(fleet, times, only),
            "",
        ]
    )


def main(options: argparse.Namespace) -> str:
    """The result as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "netadmin.settings",
            "SECRET_KEY": "only-for-this-benchmark",
            "FIELD_ENCRYPTION_KEYS": f"b1:{'A' * 43}=",
            "SITE_URL": "http://testserver",
            "DATA_DIR": str(folder),
            "DATABASE_URL": "",
            "CELERY_BROKER_URL": "memory://",
            "API_PER_MINUTE": "0",
            "LIVE_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
            "DEBUG": "off",
        }
        filled = folder if options.folder is None else options.folder / "sqlite"
        if not (filled / "fleet.json").exists():
            filled.mkdir(parents=True, exist_ok=True)
            job = json.dumps(["fill", str(filled), 0, ""])
            subprocess.run(
                [sys.executable, "-m", "bench.tools", "--run", job],
                env=environment | {"DATA_DIR": str(filled)},
                check=True,
            )
        if filled != folder:
            for part in ("netadmin.sqlite3", "fleet.json"):
                shutil.copy(filled / part, folder / part)
        job = json.dumps(["ask", str(folder), options.times, options.only])
        done = subprocess.run(
            [sys.executable, "-m", "bench.tools", "--run", job],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return done.stdout


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", type=Path, help="what bench.history keeps there is asked")
    arguments.add_argument("--times", type=int, default=40)
    arguments.add_argument("--only", default="", help="part of a question's name")
    arguments.add_argument("--run", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        act, where, often, which = json.loads(given.run)
        if act == "fill":
            run(INTERVALS, HOSTS, 0, Path(where), "no question is asked")
        else:
            print(measured(Path(where), often, which))
    else:
        print(main(given))
