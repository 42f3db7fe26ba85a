"""``manage.py up`` as its users meet it: real processes in a temporary data folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import psycopg
import pytest

from netadmin.env import VARIABLES
from tests.servers import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_S = 180.0
STOP_S = 90.0


class Site:
    """One ``up`` on a data folder and a free port, and its terminal."""

    def __init__(
        self, data: Path, terminals: Path, *, port: int | None = None, **settings: str
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.terminal = terminals / f"terminal-{time.monotonic_ns()}.txt"
        # Empty, not absent: an operator's .env in the checkout must not fill them in.
        environ = {**os.environ, **{variable.name: "" for variable in VARIABLES}}
        for name in ("DEBUG", "TRUSTED_PROXIES", "LOG_LEVEL", "EMAIL_URL", "DATA_DIR"):
            del environ[name]
        for variable in VARIABLES:
            if variable.kind == "int" or variable.name in {"TIME_ZONE", "LANGUAGE_CODE"}:
                environ[variable.name] = str(variable.default)
        self.environ = {**environ, **settings}
        # No pipe: what is left open by an orphan must not hold this test up.
        with self.terminal.open("wb") as terminal:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(ROOT / "manage.py"), "up"),
                    *("--port", str(self.port), "--data", str(data)),
                ],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.terminal.read_text(encoding="utf-8")

    def wait_ready(self) -> Site:
        def ready() -> bool:
            assert self.process.poll() is None, self.text
            return f"ready at http://127.0.0.1:{self.port}/" in self.text

        try:
            wait_until(ready, timeout_s=START_S)
        except AssertionError as error:
            raise AssertionError(f"netadmin is not ready:\n{self.text}") from error
        return self

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=STOP_S)

    def refused(self) -> str:
        """The one line with which a start that cannot be refused itself."""
        assert self.process.wait(timeout=START_S) == 1, self.text
        lines = self.text.splitlines()
        assert len(lines) == 1, self.text
        return lines[0]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def processes(self) -> dict[int, str]:
        """Command lines of the processes that work on this data folder, by id."""
        found = {}
        mark = f"DATA_DIR={self.data}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    found[int(folder.name)] = b" ".join(words).decode()
            except OSError:
                continue
        return found

    def pid_of(self, words: str) -> int:
        return min(pid for pid, command in self.processes().items() if words in command)

    def password(self) -> str | None:
        found = re.search(r"Password: +(\S+)", self.text)
        return found[1] if found else None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.data}/netadmin.sqlite3?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


Start = Callable[..., Site]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a site on the test's data folder; whatever runs at the end is ended."""
    yield from starting(tmp_path)


def starting(folder: Path) -> Iterator[Start]:
    sites: list[Site] = []

    def start(data: Path = folder / "site", **options: Any) -> Site:
        sites.append(Site(data, folder, **options))
        return sites[-1]

    yield start
    for site in sites:
        if site.process.poll() is None:
            site.stop(signal.SIGTERM)
        for pid in site.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def start_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same on one data folder for the tests of this module."""
    yield from starting(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def first(start_once: Start) -> Site:
    """A site that runs, started on an empty folder."""
    return start_once().wait_ready()


@pytest.fixture(scope="module")
def killed(first: Site) -> Site:
    """That site when nothing runs of it any more, since its first process was killed. The tests
    that need it running stand above those that ask for this."""
    if first.process.poll() is None:
        first.stop(signal.SIGKILL)
    return first


@pytest.fixture
def prepared(killed: Site, tmp_path: Path) -> None:
    """The test's data folder is one that a site was started on before: that is quicker."""
    shutil.copytree(killed.data, tmp_path / "site", ignore=_sockets)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if stat.S_ISSOCK((Path(folder) / name).stat().st_mode)]


def browser_session() -> OpenerDirector:
    return build_opener(HTTPCookieProcessor(CookieJar()))


def answers(site: Site, path: str) -> bool:
    try:
        return bool(browser_session().open(site.url(path), timeout=60).status == 200)
    except HTTPError:
        return False


