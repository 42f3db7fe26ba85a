"""Advice is true of the kernel it is given for, and never of another."""

from __future__ import annotations

import datetime as dt

import pytest

from probes.analysis import advice
from probes.analysis.findings import Code, Finding, Kind, Limit, Severity
from probes.analysis.kernels import Kernel, System

FACTS = dict.fromkeys(
    ("low", "high", "left", "time_wait", "told", "forged", "cookies", "now", "stuck"), 1
)
KERNELS = {
    System.LINUX: Kernel("linux"),
    System.MACOS: Kernel("darwin"),
    System.BSD: Kernel("freebsd"),
    System.WINDOWS: Kernel("windows"),
}


def found(
    code: Code, *, protocol: str = "tcp", local_ip: str | None = None, **facts: int
) -> Finding:
    return Finding(
        kind=Kind.LEAK,
        protocol=protocol,
        local_ip=local_ip,
        code=code,
        severity=Severity.BAD,
        count=1,
        limit=Limit(1, "x"),
        since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        facts=FACTS | facts,
    )


def text(code: Code, kernel: Kernel, **facts: int) -> str:
    return "\n".join(each.text % each.values for each in advice.of(found(code, **facts), kernel))


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("system", list(System))
def test_every_finding_has_advice_whose_numbers_are_there(code: Code, system: System) -> None:
    said = text(code, KERNELS[system])
    assert said
    assert "%(" not in said


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.TIME_WAIT_TABLE])
@pytest.mark.parametrize("system", [System.MACOS, System.BSD, System.WINDOWS])
def test_no_setting_of_linux_is_advised_elsewhere(code: Code, system: System) -> None:
    said = text(code, KERNELS[system])
    assert "net.ipv4" not in said
    assert "net.core" not in said


@pytest.mark.parametrize("code", list(Code))
def test_recycling_is_only_ever_said_to_be_gone(code: Code) -> None:
    for reuse in ({}, *({"net.ipv4.tcp_tw_reuse": str(value)} for value in range(3))):
        for line in text(code, Kernel("linux", reuse)).splitlines():
            assert "tw_recycle" not in line or "gone since Linux 4.12" in line
            assert "fin_timeout" not in line or "does not shorten" in line


def test_reuse_is_told_by_what_it_is() -> None:
    assert "is 2 here" in text(
        Code.TIME_WAIT_OUTGOING, Kernel("linux", {"net.ipv4.tcp_tw_reuse": "2"})
    )
    assert "is 1 already" in text(
        Code.TIME_WAIT_OUTGOING, Kernel("linux", {"net.ipv4.tcp_tw_reuse": "1"})
    )
    assert "tcp_tw_reuse = 1 lets" in text(Code.TIME_WAIT_OUTGOING, Kernel("linux"))
    assert "tw_reuse" not in text(Code.PORTS_SHORT, Kernel("linux"), time_wait=0)


@pytest.mark.parametrize(
    "told", [{}, {"net.ipv4.tcp_tw_reuse": "1"}, {"net.ipv4.tcp_tw_reuse": "2"}]
)
def test_the_delay_of_reuse_is_told_as_a_setting_of_newer_kernels(told: dict[str, str]) -> None:
    said = text(Code.TIME_WAIT_OUTGOING, Kernel("linux", told))
    assert "one second" in said
    assert "unless net.ipv4.tcp_tw_reuse_delay (since Linux 6.14)" in said


@pytest.mark.parametrize("system", list(System))
def test_udp_is_not_told_to_keep_connections_open(system: System) -> None:
    finding = found(Code.PORTS_SHORT, protocol="udp", local_ip="192.0.2.1", time_wait=0)
    said = "\n".join(each.text for each in advice.of(finding, KERNELS[system]))
    assert "keep-alive" not in said
    assert "connection pool" not in said
    assert "open UDP socket" in said


@pytest.mark.parametrize(
    ("local_ip", "family"), [("192.0.2.1", "ipv4"), ("2001:db8::1", "ipv6"), (None, "ipv4")]
)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_windows_is_told_of_the_range_of_that_family(
    local_ip: str | None, family: str, protocol: str
) -> None:
    finding = found(Code.PORTS_SHORT, protocol=protocol, local_ip=local_ip)
    said = [each.text % each.values for each in advice.of(finding, KERNELS[System.WINDOWS])]
    (ranges,) = [line for line in said if "netsh" in line]
    assert f"int {family} show dynamicport {protocol}" in ranges
    assert f"int {family} set dynamicport {protocol}" in ranges


def test_cookies_are_told_by_what_they_are() -> None:
    for value, words in (("0", "are off"), ("1", "are on"), ("2", "are on")):
        assert words in text(Code.SYN_FLOOD, Kernel("linux", {"net.ipv4.tcp_syncookies": value}))


def test_a_full_table_of_tracked_connections_is_mentioned() -> None:
    told = {"net.netfilter.nf_conntrack_max": "1000", "net.netfilter.nf_conntrack_count": "800"}
    assert "800 connections of at most 1000" in text(Code.SYN_FLOOD, Kernel("linux", told))
    told["net.netfilter.nf_conntrack_count"] = "799"
    assert "nf_conntrack" not in text(Code.SYN_FLOOD, Kernel("linux", told))
