"""Changes as a list, filtered, in the order asked for, a page at a time.

Place in the data's way: between the rows that ``probes.watch.lifecycle`` writes and the pages and
routes that show them. The hosts that are given decide what may be seen.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field

from hosts.models import Host
from probes.filters import (
    FilterError,
    Identifier,
    Invalid,
    Moment,
    Ports,
    Query,
    one_or_more,
    orders,
    port_ranges,
)
from probes.history.queries.pages import Page, open_cursor, seal
from probes.models import Change

KINDS: Final = tuple(Change.Kind.values)
MOST_COUNTED: Final = 10_000
"""Changes that a page counts; of more it says so."""

_ORDERS: Final[dict[str, Any]] = {
    "at": F("at"),
    "host": F("host__name"),
    "port": Coalesce(F("port"), Value(0)),
    "kind": F("kind"),
}
SORTS: Final = tuple(name for plain in _ORDERS for name in (plain, f"-{plain}"))
USUAL_SORT: Final = "-at"


def _kinds(text: str) -> str:
    named = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not set(named) <= set(KINDS):
        raise Invalid(format_lazy(_("Give one of: {words}."), words=", ".join(KINDS)))
    return ",".join(named)


class ChangeFilter(Query):
    """Which changes; what is None filters nothing."""

    host: Identifier | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""
    kind: Annotated[str, AfterValidator(_kinds), one_or_more(KINDS)] | None = None
    """One or more kinds, comma separated."""
    protocol: Literal["tcp", "udp", "sctp", "dccp"] | None = None
    port: Ports | None = None
    """Ports and ranges, comma separated."""
    program: Annotated[str, Field(max_length=200)] | None = None
    """Part of a program's name, whatever its case."""
    range: Literal["system", "registered", "ephemeral"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    sort: Annotated[str, orders(SORTS, both_ways=False)] | None = None


def listed(hosts: QuerySet[Host], wanted: ChangeFilter) -> QuerySet[Change]:
    """The changes on ``hosts`` that pass the filter, with host and alert, in the order asked for.

    ``host`` and ``group`` are the caller's, who narrows ``hosts`` by them. Raises FilterError.
    """
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise FilterError("since", _("Give a time before until."))
    rows = Change.objects.using(hosts.db).filter(host__in=hosts.order_by())
    if wanted.kind is not None:
        rows = rows.filter(kind__in=wanted.kind.split(","))
    if wanted.protocol is not None:
        rows = rows.filter(protocol=wanted.protocol)
    if wanted.port is not None:
        among = Q()
        for low, high in port_ranges(wanted.port):
            among |= Q(port=low) if low == high else Q(port__range=(low, high))
        rows = rows.filter(among)
    if wanted.program is not None:
        rows = rows.filter(program__icontains=wanted.program)
    if wanted.range is not None:
        # Not detail__range, which would ask whether it lies between two values.
        named = Cast(KeyTextTransform("range", "detail"), TextField())
        rows = rows.alias(in_range=named).filter(in_range=wanted.range)
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(at__lt=wanted.until)
    name, descending = _sorted(wanted)
    rows = rows.select_related("host", "alert__rule", "alert__hunt")
    if name == "at":
        return rows.order_by("-at", "-pk") if descending else rows.order_by("at", "pk")
    rows = rows.annotate(ordered_by=_ORDERS[name])
    return rows.order_by("-ordered_by", "-pk") if descending else rows.order_by("ordered_by", "pk")


def page(
    rows: QuerySet[Change], wanted: ChangeFilter, *, cursor: str | None, limit: int
) -> Page[Change]:
    """One page of :func:`listed`; FilterError for a cursor of another list or order.

    ``total`` counts no further than MOST_COUNTED and one. Two queries.
    """
    name, descending = _sorted(wanted)
    kind = f"changes:{wanted.parameters()}"
    total = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    if cursor is not None:
        value, pk = open_cursor(kind, cursor, parts=2)
        rows = rows.filter(_behind(name, descending, value, pk))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        last = found[-1]
        edge = last.at.isoformat() if name == "at" else last.ordered_by  # type: ignore[attr-defined]
        following = seal(kind, edge, last.pk)
    return Page(found, following, total)


def newest(hosts: QuerySet[Host], *, limit: int) -> list[Change]:
    """The newest changes on ``hosts``. One query."""
    return list(listed(hosts, ChangeFilter())[:limit])


def _sorted(wanted: ChangeFilter) -> tuple[str, bool]:
    asked = wanted.sort or USUAL_SORT
    if asked not in SORTS:
        words = ", ".join(_ORDERS)
        raise FilterError(
            "sort",
            format_lazy(_("Give one of: {words}; with - before it for the reverse."), words=words),
        )
    return asked.removeprefix("-"), asked.startswith("-")


def _behind(name: str, descending: bool, value: Any, pk: int) -> Q:
    """What comes after the last row shown."""
    way = "lt" if descending else "gt"
    if name == "at":
        edge = dt.datetime.fromisoformat(value)
        # The time once more alone, for the index.
        return Q(**{f"at__{way}e": edge}) & (
            Q(**{f"at__{way}": edge}) | Q(**{f"pk__{way}": pk, "at": edge})
        )
    return Q(**{f"ordered_by__{way}": value}) | Q(**{"ordered_by": value, f"pk__{way}": pk})