def second_terminal(site: Site, *arguments: str) -> str:
    """Run a management command for the site's data folder; returns its last line."""
    environ = {**site.environ, "DATA_DIR": str(site.data), "SITE_URL": site.url("")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def log_in(site: Site, password: str) -> str:
    """Log in as the administrator by the form; returns the page one lands on."""
    session = browser_session()
    page = session.open(site.url("/"), timeout=60)
    form = page.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token, form
    fields = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": password}
    answer = session.open(page.url, data=urlencode(fields).encode(), timeout=60)
    return str(answer.read().decode())


def test_a_first_start_is_a_whole_site(first: Site) -> None:
    password = first.password()
    assert password
    assert first.text.count(password) == 1
    assert browser_session().open(first.url("/healthz"), timeout=60).status == 200
    below = Request(first.url("/x/healthz"), headers={"SCRIPT_NAME": "/x"})
    with pytest.raises(HTTPError, match="404"):  # the path is what the client asked for
        browser_session().open(below, timeout=60)
    assert 'name="password"' not in log_in(first, password)
    assert 'name="password"' in log_in(first, "wrong")

    # This machine is the first host, and is probed without being asked.
    assert first.rows("SELECT is_local, enabled FROM hosts_host") == [(1, 1)]
    wait_until(
        lambda: first.rows("SELECT 1 FROM probes_snapshot WHERE outcome IN ('ok', 'limited')"),
        timeout_s=120,
        what="this machine is probed",
    )

    # A command typed in a second terminal works on the same site.
    token = second_terminal(first, "api_token", "admin", "--scope", "read")
    request = Request(first.url("/api/v1/hosts/"), headers={"Authorization": f"Bearer {token}"})
    listed = json.load(browser_session().open(request, timeout=60))
    assert listed["success"]

    for path in (first.data / "env", first.data / "netadmin.sqlite3", first.data / "broker.sock"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert stat.S_IMODE(first.data.stat().st_mode) == 0o700
    for log in (first.data / "log").glob("*.log"):
        assert password not in log.read_text()


def test_a_second_instance_is_refused_in_one_line(first: Site, start_once: Start) -> None:
    line = start_once().refused()
    assert "already runs" in line
    assert f"http://127.0.0.1:{first.port}/ (process {first.process.pid})" in line
    assert browser_session().open(first.url("/healthz"), timeout=60).status == 200


def test_a_killed_parent_leaves_no_orphan(first: Site, request: pytest.FixtureRequest) -> None:
    assert len(first.processes()) >= 4
    request.getfixturevalue("killed")
    wait_until(lambda: not first.processes(), timeout_s=STOP_S, what="all children are gone")


def test_a_start_after_that_keeps_the_data_and_stops_clean(killed: Site, start_once: Start) -> None:
    secrets = killed.data / "env"
    before, password = secrets.read_bytes(), killed.password()
    assert password
    assert (killed.data / "broker.sock").exists()

    again = start_once(port=killed.port).wait_ready()
    assert again.password() is None
    assert secrets.read_bytes() == before
    assert 'name="password"' not in log_in(again, password)
    assert again.rows("SELECT count(*) FROM hosts_host") == [(1,)]
    assert again.stop(signal.SIGTERM) == 0
    assert again.processes() == {}


@pytest.mark.parametrize("name", ["broker", "worker", "beat", "web"])
def test_one_childs_death_stops_all_and_says_which(prepared: None, start: Start, name: str) -> None:
    words = {"broker": "valkey-server", "web": "gunicorn"}.get(name, f"celery:app {name}")
    site = start().wait_ready()
    os.kill(site.pid_of(words), signal.SIGKILL)
    assert site.process.wait(timeout=STOP_S) == 1
    assert f"netadmin: {name} ended (killed by SIGKILL); stopping everything." in site.text
    wait_until(lambda: not site.processes(), timeout_s=STOP_S, what="all are gone")


def test_stopping_while_it_starts_leaves_nothing(start: Start) -> None:
    site = start()
    wait_until(lambda: "preparing" in site.text, timeout_s=START_S, what="it prepares")
    assert site.stop(signal.SIGINT) == 0, site.text
    wait_until(lambda: not site.processes(), timeout_s=STOP_S, what="all are gone")


def test_a_busy_port_is_refused_in_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = start(port=port).refused()
    assert line == (
        f"netadmin: Port {port} on 127.0.0.1 is in use by another program; "
        f"choose another with --port {port + 1 if port < 65535 else 8001}"
    )


def test_a_data_folder_that_cannot_be_written_is_refused_in_one_line(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    line = start(tmp_path / "file" / "site").refused()
    assert line.startswith(f"netadmin: Cannot write to the data folder {tmp_path}/file/site: ")
    assert line.endswith("Name another with --data DIR.")


def test_secrets_that_others_can_read_are_refused_in_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "env").write_text("SECRET_KEY=x\n")
    (tmp_path / "site" / "env").chmod(0o644)
    assert start().refused().endswith(f"can be read by others: chmod 600 {tmp_path}/site/env")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "８０００", "1_0", ""])
def test_a_port_out_of_range_is_named(port: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "up", f"--port={port}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "argument --port" in done.stderr.splitlines()[-1]
    assert "is no port between 1 and 65535" in done.stderr


def test_an_address_of_no_machine_is_refused_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "manage.py"), "up"),
            *("--host", "192.0.2.77", "--data", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("netadmin: Cannot listen on 192.0.2.77 port 8000: ")
    assert len(done.stderr.splitlines()) == 1


def test_postgresql_and_redis_are_used_where_they_are_named(
    start: Start, postgres_url: str, redis_url: str
) -> None:
    site = start(DATABASE_URL=postgres_url, REDIS_URL=redis_url).wait_ready()
    assert not any("valkey-server" in command for command in site.processes().values())
    assert not (site.data / "broker.sock").exists()
    assert not (site.data / "netadmin.sqlite3").exists()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT username FROM auth_user").fetchall() == [("admin",)]
    # Database, broker, worker and scheduler: the heartbeat comes through all of them.
    wait_until(lambda: answers(site, "/readyz"), timeout_s=120, what="/readyz is well")
    assert site.stop(signal.SIGINT) == 0, site.text
    assert site.processes() == {}
    assert site.text.endswith("netadmin: stopped\n")


def test_a_database_that_cannot_be_reached_is_named(start: Start) -> None:
    site = start(DATABASE_URL=f"postgres://netadmin@127.0.0.1:{free_port()}/netadmin")
    assert site.process.wait(timeout=START_S) == 1
    assert "The database cannot be used: connection failed" in site.text
    assert "Traceback" not in site.text
    assert site.processes() == {}
