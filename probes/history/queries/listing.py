"""Any SELECT as a list: in a chosen order, a page at a time by cursor, or streamed.

Place in the data's way: between a query that makes its rows by SQL (a diff, the history of a host)
and whoever shows them. Knows how values travel in a cursor; knows no table.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from probes.filters import FilterError
from probes.history.queries import sql
from probes.history.queries.pages import open_cursor, seal
from probes.history.queries.sql import Scope, Statement


class Order(NamedTuple):
    """A column of the SELECT to sort by, and how its values travel in a cursor."""

    column: str
    encode: Callable[[Any], Any] = lambda value: value
    decode: Callable[[Any], Any] = lambda value: value
    is_text: bool = False
    is_time: bool = False


def address(column: str) -> Order:
    """By packed bytes: IPv4 among IPv6 at ``::ffff:0:0``."""
    return Order(column, lambda packed: bytes(packed).hex(), bytes.fromhex)


def text(column: str) -> Order:
    """By code points, on either database."""
    return Order(column, is_text=True)


def moment(column: str) -> Order:
    """By time."""
    return Order(
        column,
        lambda when: sql.utc(when).isoformat(),
        dt.datetime.fromisoformat,
        is_time=True,
    )


class Sorted(NamedTuple):
    """An order with its direction, as ``sort`` asked for it."""

    name: str
    order: Order
    descending: bool


def sorted_by(orders: Mapping[str, Order], sort: str, *, usual: str) -> Sorted:
    """``-name`` is the reverse of ``name``; "" is ``usual``. Raises FilterError("sort")."""
    asked = sort or usual
    name = asked.removeprefix("-")
    if name not in orders or asked.startswith("--"):
        words = ", ".join(orders)
        raise FilterError(
            "sort",
            format_lazy(_("Give one of: {words}; with - before it for the reverse."), words=words),
        )
    return Sorted(asked, orders[name], asked.startswith("-"))


def page(
    scope: Scope,
    inner: Statement,
    columns: Sequence[str],
    by: Sorted,
    *,
    tie: Sequence[Order],
    kind: str,
    cursor: str | None,
    limit: int,
) -> tuple[list[tuple[Any, ...]], str | None]:
    """At most ``limit`` rows of ``inner`` behind the cursor, and the cursor of the next page.

    ``tie`` are columns of ``columns``, never NULL, unique together among the rows; ``kind`` names
    the list, so that a cursor of another is refused. Unknown values come last either way. Raises
    FilterError("cursor"). One query.
    """
    kind = f"{kind}:{by.name}"
    after = None
    if cursor is not None:
        value, *rest = open_cursor(kind, cursor, parts=1 + len(tie))
        after = (
            None if value is None else by.order.decode(value),
            [each.decode(part) for each, part in zip(tie, rest, strict=True)],
        )
    found = sql.fetch(scope, _ordered(scope, inner, columns, by, tie, after, limit + 1))
    if len(found) <= limit:
        return found, None
    found = found[:limit]
    last = dict(zip(columns, found[-1], strict=True))
    edge = last[by.order.column]
    value = None if edge is None else by.order.encode(edge)
    return found, seal(kind, value, *(each.encode(last[each.column]) for each in tie))


def rows(
    scope: Scope, inner: Statement, columns: Sequence[str], by: Sorted, *, tie: Sequence[Order]
) -> Iterator[tuple[Any, ...]]:
    """All rows that :func:`page` would give, in its order, streamed."""
    yield from sql.stream(scope, _ordered(scope, inner, columns, by, tie, None, None))


def _ordered(
    scope: Scope,
    inner: Statement,
    columns: Sequence[str],
    by: Sorted,
    tie: Sequence[Order],
    after: tuple[Any, list[Any]] | None,
    limit: int | None,
) -> Statement:
    order = by.order
    column = order.column
    if order.is_text and scope.is_postgres:
        # The same order on both databases, whatever locale PostgreSQL was set up with.
        column = f'{column} COLLATE "C"'
    parts = [f"SELECT {', '.join(columns)} FROM ({inner.sql}) AS listed"]
    params = list(inner.params)
    ties = ", ".join(each.column for each in tie)
    if after is not None:
        edge, rest = after
        last = [_stored(scope, *pair) for pair in zip(tie, rest, strict=True)]
        behind = f"({ties}) > ({', '.join(['%s'] * len(last))})"
        if edge is None:
            parts.append(f"WHERE {column} IS NULL AND {behind}")
            params += last
        else:
            edge = _stored(scope, order, edge)
            beyond = "<" if by.descending else ">"
            parts.append(
                f"WHERE ({column} {beyond} %s OR {column} IS NULL OR ({column} = %s AND {behind}))"
            )
            params += [edge, edge, *last]
    way = "DESC" if by.descending else "ASC"
    parts.append(f"ORDER BY {column} IS NULL, {column} {way}, {ties}")
    if limit is not None:
        parts.append("LIMIT %s")
        params.append(limit)
    return Statement(" ".join(parts), tuple(params))


def _stored(scope: Scope, order: Order, value: Any) -> Any:
    return sql.time(scope, value) if order.is_time else value
