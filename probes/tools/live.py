"""The two tools of the specification: what is connected on a host now, and who holds a port.

Place in the data's way: called by the JSON routes, the tools of assistants and the commands with
validated questions; ``live_places`` knows which host is meant, ``live_probes`` asks it, and
``live_words`` says what came of it. The keys of ``data`` are those that the specification names,
and no others.

Not to be called inside a transaction: a probe takes seconds, and its lease must be seen by others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from pydantic import BeforeValidator, Field, model_validator

from probes import payloads
from probes.filters import FilterError, PortNumber, Query, SocketFilter, States
from probes.history import tally
from probes.parsers.records import Socket
from probes.payloads.shapes import live as shapes
from probes.payloads.shapes import names
from probes.tools import live_places, live_probes, live_words

LONGEST_HOST: Final = 255


def _plain(text: Any) -> Any:
    """A word in whatever case."""
    return text.lower() if isinstance(text, str) and text.isascii() else text


HostWord = Annotated[str, Field(max_length=LONGEST_HOST)]


class LiveConnections(Query):
    """Which connections of which host."""

    proto: Annotated[Literal["tcp", "udp", "all"], BeforeValidator(_plain)] = "all"
    state: States | None = None
    """One or more states, comma separated, in any usual spelling; only TCP has any."""
    host: HostWord = live_places.LOCALHOST
    """Name, address or id of a configured host; ``localhost`` is the machine netadmin runs on."""
    port: PortNumber | None = None
    """SSH port in place of the configured one; without meaning for this machine."""

    @model_validator(mode="after")
    def _no_state_without_connections(self) -> Self:
        if self.state and self.proto == "udp":
            raise FilterError("state", _("UDP has no states. Leave out state, or ask for tcp."))
        return self


class LivePort(Query):
    """Which port of which host."""

    port: PortNumber
    proto: Annotated[Literal["tcp", "udp"], BeforeValidator(_plain)] = "tcp"
    host: HostWord = live_places.LOCALHOST
    """Name, address or id of a configured host; ``localhost`` is the machine netadmin runs on."""
    ssh_port: PortNumber | None = None
    """SSH port in place of the configured one; without meaning for this machine."""


def query_network_connections(
    request: HttpRequest, query: LiveConnections
) -> tuple[dict[str, Any], str]:
    """The connections of a host at this moment, each row as netstat printed it.

    ``data`` is ``{host, connection_count, connections, filter: {proto, state}}``; the message says
    how many there are, and what of them could not be seen and why. Raises envelope.Refused where
    the host is not configured, is paused or cannot be probed.
    """
    place = live_places.find(request, query.host, port=query.port, field="port")
    # netstat prints a state of some UDP sockets as well: who asks for states asks for TCP.
    proto = "tcp" if query.state else None if query.proto == "all" else query.proto
    wanted = SocketFilter(proto=proto, state=query.state)
    seen = live_probes.look(
        request, place, wanted, action="connections.query", asked=query.parameters()
    )
    data = {
        "host": place.name,
        "connection_count": len(seen.sockets),
        # A parsed row has these fields first, in this order.
        "connections": [
            dict(zip(payloads.CONNECTION, socket, strict=False)) for socket in seen.sockets
        ],
        "filter": {"proto": query.proto, "state": query.state},
    }
    return data, live_words.connections(place, seen, proto=query.proto)


def check_port_occupation(request: HttpRequest, query: LivePort) -> tuple[dict[str, Any], str]:
    """Whether a port of a host is taken at this moment, and by which processes.

    ``data`` is ``{host, check_port, proto, is_occupied, occupations}``. A port is taken by
    listeners and by connections that have it at their local end; what the kernel keeps of a closed
    connection (TIME_WAIT and its like, without a process) takes none. Rows that differ in their
    foreign end only are one occupation; listeners come first. Raises as
    :func:`query_network_connections`.
    """
    place = live_places.find(request, query.host, port=query.ssh_port, field="ssh_port")
    wanted = SocketFilter(proto=query.proto, local_port=str(query.port))
    seen = live_probes.look(request, place, wanted, action="ports.check", asked=query.parameters())
    holding = _holding(seen.sockets, query.proto)
    data = {
        "host": place.name,
        "check_port": query.port,
        "proto": query.proto,
        "is_occupied": bool(holding),
        "occupations": [_occupation(socket) for socket in holding],
    }
    return data, live_words.port(place, seen, holding, port=query.port, proto=query.proto)


OCCUPATION: Final = names(shapes.Occupation)
"""A row of ``occupations``."""


def _occupation(socket: Socket) -> dict[str, Any]:
    return {name: getattr(socket, name) for name in OCCUPATION}


def _holding(sockets: Iterable[Socket], proto: str) -> list[Socket]:
    """One socket for each occupation, listeners first."""
    held: dict[tuple[Any, ...], Socket] = {}
    for socket in sockets:
        # Ports of UDP-Lite are others than those of UDP (RFC 3828, 6).
        is_closed = socket.pid is None and socket.state in tally.OWNERLESS_STATES
        if socket.protocol in (proto, f"{proto}6") and not is_closed:
            held.setdefault(tuple(getattr(socket, name) for name in OCCUPATION), socket)
    return sorted(held.values(), key=lambda socket: not live_words.listens(socket))
