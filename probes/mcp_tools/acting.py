"""What assistants may do, where their token may: have a host probed.

Place in the data's way: as ``one_host``. Each of these is recorded as the act it is, besides the
call.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from probes import payloads
from probes.filters import number
from probes.mcp_tools.declared import Arguments, Word
from probes.tools import asking
from probes.tools.whom import host_of

MOST_WAIT_S: Final = 60


class ProbeNow(Arguments):
    """Which host, and whether to wait."""

    host: Word
    """Name, address or id of a host."""
    wait: Annotated[int, number(0, MOST_WAIT_S)] = 30
    """Seconds to wait for its snapshot; 0 asks for the probe and waits for nothing."""


def probe_now(request: HttpRequest, query: ProbeNow) -> tuple[dict[str, Any], str]:
    """Have a host probed now; its snapshot where it was stored in time."""
    host = host_of(request, query.host)
    asked = asking.probe_now(request, host, wait_s=query.wait or None)
    if asked.snapshot is not None:
        return {"snapshot": payloads.explained(asked.snapshot)}, _("The host was probed.")
    probe = payloads.probe(asked.schedule, progress=asked.progress)
    return {"probe": probe}, _("The host is probed next.")
