"""What ``probes/_chart.html`` needs: which series is drawn, over which span, and what a click does.

Place in the data's way: pages call :func:`context` and include the template; the script asks the
JSON route for the numbers. Knows no series and no host.

A page with a chart has::

    {% block head %}{% include "probes/_chart_head.html" %}{% endblock %}
    {% block scripts %}{% include "probes/_chart_scripts.html" %}{% endblock %}
    ... {% include "probes/_chart.html" with chart=chart %}

and its view::

    chart = charts.context(
        request, url=f"{reverse('api-statistics-timeline')}?host=1&by=total", title=_("Over time")
    )
    problem = problem or chart["problem"]

The route must answer like ``statistics/timeline``: ``times`` (seconds since 1970, rising),
``series`` (a list of that length by name, null in a gap), and where it has them ``failed``
(``[[time, code], ...]``), ``most`` (like ``series``: the largest value since the point before),
``marks`` (like :class:`Mark`); and take ``since``, ``until`` and ``format=csv``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.filters import FilterError
from probes.views.hostpage import with_query

Label = str | Promise

SPANS: Final[tuple[tuple[str, Label], ...]] = (
    ("3600", gettext_lazy("1 hour")),
    ("21600", gettext_lazy("6 hours")),
    ("86400", gettext_lazy("24 hours")),
    ("604800", gettext_lazy("7 days")),
    ("2592000", gettext_lazy("30 days")),
    ("31536000", gettext_lazy("1 year")),
)
"""(seconds, words) of the links above a chart; ``?span=`` is one of the first."""

USUAL_SPAN: Final = "21600"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time: drawn as a line with a flag, and listed below."""

    at: dt.datetime
    label: Label
    kind: Literal["change", "alert", "info"] = "info"


def context(
    request: HttpRequest,
    *,
    url: str,
    kind: Literal["lines", "stacked"] = "lines",
    at_url: str = "",
    title: Label = "",
    usual_span: str = USUAL_SPAN,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    choices: Iterable[tuple[Label, str, bool]] = (),
    unit: str = "",
    words: Mapping[str, Label] | None = None,
    empty: Label = "",
    note: Label = "",
    marks: Iterable[Mark] = (),
    name: str = "chart",
    height: int = 0,
) -> dict[str, Any]:
    """The ``chart`` of the template. No query.

    ``url`` is the address of the JSON route with its parameters but for the times. ``at_url`` is
    the address a click on the chart leads to, with ``at=`` of that time added; "" takes no click.
    ``since`` is its beginning where a page has spans of its own; then it shows them itself.
    ``until`` is the end of the span; None is now, and then the chart renews itself each minute.
    ``choices`` are links beside the title: (words, address, whether it is the chosen one).
    ``unit`` is ``bytes`` or ``count`` for values per second, "" for counts. ``words`` say names of
    the series in the reader's language; ``note`` replaces the words on what a gap means. ``name``
    tells the charts of one page apart; ``height`` is in CSS pixels, 0 the usual one.

    ``problem`` in what comes back is the error of a bad ``?span=`` (the page then answers 400 and
    shows it; the chart has its usual span), else None.
    """
    span = request.GET.get("span", "") or usual_span
    problem: FilterError | None = None
    if since is not None:
        span = str(max(1, round(((until or timezone.now()) - since).total_seconds())))
    elif span == "all":  # of the slider of a host; a chart goes back a year at most
        span = SPANS[-1][0]
    elif span not in dict(SPANS):
        names = ", ".join(seconds for seconds, _label in SPANS)
        problem = FilterError("span", _("One of %(names)s.") % {"names": names})
        span = usual_span
    if until is not None:
        until += dt.timedelta(seconds=1)  # the routes end before it
    end = until or timezone.now()
    fixed = {
        "since": _stamp(end - dt.timedelta(seconds=int(span))),
        **({"until": _stamp(until)} if until is not None else {}),
    }
    joined = "&" if "?" in url else "?"
    shown = [
        {
            "at": _stamp(mark.at),
            "time": int(mark.at.timestamp()),
            "when": mark.at,
            "label": str(mark.label),
            "kind": mark.kind,
            "url": _at(at_url, mark.at) if at_url else "",
        }
        for mark in sorted(marks, key=lambda mark: mark.at)
    ]
    return {
        "name": name,
        "height": height,
        "title": title or _("Over time"),
        "url": url,
        "json_url": f"{url}{joined}{urlencode(fixed)}",
        "csv_url": f"{url}{joined}{urlencode(fixed | {'format': 'csv'})}",
        "kind": kind,
        "at_url": at_url,
        "span": span,
        "spans": []
        if since is not None
        else [
            (label, with_query(request, span=seconds), seconds == span) for seconds, label in SPANS
        ],
        "choices": list(choices),
        "until": "" if until is None else str(int(until.timestamp())),
        "zone": timezone.get_current_timezone_name(),
        "unit": unit,
        "words": json.dumps({key: str(word) for key, word in (words or {}).items()}),
        "peak": _("%(value)s, at most %(most)s"),
        "empty": empty or _("Nothing to draw yet: the chart needs two whole probes."),
        "note": note or _("A gap is a time without a whole probe, a red tick one that failed."),
        "marks": shown,
        "marks_data": [[mark["time"], mark["label"], mark["kind"], mark["at"]] for mark in shown],
        "marks_id": f"{name}-marks",
        "problem": problem,
    }


def _at(address: str, when: dt.datetime) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'at': _stamp(when)})}"


def _stamp(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
