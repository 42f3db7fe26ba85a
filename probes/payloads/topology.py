"""The map as JSON and CSV, and as what the page's script draws.

Place in the data's way: after ``probes.connection_map``; beside ``probes.payloads``, which has the
rows of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from probes import payloads
from probes.analysis.addresses import shown
from probes.analysis.topology import OTHER_PORTS, Edge, Node
from probes.connection_map import Map, name_of
from probes.payloads.shapes import names
from probes.payloads.shapes import topology as shapes

NODE: Final = names(shapes.MapNode)
EDGE: Final = names(shapes.MapEdge)
LEFT_OUT: Final = names(shapes.MapLeftOut)


def node(row: Node) -> dict[str, Any]:
    """A dot of the map."""
    return {
        "id": row.id,
        "kind": row.kind,
        "name": name_of(row),
        "host": row.host_id,
        "group": row.group,
        "scope": row.scope,
        "members": row.members,
        "known": row.known,
        "in_focus": row.focus,
        "claimed_by": list(row.claimed_by),
        "connections": row.connections,
    }


def edge(row: Edge, names: Mapping[str, str]) -> dict[str, Any]:
    """Connections of one client with one port of a server."""
    return {
        "source": row.source,
        "source_name": names[row.source],
        "target": row.target,
        "target_name": names[row.target],
        "protocol": row.protocol,
        "port": None if row.port == OTHER_PORTS else row.port,
        "other_ports": row.port == OTHER_PORTS,
        "client_programs": [share._asdict() for share in row.client_programs],
        "server_programs": [share._asdict() for share in row.server_programs],
        "connections": row.connections,
        "seen": row.seen,
    }


def left_out(drawn: Map) -> dict[str, int]:
    """What is not in the picture, and why."""
    drawing = drawn.drawing
    counts = (
        drawing.below_least,
        drawing.too_many,
        drawn.hidden_peers,
        drawn.hidden_connections,
        drawing.own,
        drawn.unread,
    )
    return dict(zip(LEFT_OUT, counts, strict=True))


def whole(drawn: Map) -> dict[str, Any]:
    """The answer of the route."""
    names = drawn.names
    return {
        "at": payloads.time(drawn.at),
        "nodes_are": drawn.by,
        "nodes": [node(row) for row in drawn.drawing.nodes],
        "edges": [edge(row, names) for row in drawn.drawing.edges],
        "left_out": left_out(drawn),
        "claimed_by_several": [
            {"address": address, "hosts": list(hosts)} for address, hosts in drawn.claimed
        ],
        "in_several_groups": [
            {
                "id": member.host_id,
                "name": member.name,
                "groups": [name for _pk, name in member.groups],
            }
            for member in drawn.several_groups
        ],
        "next": None,
    }


def picture(drawn: Map) -> dict[str, Any]:
    """The same for the script, without names said twice: an edge is a list of source and target
    (places in ``nodes``), protocol, port (null: none; -2: several), connections, seen, programs of
    the client and of the server, and the address of either where it has but one."""
    place = {row.id: number for number, row in enumerate(drawn.drawing.nodes)}
    return {
        "nodes": [
            node(row) | {"group_id": row.group_id, "port": row.port, "inbound": row.inbound}
            for row in drawn.drawing.nodes
        ],
        "edges": [
            [
                place[row.source],
                place[row.target],
                row.protocol,
                row.port,
                row.connections,
                row.seen,
                [share.program or "" for share in row.client_programs],
                [share.program or "" for share in row.server_programs],
                only(row.client_addresses),
                only(row.server_addresses),
            ]
            for row in drawn.drawing.edges
        ],
    }


def only(addresses: tuple[bytes, ...]) -> str | None:
    """The address of an end that has just one."""
    return shown(addresses[0]) or None if len(addresses) == 1 else None
