"""The list of hosts: filtered, sorted, paged, and as the CSV that the import takes back."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hosts import csv_import, reach
from hosts.cmdb import decisions
from hosts.models import HostGroup, HostQuerySet
from netadmin import csvfile
from netadmin.access import permissions
from netadmin.access.models import Role
from netadmin.access.permissions import require

PAGE_ROWS = 100
LONGEST_SEARCH = 200
COLUMNS = (
    ("name", _("Name"), ""),
    ("address", _("Address"), ""),
    ("platform", _("Platform"), "na-hide-small"),
    ("", _("Groups"), ""),
    ("credential", _("Credential"), "na-hide-small"),
    ("jump_host", _("Jump host"), "na-hide-small"),
    ("interval_s", _("Interval"), "na-num"),
    ("enabled", _("Probed"), ""),
)
"""(sort name, heading, CSS)"""
FILTERS = ("q", "group", "state")
SORTS = {
    "name": ("name",),
    "address": ("address", "port"),
    "platform": ("platform", "name"),
    "credential": ("credential__name", "name"),
    "jump_host": ("jump_host__name", "name"),
    "interval_s": ("interval_s", "name"),
    "enabled": ("enabled", "name"),
}


@require(Role.VIEWER)
@require_safe
def host_list(request: HttpRequest) -> HttpResponseBase:
    """All hosts the caller may see."""
    limits = reach.of(request)
    administers = permissions.request_role(request) == Role.ADMIN
    query = {name: request.GET.get(name, "").strip()[:LONGEST_SEARCH] for name in FILTERS}
    filtered = _filtered(limits.hosts(), limits.groups(), query)  # type: ignore[arg-type]
    hosts = _sorted(filtered, request.GET.get("sort", ""))
    hosts = hosts.select_related("credential", "jump_host").with_groups(request.user)
    if request.GET.get("format") == "csv":
        rows = (_row(host, administers) for host in hosts.iterator(chunk_size=500))
        return csvfile.answer("hosts", csv_import.COLUMNS, rows)
    page = Paginator(hosts, PAGE_ROWS).get_page(request.GET.get("page"))
    all_hosts = permissions.administers_all(request.user)
    context = {
        "page": page,
        "sources_waiting": decisions.waiting() if all_hosts else 0,
        "query": query,
        "filtered": any(query.values()),
        "groups": limits.groups(),
        "columns": [_column(request, *column) for column in COLUMNS
                    if administers or column[0] != "credential"],
        "csv_url": with_query(request, format="csv", page=None),
        "next_url": with_query(request, page=page.next_page_number()) if page.has_next() else "",
        "prev_url": with_query(request, page=None) if page.number > 1 else "",
    }  # fmt: skip
    return render(request, "hosts/host_list.html", context)


def _filtered(
    hosts: HostQuerySet, groups: QuerySet[HostGroup], query: dict[str, str]
) -> HostQuerySet:
    # PostgreSQL takes no zero byte; no host has one.
    text = query["q"].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if text:
        hosts = hosts.filter(
            Q(name__icontains=text) | Q(address__icontains=text) | Q(notes__icontains=text)
        )
    if query["group"]:
        number = query["group"]
        known = number.isascii() and number.isdigit() and len(number) < 18
        hosts = hosts.filter(groups__in=groups.filter(pk=int(number))) if known else hosts.none()
    if query["state"] in ("enabled", "disabled"):
        hosts = hosts.filter(enabled=query["state"] == "enabled")
    return hosts


def _sorted(hosts: HostQuerySet, sort: str) -> HostQuerySet:
    fields = SORTS.get(sort.removeprefix("-"), ("name",))
    first, *rest = fields
    return hosts.order_by(f"-{first}" if sort.startswith("-") else first, *rest, "pk")


def _row(host: Any, administers: bool) -> list[Any]:
    cells = csv_import.cells_of(host)
    if not administers:
        cells[csv_import.COLUMNS.index("credential")] = None
    return cells


def _column(request: HttpRequest, name: str, label: Any, css: str) -> dict[str, Any]:
    current = request.GET.get("sort", "name")
    order = {name: "ascending", f"-{name}": "descending"}.get(current, "") if name else ""
    url = (
        with_query(request, sort=f"-{name}" if current == name else name, page=None) if name else ""
    )
    return {"label": label, "css": css, "order": order, "url": url}


def with_query(request: HttpRequest, **changes: Any) -> str:
    """The query of the present page with some parameters changed; None takes one out."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"
