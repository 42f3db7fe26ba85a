"""The network report: its numbers are those of the hosts asked about, now and then, only."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.history import store, tables
from probes.observation import Code
from probes.reports import composition as report
from probes.reports import files as report_files
from probes.reports import glance, layout
from probes.reports.composition import Report
from tests.databases import both_databases
from tests.people import person
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, at, failed, line, observed, table

FIRST = (
    LISTENER,
    line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx"),
    line("0.0.0.0:68", "0.0.0.0:*", "", "600/dhclient", protocol="udp"),
    line("10.0.0.5:80", "203.0.113.9:41000", "ESTABLISHED", "901/nginx"),
    line("10.0.0.5:80", "203.0.113.9:41001", "ESTABLISHED", "901/nginx"),
    line("10.0.0.5:80", "10.0.0.77:41001", "ESTABLISHED", "901/nginx"),
    line("10.0.0.5:80", "198.51.100.3:41002", "SYN_RECV", "-"),
    line("10.0.0.5:80", "198.51.100.3:41003", "TIME_WAIT", "-"),
    line("10.0.0.5:40000", "10.0.0.9:3306", "CLOSE_WAIT", "950/=app"),
    line("2001:db8::5:80", "2001:db8::9:61003", "ESTABLISHED", "901/nginx", protocol="tcp6"),
)


def saved(host: Host, using: str, minute: float, *lines: str, **fields: Any) -> None:
    store.save(host, observed(minute, table(*lines), **fields), using=using)


def made(using: str, **asked: Any) -> Report:
    hosts = Host.objects.using(using).kept()
    if asked.get("host") is not None:
        hosts = hosts.filter(pk=asked["host"].pk)
    return report.compose(hosts, **asked)


def rows(of: Report, key: str) -> list[dict[str, Any]]:
    """The rows of one section, by column."""
    found: list[dict[str, Any]] = report_files.data(of, layout.lay_out(of))["sections"][key]["rows"]
    return found


def counts(of: Report, key: str, by: str, column: str) -> dict[Any, int]:
    return {row[by]: row[column] for row in rows(of, key) if row[column]}


@both_databases
def test_everything_that_the_scripts_count_is_counted(using: str) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    saved(host, using, 0, *FIRST)

    found = made(using, host=host)

    assert counts(found, "totals", "what", "sockets") == {
        "sockets": 10, "tcp": 9, "udp": 1, "established": 4, "listening": 3,
    }  # fmt: skip
    assert counts(found, "states", "state", "sockets") == {
        "ESTABLISHED": 4, "LISTEN": 2, "SYN_RECV": 1, "TIME_WAIT": 1, "CLOSE_WAIT": 1, "none": 1,
    }  # fmt: skip
    assert len(rows(found, "states")) == 12  # all eleven of TCP, and those without
    assert counts(found, "remote_ips", "ip", "connections") == {
        "203.0.113.9": 2, "198.51.100.3": 2, "10.0.0.9": 1, "10.0.0.77": 1, "2001:db8::9": 1,
    }  # fmt: skip
    assert counts(found, "established_ips", "ip", "connections") == {
        "203.0.113.9": 2, "10.0.0.77": 1, "2001:db8::9": 1,
    }  # fmt: skip
    assert counts(found, "external_ips", "ip", "connections") == {
        "203.0.113.9": 2, "2001:db8::9": 1,
    }  # fmt: skip
    assert counts(found, "internal_ips", "ip", "connections") == {"10.0.0.77": 1}
    assert counts(found, "scopes", "scope", "connections") == {"external": 5, "private": 2}
    assert found.busiest_port == 80
    assert counts(found, "busiest_port_ips", "ip", "connections") == {
        "203.0.113.9": 2, "198.51.100.3": 2, "10.0.0.77": 1, "2001:db8::9": 1,
    }  # fmt: skip
    assert [row["foreign_port"] for row in rows(found, "syn_recv")] == [41002]
    assert counts(found, "syn_recv_ips", "ip", "connections") == {"198.51.100.3": 1}
    assert counts(found, "time_wait_ips", "ip", "connections") == {"198.51.100.3": 1}
    assert counts(found, "close_wait_programs", "program", "sockets") == {"=app": 1}
    assert [row["foreign_ip"] for row in rows(found, "close_wait")] == ["10.0.0.9"]
    assert counts(found, "local_ports", "port", "connections") == {80: 6, 40000: 1}
    common = {row["port"]: row for row in rows(found, "common_ports")}
    assert list(common) == [21, 22, 23, 25, 53, 80, 110, 443, 3306, 8080]
    assert (common[80]["listeners"], common[80]["inbound"], common[80]["established"]) == (1, 6, 4)
    assert (common[3306]["inbound"], common[3306]["outbound"]) == (0, 1)
    assert counts(found, "programs", "program", "sockets")["nginx"] == 5
    assert [(row["port"], row["protocol"], row["program"]) for row in rows(found, "listeners")] == [
        (22, "tcp", "sshd"), (68, "udp", "dhclient"), (80, "tcp", "nginx"),
    ]  # fmt: skip
    (how,) = rows(found, "measured")
    assert (how["tool"], how["privilege"], how["sockets"]) == ("netstat", "root", 10)
    assert how["newer_failure"] is None


@both_databases
def test_the_past_is_reported_as_it_was(using: str) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    saved(host, using, 0, *FIRST)
    saved(host, using, 1, LISTENER)

    then, now = made(using, at=at(0.5)), made(using)

    assert counts(then, "totals", "what", "sockets")["sockets"] == 10
    assert counts(then, "established_ips", "ip", "connections")["203.0.113.9"] == 2
    assert rows(then, "measured")[0]["taken_at"] == at(0).isoformat()
    assert counts(now, "totals", "what", "sockets") == {"sockets": 1, "tcp": 1, "listening": 1}
    assert made(using, at=at(-1)).totals.known == 0


@both_databases
def test_hosts_that_are_not_asked_about_are_in_no_number(using: str) -> None:
    group, other = (HostGroup.objects.using(using).create(name=name) for name in ("in", "out"))
    inside, outside = (
        Host.objects.using(using).create(name=name, address="192.0.2.1") for name in ("a", "b")
    )
    inside.groups.add(group)
    outside.groups.add(other)
    hidden = line("10.0.0.5:80", "192.0.2.66:1", "SYN_RECV", "1/hidden")
    saved(inside, using, 0, LISTENER)
    saved(outside, using, 0, hidden, line("0.0.0.0:6666", "0.0.0.0:*", "LISTEN", "1/hidden"))
    tables.save(outside, tabled.seen(0, *tabled.usual(1_000)), using=using)

    found = report.compose(Host.objects.using(using).filter(groups=group), group=group)
    text = report_files.csv_text(layout.lay_out(found))

    assert found.totals.hosts == found.totals.known == 1
    assert counts(found, "totals", "what", "sockets")["sockets"] == 1
    for secret in ("hidden", "6666", "192.0.2.66", "eth0"):
        assert secret not in text, secret


@pytest.mark.django_db
def test_a_reader_limited_to_groups_sees_no_other_host() -> None:
    group = HostGroup.objects.create(name="in")
    inside, outside = (Host.objects.create(name=name, address="192.0.2.1") for name in ("a", "b"))
    inside.groups.add(group)
    for host in (inside, outside):
        saved(host, "default", 0, LISTENER)
    reader = person("lina", Role.VIEWER, groups=[group])

    found = report.compose(Host.objects.kept().visible_to(reader))

    assert [row["host"] for row in rows(found, "measured")] == ["a"]
    assert found.totals.sockets == 1


@both_databases
def test_listeners_are_compared_with_a_day_before(using: str) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    new = Host.objects.using(using).create(name="new", address="192.0.2.2")
    old = line("0.0.0.0:23", "0.0.0.0:*", "LISTEN", "1/telnetd")
    before = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/apache2")
    after = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "901/nginx")
    came = line(":::443", ":::*", "LISTEN", "901/nginx", protocol="tcp6")
    day = 24 * 60
    saved(host, using, 0, LISTENER, old, before)
    saved(host, using, day + 1, line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "7/sshd"), after, came)
    saved(new, using, day + 1, LISTENER)

    found = made(using, at=at(day + 2))

    assert [
        (row["change"], row["local_ip"], row["port"], row["before"], row["after"])
        for row in rows(found, "changes")
    ] == [
        ("closed", "0.0.0.0", 23, "telnetd", None),
        ("holder", "0.0.0.0", 80, "apache2", "nginx"),
        ("opened", "::", 443, None, "nginx"),
    ]
    assert found.changes is not None
    assert found.changes.unknown == 1


@both_databases
def test_interfaces_and_gateways_are_those_of_every_host(using: str) -> None:
    hosts = [
        Host.objects.using(using).create(name=name, address="192.0.2.1") for name in ("a", "b")
    ]
    for host in hosts:
        saved(host, using, 0, LISTENER)
        for minute in (0, 10):
            block = tabled.interface(received=600_000 * minute, packets=(60 * minute, 0))
            tables.save(
                host,
                tabled.seen(
                    minute,
                    tabled.interfaces(block),
                    tabled.routes(tabled.DEFAULT_ROUTE, tabled.LINK_ROUTE),
                ),
                using=using,
            )

    found, then = made(using), made(using, at=at(5))

    assert [
        (row["host"], row["interface"], row["rx_packets"], row["rx_bytes_per_s"])
        for row in rows(found, "interfaces")
    ] == [("a", "eth0", 600, 10_000.0), ("b", "eth0", 600, 10_000.0)]
    assert {row["rx_bytes_per_s"] for row in rows(then, "interfaces")} == {None}
    assert [(row["host"], row["gateway"]) for row in rows(found, "gateways")] == [
        ("a", "192.0.2.254"),
        ("b", "192.0.2.254"),
    ]
    alone = made(using, host=hosts[0])
    assert [row["destination"] for row in rows(alone, "routes")] == ["0.0.0.0/0", "192.0.2.0/24"]


@both_databases
def test_how_it_was_measured_hides_nothing(using: str) -> None:
    fine, limited, down, fresh = (
        Host.objects.using(using).create(name=name, address="192.0.2.1")
        for name in ("fine", "limited", "down", "fresh")
    )
    saved(fine, using, 0, LISTENER)
    saved(limited, using, 0, line(holder="-"), "no socket at all")
    saved(down, using, 0, LISTENER)
    store.save(down, failed(1, Code.UNREACHABLE), using=using)

    found = made(using)
    how = {row["host"]: row for row in rows(found, "measured")}

    assert list(how) == ["fresh", "down", "limited", "fine"]  # worst first
    assert how["fresh"]["newer_failure"] == "never_probed"
    assert how["down"]["newer_failure"] == "unreachable"
    assert how["down"]["sockets"] == 1
    assert (how["limited"]["without_pid"], how["limited"]["rejected"]) == (1, 1)
    assert (found.totals.hosts, found.totals.known) == (4, 3)
    assert "1 host has no whole probe" in glance.unknown_hosts(found)
    assert fresh.pk


@pytest.mark.django_db
def test_a_threshold_is_held_against_each_host_and_says_whose_count_is_highest() -> None:
    for number, name in enumerate(("a", "b")):
        host = Host.objects.create(name=name, address="192.0.2.1")
        many = [
            line("10.0.0.5:80", f"203.0.113.9:{port}") for port in range(1000, 1060 + 200 * number)
        ]
        saved(host, "default", 0, *many)

    checks = {row["check"]: row for row in rows(made("default"), "checks")}

    assert (checks["ESTABLISHED"]["most"], checks["ESTABLISHED"]["where"]) == (260, "b")
    assert checks["ESTABLISHED"]["exceeded"] == 1
    assert (checks["ip"]["where"], checks["ip"]["most"]) == ("203.0.113.9", 320)
    assert (checks["port"]["where"], checks["port"]["exceeded"]) == ("80", 1)
    assert checks["SYN_RECV"]["exceeded"] == 0


def test_no_advice_is_one_that_today_s_kernels_do_not_take() -> None:
    from probes.reports.words import CHECKS

    words = " ".join(meaning for _what, meaning in CHECKS.values())
    assert "tcp_tw_recycle" not in words
    assert "tcp_syncookies" in words


@pytest.mark.django_db
def test_a_report_of_no_host_has_every_section_and_no_number() -> None:
    found = report.compose(Host.objects.none())

    sections = report_files.data(found, layout.lay_out(found))["sections"]
    assert found.totals.hosts == 0
    assert not any(row["sockets"] for row in sections["totals"]["rows"])
    assert sections["remote_ips"]["rows"] == []


@both_databases
def test_a_thousand_hosts_cost_as_many_queries_as_two(using: str) -> None:
    def cost(hosts: int) -> int:
        for number in range(hosts):
            host = Host.objects.using(using).create(name=f"h{timezone.now()}{number}", address="h")
            saved(host, using, 0, *FIRST)
            tables.save(host, tabled.seen(0, *tabled.usual(1_000)), using=using)
        with CaptureQueriesContext(connections[using]) as captured:
            layout.lay_out(made(using))
        return len(captured)

    few, many = cost(2), cost(12)

    assert many <= few <= 65


@pytest.mark.django_db
def test_the_csv_has_every_section_in_one_table_and_obeys_no_name() -> None:
    host = Host.objects.create(name="web1", address="192.0.2.1")
    saved(host, "default", 0, *FIRST, line(foreign="10.9.9.9:1", holder="1/=cmd|' /C calc'!A0"))
    found = made("default", host=host)

    chapters = layout.lay_out(found)
    lines = report_files.csv_text(chapters).splitlines()

    header = lines[0].split(",")
    assert header[0] == "section"
    assert len(header) == len(set(header))
    assert {line.split(",")[0] for line in lines[1:]} >= {"totals", "states", "listeners", "checks"}
    assert any(",'=cmd|' /C calc'!A0," in line for line in lines)
    assert not any(",=" in line for line in lines)


@pytest.mark.django_db
def test_codes_stay_the_same_in_every_language() -> None:
    from django.utils import translation

    host = Host.objects.create(name="web1", address="192.0.2.1")
    saved(host, "default", 0, *FIRST)

    def csv() -> str:
        return report_files.csv_text(layout.lay_out(made("default", host=host)))

    def codes(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(("checks", "findings"))]

    english = csv()
    with translation.override("zh-hans"):
        chinese = csv()

    assert codes(english) == codes(chinese)


@pytest.mark.django_db
def test_a_file_is_named_without_what_a_host_is_called() -> None:
    now = dt.datetime(2026, 1, 31, 3, 12, tzinfo=dt.UTC)
    group = HostGroup(pk=7, name='../"evil"\r\n')
    found = report.compose(Host.objects.none(), group=group, at=now)

    assert report_files.name(found) == "report-group-7-20260131T031200Z"
