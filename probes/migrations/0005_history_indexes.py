"""Indexes of the socket tables that history is searched by; each says which question it serves.

Written by hand, as the tables are: both engines take the same words, and Django's state knows
neither table's own layout. On PostgreSQL the partitions of closed sockets inherit them.
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
    # Listeners that came since a time, on any host: few among many sockets.
    ("probes_closed_listener", "probes_closedsocket (first_seen) WHERE direction = 3"),
    ("probes_open_listener", "probes_opensocket (first_seen) WHERE direction = 3"),
)


class Migration(migrations.Migration):
    dependencies = [("probes", "0004_time_machine")]

    operations = [
        migrations.RunSQL(f"CREATE INDEX {name} ON {on}", f"DROP INDEX {name}")
        for name, on in INDEXES
    ]
