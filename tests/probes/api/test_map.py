"""``map``: who is connected with whom, among what the caller may see."""

from __future__ import annotations

import csv
import io

from hosts.models import Host, HostGroup
from probes.history import store
from probes.payloads import topology as map_payloads
from tests.probes.api.site import Site
from tests.probes.history.played import LISTENER, at, line, observed, table

PATH = "/api/v1/map"
WEB = table(
    LISTENER,
    line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx"),
    line("10.7.0.1:41000", "10.7.0.2:5432", "ESTABLISHED", "7/gunicorn"),
    line("10.7.0.1:41001", "10.7.0.2:5432", "ESTABLISHED", "7/gunicorn"),
    *(line("10.7.0.1:80", f"203.0.113.{n}:40000", holder="9/nginx") for n in range(1, 6)),
    line("10.7.0.1:42000", "10.7.0.3:6379", "ESTABLISHED", "7/gunicorn"),
)
DATABASE = table(
    line("10.7.0.2:5432", "0.0.0.0:*", "LISTEN", "8/postgres"),
    line("10.7.0.2:5432", "10.7.0.1:41000", "ESTABLISHED", "8/postgres"),
)


def build(site: Site) -> dict[str, Host]:
    """front and store talk in group "inside"; secret is in "others" alone, and front talks to
    it."""
    hosts = {
        name: Host.objects.create(name=name, address=address)
        for name, address in (("front", "10.7.0.1"), ("store", "10.7.0.2"), ("secret", "10.7.0.3"))
    }
    for name in ("front", "store"):
        hosts[name].groups.add(site.group)
    hosts["secret"].groups.add(site.others)
    store.save(hosts["front"], observed(10, WEB))
    store.save(hosts["store"], observed(10, DATABASE))
    return hosts


def test_nodes_and_edges_are_answered(site: Site) -> None:
    hosts = build(site)
    data = site.session("viewer").get(PATH, host=hosts["front"].pk)
    nodes = {node["name"]: node for node in data["nodes"]}
    assert nodes.keys() == {"front", "store", "secret", "5 public clients, :80"}
    assert nodes["front"] == {
        "id": f"h{hosts['front'].pk}",
        "kind": "host",
        "name": "front",
        "host": hosts["front"].pk,
        "group": "inside",
        "scope": None,
        "members": 1,
        "known": True,
        "in_focus": True,
        "claimed_by": [],
        "connections": 8,
    }
    assert nodes["store"]["in_focus"] is False
    assert nodes["secret"]["known"] is False
    assert nodes["5 public clients, :80"]["members"] == 5
    edge = next(edge for edge in data["edges"] if edge["port"] == 5432)
    assert edge == {
        "source": nodes["front"]["id"],
        "source_name": "front",
        "target": nodes["store"]["id"],
        "target_name": "store",
        "protocol": "tcp",
        "port": 5432,
        "other_ports": False,
        "client_programs": [{"program": "gunicorn", "connections": 2}],
        "server_programs": [{"program": "postgres", "connections": 1}],
        "connections": 2,
        "seen": "both",
    }
    assert data["nodes_are"] == "hosts"
    assert data["at"] is None
    assert data["left_out"].keys() == set(map_payloads.LEFT_OUT)
    assert all(node.keys() == set(map_payloads.NODE) for node in data["nodes"])
    assert all(edge.keys() == set(map_payloads.EDGE) for edge in data["edges"])


def test_what_the_caller_may_not_see_is_an_address_like_any_other(site: Site) -> None:
    hosts = build(site)
    Host.objects.create(name="gone", address="203.0.113.1", removed_at=at(0))
    caller = site.session("limited viewer")
    text = caller.client.get(PATH, {"peers": "all"}).content.decode()
    assert "secret" not in text
    assert "others" not in text
    assert "gone" not in text
    nodes = {node["name"]: node for node in caller.get(PATH, peers="all")["nodes"]}
    assert nodes["10.7.0.3"]["kind"] == "peer"
    assert nodes["10.7.0.3"]["host"] is None
    assert "secret" not in caller.csv(PATH, peers="all")
    assert caller.refused(404, PATH, host=hosts["secret"].pk)["field"] == "host"
    assert caller.refused(404, PATH, group="others")["field"] == "group"
    everybody = {node["name"] for node in site.session("viewer").get(PATH)["nodes"]}
    assert {"front", "store", "secret"} <= everybody


