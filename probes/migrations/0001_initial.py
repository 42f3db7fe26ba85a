"""The first tables of ``probes``; those of sockets are made by hand, for each engine its own way.

What Django cannot say: columns widest first (no padding on PostgreSQL), closed sockets partitioned
by the UTC day of ``last_seen`` without a primary key's index, open sockets kept from bloating;
on SQLite open sockets clustered by their key (WITHOUT ROWID).
"""

import django.db.models.deletion
from django.db import migrations, models

import probes.observation

COLUMNS_POSTGRESQL = """
    key bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    {own}
    host_id bigint NOT NULL,
    pid bigint,
    local_port integer,
    remote_port integer,
    copies integer NOT NULL,
    protocol smallint NOT NULL,
    state smallint,
    direction smallint NOT NULL,
    flags smallint NOT NULL,
    local_ip bytea NOT NULL,
    remote_ip bytea NOT NULL,
    program text,
    local_zone text,
    remote_zone text
"""
COLUMNS_SQLITE = """
    host_id bigint NOT NULL,
    key bigint NOT NULL,
    first_seen datetime NOT NULL,
    {own}
    protocol smallint NOT NULL,
    state smallint,
    direction smallint NOT NULL,
    local_ip blob NOT NULL,
    local_port integer,
    remote_ip blob NOT NULL,
    remote_port integer,
    pid bigint,
    program text,
    local_zone text,
    remote_zone text,
    flags smallint NOT NULL,
    copies integer NOT NULL
"""
QUEUES = "recv_queue bigint, send_queue bigint,"

INDEXES = [
    # Who is connected to an IP or CIDR now.
    "CREATE INDEX probes_open_remote ON probes_opensocket (remote_ip)",
    # A host's listeners.
    "CREATE INDEX probes_open_listening ON probes_opensocket (host_id, local_port)"
    " WHERE direction = 3",
    # Who holds a port across the fleet.
    "CREATE INDEX probes_open_port ON probes_opensocket (local_port) WHERE direction = 3",
    # The sockets of a host at a time.
    "CREATE INDEX probes_closed_host ON probes_closedsocket (host_id, first_seen, last_seen)",
    # Who talked to an IP or CIDR since a time.
    "CREATE INDEX probes_closed_remote ON probes_closedsocket (remote_ip, last_seen)",
]

POSTGRESQL = [
    # The table churns: room for updates in place, and an autovacuum that does not wait for the
    # default fifth of the table.
    f"CREATE TABLE probes_opensocket ({COLUMNS_POSTGRESQL.format(own=QUEUES)},"
    " PRIMARY KEY (host_id, key)) WITH (fillfactor = 90,"
    " autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,"
    " autovacuum_vacuum_cost_limit = 2000, autovacuum_analyze_scale_factor = 0.05)",
    f"CREATE TABLE probes_closedsocket ({COLUMNS_POSTGRESQL.format(own='last_seen timestamptz NOT NULL,')})"
    " PARTITION BY RANGE (last_seen)",
    *INDEXES,
    # Packed already: no second try at compressing.
    "ALTER TABLE probes_lasttext ALTER COLUMN text_zstd SET STORAGE EXTERNAL",
    "ALTER TABLE probes_rawoutput ALTER COLUMN stdout_zstd SET STORAGE EXTERNAL",
]

SQLITE = [
    f"CREATE TABLE probes_opensocket ({COLUMNS_SQLITE.format(own=QUEUES)},"
    " PRIMARY KEY (host_id, key)) WITHOUT ROWID",
    f"CREATE TABLE probes_closedsocket ({COLUMNS_SQLITE.format(own='last_seen datetime NOT NULL,')})",
    *INDEXES,
]


def make_socket_tables(apps, schema_editor):
    """Create both socket tables as this engine wants them."""
    statements = {"postgresql": POSTGRESQL, "sqlite": SQLITE}[schema_editor.connection.vendor]
    for statement in statements:
        schema_editor.execute(statement, params=None)


