"""What may be asked of the list of peers.

Place in the data's way: as ``probes.filters``, for the page and the JSON route of peers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field

from probes.filters import Invalid, Query, address_range, text_like

SORTS: Final = ("-first_seen", "first_seen", "-last_seen", "last_seen", "program", "-program",
                "network", "-network")  # fmt: skip


def _one_address(text: str) -> str:
    found = address_range(text)
    if found.low != found.high:
        raise Invalid(_("Give one address."))
    return text


class PeerFilter(Query):
    """Which peers, in which order."""

    state: Literal["learned", "new", "approved", "snoozed", "expired"] | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""
    program: Annotated[str, Field(max_length=200)] | None = None
    """Part of the program's name, whatever its case."""
    ip: Annotated[str, AfterValidator(_one_address), text_like(format="address")] | None = None
    """An address that the peer's network holds."""
    sort: (
        Literal["-first_seen", "first_seen", "-last_seen", "last_seen",
                "program", "-program", "network", "-network"] | None
    ) = None  # fmt: skip


def networks_of(ip: str) -> Iterator[str]:
    """Every network that holds ``ip`` (as ``PeerFilter`` takes it), as peers are written."""
    address = ipaddress.ip_address(ip.partition("/")[0].partition("%")[0])
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    for prefix in range(address.max_prefixlen + 1):
        yield str(ipaddress.ip_network((address, prefix), strict=False))
