"""The page of findings: what is wrong on which host, why, and what to do; worst first.

Place in the data's way: shapes ``queries.trouble`` and ``probes.wording.findings``. Everything that
filters is in the address; ``format=csv`` gives exactly the filtered findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import payloads
from probes.analysis.findings import Finding, Kind, Severity
from probes.filters import FilterError, unstorable
from probes.history.queries import trouble
from probes.history.queries.sockets import SocketRow
from probes.history.queries.trouble import Found, Troubles
from probes.views import moment, place
from probes.views.hostpage import with_query
from probes.views.place import Place
from probes.wording import findings as finding_texts

PER_PAGE: Final = 20
ICONS: Final = {Severity.BAD: "bad", Severity.WARN: "warn", Severity.INFO: "info"}


@dataclass(frozen=True, slots=True)
class Card:
    """One finding as the page shows it."""

    found: Found
    title: str
    summary: str
    advice: list[str]
    rows: Sequence[SocketRow]
    icon: str
    severity: Any
    kind: Any
    host_url: str
    rows_url: str
    """The host's connections, filtered to what the finding is about, at that time."""
    chart_url: str
    peer_url: str
    """Who else talks to the peer; empty without a peer or such a page."""
    port_url: str
    program_url: str

    @property
    def finding(self) -> Finding:
        """The finding itself."""
        return self.found.finding


@require(Role.VIEWER)
@require_safe
def findings(request: HttpRequest) -> HttpResponseBase:
    """All findings, filtered by ``kind``, ``severity``, ``q`` and the place."""
    problem: FilterError | None = None
    here = place.everywhere(request)
    troubles, listed = Troubles(), list[Found]()
    kind, severity = None, None
    try:
        here = place.read(request)
        kind, severity = _kind(request), _severity(request)
        text = _text(request)
        troubles = trouble.find(here.scope)
        matching = finding_texts.matching(troubles.found, severity=severity, text=text)
        listed = [each for each in matching if kind is None or each.finding.kind is kind]
    except FilterError as error:
        problem = error
    if request.GET.get("format") == "csv" and problem is None:
        return payloads.csv("findings", finding_texts.FINDING, map(finding_texts.payload, listed))
    page = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    rows = trouble.rows(here.scope if problem is None else None, shown)
    context = {
        "problem": problem,
        "page": page,
        "cards": [_card(found, some, here) for found, some in zip(shown, rows, strict=True)],
        "tiles": _tiles(request, troubles, kind),
        "kinds": [(each.value, label) for each, label in finding_texts.KINDS.items()],
        "severities": [
            (each.name.lower(), label) for each, label in finding_texts.SEVERITIES.items()
        ],
        "kind": kind.value if kind else "",
        "severity": severity.name.lower() if severity is not None else "",
        "looked_for": [
            each for each in finding_texts.looked_for() if kind is None or each["kind"] == kind
        ],
        "left_out": [
            (finding_texts.KINDS[each], hosts) for each, hosts in troubles.left_out.items()
        ],
        "cut": [finding_texts.KINDS[each] for each in Kind if each in troubles.cut],
        "most_hosts": trouble.MOST_HOSTS,
        "filtered": bool(kind or severity is not None or request.GET.get("q", "").strip()),
        "clear_url": with_query(request, kind=None, severity=None, q=None),
        "csv_url": with_query(request, format="csv") if listed else "",
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
        **place.context(request, here),
    }
    return render(request, "probes/findings.html", context, status=400 if problem else 200)


def _kind(request: HttpRequest) -> Kind | None:
    text = request.GET.get("kind", "").strip()
    if text and text not in list(Kind):
        raise FilterError("kind", _("One of %(names)s.") % {"names": ", ".join(Kind)})
    return Kind(text) if text else None


def _severity(request: HttpRequest) -> Severity | None:
    text = request.GET.get("severity", "").strip()
    names = [each.name.lower() for each in Severity]
    if text and text not in names:
        raise FilterError("severity", _("One of %(names)s.") % {"names": ", ".join(names)})
    return Severity[text.upper()] if text else None


def _text(request: HttpRequest) -> str:
    text = request.GET.get("q", "").strip()
    if unstorable(text):
        raise FilterError("q", _("This holds a character that no database keeps."))
    return text[:100]


def _tiles(request: HttpRequest, troubles: Troubles, chosen: Kind | None) -> list[dict[str, Any]]:
    """How many of each kind, with the icon of the worst, as links that choose it."""
    counts = Counter(each.finding.kind for each in troubles.found)
    worst: dict[Kind, Severity] = {}
    for each in troubles.found:
        worst.setdefault(each.finding.kind, each.finding.severity)
    return [
        {
            "label": label,
            "count": counts[kind],
            "icon": ICONS[worst[kind]] if kind in worst else "ok",
            "url": with_query(request, kind=None if kind is chosen else kind.value, format=None),
            "chosen": kind is chosen,
        }
        for kind, label in finding_texts.KINDS.items()
    ]


def _card(found: Found, rows: Sequence[SocketRow], here: Place) -> Card:
    finding = found.finding
    at = {"at": moment.stamp(found.at)} if here.past else {}
    host = reverse("host", args=[found.host.host_id])
    states = reverse("host_states", args=[found.host.host_id])
    port = finding.remote_port if finding.local_port is None else finding.local_port
    return Card(
        found=found,
        title=finding_texts.title(found),
        summary=finding_texts.summary(found),
        advice=finding_texts.what_to_do(found),
        rows=rows,
        icon=ICONS[finding.severity],
        severity=finding_texts.SEVERITIES[finding.severity],
        kind=finding_texts.KINDS[finding.kind],
        host_url=f"{host}{_query(at)}",
        rows_url=f"{host}{_query({**found.filters, **at})}",
        chart_url=f"{states}{_query(at)}",
        peer_url=_link("hunt", {"ip": finding.remote_ip, **at}) if finding.remote_ip else "",
        port_url=_link("ports", {"port": str(port), **at}) if port else "",
        program_url=(_link("hunt", {"program": finding.program, **at}) if finding.program else ""),
    )


def _query(parameters: dict[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""


def _link(name: str, parameters: dict[str, str | None]) -> str:
    """A page that may not be there; it is asked for without what is not known."""
    try:
        address = reverse(name)
    except NoReverseMatch:
        return ""
    return address + _query({key: value for key, value in parameters.items() if value})
