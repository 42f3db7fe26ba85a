"""A parsed text as CSV, aligned text and JSON: every field is there, and nothing hostile lives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes import parsed_tables, parsers
from probes.parsers import document
from probes.parsers.records import (
    Details,
    Holder,
    Interface,
    Membership,
    Parsed,
    Rejected,
    Route,
    Socket,
    Tables,
    Timer,
    Translation,
    UnixSocket,
)
from tests.probes.history.played import LISTENER, line, table

OUTPUTS = sorted((Path(__file__).parents[1] / "fixtures").glob("*/*.out"))
DHCP = Socket("udp", None, None, "0.0.0.0", 68, "0.0.0.0", None, None, None, None)
SOCKET = Socket("tcp6", 0, 3, "::1", 22, "fe80::1%eth0", None, "LISTEN", 7, "sshd: x [pr")
FULL = Parsed(
    dialect="net-tools + conntrack",
    tables=Tables(
        sockets=[SOCKET, DHCP],
        details={
            0: Details(
                user="root",
                inode=99,
                timer=Timer("keepalive", 12.5, 0, None),
                holders=(Holder(7, "sshd", 3), Holder(8, None, 4)),
                more=(("cubic", ""), ("rtt", "0.5")),
            )
        },
        unix=[UnixSocket("stream", "LISTEN", "@/tmp/.X11-unix/X0")],
        routes=[
            Route("inet", "0.0.0.0/0", "192.0.2.1", "eth0"),
            Route("inet6", "fe80::/64", link="link#4", kind="blackhole", persistent=False),
        ],
        interfaces=[Interface("eth0", 1500, addresses=("192.0.2.7/24",), flags=("UP", "RUNNING"))],
        protocols={"tcp": {"ActiveOpens": 2**60}, "udp": {"InDatagrams": 0}},
        multicast=[Membership("eth0", "inet", "224.0.0.1", 1)],
        masquerade=[
            Translation("tcp", None, 30, "192.0.2.7", 1, "192.0.2.8", 2, marks=("ASSURED",))
        ],
        processes={4: "System"},
        remarks=["the kernel shows no PIDs"],
    ),
    rejected=[Rejected(12, "x" * 300, "not a row of any table that is known")],
    row_lines=9,
    lines=10,
    found=("sockets", "unix", "routes", "interfaces", "protocols", "multicast", "masquerade"),
)  # fmt: skip


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_pieces_are_the_document(path: Path) -> None:
    parsed = parsers.parse(parsers.decode(path.read_bytes()))
    assert json.loads("".join(parsed_tables.json_pieces(parsed))) == document.document(parsed)


def test_the_pieces_of_many_rows_are_the_document() -> None:
    rows = [line(f"10.0.0.5:{port}") for port in range(1000, 2203)]
    parsed = parsers.parse(table(LISTENER, *rows))
    told = json.loads("".join(parsed_tables.json_pieces(parsed)))
    assert told == document.document(parsed)
    assert len(told["tables"]["sockets"]) == 1204


def test_the_pieces_of_every_kind_of_row_are_the_document() -> None:
    told = json.loads("".join(parsed_tables.json_pieces(FULL)))
    assert told == json.loads(json.dumps(document.document(FULL)))


@pytest.mark.parametrize("name", list(parsed_tables.titles()))
def test_a_csv_row_has_every_field_of_the_json_and_no_other(name: str) -> None:
    rows = list(parsed_tables.csv_rows(FULL, name))
    header = parsed_tables.header(name)
    assert {len(row) for row in rows} == {len(header)}
    assert len(rows) == parsed_tables.total(FULL, name)
    listed = document.document(FULL)["tables"].get(name)
    if isinstance(listed, list):
        assert tuple(listed[0]) == header


def test_what_is_nested_is_json_in_its_cell_and_what_is_unknown_is_empty() -> None:
    first, second = parsed_tables.csv_rows(FULL, "sockets")
    cells = dict(zip(parsed_tables.header("sockets"), first, strict=True))
    assert json.loads(cells["timer"])["kind"] == "keepalive"
    assert json.loads(cells["more"]) == {"cubic": "", "rtt": "0.5"}
    assert cells["recv_queue"] == 0
    assert set(second[-6:]) == {None}


def test_a_sheet_leaves_out_columns_that_are_empty_in_all_rows() -> None:
    parsed = parsers.parse(table(LISTENER))
    labels = [column.label for column in parsed_tables.sheet(parsed, "sockets").columns]
    assert labels == ["Proto", "Recv-Q", "Send-Q", "Local", "Remote", "State", "PID", "Program"]


def test_a_sheet_shows_addresses_with_their_ports_and_whatever_else_is_known() -> None:
    sheet = parsed_tables.sheet(FULL, "sockets")
    first = dict(zip((column.label for column in sheet.columns), sheet.rows[0], strict=True))
    assert first["Local"] == "[::1]:22"
    assert first["Remote"] == "[fe80::1%eth0]:*"
    assert first["Timer"] == "keepalive 12.5/0/?"
    assert first["Other holders"] == "8/?"
    assert first["More"] == "cubic rtt:0.5"
    routes = parsed_tables.sheet(FULL, "routes")
    assert ["link#4" in row for row in routes.rows] == [False, True]


def test_a_sheet_of_the_first_rows_knows_how_many_there_are() -> None:
    sheet = parsed_tables.sheet(FULL, "routes", most=1)
    assert (len(sheet.rows), sheet.total) == (1, 2)
    assert [cell for _column, cell in next(iter(sheet.lines()))] == sheet.rows[0]


def test_tables_that_were_met_are_found_even_when_they_are_empty() -> None:
    empty = Parsed("net-tools", found=("routes",), lines=1, header_lines=1)
    assert parsed_tables.found(empty) == ["routes"]
    assert "Routes (0)" in "".join(parsed_tables.aligned(empty, ["routes"]))


def test_columns_stand_below_one_another_whatever_the_names() -> None:
    parsed = parsers.parse(
        table(
            line(holder="1/短い名前"),
            line("10.0.0.5:23", holder="123456/x"),
            line("10.0.0.5:24", holder="2/" + "y" * 200),
        )
    )
    lines = "".join(parsed_tables.aligned(parsed, ["sockets"])).splitlines()
    starts = [text.index(word) for text, word in zip(lines[2:5], ["短", "x", "y"], strict=True)]
    assert len(set(starts)) == 1
    assert max(map(len, lines)) < 200


def test_the_aligned_text_ends_with_what_was_not_understood_and_the_dialect() -> None:
    lines = "".join(parsed_tables.aligned(FULL, parsed_tables.found(FULL))).splitlines()
    assert any(line.startswith("12  not a row of any table") for line in lines)
    assert lines[-2] == "Note: the kernel shows no PIDs"
    assert lines[-1].startswith("Dialect: net-tools + conntrack. Lines: 10, of them 9 rows")


def test_nothing_that_does_not_print_reaches_the_terminal() -> None:
    text = table(
        line(holder="1/\x1b[31mred\x07"),
        line(holder="2/abc\u202edcb"),
        "odd \u2028 \u202e line",
    )
    shown = "".join(
        parsed_tables.aligned(parsers.parse(parsers.decode(text.encode())), ["sockets"])
    )
    assert shown.replace("\n", "").isprintable()
    assert "\\x1b[31mred\\x07" in shown
