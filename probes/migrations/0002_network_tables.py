"""The other tables of netstat: contents while they stay the same, counters, how attempts went."""

import django.db.models.deletion
from django.db import migrations, models

PACKED = [("probes_networktable", "content_zstd"), ("probes_countersample", "counters_zstd")]


def keep_packed(apps, schema_editor):
    """Packed already: PostgreSQL need not try to compress once more."""
    if schema_editor.connection.vendor == "postgresql":
        for table, column in PACKED:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [
        ("hosts", "0001_initial"),
        ("probes", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="tables_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="CounterSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "table",
                    models.CharField(
                        choices=[
                            ("routes", "routes"),
                            ("interfaces", "interfaces"),
                            ("protocols", "protocols"),
                            ("multicast", "multicast"),
                        ],
                        max_length=12,
                    ),
                ),
                ("taken_at", models.DateTimeField()),
                ("tool", models.CharField(blank=True, max_length=20)),
                ("counters_zstd", models.BinaryField()),
                (
                    "host",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "table", "taken_at"), name="probes_countersample_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="NetworkTable",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "table",
                    models.CharField(
                        choices=[
                            ("routes", "routes"),
                            ("interfaces", "interfaces"),
                            ("protocols", "protocols"),
                            ("multicast", "multicast"),
                        ],
                        max_length=12,
                    ),
                ),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("tool", models.CharField(blank=True, max_length=20)),
                ("dialect", models.CharField(blank=True, max_length=40)),
                ("rows", models.PositiveIntegerField()),
                ("content_zstd", models.BinaryField()),
                (
                    "host",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "table", "first_seen"), name="probes_networktable_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TableStatus",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "table",
                    models.CharField(
                        choices=[
                            ("routes", "routes"),
                            ("interfaces", "interfaces"),
                            ("protocols", "protocols"),
                            ("multicast", "multicast"),
                        ],
                        max_length=12,
                    ),
                ),
                ("attempted_at", models.DateTimeField()),
                ("code", models.CharField(blank=True, max_length=30)),
                ("detail", models.TextField(blank=True)),
                ("failing_since", models.DateTimeField(null=True)),
                ("taken_at", models.DateTimeField(null=True)),
                ("tool", models.CharField(blank=True, max_length=20)),
                ("dialect", models.CharField(blank=True, max_length=40)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("rejected", models.PositiveIntegerField(default=0)),
                ("rejected_lines", models.JSONField(default=list)),
                ("remarks", models.JSONField(default=list)),
                ("since", models.DateTimeField(null=True)),
                ("digest", models.CharField(blank=True, max_length=32)),
                ("exact", models.CharField(blank=True, max_length=32)),
                (
                    "host",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="table_statuses",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "table"), name="probes_tablestatus_once"
                    )
                ],
            },
        ),
        migrations.RunPython(keep_packed, migrations.RunPython.noop),
    ]
