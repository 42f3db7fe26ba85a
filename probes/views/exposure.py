"""The exposure ledger: what listens to whom, since when, who connects; the worst first.

Place in the data's way: shapes ``probes.history.queries.exposure``. Everything that filters is in
the address; ``format=csv`` gives exactly the filtered rows.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import connect_back, names, payloads
from probes.analysis.exposure import Bound
from probes.filters import FilterError, parse
from probes.history.queries import exposure as ledger
from probes.history.queries.exposure import Exposed, ExposureFilter, Found
from probes.history.queries.pages import Page, slice_rows
from probes.payloads import exposure as exposure_payloads
from probes.views import moment as moments
from probes.views import place, reach
from probes.views.hostpage import with_query
from probes.wording.exposure import BOUNDS, REACHES, SEVERITIES, STACKS, explanation

ROWS: Final = 100
SPANS: Final = {
    "1h": (dt.timedelta(hours=1), gettext_lazy("the last hour")),
    "24h": (dt.timedelta(hours=24), gettext_lazy("the last 24 hours")),
    "7d": (dt.timedelta(days=7), gettext_lazy("the last 7 days")),
    "30d": (dt.timedelta(days=30), gettext_lazy("the last 30 days")),
}
"""What ``since`` may say in place of a time."""

SORTS: Final = (
    ("worst", gettext_lazy("worst first")),
    ("newest", gettext_lazy("newest first")),
    ("connections", gettext_lazy("most connections")),
    ("host", gettext_lazy("by host")),
    ("port", gettext_lazy("by port")),
)
REACH_FILTERS: Final = (
    *((word, label) for word, (_icon, label, _meaning) in REACHES.items()),
    ("untried", gettext_lazy("not tried")),
)
SHOWS: Final = (
    ("listening", gettext_lazy("what listens")),
    ("gone", gettext_lazy("what went")),
)
PROTOCOLS: Final = ("tcp", "udp", "raw", "sctp")
OWN: Final = (*ExposureFilter.model_fields,)
PAGE_PARAMETERS: Final = (*place.PARAMETERS, "cursor", "format")


@require(Role.VIEWER)
@require_safe
def exposure(request: HttpRequest) -> HttpResponseBase:
    """The listeners of the hosts asked about, with filters; ``format=csv`` too."""
    problem: FilterError | None = None
    here = place.everywhere(request)
    wanted, found = ExposureFilter(), Found(None, [], {})
    page: Page[ledger.Listener] = Page((), total=0)
    try:
        here = place.read(request)
        wanted = read(request)
        found = ledger.find(here.hosts, wanted, at=here.at)
        page = slice_rows(
            found.rows,
            kind=f"exposure-page:{wanted.show}:{wanted.sort}",
            key=ledger.order(wanted),
            cursor=request.GET.get("cursor") or None,
            limit=ROWS,
        )
    except FilterError as error:
        problem = error
    if problem is None and request.GET.get("format") == "csv":
        rows = map(exposure_payloads.exposed, ledger.every_detailed(found, wanted, at=here.at))
        return payloads.csv("exposure", exposure_payloads.EXPOSURE, rows)
    shown = ledger.detailed(found, page.rows, at=here.at)
    context = place.context(request, here) | {
        "problem": problem,
        "rows": [_row(one, here) for one in shown],
        "hints": names.hints(peer.ip for one in shown for peer in one.peers),
        "total": page.total,
        "found": found,
        "wanted": wanted,
        "chips": _chips(request, found, wanted),
        "since": request.GET.get("since", "").strip(),
        "spans": [(word, label) for word, (_span, label) in SPANS.items()],
        "sorts": SORTS,
        "sort": wanted.sort or ("newest" if wanted.show == "gone" else "worst"),
        "shows": SHOWS,
        "reach_filters": REACH_FILTERS,
        "protocols": PROTOCOLS,
        "trying": settings.CONNECT_BACK,
        "filtered": any(request.GET.get(name, "").strip() for name in OWN),
        "clear_url": with_query(request, **dict.fromkeys(OWN)),
        "csv_url": with_query(request, format="csv") if page.total else "",
        "next_url": f"{with_query(request)}&{urlencode({'cursor': page.next})}"
        if page.next
        else "",
        "first_page_url": with_query(request) if request.GET.get("cursor") else "",
        "reach": None,
    }
    if here.host is not None:
        context |= reach.context(here.host, past=here.past)
    return render(request, "probes/exposure.html", context, status=400 if problem else 200)


def read(request: HttpRequest) -> ExposureFilter:
    """The filters of this page's query; raises FilterError. ``since`` may be a word of SPANS, or
    a time in the site's zone."""
    query = request.GET.copy()
    since = query.get("since", "").strip()
    if len(query.getlist("since")) == 1 and since:
        if since in SPANS:
            now = moments.parse(query.get("at", "")) or timezone.now()
            query["since"] = moments.stamp(now - SPANS[since][0])
        else:
            try:
                when = moments.parse(since)
            except FilterError as error:
                raise FilterError("since", error.message) from None
            if when is not None:
                # The beginning of a second that was named, not its end.
                query["since"] = moments.stamp(
                    when.replace(microsecond=0) if when.microsecond == 999_999 else when
                )
    return parse(ExposureFilter, query, ignore=PAGE_PARAMETERS)


def _row(one: Exposed, here: place.Place) -> dict[str, Any]:
    it = one.listener
    icon, word = SEVERITIES[it.severity]
    at = here.parameters(("at",))
    return {
        "one": one,
        "it": it,
        "icon": icon,
        "word": word,
        "bound": BOUNDS[it.bound],
        "stack": STACKS[it.families.stack] if it.families is not None else "",
        "first": it.holders[0],
        "more_holders": len(it.holders) - 1,
        "reach": REACHES[one.reach.result] if one.reach is not None else None,
        "explanation": explanation(one, past=here.past),
        "host_url": _address("host_ports", it.host.pk, **at),
        "port_url": _address("ports", port=str(it.local_port), **at) if it.local_port else "",
        "clients_url": _address(
            "host", it.host.pk, local_port=str(it.local_port), hide="listen", **at
        )
        if it.local_port
        else "",
        "programs": [(name, _pivot("program", name)) for name in it.programs],
        "peers": [(peer, _pivot("ip", peer.ip)) for peer in one.peers],
        "may_try": not here.past and connect_back.refusal(it.host) is None,
    }


def _chips(request: HttpRequest, found: Found, wanted: ExposureFilter) -> list[dict[str, Any]]:
    """What the listeners are bound to, as links that filter by one."""
    chosen = wanted.bound or ""
    everything = {
        "label": gettext_lazy("All"),
        "count": sum(found.by_bound.values()),
        "chosen": not chosen,
        "url": with_query(request, bound=None),
    }
    return [
        everything,
        *(
            {
                "label": BOUNDS[kind],
                "count": found.by_bound[kind],
                "chosen": chosen == kind.value,
                "url": with_query(request, bound=kind.value),
            }
            for kind in Bound
            if found.by_bound.get(kind)
        ),
    ]


def _address(name: str, *args: Any, **query: str) -> str:
    address = reverse(name, args=args or None)
    return f"{address}?{urlencode(query)}" if query else address


def _pivot(kind: str, value: str) -> str:
    """Who talks to an address, or where a program ran, over all history."""
    try:
        return _address("hunt", **{kind: value})
    except NoReverseMatch:
        return ""
