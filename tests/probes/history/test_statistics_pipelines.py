"""The one-liners of tutorials, really run: the same numbers where they are right, and ours where
they are not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hosts.models import Host
from probes import filters
from probes.filters import SocketFilter
from probes.history import queries, store
from probes.history.queries import moments, statistics
from probes.history.queries.sql import Scope
from probes.parsers.records import TCP_STATES
from tests.databases import both_databases
from tests.probes.history.counted import text_of
from tests.probes.history.played import line, observed, table
from tests.servers import find_program

CAPTURED = text_of("netstat--captured_states")
HEADINGS = (
    "Active Internet connections ({})\nProto Recv-Q Send-Q Local Address Foreign Address State\n"
)
PER_IP = "awk '{print $5}' | cut -d: -f1 | sort | uniq -c | sort -nr"
PER_IP_BY_AWK = "awk '{print $5}' | awk -F: '{print $1}' | sort | uniq -c | sort -nr"


def netstat(options: str, text: str = CAPTURED, *, ipv6: bool = False) -> str:
    """What netstat prints with ``options`` where it prints ``text`` with -antup."""
    kinds = [kind for letter, kind in (("t", "tcp"), ("u", "udp")) if letter in options]
    printed = []
    for row in text.splitlines():
        fields = row.split()
        if not fields or not fields[0].startswith(tuple(kinds or ("tcp", "udp", "raw"))):
            continue
        if fields[0].endswith("6") and not ipv6:
            continue
        stated = len(fields) > 5 and fields[5] in TCP_STATES
        listens = fields[4].endswith(":*")
        if listens and not {"a", "l"} & set(options):
            continue
        if "l" in options and "a" not in options and not listens:
            continue
        holder = fields[6 if stated else 5 :] if "p" in options else []
        printed.append(" ".join([*fields[:5], fields[5] if stated else "", *holder]) + " ")
    kind = "servers and established" if "a" in options else "w/o servers"
    return HEADINGS.format(kind) + "\n".join(printed) + "\n"


def shell(pipeline: str, text: str) -> dict[str, int]:
    """Runs ``pipeline`` over ``text``: counts by what they are of."""
    find_program("awk", package="mawk")
    done = subprocess.run(
        ["sh", "-c", pipeline],
        input=text.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
        timeout=20,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert not done.stderr, done.stderr
    found: dict[str, int] = {}
    for row in done.stdout.decode("utf-8", "replace").splitlines():
        first, _blank, second = row.strip().partition(" ")
        number, name = (first, second) if first.isdigit() else (second, first)
        found[name] = int(number or 0)
    return found


def lines(pipeline: str, text: str) -> list[str]:
    """Runs ``pipeline`` over ``text``: what it prints."""
    done = subprocess.run(
        ["sh", "-c", pipeline], input=text.encode("utf-8", "surrogateescape"),
        capture_output=True, check=False, timeout=20, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace").splitlines()


def asked(text: str) -> SocketFilter:
    from django.http import QueryDict

    return filters.parse(SocketFilter, QueryDict(text))


def stored(host: Host, using: str, text: str = CAPTURED) -> Scope:
    store.save(host, observed(0, text), using=using)
    scope = moments.scope(Host.objects.using(using).all())
    assert scope is not None
    return scope


def totals(rows: Iterable[Any]) -> dict[str, int]:
    return {row.ip: row.total for row in rows}


IPV4 = "family=4&"
"""The captured rows hold one tcp6 socket that speaks IPv4, which the pipelines do not see here."""
ONLY_TCP = "family=4&proto=tcp&"


def ips(text: str, **arguments: Any) -> Callable[[Scope], dict[str, int]]:
    return lambda scope: totals(
        statistics.remote_ips(scope, filters=asked(text), limit=1000, **arguments)
    )


def states(text: str) -> Callable[[Scope], dict[str, int]]:
    return lambda scope: {
        row.state: row.sockets
        for row in statistics.states(scope, filters=asked(text))
        if row.sockets and row.state
    }


RIGHT: dict[str, tuple[str, str, Callable[[Scope], dict[str, int]]]] = {
    "sockets per state": (
        "awk '/^tcp/ {++S[$NF]} END {for(a in S) print (a,S[a])}'",
        "ant",
        states(ONLY_TCP),
    ),
    "sockets per state by sort": (
        "grep 'tcp' | awk '{print $6}' | sort | uniq -c | sort -rn",
        "ant",
        states(ONLY_TCP),
    ),
    "established per address": (f"grep ESTAB | {PER_IP}", "ntu", ips(f"{IPV4}state=ESTABLISHED")),
    "established per address by awk": (
        f"grep ESTABLISHED | {PER_IP_BY_AWK} | head -10",
        "ant",
        ips(f"{ONLY_TCP}state=ESTABLISHED"),
    ),
    "addresses on a port": (
        f"grep :80 | {PER_IP} | head -n20",
        "ntp",
        lambda scope: totals(statistics.ip_on_port(scope, 80, filters=asked(ONLY_TCP))),
    ),
    "SYN_RECV per address": (
        f"grep SYN_REC | {PER_IP}", "nt", ips(f"{ONLY_TCP}state=SYN_RECV"),
    ),
    "any SYN per address": (
        f"grep SYN | {PER_IP_BY_AWK}", "ant", ips(f"{ONLY_TCP}state=SYN_RECV,SYN_SENT"),
    ),
    "TIME_WAIT per destination": (
        "grep TIME_WAIT | awk '{print $5}' | sort | uniq -c | sort -rn",
        "n",
        lambda scope: {
            f"{row.ip}:{row.port}": row.total
            for row in statistics.remote_ends(
                scope, filters=asked(f"{ONLY_TCP}state=TIME_WAIT"), limit=1000
            )
        },
    ),
    "established per local port": (
        "grep ESTABLISHED | awk '{print $4}' | awk -F: '{print $NF}' | sort | uniq -c",
        "ant",
        lambda scope: {
            str(row.port): row.connections
            for row in statistics.local_ports(
                scope, filters=asked(f"{ONLY_TCP}state=ESTABLISHED"), limit=1000
            )
        },
    ),
    "a common port": (
        "grep -c ':80 '",
        "antup",
        lambda scope: {
            "": sum(
                row.listeners + row.inbound + row.outbound
                for row in statistics.common_ports(scope, [80], filters=asked(IPV4))
            )
        },
    ),
}  # fmt: skip


@pytest.fixture
def own_ipv4() -> str:
    """The captured rows without the socket of tcp6 that speaks IPv4."""
    return "".join(
        f"{row}\n"
        for row in CAPTURED.splitlines()
        if not (row.startswith("tcp6") and " 10.9." in row)
    )


@both_databases
@pytest.mark.parametrize("name", RIGHT)
def test_a_pipeline_that_is_right_says_the_same(
    host: Host, using: str, own_ipv4: str, name: str
) -> None:
    pipeline, options, ours = RIGHT[name]
    expected = shell(pipeline, netstat(options, own_ipv4))
    assert expected
    assert ours(stored(host, using, own_ipv4)) == expected


@both_databases
def test_tcp_and_udp_are_as_many_as_grep_counts(host: Host, using: str) -> None:
    printed = netstat("antup", ipv6=True)
    (tcp,) = shell("grep -c tcp", printed).values()
    (udp,) = shell("grep -c ^udp", printed).values()
    counted = {row.protocol: row.sockets for row in statistics.protocols(stored(host, using))}
    assert counted["tcp"] == tcp
    # grep takes UDP-Lite for UDP, which it is not.
    assert counted["udp"] + counted["udplite"] == udp


@both_databases
def test_the_ports_listened_on_are_those_of_the_one_liner(host: Host, using: str) -> None:
    scope = stored(host, using)
    for protocol in ("tcp", "udp"):
        pipeline = f"grep '^{protocol}6\\? ' | awk '{{print $4}}' | awk -F: '{{print $NF}}'"
        ports = lines(f"{pipeline} | sort -n | uniq", netstat("tuln", ipv6=True))
        listed = statistics.local_ports(
            scope, filters=asked(f"direction=listen&proto={protocol}"), sort="port", limit=1000
        )
        assert [str(row.port) for row in listed if row.protocol == protocol] == ports


# --- where they are wrong -------------------------------------------------------------------------


@both_databases
def test_ipv6_is_cut_at_its_first_colon_and_ours_is_whole(host: Host, using: str) -> None:
    printed = netstat("ntu", ipv6=True)
    theirs = shell(f"grep ESTAB | {PER_IP}", printed)
    ours = ips("state=ESTABLISHED")(stored(host, using))
    # Three machines of one network are one line, and so is everything link-local.
    assert theirs["2001"] == 4
    assert theirs["fe80"] == 1
    assert "2001" not in ours
    assert {ip: number for ip, number in ours.items() if ":" in ip} == {
        "2001:db8:9:1::2": 3,
        "2001:db8:9:1::11": 1,
        "fe80::2": 1,
    }
    assert sum(ours.values()) == sum(theirs.values())


@both_databases
def test_a_mapped_address_is_lost_to_the_one_liner_and_is_ipv4_to_us(
    host: Host, using: str
) -> None:
    text = table(
        line("10.0.0.5:22", "203.0.113.9:50"),
        line("::ffff:10.0.0.5:22", "::ffff:203.0.113.9:51", protocol="tcp6"),
    )
    assert shell(f"grep ESTAB | {PER_IP}", netstat("ntu", text, ipv6=True)) == {
        "203.0.113.9": 1,
        "": 1,
    }
    assert ips("state=ESTABLISHED")(stored(host, using, text)) == {"203.0.113.9": 2}


@both_databases
def test_headings_are_no_addresses_to_us(host: Host, using: str, own_ipv4: str) -> None:
    theirs = shell(PER_IP, netstat("ntu", own_ipv4))
    ours = ips(IPV4)(stored(host, using, own_ipv4))
    assert theirs.keys() - ours.keys() == {"servers)", "Address"}
    assert {ip: number for ip, number in theirs.items() if ip in ours} == ours


@both_databases
def test_the_port_of_the_other_end_is_not_ours(host: Host, using: str) -> None:
    text = table(
        line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx"),
        line("10.0.0.5:80", "198.51.100.1:5000", "ESTABLISHED", "9/nginx"),
        line("10.0.0.5:5001", "198.51.100.2:80", "ESTABLISHED", "9/curl"),
        line("10.0.0.5:8080", "198.51.100.3:5002", "ESTABLISHED", "9/java"),
    )
    theirs = shell(f"grep :80 | {PER_IP}", netstat("antp", text))
    assert theirs == {f"198.51.100.{last}": 1 for last in (1, 2, 3)} | {"0.0.0.0": 1}
    scope = stored(host, using, text)
    assert totals(statistics.ip_on_port(scope, 80)) == {"198.51.100.1": 1}
    (use,) = statistics.common_ports(scope, [80])
    assert (use.listeners, use.inbound, use.outbound) == (1, 1, 1)


@both_databases
def test_internal_addresses_are_told_by_their_network_and_not_by_their_digits(
    host: Host, using: str
) -> None:
    text = table(
        line("10.0.0.5:80", "203.0.110.9:5000"),
        line("10.0.0.5:80", "10.0.0.9:5001"),
        line("10.0.0.5:80", "100.64.1.2:5002"),
        line("10.0.0.5:80", "169.254.1.2:5003"),
        line("2001:db8::5:80", "2600:db8::9:500", protocol="tcp6"),
        line("2001:db8::5:80", "fd00::9:5005", protocol="tcp6"),
    )
    inside = ["127.0.0.1", "192.168", "10.", "172.1[6-9]", "172.2[0-9]", "172.3[0-1]"]
    without = " | ".join(f"grep -v '{each}'" for each in inside)
    theirs = shell(
        f"grep ESTABLISHED | awk '{{print $5}}' | awk -F: '{{print $1}}' | {without}"
        " | sort | uniq -c | sort -rn",
        netstat("antup", text, ipv6=True),
    )
    # 203.0.110.9 holds "10.", while link-local addresses and fd00::/8 are let through.
    assert theirs == {"169.254.1.2": 1, "2600": 1, "fd00": 1}
    scope = stored(host, using, text)
    assert totals(statistics.remote_ips(scope, where="external")) == {
        "203.0.110.9": 1,
        "2600:db8::9": 1,
    }


@both_databases
def test_a_program_with_a_blank_in_its_name_is_whole(host: Host, using: str) -> None:
    text = text_of("netstat--tutorial_listeners")
    theirs = lines("grep '^tcp' | awk '{print $4,$7}'", text)
    store.save(host, observed(0, text), using=using)
    ours = [
        f"{row.local_ip}:{row.local_port} {row.pid}/{row.program}" for row in queries.ports(host)
    ]
    assert len(ours) == len(theirs)
    whole = {row for row in ours if " " in row.partition(" ")[2]}
    assert {row for row in ours if row not in whole} <= set(theirs)
    assert whole
    assert not whole & set(theirs)