def drop_socket_tables(apps, schema_editor):
    """Drop both, with every partition."""
    schema_editor.execute("DROP TABLE probes_opensocket")
    schema_editor.execute("DROP TABLE probes_closedsocket")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("hosts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("node", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="LastText",
            fields=[
                (
                    "host",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="hosts.host",
                    ),
                ),
                ("taken_at", models.DateTimeField()),
                ("dialect", models.CharField(max_length=20)),
                ("wide", models.BooleanField(default=False)),
                ("privilege", models.CharField(max_length=8)),
                ("login_version", models.CharField(max_length=16)),
                ("text_zstd", models.BinaryField()),
                ("notes", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="Snapshot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("taken_at", models.DateTimeField(verbose_name="time")),
                ("duration_ms", models.PositiveIntegerField(default=0, verbose_name="duration")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("ok", "Whole"),
                            ("limited", "Permission limited"),
                            ("partial", "Partial"),
                            ("late", "Late"),
                            ("failed", "Failed"),
                        ],
                        max_length=8,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "code",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("name_not_found", "name_not_found"),
                            ("unreachable", "unreachable"),
                            ("connection_refused", "connection_refused"),
                            ("timed_out", "timed_out"),
                            ("not_ssh", "not_ssh"),
                            ("host_key_unknown", "host_key_unknown"),
                            ("host_key_changed", "host_key_changed"),
                            ("host_key_refused", "host_key_refused"),
                            ("login_failed", "login_failed"),
                            ("login_paused", "login_paused"),
                            ("credential_missing", "credential_missing"),
                            ("key_unreadable", "key_unreadable"),
                            ("jump_failed", "jump_failed"),
                            ("sudo_refused", "sudo_refused"),
                            ("netstat_missing", "netstat_missing"),
                            ("permission_limited", "permission_limited"),
                            ("command_failed", "command_failed"),
                            ("output_too_large", "output_too_large"),
                            ("truncated", "truncated"),
                            ("not_understood", "not_understood"),
                            ("still_running", "still_running"),
                            ("unsupported", "unsupported"),
                            ("late", "late"),
                            ("internal_error", "internal_error"),
                        ],
                        max_length=30,
                        verbose_name="code",
                    ),
                ),
                ("detail", models.TextField(blank=True, verbose_name="detail")),
                ("tool", models.CharField(blank=True, max_length=20, verbose_name="tool")),
                ("command", models.TextField(blank=True, verbose_name="command")),
                (
                    "privilege",
                    models.CharField(
                        choices=[
                            ("root", "root"),
                            ("sudo", "sudo"),
                            ("user", "user"),
                            ("unknown", "unknown"),
                        ],
                        default=probes.observation.Privilege["UNKNOWN"],
                        max_length=8,
                        verbose_name="privilege",
                    ),
                ),
                ("sockets", models.PositiveIntegerField(default=0, verbose_name="sockets")),
                ("listeners", models.PositiveIntegerField(default=0, verbose_name="listeners")),
                ("by_state", models.JSONField(default=dict)),
                ("by_protocol", models.JSONField(default=dict)),
                (
                    "without_pid",
                    models.PositiveIntegerField(default=0, verbose_name="rows without a PID"),
                ),
                (
                    "rejected",
                    models.PositiveIntegerField(default=0, verbose_name="lines not understood"),
                ),
                ("lines", models.PositiveIntegerField(default=0)),
                ("opened", models.PositiveIntegerField(default=0, verbose_name="opened")),
                ("closed", models.PositiveIntegerField(default=0, verbose_name="closed")),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="snapshots",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "verbose_name": "snapshot",
                "verbose_name_plural": "snapshots",
                "ordering": ("-taken_at",),
            },
        ),
        migrations.CreateModel(
            name="RawOutput",
            fields=[
                (
                    "snapshot",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="raw",
                        serialize=False,
                        to="probes.snapshot",
                    ),
                ),
                ("stdout_zstd", models.BinaryField()),
                ("stderr", models.TextField(blank=True)),
                ("size_bytes", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "host",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="schedule",
                        serialize=False,
                        to="hosts.host",
                    ),
                ),
                ("next_probe_at", models.DateTimeField(db_index=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.CharField(blank=True, max_length=32)),
                ("requested_at", models.DateTimeField(blank=True, null=True)),
                ("requested_by", models.CharField(blank=True, max_length=150)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("paused_code", models.CharField(blank=True, max_length=30)),
                ("paused_login_version", models.CharField(blank=True, max_length=16)),
                (
                    "latest",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="probes.snapshot",
                    ),
                ),
                (
                    "latest_whole",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="probes.snapshot",
                    ),
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunPython(make_socket_tables, drop_socket_tables),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="ClosedSocket",
                    fields=[
                        ("key", models.BigIntegerField()),
                        ("first_seen", models.DateTimeField()),
                        ("protocol", models.PositiveSmallIntegerField()),
                        ("state", models.PositiveSmallIntegerField(null=True)),
                        (
                            "direction",
                            models.PositiveSmallIntegerField(
                                choices=[(1, "in"), (2, "out"), (3, "listen"), (4, "local")]
                            ),
                        ),
                        ("local_ip", models.BinaryField(max_length=16)),
                        ("local_port", models.PositiveIntegerField(null=True)),
                        ("remote_ip", models.BinaryField(max_length=16)),
                        ("remote_port", models.PositiveIntegerField(null=True)),
                        ("pid", models.BigIntegerField(null=True)),
                        ("program", models.TextField(null=True)),
                        ("local_zone", models.TextField(null=True)),
                        ("remote_zone", models.TextField(null=True)),
                        ("flags", models.PositiveSmallIntegerField(default=0)),
                        ("copies", models.PositiveIntegerField(default=1)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "host_id",
                                "key",
                                "last_seen",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("last_seen", models.DateTimeField()),
                        (
                            "host",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="hosts.host",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                fields=["host", "first_seen", "last_seen"],
                                name="probes_closed_host",
                            ),
                            models.Index(
                                fields=["remote_ip", "last_seen"], name="probes_closed_remote"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OpenSocket",
                    fields=[
                        ("key", models.BigIntegerField()),
                        ("first_seen", models.DateTimeField()),
                        ("protocol", models.PositiveSmallIntegerField()),
                        ("state", models.PositiveSmallIntegerField(null=True)),
                        (
                            "direction",
                            models.PositiveSmallIntegerField(
                                choices=[(1, "in"), (2, "out"), (3, "listen"), (4, "local")]
                            ),
                        ),
                        ("local_ip", models.BinaryField(max_length=16)),
                        ("local_port", models.PositiveIntegerField(null=True)),
                        ("remote_ip", models.BinaryField(max_length=16)),
                        ("remote_port", models.PositiveIntegerField(null=True)),
                        ("pid", models.BigIntegerField(null=True)),
                        ("program", models.TextField(null=True)),
                        ("local_zone", models.TextField(null=True)),
                        ("remote_zone", models.TextField(null=True)),
                        ("flags", models.PositiveSmallIntegerField(default=0)),
                        ("copies", models.PositiveIntegerField(default=1)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "host_id",
                                "key",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("recv_queue", models.BigIntegerField(null=True)),
                        ("send_queue", models.BigIntegerField(null=True)),
                        (
                            "host",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="hosts.host",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["remote_ip"], name="probes_open_remote"),
                            models.Index(
                                condition=models.Q(("direction", 3)),
                                fields=["host", "local_port"],
                                name="probes_open_listening",
                            ),
                            models.Index(
                                condition=models.Q(("direction", 3)),
                                fields=["local_port"],
                                name="probes_open_port",
                            ),
                        ],
                    },
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="snapshot",
            index=models.Index(fields=["taken_at"], name="probes_snapshot_time"),
        ),
        migrations.AddConstraint(
            model_name="snapshot",
            constraint=models.UniqueConstraint(
                fields=("host", "taken_at"), name="probes_snapshot_once"
            ),
        ),
    ]
