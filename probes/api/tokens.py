"""``tokens``: one's own API tokens, listed and ended; who comes with a token has that one only.

They are made, and given other networks or another end, on their page alone: whoever stole a token
could otherwise make a second one that outlives it, or widen the one it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from netadmin import envelope
from netadmin.access import tokens as acts
from netadmin.access.models import APIToken, Role
from probes import payloads
from probes.api.routing import route
from probes.api.shared import Listed
from probes.history.queries.pages import slice_rows
from probes.payloads import tokens as token_payloads
from probes.payloads.shapes import tokens as shapes

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class TokenList(Listed):
    """One's own tokens, the newest first."""


def own(request: HttpRequest, pk: int) -> APIToken | None:
    """One of those that the caller has; an administrator ends those of others on their page."""
    return _own(request).filter(pk=pk).first()


@route("GET", Role.VIEWER, query=TokenList, data=shapes.Tokens)
def listing(request: HttpRequest, query: TokenList) -> HttpResponseBase:
    """The caller's own tokens, the newest first; by token that one alone."""
    found = list(_own(request))
    if query.format == "csv":
        shaped = (_shaped(request, row) for row in found)
        return payloads.csv("tokens", token_payloads.TOKEN, shaped)
    page = slice_rows(
        found, kind="tokens", key=lambda row: [-row.pk], cursor=query.cursor, limit=query.limit
    )
    shown = [_shaped(request, row) for row in page.rows]
    return envelope.answer({"tokens": shown, "total": page.total, "next": page.next})


@route("GET", Role.VIEWER, about=own, data=shapes.OneToken)
def show(request: HttpRequest, token: APIToken) -> HttpResponse:
    """One of the caller's own tokens."""
    return envelope.answer({"token": _shaped(request, token)})


@route("DELETE", Role.VIEWER, about=own, data=shapes.OneToken)
def revoke(request: HttpRequest, token: APIToken) -> HttpResponse:
    """End one of the caller's own tokens at once and for ever, also the one that is used for it."""
    acts.revoke(token, request=request)
    return envelope.answer(
        {"token": _shaped(request, token)}, message=_("The token opens nothing any more.")
    )


def _own(request: HttpRequest) -> QuerySet[APIToken]:
    user = cast("User", request.user)
    rows = APIToken.objects.filter(user=user).prefetch_related("groups")
    used: APIToken | None = getattr(request, "token", None)
    if used is not None:
        # A token may be narrower than the others: in scope, in groups, or in whose hands it is.
        rows = rows.filter(pk=used.pk)
    return rows.order_by("-pk")


def _shaped(request: HttpRequest, row: APIToken) -> dict[str, Any]:
    used = cast("APIToken | None", getattr(request, "token", None))
    current = used is not None and used.pk == row.pk
    return token_payloads.token(row, now=timezone.now(), current=current)
