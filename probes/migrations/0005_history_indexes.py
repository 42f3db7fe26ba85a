"""Indexes of the socket tables that history is searched by; each says which question it serves.

Written by hand, as the tables are: both engines take most of the same words, and Django's state
knows neither table's own layout. On PostgreSQL the partitions of closed sockets inherit them.
"""

from __future__ import annotations

from django.db import migrations

SERVICE_PORT = "(CASE WHEN direction = 2 THEN remote_port ELSE local_port END)"
"""``probes.history.queries.sql.SERVICE_PORT``; a planner wants the very same words."""

INDEXES = (
    # Who served or used port 3306, ever: the listened-on port of whichever end it is.
    ("probes_closed_service", f"probes_closedsocket ({SERVICE_PORT}, last_seen)"),
    ("probes_open_service", f"probes_opensocket ({SERVICE_PORT})"),
    # Where a program ran, ever; also which names there are, hopping from one to the next.
    ("probes_closed_program", "probes_closedsocket (program, last_seen) WHERE program IS NOT NULL"),
    ("probes_open_program", "probes_opensocket (program) WHERE program IS NOT NULL"),
    # The sockets of many hosts at a time: on PostgreSQL, in the days after it, the few that were
    # there already.
    ("probes_closed_first", "probes_closedsocket (first_seen)"),
    # Listeners that came since a time, on any host: few among many sockets.
    ("probes_closed_listener", "probes_closedsocket (first_seen) WHERE direction = 3"),
    ("probes_open_listener", "probes_opensocket (first_seen) WHERE direction = 3"),
    # Since when a host listens on a port, over all restarts; and which listeners went.
    (
        "probes_closed_listening",
        "probes_closedsocket (host_id, local_port, last_seen) WHERE direction = 3",
    ),
)

# What was there at a time began in the hours before it or was there for long, which few are.
# ``probes.history.queries.sql.LONG``; a planner wants the very same words.
LONG = {
    "postgresql": "last_seen - first_seen > interval '5 hours'",
    "sqlite": "julianday(last_seen) - julianday(first_seen) > 0.2",
}
REMOTE = {
    # Which remote addresses have most connections: SQLite reads it out of this index alone, in its
    # order. (PostgreSQL reads the whole table as fast.)
    "sqlite": "probes_opensocket (remote_ip, direction, state, local_port, copies)",
    "before": "probes_opensocket (remote_ip)",
}


def add_for_engine(apps, schema_editor):
    """What differs between the engines."""
    vendor = schema_editor.connection.vendor
    schema_editor.execute(
        "CREATE INDEX probes_closed_long ON probes_closedsocket (host_id, last_seen)"
        f" WHERE {LONG[vendor]}",
        params=None,
    )
    if vendor in REMOTE:
        _index_remote(schema_editor, REMOTE[vendor])


def remove_for_engine(apps, schema_editor):
    """The reverse."""
    schema_editor.execute("DROP INDEX probes_closed_long", params=None)
    if schema_editor.connection.vendor in REMOTE:
        _index_remote(schema_editor, REMOTE["before"])


def _index_remote(schema_editor, on):
    schema_editor.execute("DROP INDEX probes_open_remote", params=None)
    schema_editor.execute(f"CREATE INDEX probes_open_remote ON {on}", params=None)


class Migration(migrations.Migration):
    dependencies = [("probes", "0004_time_machine")]

    operations = [
        migrations.RunSQL(f"CREATE INDEX {name} ON {on}", f"DROP INDEX {name}")
        for name, on in INDEXES
    ] + [migrations.RunPython(add_for_engine, remove_for_engine)]
