"""The number of open alerts, shown in the top bar and on the overview: one query a page."""

from __future__ import annotations

import re
from typing import Any

from django import template

from hosts.models import Host
from probes.history.queries import alerts

register = template.Library()

_KNOWN = "_open_alerts"

_WATCHING = re.compile(
    r"(alert|change|activity|service|restart|peer|drift|rule|port_polic|silence|channel|deliver)"
)
"""How names of the pages behind the entry "Alerts" begin."""


@register.filter
def is_watching(url_name: str | None) -> bool:
    """Whether a page belongs to what is watched."""
    return bool(url_name and _WATCHING.match(url_name))


@register.simple_tag(takes_context=True)
def open_alerts(context: dict[str, Any]) -> int:
    """How many alerts are open that the reader may see; asked once a request."""
    request = context.get("request")
    if request is None or not request.user.is_authenticated:
        return 0
    known = getattr(request, _KNOWN, None)
    if known is None:
        known = alerts.open_count(Host.objects.visible_to(request.user))
        setattr(request, _KNOWN, known)
    return int(known)
