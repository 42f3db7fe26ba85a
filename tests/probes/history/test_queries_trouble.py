"""Findings of stored history: who is looked at, what is found, and with which numbers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.analysis import floods, headroom, leaks, waits
from probes.analysis.findings import Code, Kind, Severity
from probes.analysis.kernels import PortRange
from probes.filters import SocketFilter
from probes.history import limits, store
from probes.history.queries import moments, sockets, trouble, trouble_counts
from probes.history.queries.sql import Scope
from probes.history.queries.trouble import Found, Thresholds, Troubles
from probes.models import Backlog
from tests.databases import both_databases
from tests.probes.history import plans
from tests.probes.history.played import LISTENER, at, line, observed, ss_table, table

SMALL = Thresholds(
    leaks=leaks.Thresholds(fewest=4, left=2, rise=3, held_s=600),
    headroom=headroom.Thresholds(),
    floods=floods.Thresholds(fewest=4, bad=100),
    waits=waits.Thresholds(outgoing=5, incoming=5),
)
"""As the usual ones, for tables that a person can read."""


def find(using: str, at_time: Any = None, **asked: Any) -> Troubles:
    scope = moments.scope(Host.objects.using(using).all(), at=at_time)
    return trouble.find(scope, thresholds=asked.pop("thresholds", SMALL), **asked)


def codes(troubles: Troubles) -> list[Code]:
    return [each.finding.code for each in troubles.found]


def shown(using: str, found: Found, at_time: Any = None) -> set[str]:
    """Local and remote ends of all rows that the link of a finding leads to."""
    scope = moments.scope(Host.objects.using(using).filter(pk=found.host.host_id), at=at_time)
    assert scope is not None
    wanted = SocketFilter.model_validate(found.filters)
    rows = sockets.oldest(scope, wanted, limit=1000)
    return {
        f"{r.local_ip}:{r.local_port} {r.foreign_ip}:{r.foreign_port or 0} {r.state}" for r in rows
    }


def leak(number: int, *, peer: str = "10.0.0.20:5432", holder: str = "900/app") -> str:
    return line(f"10.0.0.5:{40_000 + number}", peer, "CLOSE_WAIT", holder)


def tell(host: Host, using: str, **told: str) -> None:
    """What the host says of its kernel."""
    names = {name.replace("__", "."): value for name, value in told.items()}
    limits.save(host, observed(0, "", limits={"kernel.ostype": "Linux"} | names), using=using)


@both_databases
def test_a_leak_names_program_peer_and_rise(host: Host, using: str) -> None:
    for minute in range(6):
        rows = [leak(number) for number in range(2 * minute)]
        store.save(host, observed(minute, table(LISTENER, *rows)), using=using)

    (found,) = find(using).found
    finding = found.finding
    assert (finding.kind, finding.code) == (Kind.LEAK, Code.CLOSE_WAIT_RISING)
    assert (finding.program, finding.pids) == ("app", (900,))
    assert (finding.remote_ip, finding.remote_port, finding.local_port) == ("10.0.0.20", 5432, None)
    assert [count for _when, count in finding.trend] == [0, 2, 4, 6, 8, 10]
    assert finding.count == 10
    assert finding.since == at(0)
    assert finding.facts["rise"] == 10
    assert finding.facts["per_hour"] == 120
    assert found.host.name == "web1"
    assert len(shown(using, found)) == 10
    assert len(trouble.rows(moments.scope(Host.objects.using(using)), [found])[0]) == trouble.ROWS


@both_databases
def test_a_leak_into_a_listener_is_told_by_its_port(host: Host, using: str) -> None:
    web = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "700/nginx")
    for minute in range(6):
        rows = [
            line("10.0.0.5:80", f"203.0.113.{n}:5{n:03}", "CLOSE_WAIT", "700/nginx")
            for n in range(2 * minute)
        ]
        store.save(host, observed(minute, table(web, *rows)), using=using)

    (found,) = find(using).found
    assert (found.finding.local_port, found.finding.remote_ip) == (80, None)
    assert found.finding.program == "nginx"
    # Each peer has one: none would be found alone, and some are named.
    assert len(found.finding.parts) == 5
    assert len(shown(using, found)) == 10


@both_databases
def test_sockets_that_come_and_go_are_no_leak(host: Host, using: str) -> None:
    for minute in range(12):
        rows = [leak(100 * minute + number) for number in range(3 + minute % 4)]
        store.save(host, observed(minute, table(LISTENER, *rows)), using=using)

    assert find(using).found == []


@both_databases
def test_sockets_that_stay_without_growing_are_told_for_information(host: Host, using: str) -> None:
    rows = [leak(number) for number in range(5)]
    for minute in range(0, 30, 5):
        store.save(host, observed(minute, table(LISTENER, *rows)), using=using)

    (found,) = find(using).found
    assert (found.finding.code, found.finding.severity) == (Code.CLOSE_WAIT_HELD, Severity.INFO)
    assert found.finding.since == at(0)


@both_databases
def test_a_past_time_shows_what_was_wrong_then(host: Host, using: str) -> None:
    for minute in range(6):
        rows = [leak(number) for number in range(2 * minute)]
        store.save(host, observed(minute, table(LISTENER, *rows)), using=using)
    store.save(host, observed(6, table(LISTENER)), using=using)

    assert find(using).found == []
    (found,) = find(using, at(5.5)).found
    assert found.finding.count == 10
    assert found.at == at(5)
    assert len(shown(using, found, at(5.5))) == 10
    (earlier,) = find(using, at(4.5)).found
    assert [count for _when, count in earlier.finding.trend] == [0, 2, 4, 6, 8]


@both_databases
def test_leaks_of_two_programs_and_hosts_are_apart(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    for minute in range(6):
        mine = [leak(number) for number in range(2 * minute)]
        theirs = [leak(500 + n, peer="[::1]:99", holder="901/other") for n in range(2 * minute)]
        theirs = [row.replace("[::1]:99", "10.0.0.21:99") for row in theirs]
        store.save(host, observed(minute, table(LISTENER, *mine, *theirs)), using=using)
        store.save(other, observed(minute, table(LISTENER, *mine)), using=using)

    assert {(f.host.name, f.finding.program) for f in find(using).found} == {
        ("web1", "app"),
        ("web1", "other"),
        ("web2", "app"),
    }


@both_databases
def test_ports_run_short_towards_one_destination(host: Host, using: str) -> None:
    tell(host, using, net__ipv4__ip_local_port_range="40000 40199")
    rows = [line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432", "ESTABLISHED") for n in range(150)]
    rows += [line(f"10.0.0.5:{40_150 + n}", "10.0.0.20:5432", "TIME_WAIT", "-") for n in range(40)]
    elsewhere = [line(f"10.0.0.5:{40_000 + n}", "10.0.0.21:5432") for n in range(50)]
    outside = [line(f"10.0.0.5:{50_000 + n}", "10.0.0.20:5432") for n in range(50)]
    store.save(host, observed(0, table(LISTENER, *rows, *elsewhere, *outside)), using=using)

    (found,) = find(using, kinds=[Kind.HEADROOM]).found
    finding = found.finding
    assert (finding.code, finding.severity) == (Code.PORTS_SHORT, Severity.BAD)
    assert (finding.local_ip, finding.remote_ip, finding.remote_port) == (
        "10.0.0.5",
        "10.0.0.20",
        5432,
    )
    assert (finding.count, finding.facts["time_wait"], finding.facts["left"]) == (190, 40, 10)
    assert finding.limit is not None
    assert (finding.limit.value, finding.limit.assumed) == (200, False)
    assert len(shown(using, found)) == 190


@both_databases
def test_ports_of_udp_are_counted_whatever_the_destination(host: Host, using: str) -> None:
    tell(host, using, net__ipv4__ip_local_port_range="40000 40199")
    rows = [
        line(f"10.0.0.5:{40_000 + n}", f"10.0.1.{n}:53", "ESTABLISHED", protocol="udp")
        for n in range(150)
    ]
    store.save(host, observed(0, table(LISTENER, *rows)), using=using)

    (found,) = find(using).found
    assert (found.finding.protocol, found.finding.remote_ip) == ("udp", None)
    assert (found.finding.count, found.finding.severity) == (150, Severity.WARN)


@both_databases
def test_reserved_ports_and_an_unknown_range_are_minded(host: Host, using: str) -> None:
    tell(
        host,
        using,
        net__ipv4__ip_local_port_range="40000 40299",
        net__ipv4__ip_local_reserved_ports="40100-40199,50000",
    )
    rows = [line(f"10.0.0.5:{40_200 + n}", "10.0.0.20:5432") for n in range(100)]
    rows += [line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432") for n in range(50)]
    store.save(host, observed(0, table(LISTENER, *rows)), using=using)
    (found,) = find(using).found
    assert found.finding.limit is not None
    assert (found.finding.count, found.finding.limit.value) == (150, 200)

    limits.save(host, observed(1, "", limits={"kernel.ostype": "Linux"}), using=using)
    assert find(using).found == []


@both_databases
def test_a_queue_that_is_full_is_told_with_its_limit(host: Host, using: str) -> None:
    for minute, waiting in enumerate((0, 3, 6)):
        text = ss_table(
            (
                "tcp",
                "LISTEN",
                str(waiting),
                "5",
                "0.0.0.0:80",
                "0.0.0.0:*",
                'users:(("web",pid=9,fd=6))',
            ),
            ("udp", "UNCONN", "4096", "0", "0.0.0.0:53", "0.0.0.0:*"),
            ("tcp", "ESTAB", "77", "0", "10.0.0.5:80", "10.0.0.9:5000"),
        )
        store.save(host, observed(minute, text, tool="ss"), using=using)

    (found,) = find(using).found
    finding = found.finding
    assert (finding.code, finding.severity) == (Code.QUEUE_FULL, Severity.BAD)
    assert (finding.local_ip, finding.local_port, finding.program) == ("0.0.0.0", 80, "web")
    assert finding.limit is not None
    assert (finding.count, finding.limit.value, finding.limit.name) == (6, 5, "listen()")
    assert [count for _when, count in finding.trend] == [0, 3, 6]
    assert finding.since == at(1)
    assert shown(using, found) == {"0.0.0.0:80 0.0.0.0:0 LISTEN"}
    assert Backlog.objects.using(using).count() == 2


@both_databases
def test_a_queue_of_netstat_is_held_against_somaxconn(host: Host, using: str) -> None:
    tell(host, using, net__core__somaxconn="7")
    for minute in range(3):
        row = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/web", queues=(8, 0))
        store.save(host, observed(minute, table(row)), using=using)

    (found,) = find(using).found
    assert found.finding.code is Code.QUEUE_FULL
    assert found.finding.limit is not None
    assert (found.finding.limit.value, found.finding.limit.name) == (7, "net.core.somaxconn")
    assert found.finding.facts["told"] == 0


@both_databases
def test_a_queue_that_was_full_a_while_ago_is_told_still(host: Host, using: str) -> None:
    for minute, waiting in enumerate((6, 0, 0)):
        row = ("tcp", "LISTEN", str(waiting), "5", "0.0.0.0:80", "0.0.0.0:*")
        store.save(host, observed(minute, ss_table(row), tool="ss"), using=using)
    (found,) = find(using).found
    assert (found.finding.severity, found.finding.facts["now"]) == (Severity.WARN, 0)

    row = ("tcp", "LISTEN", "0", "5", "0.0.0.0:80", "0.0.0.0:*")
    store.save(host, observed(90, ss_table(row), tool="ss"), using=using)
    assert find(using).found == []


@both_databases
def test_a_flood_is_told_with_its_sources(host: Host, using: str) -> None:
    tell(host, using, net__ipv4__tcp_syncookies="0", net__ipv4__tcp_max_syn_backlog="16")
    spread = [line("10.0.0.5:443", f"198.51.{n}.7:999", "SYN_RECV", "-") for n in range(20)]
    few = [line("10.0.0.5:25", f"192.0.2.9:{n + 1000}", "SYN_RECV", "-") for n in range(6)]
    store.save(host, observed(0, table(LISTENER, *spread, *few)), using=using)

    first, second = find(using, kinds=[Kind.FLOOD]).found
    assert (first.finding.local_port, first.finding.count) == (443, 20)
    assert first.finding.facts["forged"] == 1
    assert first.finding.severity is Severity.BAD
    assert first.finding.limit is not None
    assert (first.finding.limit.value, first.finding.facts["cookies"]) == (12, 0)
    assert (second.finding.local_port, second.finding.facts["forged"]) == (25, 0)
    assert [(s.name, s.count) for s in second.finding.parts] == [("192.0.2.9", 6)]
    assert len(shown(using, first)) == 20


@both_databases
def test_many_in_time_wait_are_told_by_destination_and_by_port(host: Host, using: str) -> None:
    web = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "700/nginx")
    out = [line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432", "TIME_WAIT", "-") for n in range(8)]
    into = [line("10.0.0.5:80", f"203.0.113.{n}:999", "TIME_WAIT", "-") for n in range(6)]
    few = [line(f"10.0.0.5:{41_000 + n}", "10.0.0.21:5432", "TIME_WAIT", "-") for n in range(3)]
    store.save(host, observed(0, table(web, *out, *into, *few)), using=using)

    outgoing, incoming = find(using).found
    assert (outgoing.finding.code, outgoing.finding.count) == (Code.TIME_WAIT_OUTGOING, 8)
    assert (outgoing.finding.remote_ip, outgoing.finding.remote_port) == ("10.0.0.20", 5432)
    assert (incoming.finding.code, incoming.finding.local_port) == (Code.TIME_WAIT_INCOMING, 80)
    assert len(shown(using, outgoing)) == 8
    assert len(shown(using, incoming)) == 6


@both_databases
def test_a_full_table_of_time_wait_is_told(host: Host, using: str) -> None:
    tell(host, using, net__ipv4__tcp_max_tw_buckets="8")
    into = [line("10.0.0.5:22", f"203.0.113.{n}:999", "TIME_WAIT", "-") for n in range(8)]
    store.save(host, observed(0, table(LISTENER, *into)), using=using)

    assert Code.TIME_WAIT_TABLE in codes(find(using))


@both_databases
def test_addresses_of_ipv6_stay_whole(host: Host, using: str) -> None:
    far = "2001:db8:1:2:3:4:5:6"
    rows = [
        line(f"2001:db8::5:{40_000 + n}", f"{far}:443", "TIME_WAIT", "-", protocol="tcp6")
        for n in range(8)
    ]
    store.save(host, observed(0, table(LISTENER, *rows)), using=using)

    (found,) = find(using).found
    assert found.finding.remote_ip == far
    assert len(shown(using, found)) == 8


@both_databases
def test_a_fleet_in_good_health_costs_two_queries_however_large(host: Host, using: str) -> None:
    others = [Host.objects.using(using).create(name=f"h{n}", address="h") for n in range(20)]
    for each in (host, *others):
        store.save(each, observed(0, table(LISTENER, line())), using=using)
    scope = moments.scope(Host.objects.using(using).all())
    with CaptureQueriesContext(connections[using]) as asked:
        assert trouble.find(scope).found == []
    assert len(asked) == 2


@both_databases
def test_a_fleet_in_trouble_costs_as_many_queries_as_one_host(host: Host, using: str) -> None:
    others = [Host.objects.using(using).create(name=f"h{n}", address="h") for n in range(8)]
    for each in (host, *others):
        tell(each, using, net__ipv4__ip_local_port_range="40000 40119")
        for minute in range(5):
            rows = [leak(n) for n in range(3 * minute)]
            rows += [
                line(f"10.0.0.5:{40_000 + n}", "10.0.0.30:99", "TIME_WAIT", "-") for n in range(110)
            ]
            rows += [line("10.0.0.5:22", f"203.0.113.{n}:9", "SYN_RECV", "-") for n in range(9)]
            rows.append(line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/web", queues=(7, 0)))
            store.save(each, observed(minute, table(LISTENER, *rows)), using=using)
    scope = moments.scope(Host.objects.using(using).all())
    with CaptureQueriesContext(connections[using]) as asked:
        troubles = trouble.find(scope, thresholds=SMALL)
    assert len(asked) <= 9
    assert len(troubles.found) == 9 * 5
    assert {each.finding.kind for each in troubles.found} == set(Kind)
    assert [each.finding.severity for each in troubles.found] == sorted(
        each.finding.severity for each in troubles.found
    )


@both_databases
def test_what_is_left_out_is_said(host: Host, using: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "MOST_HOSTS", 1)
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    for each, many in ((host, 6), (other, 8)):
        rows = [
            line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432", "TIME_WAIT", "-") for n in range(many)
        ]
        store.save(each, observed(0, table(LISTENER, *rows)), using=using)

    troubles = find(using)
    assert [each.host.name for each in troubles.found] == ["web2"]
    assert troubles.left_out == {Kind.WAITS: 1}


@both_databases
def test_hosts_without_a_whole_probe_have_no_findings(host: Host, using: str) -> None:
    assert find(using).found == []
    assert trouble.find(None).found == ()


@both_databases
def test_no_plan_reads_a_table_of_sockets_whole(host: Host, using: str) -> None:
    others = [Host.objects.using(using).create(name=f"h{n}", address="h") for n in range(19)]
    plans.fill(using, [host.pk, *(other.pk for other in others)])
    middle = at(plans.MIDNIGHT + 1440)
    past = Scope(using, (host.pk,), moments=((host.pk, middle),))
    window = (host.pk, middle - dt.timedelta(hours=6), middle)
    ports = {host.pk: PortRange(30_000, 60_000, 30_001, "")}

    wide = plans.whole_reads(using, lambda: trouble_counts.close_waits(past, [window]))
    for scope in (Scope(using, (host.pk,)), past):
        wide += plans.whole_reads(using, lambda s=scope: trouble_counts.half_open(s))
        wide += plans.whole_reads(using, lambda s=scope: trouble_counts.time_waits_to(s, least=5))
        wide += plans.whole_reads(using, lambda s=scope: trouble_counts.time_waits_into(s, least=5))
        wide += plans.whole_reads(
            using, lambda s=scope: trouble_counts.ports_in_use(s, ports, least=5)
        )
    assert wide == []
