"""Servers for the transports' tests, and the watch over threads and descriptors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.target import Target
from probes import runner
from probes.observation import Observation
from probes.transports.pool import Pool
from tests.sshd import Sshd, toolbox
from tests.waiting import wait_until

Probe = Callable[..., Observation]

DEADLINES_S = (1.0, 5.0, 30.0)
LATE_S = 30.0
"""What a loaded machine may add to a deadline; whatever hangs in these tests hangs for an hour."""

PERMANENT = {"probe-watchdog"}
"""Threads that serve the whole process and end by themselves when there is nothing to watch."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A well-behaved OpenSSH server with netstat and ss in its sessions' PATH."""
    folder = tmp_path_factory.mktemp("sshd")
    path = toolbox(folder / "bin", netstat="cat <<'END'\n" + SMALL_TABLE + "END")
    kinds = ("ed25519", "ecdsa", "rsa")
    with Sshd(folder / "server", environment={"PATH": str(path)}, host_keys=kinds) as server:
        yield server


SMALL_TABLE = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
tcp6       0      0 :::80                   :::*                    LISTEN      911/nginx
"""


@pytest.fixture
def sshd_with(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """``sshd_with(netstat="...", without=[...], options=[...])``: a server of the test's own."""
    started: list[Sshd] = []

    def start(
        *, without: tuple[str, ...] = (), options: tuple[str, ...] = (), **scripts: str
    ) -> Sshd:
        folder = tmp_path / f"sshd{len(started)}"
        path = toolbox(folder / "bin", without=without, **scripts)
        server = Sshd(folder, environment={"PATH": str(path)}, options=options).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def leaves_nothing() -> Iterator[None]:
    """The test ends with no more threads and descriptors than it began with.

    Ask for it before the servers of the test, so that they are gone when it looks.
    """
    threads = set(threading.enumerate())
    descriptors = open_descriptors()
    yield

    def left() -> bool:
        extra = [t for t in threading.enumerate() if t not in threads and t.name not in PERMANENT]
        return not extra and open_descriptors() <= descriptors

    wait_until(left, what=f"threads {threading.enumerate()} end and descriptors close")


def open_descriptors() -> int:
    """Descriptors of this process, besides the one that counts them."""
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool, closed afterwards."""
    with Pool() as pool:
        yield pool


@pytest.fixture
def probe() -> Probe:
    """``probe(target, pool=None)``: observe, and fail if it outlasts its deadline by LATE_S."""

    def run(target: Target, pool: Pool | None = None) -> Observation:
        observed: list[Observation] = []
        thread = threading.Thread(
            target=lambda: observed.append(runner.observe(target, pool=pool)), daemon=True
        )
        thread.start()
        thread.join(target.deadline_s + LATE_S)
        assert observed, (
            f"the probe outlasted its deadline of {target.deadline_s} s by {LATE_S:g} s"
        )
        return observed[0]

    return run


@pytest.fixture
def probe_until(probe: Probe) -> Callable[..., Observation]:
    """``probe_until(reached, target_with, pool=None)``: a probe that its deadline ends.

    The deadline is one second; where a loaded machine did not get as far as
    ``reached(observation)`` in that time, another probe has longer. ``target_with(deadline_s)``
    makes its target.
    """

    def run(
        reached: Callable[[Observation], object],
        target_with: Callable[[float], Target],
        pool: Pool | None = None,
    ) -> Observation:
        for deadline_s in DEADLINES_S:
            observation = probe(target_with(deadline_s), pool)
            if reached(observation):
                return observation
        raise AssertionError(f"not reached within {DEADLINES_S[-1]} s: {observation}")

    return run
