"""What may be asked of the list of services.

Place in the data's way: as ``probes.filters``, for the page and JSON route of services.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from probes.filters import Identifier, PortNumber, Query


class ServiceFilter(Query):
    """Which services."""

    q: Annotated[str, Field(max_length=100)] | None = None
    """Part of a service's name, of its host's, or of a program that holds its port."""
    state: Literal["up", "down", "unknown", "off"] | None = None
    host: Identifier | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""
    port: PortNumber | None = None
    command: Identifier | None = None
    """Restarted by that command."""
