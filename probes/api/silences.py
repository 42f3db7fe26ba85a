"""``silences``: maintenance windows, during which alerts are written and nobody is told."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import Field

from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.alert_filters import AlertKindName, SilenceFilter
from probes.api.routing import Body, route
from probes.api.shared import Listed, hosts_of
from probes.filters import FilterError, Invalid, moment
from probes.history.queries import windows as queries
from probes.models import Silence
from probes.payloads import alerts as alert_payloads
from probes.payloads.shapes import alerts as shapes
from probes.watch import silences, windows

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
When = Annotated[str, Field(max_length=40)]


class SilenceList(SilenceFilter, Listed):
    """Which windows, a page at a time."""


class SilenceChange(Body):
    """Fields of a window; what is null fits everything."""

    starts_at: When | None = None
    ends_at: When | None = None
    host: Id | None = None
    group: Id | None = None
    rule: Id | None = None
    kind: AlertKindName | None = None
    reason: Annotated[str, Field(max_length=windows.LONGEST_REASON)] = ""


class NewSilence(SilenceChange):
    """A window needs an end."""

    ends_at: When


def visible_silence(request: HttpRequest, pk: int) -> Silence | None:
    """A window that the caller may see."""
    return queries.visible(request.user).filter(pk=pk).first()


@route("GET", Role.VIEWER, query=SilenceList, data=shapes.Silences)
def index(request: HttpRequest, query: SilenceList) -> HttpResponseBase:
    """The maintenance windows that the caller may see, the one that ends last first."""
    hosts_of(request, query, removed=True)
    now = timezone.now()
    rows = queries.listed(queries.visible(request.user), query, now=now)
    if query.format == "csv":
        shaped = (_shaped(row) for row in rows.iterator(500))
        return payloads.csv("silences", alert_payloads.SILENCE, shaped)
    page = queries.page(
        rows,
        kind=f"silences:{query.state}:{query.host}:{query.group}",
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {"silences": [_shaped(row) for row in page.rows], "total": page.total, "next": page.next}
    )


@route("POST", Role.OPERATOR, body=NewSilence, data=shapes.OneSilence, also=(201,))
def add(request: HttpRequest, body: NewSilence) -> HttpResponse:
    """Add a maintenance window; it begins now where nothing else is said."""
    silence = windows.create(_read(body), request=request)
    response = envelope.answer(
        {"silence": _shaped(silence)}, message=_("The maintenance window was saved."), status=201
    )
    response["Location"] = f"{request.path}/{silence.pk}"
    return response


@route("GET", Role.VIEWER, about=visible_silence, data=shapes.OneSilence)
def show(request: HttpRequest, silence: Silence) -> HttpResponse:
    """One maintenance window."""
    return envelope.answer({"silence": _shaped(silence)})


@route("PATCH", Role.OPERATOR, body=SilenceChange, about=visible_silence, data=shapes.OneSilence)
def change(request: HttpRequest, silence: Silence, body: SilenceChange) -> HttpResponse:
    """Change a maintenance window that is not over."""
    changed = windows.change(silence, _read(body), request=request)
    return envelope.answer(
        {"silence": _shaped(changed)}, message=_("The maintenance window was saved.")
    )


@route("DELETE", Role.OPERATOR, about=visible_silence, data=shapes.OneSilence)
def end(request: HttpRequest, silence: Silence) -> HttpResponse:
    """End a maintenance window now; it stays in the list of those that are over."""
    ended = windows.end(silence, request=request)
    return envelope.answer(
        {"silence": _shaped(ended)}, message=_("The maintenance window is over.")
    )


def _shaped(row: Silence) -> dict[str, Any]:
    return alert_payloads.silence(row, state=silences.state(row, timezone.now()))


def _read(body: SilenceChange) -> dict[str, Any]:
    """What ``windows`` takes; raises FilterError for what is no time."""
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    for name in ("starts_at", "ends_at"):
        if given.get(name) is not None:
            try:
                given[name] = moment(given[name])
            except Invalid as error:
                raise FilterError(name, error.message) from None
    return given
