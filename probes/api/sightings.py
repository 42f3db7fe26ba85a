"""``connections/search``: who ever talked to, held or ran what, over the fleet and all history."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from pydantic import Field

from hosts.models import HostQuerySet
from netadmin import envelope
from netadmin.access.models import Role
from probes import indicators, payloads
from probes.api.routing import Body, route
from probes.api.shared import Listed, hosts_of
from probes.history.queries import sightings
from probes.history.queries import sought as looking
from probes.history.queries.pages import slice_rows
from probes.history.queries.sought import Sought
from probes.hunt_filters import HuntQuery
from probes.indicators import MOST_CHARACTERS, Reading
from probes.payloads import hunts as hunt_payloads
from probes.payloads.shapes import sightings as shapes


class Search(HuntQuery, Listed):
    """Whom to look for, and as what to show it."""

    view: Literal["summary", "rows"] = "summary"


class PastedSearch(Search):
    """The same of a list that is sent as the body."""

    ip: None = None
    cidr: None = None
    port: None = None
    indicators: None = None


class PastedList(Body):
    """A list too long for an address."""

    indicators: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


@route("GET", Role.VIEWER, query=Search, data=shapes.SightingSummary | shapes.SightingRows)
def search(request: HttpRequest, query: Search) -> HttpResponseBase:
    """Every host that ever saw an address, network, port or program, removed ones included."""
    reading = indicators.read(query.indicators) if query.indicators else None
    return _answer(request, query, reading)


@route(
    "POST",
    Role.VIEWER,
    query=PastedSearch,
    body=PastedList,
    data=shapes.SightingSummary | shapes.SightingRows,
)
def search_list(request: HttpRequest, query: PastedSearch, body: PastedList) -> HttpResponseBase:
    """The same for a pasted list of indicators."""
    return _answer(request, query, indicators.read(body.indicators))


def _answer(request: HttpRequest, query: Search, reading: Reading | None) -> HttpResponseBase:
    sought = query.sought(reading)
    hosts = hosts_of(request, query, removed=True)
    of_rows = query.view == "rows"
    if query.format == "csv":
        return csv(hosts, sought, of_rows=of_rows)
    data = (_rows if of_rows else _summary)(hosts, sought, query)
    rejected = [] if reading is None else hunt_payloads.reading(reading)["rejected"]
    kept_since = timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS)
    return envelope.answer(
        {
            "indicators": [hunt_payloads.indicator(each) for each in sought.indicators],
            "rejected": rejected,
            "covered": hunt_payloads.covered(looking.covered(sought.indicators)),
            "kept_since": payloads.time(kept_since),
            **data,
        }
    )


def csv(hosts: HostQuerySet, sought: Sought, *, of_rows: bool) -> HttpResponseBase:
    """Everything that is found, as a download."""
    if of_rows:
        found = map(hunt_payloads.seen_row, sightings.iter_rows(hosts, sought))
        return payloads.csv("sighting-rows", hunt_payloads.SEEN_ROW, found)
    listed = sightings.summary(hosts, sought).sightings
    return payloads.csv("sightings", hunt_payloads.SIGHTING, map(hunt_payloads.sighting, listed))


def _summary(hosts: HostQuerySet, sought: Sought, query: Search) -> dict[str, Any]:
    found = sightings.summary(hosts, sought)
    page = slice_rows(
        found.sightings,
        kind=f"sightings:{sightings.fingerprint(sought)}:{query.host}:{query.group}",
        key=sightings.order,
        cursor=query.cursor,
        limit=query.limit,
    )
    return {
        "sightings": [hunt_payloads.sighting(row) for row in page.rows],
        "capped": [each.text for each in found.capped],
        "more_programs": found.more_programs,
        "total": page.total,
        "next": page.next,
    }


def _rows(hosts: HostQuerySet, sought: Sought, query: Search) -> dict[str, Any]:
    page = sightings.rows(hosts, sought, cursor=query.cursor, limit=query.limit)
    return {"rows": [hunt_payloads.seen_row(row) for row in page.rows], "next": page.next}
