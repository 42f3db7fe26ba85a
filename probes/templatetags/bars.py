"""The bar of a host's newest probes, as SVG without a script or a style."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from probes.models import Outcome
from probes.observation import EXPLANATIONS, Code
from probes.templatetags import ui

register = template.Library()

SLOTS = 30
"""Probes a bar has room for; where there were fewer, the older slots stay grey."""

STEP = 6
HEIGHT = 20

WORDS = {
    Outcome.OK: gettext_noop("whole"),
    Outcome.LIMITED: gettext_noop("limited"),
    Outcome.PARTIAL: gettext_noop("partial"),
    Outcome.LATE: gettext_noop("late"),
    Outcome.FAILED: gettext_noop("failed"),
}


class Bar(Protocol):
    """One probe."""

    @property
    def at(self) -> dt.datetime: ...
    @property
    def outcome(self) -> str: ...
    @property
    def code(self) -> str: ...


@register.simple_tag
def history_bars(bars: Sequence[Bar]) -> str:
    """Newest probes, oldest left, with the age of both ends below; a failed one is also lower."""
    shown = sorted(bars, key=lambda bar: bar.at)[-SLOTS:]
    empty = SLOTS - len(shown)
    rects = [("b-none", index * STEP, HEIGHT - 3, 3, "") for index in range(empty)] + [
        _rect(bar, index) for index, bar in enumerate(shown, start=empty)
    ]
    drawing = format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        SLOTS * STEP - 1,
        HEIGHT,
        _summary(shown),
        format_html_join(
            "",
            '<rect class="{}" x="{}" y="{}" width="5" height="{}" rx="1">{}</rect>',
            (
                (css, x, y, height, format_html("<title>{}</title>", title) if title else "")
                for css, x, y, height, title in rects
            ),
        ),
    )
    if not shown:
        return format_html('<span class="na-bars">{}</span>', drawing)
    return format_html(
        '<span class="na-bars">{}<span class="na-bars-ends"><span>{}</span><span>{}</span></span>'
        "</span>",
        drawing,
        ui.ago(shown[0].at),
        ui.ago(shown[-1].at),
    )


def _rect(bar: Bar, index: int) -> tuple[str, int, int, int, str]:
    # Shape as well as colour: what failed is a short bar, what is limited a shorter one.
    height = {"ok": HEIGHT, "failed": 9}.get(bar.outcome, 15)
    words = _explained(bar)
    title = f"{ui.clock(bar.at)} · {words}"
    limited = bar.outcome == "ok" and bool(bar.code)
    css = "b-limited" if limited else f"b-{bar.outcome}"
    return css, index * STEP, HEIGHT - height, height, title


def _explained(bar: Bar) -> str:
    if bar.code:
        try:
            return _(EXPLANATIONS[Code(bar.code)][0])
        except ValueError:
            return bar.code
    return _(WORDS[Outcome(bar.outcome)])


def _summary(shown: Sequence[Any]) -> str:
    if not shown:
        return _("No probe yet")
    counts = Counter(_(WORDS[Outcome(bar.outcome)]) for bar in shown)
    parts = ", ".join(f"{number} {word}" for word, number in counts.most_common())
    title = ngettext("Last %(n)d probe", "Last %(n)d probes", len(shown)) % {"n": len(shown)}
    return f"{title}: {parts}"
