"""How long the questions to a month of history take: in SQL, and as pages.

``python -m bench.history [--postgresql 10000000] [--sqlite 1000000] [--hosts 500]
[--folder FOLDER] [--times 40]`` fills a PostgreSQL started for it and an SQLite file from a seed
(``bench.seeded_history``), asks each question with other parameters each time, and prints the
table of docs/performance.md, in ms: p50 and p95 of the time inside the database's statements (as
the client waits for their last row), and p95 of the whole page through Django's test client; and
of both the CPU time that this process and the server's used, which other work disturbs less. With
``--folder`` what was filled is kept there and used again; ``--only`` asks some of the questions.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SQL_TARGET_MS, PAGE_TARGET_MS = 100, 400
SEED = 7


@dataclass
class Timed:
    """One question: milliseconds of each time it was asked."""

    question: str
    sql_ms: list[float]
    sql_cpu_ms: list[float]
    statements: int
    page_ms: list[float]
    page_cpu_ms: list[float]
    bytes: int


class Stopwatch:
    """Adds up what statements take, until their last row came. Each is run once more for that,
    before it is run for who asks: what is streamed or comes row by row from SQLite would else
    look as if it cost nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_s = 0.0
        self.statements = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements += 1
        if not many and sql.lstrip("( \n").upper().startswith(("SELECT", "WITH")):
            cursor = context["connection"].create_cursor()
            started, cpu_s = time.perf_counter(), _cpu_s()
            # Given empty parameters, SQLite's cursor would look for marks in the statement.
            cursor.execute(sql, params) if params else cursor.execute(sql)
            cursor.fetchall()
            self.seconds += time.perf_counter() - started
            self.cpu_s += _cpu_s() - cpu_s
            cursor.close()
            return execute(sql, params, many, context)
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds += time.perf_counter() - started


def _cpu_s() -> float:
    """What this process and the server's process behind its connection have used so far: what a
    question costs however busy the machine is. Parallel workers of PostgreSQL are not in it."""
    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql" or connection.connection is None:
        return own
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return own + int(backend.read_text().split()[0]) / 1e9


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """The default connection's statements, timed."""
    from django.db import connection

    stopwatch = Stopwatch()
    with connection.execute_wrapper(stopwatch):
        yield stopwatch


def ask(fleet: Any, times: int, only: str = "") -> list[Timed]:
    """Every question (whose name holds ``only``), so many times; those without a target less."""
    from django.contrib.auth.models import User
    from django.test import Client

    from bench import history_questions

    user = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("ann")
    client = Client()
    client.force_login(user)
    asked = []
    for question in history_questions.QUESTIONS:
        if only not in question.name:
            continue
        numbers = random.Random(SEED)
        often = times if question in history_questions.TARGETS else min(times, 5)
        drawn = [question.draw(numbers, fleet) for _ in range(often)]

        def page(given: Any, question: Any = question) -> int:
            response = client.get(question.page(given))
            body = response.getvalue()
            assert response.status_code == 200, (question.page(given), response.status_code)
            return len(body)

        run = question.run or page
        sql_ms, sql_cpu_ms, statements = [], [], 0
        run(drawn[0])  # plans and caches of the process, once
        for given in drawn:
            with watched() as stopwatch:
                run(given)
            sql_ms.append(stopwatch.seconds * 1000)
            sql_cpu_ms.append(stopwatch.cpu_s * 1000)
            statements = max(statements, stopwatch.statements)
        page_ms, page_cpu_ms, size = [], [], 0
        if question.page is not None:
            page(drawn[0])
            for given in drawn:
                started, cpu_s = time.perf_counter(), _cpu_s()
                size = max(size, page(given))
                page_ms.append((time.perf_counter() - started) * 1000)
                page_cpu_ms.append((_cpu_s() - cpu_s) * 1000)
        asked.append(
            Timed(question.name, sql_ms, sql_cpu_ms, statements, page_ms, page_cpu_ms, size)
        )
        slowest = _percentile(page_ms, 95) if page_ms else 0
        print(f"{question.name}: {_percentile(sql_ms, 50):.0f} {_percentile(sql_ms, 95):.0f}"
              f" {slowest:.0f} ms", file=sys.stderr, flush=True)  # fmt: skip
    return asked


