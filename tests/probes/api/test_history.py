"""``hosts/{id}/diff``, ``hosts/{id}/history`` and ``diff``: rows, pages, CSV, times, rights."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from hosts.models import Host
from probes.history import store
from probes.payloads import history as history_payloads
from tests.probes.api.site import FIRST, SECOND, Site
from tests.probes.history.played import at, line, observed, table

CHANGED = line("10.0.0.5:40001", "198.51.100.7:443", "TIME_WAIT", "-")


@pytest.fixture
def site(site: Site) -> Site:
    """A third whole probe of web1, in which much is another."""
    store.save(
        site.host,
        observed(5, table(CHANGED, line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "801/sshd"))),
    )
    return site


def paged(site: Site, path: str, name: str, **query: Any) -> list[Any]:
    rows: list[Any] = []
    caller = site.session("viewer")
    data = caller.get(path, limit=2, **query)
    while True:
        rows += data[name]
        if data["next"] is None:
            assert len(rows) == data["total"]
            return rows
        data = caller.get(path, limit=2, cursor=data["next"], **query)


def cells(site: Site, path: str, **query: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(site.session("viewer").csv(path, **query))))


def test_a_diff_tells_before_and_after(site: Site) -> None:
    path = site.path("api-host-diff")

    data = site.session("viewer").get(path, **{"from": at(1).isoformat()}, sort="foreign_ip")

    assert data["from"]["id"] == site.second.pk
    assert data["counts"] == {
        "listeners": {"opened": 0, "closed": 2, "changed": 1},
        "connections": {"opened": 0, "closed": 5, "changed": 1},
    }
    assert data["total"] == 9
    changed = {row["foreign_ip"]: row for row in data["differences"] if row["kind"] == "changed"}
    assert list(changed["0.0.0.0"]) == list(history_payloads.DIFFERENCE)
    assert (changed["0.0.0.0"]["pid_before"], changed["0.0.0.0"]["pid_after"]) == (800, 801)
    row = changed["198.51.100.7"]
    assert (row["state_before"], row["state_after"]) == ("CLOSE_WAIT", "TIME_WAIT")
    assert (row["program_before"], row["program_after"]) == ("+app", None)
    assert (row["last_seen_before"], row["last_seen_after"]) == (at(1).isoformat(), None)


def test_a_diff_without_times_is_of_the_newest_probe_and_the_one_before(site: Site) -> None:
    data = site.session("viewer").get(site.path("api-host-diff"))

    assert (data["from"]["taken_at"], data["to"]["taken_at"]) == (
        at(1).isoformat(),
        at(5).isoformat(),
    )
    data = site.session("viewer").get(site.path("api-host-diff"), to=at(1).isoformat())
    assert data["from"]["id"] == site.first.pk
    (row,) = data["differences"]
    assert (row["kind"], row["foreign_ip"]) == ("opened", "203.0.113.8")


def test_the_pages_of_a_diff_and_its_csv_are_the_whole(site: Site) -> None:
    path = site.path("api-host-diff")
    for query in ({}, {"kind": "closed"}, {"what": "connections", "state": "ESTABLISHED"}):
        whole = site.session("viewer").get(path, **query)["differences"]
        assert paged(site, path, "differences", **query) == whole
        header, *lines = cells(site, path, **query)
        assert header == list(history_payloads.DIFFERENCE)
        assert [one[0] for one in lines] == [row["kind"] for row in whole]


def test_a_time_before_all_probes_is_named(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-diff")

    for name in ("from", "to"):
        assert caller.refused(404, path, **{name: "2001-02-03"})["field"] == name


def test_a_host_that_was_probed_once_has_no_difference(site: Site) -> None:
    fresh = Host.objects.create(name="fresh", address="192.0.2.9")
    path = f"/api/v1/hosts/{fresh.pk}/diff"

    data = site.session("viewer").get(path)
    assert (data["from"], data["to"], data["differences"]) == (None, None, [])
    store.save(fresh, observed(0, FIRST))
    data = site.session("viewer").get(path)
    assert data["from"] is None
    assert data["to"]["sockets"] == 8
    assert cells(site, path) == [list(history_payloads.DIFFERENCE)]


def test_history_tells_each_connection_from_first_to_last_sight(site: Site) -> None:
    path = site.path("api-host-history")
    query = {"since": at(-1).isoformat(), "until": at(9).isoformat()}

    data = site.session("viewer").get(path, local_port=40001, **query)

    (row,) = data["connections"]
    assert list(row) == list(history_payloads.OVER_TIME)
    assert (row["states"], row["pids"], row["programs"]) == (
        ["CLOSE_WAIT", "TIME_WAIT"],
        [900],
        ["+app"],
    )
    assert (row["first_seen"], row["last_seen"]) == (at(0).isoformat(), at(5).isoformat())
    assert (row["open"], row["duration_s"], row["times"]) == (True, 300.0, 1)
    assert [step["lasted_s"] for step in row["steps"]] == [300.0, 0.0]
    assert (data["complete"], data["total"]) == (True, 1)


def test_the_pages_of_history_and_its_csv_are_the_whole(site: Site) -> None:
    path = site.path("api-host-history")
    span = {"since": at(-1).isoformat(), "until": at(9).isoformat()}
    for query in (span, span | {"what": "listeners"}, span | {"sort": "-duration", "family": "4"}):
        whole = site.session("viewer").get(path, **query)["connections"]
        assert paged(site, path, "connections", **query) == whole
        header, *lines = cells(site, path, **query)
        assert header == list(history_payloads.OVER_TIME)
        assert [one[3].lstrip("'") for one in lines] == [row["foreign_ip"] for row in whole]


def test_pages_go_on_in_the_time_of_the_first(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-history")
    first = caller.get(path, limit=1, since=at(-1).isoformat())
    store.save(site.host, observed(6, SECOND))

    second = caller.get(path, limit=1, cursor=first["next"])

    assert (second["since"], second["until"]) == (first["since"], first["until"])


def test_history_refuses_a_time_that_ends_before_it_begins(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-history")

    query = {"since": at(9).isoformat(), "until": at(1).isoformat()}
    assert caller.refused(400, path, **query)["field"] == "since"
    query = {"since": "2020-01-01", "until": at(1).isoformat()}
    assert caller.refused(400, path, **query)["field"] == "since"


def test_two_hosts_are_set_side_by_side(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-diff")
    query = {"hosts": f"{site.host.pk},{site.hidden.pk}"}

    data = caller.get(path, **query)

    assert data["hosts"] == [{"id": site.host.pk, "name": "web1"},
                             {"id": site.hidden.pk, "name": "db1"}]  # fmt: skip
    sides = {(row["what"], row["ip"], row["port"]): row["side"] for row in data["rows"]}
    assert sides["listeners", None, 22] == "both"
    assert sides["listeners", None, 5432] == "b"
    assert sides["clients", "203.0.113.8", 22] == "b"
    assert list(data["rows"][0]) == list(history_payloads.COMPARED)
    assert data["capped"] is False
    same = caller.get(path, at=at(1).isoformat(), show="differences", **query)
    assert same["rows"] == []
    whole = caller.get(path, show="b", **query)["rows"]
    assert {row["side"] for row in whole} == {"b"}
    assert paged(site, path, "rows", show="b", **query) == whole
    assert len(cells(site, path, show="b", **query)) == len(whole) + 1


def test_only_hosts_one_sees_are_compared(site: Site) -> None:
    path = site.path("api-diff")
    query = {"hosts": f"{site.host.pk},{site.hidden.pk}"}

    assert site.session("limited viewer").refused(404, path, **query)["field"] == "hosts"
    for wrong in ("1", "1,2,3", "1,x", "1,", "0,1", "1, 2"):
        assert site.session("viewer").refused(400, path, hosts=wrong)["field"] == "hosts"


@pytest.mark.parametrize("name", ["api-host-diff", "api-host-history"])
def test_what_is_outside_ones_groups_has_no_history(site: Site, name: str) -> None:
    assert site.session("limited viewer").get(site.path(name))["host"]["id"] == site.host.pk
    site.session("limited viewer").refused(404, site.path(name, hidden=True))
