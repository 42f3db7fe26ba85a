"""A whole netadmin of the test's own: PostgreSQL, a broker, workers and schedulers as processes.

For tests of what only shows between processes: leases, killed workers, a wiped broker.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import Redis, _die_with_parent

ROOT = Path(__file__).resolve().parent.parent
PYTHON_PREFIX = "import os, django; django.setup()\n"


class Process:
    """One started process and what it wrote."""

    def __init__(self, command: list[str], *, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent(signal.SIGKILL),
            )

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """``kill -9`` of the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)


class Site:
    """Settings, commands and processes over one database and one broker."""

    def __init__(self, database_url: str, redis: Redis, folder: Path, **settings: str) -> None:
        self.redis = redis
        self.folder = folder
        self.database_url = database_url
        self.processes: list[Process] = []
        self.env = {
            "SECRET_KEY": "only-for-tests-" + "k" * 50,
            "FIELD_ENCRYPTION_KEYS": "t1:" + base64.b64encode(b"only-for-tests--" * 2).decode(),
            "DJANGO_SETTINGS_MODULE": "netadmin.settings",
            **os.environ,
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": redis.url,
            "DATA_DIR": str(folder),
            **settings,
        }

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py`` and return its standard output; a failure fails the test."""
        return self._run([sys.executable, "manage.py", *arguments])

    def python(self, code: str) -> str:
        """Run Python code with Django set up, as a process of this site."""
        return self._run([sys.executable, "-c", PYTHON_PREFIX + code])

    def worker(self, name: str, *options: str) -> Process:
        """Start a Celery worker node."""
        return self._start("worker", "--hostname", f"{name}@test", *options, log=name)

    def beat(self, name: str) -> Process:
        """Start a scheduler."""
        schedule = str(self.folder / f"{name}.schedule")
        return self._start("beat", "--schedule", schedule, "--pidfile=", log=name)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of one query against the site's database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, parameters).fetchall()  # type: ignore[arg-type]

    def value(self, sql: str, *parameters: Any) -> Any:
        """The one value of a query."""
        return self.rows(sql, *parameters)[0][0]

    def logs(self) -> str:
        """Everything the processes wrote."""
        return "\n".join(process.log.read_text(errors="replace") for process in self.processes)

    def stop(self) -> None:
        """Kill every process."""
        for process in self.processes:
            process.kill()

    def _start(self, *arguments: str, log: str) -> Process:
        command = [sys.executable, "-m", "celery", "--app", "netadmin", "--quiet", *arguments]
        process = Process(command, env=self.env, log=self.folder / f"{log}.log")
        self.processes.append(process)
        return process

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def running_site(
    url: str, folder: Path, *, migrated: bool = False, **settings: str
) -> Iterator[Site]:
    """A migrated site with a broker of its own; everything is killed at the end. ``migrated`` says
    that its database is so already."""
    with Redis(folder / "redis") as redis:
        site = Site(url, redis, folder, **settings)
        try:
            if not migrated:
                site.manage("migrate", "--verbosity", "0")
            yield site
        finally:
            site.stop()
