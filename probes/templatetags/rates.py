"""How changes per second look on a page.

Place in the data's way: the last step before HTML, beside ``ui``. Knows no queries.
"""

from __future__ import annotations

from django import template
from django.template import defaultfilters

from probes.templatetags.ui import DASH, count

register = template.Library()


@register.filter
def bytes_per_s(value: float | None) -> str:
    """``1.2 MB/s``; a dash where it cannot be told."""
    return DASH if value is None else f"{defaultfilters.filesizeformat(round(value))}/s"


@register.filter
def per_s(value: float | None) -> str:
    """``12 345/s``, ``3.4/s``, ``0/s``; a dash where it cannot be told."""
    if value is None:
        return DASH
    if value == 0 or value >= 10:
        return f"{count(round(value))}/s"
    return f"{value:.1f}/s" if value >= 0.1 else "<0.1/s"
