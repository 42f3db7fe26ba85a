"""How long a time the pages of one host look at: ``?span=``, kept from tab to tab.

Place in the data's way: between the query string and the slider, the timeline and the history.
Knows no request and no template.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from probes.filters import EARLIEST, FilterError
from probes.history.queries import walks

Label = str | Promise

ALL: Final = "all"
SPANS: Final[tuple[tuple[str, Label], ...]] = (
    ("3600", gettext_lazy("1 hour")),
    ("21600", gettext_lazy("6 hours")),
    ("86400", gettext_lazy("24 hours")),
    ("604800", gettext_lazy("7 days")),
    ("2592000", gettext_lazy("30 days")),
    ("31536000", gettext_lazy("1 year")),
    (ALL, gettext_lazy("all")),
)
"""(seconds or ALL, words)."""
USUAL: Final = "21600"
LONGEST: Final = dt.timedelta(days=366)
"""What ALL means at most: as much as a chart goes back."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read(query: Mapping[str, str], *, usual: str = USUAL) -> str:
    """The span asked for, ``usual`` where none is; FilterError naming ``span``."""
    span = query.get("span", "") or usual
    if span not in dict(SPANS):
        names = ", ".join(name for name, _label in SPANS)
        raise FilterError("span", _("One of %(names)s.") % {"names": names})
    return span


def begin(host: Host, span: str, end: dt.datetime) -> dt.datetime:
    """When a span that ends at ``end`` begins; one query for ALL, none else."""
    if span != ALL:
        return max(EARLIEST, end - dt.timedelta(seconds=int(span)))
    first = walks.first(host)
    hour_before = end - dt.timedelta(hours=1)
    if first is None:
        return hour_before
    # A moment earlier, so that the first snapshot is in it.
    return max(end - LONGEST, min(first - dt.timedelta(seconds=1), hour_before))


def around(
    host: Host, span: str, moment: dt.datetime | None, end: dt.datetime
) -> tuple[dt.datetime, dt.datetime]:
    """From when to when a span shows ``moment``: the last one before ``end`` where that has it.

    Else one from a raster of half a span, with the moment in its middle half, so that walking on
    moves nothing but the slider for a while. One query for ALL, none else.
    """
    since = begin(host, span, end)
    if moment is None or moment > since or span == ALL:
        return since, end
    width = end - since
    half = width / 2
    begun = _EPOCH + half * ((moment - width / 4 - _EPOCH) // half)
    return max(EARLIEST, begun), begun + width
