"""How times, numbers, endpoints, icons and form fields look on every page.

Place in the data's way: the last step before HTML. Knows no queries and no models; whatever
comes in from a host is escaped here like everything else.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField, CheckboxInput, FileInput, RadioSelect, Select
from django.template import defaultfilters
from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from probes.templatetags import icons

register = template.Library()

DASH = "—"
"""What stands for unknown or empty."""

THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"

AGO = (
    _("just now"),
    _("{n} s ago"),
    _("{n} min ago"),
    _("{n} h ago"),
    _("{n} d ago"),
)
"""Words for an age, by unit; app.js gets the same ones to keep an open page's ages true."""

LASTING = (
    _("for {n} s"),
    _("for {n} min"),
    _("for {n} h"),
    _("for {n} d"),
)
"""Words for how long something has been so."""

AGO_STEPS_S = (1, 60, 3600, 86_400)


def age_text(seconds: float) -> str:
    """An age in one unit: "just now" under 5 s, then s, min, h (to 48) and d."""
    if seconds < 5:
        return str(AGO[0])
    unit = _unit(seconds)
    return str(AGO[unit + 1]).replace("{n}", str(int(seconds // AGO_STEPS_S[unit])))


def _unit(seconds: float) -> int:
    """Index of the unit to say an age in: s to 90 s, min to 90 min, h to 48 h, d."""
    return sum(seconds >= limit for limit in (90, 90 * 60, 48 * 3600))


@register.simple_tag
def ago(when: dt.datetime | None) -> str:
    """``2 min ago`` with the exact time on hover; a dash where there is no time."""
    if when is None:
        return DASH
    age_s = (timezone.now() - when).total_seconds()
    return format_html(
        '<time class="na-ago" datetime="{}" title="{}" data-ago>{}</time>',
        when.astimezone(dt.UTC).isoformat(timespec="seconds"),
        exact(when),
        age_text(age_s),
    )


@register.simple_tag
def lasting(since: dt.datetime | None) -> str:
    """``for 8 min`` with the exact beginning on hover; nothing where it is not known."""
    if since is None:
        return ""
    seconds = max(0.0, (timezone.now() - since).total_seconds())
    unit = _unit(seconds)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        since.astimezone(dt.UTC).isoformat(timespec="seconds"),
        exact(since),
        str(LASTING[unit]).replace("{n}", str(int(seconds // AGO_STEPS_S[unit]))),
    )


@register.simple_tag
def ago_words() -> str:
    """The words of :func:`ago` as a JSON array for app.js."""
    return json.dumps([str(words) for words in AGO], ensure_ascii=False)


@register.filter
def exact(when: dt.datetime | None) -> str:
    """``2026-01-31 03:12:05 UTC`` in the site's time zone."""
    if when is None:
        return DASH
    local = timezone.localtime(when)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or ''}".strip()


@register.filter
def stamp(when: dt.datetime) -> str:
    """A time as the ``at`` of a link, exact to the microsecond, in UTC."""
    return when.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@register.filter
def clock(when: dt.datetime | None) -> str:
    """``03:12:05`` today, ``01-31 03:12`` on another day of the site's time zone."""
    if when is None:
        return DASH
    local = timezone.localtime(when)
    return f"{local:%H:%M:%S}" if local.date() == timezone.localdate() else f"{local:%m-%d %H:%M}"


@register.filter
def count(value: int | None) -> str:
    """A whole number with thin spaces between thousands; a dash for None."""
    return DASH if value is None else f"{value:,}".replace(",", THIN_SPACE)


@register.filter
def size(value: int | None) -> str:
    """Bytes in a readable unit; a dash for None."""
    return DASH if value is None else str(defaultfilters.filesizeformat(value))


@register.filter
def millis(value: int | None) -> str:
    """A duration in milliseconds: ``87 ms`` or ``1.9 s``."""
    if value is None:
        return DASH
    return f"{value} ms" if value < 1000 else f"{value / 1000:.1f} s"


@register.filter
def percent_of(part: int, whole: int) -> int:
    """``part`` as 0 to 100 of ``whole``, at least 1 where there is any."""
    if not part or not whole:
        return 0
    return max(1, min(100, round(100 * part / whole)))


@register.filter
def translated(message: str) -> str:
    """The translation of a message that pure code marked but could not translate."""
    return gettext(message) if message else ""


@register.filter
def dash(value: Any) -> Any:
    """``value``, or a dash for None and the empty string."""
    return DASH if value is None or value == "" else value


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """An inline SVG of :mod:`probes.templatetags.icons`; decorative unless it has a label."""
    role = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon na-icon {}" viewBox="0 0 24 24" width="20" height="20" fill="none"'
        ' stroke="currentColor" stroke-width="2" stroke-linecap="round"'
        ' stroke-linejoin="round" {}>{}</svg>',
        css,
        role,
        mark_safe(icons.PATHS[name]),
    )


@register.filter
def level_class(shape: str) -> str:
    """CSS class that colours a status icon."""
    return f"na-{shape}"


@register.filter
def control(field: BoundField) -> SafeString:
    """A form field's widget with the classes its kind has in this design."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput | RadioSelect):
        css = "form-check-input"
    elif isinstance(widget, Select):
        css = "form-select"
    elif isinstance(widget, FileInput):
        css = "form-control na-file"
    else:
        css = "form-control"
    if field.errors:
        css += " is-invalid"
    given = str(widget.attrs.get("class", ""))
    return field.as_widget(attrs={"class": f"{given} {css}".strip()})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether a field is one box to tick, whose label stands behind it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.simple_tag
def endpoint(ip: str | None, port: int | None = None) -> str:
    """``10.0.0.1:22``, ``[::1]:22``; ``*`` for any port."""
    if not ip:
        return DASH
    shown_port = "*" if port is None else str(port)
    address = f"[{ip}]" if ":" in ip else ip
    return str(conditional_escape(f"{address}:{shown_port}"))


@register.simple_tag
def events() -> SafeString | str:
    """Where a live part listens for news, as its attribute; nothing where the site has no streams,
    so that the page does not ask in vain."""
    if not settings.EVENT_STREAMS:
        return ""
    return format_html(' data-events="{}"', reverse("api-events"))
