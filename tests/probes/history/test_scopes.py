"""What counts as external, private and loopback, in Python and in both databases."""

from __future__ import annotations

import ipaddress

import pytest

from hosts.models import Host
from probes.filters import packed
from probes.history.queries import scopes, sql
from probes.history.queries.sql import Scope, Statement
from tests.databases import both_databases

KNOWN = {
    "loopback": ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"],
    "private": [
        *("0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"),
        *("169.254.0.1", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.168.1.1"),
        *("198.18.0.0", "198.19.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
        *("255.255.255.255", "::", "64:ff9b:1::1", "100::1", "2001:2::1", "5f00::1", "fc00::1"),
        *("fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "::ffff:10.1.2.3"),
    ],
    "external": [
        *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1"),
        *("128.0.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.0.1", "192.169.0.1"),
        *("198.17.255.255", "198.20.0.0", "203.0.110.9", "223.255.255.255", "110.1.2.3"),
        # Documentation, NAT64, 6to4 and Teredo: not ours, whatever they hold.
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "192.88.99.1"),
        *("64:ff9b::a00:1", "2002:a00:1::1", "2001::1", "2600::1", "2a00:1450::1", "fb00::1"),
        *("::2", "::ffff:8.8.8.8"),
    ],
}
CASES = [(ip, scope) for scope, listed in KNOWN.items() for ip in listed]


@pytest.mark.parametrize(("ip", "scope"), CASES)
def test_an_address_has_its_scope(ip: str, scope: str) -> None:
    assert scopes.of(packed(ipaddress.ip_address(ip))) == scope


@both_databases
def test_the_database_says_the_same_by_condition_and_by_name(using: str) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    scope = Scope(using, (host.pk,))
    cast = "::bytea" if scope.is_postgres else ""
    table = " UNION ALL ".join([f"SELECT %s{cast} AS remote_ip"] * len(CASES))
    addresses = tuple(packed(ipaddress.ip_address(ip)) for ip, _scope in CASES)
    named = scopes.naming("remote")
    told = sql.fetch(
        scope,
        Statement(f"SELECT remote_ip, {named.sql} FROM ({table}) AS t",
                  (*named.params, *addresses)),
    )  # fmt: skip
    assert [name for _ip, name in told] == [name for _ip, name in CASES]
    for name, listed in KNOWN.items():
        where = scopes.condition(name)
        found = sql.fetch(
            scope,
            Statement(f"SELECT remote_ip FROM ({table}) AS t WHERE {where.sql}",
                      (*addresses, *where.params)),
        )  # fmt: skip
        assert len(found) == len(listed), name


def test_an_address_that_was_cut_is_taken_as_external() -> None:
    assert scopes.of(b"") == "external"
