"""The suite's own ground: nothing of the operator's site, nothing shared between workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from tests.conftest import RUN_DIR, WORKER_DIR
from tests.databases import POSTGRESQL, SQLITE, both_databases, both_databases_committed
from tests.servers import PORT_SHARES, free_port


def test_the_data_folder_is_this_workers_own() -> None:
    assert settings.DATA_DIR == WORKER_DIR / "data"
    assert WORKER_DIR.parent == RUN_DIR


def test_secrets_are_those_of_the_tests() -> None:
    assert settings.SECRET_KEY.startswith("only-for-tests-")


@both_databases
def test_a_test_can_run_on_both_databases(using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone()[0] > 0
    vendors = {SQLITE: "sqlite", POSTGRESQL: "postgresql"}
    assert connections[using].vendor == vendors[using]


@both_databases_committed
def test_a_test_without_a_transaction_can_too(using: str) -> None:
    assert not connections[using].in_atomic_block


def test_an_empty_postgresql_database_is_to_be_had(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
    assert tables == (0,)


def test_an_empty_redis_is_to_be_had(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _call in range(20)]
    assert len(set(ports)) == 20
    assert len({port % PORT_SHARES for port in ports}) == 1, "a worker has a share of its own"


def test_waiting_ends_with_what_was_waited_for(wait_until: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the moon"):
        wait_until(lambda: False, timeout_s=0.01, what="the moon")
    assert wait_until(lambda: "value") == "value"
