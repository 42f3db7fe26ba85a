"""The tab "Watch" of a host: its ports as they are watched, and by which lists.

Place in the data's way: shapes the rows of ``probes.watch.port_watch`` and the policy of
``probes.watch.policies``. A group that the reader does not see has no name here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from hosts.models import Host, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.history.queries import changes as change_queries
from probes.models import PortPolicy, PortWatch, WatchedPort
from probes.payloads import watching as payloads
from probes.views import host_thresholds, hostpage, lists, watched
from probes.watch import forgetting, policies, policy_book, port_watch
from probes.watch.policies import Effective
from probes.watch.port_list import Range, range_of
from probes.wording import ports as wording

NEWEST_CHANGES: Final = 10
STATES: Final = {
    "missing": ("bad", gettext_lazy("missing")),
    "wrong_holder": ("bad", gettext_lazy("held by another program")),
    "down": ("warn", gettext_lazy("down")),
    "up": ("ok", gettext_lazy("up")),
}
"""Icon and word by state, the worst first."""
COLUMNS: Final = (
    ("state", gettext_lazy("State"), ""),
    ("port", gettext_lazy("Port"), "na-num"),
    ("program", gettext_lazy("Program"), ""),
    ("", gettext_lazy("PID"), "na-num"),
    ("", gettext_lazy("Bound to"), ""),
    ("", gettext_lazy("Range"), ""),
    ("", gettext_lazy("Lists"), ""),
    ("since", gettext_lazy("Since"), ""),
    ("first", gettext_lazy("First seen"), ""),
)


@dataclass(frozen=True, slots=True)
class PortRow:
    """A watched port with what the lists say of it."""

    row: WatchedPort
    state: str
    of: Range
    expected: str
    """The entry that names it; "" where none does."""
    allowed: str

    @property
    def icon(self) -> str:
        """Of its state."""
        return STATES[self.state][0]

    @property
    def word(self) -> Any:
        """Of its state."""
        return STATES[self.state][1]

    @property
    def range_word(self) -> Any:
        """Of its range."""
        return wording.RANGES[self.of]

    @property
    def is_gone(self) -> bool:
        """Whether it may be forgotten: it is down, and no list expects it."""
        return self.state == "down" and not self.expected

    @property
    def was_seen(self) -> bool:
        """False for an expected port that was never there."""
        return bool(self.row.addresses)


def port_rows(host: Host, effective: Effective, ephemeral: tuple[int, int]) -> list[PortRow]:
    """The watched ports of a host, the worst first. One query."""
    rows = WatchedPort.objects.filter(host=host).order_by("protocol", "port")
    found = [_row(row, effective, range_of(row.port, ephemeral)) for row in rows]
    order = list(STATES)
    return sorted(found, key=lambda one: (order.index(one.state), one.row.port, one.row.protocol))


@require(Role.VIEWER)
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """What is watched of the host."""
    host = hostpage.get(request, pk, removed=True)
    effective = policies.of_hosts([host.pk])[host.pk]
    ephemeral = port_watch.ephemeral_range(host.pk)
    rows = port_rows(host, effective, ephemeral)
    groups = {group.pk: group.name for group in visible_groups(request.user).filter(hosts=host)}
    chosen = request.GET.get("state", "")
    states = {name: sum(row.state == name for row in rows) for name in STATES}
    shown = [row for row in rows if chosen in ("", row.state)]
    query = urlencode({"host": host.pk})
    context = hostpage.context(request, host, tab="host_watch") | {
        "rows": _sorted(shown, request.GET.get("sort", "")),
        "every": rows,
        "forgets": host.removed_at is None and any(row.is_gone for row in shown),
        "headings": lists.headings(request, COLUMNS, usual="state"),
        "chips": [
            lists.chip(request, "state", None, gettext_lazy("All"), len(rows)),
            *(
                lists.chip(request, "state", name, STATES[name][1], number)
                for name, number in states.items()
                if number
            ),
        ],
        "watch": PortWatch.objects.filter(pk=host.pk).first(),
        "effective": effective,
        "ephemeral": ephemeral,
        "lists": [
            {
                "label": wording.LISTS[name],
                "hint": wording.LIST_HINTS[name],
                "entries": [
                    (str(entry), sources(of, groups)) for entry, of in effective.sources(name)
                ],
            }
            for name in policies.LISTS
        ],
        "switches": [
            {
                "label": wording.RANGES[of],
                "hint": wording.RANGE_HINTS[of],
                "raises": [
                    label
                    for switch, label in wording.SWITCHES.items()
                    if switch in effective.policy.raises.get(of, ())
                ],
                "sources": sources(effective.raised_by(of), groups),
            }
            for of in Range
        ],
        "enabled_by": sources(effective.enabled_by, groups),
        "editable": _editable(request, host),
        "newest": [
            watched.change_row(change)
            for change in change_queries.newest(
                Host.objects.filter(pk=host.pk), limit=NEWEST_CHANGES
            )
        ],
        "changes_url": f"{reverse('changes')}?{query}",
        "csv_url": f"{reverse('api-host-watch', args=[host.pk])}?format=csv" if rows else "",
        **host_thresholds.context(request, host),
    }
    return render(request, "probes/host_watch.html", context)


@require(Role.OPERATOR)
@require_POST
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a port that was taken away on purpose, and go back to where one was."""
    host = hostpage.get(request, pk)
    protocol, port = request.POST.get("protocol", ""), request.POST.get("port", "")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    try:
        forgetting.forget(host, protocol, number, request=request)
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
    else:
        said = _("%(port)s is forgotten. Should it be listened on again, it is a new port.")
        messages.success(request, said % {"port": f"{protocol}/{number}"})
    back = request.POST.get("next", "")
    local = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    if local and back.startswith("/alerts/"):
        return redirect(back)
    return redirect("host_watch", host.pk)


def sources(rows: Iterable[PortPolicy], groups: Container[int]) -> list[str]:
    """Where a line of a policy comes from, in words."""
    return [source(row, groups) for row in rows]


def source(row: PortPolicy, groups: Container[int]) -> str:
    """The site, this host, or a group, which is named where the reader may know of it."""
    scope = policy_book.scope(row)
    if scope == "site":
        return _("site")
    if scope == "host":
        return _("this host")
    if row.group is not None and row.group.pk in groups:
        return _("group %(name)s") % {"name": row.group.name}
    return _("a group")


def _row(row: WatchedPort, effective: Effective, of: Range) -> PortRow:
    expected, allowed = effective.naming(row.protocol, row.port, of, row.addresses, row.programs)
    return PortRow(row, payloads.state(row), of, expected, allowed)


def _sorted(rows: list[PortRow], sort: str) -> list[PortRow]:
    keys: dict[str, Any] = {
        "port": lambda one: (one.row.port, one.row.protocol),
        "program": lambda one: [name.casefold() for name in one.row.programs],
        "since": lambda one: one.row.since,
        "first": lambda one: one.row.first_seen,
    }
    name = sort.removeprefix("-")
    if name not in keys:
        return rows[::-1] if sort == "-state" else rows
    return sorted(rows, key=keys[name], reverse=sort.startswith("-"))


def _editable(request: HttpRequest, host: Host) -> bool:
    return host.removed_at is None and policy_book.may_change(request, PortPolicy(host=host))
