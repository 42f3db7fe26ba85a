"""The tutorials' thresholds as rules, what is watched of ports, and alerts of hunts as they are now.

The rules can be changed and removed like any other; a site that has them keeps its own.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F, Value
from django.db.models.fields import CharField
from django.db.models.functions import Cast, Concat

RULES: tuple[dict[str, Any], ...] = (
    {"name": "ESTABLISHED", "metric": "state", "state": "ESTABLISHED", "threshold": 200},
    {
        "name": "SYN_RECV",
        "metric": "state",
        "state": "SYN_RECV",
        "threshold": 50,
        "severity": "critical",
    },
    {"name": "TIME_WAIT", "metric": "state", "state": "TIME_WAIT", "threshold": 1000},
    {"name": "CLOSE_WAIT", "metric": "state", "state": "CLOSE_WAIT", "threshold": 100},
    {
        "name": "Connections of a watched port",
        "metric": "port",
        "state": "ESTABLISHED",
        "ports": "22, 80, 443",
        "threshold": 100,
    },
    {
        "name": "Connections of a remote IP",
        "metric": "remote_ip",
        "state": "ESTABLISHED",
        "threshold": 50,
    },
    {
        "name": "CLOSE_WAIT in proportion to ESTABLISHED",
        "metric": "ratio",
        "state": "CLOSE_WAIT",
        "of_state": "ESTABLISHED",
        "threshold": 50,
        "at_least": 20,
        "probes": 3,
        "enabled": False,
    },
    {
        "name": "Sudden rise of connections",
        "metric": "rise",
        "state": "ESTABLISHED",
        "threshold": 100,
        "at_least": 100,
        "within_minutes": 10,
        "enabled": False,
    },
    {"name": "Host not reached", "metric": "unreachable", "severity": "critical"},
    {"name": "Login failed", "metric": "login_failed", "probes": 1, "severity": "critical"},
    {"name": "Host key changed", "metric": "key_changed", "probes": 1, "severity": "critical"},
    {"name": "Output incomplete", "metric": "incomplete", "probes": 3},
    {"name": "No probe for too long", "metric": "stale", "threshold": 5, "probes": 1},
    {"name": "Probe slow", "metric": "slow", "threshold": 10, "probes": 3, "enabled": False},
)


def fill(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    rules_and_policy(apps, using)
    _alerts_of_hunts(apps, using)


def rules_and_policy(apps: Any, using: str) -> None:
    """The rules and the site's port policy, where there are none of that name."""
    rule = apps.get_model("probes", "Rule")
    rule.objects.using(using).bulk_create(
        [rule(**values) for values in RULES], ignore_conflicts=True
    )
    policies = apps.get_model("probes", "PortPolicy").objects.using(using)
    if not policies.filter(group=None, host=None).exists():
        policies.create(
            enabled=True,
            excluded="ephemeral",
            raises={
                "system": ["new", "down", "holder"],
                "registered": ["new", "down", "holder"],
                "ephemeral": [],
            },
        )


def _alerts_of_hunts(apps: Any, using: str) -> None:
    alerts = apps.get_model("probes", "Alert").objects.using(using)
    alerts.filter(acknowledged_at__isnull=False, resolved_at=None).update(
        resolved_at=F("acknowledged_at"), resolved_by=F("acknowledged_by")
    )
    alerts.filter(kind="hunt").update(ends_by_word=True)
    alerts.filter(hunt__isnull=False, fingerprint="").update(
        fingerprint=Concat(Value("hunt:"), Cast("hunt_id", CharField()))
    )


class Migration(migrations.Migration):
    dependencies = [("probes", "0007_watching")]

    operations = [
        # Whom a host talks to since a time: the minute's look for new peers, host by host. Of open
        # sockets only those that the host opened itself, so that others cost no more to store;
        # of closed ones probes_closed_host serves it.
        migrations.RunSQL(
            "CREATE INDEX probes_open_outgoing ON probes_opensocket (host_id, first_seen)"
            " WHERE direction = 2",
            "DROP INDEX probes_open_outgoing",
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
