"""The guard for everything that goes to an address which a person typed.

Place in the data's way: between webhooks, channels and CMDB sources and the network. Knows none
of them. ``addresses`` says which addresses are reachable, ``guard`` holds every connection of a
thread to that, and ``client`` asks over HTTP inside it.
"""

from __future__ import annotations

from netadmin.outbound.addresses import check
from netadmin.outbound.client import Failed, Response, check_url, request
from netadmin.outbound.guard import Blocked, Guard, guarded

__all__ = [
    "Blocked",
    "Failed",
    "Guard",
    "Response",
    "check",
    "check_url",
    "guarded",
    "request",
]
