"""Whoever looks for a hunt holds it for a while; who was reached by the mail of an alert."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("probes", "0005_history_indexes")]

    operations = [
        migrations.AddField(
            model_name="hunt",
            name="busy_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="mail_reached",
            field=models.JSONField(default=list),
        ),
    ]
