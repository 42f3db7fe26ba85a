"""A small line of numbers over time, as SVG without a script or a style.

Place in the data's way: beside a finding, of its trend. What it shows is in its label as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.translation import gettext as _

from probes.templatetags import ui

register = template.Library()

WIDTH = 180
HEIGHT = 32
PAD = 2


@register.simple_tag
def spark(points: Sequence[tuple[dt.datetime, int]]) -> str:
    """A line through ``points`` (oldest first), from nothing up to their most, with the age of both
    ends below; empty where there are fewer than two."""
    if len(points) < 2:
        return ""
    first, last = points[0], points[-1]
    span_s = (last[0] - first[0]).total_seconds() or 1.0
    most = max(count for _when, count in points) or 1
    places = [
        (
            PAD + (when - first[0]).total_seconds() / span_s * (WIDTH - 2 * PAD),
            HEIGHT - PAD - count / most * (HEIGHT - 2 * PAD),
        )
        for when, count in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    floor = HEIGHT - PAD
    label = _("From %(first)s to %(last)s, at most %(most)s") % {
        "first": first[1],
        "last": last[1],
        "most": most,
    }
    return format_html(
        '<span class="nf-spark"><svg viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polygon class="nf-under" points="{},{} {} {},{}"/><polyline points="{}"/>'
        '<circle cx="{}" cy="{}" r="2.5"/></svg><span class="na-bars-ends"><span>{}</span>'
        "<span>{}</span></span></span>",
        WIDTH,
        HEIGHT,
        label,
        f"{places[0][0]:.1f}",
        floor,
        line,
        f"{places[-1][0]:.1f}",
        floor,
        line,
        f"{places[-1][0]:.1f}",
        f"{places[-1][1]:.1f}",
        ui.ago(first[0]),
        ui.ago(last[0]),
    )
