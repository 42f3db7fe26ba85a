"""Routes, interfaces, counters and groups: stored when they change, each failing alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import contents, retention, store, tables
from probes.history.queries import network
from probes.models import CounterSample, NetworkTable, TableStatus, TableText
from probes.observation import Code, Failure, Table, TableOutput
from probes.parsers.records import INTERFACE_COUNTERS, Interface, Route
from tests.databases import both_databases, both_databases_committed
from tests.probes.history.played import at
from tests.probes.history.tabled import (
    DEFAULT_ROUTE,
    LINK_ROUTE,
    OFFICE_ROUTE,
    interface,
    interfaces,
    missing,
    multicast,
    protocols,
    routes,
    seen,
    usual,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "linux"


def save(host: Host, using: str, minute: float, *outputs: TableOutput) -> None:
    tables.save(host, seen(minute, *outputs), using=using)


def intervals(host: Host, using: str, table: Table) -> list[tuple[Any, Any]]:
    """Since when until when each content of a table was seen, oldest first."""
    rows = NetworkTable.objects.using(using).filter(host_id=host.pk, table=table.value)
    return list(rows.order_by("first_seen").values_list("first_seen", "last_seen"))


def status_of(host: Host, using: str, table: Table) -> TableStatus:
    return TableStatus.objects.using(using).get(host_id=host.pk, table=table.value)


def stored(host: Host, using: str) -> list[Any]:
    """All that is stored, but for ids."""
    return [
        sorted(
            (
                [(name, value) for name, value in row.items() if name != "id"]
                for row in model.objects.using(using).filter(host_id=host.pk).values()
            ),
            key=repr,
        )
        for model in (TableStatus, NetworkTable, CounterSample)
    ]


# --- what is kept ---------------------------------------------------------------------------------


@both_databases
def test_a_table_that_stays_the_same_is_one_row(host: Host, using: str) -> None:
    for minute in (0, 10, 20):
        save(host, using, minute, routes(DEFAULT_ROUTE, LINK_ROUTE))

    assert intervals(host, using, Table.ROUTES) == [(at(0), at(20))]
    assert [row.destination for row in network.routes(host).rows] == ["0.0.0.0/0", "192.0.2.0/24"]


@both_databases
def test_a_change_ends_one_content_and_begins_the_next(host: Host, using: str) -> None:
    save(host, using, 0, routes(DEFAULT_ROUTE))
    save(host, using, 10, routes(DEFAULT_ROUTE))
    save(host, using, 20, routes(DEFAULT_ROUTE, OFFICE_ROUTE))
    save(host, using, 30, routes(DEFAULT_ROUTE))

    assert intervals(host, using, Table.ROUTES) == [
        (at(0), at(10)),
        (at(20), at(20)),
        (at(30), at(30)),
    ]
    counts = [len(network.routes(host, at=at(minute)).rows) for minute in (5, 15, 20, 29, 35)]
    assert counts == [1, 1, 2, 2, 1]
    assert network.routes(host, at=at(-1)).taken_at is None


@both_databases
def test_another_order_of_the_rows_is_no_change(host: Host, using: str) -> None:
    save(host, using, 0, routes(DEFAULT_ROUTE, LINK_ROUTE))
    save(host, using, 10, routes(LINK_ROUTE, DEFAULT_ROUTE))

    assert intervals(host, using, Table.ROUTES) == [(at(0), at(10))]


@both_databases
def test_how_often_a_route_was_used_is_no_change_and_the_newest_is_kept(
    host: Host, using: str
) -> None:
    save(host, using, 0, routes(DEFAULT_ROUTE, uses=5))
    save(host, using, 10, routes(DEFAULT_ROUTE, uses=900))

    assert intervals(host, using, Table.ROUTES) == [(at(0), at(10))]
    assert network.routes(host).rows[0].uses == 900


@both_databases
def test_traffic_alone_makes_no_new_content_but_a_sample(host: Host, using: str) -> None:
    save(host, using, 0, interfaces(interface(received=1_000)))
    save(host, using, 10, interfaces(interface(received=601_000)))

    assert intervals(host, using, Table.INTERFACES) == [(at(0), at(10))]
    reading = network.interfaces(host)
    assert reading.rows[0].interface.rx_bytes == 601_000
    assert reading.rows[0].rates["rx_bytes"] == 1_000
    assert reading.over_s == 600


@both_databases
def test_another_address_of_an_interface_is_a_change(host: Host, using: str) -> None:
    save(host, using, 0, interfaces(interface()))
    save(host, using, 10, interfaces(interface(address="192.0.2.7")))

    assert intervals(host, using, Table.INTERFACES) == [(at(0), at(0)), (at(10), at(10))]


@both_databases
def test_protocol_counters_are_samples_alone(host: Host, using: str) -> None:
    save(host, using, 0, protocols(TcpInSegs=100))
    save(host, using, 10, protocols(TcpInSegs=700))

    assert not NetworkTable.objects.using(using).exists()
    (row,) = network.protocols(host).rows
    assert (row.protocol, row.counter, row.value, row.per_second) == ("tcp", "InSegs", 700, 1.0)


@both_databases
def test_a_restart_of_the_host_gives_no_rate(host: Host, using: str) -> None:
    save(host, using, 0, *usual(9_000_000_000))
    save(host, using, 10, *usual(1_000))

    rates = [row.rates for row in network.interfaces(host).rows if row.interface.name == "eth0"]
    assert set(rates[0].values()) == {None}
    of_tcp = [row.per_second for row in network.protocols(host).rows if row.protocol == "tcp"]
    assert set(of_tcp) == {None}


@both_databases
def test_what_each_table_was_read_with_is_kept(host: Host, using: str) -> None:
    save(host, using, 0, *usual())

    found = {
        table: (row.tool, row.rows, row.rejected, row.code)
        for table, row in network.status(host).items()
    }
    assert found == {
        Table.ROUTES: ("netstat", 2, 0, ""),
        Table.INTERFACES: ("netstat", 2, 0, ""),
        Table.PROTOCOLS: ("nstat", 3, 0, ""),
        Table.MULTICAST: ("netstat", 3, 0, ""),
    }


# --- twice, late, at once -------------------------------------------------------------------------


@both_databases
def test_storing_twice_changes_nothing(host: Host, using: str) -> None:
    save(host, using, 0, *usual())
    save(host, using, 10, *usual(2_000_000))
    before = stored(host, using)

    save(host, using, 10, *usual(2_000_000))
    save(host, using, 10, *usual(7_000_000))

    assert stored(host, using) == before


@both_databases
def test_a_late_probe_changes_nothing(host: Host, using: str) -> None:
    save(host, using, 0, *usual())
    save(host, using, 20, *usual(2_000_000))
    before = stored(host, using)

    save(host, using, 10, routes(OFFICE_ROUTE), interfaces(interface("eth9")))
    save(host, using, 15, missing(Table.ROUTES))

    assert stored(host, using) == before


@both_databases
def test_a_table_that_was_not_asked_for_keeps_what_is_known(host: Host, using: str) -> None:
    save(host, using, 0, *usual())
    save(host, using, 10)
    save(host, using, 20, routes(DEFAULT_ROUTE, LINK_ROUTE))

    assert intervals(host, using, Table.ROUTES) == [(at(0), at(20))]
    assert intervals(host, using, Table.MULTICAST) == [(at(0), at(0))]


@both_databases_committed
def test_a_crash_between_two_writes_leaves_nothing_behind(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    save(host, using, 0, *usual())
    before = stored(host, using)

    def broken(*_arguments: Any, **_options: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr("django.db.models.query.QuerySet.bulk_create", broken)
    with pytest.raises(DatabaseError):
        save(host, using, 10, routes(OFFICE_ROUTE), *usual(3_000_000)[1:])
    monkeypatch.undo()

    assert stored(host, using) == before


@both_databases
def test_contents_survive_the_loss_of_a_status(host: Host, using: str) -> None:
    save(host, using, 0, *usual())
    TableStatus.objects.using(using).all().delete()

    save(host, using, 0, *usual())
    save(host, using, 10, *usual(2_000_000))

    assert intervals(host, using, Table.ROUTES) == [(at(0), at(10))]


# --- failures -------------------------------------------------------------------------------------


@both_databases
def test_each_table_fails_alone_and_keeps_what_was_known(host: Host, using: str) -> None:
    save(host, using, 0, *usual())
    save(host, using, 10, missing(Table.ROUTES, detail="netstat: not found"), *usual(2_000_000)[1:])
    save(host, using, 20, missing(Table.ROUTES, Code.TRUNCATED))

    failed = status_of(host, using, Table.ROUTES)
    assert (failed.code, failed.failing_since, failed.attempted_at, failed.taken_at) == (
        Code.TRUNCATED,
        at(10),
        at(20),
        at(0),
    )
    assert len(network.routes(host).rows) == 2
    assert status_of(host, using, Table.INTERFACES).code == ""

    save(host, using, 30, routes(DEFAULT_ROUTE, LINK_ROUTE))
    mended = status_of(host, using, Table.ROUTES)
    assert (mended.code, mended.detail, mended.failing_since) == ("", "", None)
    assert intervals(host, using, Table.ROUTES) == [(at(0), at(30))]


@both_databases
@pytest.mark.parametrize(
    "text",
    ["", "\n", "bash: netstat: command not found\n", "Iface\x00 MTU\udcff\n" * 3, "x" * 70_000],
)
def test_what_is_no_such_table_is_not_understood(host: Host, using: str, text: str) -> None:
    save(host, using, 0, *(TableOutput(table, "netstat", text) for table in Table))

    for table in Table:
        status = status_of(host, using, table)
        assert (status.code, status.taken_at) == (Code.NOT_UNDERSTOOD, None)
        assert network.READERS[table](host).taken_at is None


@both_databases
def test_the_text_of_another_table_is_not_taken_for_an_empty_one(host: Host, using: str) -> None:
    save(host, using, 0, routes(DEFAULT_ROUTE))
    wrong = TableOutput(Table.ROUTES, "netstat", multicast(("lo", "224.0.0.1")).text)

    save(host, using, 10, wrong)

    assert status_of(host, using, Table.ROUTES).code == Code.NOT_UNDERSTOOD
    assert len(network.routes(host).rows) == 1


@both_databases
def test_ip_prints_nothing_for_a_host_without_routes(host: Host, using: str) -> None:
    save(host, using, 0, TableOutput(Table.ROUTES, "ip", ""), TableOutput(Table.MULTICAST, "ip"))

    reading = network.routes(host)
    assert (reading.taken_at, list(reading.rows)) == (at(0), [])
    assert status_of(host, using, Table.ROUTES).code == ""


@both_databases
def test_lines_that_were_not_understood_are_counted_and_kept(host: Host, using: str) -> None:
    odd = routes(DEFAULT_ROUTE, LINK_ROUTE)
    odd = TableOutput(odd.table, odd.tool, odd.text + "a line of\x00 rubbish\n")

    save(host, using, 0, odd)

    status = status_of(host, using, Table.ROUTES)
    assert (status.rows, status.rejected) == (2, 1)
    ((number, text, reason),) = status.rejected_lines
    assert number == 5
    assert "rubbish" in text
    assert "\x00" not in text
    assert reason


@both_databases
def test_a_defect_of_one_parser_costs_no_other_table(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tables.parsers.parse

    def defective(text: str) -> Any:
        if text.startswith("#kernel"):
            raise RuntimeError("a defect")
        return real(text)

    monkeypatch.setattr(tables.parsers, "parse", defective)
    save(host, using, 0, *usual())

    assert status_of(host, using, Table.PROTOCOLS).code == Code.INTERNAL_ERROR
    assert len(network.routes(host).rows) == 2


@both_databases
def test_hostile_values_are_stored_within_their_limits(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.parsers.records import Parsed, Tables

    huge = 2**70
    parsed = Parsed(
        "net-tools",
        Tables(
            interfaces=[Interface("\u202e<b>\x00", rx_bytes=huge, tx_bytes=-1)] * 2,
            protocols={"tcp\x00": {"x" * 500: huge}},
            remarks=["a remark\x00"],
        ),
        row_lines=3,
        lines=3,
        found=("interfaces", "protocols"),
    )
    monkeypatch.setattr(tables.parsers, "parse", lambda _text: parsed)

    save(host, using, 0, interfaces(), protocols(), missing(Table.ROUTES, detail="\x00\udcff"))

    first, second = (row.interface for row in network.interfaces(host).rows)
    assert (first.rx_bytes, first.tx_bytes) == (2**63 - 1, 0)
    assert second.rx_bytes is None
    assert network.protocols(host).rows[0].value == 2**63 - 1


# --- cost -----------------------------------------------------------------------------------------


@both_databases
def test_an_unchanged_host_costs_few_statements(host: Host, using: str) -> None:
    store.save(host, seen(0), using=using)
    save(host, using, 0, *usual())
    observation = seen(10, *usual(2_000_000))
    with CaptureQueriesContext(connections[using]) as queries:
        tables.save(host, observation, using=using)

    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"].upper()]
    assert len(asked) <= 5, asked


@both_databases
def test_nothing_is_asked_of_the_database_without_tables(host: Host, using: str) -> None:
    with CaptureQueriesContext(connections[using]) as queries:
        tables.save(host, seen(0), using=using)

    assert len(queries) == 0


@both_databases
def test_saving_inside_a_transaction_that_goes_on_is_safe(host: Host, using: str) -> None:
    with transaction.atomic(using=using):
        save(host, using, 0, *usual())
        assert TableStatus.objects.using(using).count() == 4


# --- contents -------------------------------------------------------------------------------------


def test_a_table_comes_back_as_it_was_packed() -> None:
    rows = [
        Route("inet", "10.0.0.0/8", "192.0.2.1", "eth0", marks=("gateway_name",)),
        Route("inet6", "fe80::/64", interface="eth0", metric=256, expires_s=9),
    ]

    assert contents.unpack(contents.pack(rows).content, Route) == rows


def test_interfaces_are_packed_without_their_counters() -> None:
    row = Interface("eth0", 1500, addresses=("192.0.2.1/24",), flags=("UP",), rx_bytes=9)

    packed = contents.pack([row])

    assert contents.unpack(packed.content, Interface) == [row._replace(rx_bytes=None)]
    assert contents.interface_sample([row])["eth0"].keys() == set(INTERFACE_COUNTERS)
    assert packed.digest == contents.pack([row._replace(rx_bytes=10)]).digest


def test_what_an_older_version_stored_is_read() -> None:
    from probes.history import texts

    old = b'{"columns":["family","destination","colour"],"rows":[["inet","0.0.0.0/0","red"]]}'

    assert contents.unpack(texts.pack(old), Route) == [Route("inet", "0.0.0.0/0")]


def test_of_a_very_long_table_the_first_rows_are_kept_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents, "MAX_ROWS", 3)
    rows = [Route("inet", f"10.0.{n}.0/24") for n in range(5)]

    packed = contents.pack(rows)

    assert packed.rows == 5
    assert len(contents.unpack(packed.content, Route)) == 3


def test_a_sample_has_a_bounded_number_of_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_COUNTERS", 22)
    many = [Interface(f"veth{n}", rx_bytes=n) for n in range(100)]

    assert len(contents.interface_sample(many)) == 2
    assert contents.protocol_sample({"tcp": dict.fromkeys("abc", 1), "udp": {}}) == {
        "tcp": {"a": 1, "b": 1, "c": 1}
    }


# --- real outputs ---------------------------------------------------------------------------------


@both_databases
@pytest.mark.parametrize(
    ("table", "tool", "name"),
    [
        (Table.ROUTES, "netstat", "netstat--captured_routes"),
        (Table.ROUTES, "ip", "ip--captured_routes"),
        (Table.INTERFACES, "netstat", "netstat--captured_interfaces_extended"),
        (Table.INTERFACES, "ip", "ip--captured_links"),
        (Table.PROTOCOLS, "netstat", "netstat--captured_statistics"),
        (Table.PROTOCOLS, "nstat", "nstat--captured"),
        (Table.MULTICAST, "netstat", "netstat--captured_groups"),
        (Table.MULTICAST, "ip", "ip--captured_groups"),
    ],
)
def test_what_the_real_tools_print_is_stored_whole(
    host: Host, using: str, table: Table, tool: str, name: str
) -> None:
    text = (FIXTURES / f"{name}.out").read_text(encoding="utf-8")

    save(host, using, 0, TableOutput(table, tool, text))

    status = status_of(host, using, table)
    assert (status.code, status.detail, status.rejected) == ("", "", 0)
    assert len(network.READERS[table](host).rows) == status.rows > 0


# --- what was printed where it was not understood -------------------------------------------------


def printed(host: Host, using: str, table: Table) -> str | None:
    kept = TableText.objects.using(using).filter(host_id=host.pk, table=table.value).first()
    return None if kept is None else tables.printed(kept)


@both_databases
def test_what_was_not_understood_is_kept_until_all_is(host: Host, using: str) -> None:
    read = routes(DEFAULT_ROUTE)
    save(host, using, 0, read, *usual()[1:])
    assert not TableText.objects.using(using).exists()

    odd = TableOutput(Table.ROUTES, "netstat", read.text + "an odd line\n")
    save(host, using, 10, odd, *usual()[1:])
    assert printed(host, using, Table.ROUTES) == odd.text
    save(host, using, 20, TableOutput(Table.ROUTES, "netstat", "Segmentation fault\n"))
    assert printed(host, using, Table.ROUTES) == "Segmentation fault\n"
    save(host, using, 30, missing(Table.ROUTES, Code.TIMED_OUT))  # brings nothing newer
    assert printed(host, using, Table.ROUTES) == "Segmentation fault\n"
    save(host, using, 25, odd)  # late
    assert printed(host, using, Table.ROUTES) == "Segmentation fault\n"
    assert TableText.objects.using(using).get().taken_at == at(20)

    save(host, using, 40, *usual()[1:])  # others say nothing of the routes
    assert printed(host, using, Table.ROUTES) == "Segmentation fault\n"
    save(host, using, 50, read)
    assert not TableText.objects.using(using).exists()


@both_databases
def test_the_output_of_a_tool_that_failed_is_kept(host: Host, using: str) -> None:
    failure = Failure(Code.COMMAND_FAILED, "netstat ended with status 5")
    save(host, using, 0, TableOutput(Table.PROTOCOLS, "netstat", "error parsing\n", failure))
    assert status_of(host, using, Table.PROTOCOLS).code == Code.COMMAND_FAILED
    assert printed(host, using, Table.PROTOCOLS) == "error parsing\n"


@both_databases
def test_of_a_giant_output_the_beginning_is_kept(host: Host, using: str) -> None:
    text = "n\u00e9\n" * tables.MAX_TEXT_BYTES
    save(host, using, 0, TableOutput(Table.ROUTES, "netstat", text))
    kept = TableText.objects.using(using).get()
    assert kept.size_bytes == len(text.encode())
    assert text.startswith(tables.printed(kept))
    assert len(tables.printed(kept).encode()) > tables.MAX_TEXT_BYTES - 4


@both_databases
@pytest.mark.parametrize("text", ["\ud800\0\x1b[2J\n", "\\udcff", "\u202e" * 9])
def test_any_output_can_be_kept(host: Host, using: str, text: str) -> None:
    save(host, using, 0, TableOutput(Table.ROUTES, "netstat", text))
    assert printed(host, using, Table.ROUTES) == text.encode("utf-8", "backslashreplace").decode()


@both_databases
def test_it_goes_with_raw_output(host: Host, using: str, settings: Any) -> None:
    settings.RAW_RETENTION_DAYS = 2
    save(host, using, 0, TableOutput(Table.ROUTES, "netstat", "rubbish\n"))
    assert retention.prune(at(0) + dt.timedelta(days=1), using).raw_outputs == 0
    assert retention.prune(at(0) + dt.timedelta(days=3), using).raw_outputs == 1
    assert printed(host, using, Table.ROUTES) is None