def test_an_address_that_a_hidden_host_claims_too_is_said_of_nobody_hidden(site: Site) -> None:
    hosts = build(site)
    bridge = table(LISTENER, line("172.17.0.1:22", "10.7.0.9:5000"))
    for host in hosts.values():
        store.save(host, observed(20, bridge))
    (claimed,) = site.session("limited viewer").get(PATH)["claimed_by_several"]
    assert claimed == {"address": "172.17.0.1", "hosts": ["front", "store"]}


def test_groups_are_nodes_too(site: Site) -> None:
    hosts = build(site)
    hosts["front"].groups.add(HostGroup.objects.create(name="edge"))
    data = site.session("viewer").get(PATH, nodes="groups", peers="none", port="5432")
    assert [(edge["source_name"], edge["target_name"]) for edge in data["edges"]] == [
        ("edge", "inside")
    ]
    assert data["in_several_groups"] == [
        {"id": hosts["front"].pk, "name": "front", "groups": ["edge", "inside"]}
    ]
    assert data["left_out"]["hidden_connections"] == 0


def test_filters_narrow_the_map(site: Site) -> None:
    build(site)
    caller = site.session("viewer")

    def ports(**query: str) -> list[int | None]:
        return sorted(
            edge["port"] for edge in caller.get(PATH, group="inside", q="front", **query)["edges"]
        )

    assert ports() == [80, 5432, 6379]
    assert ports(port="80,6000-7000") == [80, 6379]
    assert ports(program="postgres") == [5432]
    assert ports(min="2") == [80, 5432]
    assert ports(peers="none") == [5432, 6379]
    assert ports(scope="private") == [5432, 6379]
    none = caller.get(PATH, host=Host.objects.get(name="front").pk, peers="none")["left_out"]
    assert (none["hidden_peers"], none["hidden_connections"]) == (5, 5)


def test_the_past_is_drawn_as_it_was(site: Site) -> None:
    hosts = build(site)
    store.save(hosts["front"], observed(30, table(LISTENER)))
    caller = site.session("viewer")
    path = {"host": hosts["front"].pk}
    then = caller.get(PATH, at=at(15).isoformat(), **path)
    assert {edge["port"] for edge in then["edges"]} == {80, 5432, 6379}
    assert then["at"].startswith(at(15).isoformat()[:19])
    # The newest probes of the other end still show a connection that front no longer has.
    assert [edge["seen"] for edge in caller.get(PATH, **path)["edges"]] == ["server"]
    assert not caller.get(PATH, at=at(5).isoformat(), **path)["edges"]


def test_a_whole_second_means_its_end(site: Site) -> None:
    build(site)
    text = at(10).replace(microsecond=0).isoformat()
    assert site.session("viewer").get(PATH, at=text, q="front")["edges"]


def test_csv_has_every_edge_of_the_same_filters(site: Site) -> None:
    build(site)
    caller = site.session("viewer")
    rows = list(csv.DictReader(io.StringIO(caller.csv(PATH, q="front"))))
    edges = caller.get(PATH, q="front")["edges"]
    assert [tuple(row) for row in rows[:1]] == [map_payloads.EDGE]
    assert [(row["source"], row["target"], row["port"]) for row in rows] == [
        (edge["source"], edge["target"], str(edge["port"])) for edge in edges
    ]
    assert rows[0]["client_programs"] == "[]"


def test_without_a_host_there_is_nothing(site: Site) -> None:
    Host.objects.all().update(removed_at=at(0))
    data = site.session("viewer").get(PATH)
    assert (data["nodes"], data["edges"]) == ([], [])
