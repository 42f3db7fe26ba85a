"""The page of changes is read along its indexes, on either database, however many there are."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connections

from hosts.models import Host
from probes.history.queries import changes
from probes.history.queries.changes import ChangeFilter
from probes.models import Change
from tests.databases import both_databases
from tests.probes.history import plans
from tests.probes.history.played import at

MANY = 3_000


@pytest.fixture
def hosts(using: str) -> list[Host]:
    made = [Host.objects.using(using).create(name=f"h{n}", address="h") for n in range(10)]
    Change.objects.using(using).bulk_create(
        Change(
            host=made[n % 10 if n % 50 else 9],
            kind="port_new",
            at=at(n),
            protocol="tcp",
            port=n % 1000,
            program="nginx",
            detail={"range": "system"},
            announced_at=at(n),
        )
        for n in range(MANY)
    )
    with connections[using].cursor() as cursor:
        for model in (Change, Host):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    return made


@both_databases
def test_every_question_reads_along_an_index(hosts: list[Host], using: str) -> None:
    everything = Host.objects.using(using).all()

    assert asked(using, ChangeFilter()) & {"probes_change_newest"}

    first = changes.page(
        changes.listed(everything, ChangeFilter()), ChangeFilter(), cursor=None, limit=100
    )
    assert asked(using, ChangeFilter(), first.next) & {"probes_change_newest"}

    of_one = changes.listed(everything.filter(pk=hosts[1].pk), ChangeFilter())[:100]
    with plans.explained(using) as seen:
        assert list(of_one)
    assert {"probes_change_host", "probes_change_newest"} & used(seen)

    span = ChangeFilter(since=at(100).isoformat(), until=at(160).isoformat())  # type: ignore[arg-type]
    with plans.explained(using) as seen:
        assert len(list(changes.listed(everything, span))) == 60
    assert {"probes_change_host", "probes_change_newest"} & used(seen)

    assert changes.listed(everything, ChangeFilter(range="system")).count() == MANY
    assert not changes.listed(everything, ChangeFilter(range="registered")).exists()


def asked(using: str, wanted: ChangeFilter, cursor: str | None = None) -> set[str]:
    """The indexes that a page of changes is read along."""
    rows = changes.listed(Host.objects.using(using).all(), wanted)
    with plans.explained(using) as seen:
        found = changes.page(rows, wanted, cursor=cursor, limit=100)
    assert len(found.rows) == 100
    assert (found.rows[0].at - found.rows[-1].at) == dt.timedelta(minutes=99)
    assert len(seen) == 2
    return used(seen[-1:])


def used(seen: list[tuple[str, list[object]]]) -> set[str]:
    """Names of the indexes of changes in the plans."""
    text = repr(seen)
    return {name for name in ("probes_change_newest", "probes_change_host") if name in text}
