"""Both ends of a connection are one edge; nothing is lost, and nobody is named who may not be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.analysis import addresses, topology
from probes.analysis.addresses import Ownership, owners
from probes.analysis.topology import (
    OTHER_PORTS,
    Bundle,
    Drawing,
    Edge,
    Member,
    Node,
    Seen,
    Share,
    Wanted,
    draw,
)


def ip(text: str) -> bytes:
    packed = addresses.packed(text)
    assert packed is not None
    return packed


WEB = Member(1, "web-1", ((7, "web"),), True)
DATABASE = Member(2, "db-1", ((8, "data"),), True)
CACHE = Member(3, "cache-1", (), False)
HOSTS = (WEB, DATABASE, CACHE)
OWNED = owners([(1, ip("10.0.0.1")), (2, ip("10.0.0.2")), (3, ip("2001:db8::3"))])


def out(host: int, far: str, port: int, program: str | None, connections: int) -> Seen:
    return Seen(host, False, "tcp", ip(far), "private", port, program, connections)


def into(host: int, far: str, port: int, program: str | None, connections: int) -> Seen:
    return Seen(host, True, "tcp", ip(far), "private", port, program, connections)


def only(drawing: Drawing) -> Edge:
    (edge,) = drawing.edges
    return edge


def names(drawing: Drawing) -> list[str]:
    return [node.name for node in drawing.nodes]


def test_what_both_ends_saw_is_one_edge_with_the_larger_number() -> None:
    edge = only(
        draw(
            HOSTS,
            [
                out(1, "10.0.0.2", 5432, "gunicorn", 12),
                out(1, "10.0.0.2", 5432, "celery", 3),
                into(2, "10.0.0.1", 5432, "postgres", 14),
                into(2, "10.0.0.1", 5432, None, 4),
            ],
            OWNED,
        )
    )
    assert (edge.source, edge.target, edge.protocol, edge.port) == ("h1", "h2", "tcp", 5432)
    assert edge.connections == 18
    assert edge.client_programs == (Share("gunicorn", 12), Share("celery", 3))
    assert edge.server_programs == (Share("postgres", 14), Share(None, 4))
    assert edge.seen == "both"
    assert (edge.client_addresses, edge.server_addresses) == ((ip("10.0.0.1"),), (ip("10.0.0.2"),))


def test_an_edge_that_one_end_saw_says_which() -> None:
    from_client = only(draw(HOSTS, [out(1, "10.0.0.2", 5432, "gunicorn", 12)], OWNED))
    from_server = only(draw(HOSTS, [into(2, "10.0.0.1", 5432, "postgres", 12)], OWNED))
    assert (from_client.seen, from_server.seen) == ("client", "server")
    assert from_client.key == from_server.key


def test_a_host_is_known_by_its_ipv6_address_too() -> None:
    edge = only(draw(HOSTS, [out(1, "2001:db8::3", 6379, "app", 1)], OWNED))
    assert (edge.source, edge.target) == ("h1", "h3")


def test_an_address_of_no_host_is_a_peer_with_its_scope() -> None:
    seen = Seen(1, True, "tcp", ip("203.0.113.9"), "external", 443, "nginx", 5)
    drawing = draw(HOSTS, [seen], OWNED)
    peer = next(node for node in drawing.nodes if node.kind == "peer")
    assert (peer.id, peer.name, peer.scope) == ("p203.0.113.9", "203.0.113.9", "external")
    assert (only(drawing).source, only(drawing).target) == (peer.id, "h1")


def test_what_several_hosts_claim_belongs_to_nobody_but_is_each_ones_own() -> None:
    bridge = ip("172.17.0.1")
    owned = owners([(1, bridge), (2, bridge), (1, ip("10.0.0.1")), (3, ip("10.0.0.3"))])
    assert owned.several == {bridge: (1, 2)}
    assert owned.of(bridge, 1) == 1
    assert owned.of(bridge, 3) is None
    drawing = draw(
        HOSTS,
        [out(3, "172.17.0.1", 80, "curl", 2), out(1, "172.17.0.1", 80, "curl", 4)],
        owned,
    )
    assert drawing.own == 4
    assert only(drawing).target == "p172.17.0.1"
    (peer,) = [node for node in drawing.nodes if node.kind == "peer"]
    assert peer.claimed_by == (1, 2)


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.8.0.1", "::1", "0.0.0.0", "::", "fe80::1", "169.254.1.1", "ff02::1"]
)
def test_an_address_that_is_everywhere_tells_no_host(text: str) -> None:
    assert owners([(1, ip(text))]) == Ownership({}, {})


def test_a_cut_address_belongs_to_nobody_and_has_no_text() -> None:
    assert owners([(1, b"")]) == Ownership({}, {})
    assert addresses.shown(b"") == ""


@pytest.mark.parametrize("text", ["10.0.0.1/24", "10.0.0.1", "fe80::1%eth0", "fe80::1%eth0/64"])
def test_an_address_is_read_without_prefix_and_zone(text: str) -> None:
    assert addresses.shown(ip(text)) == text.partition("/")[0].partition("%")[0]


def test_what_is_no_address_is_none() -> None:
    assert addresses.packed("web1.example") is None
    assert addresses.packed("") is None


def test_bundles_are_one_node_for_each_scope_direction_and_port() -> None:
    drawing = draw(
        HOSTS,
        [],
        OWNED,
        bundles=[
            Bundle(1, True, "tcp", "external", 443, "nginx", 90),
            Bundle(2, True, "tcp", "external", 443, "nginx", 10),
            Bundle(1, False, "tcp", "external", 443, "curl", 5),
            Bundle(1, True, "tcp", "private", OTHER_PORTS, "sshd", 4),
        ],
        crowds={("external", True, 443): 70, ("external", False, 443): 3,
                ("private", True, OTHER_PORTS): 2},
    )  # fmt: skip
    folded = {node.id: node for node in drawing.nodes if node.kind == "peers"}
    assert {name: node.members for name, node in folded.items()} == {
        "fexternal-in-443": 70,
        "fexternal-out-443": 3,
        "fprivate-in-other": 2,
    }
    assert {(e.source, e.target): e.connections for e in drawing.edges} == {
        ("fexternal-in-443", "h1"): 90,
        ("fexternal-in-443", "h2"): 10,
        ("h1", "fexternal-out-443"): 5,
        ("fprivate-in-other", "h1"): 4,
    }


def test_groups_stand_for_their_hosts_and_a_group_may_talk_to_itself() -> None:
    second = Member(4, "web-2", ((7, "web"), (9, "zone b")), True)
    owned = owners([(1, ip("10.0.0.1")), (2, ip("10.0.0.2")), (4, ip("10.0.0.4"))])
    drawing = draw(
        (*HOSTS, second),
        [
            out(1, "10.0.0.2", 5432, "gunicorn", 12),
            into(2, "10.0.0.1", 5432, "postgres", 12),
            out(4, "10.0.0.2", 5432, "celery", 3),
            out(1, "10.0.0.4", 80, "curl", 2),
        ],
        owned,
        wanted=Wanted(by_group=True),
    )
    edges = {(e.source, e.target, e.port): e for e in drawing.edges}
    assert {key: edge.connections for key, edge in edges.items()} == {
        ("g7", "g8", 5432): 15,
        ("g7", "g7", 80): 2,
    }
    assert edges["g7", "g8", 5432].client_programs == (Share("gunicorn", 12), Share("celery", 3))
    assert {n.id: (n.name, n.members) for n in drawing.nodes} == {
        "g7": ("web", 2),
        "g8": ("data", 1),
        "g0": ("", 1),
    }


def test_a_host_without_edges_is_shown_unless_connections_were_left_out() -> None:
    seen = [out(1, "10.0.0.2", 5432, "gunicorn", 12)]
    assert names(draw(HOSTS, seen, OWNED)) == ["db-1", "web-1", "cache-1"]
    for wanted in (
        Wanted(program="guni"),
        Wanted(least=2),
        Wanted(text="w"),
        Wanted(narrowed=True),
    ):
        assert names(draw(HOSTS, seen, OWNED, wanted=wanted)) == ["db-1", "web-1"]


def test_a_program_is_looked_for_at_both_ends_and_counted_alone() -> None:
    seen = [
        out(1, "10.0.0.2", 5432, "gunicorn", 12),
        out(1, "10.0.0.2", 5432, "Celery", 3),
        into(2, "10.0.0.1", 5432, "postgres", 15),
        out(1, "2001:db8::3", 6379, "gunicorn", 6),
    ]
    celery = only(draw(HOSTS, seen, OWNED, wanted=Wanted(program="celery")))
    assert (celery.connections, celery.client_programs) == (3, (Share("Celery", 3),))
    assert celery.server_programs == (Share("postgres", 15),)
    assert only(draw(HOSTS, seen, OWNED, wanted=Wanted(program="postgres"))).connections == 15
    assert not draw(HOSTS, seen, OWNED, wanted=Wanted(program="nginx")).edges


def test_edges_are_left_out_by_size_and_text_and_counted() -> None:
    seen = [
        out(1, "10.0.0.2", 5432, "gunicorn", 12),
        out(1, "2001:db8::3", 6379, "gunicorn", 2),
    ]
    small = draw(HOSTS, seen, OWNED, wanted=Wanted(least=3))
    assert (only(small).target, small.below_least) == ("h2", 1)
    assert only(draw(HOSTS, seen, OWNED, wanted=Wanted(text="CACHE"))).target == "h3"
    assert only(draw(HOSTS, seen, OWNED, wanted=Wanted(text="data"))).target == "h2"


def test_a_host_in_focus_brings_its_neighbours_and_no_one_else() -> None:
    seen = [
        out(1, "10.0.0.2", 5432, "gunicorn", 12),
        out(2, "2001:db8::3", 6379, "postgres", 2),
    ]
    drawing = draw(HOSTS, seen, OWNED, wanted=Wanted(focus={1}))
    assert {node.name: node.focus for node in drawing.nodes} == {"web-1": True, "db-1": False}


def test_the_smallest_edges_go_first_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topology, "MOST_EDGES", 2)
    seen = [out(1, "10.0.0.2", port, "app", port) for port in (5, 80, 443, 9)]
    drawing = draw(HOSTS, seen, OWNED)
    assert ([edge.port for edge in drawing.edges], drawing.too_many) == ([443, 80], 2)


# --- whatever is seen -----------------------------------------------------------------------------

ADDRESSES = [ip(f"10.0.0.{n}") for n in range(1, 7)] + [ip("203.0.113.9"), ip("2001:db8::1"), b""]
sightings = st.builds(
    Seen,
    host_id=st.integers(1, 5),
    inbound=st.booleans(),
    protocol=st.sampled_from(["tcp", "udp"]),
    ip=st.sampled_from(ADDRESSES),
    scope=st.just("private"),
    port=st.sampled_from([22, 443, None]),
    program=st.sampled_from(["nginx", "sshd", None]),
    connections=st.integers(1, 50),
)
claims = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(ADDRESSES)), max_size=12)
shown_hosts = st.sets(st.integers(1, 5))


def member(number: int) -> Member:
    groups = ((number % 2 + 1, f"group {number % 2}"),) if number % 3 else ()
    return Member(number, f"name-of-{number}", groups, True)


@given(st.lists(sightings, max_size=25), claims, shown_hosts, st.booleans())
def test_no_connection_is_lost_or_made_up(
    seen: list[Seen], owned: list[tuple[int, bytes]], visible: set[int], by_group: bool
) -> None:
    ownership = owners([(pk, address) for pk, address in owned if pk in visible])
    drawing = draw(
        [member(pk) for pk in visible], seen, ownership, wanted=Wanted(by_group=by_group)
    )
    mine = [one for one in seen if one.host_id in visible]
    half: Counter[tuple[str, str, str, int | None, bool]] = Counter()
    own = 0
    for one in mine:
        owner = ownership.of(one.ip, one.host_id)
        if owner == one.host_id:
            own += one.connections
            continue
        far = f"h{owner}" if owner is not None else f"p{addresses.shown(one.ip)}"
        near = f"h{one.host_id}"
        ends = (far, near) if one.inbound else (near, far)
        half[(*ends, one.protocol, one.port, one.inbound)] += one.connections
    larger = {key[:4]: max(half[(*key[:4], True)], half[(*key[:4], False)]) for key in half}
    assert drawing.own == own
    assert sum(edge.connections for edge in drawing.edges) == sum(larger.values())
    if not by_group:
        assert {(e.source, e.target, e.protocol, e.port): e.connections for e in drawing.edges} == (
            larger
        )
    for edge in drawing.edges:
        sides = (edge.client_programs, edge.server_programs)
        sums = [sum(share.connections for share in side) for side in sides]
        assert edge.connections == max(sums) if not by_group else edge.connections >= max(sums)


@given(st.lists(sightings, max_size=25), claims, shown_hosts, st.booleans())
def test_only_hosts_that_may_be_seen_are_named(
    seen: list[Seen], owned: list[tuple[int, bytes]], visible: set[int], by_group: bool
) -> None:
    members = [member(pk) for pk in visible]
    # Ownership of hosts that may not be seen, as a careless caller might pass it.
    drawing = draw(members, seen, owners(owned), wanted=Wanted(by_group=by_group))
    allowed = {m.name for m in members} | {g for m in members for _pk, g in m.groups} | {""}
    allowed |= {addresses.shown(address) for address in ADDRESSES}
    for node in drawing.nodes:
        assert node.name in allowed
        assert node.host_id is None or node.host_id in visible
        assert node.group is None or node.group in allowed
    ids = {node.id for node in drawing.nodes}
    assert all({edge.source, edge.target} <= ids for edge in drawing.edges)
    assert len(ids) == len(drawing.nodes)
    assert len({edge.key for edge in drawing.edges}) == len(drawing.edges)


@given(st.lists(sightings, max_size=20), claims, st.data())
def test_the_order_of_what_was_seen_does_not_matter(
    seen: list[Seen], owned: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    members = [member(pk) for pk in range(1, 6)]
    shuffled = data.draw(st.permutations(seen))
    assert draw(members, seen, owners(owned)) == draw(
        members[::-1], shuffled, owners(reversed(owned))
    )


@given(st.lists(sightings, max_size=20))
def test_merging_knows_no_preferred_end(seen: list[Seen]) -> None:
    """Each sighting of a pair of hosts said from its other end gives the same edges."""
    own = {pk: ip(f"10.0.0.{pk}") for pk in range(1, 6)}
    back = {address: pk for pk, address in own.items()}
    between = [one for one in seen if one.ip in back]
    turned = [
        one._replace(host_id=back[one.ip], inbound=not one.inbound, ip=own[one.host_id])
        for one in between
    ]
    members, owned = (
        [member(pk) for pk in range(1, 6)],
        owners((p, a) for p, a in own.items()),
    )
    other = {"client": "server", "server": "client", "both": "both"}
    plain = draw(members, between, owned)
    assert [
        (e.key, e.connections, e.client_programs, e.server_programs, e.seen) for e in plain.edges
    ] == [
        (e.key, e.connections, e.server_programs, e.client_programs, other[e.seen])
        for e in draw(members, turned, owned).edges
    ]


def test_nodes_are_ordered_groups_hosts_then_peers() -> None:
    def kinds(nodes: tuple[Node, ...]) -> list[str]:
        return list(dict.fromkeys(node.kind for node in nodes))

    seen = [Seen(1, True, "tcp", ip("203.0.113.9"), "external", 443, "nginx", 5)]
    bundles = [Bundle(1, True, "tcp", "external", 80, "nginx", 9)]
    assert kinds(draw(HOSTS, seen, OWNED, bundles=bundles).nodes) == ["host", "peers", "peer"]
