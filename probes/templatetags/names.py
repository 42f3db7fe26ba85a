"""Names beside addresses and ports: hints, muted, and only where the site wants them.

Place in the data's way: the last step before HTML. A page passes what ``probes.names.hints`` gave
it; nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.translation import gettext

from probes.parsers import service_names

register = template.Library()


@register.filter
def hint(ip: str | None, known: Mapping[str, str] | None) -> str:
    """``{{ ip|hint:hints }}``: what reverse DNS calls an address, or nothing."""
    name = known.get(ip, "") if known and ip else ""
    if not name:
        return ""
    title = gettext("reverse DNS, a hint")
    return format_html('<span class="na-name" title="{}: {}">{}</span>', title, name, name)


@register.filter
def service(port: int | str | None, protocol: str | None) -> str:
    """``{{ port|service:protocol }}``: what a port is registered for, or nothing."""
    if not settings.PORT_NAMES or not protocol or not str(port or "").isdigit():
        return ""
    name = service_names.name(int(str(port)), protocol)
    if name is None:
        return ""
    title = gettext("registered name of the port, a hint")
    return format_html('<span class="na-name" title="{}">{}</span>', title, name)
