"""Pages of a list, and the cursors that say where the next one begins.

Place in the data's way: between any query and whoever shows its rows a page at a time. A cursor
is the sort key of the last row shown, so rows that come and go meanwhile neither repeat nor hide
another row. It is signed: what comes back is what was given out, or :class:`FilterError`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core import signing
from django.utils.translation import gettext_lazy as _

from probes.filters import FilterError
from probes.models import Snapshot

Row = TypeVar("Row")

_SALT = "probes.history.queries.cursor"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list."""

    rows: Sequence[Row]
    next: str | None = None
    """Cursor of the next page; None on the last one."""
    total: int | None = None
    """Rows on all pages together."""
    sockets: int | None = None
    """Of a list of sockets: the same with each row counted as often as netstat printed it."""
    snapshot: Snapshot | None = None
    """Of a list of sockets: the snapshot it shows; None where the host has no whole one."""


def seal(kind: str, *values: Any) -> str:
    """A cursor of a list of ``kind`` (which list, of what, in which order).

    The same place has the same cursor at any time, so that an answer that did not change reads the
    same."""
    return signing.Signer(salt=_SALT).sign_object([kind, *values])


def open_cursor(kind: str, cursor: str, *, parts: int) -> list[Any]:
    """The ``parts`` values of a cursor that :func:`seal` made for the same ``kind``.

    Raises FilterError("cursor") for anything else.
    """
    try:
        found = signing.Signer(salt=_SALT).unsign_object(cursor)
    except (signing.BadSignature, ValueError):
        raise bad_cursor() from None
    if not isinstance(found, list) or len(found) != parts + 1 or found[0] != kind:
        raise bad_cursor()
    return found[1:]


def slice_rows(
    rows: Sequence[Row],
    *,
    kind: str,
    key: Callable[[Row], list[Any]],
    cursor: str | None,
    limit: int,
) -> Page[Row]:
    """A page of a list that is in memory whole, in the order of ``key``, which is JSON and unique.

    Raises FilterError("cursor").
    """
    ordered = sorted(rows, key=key)
    first = 0
    if cursor is not None:
        (after,) = open_cursor(kind, cursor, parts=1)
        first = bisect_right(ordered, after, key=key)
    page = ordered[first : first + limit]
    more = first + limit < len(ordered)
    return Page(page, seal(kind, key(page[-1])) if more else None, len(ordered))


def bad_cursor() -> FilterError:
    """The refusal of a cursor that was altered, or comes from another list or order."""
    return FilterError(
        "cursor", _("This is no cursor of this list. Begin again without it, in the same order.")
    )


def gone_cursor() -> FilterError:
    """The refusal of a cursor into a snapshot that is no longer kept."""
    return FilterError("cursor", _("Its snapshot is no longer kept. Begin again without it."))
