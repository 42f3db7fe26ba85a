"""``tasklist`` on Windows, and the names it gives to sockets."""

from __future__ import annotations

import pytest

from probes import parsers

CSV = '"System Idle Process","0","Services","0","8 K"\n"My, Agent.exe","7716","Console","1","1 K"\n'
NAMES = {0: "System Idle Process", 7716: "My, Agent.exe"}
TABLE = """
Nafn myndar                    PID Nafn setu        Seta#       Minni
========================= ======== ================ =========== ============
System Idle Process              0 Services                   0          8 K
Report 7 2024 builder.exe     2044 Console                    1    312.480 K
"""


@pytest.mark.parametrize(
    "heading",
    [
        "",
        '"Image Name","PID","Session Name","Session#","Mem Usage"\n',
        '"映像名称","PID","会话名      ","会话#   ","内存使用 "\n',
        '"Abbildname","PID","Sitzungsname","Sitz.-Nr.","Speichernutzung"\n',
        '"Nafn","Númer","Seta","Setunúmer","Minni"\n',
    ],
)
def test_a_list_in_csv_gives_names_whatever_its_heading(heading: str) -> None:
    parsed = parsers.parse(heading + CSV)
    assert parsed.tables.processes == NAMES
    assert (parsed.rejected, parsed.found) == ([], ("processes",))
    assert parsed.header_lines == bool(heading)


def test_services_and_verbose_columns_are_left_out() -> None:
    text = (
        '"svchost.exe","1064","RpcEptMapper,RpcSs"\n'
        '"code.exe","1720","Console","2","114,740 K","Running","WS7\\ops","0:01:16","a "b", c"\n'
    )
    assert parsers.parse(text).tables.processes == {1064: "svchost.exe", 1720: "code.exe"}


def test_a_table_is_measured_by_its_ruler() -> None:
    parsed = parsers.parse(TABLE)
    assert parsed.tables.processes == {0: "System Idle Process", 2044: "Report 7 2024 builder.exe"}
    assert (parsed.rejected, parsed.header_lines) == ([], 2)


def test_a_table_without_a_ruler_is_known_by_its_columns() -> None:
    rows = "".join(line + "\n" for line in TABLE.split("\n")[3:5])
    assert parsers.parse(rows).tables.processes == {
        0: "System Idle Process",
        2044: "Report 7 2024 builder.exe",
    }


def test_services_of_a_table_may_go_on_in_the_next_line() -> None:
    text = (
        "Image Name                     PID Services\n"
        "========================= ======== ============================================\n"
        "svchost.exe                   1064 RpcEptMapper, RpcSs, and others that take\n"
        "                                   another line\n"
        "lsass.exe                     2468 KeyIso, SamSs\n"
    )
    parsed = parsers.parse(text)
    assert parsed.tables.processes == {1064: "svchost.exe", 2468: "lsass.exe"}
    assert (parsed.rejected, parsed.row_lines) == ([], 3)


def test_sockets_of_the_same_text_get_the_names() -> None:
    text = (
        "  TCP    0.0.0.0:80      0.0.0.0:0          LISTENING       7716\n"
        "  TCP    192.0.2.1:80    198.51.100.9:5     TIME_WAIT       0\n"
        "  TCP    0.0.0.0:81      0.0.0.0:0          LISTENING       7717\n"
    )
    for whole in (text + "\n" + CSV, CSV + "\n" + text):
        parsed = parsers.parse(whole)
        assert parsed.rejected == []
        assert [(socket.pid, socket.program) for socket in parsed.sockets] == [
            (7716, "My, Agent.exe"),
            (None, None),
            (7717, None),
        ]


def test_what_is_no_process_is_rejected() -> None:
    parsed = parsers.parse(CSV + '"x.exe","99999999999"\n"   ","5"\nERROR: Access denied\n')
    assert parsed.tables.processes == NAMES
    assert len(parsed.rejected) == 3
