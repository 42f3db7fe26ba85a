"""The fleet that the commands ask about, and the same as the database of other processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

if TYPE_CHECKING:
    from tests.probes.commands.fleet import Fleet
    from tests.standing import Standing


@pytest.fixture(scope="module")
def standing_fleet(django_db_setup: None, django_db_blocker: Any) -> Iterator[Standing[Fleet]]:
    """The hosts, for the tests of a module."""
    from tests.probes.commands.fleet import build
    from tests.standing import standing

    yield from standing(build, blocker=django_db_blocker)


@pytest.fixture
def fleet(standing_fleet: Standing[Fleet], db: None) -> Iterator[Fleet]:
    """The hosts, in the test's transaction, just after their newest probe."""
    from tests.probes.history.played import at

    with time_machine.travel(at(20.5), tick=True):
        yield standing_fleet.taken()


@pytest.fixture(scope="module")
def site_env(
    standing_fleet: Standing[Fleet],
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: Any,
) -> dict[str, str]:
    """The environment of a process on a site of its own that has the same hosts."""
    from django.db import connection

    folder = tmp_path_factory.mktemp("site")
    with django_db_blocker.unblock(), closing(sqlite3.connect(folder / "netadmin.sqlite3")) as own:
        connection.ensure_connection()
        own.executescript("\n".join(connection.connection.iterdump()))
    kept = ("PATH", "HOME", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "DATA_DIR": str(folder),
        # Empty, not absent: an operator's .env in the checkout must not fill it in.
        "DATABASE_URL": "",
        "LANGUAGE_CODE": "en",
        "TIME_ZONE": "UTC",
        "LANG": "C.UTF-8",
    }
