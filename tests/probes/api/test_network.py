"""The other tables of a host over the API: filtered, as of any time, with rates and failures."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import pytest

from netadmin.access.models import Scope
from probes import payloads
from probes.history import tables
from probes.models import TableStatus
from probes.observation import Code, Table
from tests.probes.api.site import Caller, Site
from tests.probes.history.played import at
from tests.probes.history.tabled import (
    DEFAULT_ROUTE,
    LINK_ROUTE,
    OFFICE_ROUTE,
    interface,
    interfaces,
    missing,
    protocols,
    routes,
    seen,
    usual,
)

NAMES = ("routes", "interfaces", "protocols", "multicast")


@pytest.fixture
def known(site: Site) -> Site:
    """The site with four tables of its host, taken twice ten minutes apart."""
    for host in (site.host, site.hidden):
        tables.save(host, seen(0, *usual(1_000_000)))
        tables.save(host, seen(10, routes(DEFAULT_ROUTE, LINK_ROUTE, OFFICE_ROUTE),
                               *usual(1_600_000)[1:]))  # fmt: skip
    return site


@pytest.fixture
def vera(known: Site) -> Caller:
    return known.session("viewer")


def path(site: Site, name: str, *, hidden: bool = False) -> str:
    return site.path(f"api-host-{name}", hidden=hidden)


# --- what is answered -----------------------------------------------------------------------------


def test_routes_say_when_and_with_what_they_were_read(known: Site, vera: Caller) -> None:
    data = vera.get(path(known, "routes"))

    assert data["host"] == {"id": known.host.pk, "name": "web1"}
    assert data["table"] == {
        "taken_at": at(10).isoformat(),
        "first_seen": at(10).isoformat(),
        "last_seen": at(10).isoformat(),
        "tool": "netstat",
        "rows": 3,
        "rejected": 0,
        "over_s": None,
    }
    assert data["failure"] is None
    assert (data["total"], data["next"]) == (3, None)
    assert data["routes"][0].keys() == set(payloads.ROUTE)
    assert [(row["destination"], row["gateway"]) for row in data["routes"]] == [
        ("0.0.0.0/0", "192.0.2.254"),
        ("192.0.2.0/24", None),
        ("10.1.0.0/16", "192.0.2.250"),
    ]


def test_interfaces_have_totals_and_packets_and_bytes_per_second(known: Site, vera: Caller) -> None:
    data = vera.get(path(known, "interfaces"), name="eth")

    assert data["table"]["over_s"] == 600
    (row,) = data["interfaces"]
    assert tuple(row) == payloads.INTERFACE
    assert (row["name"], row["mtu"], row["addresses"]) == ("eth0", 1500, ["192.0.2.1/24"])
    assert (row["rx_bytes"], row["rx_packets"]) == (1_600_000, 1_600)
    assert (row["rx_bytes_per_s"], row["rx_packets_per_s"], row["tx_bytes_per_s"]) == (
        1_000.0,
        1.0,
        0.0,
    )


def test_protocol_counters_have_changes_per_second(known: Site, vera: Caller) -> None:
    data = vera.get(path(known, "protocols"), protocol="TCP", counter="inseg")

    assert data["protocols"] == [
        {"protocol": "tcp", "counter": "InSegs", "value": 1_600, "per_second": 1.0}
    ]


def test_multicast_memberships_are_listed(known: Site, vera: Caller) -> None:
    data = vera.get(path(known, "multicast"))

    assert [(row["interface"], row["family"], row["group"]) for row in data["multicast"]] == [
        ("lo", "inet", "224.0.0.1"),
        ("eth0", "inet", "224.0.0.1"),
        ("eth0", "inet6", "ff02::1"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_host_whose_tables_were_never_taken_has_none(site: Site, name: str) -> None:
    caller = site.session("viewer")

    data = caller.get(path(site, name))

    assert (data["table"], data["failure"], data[name]) == (None, None, [])
    assert list(csv.reader(io.StringIO(caller.csv(path(site, name)))))[1:] == []


def test_a_table_that_failed_says_so_beside_what_was_known(known: Site, vera: Caller) -> None:
    tables.save(known.host, seen(20, missing(Table.ROUTES, Code.NETSTAT_MISSING, "no ip")))

    data = vera.get(path(known, "routes"))

    failure = data["failure"]
    assert (failure["code"], failure["detail"]) == ("netstat_missing", "no ip")
    assert (failure["at"], failure["since"]) == (at(20).isoformat(), at(20).isoformat())
    assert "install" in failure["hint"]
    assert data["table"]["taken_at"] == at(10).isoformat()
    assert data["total"] == 3


# --- time -----------------------------------------------------------------------------------------


def test_a_table_is_shown_as_of_any_time(known: Site, vera: Caller) -> None:
    data = vera.get(path(known, "routes"), at=at(7).isoformat())
    assert (data["total"], data["table"]["taken_at"]) == (2, at(0).isoformat())

    data = vera.get(path(known, "interfaces"), at=at(7).isoformat(), name="eth0")
    assert data["interfaces"][0]["rx_bytes"] == 1_000_000
    assert data["interfaces"][0]["rx_bytes_per_s"] is None

    data = vera.get(path(known, "protocols"), at=at(10).isoformat(), counter="InSegs")
    assert data["protocols"][0]["value"] == 1_600


@pytest.mark.parametrize("name", NAMES)
def test_a_time_before_everything_is_absent(known: Site, vera: Caller, name: str) -> None:
    for kind in ("json", "csv"):
        refused = vera.refused(404, path(known, name), at=at(-5).isoformat(), format=kind)
        assert (refused["code"], refused["field"]) == ("not_found", "at")


# --- filters, orders, pages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "found"),
    [
        ("10.1.2.3", ["10.1.0.0/16", "0.0.0.0/0"]),
        ("::ffff:10.1.2.3", ["10.1.0.0/16", "0.0.0.0/0"]),
        ("192.0.2.9", ["192.0.2.0/24", "0.0.0.0/0"]),
        ("8.8.8.8", ["0.0.0.0/0"]),
        ("2001:db8::1", []),
    ],
)
def test_the_way_to_an_address_is_the_longest_prefix_first(
    known: Site, vera: Caller, ip: str, found: list[str]
) -> None:
    data = vera.get(path(known, "routes"), ip=ip)

    assert [row["destination"] for row in data["routes"]] == found


@pytest.mark.parametrize(
    ("name", "query", "total"),
    [
        ("routes", {"family": "4"}, 3),
        ("routes", {"family": "6"}, 0),
        ("routes", {"interface": "eth0"}, 3),
        ("routes", {"interface": "eth"}, 0),
        ("routes", {"gateway": "250"}, 1),
        ("interfaces", {"name": "LO"}, 1),
        ("protocols", {"protocol": "udp"}, 1),
        ("protocols", {"hide": "zero"}, 2),
        ("multicast", {"interface": "eth0", "family": "6"}, 1),
        ("multicast", {"group": "224."}, 2),
        ("multicast", {"family": "link"}, 0),
    ],
)
def test_a_table_is_narrowed(
    known: Site, vera: Caller, name: str, query: dict[str, str], total: int
) -> None:
    assert vera.get(path(known, name), **query)["total"] == total


@pytest.mark.parametrize(
    ("name", "sort", "column", "values"),
    [
        ("routes", "destination", "destination", ["0.0.0.0/0", "10.1.0.0/16", "192.0.2.0/24"]),
        ("routes", "-gateway", "gateway", ["192.0.2.254", "192.0.2.250", None]),
        ("interfaces", "-rx_bytes_per_s", "name", ["eth0", "lo"]),
        ("interfaces", "mtu", "name", ["eth0", "lo"]),
        ("protocols", "-value", "counter", ["InSegs", "ActiveOpens", "NoPorts"]),
        ("protocols", "counter", "counter", ["ActiveOpens", "InSegs", "NoPorts"]),
        ("multicast", "group", "group", ["224.0.0.1", "224.0.0.1", "ff02::1"]),
    ],
)
def test_a_table_is_sorted_with_unknown_values_last(
    known: Site, vera: Caller, name: str, sort: str, column: str, values: list[Any]
) -> None:
    data = vera.get(path(known, name), sort=sort)

    assert [row[column] for row in data[name]] == values


def test_an_order_that_a_table_does_not_have_is_refused(known: Site, vera: Caller) -> None:
    for sort in ("colour", "--metric", "value", "-"):
        assert vera.refused(400, path(known, "routes"), sort=sort)["field"] == "sort"


def test_pages_stay_with_the_table_of_the_first_one(known: Site, vera: Caller) -> None:
    first = vera.get(path(known, "routes"), limit=2)
    assert (len(first["routes"]), first["total"]) == (2, 3)
    tables.save(known.host, seen(20, routes(DEFAULT_ROUTE)))

    second = vera.get(path(known, "routes"), limit=2, cursor=first["next"])

    assert [row["destination"] for row in second["routes"]] == ["10.1.0.0/16"]
    assert second["next"] is None


def test_pages_go_on_while_the_same_table_is_seen_again(known: Site, vera: Caller) -> None:
    first = vera.get(path(known, "routes"), limit=2)
    tables.save(known.host, seen(20, routes(DEFAULT_ROUTE, LINK_ROUTE, OFFICE_ROUTE)))

    second = vera.get(path(known, "routes"), limit=2, cursor=first["next"])

    assert [row["destination"] for row in second["routes"]] == ["10.1.0.0/16"]


def test_a_cursor_of_another_list_is_refused(known: Site, vera: Caller) -> None:
    cursor = vera.get(path(known, "routes"), limit=1)["next"]

    for query in ({"family": "4"}, {"sort": "metric"}, {"at": at(30).isoformat()}):
        refused = vera.refused(400, path(known, "routes"), limit=1, cursor=cursor, **query)
        assert refused["field"] == "cursor"
    other = vera.refused(400, path(known, "multicast"), limit=1, cursor=cursor)
    assert other["field"] == "cursor"


def test_a_cursor_into_what_is_no_longer_kept_is_refused(known: Site, vera: Caller) -> None:
    from probes.models import NetworkTable

    cursor = vera.get(path(known, "routes"), limit=1)["next"]
    NetworkTable.objects.filter(host=known.host, first_seen=at(10)).delete()

    refused = vera.refused(400, path(known, "routes"), limit=1, cursor=cursor)
    assert refused["field"] == "cursor"


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("routes", {"ip": "10.1.2.3"}),
        ("routes", {"sort": "-destination", "at": at(5).isoformat()}),
        ("interfaces", {"sort": "-rx_bytes"}),
        ("protocols", {"hide": "zero"}),
        ("multicast", {"interface": "eth0"}),
    ],
)
def test_csv_has_exactly_the_rows_and_names_of_the_json(
    known: Site, vera: Caller, name: str, query: dict[str, str]
) -> None:
    listed = vera.get(path(known, name), **query)[name]
    text = vera.csv(path(known, name), limit="1", **query)

    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(listed) > 0
    for row, shown in zip(rows, listed, strict=True):
        assert list(row) == list(shown)
        for column, value in shown.items():
            if value is None:
                assert row[column] == ""
            elif isinstance(value, int | float | str):
                assert row[column] == str(value)


def test_hostile_names_are_inert_in_csv(site: Site) -> None:
    hostile = interface("=cmd|calc", 1, 1)
    tables.save(site.host, seen(0, interfaces(hostile)))

    text = site.session("viewer").csv(path(site, "interfaces"))

    assert "\n'=cmd" in text.replace("\r", "")


# --- over time ------------------------------------------------------------------------------------


def traffic(site: Site, caller: Caller, **query: Any) -> Any:
    asked = {"host": site.host.pk, "interface": "eth0", "since": at(-1).isoformat(),
             "until": at(200).isoformat()}  # fmt: skip
    return caller.get(site.path("api-statistics-interfaces"), **asked | query)


def test_traffic_is_told_per_second_with_gaps_and_without_spikes(site: Site) -> None:
    totals = {0: 0, 10: 600_000, 20: 1_800_000, 30: 5_000, 40: 605_000, 90: 3_605_000}
    for minute, received in totals.items():
        tables.save(site.host, seen(minute, interfaces(interface(received=received))))

    data = traffic(site, site.session("viewer"))

    assert data["interface"] == "eth0"
    start = int(at(0).timestamp())
    found = [
        ((when - start) // 60, value)
        for when, value in zip(data["times"], data["series"]["rx_bytes"], strict=True)
    ]
    # The host restarted before minute 30; from 40 to 90 nobody looked.
    assert found == [(10, 1_000.0), (20, 2_000.0), (30, None), (40, 1_000.0), (50, None),
                     (90, 1_000.0)]  # fmt: skip


def test_a_long_time_is_thinned_and_loses_no_traffic(site: Site) -> None:
    for minute in range(0, 100, 10):
        received = minute * 60_000
        tables.save(site.host, seen(minute, interfaces(interface(received=received))))

    data = traffic(site, site.session("viewer"), step=1800)

    assert data["step_s"] == 1800
    assert len(data["times"]) == 3
    assert data["series"]["rx_bytes"] == [1_000.0] * 3


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("bytes", ["rx_bytes", "tx_bytes"]),
        ("packets", ["rx_packets", "tx_packets"]),
        ("problems", ["rx_errors", "rx_dropped", "rx_overruns", "tx_errors", "tx_dropped",
                      "tx_overruns", "collisions"]),
    ],
)  # fmt: skip
def test_what_is_told_of_the_traffic_can_be_chosen(
    known: Site, vera: Caller, by: str, names: list[str]
) -> None:
    data = traffic(known, vera, by=by)

    assert list(data["series"]) == names
    assert {len(values) for values in data["series"].values()} == {len(data["times"])} == {1}


def test_an_interface_that_is_not_there_is_named(known: Site, vera: Caller) -> None:
    address = known.path("api-statistics-interfaces")

    for more in ({}, {"format": "csv"}, {"until": at(12).isoformat(), "since": at(0).isoformat()}):
        query = {"host": known.host.pk, "interface": "ppp0", **more}
        refused = vera.refused(404, address, **query)
        assert (refused["code"], refused["field"]) == ("not_found", "interface")


def test_a_time_without_a_sample_of_an_interface_has_no_series(known: Site, vera: Caller) -> None:
    data = traffic(known, vera, since=at(-20).isoformat(), until=at(-10).isoformat())

    assert data["series"] == {}


@pytest.mark.parametrize("name", NAMES)
def test_lines_not_understood_are_counted(known: Site, vera: Caller, name: str) -> None:
    assert vera.get(path(known, name))["table"]["rejected"] == 0
    read = next(output for output in usual() if output.table == name)
    odd = dataclasses.replace(read, text=read.text + "an odd line\nanother odd one\n")
    tables.save(known.host, seen(20, odd))
    assert vera.get(path(known, name))["table"]["rejected"] == 2
    # Of former tables that is not kept.
    assert vera.get(path(known, name), at=at(5).isoformat())["table"]["rejected"] is None


def test_the_series_is_also_csv(known: Site, vera: Caller) -> None:
    query = {"host": known.host.pk, "interface": "eth0", "since": at(0).isoformat(),
             "until": at(20).isoformat()}  # fmt: skip
    text = vera.csv(known.path("api-statistics-interfaces"), **query)

    assert list(csv.reader(io.StringIO(text))) == [
        ["time", "rx_bytes", "tx_bytes"],
        [at(10).isoformat(), "1000.0", "0.0"],
    ]


def test_what_a_series_needs_is_named(known: Site, vera: Caller) -> None:
    address = known.path("api-statistics-interfaces")

    assert vera.refused(400, address, interface="eth0")["field"] == "host"
    assert vera.refused(400, address, host=known.host.pk)["field"] == "interface"
    wrong = {"host": known.host.pk, "interface": "eth0", "until": at(0).isoformat()}
    assert vera.refused(400, address, **wrong, since=at(1).isoformat())["field"] == "since"


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_tables_of_a_host_outside_the_callers_groups_are_absent(known: Site, name: str) -> None:
    lina = known.token("limited viewer", Scope.READ)

    assert lina.get(path(known, name))["host"]["name"] == "web1"
    assert lina.refused(404, path(known, name, hidden=True))["code"] == "not_found"


def test_the_series_of_a_host_outside_the_callers_groups_is_absent(known: Site) -> None:
    lina = known.token("limited viewer", Scope.READ)
    address = known.path("api-statistics-interfaces")

    refused = lina.refused(404, address, host=known.hidden.pk, interface="eth0")
    assert (refused["code"], refused["field"]) == ("not_found", "host")


def test_a_removed_status_hides_nothing(known: Site, vera: Caller) -> None:
    TableStatus.objects.all().delete()

    data = vera.get(path(known, "protocols"))

    assert (data["failure"], data["total"]) == (None, 3)


def test_a_counter_that_is_gone_from_the_newest_table_is_not_shown(
    known: Site, vera: Caller
) -> None:
    tables.save(known.host, seen(20, protocols(UdpInDatagrams=7)))

    data = vera.get(path(known, "protocols"))

    assert [(row["counter"], row["per_second"]) for row in data["protocols"]] == [
        ("InDatagrams", None)
    ]
