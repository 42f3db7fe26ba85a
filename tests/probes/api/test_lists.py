"""What the reading routes answer: rows, pages, CSV, time travel."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosts.models import Host, HostGroup
from probes.history import store
from probes.models import Alert, DriftWatch, Hunt, Peer, Silence
from tests.probes.api.site import ENDPOINTS, FIRST, SECOND, Caller, Site, error_of
from tests.probes.history.played import at, failed, line, observed, table

CONNECTION = [
    "protocol", "recv_queue", "send_queue", "local_ip", "local_port", "foreign_ip",
    "foreign_port", "state", "pid", "program",
]  # fmt: skip

LISTS = {
    "api-hosts": "hosts",
    "api-host-snapshots": "snapshots",
    "api-host-connections": "connections",
    "api-host-history": "connections",
    "api-host-ports": "ports",
    "api-ports": "ports",
    "api-connections-search": "sightings",
    "api-hunts": "hunts",
    "api-alerts": "alerts",
    "api-silences": "silences",
    "api-peers": "peers",
    "api-drift-watches": "drift_watches",
    "api-exposure": "exposure",
    "api-statistics-ips": "ips",
    "api-statistics-ends": "ends",
    "api-statistics-ports": "ports",
    "api-statistics-programs": "programs",
    "api-statistics-states": "states",
    "api-statistics-protocols": "protocols",
    "api-statistics-common-ports": "ports",
    "api-statistics-scopes": "scopes",
    "api-statistics-connections": "connections",
}
"""Routes that answer a list, and the name it has."""
PAGED = [
    name
    for name in LISTS
    if not name.startswith("api-statistics") or name == "api-statistics-connections"
]
SUMS = ("ips", "ends", "ports", "programs")
NEEDED: dict[str, dict[str, Any]] = {
    "api-ports": {"port": 22},
    "api-connections-search": {"port": 22},
}


def paged(caller: Caller, path: str, name: str, **query: Any) -> list[Any]:
    """All rows of a list, page by page."""
    rows: list[Any] = []
    data = caller.get(path, **query)
    while True:
        assert len(data[name]) <= query.get("limit", 100)
        rows += data[name]
        if data["next"] is None:
            return rows
        data = caller.get(path, cursor=data["next"], **query)


def test_a_connection_row_has_exactly_the_ten_names_and_then_its_history(site: Site) -> None:
    data = site.session("viewer").get(site.path("api-host-connections"), local_port=22)

    assert [list(row) for row in data["connections"]] == [
        [*CONNECTION, "direction", "first_seen", "last_seen", "copies"]
    ] * 4
    assert data["host"] == {"id": site.host.pk, "name": "web1"}
    assert data["snapshot"]["id"] == site.second.pk
    by_pid = {row["pid"]: row for row in data["connections"]}
    assert by_pid[811] == {
        "protocol": "tcp",
        "recv_queue": 3,
        "send_queue": 36,
        "local_ip": "10.0.0.5",
        "local_port": 22,
        "foreign_ip": "10.0.0.9",
        "foreign_port": 51000,
        "state": "ESTABLISHED",
        "pid": 811,
        "program": "sshd",
        "direction": "in",
        "first_seen": at(0).isoformat(),
        "last_seen": None,
        "copies": 1,
    }
    assert by_pid[813]["first_seen"] == at(1).isoformat()


def test_what_is_unknown_is_null(site: Site) -> None:
    (row,) = site.session("viewer").get(site.path("api-host-connections"), state="time_wait")[
        "connections"
    ]
    (udp,) = site.session("viewer").get(site.path("api-host-connections"), proto="udp")[
        "connections"
    ]

    assert (row["pid"], row["program"]) == (None, None)
    assert (udp["state"], udp["foreign_port"]) == (None, None)


@pytest.mark.parametrize("name", PAGED)
def test_pages_hold_every_row_once(site: Site, name: str) -> None:
    for number in range(6):
        other = Host.objects.create(name=f"host{number}", address="192.0.2.7")
        store.save(other, observed(0, FIRST))
        fields = {"opened_at": at(0), "newest_at": at(number % 3)}
        Alert.objects.create(kind="hunt", hunt=site.hunt, host=other, subject="x", **fields)
        Hunt.objects.create(name=f"x{number}", owner=site.hunt.owner, indicators="port 22")
        group = HostGroup.objects.create(name=f"g{number}")
        DriftWatch.objects.create(group=group, learn_until=at(0))
        times = {"first_seen": at(number % 3), "last_seen": at(3)}
        Peer.objects.create(group=group, network="192.0.2.0/24", state="learned", **times)
        Silence.objects.create(host=other, starts_at=at(0), ends_at=at(1 + number % 3))
    caller, path = site.session("viewer"), site.path(name)
    needed = NEEDED.get(name, {})
    whole = caller.get(path, limit=1000, **needed)
    rows = paged(caller, path, LISTS[name], limit=2, **needed)

    assert whole["next"] is None
    assert rows == whole[LISTS[name]]
    assert len(rows) == whole["total"]
    assert len(rows) > 2


@pytest.mark.parametrize("name", LISTS)
def test_csv_is_the_rows_of_all_pages(site: Site, name: str) -> None:
    for number in range(3):
        other = Host.objects.create(name=f"host{number}", address="192.0.2.7")
        store.save(other, observed(0, FIRST))
        Silence.objects.create(host=other, starts_at=at(0), ends_at=at(1 + number % 3))
    caller, path = site.session("viewer"), site.path(name)
    needed = NEEDED.get(name, {})
    # The limit is of a page, which a CSV has none of.
    limited = name in PAGED or name.removeprefix("api-statistics-") in SUMS
    page, all_of_it = ({"limit": 1}, {"limit": 1000}) if limited else ({}, {})
    rows = caller.get(path, **all_of_it, **needed)[LISTS[name]]

    header, *lines = csv.reader(io.StringIO(caller.csv(path, **page, **needed)))

    assert header == list(rows[0])
    assert len(lines) == len(rows) > 1
    for cells, row in zip(lines, rows, strict=True):
        for cell, value in zip(cells, row.values(), strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            elif isinstance(value, int):
                assert cell == str(value)
            elif isinstance(value, str):
                assert cell.removeprefix("'") == value


def test_csv_obeys_filters_order_and_time(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")
    query = {"proto": "tcp", "hide": "listen", "sort": "-foreign_port", "at": at(0).isoformat()}

    rows = caller.get(path, **query)["connections"]
    lines = list(csv.DictReader(io.StringIO(caller.csv(path, **query))))

    assert [line["foreign_port"] for line in lines] == [str(row["foreign_port"]) for row in rows]
    assert [row["foreign_port"] for row in rows] == [61003, 51000, 443, 443, 443]


def test_no_cell_of_csv_is_a_formula(site: Site) -> None:
    text = site.session("viewer").csv(site.path("api-host-connections"))

    programs = {row["program"] for row in csv.DictReader(io.StringIO(text))}

    assert programs >= {"'=cmd|' /C calc'!A0", "'+app", "'-dhclient", "'@sshd"}
    for cells in csv.reader(io.StringIO(text)):
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-"))]


def test_control_characters_in_csv_are_shown_and_not_sent(site: Site) -> None:
    hostile = table(line(holder="9/a\x1b[2Jb\rc\u2028d"))
    store.save(site.host, observed(5, hostile))

    text = site.session("viewer").csv(site.path("api-host-connections"))

    assert not [letter for letter in text if ord(letter) < 32 and letter not in "\r\n"]
    assert "\x1b" not in text
    assert "\u2028" not in text


def test_csv_is_a_download_that_is_not_kept(site: Site) -> None:
    path = f"{site.path('api-host-connections')}?format=csv"
    response = site.session("viewer").call("GET", path)

    assert response.streaming
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["Cache-Control"] == "no-store"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_pages_are_of_one_snapshot_while_probes_go_on(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")
    expected = caller.get(path)["connections"]
    data = caller.get(path, limit=3)
    rows = data["connections"]
    store.save(site.host, observed(5, table(line("10.0.0.5:1"), line("10.0.0.5:9"))))

    while data["next"] is not None:
        data = caller.get(path, limit=3, cursor=data["next"])
        rows += data["connections"]
        assert data["snapshot"]["id"] == site.second.pk

    assert [row["pid"] for row in rows] == [row["pid"] for row in expected]
    assert caller.get(path)["total"] == 2


def test_a_cursor_belongs_to_its_route_host_and_order(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")
    cursor = caller.get(path, limit=1)["next"]
    other = caller.get(site.path("api-host-snapshots"), limit=1)["next"]

    for where, query in (
        (path, {"cursor": cursor, "sort": "pid"}),
        (path, {"cursor": other}),
        (path, {"cursor": cursor + "x"}),
        (path, {"cursor": cursor, "snapshot": site.first.pk}),
        (site.path("api-host-connections", hidden=True), {"cursor": cursor}),
        (site.path("api-host-ports"), {"cursor": cursor}),
        (site.path("api-hosts"), {"cursor": cursor}),
        (site.path("api-ports"), {"cursor": cursor, "port": 22}),
    ):
        error = caller.refused(400, where, **query)
        assert (error["code"], error["field"]) == ("invalid", "cursor")


@pytest.mark.parametrize(
    ("when", "total"),
    [
        (at(0).isoformat(), 8),
        (at(0.5).isoformat(), 8),
        (at(1).isoformat(), 9),
        ("2026-03-29T07:59:00+08:00", 9),
        ("2026-03-29T07:58:59.999999 08:00", 8),
        ("2026-03-29", 9),
        (at(99999).isoformat(), 9),
    ],
)
def test_a_host_is_shown_as_it_was(site: Site, when: str, total: int) -> None:
    caller = site.session("viewer")

    data = caller.get(site.path("api-host-connections"), at=when)

    assert data["total"] == data["sockets"] == total
    assert data["snapshot"]["id"] == (site.first if total == 8 else site.second).pk


def test_a_snapshot_can_be_named_by_its_id(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")

    assert caller.get(path, snapshot=site.first.pk)["total"] == 8
    assert caller.get(site.path("api-host-ports"), snapshot=site.first.pk)["total"] == 3
    assert caller.refused(400, path, snapshot=site.failed.pk)["field"] == "snapshot"
    both = caller.refused(400, path, snapshot=site.first.pk, at=at(0).isoformat())
    assert both["field"] == "snapshot"
    assert caller.refused(404, path, snapshot=site.hidden_snapshot.pk)["field"] == "snapshot"
    assert caller.refused(404, path, snapshot=987654321)["field"] == "snapshot"


def test_a_time_before_all_history_is_not_an_empty_host(site: Site) -> None:
    caller = site.session("viewer")
    for name in ("api-host-connections", "api-host-ports"):
        error = caller.refused(404, site.path(name), at=at(-1).isoformat())
        assert (error["code"], error["field"]) == ("not_found", "at")


def test_a_host_never_probed_is_empty_and_says_of_no_snapshot(site: Site) -> None:
    new = Host.objects.create(name="new", address="192.0.2.3")
    store.save(new, failed(0))
    caller = site.session("viewer")

    data = caller.get(f"/api/v1/hosts/{new.pk}/connections")

    assert (data["connections"], data["snapshot"], data["total"]) == ([], None, 0)
    assert caller.get(f"/api/v1/hosts/{new.pk}/ports")["ports"] == []
    assert caller.csv(f"/api/v1/hosts/{new.pk}/connections").count("\n") == 1


def test_ports_have_their_process_and_reach(site: Site) -> None:
    rows = site.session("viewer").get(site.path("api-host-ports"))["ports"]

    assert [
        (row["protocol"], row["local_port"], row["program"], row["bound"], row["connections"])
        for row in rows
    ] == [
        ("tcp", 22, "sshd", "all", 2),
        ("udp", 68, "-dhclient", "all", 0),
        ("tcp", 5432, "postgres", "loopback", 0),
    ]


def test_a_port_is_looked_up_across_hosts(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-ports")

    assert [row["host"]["name"] for row in caller.get(path, port=22)["ports"]] == ["db1", "web1"]
    assert [row["pid"] for row in caller.get(path, port=22, host=site.host.pk)["ports"]] == [800]
    assert caller.get(path, port=22, proto="udp")["ports"] == []
    named = caller.get(path, port=22, group="inside")["ports"]
    assert [row["host"]["name"] for row in named] == ["web1"]
    assert caller.refused(404, path, port=22, host=987654321)["field"] == "host"
    assert caller.refused(404, path, port=22, group="unknown")["field"] == "group"


def test_statistics_are_of_hosts_groups_filters_and_times(site: Site) -> None:
    caller = site.session("viewer")
    ips, states = site.path("api-statistics-ips"), site.path("api-statistics-states")

    def counted(**query: Any) -> dict[str, int]:
        rows = caller.get(states, **query)["states"]
        return {row["state"]: row["sockets"] for row in rows if row["sockets"]}

    assert counted() == {
        "ESTABLISHED": 8,
        "LISTEN": 4,
        "CLOSE_WAIT": 2,
        "TIME_WAIT": 2,
        None: 2,
    }
    assert counted(at=at(0).isoformat())["ESTABLISHED"] == 6
    assert counted(group="inside", remote_ip="10.0.0.0/8") == {"ESTABLISHED": 1}
    assert counted(host=site.host.pk, at=at(0).isoformat())["ESTABLISHED"] == 3
    assert counted(host=site.host.pk, snapshot=site.second.pk)["ESTABLISHED"] == 4
    top = caller.get(ips, host=site.host.pk, limit=1)["ips"]
    assert top == [
        {
            "ip": "198.51.100.7",
            "scope": "external",
            "total": 3,
            "by_state": {"ESTABLISHED": 1, "TIME_WAIT": 1, "CLOSE_WAIT": 1},
            "local_ports": [],
            "hosts": 1,
        }
    ]
    (private,) = caller.get(ips, scope="private")["ips"]
    assert (private["ip"], private["total"]) == ("10.0.0.9", 2)
    assert private["local_ports"] == [{"port": 22, "connections": 2}]
    (before,) = caller.get(ips, at=at(0).isoformat(), limit=1)["ips"]
    assert (before["ip"], before["total"], before["hosts"]) == ("198.51.100.7", 6, 2)
    assert caller.refused(400, states, snapshot=site.first.pk)["field"] == "snapshot"


def test_a_timeline_has_lists_of_one_length_and_its_gaps(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-statistics-timeline")
    store.save(site.host, observed(3, FIRST))
    query = {"host": site.host.pk, "since": at(0).isoformat(), "until": at(10).isoformat()}

    data = caller.get(path, **query)

    assert data["times"] == [int(at(minute).timestamp()) for minute in range(4)]
    assert data["series"]["ESTABLISHED"] == [3, 4, None, 3]
    assert data["failed"] == [[int(at(2).timestamp()), "unreachable"]]
    assert caller.get(path, by="total", **query)["series"] == {"total": [8, 9, None, 8]}
    rows = list(csv.DictReader(io.StringIO(caller.csv(path, by="listeners", **query))))
    assert [row["listeners"] for row in rows] == ["3", "3", "", "3"]
    assert rows[0]["time"] == at(0).isoformat()


def test_timelines_of_several_hosts_are_added_up_within_what_the_caller_sees(site: Site) -> None:
    path = site.path("api-statistics-timeline")
    query = {"since": at(0).isoformat(), "until": at(10).isoformat(), "by": "total"}

    everything = site.session("viewer").get(path, **query)
    assert everything["host"] is None
    assert everything["series"] == {"total": [16, 18]}
    assert site.session("viewer").get(path, group="inside", **query)["series"]["total"] == [8, 9]
    assert site.session("limited viewer").get(path, **query)["series"]["total"] == [8, 9]
    changes = site.session("limited viewer").get(path, **(query | {"by": "changes"}))
    assert changes["series"] == {"opened": [8, 1], "closed": [0, 0]}


def test_a_trend_is_what_the_hours_remember(site: Site) -> None:
    from probes.history import rollups

    store.save(site.host, observed(3, FIRST))
    rollups.roll_up(at(240))
    caller, path = site.session("viewer"), site.path("api-statistics-trend")
    query = {"host": site.host.pk, "since": at(-60).isoformat(), "until": at(240).isoformat()}

    data = caller.get(path, by="ip", limit=2, **query)
    assert data["host"] == {"id": site.host.pk, "name": "web1"}
    assert data["step_s"] == 3600
    assert data["series"] == {"198.51.100.7": [3, 3], "10.0.0.9": [1, 1]}
    assert len(data["times"]) == 2
    series = caller.get(path, by="ip", port=22, state="established", **query)["series"]
    assert series.keys() == {"10.0.0.9", "203.0.113.8", "2001:db8::9"}
    series = caller.get(path, by="ip", key="2001:DB8:0::9", **query)["series"]
    assert series == {"2001:db8::9": [1, 1]}
    assert caller.get(path, by="port_ip", key="22 10.0.0.9", **query)["series"] == {
        "22 10.0.0.9": [1, 1]
    }
    rows = list(csv.DictReader(io.StringIO(caller.csv(path, by="scope", **query))))
    assert [(row["external"], row["private"]) for row in rows] == [("5", "1"), ("4", "1")]
    del query["host"]
    limited = site.session("limited viewer").get(path, by="scope", **query)
    assert limited["series"]["private"] == [1, 1]
    assert caller.get(path, by="scope", **query)["series"]["private"] == [2, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "moon"}, "by"),
        ({"by": "ip", "state": "UP"}, "state"),
        ({"by": "ip", "state": "LISTEN,CLOSE"}, "state"),
        ({"by": "program", "port": 22}, "port"),
        ({"by": "ip", "key": "nginx"}, "key"),
        ({"by": "port_ip", "key": "10.0.0.1"}, "key"),
        ({"by": "state", "key": "UP"}, "key"),
        ({"by": "ip", "limit": 51}, "limit"),
    ],
)
def test_a_trend_that_means_nothing_is_refused(
    site: Site, query: dict[str, Any], field: str
) -> None:
    refused = site.session("viewer").refused(400, site.path("api-statistics-trend"), **query)
    assert refused["field"] == field


def test_a_timeline_needs_a_time_that_goes_forward_and_is_not_too_long(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-statistics-timeline")
    host = site.host.pk

    for since, until in ((at(1), at(1)), (at(1), at(0)), (at(0), at(60 * 24 * 400))):
        query = {"since": since.isoformat(), "until": until.isoformat()}
        assert caller.refused(400, path, host=host, **query)["field"] == "since"
    assert caller.refused(404, path, host=987654321)["field"] == "host"
    assert caller.get(path, host=host)["times"] == []


def test_probes_say_what_ran_and_how_to_mend_what_failed(site: Site) -> None:
    caller = site.session("viewer")

    rows = caller.get(site.path("api-host-snapshots"))["snapshots"]
    assert [row["outcome"] for row in rows] == ["failed", "ok", "ok"]
    assert [row["code"] for row in rows] == ["unreachable", None, None]
    assert caller.get(site.path("api-host-snapshots"), outcome="ok")["total"] == 2
    one = caller.get(f"/api/v1/snapshots/{site.failed.pk}")["snapshot"]
    assert one["title"] == "Host unreachable"
    assert one["hint"]
    whole = caller.get(f"/api/v1/snapshots/{site.second.pk}")
    assert whole["snapshot"]["command"] == "netstat -antup"
    assert whole["snapshot"]["by_state"]["ESTABLISHED"] == 4
    assert whole["raw"] == {"kept": True, "bytes": len(SECOND)}


def test_raw_output_is_a_download_no_browser_renders(site: Site) -> None:
    caller = site.session("viewer")
    hostile = SECOND + "<script>alert(1)</script>\n"
    stored = store.save(site.host, observed(5, hostile))

    response = caller.call("GET", f"/api/v1/snapshots/{stored.pk}/raw")

    assert response.status_code == 200
    assert response.content.decode() == hostile
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'attachment; filename="web1-20260329T000300Z.txt"'


def test_raw_output_that_is_no_longer_kept_says_so(site: Site) -> None:
    response = site.session("viewer").call("GET", f"/api/v1/snapshots/{site.first.pk}/raw")

    assert error_of(response, 404)["code"] == "raw_not_kept"


def test_hosts_are_listed_by_name_with_status_and_found_by_filters(site: Site) -> None:
    Host.objects.create(name="zeta", address="web1.example", enabled=False)
    Host.objects.create(name="gone", address="192.0.2.8", removed_at=at(0))
    caller, path = site.session("viewer"), site.path("api-hosts")

    def names(**query: Any) -> list[str]:
        return [row["name"] for row in caller.get(path, **query)["hosts"]]

    assert names() == ["db1", "web1", "zeta"]
    assert names(q="WEB1") == ["web1", "zeta"]
    assert names(q="100%") == []
    assert names(enabled="false") == ["zeta"]
    assert names(group="others") == ["db1"]
    assert names(host=site.host.pk) == ["web1"]
    (row,) = caller.get(path, host=site.host.pk)["hosts"]
    assert row["status"]["level"] == "bad"
    assert row["status"]["code"] == row["latest"]["code"] == "unreachable"
    assert row["latest_whole"]["id"] == site.second.pk
    assert row["credential"] == {"id": site.credential.pk, "name": "watcher"}


def test_a_list_of_hosts_asks_as_often_for_many_as_for_one(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-hosts")

    def ask() -> int:
        with CaptureQueriesContext(connection) as captured:
            caller.get(path)
        return len(captured)

    few = ask()
    for number in range(10):
        other = Host.objects.create(
            name=f"h{number}", address="192.0.2.7", jump_host=site.host, credential=site.credential
        )
        other.groups.add(site.group)
        store.save(other, observed(0, FIRST))

    # One more, for the names of jump hosts, however many there are.
    assert ask() <= few + 1


def test_head_has_the_head_of_get_and_no_body(site: Site) -> None:
    caller = site.session("viewer")
    for name in ("api-hosts", "api-host-connections", "api-snapshot-raw", "api-statistics-ips"):
        got, head = (caller.call(method, site.path(name)) for method in ("GET", "HEAD"))
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head["Content-Type"] == got["Content-Type"]
    head = caller.call("HEAD", f"{site.path('api-host-connections')}?format=csv")
    assert (head.status_code, head.content) == (200, b"")


def test_another_method_is_answered_with_those_there_are(site: Site) -> None:
    caller = site.session("admin")
    for endpoint in ENDPOINTS:
        path = site.path(endpoint.name)
        missing = {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - endpoint.operations.keys()
        for method in missing:
            response = caller.call(method, path)
            assert error_of(response, 405)["code"] == "method_not_allowed"
            allowed = {"OPTIONS", *endpoint.operations}
            allowed |= {"HEAD"} if "GET" in allowed else set()
            assert set(response["Allow"].split(", ")) == allowed
        options = caller.call("OPTIONS", path)
        assert options.status_code == 204
        assert "OPTIONS" in options["Allow"]


def test_no_answer_is_kept_by_a_cache_or_given_out_again_unasked(site: Site) -> None:
    caller = site.session("viewer")
    for name in LISTS:
        response = caller.client.get(site.path(name), NEEDED.get(name, {}))
        tagged = response.has_header("ETag")
        assert response["Cache-Control"] == ("private, no-cache" if tagged else "no-store")
