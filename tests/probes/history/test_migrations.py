"""The hand-made tables match the models, and the migration goes back and forth with data."""

from __future__ import annotations

from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from hosts.models import Host
from probes.history import partitions, store
from probes.history.queries import sql
from probes.models import ClosedSocket, OpenSocket
from tests.databases import POSTGRESQL, SQLITE, both_databases, both_databases_committed
from tests.probes.history.played import LISTENER, at, line, observed, open_rows, rows_of, table

added = import_module("probes.migrations.0005_history_indexes")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", stdout=StringIO())


def test_history_is_indexed_by_the_port_in_the_words_it_is_asked_in() -> None:
    assert added.SERVICE_PORT == sql.SERVICE_PORT
    assert added.LONG == sql.LONG


@both_databases
@pytest.mark.parametrize("model", [OpenSocket, ClosedSocket])
def test_the_tables_have_the_columns_and_indexes_of_the_models(
    using: str, model: type[OpenSocket] | type[ClosedSocket]
) -> None:
    connection = connections[using]
    table_name = model._meta.db_table
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table_name)
        constraints = connection.introspection.get_constraints(cursor, table_name)
    nullable = {column.name: bool(column.null_ok) for column in described}
    assert nullable == {field.column: field.null for field in model._meta.local_concrete_fields}
    indexes = {
        name: found["columns"]
        for name, found in constraints.items()
        if found["index"] and not found["primary_key"] and name.startswith("probes_")
    }
    by_hand = {name for name, on in added.INDEXES if on.startswith(f"{table_name} ")}
    assert by_hand
    if model is ClosedSocket:
        by_hand.add("probes_closed_long")
    else:
        by_hand.add("probes_open_outgoing")
    if model is OpenSocket and using == SQLITE:
        by_hand.add("probes_open_remote")
        columns = ["remote_ip", "direction", "state", "local_port", "copies"]
        assert indexes["probes_open_remote"] == columns
    assert by_hand <= indexes.keys()
    assert {name: columns for name, columns in indexes.items() if name not in by_hand} == {
        index.name: [model._meta.get_field(name).column for name in index.fields]
        for index in model._meta.indexes
        if index.name not in by_hand
    }
    primary = [found["columns"] for found in constraints.values() if found["primary_key"]]
    assert primary == ([["host_id", "key"]] if model is OpenSocket else [])


@both_databases_committed
def test_the_migration_goes_back_and_forth_with_data(host: Host, using: str) -> None:
    text = table(LISTENER, line())
    store.save(host, observed(0, text), using=using)
    store.save(host, observed(1, table(LISTENER)), using=using)
    tables = {model._meta.db_table for model in apps.get_app_config("probes").get_models()}
    try:
        call_command("migrate", "probes", "zero", database=using, verbosity=0)
        left = set(connections[using].introspection.table_names())
        assert not left & tables
        assert not [name for name in left if name.startswith(partitions.TABLE)]
    finally:
        call_command("migrate", "probes", database=using, verbosity=0)
    assert tables <= set(connections[using].introspection.table_names())
    store.save(host, observed(2, text), using=using)
    store.save(host, observed(3, table(LISTENER)), using=using)
    assert open_rows(host, using) == rows_of(table(LISTENER))
    assert ClosedSocket.objects.using(using).get().last_seen == at(2)


@pytest.mark.django_db(databases=[POSTGRESQL])
def test_open_sockets_are_kept_from_bloating() -> None:
    with connections[POSTGRESQL].cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'probes_opensocket'")
        options = dict(option.split("=") for option in cursor.fetchone()[0])
    assert options["fillfactor"] == "90"
    assert float(options["autovacuum_vacuum_scale_factor"]) < 0.2
