"""Names of addresses: read by pages, noted by pages, asked for by a task, never in a page's way."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from probes import names
from probes.history import retention
from probes.models import AddressName
from tests import dns_server
from tests.databases import both_databases, both_databases_committed
from tests.dns_server import Server


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    """A DNS server that the site asks."""
    with Server() as running:
        settings.DNS_SERVERS = [running.address]
        yield running


def tell(server: Server, ip: str, behaviour: dns_server.Behaviour) -> None:
    server.answers |= Server.by_name({ip: behaviour})


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


@both_databases
def test_a_page_notes_what_it_does_not_know_and_reads_what_it_does(using: str) -> None:
    now = timezone.now()
    AddressName.objects.using(using).create(
        address="203.0.113.4", name="a.example", wanted_at=now, known_at=now, ask_at=now + hours(1)
    )

    found = names.hints(["203.0.113.4", "203.0.113.5", "203.0.113.5"], using=using)

    assert found == {"203.0.113.4": "a.example"}
    noted = AddressName.objects.using(using).get(address="203.0.113.5")
    assert (noted.name, noted.known_at, noted.failures) == ("", None, 0)
    with CaptureQueriesContext(connections[using]) as queries:
        assert names.hints(["203.0.113.4", "203.0.113.5"], using=using) == found
    assert len(queries) == 1


@both_databases
def test_an_address_that_is_looked_at_again_is_wanted_again(using: str) -> None:
    long_ago = timezone.now() - hours(13)
    AddressName.objects.using(using).create(
        address="203.0.113.4", name="a.example", wanted_at=long_ago, ask_at=long_ago, failures=3
    )

    assert names.hints(["203.0.113.4"], using=using) == {"203.0.113.4": "a.example"}

    row = AddressName.objects.using(using).get()
    assert row.wanted_at > long_ago
    assert (row.ask_at, row.failures, row.name) == (long_ago, 3, "a.example")


@both_databases
def test_addresses_without_a_public_name_are_not_asked_for(using: str) -> None:
    listed = ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0",
              "169.254.1.1", "255.255.255.255", "0.1.2.3", "…", "2001:db8:12", "", "host",
              "fe80::1"]  # fmt: skip
    with CaptureQueriesContext(connections[using]) as queries:
        assert names.hints(listed, using=using) == {}
    assert len(queries) == 0
    assert names.askable("::ffff:203.0.113.4") == "203.0.113.4"
    assert names.askable("2001:DB8::0:5") == "2001:db8::5"
    assert names.askable("10.0.0.9") == "10.0.0.9"


@both_databases
def test_a_page_notes_no_more_than_its_share(using: str) -> None:
    names.hints([f"10.0.{n // 250}.{n % 250 + 1}" for n in range(700)], using=using)
    assert AddressName.objects.using(using).count() == names.MOST_WANTED


@pytest.mark.django_db
def test_switched_off_nothing_is_read_noted_or_asked(settings: Any, server: Server) -> None:
    names.hints(["203.0.113.4"])
    settings.REVERSE_DNS = False
    with CaptureQueriesContext(connections["default"]) as queries:
        assert names.hints(["203.0.113.4"]) == {}
        assert names.ask_wanted() == 0
    assert (len(queries), server.asked) == (0, [])


@both_databases_committed
def test_a_busy_database_costs_a_page_the_noting_and_nothing_else(using: str) -> None:
    AddressName.objects.using(using).create(
        address="203.0.113.4", name="a.example", wanted_at=timezone.now(), ask_at=timezone.now()
    )
    connection = connections[using]
    with _other_writer(using):
        found = names.hints(["203.0.113.4", "203.0.113.5"], using=using)
    assert found == {"203.0.113.4": "a.example"}
    assert not AddressName.objects.using(using).filter(address="203.0.113.5").exists()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (site.SQLITE_OPTIONS["timeout"] * 1000,)
    names.hints(["203.0.113.5"], using=using)
    assert AddressName.objects.using(using).filter(address="203.0.113.5").exists()


def _other_writer(using: str) -> Any:
    """Somebody who is in the middle of writing, and stays there."""
    params = connections[using].get_connection_params()
    if connections[using].vendor == "sqlite":
        other = sqlite3.connect(params["database"], uri=True, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return closing(other)
    import psycopg

    params.pop("cursor_factory", None)
    params.pop("context", None)
    blocking = psycopg.connect(**params)
    blocking.execute("LOCK TABLE probes_addressname IN SHARE MODE")
    return closing(blocking)


@pytest.mark.django_db
def test_what_pages_want_is_asked_for_once_and_then_kept(server: Server) -> None:
    tell(server, "203.0.113.4", dns_server.named("a.example.", ttl_s=7200))
    names.hints(["203.0.113.4", "203.0.113.5"])

    assert names.ask_wanted() == 2
    assert names.ask_wanted() == 0

    assert names.hints(["203.0.113.4", "203.0.113.5"]) == {"203.0.113.4": "a.example"}
    assert len(server.asked) == 2
    row = AddressName.objects.get(address="203.0.113.4")
    assert row.known_at is not None
    assert row.ask_at - row.known_at == hours(2)
    none = AddressName.objects.get(address="203.0.113.5")
    assert none.known_at is not None
    assert (none.name, none.ask_at - none.known_at) == ("", hours(1))  # 3000 s, and the floor


@pytest.mark.django_db
@pytest.mark.parametrize(("ttl_s", "kept"), [(0, hours(1)), (10**7, hours(7 * 24))])
def test_how_long_a_name_is_kept_has_bounds(server: Server, ttl_s: int, kept: Any) -> None:
    tell(server, "203.0.113.4", dns_server.named("a.example.", ttl_s=ttl_s))
    names.hints(["203.0.113.4"])
    names.ask_wanted()
    row = AddressName.objects.get()
    assert row.known_at is not None
    assert row.ask_at - row.known_at == kept


@pytest.mark.django_db
def test_a_server_that_fails_is_asked_less_and_less_and_the_name_stays(server: Server) -> None:
    tell(server, "203.0.113.4", dns_server.refusing())
    known = timezone.now() - hours(10)
    AddressName.objects.create(
        address="203.0.113.4",
        name="a.example",
        wanted_at=timezone.now(),
        known_at=known,
        ask_at=known,
    )
    waits = []
    for _turn in range(13):
        before = timezone.now()
        assert names.ask_wanted() == 1
        row = AddressName.objects.get()
        waits.append(row.ask_at - before)
        AddressName.objects.update(ask_at=known)
    assert (row.name, row.known_at, row.failures) == ("a.example", known, 13)
    minutes = [round(wait.total_seconds() / 60) for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]


@pytest.mark.django_db
def test_silence_of_one_holds_the_others_up_no_longer_than_its_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "LIFETIME_S", 0.4)
    tell(server, "203.0.113.4", dns_server.silent())
    tell(server, "203.0.113.5", dns_server.named("b.example."))
    names.hints(["203.0.113.4", "203.0.113.5"])
    assert names.ask_wanted() == 2
    assert names.hints(["203.0.113.4", "203.0.113.5"]) == {"203.0.113.5": "b.example"}


@pytest.mark.django_db
def test_a_turn_asks_for_a_bounded_number_and_only_for_what_is_looked_at(server: Server) -> None:
    names.hints([f"10.1.0.{n}" for n in range(1, 101)])
    AddressName.objects.filter(address="10.1.0.1").update(wanted_at=timezone.now() - hours(25))
    turns = [names.ask_wanted() for _turn in range(4)]
    assert turns == [names.ASKED_AT_ONCE, names.ASKED_AT_ONCE, 99 - 2 * names.ASKED_AT_ONCE, 0]
    assert len(set(server.asked)) == 99


@pytest.mark.django_db
def test_two_workers_ask_different_questions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.hints([f"10.1.0.{n}" for n in range(1, 11)])
    inner = []
    learn = names._learn

    def meanwhile(*arguments: Any) -> None:
        if not inner:
            inner.append(names.ask_wanted())
        learn(*arguments)

    monkeypatch.setattr(names, "_learn", meanwhile)
    assert names.ask_wanted() == 10
    assert inner == [0]
    assert len(server.asked) == 10


@both_databases
def test_names_nobody_wants_are_forgotten(using: str) -> None:
    now = timezone.now()
    for address, days in (("203.0.113.4", 29), ("203.0.113.5", 31)):
        AddressName.objects.using(using).create(
            address=address, wanted_at=now - dt.timedelta(days=days), ask_at=now
        )
    assert retention.prune(now, using).address_names == 1
    assert AddressName.objects.using(using).get().address == "203.0.113.4"
