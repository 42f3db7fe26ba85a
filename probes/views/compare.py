"""Two hosts side by side: what one listens on, talks to or serves, and the other does not.

Place in the data's way: shapes ``queries.compared``. Both hosts are among those the user may see.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError
from probes.history.queries import compared
from probes.history.queries.compared import ITSELF, Comparison, Party, Row
from probes.models import Snapshot
from probes.views import ends, lists
from probes.views import moment as moments
from probes.views.hostpage import with_query

ROWS: Final = 200

WHATS: Final = {
    "listeners": gettext_lazy("Listens on"),
    "talks": gettext_lazy("Talks to"),
    "clients": gettext_lazy("Serves"),
}
USUAL_SHOW: Final = "differences"


@require(Role.VIEWER)
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """The page: two hosts, a time, and three lists as one."""
    visible = Host.objects.kept().visible_to(request.user)
    problem: FilterError | None = None
    a: Host | None = None
    b: Host | None = None
    at: dt.datetime | None = None
    found: Comparison | None = None
    what, show = None, USUAL_SHOW
    try:
        at = moments.parse(request.GET.get("at", ""))
        what = _one_of(request, "what", tuple(WHATS)) or None
        show = _one_of(request, "show", compared.SHOWS) or USUAL_SHOW
        a, b = _host(request, visible, "a"), _host(request, visible, "b")
        if a is not None and b is not None:
            if a.pk == b.pk:
                raise FilterError("b", _("Choose two different hosts."))
            found = compared.hosts(a, b, at=at)
    except FilterError as error:
        problem = error
    rows = found.rows if found is not None else []
    chosen = [row for row in rows if (what is None or row.what == what) and row.shown(show)]
    page = Paginator(chosen, ROWS).get_page(request.GET.get("page"))
    names = {"a": a.name if a else "A", "b": b.name if b else "B"}
    context = {
        "problem": problem,
        "a": a,
        "b": b,
        "found": found,
        "choices": list(visible.order_by("name").values_list("pk", "name")),
        "past": at is not None,
        "at": at,
        "at_value": "" if at is None else moments.field_value(at),
        "now_url": with_query(request, at=None),
        "swap_url": with_query(request, a=request.GET.get("b"), b=request.GET.get("a")),
        "kept_fields": lists.kept(request, but=("a", "b", "at")),
        "parties": _parties(a, b, found),
        "shows": _shows(request, [row for row in rows if what in (None, row.what)], show, names),
        "whats": _whats(request, [row for row in rows if row.shown(show)]),
        "rows": [_shaped(row, a, b, at) for row in page],
        "page": page,
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
        "csv_url": _csv_url(a, b, at, what, show) if a and b and found else "",
        "all_url": with_query(request, what=None, show="all"),
    }
    return render(request, "probes/compare.html", context, status=400 if problem else 200)


def _one_of(request: HttpRequest, name: str, allowed: tuple[str, ...]) -> str:
    value = request.GET.get(name, "")
    if value and value not in allowed:
        raise FilterError(name, _("One of %(names)s.") % {"names": ", ".join(allowed)})
    return value


def _host(request: HttpRequest, visible: QuerySet[Host], name: str) -> Host | None:
    """The host chosen; one that the user may not see is refused like one that does not exist."""
    number = request.GET.get(name, "").strip()
    if not number:
        return None
    if number.isascii() and number.isdigit() and len(number) < 19:
        host = visible.filter(pk=int(number)).first()
        if host is not None:
            return host
    raise FilterError(name, _("There is no such host."))


def _parties(a: Host | None, b: Host | None, found: Comparison | None) -> list[dict[str, Any]]:
    """Both hosts with the snapshot each is shown at."""
    if a is None or b is None or found is None:
        return []
    return [
        {
            "name": host.name,
            "snapshot": snapshot,
            "url": reverse("host", args=[host.pk]) + _at_query(snapshot),
        }
        for host, snapshot in ((a, found.a), (b, found.b))
    ]


def _at_query(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return ""
    return f"?{urlencode({'at': moments.stamp(snapshot.taken_at)})}"


def _shows(
    request: HttpRequest, rows: list[Row], show: str, names: dict[str, str]
) -> list[dict[str, Any]]:
    labels = {
        "differences": _("Differences"),
        "a": _("Only %(host)s") % {"host": names["a"]},
        "b": _("Only %(host)s") % {"host": names["b"]},
        "both": _("Both"),
        "all": _("All"),
    }
    return [
        {
            "label": label,
            "count": sum(row.shown(name) for row in rows),
            "chosen": name == show,
            "url": with_query(request, show=None if name == USUAL_SHOW else name),
        }
        for name, label in labels.items()
    ]


def _whats(request: HttpRequest, rows: list[Row]) -> list[dict[str, Any]]:
    return [
        lists.chip(request, "what", None, _("All of it"), len(rows)),
        *(
            lists.chip(request, "what", name, label, sum(row.what == name for row in rows))
            for name, label in WHATS.items()
        ),
    ]


def _shaped(row: Row, a: Host | None, b: Host | None, at: dt.datetime | None) -> dict[str, Any]:
    itself = row.ip == ITSELF
    return {
        "what": row.what,
        "what_label": WHATS[row.what],
        "protocol": row.protocol,
        "ip": "" if itself else row.ip,
        "itself": itself,
        "port": row.port,
        "port_url": ends.port(row.port, at=at) if row.what != "talks" else "",
        "hunt_url": ends.hunt(ip=row.ip.partition("%")[0]) if row.ip and not itself else "",
        "differs": row.differs,
        "side": row.side,
        "parties": [_cell(row, row.a, row.b, a, at), _cell(row, row.b, row.a, b, at)],
    }


def _cell(
    row: Row, own: Party | None, other: Party | None, host: Host | None, at: dt.datetime | None
) -> dict[str, Any] | None:
    """What one host has of it, with what the other has not marked, and a link to its sockets."""
    if own is None or host is None:
        return None
    query: dict[str, str] = {"proto": row.protocol} if row.protocol in ("tcp", "udp") else {}
    if row.port:
        query["remote_port" if row.what == "talks" else "local_port"] = str(row.port)
    if row.what == "listeners":
        query["direction"] = "listen"
    elif row.ip == ITSELF:
        query["direction"] = "local"
    elif row.ip:
        query["remote_ip"] = row.ip
    if at is not None:
        query["at"] = moments.stamp(at)
    return {
        "count": own.count,
        "programs": [(name, other is not None and name not in other.programs) for name in
                     own.programs],
        "bound": [(name, other is not None and name not in other.bound) for name in own.bound],
        "count_differs": (
            row.what == "listeners" and other is not None and own.count != other.count
        ),
        "url": f"{reverse('host', args=[host.pk])}?{urlencode(query)}",
    }  # fmt: skip


def _csv_url(a: Host, b: Host, at: dt.datetime | None, what: str | None, show: str) -> str:
    query = {"hosts": f"{a.pk},{b.pk}", "show": show, "format": "csv"}
    if what:
        query["what"] = what
    if at is not None:
        query["at"] = moments.stamp(at)
    return f"{reverse('api-diff')}?{urlencode(query)}"
