"""Real trouble of a real kernel, probed for real, is found and told with its numbers."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from hosts.models import Host
from hosts.target import Target
from probes import runner
from probes.analysis import floods, leaks, waits
from probes.analysis.findings import Code, Kind, Severity
from probes.history import limits, store
from probes.history.queries import moments, trouble
from probes.history.queries.trouble import Found, Thresholds
from probes.observation import Observation, Privilege
from probes.wording import findings as finding_texts
from tests.captures import NAMESPACES, NEEDED, ROOT, _as_root
from tests.servers import _die_with_parent, find_program

pytestmark = pytest.mark.django_db

LEAKING, FULL, CLOSING, FLOODED = 5001, 5002, 5003, 5004
SMALL = Thresholds(
    leaks=leaks.Thresholds(fewest=8),
    floods=floods.Thresholds(fewest=50),
    waits=waits.Thresholds(outgoing=50),
)


def observed() -> list[Observation]:
    """What the probes of ``tests.probes.troubled`` saw."""
    for program, package in (("netstat", "net-tools"), ("ss", "iproute2")):
        find_program(program, package=package)
    unshare = find_program("unshare", package="util-linux")
    inside = [sys.executable, "-m", "tests.probes.troubled"]
    done = subprocess.run(
        [*_as_root(), unshare, *NAMESPACES, "--fork", "--kill-child", "--mount-proc", *inside],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
        preexec_fn=_die_with_parent(signal.SIGKILL),
        env=os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"},
    )
    if "unshare: unshare failed: Operation not permitted" in done.stderr:
        raise AssertionError(NEEDED)
    assert done.returncode == 0, done.stderr[-2000:]
    return [_observation(told) for told in json.loads(done.stdout)]


def _observation(told: dict[str, Any]) -> Observation:
    return Observation(
        **told
        | {
            "taken_at": dt.datetime.fromisoformat(told["taken_at"]),
            "privilege": Privilege(told["privilege"]),
            "raw": b"",
            "tables": (),
        }
    )


def found_on(host: Host) -> dict[Kind, Found]:
    """The worst finding of each kind."""
    scope = moments.scope(Host.objects.filter(pk=host.pk))
    found: dict[Kind, Found] = {}
    for each in trouble.find(scope, thresholds=SMALL).found:
        found.setdefault(each.finding.kind, each)
    return found


def test_every_kind_of_trouble_of_a_real_kernel_is_found() -> None:
    *by_netstat, by_ss = observed()
    assert {each.tool for each in by_netstat} == {"netstat"}
    assert by_ss.tool == "ss"
    host = Host.objects.create(name="near", address="10.9.1.1")
    for seen in by_netstat:
        store.save(host, seen)
        limits.save(host, seen)
    found = found_on(host)
    assert set(found) == set(Kind)

    leak = found[Kind.LEAK].finding
    assert leak.code is Code.CLOSE_WAIT_RISING
    assert [count for _when, count in leak.trend] == [4, 8, 12, 16, 20]
    assert (leak.remote_ip, leak.remote_port) == ("10.9.1.1", LEAKING)
    assert leak.program is not None
    assert "python" in leak.program

    short = found[Kind.HEADROOM].finding
    assert short.limit is not None
    assert (short.count, short.facts["time_wait"]) == (150, 150)
    assert (short.limit.value, short.limit.assumed) == (200, False)

    queue = found[Kind.BACKLOG].finding
    assert (queue.local_port, queue.count) == (FULL, 2)
    assert queue.facts["told"] == 0

    flood = found[Kind.FLOOD].finding
    assert (flood.local_port, flood.count) == (FLOODED, 90)
    assert (flood.facts["forged"], flood.facts["cookies"]) == (1, 0)

    waiting = found[Kind.WAITS].finding
    assert (waiting.code, waiting.remote_port) == (Code.TIME_WAIT_OUTGOING, CLOSING)
    assert waiting.count == 150
    for each in found.values():
        assert finding_texts.title(each)
        assert finding_texts.what_to_do(each)

    other = Host.objects.create(name="near by ss", address="10.9.1.1")
    store.save(other, by_ss)
    full = found_on(other)[Kind.BACKLOG].finding
    assert (full.code, full.severity, full.local_port) == (Code.QUEUE_FULL, Severity.BAD, FULL)
    assert full.limit is not None
    # listen(1): the kernel lets one more in than it was told.
    assert (full.count, full.limit.value) == (2, 1)


def test_this_machine_tells_its_own_limits() -> None:
    seen = runner.observe(Target("here"), tables=True)
    assert seen.failure is None
    for name in ("net.core.somaxconn", "net.ipv4.tcp_tw_reuse"):
        with open(f"/proc/sys/{name.replace('.', '/')}", encoding="ascii") as file:
            assert seen.limits[name] == file.read().strip()
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        assert seen.limits["net.ipv4.ip_local_port_range"].split() == file.read().split()
    assert seen.limits["kernel.ostype"] == "Linux"
    assert runner.observe(Target("here")).limits == {}
