"""The first page: every host the user sees, worst first, and what to do about the worst.

Place in the data's way: shapes ``queries.overview``; filters, sorts and pages its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host, visible_groups
from netadmin import csvfile
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError
from probes.history import queries
from probes.history.queries import Bar, HostRow, activity
from probes.status import LABELS, Level
from probes.views import watched
from probes.views.hostpage import Fix, administers, asked_progress, fix, with_query

PAGE_SIZE = 50
NEWEST_CHANGES = 5
PROBLEM_HOSTS = 6
"""Hosts named per problem; the rest are a number and a link."""

SORTS: dict[str, Callable[[HostRow], Any]] = {
    "name": lambda row: row.host.name.casefold(),
    "sockets": lambda row: row.latest_whole.sockets if row.latest_whole else -1,
    "listeners": lambda row: row.latest_whole.listeners if row.latest_whole else -1,
    "established": lambda row: (
        row.latest_whole.by_state.get("ESTABLISHED", 0) if row.latest_whole else -1
    ),
    "probed": lambda row: row.latest.taken_at.timestamp() if row.latest else 0.0,
}

COLUMNS = (
    ("", gettext_lazy("Status"), ""),
    ("name", gettext_lazy("Host"), ""),
    (None, gettext_lazy("Last probes"), "na-hide-small"),
    ("sockets", gettext_lazy("Sockets"), "na-num"),
    ("listeners", gettext_lazy("Listeners"), "na-num"),
    ("established", gettext_lazy("Established"), "na-num na-hide-small"),
    ("probed", gettext_lazy("Probed"), ""),
)
"""(sort name, "" for worst first, None for unsortable; heading; CSS)"""


CSV_COLUMNS = (
    "host",
    "address",
    "port",
    "groups",
    "status",
    "code",
    "probed_at",
    "tool",
    "known_as_of",
    "sockets",
    "listeners",
    "established",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason that hosts do badly, with its fix."""

    row: HostRow
    """The host it was met on longest ago: its status has title, hint and level."""
    hosts: list[Host]
    more: int
    fix: Fix | None


@require(Role.VIEWER)
@require_safe
def overview(request: HttpRequest) -> HttpResponseBase:
    """The overview; for htmx only its live part; ``format=csv`` gives all filtered rows."""
    visible = Host.objects.kept().visible_to(request.user).with_groups(request.user)
    groups = visible_groups(request.user).filter(hosts__in=visible).distinct()
    problem: FilterError | None = None
    rows: list[HostRow] = []
    shown: list[HostRow] = []
    try:
        rows = queries.overview(_narrowed(visible, request), bars=0)
        shown = _sorted(_with_status(rows, request), request)
    except FilterError as error:
        problem = error
    if problem is None and request.GET.get("format") == "csv":
        return csvfile.answer("hosts", CSV_COLUMNS, map(_csv_row, shown))
    page = Paginator(shown, PAGE_SIZE).get_page(request.GET.get("page"))
    bars = _bars([row.host.pk for row in page])
    badges = watched.badges([row.host.pk for row in page])
    context = {
        "problem": problem,
        "groups": groups,
        "rows": [
            (
                row,
                bars[row.host.pk],
                asked_progress(row.schedule),
                _latest_id(row),
                badges.get(row.host.pk, []),
            )
            for row in page
        ],
        "page": page,
        "previous_url": _page_url(request, page.number - 1) if page.has_previous() else "",
        "next_url": _page_url(request, page.number + 1) if page.has_next() else "",
        "tiles": _tiles(rows, request),
        "changes": [
            watched.change_row(change)
            for change in activity.newest_changes(visible, most=NEWEST_CHANGES)
        ],
        "totals": {
            "hosts": len(rows),
            "sockets": sum(row.latest_whole.sockets for row in rows if row.latest_whole),
            "listeners": sum(row.latest_whole.listeners for row in rows if row.latest_whole),
        },
        "problems": _problems(rows, administers=administers(request)),
        "columns": _columns(request),
        "filtered": any(request.GET.get(name) for name in ("q", "group", "status")),
        "any_host": bool(rows) or visible.exists(),
        "here": with_query(request),
        "csv_url": with_query(request, format="csv"),
    }
    live = bool(getattr(request, "htmx", False))
    template = "probes/_overview_live.html" if live else "probes/overview.html"
    return render(request, template, context, status=400 if problem else 200)


