"""A real OpenSSH server on a free loopback port, with keys and an environment of its own.

Runs as whoever runs the tests: as root it needs the privilege separation folder, which it makes.
Sessions log in as that same user, by key. Nothing of the machine's own sshd is read or touched.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hosts.target import Login, Pin, Target, Trust
from tests.servers import _die_with_parent, find_program, free_port
from tests.waiting import wait_until

PRIVILEGE_SEPARATION = Path("/run/sshd")
START_ATTEMPTS = 5


def make_key(path: Path, kind: str = "ed25519", *, passphrase: str = "") -> str:
    """Make a key pair at ``path`` and ``path.pub``; returns the text of the private key."""
    program = find_program("ssh-keygen", package="openssh-client")
    command = [program, "-q", "-t", kind, "-N", passphrase, "-C", "netadmin tests", "-f", str(path)]
    if kind == "rsa":
        command += ["-b", "2048"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.read_text(encoding="ascii")


class Sshd:
    """One server in ``folder``: a context manager, or ``start`` and ``stop``.

    ``environment`` is what sessions see (PATH and HOME included); ``options`` are further lines
    of sshd_config. ``client_key`` is the text of a private key it accepts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        host_keys: Sequence[str] = ("ed25519",),
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.port = 0
        self.user = getpass.getuser()
        self._host_keys = tuple(host_keys)
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        self.home.mkdir(mode=0o700, exist_ok=True)
        self._environment = {"HOME": str(self.home), **(environment or {})}
        self.client_key = make_key(folder / "client")
        self.client_key_file = folder / "client"
        self._authorized = folder / "authorized_keys"
        self.authorize(folder / "client.pub")
        for kind in self._host_keys:
            make_key(folder / f"host_{kind}", kind)

    def authorize(self, public_key: Path) -> None:
        """Let the owner of another key in too."""
        with self._authorized.open("a", encoding="ascii") as file:
            file.write(public_key.read_text(encoding="ascii"))

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / "sshd.log"

    @property
    def pid(self) -> int:
        """Of the listening process; sessions are its children."""
        assert self._process is not None
        return self._process.pid

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Every host key of the server, trusted."""
        pins = []
        for kind in self._host_keys:
            name, blob = (self.folder / f"host_{kind}.pub").read_text(encoding="ascii").split()[:2]
            pins.append(Pin(key_type=name, key_base64=blob, trust=Trust.TRUSTED))
        return tuple(pins)

    def login(self, **changes: object) -> Login:
        """The login it accepts, by key."""
        given: dict[str, object] = {"user": self.user, "private_key": self.client_key, **changes}
        return Login(**given)  # type: ignore[arg-type]

    def target(self, **changes: object) -> Target:
        """How to reach it, with its keys trusted and a deadline fit for tests."""
        given: dict[str, object] = {
            "name": "sshd",
            "address": "127.0.0.1",
            "port": self.port,
            "login": self.login(),
            "pins": self.pins,
            "deadline_s": 60.0,
            **changes,
        }
        return Target(**given)  # type: ignore[arg-type]

    def start(self) -> Sshd:
        """Start it and wait until it greets."""
        program = shutil.which("sshd") or find_program(
            "sshd", "/usr/sbin/sshd", package="openssh-server"
        )
        if os.geteuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        for _attempt in range(START_ATTEMPTS):
            # Another test may take the free port first.
            self.port = free_port()
            command = [program, "-D", "-e", "-f", str(self._configuration())]
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=_die_with_parent(signal.SIGTERM),
                    start_new_session=True,
                )
            wait_until(self._answers_or_ended, timeout_s=60, what="sshd greets")
            if self._process.poll() is None:
                return self
        raise AssertionError(f"sshd did not start:\n{self.log.read_text(errors='replace')}")

    def stop(self) -> None:
        """Stop it and every session it started."""
        process, self._process = self._process, None
        if process is None:
            return
        below = descendants(process.pid)
        process.kill()
        process.wait()
        # A command whose session broke belongs to init by now, but still has this server's HOME.
        for pid in {*below, *self._at_home()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Sshd:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _at_home(self) -> list[int]:
        """Processes of this server's sessions, by their environment."""
        mark = f"HOME={self._environment['HOME']}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
        return found

    def _configuration(self) -> Path:
        setenv = " ".join(f"{name}={value}" for name, value in self._environment.items())
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {self.folder / f'host_{kind}'}" for kind in self._host_keys),
            f"AuthorizedKeysFile {self._authorized}",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"SetEnv {setenv}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "PrintMotd no",
            "UseDNS no",
            "MaxStartups 100:30:200",
            "LogLevel VERBOSE",
            *self._options,
        ]
        path = self.folder / "sshd_config"
        # The first value of an option counts, so a test's own come first.
        path.write_text("\n".join([*self._options, *lines]) + "\n", encoding="utf-8")
        return path

    def _answers_or_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False


def descendants(pid: int) -> list[int]:
    """Processes below ``pid``, parents first, from /proc."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = [int(word) for word in (task / "children").read_text().split()]
                found += children
                waiting += children
    return found


BASICS = (
    "sh bash cat grep id flock uname ps sleep rm head tail timeout seq touch env mkfifo kill wc"
)


def toolbox(folder: Path, *, without: Sequence[str] = (), **scripts: str) -> Path:
    """A folder for a session's PATH: links to the machine's basic programs, and own scripts.

    Each keyword is a program name with the body of a ``sh`` script; ``without`` are missing.
    netstat, ss and sudo are there only where a script stands for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in BASICS.split():
        program = shutil.which(name)
        link = folder / name
        if program and name not in without and name not in scripts and not link.is_symlink():
            link.symlink_to(program)
    for name, body in scripts.items():
        script = folder / name
        script.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        script.chmod(0o755)
    return folder
