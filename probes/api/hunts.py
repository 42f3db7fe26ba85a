"""``hunts`` and ``search``: what looks for things by itself, and where a few characters are found
at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostQuerySet
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes import search as searching
from probes.api.routing import Body, Refusal, route
from probes.api.shared import Listed
from probes.filters import Query
from probes.history.queries.pages import slice_rows
from probes.hunts import running as hunting
from probes.hunts import saved as saved_hunts
from probes.indicators import MOST_CHARACTERS
from probes.models import Alert, Hunt
from probes.payloads import hunts as hunt_payloads
from probes.payloads import search as search_payloads
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import hunts as shapes


class HuntChange(Body):
    """Fields of a hunt."""

    name: Annotated[str, Field(max_length=100)] = ""
    indicators: Annotated[str, Field(max_length=MOST_CHARACTERS)] = ""
    enabled: bool = True
    mail_to: Annotated[list[str], Field(max_length=saved_hunts.MOST_RECIPIENTS)] = []


class NewHunt(HuntChange):
    """A hunt needs a name and something to look for."""

    name: Annotated[str, Field(max_length=100)]
    indicators: Annotated[str, Field(max_length=MOST_CHARACTERS)]


class SearchQuery(Query):
    """A few characters."""

    q: Annotated[str, Field(max_length=searching.LONGEST)]


def any_hunt(_request: HttpRequest, pk: int) -> Hunt | None:
    """A hunt by its id: the whole team sees which there are."""
    return Hunt.objects.select_related("owner").filter(pk=pk).first()


@route("GET", Role.VIEWER, query=Listed, data=shapes.Hunts)
def hunts(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The saved hunts, by name, with the open alerts that the caller may see."""
    rows = list(Hunt.objects.select_related("owner__access").order_by("name"))
    found = _shaped(request, rows)
    if query.format == "csv":
        return payloads.csv("hunts", hunt_payloads.HUNT, found)
    page = slice_rows(
        list(found),
        kind="hunts",
        key=lambda row: [row["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"hunts": page.rows, "total": page.total, "next": page.next})


@route("POST", Role.OPERATOR, body=NewHunt, data=shapes.OneHunt, also=(201,))
def add(request: HttpRequest, body: NewHunt) -> HttpResponse:
    """Save a hunt; it looks at whatever is stored from now on."""
    if not saved_hunts.may_add(request):
        raise Refusal(_forbidden())
    hunt = saved_hunts.create(body.model_dump(exclude_unset=True), request=request)
    response = envelope.answer(
        {"hunt": _one(request, hunt)}, message=_("The hunt was saved."), status=201
    )
    response["Location"] = f"{request.path}/{hunt.pk}"
    return response


@route("GET", Role.VIEWER, about=any_hunt, data=shapes.OneHunt)
def show(request: HttpRequest, hunt: Hunt) -> HttpResponse:
    """One hunt."""
    return envelope.answer({"hunt": _one(request, hunt)})


@route("PATCH", Role.OPERATOR, body=HuntChange, about=any_hunt, data=shapes.OneHunt)
def change(request: HttpRequest, hunt: Hunt, body: HuntChange) -> HttpResponse:
    """Change a hunt of one's own."""
    _own(request, hunt)
    changed = saved_hunts.change(hunt, body.model_dump(exclude_unset=True), request=request)
    return envelope.answer({"hunt": _one(request, changed)}, message=_("The hunt was saved."))


@route("DELETE", Role.OPERATOR, about=any_hunt, data=Nothing)
def remove(request: HttpRequest, hunt: Hunt) -> HttpResponse:
    """Remove a hunt of one's own; its alerts stay."""
    _own(request, hunt)
    saved_hunts.remove(hunt, request=request)
    return envelope.answer(message=_("The hunt was removed. Its alerts stay."))


@route("GET", Role.VIEWER, query=SearchQuery, data=shapes.Found)
def search(request: HttpRequest, query: SearchQuery) -> HttpResponse:
    """Where a host, an address, a port, a program or a PID is found, some of each kind."""
    return envelope.answer(search_payloads.found(searching.find(request.user, query.q)))


def _every_host(request: HttpRequest) -> HostQuerySet:
    return Host.objects.visible_to(request.user)


def _own(request: HttpRequest, hunt: Hunt) -> None:
    if not saved_hunts.may_change(request, hunt):
        raise Refusal(_forbidden())


def _forbidden() -> HttpResponse:
    return envelope.error(
        403,
        "forbidden",
        _("A hunt is changed by its owner or an administrator of all hosts."),
        hint=_("A token that sees some host groups only changes none."),
    )


def _one(request: HttpRequest, hunt: Hunt) -> dict[str, Any]:
    (shaped,) = _shaped(request, [hunt])
    return shaped


def _shaped(request: HttpRequest, rows: list[Hunt]) -> Iterator[dict[str, Any]]:
    seen = Alert.objects.filter(hunt__in=rows, host__in=_every_host(request)).order_by()
    counts = dict(
        seen.values_list("hunt").annotate(
            open_ones=Count("pk", filter=Q(acknowledged_at=None, resolved_at=None))
        )
    )
    for row in rows:
        yield hunt_payloads.hunt(
            row,
            open_alerts=counts.get(row.pk, 0),
            resting=hunting.rests(row),
            may_change=saved_hunts.may_change(request, row),
        )
