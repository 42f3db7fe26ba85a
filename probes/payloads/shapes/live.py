"""Shapes of the two live questions: the keys that the specification names, and no others."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count
from probes.payloads.shapes.sockets import Connection, Port


class LiveFilter(TypedDict):
    """What was asked for."""

    proto: Literal["tcp", "udp", "all"]
    state: str | None


class LiveConnections(TypedDict):
    """The connections of a host at this moment."""

    host: str
    connection_count: Count
    connections: list[Connection]
    filter: LiveFilter


class Occupation(TypedDict):
    """A process, or a connection, that takes a port."""

    protocol: str
    local_ip: str
    pid: Count | None
    program: str | None
    state: str | None


class LivePort(TypedDict):
    """Whether a port of a host is taken at this moment."""

    host: str
    check_port: Port
    proto: Literal["tcp", "udp"]
    is_occupied: bool
    occupations: list[Occupation]
