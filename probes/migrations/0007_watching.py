"""What is watched: ports, thresholds, alerts, channels, services, new peers.

Written by makemigrations, and then put in an order in which each table is made once and whole:
SQLite copies a table for each column that is added to it.
"""

import uuid

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosts", "0002_sources"),
        ("probes", "0006_hunt_lease"),
    ]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("port_new", "New port"),
                            ("port_down", "Port down"),
                            ("port_recovered", "Port recovered"),
                            ("holder", "Holder changed"),
                            ("expected_missing", "Expected port missing"),
                            ("expected_back", "Expected port there"),
                            ("raised", "Threshold passed"),
                            ("cleared", "Threshold no longer passed"),
                            ("trouble", "Probe trouble"),
                            ("trouble_over", "Probe trouble over"),
                            ("peer_new", "New peer"),
                            ("hunt_hit", "Hit of a hunt"),
                            ("gave_up", "Restarts did not help"),
                            ("service_back", "Service back"),
                        ],
                        max_length=20,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("before_at", models.DateTimeField(blank=True, null=True)),
                ("protocol", models.CharField(blank=True, max_length=4)),
                ("port", models.PositiveIntegerField(blank=True, null=True)),
                ("program", models.TextField(blank=True)),
                ("detail", models.JSONField(default=dict)),
                (
                    "turn",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "none"),
                            ("opened", "opened"),
                            ("again", "seen again"),
                            ("resolved", "resolved"),
                        ],
                        max_length=8,
                    ),
                ),
                ("announced_at", models.DateTimeField(blank=True, null=True)),
                ("hushed", models.BooleanField(default=False)),
                (
                    "alert",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="changes",
                        to="probes.alert",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="hosts.host",
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="probes.snapshot",
                    ),
                ),
            ],
            options={
                "ordering": ("-at", "-pk"),
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="probes_change_newest"),
                    models.Index(fields=["host", "-at"], name="probes_change_host"),
                    models.Index(
                        condition=models.Q(("announced_at", None)),
                        fields=["id"],
                        name="probes_change_to_announce",
                    ),
                    models.Index(
                        condition=models.Q(("hushed", True)),
                        fields=["alert"],
                        name="probes_change_hushed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("email", "E-mail"),
                            ("webhook", "Webhook"),
                            ("apprise", "Apprise"),
                        ],
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("recipients", models.TextField(blank=True, verbose_name="recipients")),
                ("address_encrypted", models.TextField(blank=True, editable=False)),
                ("address_shown", models.CharField(blank=True, max_length=200)),
                ("signing_key_encrypted", models.TextField(blank=True, editable=False)),
                ("template", models.TextField(blank=True, verbose_name="template")),
                ("language", models.CharField(blank=True, max_length=10, verbose_name="language")),
                ("kinds", models.JSONField(blank=True, default=list, verbose_name="of what")),
                (
                    "min_severity",
                    models.CharField(
                        choices=[
                            ("info", "Information"),
                            ("warning", "Warning"),
                            ("critical", "Critical"),
                        ],
                        default="warning",
                        max_length=8,
                        verbose_name="from severity",
                    ),
                ),
                (
                    "send_resolved",
                    models.BooleanField(default=True, verbose_name="say when it is over"),
                ),
                (
                    "per_hour",
                    models.PositiveIntegerField(
                        default=60, verbose_name="messages an hour at most"
                    ),
                ),
                (
                    "repeat_minutes",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="repeat after minutes"
                    ),
                ),
                (
                    "escalate_minutes",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="only after minutes"
                    ),
                ),
                ("is_behind", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True, related_name="channels", to="hosts.hostgroup"
                    ),
                ),
            ],
            options={
                "verbose_name": "channel",
                "verbose_name_plural": "channels",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="DriftWatch",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="drift_watch",
                        serialize=False,
                        to="hosts.hostgroup",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("learn_until", models.DateTimeField(verbose_name="learns until")),
                (
                    "ipv4_prefix",
                    models.PositiveSmallIntegerField(default=24, verbose_name="IPv4 prefix"),
                ),
                (
                    "ipv6_prefix",
                    models.PositiveSmallIntegerField(default=64, verbose_name="IPv6 prefix"),
                ),
                (
                    "forget_days",
                    models.PositiveIntegerField(default=90, verbose_name="forget after days"),
                ),
                ("ignored", models.TextField(blank=True, verbose_name="networks left out")),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("busy_until", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "new-peer watch",
                "verbose_name_plural": "new-peer watches",
            },
        ),
        migrations.CreateModel(
            name="Peer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("program", models.CharField(max_length=255)),
                ("network", models.CharField(max_length=50)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("learned", "Learned"),
                            ("new", "New"),
                            ("approved", "Approved"),
                            ("snoozed", "Snoozed"),
                            ("expired", "Expired"),
                        ],
                        max_length=8,
                    ),
                ),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "alert",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="peers",
                        to="probes.alert",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="peers",
                        to="hosts.hostgroup",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "verbose_name": "peer",
                "verbose_name_plural": "peers",
                "ordering": ("-first_seen", "-pk"),
                "indexes": [
                    models.Index(fields=["-first_seen", "-id"], name="probes_peer_newest"),
                    models.Index(fields=["group", "last_seen"], name="probes_peer_oldest"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("group", "program", "network"), name="probes_peer_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PortPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "enabled",
                    models.BooleanField(default=None, null=True, verbose_name="watch ports"),
                ),
                ("allowed", models.TextField(blank=True, verbose_name="allowed")),
                ("excluded", models.TextField(blank=True, verbose_name="excluded")),
                ("expected", models.TextField(blank=True, verbose_name="expected")),
                ("raises", models.JSONField(blank=True, default=dict)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "group",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="port_policy",
                        to="hosts.hostgroup",
                    ),
                ),
                (
                    "host",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="port_policy",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "verbose_name": "port policy",
                "verbose_name_plural": "port policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("group", None), ("host", None), _connector="OR"),
                        name="probes_portpolicy_one_scope",
                    ),
                    models.UniqueConstraint(
                        models.Value(1),
                        condition=models.Q(("group", None), ("host", None)),
                        name="probes_portpolicy_one_site",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PortWatch",
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
                ("since", models.DateTimeField()),
                ("policy", models.CharField(max_length=32)),
                ("ephemeral", models.CharField(max_length=11)),
                ("sees_all", models.BooleanField(default=True)),
                ("tool", models.CharField(blank=True, max_length=20)),
                ("missed", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="RestartCommand",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("argv", models.JSONField(default=list, verbose_name="command")),
                ("use_sudo", models.BooleanField(default=True, verbose_name="with sudo")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "restart command",
                "verbose_name_plural": "restart commands",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Rule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "metric",
                    models.CharField(
                        choices=[
                            ("state", "Connections in a state"),
                            ("sockets", "Sockets in all"),
                            ("listeners", "Listeners"),
                            ("port", "Connections of a local port"),
                            ("remote_ip", "Connections of a remote IP"),
                            ("ratio", "Share of one state in another"),
                            ("rise", "Rise within some minutes"),
                            ("unreachable", "Host not reached"),
                            ("login_failed", "Login failed"),
                            ("key_changed", "Host key changed"),
                            ("incomplete", "Output incomplete"),
                            ("stale", "No probe for too long"),
                            ("slow", "Probe slow"),
                        ],
                        max_length=12,
                        verbose_name="metric",
                    ),
                ),
                ("state", models.CharField(blank=True, max_length=20, verbose_name="state")),
                (
                    "of_state",
                    models.CharField(blank=True, max_length=20, verbose_name="in proportion to"),
                ),
                ("ports", models.CharField(blank=True, max_length=500, verbose_name="ports")),
                ("threshold", models.FloatField(default=0, verbose_name="threshold")),
                (
                    "clear_at",
                    models.FloatField(blank=True, null=True, verbose_name="over at or below"),
                ),
                ("at_least", models.FloatField(default=0, verbose_name="not below")),
                (
                    "within_minutes",
                    models.PositiveIntegerField(default=10, verbose_name="within minutes"),
                ),
                (
                    "probes",
                    models.PositiveSmallIntegerField(default=2, verbose_name="probes in a row"),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("info", "Information"),
                            ("warning", "Warning"),
                            ("critical", "Critical"),
                        ],
                        default="warning",
                        max_length=8,
                        verbose_name="severity",
                    ),
                ),
                ("advice", models.CharField(blank=True, max_length=500, verbose_name="advice")),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "rule",
                "verbose_name_plural": "rules",
                "ordering": ("name",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="alert",
            name="probes_alert_open_once",
        ),
        migrations.AddField(
            model_name="alert",
            name="ends_by_word",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="alert",
            name="facts",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="alert",
            name="fingerprint",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="alert",
            name="resolved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="resolved_by",
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name="alert",
            name="severity",
            field=models.CharField(
                choices=[("info", "Information"), ("warning", "Warning"), ("critical", "Critical")],
                default="warning",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("hunt", "Hunt"),
                    ("port", "Port"),
                    ("rule", "Threshold"),
                    ("probe", "Probe"),
                    ("peer", "New peer"),
                    ("service", "Service"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="rule",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="alerts",
                to="probes.rule",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("resolved_at", None)),
                fields=["host", "kind"],
                name="probes_alert_active",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("resolved_at", None), models.Q(("fingerprint", ""), _negated=True)
                ),
                fields=("host", "fingerprint"),
                name="probes_alert_active_once",
            ),
        ),
        migrations.CreateModel(
            name="WatchedPort",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("protocol", models.CharField(max_length=4)),
                ("port", models.PositiveIntegerField()),
                ("is_up", models.BooleanField(default=True)),
                ("since", models.DateTimeField()),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("addresses", models.JSONField(default=list)),
                ("programs", models.JSONField(default=list)),
                ("pids", models.JSONField(default=list)),
                ("expected", models.BooleanField(default=False)),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="watched_ports",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "protocol", "port"), name="probes_watchedport_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("alerts", "Alerts"),
                            ("reminder", "Reminder"),
                            ("escalation", "Escalation"),
                            ("window_over", "End of a maintenance window"),
                            ("test", "Test"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Failed")],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("items", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("try_after", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, max_length=500)),
                ("reached", models.JSONField(default=list)),
                ("changes", models.ManyToManyField(related_name="deliveries", to="probes.change")),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="probes.channel",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("try_after__isnull", False)),
                        fields=["try_after"],
                        name="probes_delivery_due",
                    ),
                    models.Index(fields=["channel", "-created_at"], name="probes_delivery_channel"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RuleOverride",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("enabled", models.BooleanField(default=None, null=True)),
                ("threshold", models.FloatField(blank=True, null=True)),
                ("clear_at", models.FloatField(blank=True, null=True)),
                ("probes", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("info", "Information"),
                            ("warning", "Warning"),
                            ("critical", "Critical"),
                        ],
                        max_length=8,
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rule_overrides",
                        to="hosts.hostgroup",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rule_overrides",
                        to="hosts.host",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="overrides",
                        to="probes.rule",
                    ),
                ),
            ],
            options={
                "verbose_name": "override",
                "verbose_name_plural": "overrides",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group", None), ("host__isnull", False)),
                            models.Q(("group__isnull", False), ("host", None)),
                            _connector="OR",
                        ),
                        name="probes_ruleoverride_one_scope",
                    ),
                    models.UniqueConstraint(
                        fields=("rule", "group"), name="probes_ruleoverride_group"
                    ),
                    models.UniqueConstraint(
                        fields=("rule", "host"), name="probes_ruleoverride_host"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RuleState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("about", models.CharField(blank=True, max_length=60)),
                ("streak", models.PositiveIntegerField(default=0)),
                ("raised", models.BooleanField(default=False)),
                ("value", models.FloatField(default=0)),
                ("since", models.DateTimeField()),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rule_states",
                        to="hosts.host",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="probes.rule",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "rule", "about"), name="probes_rulestate_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "protocol",
                    models.CharField(
                        choices=[("tcp", "tcp"), ("udp", "udp")],
                        default="tcp",
                        max_length=4,
                        verbose_name="protocol",
                    ),
                ),
                (
                    "port",
                    models.PositiveIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                        verbose_name="port",
                    ),
                ),
                ("automatic", models.BooleanField(default=False, verbose_name="restart by itself")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "budget",
                    models.PositiveSmallIntegerField(
                        default=3,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(20),
                        ],
                        verbose_name="restarts at most",
                    ),
                ),
                (
                    "budget_s",
                    models.PositiveIntegerField(
                        default=300,
                        validators=[
                            django.core.validators.MinValueValidator(60),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                        verbose_name="within seconds",
                    ),
                ),
                ("notes", models.TextField(blank=True, verbose_name="notes")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "command",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="services",
                        to="probes.restartcommand",
                        verbose_name="restart command",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="services",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "verbose_name": "service",
                "verbose_name_plural": "services",
                "ordering": ("name", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("host", "protocol", "port"),
                        name="probes_service_port",
                        violation_error_message="This port of the host is a service already.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Silence",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="until")),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("hunt", "Hunt"),
                            ("port", "Port"),
                            ("rule", "Threshold"),
                            ("probe", "Probe"),
                            ("peer", "New peer"),
                            ("service", "Service"),
                        ],
                        max_length=10,
                    ),
                ),
                ("fingerprint", models.CharField(blank=True, max_length=200)),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("created_by", models.CharField(blank=True, max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("told_at", models.DateTimeField(blank=True, null=True)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="silences",
                        to="hosts.hostgroup",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="silences",
                        to="hosts.host",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="silences",
                        to="probes.rule",
                    ),
                ),
            ],
            options={
                "verbose_name": "maintenance window",
                "verbose_name_plural": "maintenance windows",
                "ordering": ("-ends_at", "-pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("told_at", None)),
                        fields=["ends_at"],
                        name="probes_silence_open",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Told",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fingerprint", models.CharField(max_length=200)),
                ("is_active", models.BooleanField()),
                ("at", models.DateTimeField()),
                ("times", models.JSONField(default=list)),
                ("held_since", models.DateTimeField(blank=True, null=True)),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="probes.channel",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="hosts.host",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("held_since__isnull", False)),
                        fields=["held_since"],
                        name="probes_told_held",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("channel", "host", "fingerprint"), name="probes_told_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Restart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("running", "Running"),
                            ("checking", "Looking again"),
                            ("recovered", "Recovered"),
                            ("still_down", "Still down"),
                            ("failed", "Failed"),
                            ("refused", "Refused"),
                            ("unknown", "Interrupted"),
                        ],
                        default="planned",
                        max_length=10,
                    ),
                ),
                ("by", models.CharField(blank=True, max_length=150)),
                ("planned_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("ran_at", models.DateTimeField(blank=True, null=True)),
                ("check_after", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("affected", models.JSONField(default=dict)),
                ("command_line", models.TextField(blank=True)),
                ("exit_status", models.IntegerField(blank=True, null=True)),
                ("output", models.TextField(blank=True)),
                ("reason", models.CharField(blank=True, max_length=60)),
                (
                    "change",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="probes.change",
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="restarts",
                        to="hosts.host",
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="probes.snapshot",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="restarts",
                        to="probes.service",
                    ),
                ),
            ],
            options={
                "ordering": ("-planned_at", "-pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)),
                        fields=["state"],
                        name="probes_restart_open",
                    ),
                    models.Index(fields=["service", "-planned_at"], name="probes_restart_service"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("change", "service", "attempt"), name="probes_restart_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("service",),
                        name="probes_restart_one_open",
                    ),
                ],
            },
        ),
    ]
