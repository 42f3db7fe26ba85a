"""Rows of netstat on Windows, and the lines that belong to them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import parsers
from probes.parsers import Flag, Parsed, ParseError, Socket
from probes.parsers.records import TCP_STATES

HEADING = "  Proto  Local Address          Foreign Address        State           PID\n"


def parse(*rows: str) -> Parsed:
    return parsers.parse(HEADING + "".join(f"{row}\n" for row in rows))


def one(row: str) -> Socket:
    parsed = parse(row)
    assert parsed.rejected == []
    (socket,) = parsed.sockets
    return socket


def more(parsed: Parsed, at: int = 0) -> dict[str, str]:
    return dict(parsed.tables.details[at].more) if at in parsed.tables.details else {}


@pytest.mark.parametrize(
    ("row", "socket"),
    [
        (
            "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064",
            Socket("tcp", None, None, "0.0.0.0", 135, "0.0.0.0", None, "LISTEN", 1064, None),
        ),
        (
            "  TCP    [::1]:49670            [::]:0                 LISTENING",
            Socket("tcp6", None, None, "::1", 49670, "::", None, "LISTEN", None, None),
        ),
        (
            "  TCP    192.0.2.7:80           198.51.100.9:61022     SYN_RECEIVED    4",
            Socket(
                "tcp", None, None, "192.0.2.7", 80, "198.51.100.9", 61022, "SYN_RECV", 4, None
            ),
        ),
        (
            "  TCP    [::ffff:192.0.2.7]:80  [::ffff:198.51.100.9]:9  ESTABLISHED   4",
            Socket(
                "tcp6", None, None, "192.0.2.7", 80, "198.51.100.9", 9, "ESTABLISHED", 4, None,
                Flag.LOCAL_MAPPED | Flag.FOREIGN_MAPPED,
            ),
        ),
        (
            "  UDP    [fe80::1%12]:54        *:*                                    2044",
            Socket("udp6", None, None, "fe80::1%12", 54, "::", None, None, 2044, None),
        ),
        (
            "  UDP    0.0.0.0:5353           *:*",
            Socket("udp", None, None, "0.0.0.0", 5353, "0.0.0.0", None, None, None, None),
        ),
        (
            "  UDP    192.0.2.7:50000        198.51.100.9:443                       2044",
            Socket("udp", None, None, "192.0.2.7", 50000, "198.51.100.9", 443, None, 2044, None),
        ),
        (
            "  TCPv6  [::]:135               [::]:0                 LISTENING       1064",
            Socket("tcp6", None, None, "::", 135, "::", None, "LISTEN", 1064, None),
        ),
    ],
)  # fmt: skip
def test_a_row_gives_its_socket(row: str, socket: Socket) -> None:
    assert one(row) == socket
    assert parsers.parse(row).sockets == [socket]
    assert parsers.identify(row) == "windows"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("LISTENING", "LISTEN"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("SYN_SENT", "SYN_SENT"),
        ("SYN_RECEIVED", "SYN_RECV"),
        ("FIN_WAIT_1", "FIN_WAIT1"),
        ("FIN_WAIT_2", "FIN_WAIT2"),
        ("CLOSE_WAIT", "CLOSE_WAIT"),
        ("TIME_WAIT", "TIME_WAIT"),
        ("LAST_ACK", "LAST_ACK"),
        ("CLOSING", "CLOSING"),
        ("CLOSED", "CLOSE"),
        ("BOUND", "CLOSE"),
        ("DELETE_TCB", "CLOSE"),
        ("ABHÖREN", "LISTEN"),
        ("hergestellt", "ESTABLISHED"),
        ("SCHLIESSEN_WARTEN", "CLOSE_WAIT"),
        ("ZULETZT_ACK", "LAST_ACK"),
        ("NO_SUCH_STATE", "UNKNOWN"),
    ],
)
@pytest.mark.parametrize("tail", ["", "   77", "   77   InHost", "   InHost"])
def test_states_are_put_in_the_words_all_dialects_share(word: str, state: str, tail: str) -> None:
    socket = one(f"  TCP    192.0.2.7:80    198.51.100.9:61022   {word}{tail}")
    assert socket.state == state
    assert socket.pid == (77 if "77" in tail else None)


def test_a_process_of_number_0_is_none_because_0_owns_no_socket() -> None:
    assert one("  TCP  192.0.2.7:80  198.51.100.9:61022  TIME_WAIT  0").pid is None
    assert one("  TCP  192.0.2.7:80  198.51.100.9:61022  ESTABLISHED  4").pid == 4


def test_the_offload_state_and_the_template_are_kept() -> None:
    parsed = parse(
        "  TCP    192.0.2.7:80    198.51.100.9:1   ESTABLISHED     77       Offloaded",
        "  TCP    192.0.2.7:80    198.51.100.9:2   SCHLIESSEN_WARTEN    InHost",
        "  TCP    192.0.2.7:80    198.51.100.9:3   ESTABLISHED     Internet",
        "  TCP    192.0.2.7:80    0.0.0.0:0        LISTENING       Not Applicable",
        "  TCP    192.0.2.7:81    0.0.0.0:0        HLUSTAR Á       Á vél",
    )
    assert parsed.rejected == []
    assert [more(parsed, at) for at in range(5)] == [
        {"offload": "Offloaded"},
        {"offload": "InHost"},
        {"template": "Internet"},
        {"template": "Not Applicable"},
        {"state": "HLUSTAR Á", "offload": "Á vél"},
    ]


def test_a_bound_port_is_no_listener() -> None:
    parsed = parse(
        "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064",
        "  TCP    0.0.0.0:49690          0.0.0.0:0              BOUND           5120",
    )
    assert [socket.state for socket in parsed.sockets] == ["LISTEN", "CLOSE"]
    assert parsed.sockets[1].foreign_port is None
    assert more(parsed, 1) == {"state": "BOUND"}


def test_of_two_unknown_words_that_of_the_endpoint_mapper_is_the_listener() -> None:
    parsed = parse(
        "  TCP    0.0.0.0:49690          0.0.0.0:0              BUNDIN          5120",
        "  TCP    0.0.0.0:135            0.0.0.0:0              HLUSTAR         1064",
        "  TCP    0.0.0.0:8080           0.0.0.0:0              HLUSTAR         7716",
    )
    assert [socket.state for socket in parsed.sockets] == ["UNKNOWN", "LISTEN", "LISTEN"]


def test_an_unknown_word_beside_a_known_listener_is_no_listener() -> None:
    parsed = parse(
        "  TCP    0.0.0.0:49690          0.0.0.0:0              BUNDIN          5120",
        "  TCP    0.0.0.0:8080           0.0.0.0:0              ABHÖREN         7716",
    )
    assert [socket.state for socket in parsed.sockets] == ["UNKNOWN", "LISTEN"]


def test_programs_and_components_belong_to_the_row_above() -> None:
    parsed = parse(
        "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064",
        "  RpcSs",
        " [svchost.exe]",
        "  TCP    0.0.0.0:445            0.0.0.0:0              LISTENING       4",
        " Can not obtain ownership information",
        "  TCP    0.0.0.0:5040           0.0.0.0:0              LISTENING       6704",
        "  CDPSvc",
        " 无法获取所有权信息",
        "  TCP    192.0.2.7:1037         198.51.100.9:80        ESTABLISHED     1728",
        "  c:\\windows\\system32\\WS2_32.dll",
        "  -- unknown component(s) --",
        " [My Agent 2.exe]",
        "  UDP    0.0.0.0:5353           *:*                                    2044",
        " [browser.exe]",
    )
    assert parsed.rejected == []
    assert parsed.row_lines == 14
    assert [socket.program for socket in parsed.sockets] == [
        "svchost.exe", None, None, "My Agent 2.exe", "browser.exe",
    ]  # fmt: skip
    assert [more(parsed, at) for at in range(5)] == [
        {"component": "RpcSs"},
        {},
        {"component": "CDPSvc"},
        {"component": "c:\\windows\\system32\\WS2_32.dll, -- unknown component(s) --"},
        {},
    ]
    assert parsed.tables.remarks == ["Windows did not tell the programs of some sockets"]


def test_what_stands_apart_from_a_row_is_not_its_program() -> None:
    parsed = parse(
        " [first.exe]",
        "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064",
        "",
        " [second.exe]",
        "  TCP    0.0.0.0:99999          0.0.0.0:0              LISTENING       4",
        " [third.exe]",
        "C:\\Users\\ops>",
        " [fourth.exe]",
    )
    assert [socket.program for socket in parsed.sockets] == [None]
    assert [line.text.strip() for line in parsed.rejected] == [
        "[first.exe]",
        "[second.exe]",
        "TCP    0.0.0.0:99999          0.0.0.0:0              LISTENING       4",
        "[third.exe]",
        "C:\\Users\\ops>",
        "[fourth.exe]",
    ]


def test_a_name_of_a_host_is_kept_as_a_name() -> None:
    socket = one("  TCP    ws7:49820      cdn-edge-9.example.net:https       ESTABLISHED")
    assert (socket.local_ip, socket.foreign_ip) == ("ws7", "cdn-edge-9.example.net")
    assert (socket.local_port, socket.foreign_port) == (49820, 443)
    assert socket.flags == Flag.LOCAL_NAME | Flag.FOREIGN_NAME
    assert one("  TCP  [::1]:9  [ws7]:https  ESTABLISHED").foreign_ip == "ws7"


def test_the_own_name_at_the_foreign_end_of_a_listener_is_nobody() -> None:
    socket = one("  TCP    [::]:epmap            WS-ACCOUNTS7:0         LISTENING")
    assert (socket.local_port, socket.foreign_ip, socket.foreign_port) == (135, "::", None)
    assert socket.flags == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("  TCP    0.0.0.0:65536   0.0.0.0:0   LISTENING   4", "port is not a number"),
        ("  TCP    0.0.0.0:80   0.0.0.0:0   LISTENING   99999999999", "PID is not a number"),
        ("  TCP    0.0.0.0:80   0.0.0.0:nosuchservice   LISTENING   4", "service is not known"),
        ("  TCP    a/b:80   0.0.0.0:0   LISTENING   4", "address not understood"),
        ("  TCP    0.0.0.0:80", "columns are missing"),
        ("  nonsense", "not a row of a table of sockets"),
    ],
)
def test_what_is_no_row_is_rejected_with_its_reason(row: str, reason: str) -> None:
    parsed = parse(row)
    (rejected,) = parsed.rejected
    assert reason in rejected.reason
    assert parsed.sockets == []


def test_endpoints_of_rdma_are_rejected_in_words() -> None:
    rdma = (
        "\nActive NetworkDirect Connections, Listeners, SharedEndpoints\n\n"
        "  Mode   IfIndex Type           Local Address          Foreign Address        PID\n\n"
        "  Kernel       9 Listener       192.0.2.61:445         NA                     0\n"
    )
    parsed = parsers.parse(f"{HEADING}{rdma}")
    assert (parsed.found, parsed.sockets) == (("sockets",), [])
    assert [line.reason for line in parsed.rejected] == [
        "endpoints of NetworkDirect (RDMA) are not read"
    ]
    assert parsed.header_lines == 3
    with pytest.raises(ParseError):
        parsers.parse(rdma)


def test_lower_case_rows_stay_with_the_dialects_that_print_them() -> None:
    with pytest.raises(ParseError):
        parsers.parse("  Tcp    0.0.0.0:135   0.0.0.0:0   LISTENING   1064\n")
    linux = "tcp        0      0 0.0.0.0:22    0.0.0.0:*    LISTEN      1/sshd\n"
    assert parsers.parse(linux).dialect == "net-tools"


PORTS = st.integers(1, 65535)


@st.composite
def sockets(draw: st.DrawFn) -> Socket:
    """A socket as Windows shows it with -ano."""
    family = draw(st.sampled_from([4, 6]))
    ips = (st.ip_addresses(v=4) if family == 4 else st.ip_addresses(v=6)).filter(
        lambda ip: (
            not ip.is_unspecified
            and (ipaddress.ip_address(ip).version == 4 or not str(ip).startswith("::ffff:"))
        )
    )
    any_ip = "::" if family == 6 else "0.0.0.0"
    base = draw(st.sampled_from(["tcp", "udp"]))
    state = draw(st.sampled_from([state for state in TCP_STATES if state != "UNKNOWN"]))
    connected = base == "tcp" and state not in ("LISTEN", "CLOSE")
    return Socket(
        protocol=base + ("6" if family == 6 else ""),
        recv_queue=None,
        send_queue=None,
        local_ip=str(draw(ips)),
        local_port=draw(PORTS),
        foreign_ip=str(draw(ips)) if connected else any_ip,
        foreign_port=draw(PORTS) if connected else None,
        state=state if base == "tcp" else None,
        pid=draw(st.integers(1, 2**31 - 1)),
        program=None,
    )


def as_windows(socket: Socket) -> str:
    near, far = (
        f"[{ip}]" if socket.protocol.endswith("6") else ip
        for ip in (socket.local_ip, socket.foreign_ip)
    )
    foreign = f"{far}:{socket.foreign_port or 0}" if socket.state else "*:*"
    words = {"LISTEN": "LISTENING", "CLOSE": "CLOSED", "SYN_RECV": "SYN_RECEIVED"}
    state = words.get(socket.state or "", socket.state or "")
    return (
        f"  {socket.protocol[:3].upper():<6} {f'{near}:{socket.local_port}':<22} "
        f"{foreign:<22} {state:<15} {socket.pid}"
    )


@given(st.lists(sockets(), min_size=1))
def test_sockets_printed_as_windows_prints_them_are_read_back(rows: list[Socket]) -> None:
    parsed = parse(*map(as_windows, rows))
    assert parsed.rejected == []
    assert parsed.sockets == rows
