"""The timeline under the slider: the host's counts over exactly its span, and what happened in it.

Place in the data's way: shapes ``queries.events`` as the marks of ``probes/_chart.html``; the
numbers come from ``statistics/timeline`` when the page is open.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from probes.filters import FilterError
from probes.history.queries import events
from probes.history.queries.events import Event
from probes.observation import EXPLANATIONS, Code
from probes.views import charts
from probes.views.charts import Mark
from probes.views.hostpage import with_query
from probes.views.moment import Moment

BYS: Final[tuple[tuple[str, str | Promise], ...]] = (
    ("state", gettext_lazy("States")),
    ("total", gettext_lazy("Sockets")),
    ("listeners", gettext_lazy("Listeners")),
    ("changes", gettext_lazy("Changes")),
)
"""What the timeline may show."""
WORDS: Final[dict[str, str | Promise]] = {
    "total": gettext_lazy("sockets"),
    "listeners": gettext_lazy("listeners"),
    "opened": gettext_lazy("opened"),
    "closed": gettext_lazy("closed"),
}
KINDS: Final = {"listener_new": "change", "listener_gone": "change", "alert": "alert"}
"""How events look; all others are notes."""


def read(request: HttpRequest) -> str:
    """What ``?by=`` asks to be shown; FilterError naming it."""
    by = request.GET.get("by", "") or BYS[0][0]
    if by not in dict(BYS):
        names = ", ".join(name for name, _label in BYS)
        raise FilterError("by", _("One of %(names)s.") % {"names": names})
    return by


def context(request: HttpRequest, host: Host, moment: Moment, by: str) -> dict[str, Any]:
    """The ``chart`` of the host page. Three queries."""
    happened = events.events(host, moment.since, moment.until)
    marks = [Mark(event.at, _label(event), KINDS.get(event.kind, "info")) for event in happened]  # type: ignore[arg-type]
    if moment.past and moment.snapshot is not None:
        marks.append(Mark(moment.snapshot.taken_at, _("You look at this time"), "info"))
    return charts.context(
        request,
        url=f"{reverse('api-statistics-timeline')}?{urlencode({'host': host.pk, 'by': by})}",
        at_url=with_query(request, at=None),
        title=_("Timeline"),
        since=moment.since,
        until=moment.until if moment.past else None,
        choices=[(label, with_query(request, by=name), name == by) for name, label in BYS],
        words=WORDS,
        marks=marks,
        height=150,
    )


def _label(event: Event) -> str:
    if event.kind == "alert":
        return _("Alert: %(subject)s") % {"subject": event.subject}
    if event.kind == "failed":
        said = _failure(event.code)
        return said if event.times == 1 else f"{said} ×{event.times}"
    listener = f"{event.protocol} {event.port}"
    if event.program:
        listener += f" ({event.program})"
    if event.kind == "listener_new":
        return _("New listener: %(listener)s") % {"listener": listener}
    return _("Listener gone: %(listener)s") % {"listener": listener}


def _failure(code: str) -> str:
    """The title of a failure's code and the code itself; a partial probe may have no title."""
    try:
        title, _hint = EXPLANATIONS[Code(code)]
    except ValueError:
        return code
    return f"{_(title)} ({code})"
