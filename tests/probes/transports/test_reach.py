"""Connecting back, against real ports, and against real routes in a network of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from probes.transports import reach
from probes.transports.reach import Endpoint, Result
from tests.captures import NEEDED, _as_root
from tests.listening import open_port, refused_port, silent_port
from tests.servers import find_program

ROOT = Path(__file__).resolve().parents[3]


def results(
    *endpoints: tuple[str, int], timeout_s: float = 20.0, at_once: int = 20
) -> list[Result]:
    """In the order asked, whatever the order they ended in."""
    listed = [Endpoint(*one) for one in endpoints]
    ended = list(reach.connect(listed, timeout_s=timeout_s, at_once=at_once))
    assert len(ended) == len(listed)
    assert all(attempt.duration_ms >= 0 for attempt in ended)
    by_endpoint = {attempt.endpoint: attempt.result for attempt in ended}
    return [by_endpoint[one] for one in listed]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1"])
def test_a_port_that_listens_is_open_and_one_that_does_not_refuses(address: str) -> None:
    with open_port(address) as listening, refused_port(address) as silent:
        assert results((address, listening), (address, silent)) == [Result.OPEN, Result.REFUSED]


def test_silence_is_filtered_and_holds_nobody_else_up() -> None:
    with silent_port() as full, open_port() as listening, refused_port() as refusing:
        found = results(
            ("127.0.0.1", full),
            ("127.0.0.1", listening),
            ("127.0.0.1", refusing),
            timeout_s=0.5,
        )
    assert found == [Result.FILTERED, Result.OPEN, Result.REFUSED]


def test_nothing_is_sent_and_the_connection_is_hung_up() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        assert results(server.getsockname()) == [Result.OPEN]
        taken, _from = server.accept()
        with taken:
            taken.settimeout(20)
            assert taken.recv(100) == b""


def test_no_more_are_under_way_than_allowed_and_none_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    with ExitStack() as stack:
        ports = [stack.enter_context(silent_port()) for _number in range(5)]
        held = len(os.listdir("/proc/self/fd"))
        listed = [Endpoint("127.0.0.1", port) for port in ports]
        for attempt in reach.connect(listed, timeout_s=0.05, at_once=2):
            assert attempt.result is Result.FILTERED
            most = max(most, len(os.listdir("/proc/self/fd")) - held)
    assert 1 <= most <= 2 + 1  # those under way, and the selector
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_caller_that_stops_looking_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with silent_port() as silent, open_port() as listening:
        listed = [Endpoint("127.0.0.1", listening), Endpoint("127.0.0.1", silent)]
        attempts = reach.connect(listed, timeout_s=60, at_once=2)
        assert next(attempts).result is Result.OPEN
        attempts.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


ROUTED = """
import json, subprocess, sys
subprocess.run(["ip", "-batch", "-"], check=True, text=True, input='''link set lo up
link add near0 type veth peer name far0
address add 192.0.2.1/24 dev near0
address add 2001:db8::1/64 dev near0 nodad
link set near0 up
link set far0 up
route add unreachable 198.51.100.1
route add prohibit 198.51.100.2
route add blackhole 198.51.100.3
route add 198.51.100.4 dev near0
neighbour add 198.51.100.4 lladdr 02:00:00:00:00:01 dev near0
''')
from probes.transports import reach
from probes.transports.reach import Endpoint
listed = [Endpoint(one, 80) for one in (
    "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "203.0.113.1", "2001:db8:9::1")]
found = {one.endpoint.address: one.result for one in reach.connect(listed, timeout_s=1, at_once=9)}
own = [one for one in ("192.0.2.1", "2001:db8::1", "127.0.0.1", "0.0.0.0", "192.0.2.2",
                       "198.51.100.4", "2001:db8::2") if reach.own(one)]
print(json.dumps([found, own]))
"""


def test_routes_of_every_kind_end_as_what_they_are() -> None:
    unshare = find_program("unshare", package="util-linux")
    find_program("ip", package="iproute2")
    done = subprocess.run(
        [*_as_root(), unshare, "--net", sys.executable, "-c", ROUTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Operation not permitted" not in done.stderr, NEEDED
    assert done.returncode == 0, done.stderr
    found, own = json.loads(done.stdout)
    assert found == {
        "198.51.100.1": "unreachable",
        "198.51.100.2": "unreachable",
        "198.51.100.3": "unreachable",
        "198.51.100.4": "filtered",
        "203.0.113.1": "unreachable",
        "2001:db8:9::1": "unreachable",
    }
    assert own == ["192.0.2.1", "2001:db8::1", "127.0.0.1", "0.0.0.0"]


def test_a_name_becomes_addresses_and_no_name_becomes_none() -> None:
    assert reach.resolve("192.0.2.1") == ["192.0.2.1"]
    assert reach.resolve("2001:db8::1") == ["2001:db8::1"]
    assert reach.resolve("a..b") == []
    assert reach.resolve("x" * 300) == []
