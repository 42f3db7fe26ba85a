"""What each tool answers, held against the shape that it lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from django.utils import timezone

from netadmin.access.models import AuditEntry
from probes import runner
from probes.mcp_tools import answers, catalogue, fleet
from probes.models import Alert, Change, WatchedPort
from probes.observation import Observation
from tests.probes.api.site import Site
from tests.probes.history.played import at, line, observed, table
from tests.probes.mcp_tools.assistant import Assistant

BEFORE, AFTER = "2026-03-28T23:58:00Z", "2026-03-28T23:59:00Z"


class Checked(Assistant):
    """Holds every answer against the output schema of its tool."""

    def get(self, tool: str, **arguments: Any) -> Any:
        envelope = self.call(tool, **arguments)
        assert envelope["success"], envelope
        jsonschema.validate(envelope, catalogue.TOOLS[tool].listed().output_schema)
        return envelope["data"]


@pytest.fixture
def assistant(assistant: Assistant) -> Checked:
    """One that checks what it is told."""
    return Checked(assistant.caller)


def test_every_tool_says_what_it_takes_and_gives(assistant: Assistant) -> None:
    tools = assistant.ask("tools/list")["result"]["tools"]
    assert tools
    assert answers.size([tool["outputSchema"] for tool in tools]) <= 25_000
    for tool in tools:
        assert tool["description"].endswith(".")
        for name in ("inputSchema", "outputSchema"):
            jsonschema.Draft202012Validator.check_schema(tool[name])
            assert tool[name]["type"] == "object"
        for name, argument in tool["inputSchema"]["properties"].items():
            assert "description" in argument or "enum" in argument, f"{tool['name']}: {name}"
            assert {"type": "null"} not in argument.get("anyOf", ())
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["annotations"]["destructiveHint"] is False


def test_connections_are_those_of_any_time(site: Site, assistant: Checked) -> None:
    now = assistant.get("connections_at", host="192.0.2.1")
    assert (now["host"]["name"], now["total"], now["snapshot"]["id"]) == ("web1", 9, site.second.pk)
    then = assistant.get("connections_at", host=str(site.host.pk), at=BEFORE)
    assert (then["total"], then["snapshot"]["id"]) == (8, site.first.pk)
    by_id = assistant.get("connections_at", host="web1", snapshot=site.first.pk)
    assert by_id == then
    found = assistant.get(
        "connections_at", host="web1", state="time-wait,close_wait", sort="-local_port"
    )
    assert [row["local_port"] for row in found["connections"]] == [40002, 40001]


def test_a_diff_says_what_opened_and_is_told_of_the_newest_probes(
    site: Site, assistant: Checked
) -> None:
    newest = assistant.get("diff_times", host="web1")
    given = assistant.get("diff_times", host="web1", **{"from": BEFORE, "to": AFTER})
    assert newest == given
    (opened,) = given["differences"]
    assert (opened["kind"], opened["foreign_ip"]) == ("opened", "203.0.113.8")
    assert given["counts"]["connections"]["opened"] == 1
    back = assistant.get("diff_times", host="web1", **{"from": AFTER, "to": BEFORE})
    assert back["differences"][0]["kind"] == "closed"
    assert assistant.get("diff_times", host="web1", kind="closed")["total"] == 0


def test_a_host_that_was_never_probed_has_empty_answers(site: Site, assistant: Checked) -> None:
    site.host.pk, site.host.name, site.host.address = None, "new1", "192.0.2.77"
    site.host.save()
    assert assistant.get("connections_at", host="new1")["snapshot"] is None
    assert assistant.get("diff_times", host="new1")["to"] is None
    explained = assistant.get("explain_port", host="new1", port=22)
    assert (explained["snapshot"], explained["listeners"]) == (None, [])
    assert assistant.get("top_remote_ips", host="new1")["hosts"]["silent"] == 1


def test_who_talked_to_an_address_is_told_over_all_hosts(site: Site, assistant: Checked) -> None:
    found = assistant.get("who_talked_to", ip="198.51.100.7")
    assert {row["host"]["name"] for row in found["sightings"]} == {"web1", "db1"}
    page = assistant.get("who_talked_to", cidr="198.51.100.0/24", limit=1)
    rest = assistant.get("who_talked_to", cidr="198.51.100.0/24", limit=1, cursor=page["next"])
    assert page["total"] == 2
    assert rest["next"] is None
    assert page["sightings"] != rest["sightings"]
    (alone,) = assistant.get("who_talked_to", program="sshd", host="web1")["sightings"]
    assert alone["programs"][0].endswith("sshd")
    nobody = assistant.call("who_talked_to", ip="192.0.2.250")
    assert (nobody["data"]["total"], nobody["message"]) == (0, "No host saw it in what is kept.")


def test_a_search_that_finds_too_much_says_that_only_the_newest_were_counted(
    assistant: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = assistant.call("who_talked_to", port=22)
    assert (whole["data"]["capped"], whole["message"]) == ([], "2 of 2 rows.")
    monkeypatch.setattr(fleet, "COUNTED", 1)
    part = assistant.call("who_talked_to", port=22)
    assert part["data"]["capped"] == ["port 22"]
    assert part["message"].endswith("narrow the time to find older ones.")


def test_a_port_is_explained_from_its_holder_to_its_clients(site: Site, assistant: Checked) -> None:
    WatchedPort.objects.update_or_create(
        host=site.host,
        protocol="tcp",
        port=22,
        defaults={"since": at(0), "first_seen": at(0), "last_seen": at(1), "addresses": ["*"]},
    )
    Change.objects.create(
        host=site.host,
        kind=Change.Kind.values[0],
        at=at(1),
        protocol="tcp",
        port=22,
    )
    Alert.objects.create(
        kind="port",
        fingerprint="port_down:tcp/22",
        host=site.host,
        subject="tcp/22",
        facts={"port": 22, "protocol": "tcp"},
        opened_at=at(1),
        newest_at=at(1),
    )
    port = assistant.get("explain_port", host="web1", port=22)
    assert [(row["pid"], row["program"]) for row in port["listeners"]] == [(800, "sshd")]
    assert {row["ip"] for row in port["clients"]} == {"10.0.0.9", "203.0.113.8", "2001:db8::9"}
    assert port["clients_total"] == 3
    assert [row["state"] for row in port["watch"]] == ["up"]
    assert port["changes_total"] >= 1
    assert [row["fingerprint"] for row in port["alerts"]] == ["port_down:tcp/22"]
    then = assistant.get("explain_port", host="web1", port=22, at=BEFORE)
    assert then["clients_total"] == 2
    said = assistant.call("explain_port", host="web1", port=22)["message"]
    assert said == ("Port 22 is held by 1 process. 3 remote addresses have connections to it.")
    udp = assistant.get("explain_port", host="web1", port=22, proto="udp")
    assert (udp["listeners"], udp["alerts"], udp["watch"]) == ([], [], [])
    free = assistant.call("explain_port", host="web1", port=9)
    assert free["message"] == "Nothing listens on port 9."


def test_ports_are_told_over_all_hosts(site: Site, assistant: Checked) -> None:
    every = assistant.get("fleet_ports")
    assert [(row["port"], row["hosts"]) for row in every["ports"]] == [(22, 2), (68, 2), (5432, 2)]
    assert [row["port"] for row in assistant.get("fleet_ports", q="postg")["ports"]] == [5432]
    pages = list(paged(assistant, "fleet_ports", "ports", port=22, limit=1))
    assert [row["host"]["name"] for row in pages] == ["db1", "web1"]
    inside = assistant.get("fleet_ports", port=22, group="inside", at=AFTER)
    assert [row["host"]["name"] for row in inside["ports"]] == ["web1"]


def test_the_busiest_addresses_come_first(site: Site, assistant: Checked) -> None:
    ips = assistant.get("top_remote_ips", limit=1)
    assert (ips["ips"][0]["ip"], ips["ips"][0]["total"], ips["total"]) == ("198.51.100.7", 6, 4)
    one = assistant.get("top_remote_ips", host="web1", at=BEFORE, scope="external")
    assert one["snapshot"]["id"] == site.first.pk
    assert [row["ip"] for row in one["ips"]] == ["198.51.100.7", "2001:db8::9"]


def test_alerts_that_are_not_over_are_told_with_what_shows_them(
    site: Site, assistant: Checked
) -> None:
    (row, *_others) = assistant.get("connections_at", host="web1")["connections"]
    site.alert.evidence = [row | {"indicator": str(number)} for number in range(30)]
    site.alert.save()
    (alert,) = assistant.get("open_alerts", host="web1")["alerts"]
    assert (alert["subject"], alert["evidence_total"], len(alert["evidence"])) == ("botnet", 30, 3)
    pages = list(paged(assistant, "open_alerts", "alerts", limit=1))
    assert {row["host"]["name"] for row in pages} == {"web1", "db1"}
    Alert.objects.update(resolved_at=at(2))
    assert assistant.call("open_alerts")["message"] == "No alert is open."


def test_a_host_is_looked_at_now_and_a_long_answer_is_cut(
    site: Site, assistant: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        line(f"10.0.0.5:{1000 + number}", "10.0.0.9:443", "ESTABLISHED", "9/" + "\u7f51" * 60)
        for number in range(450)
    ]

    def observe(*_given: Any, **_options: Any) -> Observation:
        return replace(observed(9, table(*lines)), taken_at=timezone.now())

    monkeypatch.setattr(runner, "observe", observe)
    envelope = assistant.call("query_network_connections", proto="TCP", state="established")
    assert envelope["success"], envelope
    jsonschema.validate(
        envelope, catalogue.TOOLS["query_network_connections"].listed().output_schema
    )
    data = envelope["data"]
    assert data.keys() == {"host", "connection_count", "connections", "filter"}
    assert data["connection_count"] == 450
    shown = len(data["connections"])
    assert 50 < shown <= 200
    assert f"Only the first {shown} of 450 rows are in this answer." in envelope["message"]
    assert answers.size(envelope) <= answers.MOST_BYTES
    port = assistant.get("check_port_occupation", port=1000)
    assert (port["is_occupied"], len(port["occupations"])) == (True, 1)
    assert assistant.get("check_port_occupation", port=999)["is_occupied"] is False
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions)[-4:] == ["mcp.call", "ports.check"] * 2


def test_a_host_without_credentials_is_refused_in_the_words_of_the_specification(
    assistant: Checked,
) -> None:
    error = assistant.refused("query_network_connections", host="192.0.2.99")
    assert error["field"] == "host"
    assistant.headers["Accept-Language"] = "zh-hans"
    envelope = assistant.call("query_network_connections", host="192.0.2.99")
    assert envelope["error"]["code"] == error["code"]


def test_resources_are_hosts_and_snapshots(site: Site, assistant: Checked) -> None:
    hosts = assistant.read("netadmin://hosts")
    assert [host["name"] for host in hosts["hosts"]] == ["db1", "web1"]
    web1 = assistant.read(hosts["hosts"][1]["uri"])
    assert web1["host"]["credential"] == {"id": site.credential.pk, "name": "watcher"}
    assert web1["alerts_total"] == 1
    failed = assistant.read(f"netadmin://snapshots/{site.failed.pk}")["snapshot"]
    assert failed["outcome"] == "failed"
    assert failed["hint"]
    templates = assistant.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert {each["uriTemplate"] for each in templates} == {
        "netadmin://hosts{?cursor}",
        "netadmin://hosts/{id}",
        "netadmin://snapshots/{id}",
    }
    for wrong in ("netadmin://hosts/x", "netadmin://hosts?page=2", "file:///etc/passwd", "x"):
        error = assistant.ask("resources/read", uri=wrong)["error"]
        assert error["code"] == -32602
    assert assistant.ask("resources/read", uri="netadmin://hosts?cursor=x")["error"]


def paged(assistant: Checked, tool: str, rows: str, **arguments: Any) -> Iterator[Any]:
    """The rows of all pages."""
    cursor: dict[str, str] = {}
    while True:
        data = assistant.get(tool, **arguments, **cursor)
        yield from data[rows]
        if data["next"] is None:
            return
        cursor = {"cursor": data["next"]}
