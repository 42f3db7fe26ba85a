"""``findings`` and ``leaks``: what is wrong on hosts, with numbers, limits, trend and advice."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pydantic import Field

from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.analysis.findings import Kind, Severity
from probes.api.routing import route
from probes.api.shared import At, Listed, Of, scope_of
from probes.history.queries import trouble
from probes.history.queries.pages import slice_rows
from probes.payloads.shapes import findings as shapes
from probes.wording import findings as finding_texts


class LeakList(Of, At, Listed):
    """Leaks of which hosts, when."""

    severity: Literal["bad", "warn", "info"] | None = None
    q: Annotated[str, Field(max_length=100)] = ""
    """Part of the host's name, the program, an address, a port or the title."""


class FindingList(LeakList):
    """Findings of which kind, on which hosts, when."""

    kind: Literal["leak", "headroom", "backlog", "flood", "waits"] | None = None


@route("GET", Role.VIEWER, query=FindingList, data=shapes.Findings)
def findings(request: HttpRequest, query: FindingList) -> HttpResponseBase:
    """What is wrong on hosts, now or at any time, worst first: with rows, trend and advice."""
    kinds = Kind if query.kind is None else (Kind(query.kind),)
    return _answer(request, query, "findings", tuple(kinds))


@route("GET", Role.VIEWER, query=LeakList, data=shapes.Leaks)
def leaks(request: HttpRequest, query: LeakList) -> HttpResponseBase:
    """Connections in CLOSE_WAIT that programs never close, by program and peer."""
    return _answer(request, query, "leaks", (Kind.LEAK,))


def _answer(
    request: HttpRequest, query: LeakList, name: str, kinds: tuple[Kind, ...]
) -> HttpResponseBase:
    scope, snapshot = scope_of(request, query)
    troubles = trouble.find(scope, kinds=kinds)
    severity = None if query.severity is None else Severity[query.severity.upper()]
    found = finding_texts.matching(troubles.found, severity=severity, text=query.q)
    if query.format == "csv":
        return payloads.csv(name, finding_texts.FINDING, map(finding_texts.payload, found))
    page = slice_rows(
        found,
        kind=f"{name}:{','.join(kinds)}:{query.severity}:{query.q}:{query.host}:{query.group}"
        f":{query.at}:{query.snapshot}",
        key=trouble.order,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            name: [finding_texts.payload(each) for each in page.rows],
            "total": page.total,
            "not_looked_at": {kind.value: hosts for kind, hosts in troubles.left_out.items()},
            "cut": sorted(kind.value for kind in troubles.cut),
            "snapshot": None if snapshot is None else payloads.brief(snapshot),
            "next": page.next,
        }
    )
