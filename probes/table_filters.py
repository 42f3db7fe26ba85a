"""What may be asked of routes, interfaces, protocol counters and multicast groups.

Place in the data's way: beside ``probes.filters``, which reads the query strings; obeyed by
``probes.history.queries.network``. Knows no models, no requests.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field

from probes.filters import Invalid, Query, text_like


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """One address, IPv4 inside ``::ffff:0:0/96`` as IPv4; raises Invalid."""
    try:
        read = ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(_("Give one address such as 10.0.0.1 or 2001:db8::1.")) from None
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    return mapped or read


def _address(text: str) -> str:
    address(text)
    return text


Text = Annotated[str, Field(max_length=100)]
InterfaceName = Annotated[str, Field(max_length=255)]
"""As long as parsers keep one; Windows has long ones."""
Family = Literal["4", "6"]


class TableFilter(Query):
    """What the filters of all four tables have in common."""


class RouteFilter(TableFilter):
    """Which routes; what is None filters nothing."""

    ip: Annotated[str, AfterValidator(_address), text_like(format="address")] | None = None
    """The routes an address could take, the most specific first: the first one is taken, where
    no policy says otherwise."""
    family: Family | None = None
    interface: InterfaceName | None = None
    """The interface's name, exactly."""
    gateway: Text | None = None
    """Part of the gateway."""


class InterfaceFilter(TableFilter):
    """Which interfaces; what is None filters nothing."""

    name: Text | None = None
    """Part of the name, whatever its case."""


class ProtocolFilter(TableFilter):
    """Which counters; what is None filters nothing."""

    protocol: Text | None = None
    """The protocol's name, exactly, whatever its case."""
    counter: Text | None = None
    """Part of the counter's name, whatever its case."""
    hide: Literal["zero"] | None = None
    """``zero``: counters that never counted anything."""


class MulticastFilter(TableFilter):
    """Which memberships; what is None filters nothing."""

    interface: InterfaceName | None = None
    """The interface's name, exactly."""
    family: Literal["4", "6", "link"] | None = None
    group: Text | None = None
    """Part of the group's address."""
