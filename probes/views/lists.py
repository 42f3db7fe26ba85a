"""Headings that sort, chips that choose, and hidden fields that keep a page's query.

Place in the data's way: shapes the query string of a page with a sorted list for its template.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise

from probes.views.hostpage import with_query
from probes.views.spans import SPANS

Label = str | Promise


def headings(
    request: HttpRequest,
    columns: Iterable[tuple[str, Label, str]],
    *,
    usual: str,
    largest_first: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Of (name to sort by or "", heading, CSS): each a link that sorts; the second click turns the
    order round."""
    current = request.GET.get("sort") or usual
    turned = set(largest_first)
    shaped = []
    for name, label, css in columns:
        first = f"-{name}" if name in turned else name
        second = name if name in turned else f"-{name}"
        active = bool(name) and current in (first, second)
        shaped.append(
            {
                "label": label,
                "css": css,
                "order": "" if not active else "descending" if current[0] == "-" else "ascending",
                "url": with_query(request, sort=second if current == first else first)
                if name
                else "",
            }
        )
    return shaped


def chip(
    request: HttpRequest, parameter: str, value: str | None, label: Label, count: int | None
) -> dict[str, Any]:
    """A link that chooses one value of a parameter; None chooses none of them."""
    return {
        "label": label,
        "count": count,
        "chosen": (request.GET.get(parameter) or None) == value,
        "url": with_query(request, **{parameter: value}),
    }


def spans(
    request: HttpRequest, chosen: str, **changes: str | None
) -> list[tuple[Label, str, bool]]:
    """(words, address, whether it is the chosen one) of every span; ``changes`` to the query go
    along."""
    return [
        (label, with_query(request, **{**changes, "span": name}), name == chosen)
        for name, label in SPANS
    ]


def kept(request: HttpRequest, *, but: Iterable[str]) -> list[tuple[str, str]]:
    """What of the query a form must send again: all but its own fields and the page's number."""
    left_out = {*but, "cursor", "known", "page"}
    return [
        (name, value)
        for name, values in request.GET.lists()
        for value in values
        if value and name not in left_out
    ]
