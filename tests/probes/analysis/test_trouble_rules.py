"""Port headroom, accept queues, floods, TIME_WAIT: from which numbers on; what a kernel says."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.analysis import backlog, floods, headroom, kernels, waits
from probes.analysis.findings import Code, Finding, Limit, Severity
from probes.analysis.kernels import Kernel, PortRange, System

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
RANGE = PortRange(32768, 60999, 28232, "net.ipv4.ip_local_port_range")


def at(minute: int) -> dt.datetime:
    return START + dt.timedelta(minutes=minute)


def use(ports: int) -> headroom.Use:
    return headroom.Use(
        protocol="tcp", local_ip="10.0.0.1", remote_ip="10.0.0.2", remote_port=80, ports=ports
    )


@given(st.integers(min_value=1, max_value=65535), st.integers(min_value=0, max_value=70_000))
def test_ports_are_short_by_their_share_alone(usable: int, taken: int) -> None:
    ports = PortRange(1, 65535, usable, "")
    found = headroom.judge(use(taken), ports)
    if taken / usable >= 0.9:
        assert found is not None
        assert found.severity is Severity.BAD
    elif taken / usable >= 0.7:
        assert found is not None
        assert found.severity is Severity.WARN
    else:
        assert found is None
    if found is not None:
        assert found.facts["left"] == max(0, usable - taken)
        assert taken >= headroom.fewest(ports)


def queue(*readings: tuple[int, int, int | None], probes: int = 10) -> backlog.Queue:
    """Readings as (minute, waiting, limit) among probes of each minute."""
    return backlog.Queue(
        protocol="tcp",
        program="web",
        local_ip="::",
        local_port=80,
        readings=[backlog.Reading(at(minute), waiting, most) for minute, waiting, most in readings],
        probes=[at(minute) for minute in range(probes)],
    )


def judged(one: backlog.Queue, limit: int = 4096) -> Finding:
    found = backlog.judge(one, Limit(limit, "net.core.somaxconn"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("readings", "code", "severity"),
    [
        (((9, 129, 128),), Code.QUEUE_FULL, Severity.BAD),
        (((9, 128, 128),), Code.QUEUE_WAITING, Severity.WARN),
        (((9, 64, 128),), Code.QUEUE_WAITING, Severity.WARN),
        (((9, 3, 128),), Code.QUEUE_WAITING, Severity.INFO),
        (((7, 3, 128), (8, 1, 128), (9, 2, 128)), Code.QUEUE_WAITING, Severity.WARN),
        (((2, 129, 128),), Code.QUEUE_FULL, Severity.WARN),
        (((2, 3, 128), (4, 2, 128)), Code.QUEUE_WAITING, Severity.INFO),
        (((9, 3, None),), Code.QUEUE_WAITING, Severity.INFO),
        (((9, 60, None),), Code.QUEUE_WAITING, Severity.WARN),
        (((9, 4097, None),), Code.QUEUE_FULL, Severity.BAD),
        (((9, 4096, None),), Code.QUEUE_WAITING, Severity.WARN),
        (((9, 1, 0),), Code.QUEUE_FULL, Severity.BAD),
    ],
)
def test_a_queue_is_judged_by_its_limit_and_its_past(
    readings: tuple[tuple[int, int, int | None], ...], code: Code, severity: Severity
) -> None:
    found = judged(queue(*readings))
    assert (found.code, found.severity) == (code, severity)
    assert found.trend[-1][0] == at(9)
    assert sum(count > 0 for _when, count in found.trend) == len(readings)


def test_a_queue_is_at_its_limit_before_it_is_full() -> None:
    assert judged(queue((9, 127, 128))).facts["at_limit"] == 0
    assert judged(queue((9, 128, 128))).facts["at_limit"] == 1
    full = judged(queue((9, 129, 128)))
    assert (full.code, full.facts["at_limit"]) == (Code.QUEUE_FULL, 0)


def test_a_queue_is_since_the_first_of_the_probes_in_a_row() -> None:
    assert judged(queue((2, 5, 9), (7, 5, 9), (8, 5, 9), (9, 5, 9))).since == at(7)


def test_the_same_number_from_probe_to_probe_is_most_likely_all_it_holds() -> None:
    stuck = judged(queue((7, 6, None), (8, 6, None), (9, 6, None)))
    assert stuck.facts["stuck"] == 1
    moving = judged(queue((7, 6, None), (8, 5, None), (9, 6, None)))
    assert moving.facts["stuck"] == 0


def attacked(**sources: int) -> floods.Attacked:
    return floods.Attacked(
        protocol="tcp", local_ip="10.0.0.1", local_port=443, sources=dict(sources)
    )


@given(st.dictionaries(st.ip_addresses(v=4).map(str), st.integers(1, 50), max_size=300))
def test_a_flood_counts_every_connection_once(sources: dict[str, int]) -> None:
    one = floods.Attacked(protocol="tcp", local_ip="10.0.0.1", local_port=1, sources=sources)
    found = floods.judge(one, Limit(1024), cookies=1)
    total = sum(sources.values())
    assert (found is None) == (total < floods.DEFAULT.fewest)
    if found is not None:
        assert found.count == total
        assert sum(floods.by_network(sources).values()) == total
        assert found.facts["networks"] <= found.facts["addresses"] == len(sources)


def test_many_addresses_of_many_networks_are_most_likely_forged() -> None:
    spread = {f"198.{n}.7.9": 1 for n in range(100)}
    found = floods.judge(attacked(**spread), Limit(1024), cookies=1)
    assert found is not None
    assert found.facts["forged"] == 1


def test_many_addresses_of_one_network_are_not() -> None:
    near = {f"2001:db8::{n:x}": 1 for n in range(100)}
    found = floods.judge(attacked(**near), Limit(1024), cookies=1)
    assert found is not None
    assert (found.facts["forged"], found.facts["networks"]) == (0, 1)
    assert found.parts[-1].name == "2001:db8::/64"


def test_an_address_that_a_tool_cut_stands_for_itself() -> None:
    assert floods.by_network({"2001:db8:1:2:": 3, "fe80::1%eth0": 2}) == {
        "2001:db8:1:2:": 3,
        "fe80::/64": 2,
    }


def waiting(count: int) -> waits.Waiting:
    return waits.Waiting(
        protocol="tcp",
        local_ip="10.0.0.1",
        local_port=None,
        remote_ip="10.0.0.2",
        remote_port=80,
        count=count,
    )


@pytest.mark.parametrize(
    ("count", "severity"),
    [(499, None), (500, Severity.INFO), (7057, Severity.INFO), (7058, Severity.WARN)],
)
def test_time_wait_matters_by_the_ports_it_takes(count: int, severity: Severity | None) -> None:
    found = waits.outgoing(waiting(count), RANGE)
    assert (None if found is None else found.severity) == severity


def test_time_wait_of_a_server_is_information_at_most() -> None:
    assert waits.incoming(waiting(1_999)) is None
    found = waits.incoming(waiting(90_000))
    assert found is not None
    assert found.severity is Severity.INFO


def test_a_kernel_speaks_for_itself() -> None:
    told = {
        "kernel.ostype": "Linux",
        "net.ipv4.ip_local_port_range": "1024 2023",
        "net.ipv4.ip_local_reserved_ports": "1000-1033,2020-3000",
        "net.core.somaxconn": "200",
        "net.ipv4.tcp_max_syn_backlog": "80",
        "net.ipv4.tcp_syncookies": "0",
    }
    kernel = kernels.kernel(told)
    assert kernel.ports == PortRange(1024, 2023, 1000 - 10 - 4, "net.ipv4.ip_local_port_range")
    assert kernel.most_waiting == Limit(200, "net.core.somaxconn")
    assert kernel.most_half_open == Limit(60, "net.ipv4.tcp_max_syn_backlog")


@pytest.mark.parametrize(
    ("platform", "dialect", "system", "ports"),
    [
        ("auto", "net-tools", System.LINUX, (32768, 60999)),
        ("windows", "", System.WINDOWS, (49152, 65535)),
        ("auto", "windows", System.WINDOWS, (49152, 65535)),
        ("macos", "bsd", System.MACOS, (49152, 65535)),
        ("auto", "freebsd", System.BSD, (10000, 65535)),
        ("bsd", "bsd", System.BSD, (49152, 65535)),
    ],
)
def test_a_kernel_that_tells_nothing_is_taken_for_the_usual_one_and_that_is_said(
    platform: str, dialect: str, system: System, ports: tuple[int, int]
) -> None:
    kernel = kernels.kernel({}, platform=platform, dialect=dialect)
    assert kernel.system is system
    assert (kernel.ports.low, kernel.ports.high) == ports
    assert kernel.ports.assumed
    assert kernel.most_waiting.assumed


@pytest.mark.parametrize(
    ("told", "ports"),
    [
        ({"kern.ostype": "OpenBSD", "net.inet.ip.portfirst": "1024",
          "net.inet.ip.portlast": "49151"}, (1024, 49151)),
        ({"kern.ostype": "NetBSD", "net.inet.ip.anonportmin": "49152",
          "net.inet.ip.anonportmax": "65535"}, (49152, 65535)),
        ({"kern.ostype": "Darwin", "net.inet.ip.portrange.first": "32768",
          "net.inet.ip.portrange.last": "65535"}, (32768, 65535)),
    ],
)  # fmt: skip
def test_every_bsd_tells_its_range_by_its_own_names(
    told: dict[str, str], ports: tuple[int, int]
) -> None:
    kernel = kernels.kernel(told)
    assert (kernel.ports.low, kernel.ports.high, kernel.ports.assumed) == (*ports, False)


def test_an_old_linux_is_held_against_its_own_default() -> None:
    assert Kernel("linux", {"kernel.osrelease": "4.19.0-27"}).most_waiting.value == 128
    assert Kernel("linux", {"kernel.osrelease": "5.4.0"}).most_waiting.value == 4096
    assert Kernel("linux", {"kernel.osrelease": "odd"}).most_waiting.value == 4096