def run(
    intervals: int, hosts: int, times: int, folder: Path, only: str = ""
) -> list[dict[str, Any]]:
    """In the process of one engine: fill where that was not done, then ask."""
    import django

    django.setup()
    from django.core.management import call_command

    from bench import seeded_history

    made = folder / "fleet.json"
    call_command("migrate", verbosity=0)
    if not made.exists():
        until = dt.datetime.now(tz=dt.UTC)
        started = time.perf_counter()
        fleet = seeded_history.build(hosts=hosts, closed=intervals, until=until)
        print(f"filled in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        made.write_text(json.dumps(asdict(fleet), default=str))
    call_command("collectstatic", interactive=False, verbosity=0)
    found = json.loads(made.read_text())
    fleet = seeded_history.Fleet(
        found["host_ids"],
        dt.datetime.fromisoformat(found["since"]),
        dt.datetime.fromisoformat(found["until"]),
        found["clients"],
    )
    return [asdict(timed) for timed in ask(fleet, times, only)]


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def table(engine: str, intervals: int, hosts: int, asked: list[dict[str, Any]]) -> str:
    """Markdown."""
    out = [
        f"**{engine}: {intervals:,} closed intervals, {hosts} hosts, 30 days**",
        "",
        "| question | statements | SQL p50 | SQL p95 | its CPU p95 | page p95 | its CPU p95 | KB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in asked:
        numbers = [
            str(one["statements"]),
            f"{_percentile(one['sql_ms'], 50):.0f}",
            *(
                f"{_percentile(one[name], 95):.0f}" if one[name] else ""
                for name in ("sql_ms", "sql_cpu_ms", "page_ms", "page_cpu_ms")
            ),
            f"{one['bytes'] / 1024:.0f}",
        ]
        out.append(f"| {one['question']} | {' | '.join(numbers)} |")
    return "\n".join([*out, ""])


def measure(engine: str, url: str, intervals: int, options: argparse.Namespace,
            folder: Path) -> str:  # fmt: skip
    """One engine, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "netadmin.settings",
        "SECRET_KEY": "only-for-this-benchmark",
        "FIELD_ENCRYPTION_KEYS": f"b1:{'A' * 43}=",
        "SITE_URL": "http://testserver",
        "DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": "memory://",
        "LOG_LEVEL": "WARNING",
        "DEBUG": "off",
    }
    job = json.dumps([intervals, options.hosts, options.times, str(folder), options.only])
    done = subprocess.run(
        [sys.executable, "-m", "bench.history", "--run", job],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return table(engine, intervals, options.hosts, json.loads(done.stdout.splitlines()[-1]))


def main(options: argparse.Namespace) -> str:
    """The result as Markdown."""
    from tests.servers import PostgreSQL

    keep: Callable[[], Any] = (
        tempfile.TemporaryDirectory if options.folder is None else lambda: _kept(options.folder)
    )
    out = []
    with keep() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if options.sqlite:
            out.append(measure("SQLite", "", options.sqlite, options, folder / "sqlite"))
        if options.postgresql:
            with PostgreSQL(folder / "postgresql") as server:
                out.append(
                    measure("PostgreSQL", server.url, options.postgresql, options, folder / "pg")
                )
    return "\n".join(out)


@contextmanager
def _kept(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    yield str(folder)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--postgresql", type=int, default=10_000_000, help="0: leave it out")
    arguments.add_argument("--sqlite", type=int, default=1_000_000, help="0: leave it out")
    arguments.add_argument("--hosts", type=int, default=500)
    arguments.add_argument("--times", type=int, default=40)
    arguments.add_argument("--folder", type=Path, help="keep what was filled, and use it again")
    arguments.add_argument("--only", default="", help="part of a question's name")
    arguments.add_argument("--run", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        intervals, hosts, times, where, *only = json.loads(given.run)
        print(json.dumps(run(intervals, hosts, times, Path(where), *only)))
    else:
        print(main(given))
