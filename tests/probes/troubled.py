"""A host in real trouble, in network namespaces of its own: probed, and told as JSON.

Run by ``tests.probes.test_real_troubles`` alone, through ``unshare``. On the near of two hosts
joined by a virtual cable it makes a program leak connections, a listener whose queue is full, many
connections in TIME_WAIT and half-open ones from forged addresses, and probes that host with the
local transport between the steps: by netstat, and last of all by ss.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from hosts.target import Target
from probes import runner
from probes.observation import Observation
from tests.captures.namespaces import NEAR_MAC, Hosts
from tests.captures.packets import send_syn
from tests.waiting import wait_until

LEAKING, FULL, CLOSING, FLOODED = 5001, 5002, 5003, 5004
"""Ports of the listeners, by what goes wrong there."""
STEPS, A_STEP = 5, 4
"""Probes, and connections that leak between two of them."""
WAITS = 150
SYNS = 90
RANGE = "40000 40199"


def listener(port: int, backlog: int) -> socket.socket:
    made = socket.create_server(("10.9.1.1", port), backlog=backlog)
    made.settimeout(10)
    return made


def leak(server: socket.socket, kept: list[socket.socket]) -> None:
    """The server closes; the client, this program, does not."""
    for _number in range(A_STEP):
        client = socket.create_connection(server.getsockname(), timeout=10)
        accepted, _peer = server.accept()
        accepted.close()
        assert client.recv(1) == b""
        kept.append(client)


def fill(server: socket.socket, kept: list[socket.socket]) -> None:
    """More connections than the queue holds; none is accepted."""
    for _number in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        kept.append(client)


def close_first(server: socket.socket) -> None:
    """The client closes first, so that it is left in TIME_WAIT."""
    for _number in range(WAITS):
        client = socket.create_connection(server.getsockname(), timeout=10)
        accepted, _peer = server.accept()
        client.close()
        assert accepted.recv(1) == b""
        accepted.close()


def flood(hosts: Hosts) -> None:
    """SYNs from the cable, from addresses that will never answer."""
    with hosts.far():
        for number in range(SYNS):
            source = (f"198.18.{number}.{number + 1}", 1024 + number)
            send_syn("far0", to_mac=NEAR_MAC, source=source, target=("10.9.1.1", FLOODED))


def half_open() -> int:
    states = subprocess.run(["ss", "-Hnt", "state", "syn-recv"], capture_output=True, check=True)
    return states.stdout.count(b"\n")


def hide(program: str) -> None:
    """Make the near host one that has no such program."""
    path = shutil.which(program)
    assert path is not None
    subprocess.run(["mount", "--bind", "/dev/null", str(Path(path).resolve())], check=True)


def probe() -> dict[str, Any]:
    seen: Observation = runner.observe(Target("near"), tables=True)
    assert seen.failure is None, seen.failure
    told = dataclasses.asdict(dataclasses.replace(seen, raw=b"", tables=()))
    return told | {"taken_at": seen.taken_at.isoformat(), "raw": ""}


def main() -> None:
    """Print the observations, oldest first."""
    hosts = Hosts("127.0.0.1 localhost\n")
    hosts.add_routes()
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(RANGE, encoding="ascii")
    Path("/proc/sys/net/ipv4/tcp_syncookies").write_text("0", encoding="ascii")
    kept: list[socket.socket] = []
    leaking, full, closing = listener(LEAKING, 9), listener(FULL, 1), listener(CLOSING, 9)
    flooded = listener(FLOODED, 512)
    fill(full, kept)
    close_first(closing)
    flood(hosts)
    wait_until(lambda: half_open() >= SYNS, what="half-open connections")
    seen = []
    for _step in range(STEPS):
        leak(leaking, kept)
        seen.append(probe())
    hide("netstat")
    seen.append(probe())
    json.dump(seen, sys.stdout)
    for each in (*kept, leaking, full, closing, flooded):
        each.close()


main()
