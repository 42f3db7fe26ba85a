"""Snapshots in the Django admin, and what the admin of hosts gains from probing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import keys, secrets
from hosts.admin import HostAdmin
from hosts.models import Host, JumpLoop, MissingCredential
from hosts.target import Target
from netadmin.access import audit
from netadmin.access.site import ReadOnlyAdmin
from probes import bell, connection_test, schedule, status
from probes.connection_test import ConnectionTest, StepStatus
from probes.models import Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code

TESTED_AT_ONCE = 20
"""Hosts one "test connection" takes: the browser waits for the slowest."""

admin.site.unregister(Host)


@admin.register(Host)
class ProbedHostAdmin(HostAdmin):
    """Hosts with their status, "probe now" and "test connection"."""

    list_display = (*HostAdmin.list_display[:1], "status", *HostAdmin.list_display[1:],
                    "last_probe")  # fmt: skip
    list_select_related = (*HostAdmin.list_select_related, "schedule__latest",
                           "schedule__latest_whole")  # fmt: skip
    actions = ("probe_now", "test_connection", *HostAdmin.actions)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list and its actions; a test of connections waits for hosts, so unlike the others
        it holds no transaction open meanwhile."""
        if request.POST.get("action") == "test_connection":
            return admin.ModelAdmin.changelist_view(self, request, extra_context)
        return super().changelist_view(request, extra_context)

    @admin.display(description=gettext_lazy("status"))
    def status(self, host: Host) -> str:
        """How the host does, in words."""
        mine = _schedule(host)
        shown = status.of(
            host,
            schedule=mine,
            latest=mine.latest if mine else None,
            latest_whole=mine.latest_whole if mine else None,
            now=timezone.now(),
        )
        label = _(shown.label)
        return f"{label}: {_(shown.title)}" if shown.title else label

    @admin.display(description=gettext_lazy("last probe"), ordering="schedule__latest__taken_at")
    def last_probe(self, host: Host) -> Any:
        """When the newest snapshot was taken."""
        mine = _schedule(host)
        return mine.latest.taken_at if mine and mine.latest else None

    @admin.action(description=gettext_lazy("Probe now"), permissions=["change"])
    def probe_now(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Make the chosen hosts due now."""
        asked = 0
        for host in queryset.filter(enabled=True):
            audit.record("probe.now", request=request, target=host)
            schedule.request_probe(host, by=request.user.get_username())
            asked += 1
        bell.ring()
        messages.success(request, _("%(count)s hosts are probed next.") % {"count": asked})

    @admin.action(description=gettext_lazy("Test connection"), permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Log in to the chosen hosts at the same time and say how far each came."""
        hosts = list(queryset[: TESTED_AT_ONCE + 1])
        if len(hosts) > TESTED_AT_ONCE:
            words = _("Choose at most %(count)s hosts to test at once.")
            messages.error(request, words % {"count": TESTED_AT_ONCE})
            return
        targets: list[tuple[Host, Target]] = []
        for host in hosts:
            audit.record("connection.test", request=request, target=host)
            try:
                targets.append((host, host.target()))
            except (MissingCredential, JumpLoop, secrets.DecryptionError) as error:
                messages.error(request, f"{host}: {_refusal(error)}")
        if not targets:
            return
        with ThreadPoolExecutor(len(targets), thread_name_prefix="connection-test") as threads:
            each = [target for _host, target in targets]
            results = list(threads.map(connection_test.test_connection, each))
        for (host, _target), tested in zip(targets, results, strict=True):
            if tested.offered_key is not None:
                keys.offered(tested.offered_key)
            level = messages.SUCCESS if tested.usable else messages.ERROR
            messages.add_message(request, level, f"{host}: {_summary(tested)}")


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    """Probes as they were stored."""

    list_display = ("taken_at", "host", "outcome", "code", "tool", "sockets", "listeners",
                    "rejected", "duration_ms")  # fmt: skip
    list_filter = ("outcome", "code", "tool")
    list_select_related = ("host",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("host__name",)


def _schedule(host: Host) -> Schedule | None:
    return getattr(host, "schedule", None)


def _refusal(error: Exception) -> str:
    if isinstance(error, MissingCredential):
        return _(EXPLANATIONS[Code.CREDENTIAL_MISSING][0])
    if isinstance(error, JumpLoop):
        return _(EXPLANATIONS[Code.JUMP_FAILED][0])
    return str(error)


def _summary(tested: ConnectionTest) -> str:
    for step in tested.steps:
        if step.status is StepStatus.FAILED and step.code is not None:
            title, hint = EXPLANATIONS[step.code]
            return f"{_(title)}. {_(hint)} {step.detail}".strip()
    return _("works")