def _narrowed(visible: Any, request: HttpRequest) -> Any:
    text, group = request.GET.get("q", "").strip(), request.GET.get("group", "").strip()
    if len(text) > 200 or "\0" in text:
        raise FilterError("q", _("At most 200 characters."))
    if text:
        visible = visible.filter(Q(name__icontains=text) | Q(address__icontains=text))
    if group:
        if not (group.isascii() and group.isdigit() and len(group) < 10):
            raise FilterError("group", _("Choose a group of the list."))
        known = visible_groups(request.user).filter(pk=int(group))
        visible = visible.filter(
            pk__in=Host.groups.through.objects.filter(hostgroup__in=known).values("host_id")
        )
    return visible


def _with_status(rows: list[HostRow], request: HttpRequest) -> list[HostRow]:
    wanted = request.GET.get("status", "")
    if not wanted:
        return rows
    if wanted.upper() not in Level.__members__:
        raise FilterError("status", _("One of bad, warn, new, ok, off."))
    return [row for row in rows if row.status.level == Level[wanted.upper()]]


def _sorted(rows: list[HostRow], request: HttpRequest) -> list[HostRow]:
    wanted = request.GET.get("sort", "")
    if not wanted:
        return rows
    if wanted.removeprefix("-") not in SORTS:
        raise FilterError("sort", _("One of %(names)s.") % {"names": ", ".join(SORTS)})
    key = SORTS[wanted.removeprefix("-")]
    return sorted(rows, key=key, reverse=wanted.startswith("-"))


def _columns(request: HttpRequest) -> list[dict[str, Any]]:
    current = request.GET.get("sort", "")
    columns = []
    for name, label, css in COLUMNS:
        column: dict[str, Any] = {"label": label, "css": css, "url": "", "order": ""}
        if name is not None:
            active = current.removeprefix("-") == name
            if active:
                column["order"] = "descending" if current.startswith("-") else "ascending"
            # Numbers and times are first wanted from the largest down, names from A.
            first = name if name in ("", "name") else f"-{name}"
            other = name if first.startswith("-") else f"-{name}"
            wanted = other if active and current == first and name else first
            column["url"] = with_query(request, sort=wanted or None)
        columns.append(column)
    return columns


def _tiles(rows: list[HostRow], request: HttpRequest) -> list[dict[str, Any]]:
    counts = Counter(row.status.level for row in rows)
    chosen = request.GET.get("status", "")
    return [
        {
            "icon": level.name.lower(),
            "label": LABELS[level],
            "count": counts[level],
            "chosen": chosen == level.name.lower(),
            "url": with_query(
                request, status=None if chosen == level.name.lower() else level.name.lower()
            ),
        }
        for level in Level
        if counts[level] or level in (Level.BAD, Level.WARN, Level.OK)
    ]


def _problems(rows: list[HostRow], *, administers: bool) -> list[Problem]:
    by_reason: dict[tuple[Level, str], list[HostRow]] = {}
    for row in rows:
        if row.status.level in (Level.BAD, Level.WARN):
            by_reason.setdefault((row.status.level, row.status.code), []).append(row)
    problems = []
    for _reason, group in sorted(by_reason.items(), key=lambda item: (item[0][0], -len(item[1]))):
        first = min(group, key=_since)
        problems.append(
            Problem(
                row=first,
                hosts=[row.host for row in group[:PROBLEM_HOSTS]],
                more=max(0, len(group) - PROBLEM_HOSTS),
                fix=fix(first.status, first.host, first.latest, administers=administers),
            )
        )
    return problems


def _since(row: HostRow) -> float:
    return row.status.since.timestamp() if row.status.since else 0.0


def _bars(host_ids: list[int]) -> dict[int, list[Bar]]:
    """The newest probes of the hosts on the page alone: thousands of hosts have many."""
    rows = queries.overview(Host.objects.filter(pk__in=host_ids))
    return {host_id: [] for host_id in host_ids} | {row.host.pk: row.bars for row in rows}


def _latest_id(row: HostRow) -> int:
    return row.latest.pk if row.latest else 0


def _csv_row(row: HostRow) -> list[Any]:
    latest, whole = row.latest, row.latest_whole
    return [
        row.host.name,
        row.host.address,
        row.host.port,
        ", ".join(group.name for group in row.host.groups.all()),
        row.status.icon,
        row.status.code,
        latest.taken_at if latest else None,
        latest.tool if latest else None,
        whole.taken_at if whole else None,
        whole.sockets if whole else None,
        whole.listeners if whole else None,
        whole.by_state.get("ESTABLISHED", 0) if whole else None,
    ]


def _page_url(request: HttpRequest, number: int) -> str:
    return with_query(request, page=str(number))
