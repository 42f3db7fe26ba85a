"""Whatever is played in, each of its snapshots is read back equal: by pages, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.models import Host
from netadmin.access.models import Role
from probes import parsers
from probes.history import queries, store
from probes.models import Snapshot
from tests.databases import POSTGRESQL, SQLITE
from tests.people import browser_of, person
from tests.probes.history.played import observed
from tests.probes.history.test_store_exact import TEXTS

Row = tuple[Any, ...]
ENDS = ("protocol", "local_ip", "local_port", "foreign_ip", "foreign_port", "state", "pid",
        "program")  # fmt: skip

_numbers = itertools.count()


def printed(text: str) -> Counter[Row]:
    """What the parser reads in a text, queues and marks left out."""
    return Counter(
        tuple(getattr(socket, name) for name in ENDS)
        for socket in parsers.parse_sockets(text).sockets
    )


def counted(rows: Iterable[tuple[Row, int]]) -> Counter[Row]:
    """Rows with how often the host printed each."""
    total: Counter[Row] = Counter()
    for row, copies in rows:
        total[row] += copies
    return total


def by_pages(host: Host, snapshot: Snapshot) -> Counter[Row]:
    def rows() -> Iterator[tuple[Row, int]]:
        cursor = None
        while True:
            page = queries.connections(host, snapshot=snapshot, cursor=cursor, limit=3)
            for row in page.rows:
                yield tuple(getattr(row, name) for name in ENDS), row.copies
            cursor = page.next
            if cursor is None:
                return

    return counted(rows())


def as_json(client: Client, path: str, at: str) -> Counter[Row]:
    def rows() -> Iterator[tuple[Row, int]]:
        query = {"at": at, "limit": "4", "sort": "-foreign_ip"}
        while True:
            data = client.get(path, query).json()["data"]
            for row in data["connections"]:
                yield tuple(row[name] for name in ENDS), row["copies"]
            if data["next"] is None:
                return
            query["cursor"] = data["next"]

    return counted(rows())


def as_csv(client: Client, path: str, at: str) -> Counter[Row]:
    text = client.get(path, {"at": at, "format": "csv"}).getvalue().decode()
    numbers = {"local_port", "foreign_port", "pid"}

    def cell(name: str, value: str) -> Any:
        if value == "":
            return None
        return int(value) if name in numbers else value.removeprefix("'")

    return counted(
        (tuple(cell(name, row[name]) for name in ENDS), int(row["copies"]))
        for row in csv.DictReader(io.StringIO(text))
    )


def plain(rows: Counter[Row]) -> Counter[Row]:
    """As a CSV can say it: an empty name is none."""
    total: Counter[Row] = Counter()
    for row, copies in rows.items():
        total[tuple(None if value == "" else value for value in row)] += copies
    return total


def play(texts: list[str]) -> None:
    number = next(_numbers)
    host = Host.objects.create(name=f"exact{number}", address="192.0.2.1")
    client = browser_of(person(f"reader{number}", Role.VIEWER))
    path = reverse("api-host-connections", args=[host.pk])
    kept = []
    for minute, text in enumerate(texts):
        snapshot = store.save(host, observed(minute, text))
        if snapshot.outcome == "ok":
            kept.append((snapshot, printed(text)))
    for snapshot, expected in kept:
        at = snapshot.taken_at.isoformat()
        assert by_pages(host, snapshot) == expected
        assert as_json(client, path, at) == expected
        assert as_csv(client, path, at) == plain(expected)


@contextmanager
def site_on_postgresql() -> Iterator[None]:
    """The site's own database is PostgreSQL."""
    own = connections["default"]
    connections["default"] = connections["postgres"]
    try:
        yield
    finally:
        connections["default"] = own


@pytest.mark.django_db(databases=[SQLITE])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_every_snapshot_is_read_back_equal_on_sqlite(texts: list[str]) -> None:
    play(texts)


@pytest.mark.django_db(databases=[SQLITE, POSTGRESQL])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_every_snapshot_is_read_back_equal_on_postgresql(texts: list[str]) -> None:
    with site_on_postgresql():
        play(texts)
