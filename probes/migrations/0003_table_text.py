"""What a host printed for one of the other tables, where not all of it was understood."""

import django.db.models.deletion
from django.db import migrations, models


def keep_packed(apps, schema_editor):
    """Packed already: PostgreSQL need not try to compress once more."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE probes_tabletext ALTER COLUMN text_zstd SET STORAGE EXTERNAL"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("hosts", "0001_initial"),
        ("probes", "0002_network_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="TableText",
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
                ("text_zstd", models.BinaryField()),
                ("size_bytes", models.PositiveIntegerField()),
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
                    models.UniqueConstraint(fields=("host", "table"), name="probes_tabletext_once")
                ],
            },
        ),
        migrations.RunPython(keep_packed, migrations.RunPython.noop),
    ]
