"""The banner that says when nobody probes: shown on every page while the heartbeat is late."""

from __future__ import annotations

from typing import Any

from django import template

from probes import health

register = template.Library()


@register.inclusion_tag("components/_scheduler.html")
def scheduler_banner() -> dict[str, Any]:
    """Age of the newest heartbeat, one indexed read."""
    return {"scheduler": health.scheduler_state()}
