"""What ss tells of a socket beside its row: timers, owners, holders, lines that go on."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Parsed, Socket, ss, ss_details
from probes.parsers.records import Details, Holder, Timer

HEADER = "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"
ROW = "tcp   ESTAB  0      0      10.0.0.1:80         10.0.0.2:9        "
USERS = 'users:(("x",pid=1,fd=2))'


def table(*lines: str, header: str = HEADER) -> Parsed:
    return parsers.parse(header + "\n".join(lines))


def details(*lines: str) -> Details:
    parsed = table(*lines)
    assert not parsed.rejected, parsed.rejected
    assert list(parsed.tables.details) == [0]
    return parsed.tables.details[0]


@pytest.mark.parametrize(
    ("text", "timer"),
    [
        ("(keepalive,1min59sec,0)", Timer("keepalive", 119.0, None, 0)),
        ("(keepalive,119min,2)", Timer("keepalive", 7140.0, None, 2)),
        ("(on,340ms,1)", Timer("on", 0.34, 1, None)),
        ("(on,029ms,0)", Timer("on", 0.029, 0, None)),
        ("(on,3.264ms,5)", Timer("on", 3.264, 5, None)),
        ("(timewait,58sec,0)", Timer("timewait", 58.0, 0, None)),
        ("(persist,,3)", Timer("probe", 0.0, None, 3)),
        ("(on,soon,1)", Timer("on", None, 1, None)),
    ],
)
def test_a_timer_is_read_in_seconds_and_with_what_it_counts(text: str, timer: Timer) -> None:
    assert details(f"{ROW} {USERS} timer:{text}").timer == timer
    assert details(f"{ROW} timer:{text}").timer == timer


def test_a_timer_that_cannot_be_read_is_no_timer() -> None:
    assert details(f"{ROW} {USERS} timer:(on,1sec").timer is None


def test_owner_inode_and_all_else_of_e_are_kept() -> None:
    known = details(f"{ROW} {USERS} uid:1000 ino:16791 sk:7 cgroup:/a.slice v6only:1 <->")
    assert (known.user, known.inode) == ("1000", 16791)
    assert dict(known.more) == {
        "sk": "7",
        "cgroup": "/a.slice",
        "v6only": "1",
        "directions": "<->",
    }


def test_ss_leaves_out_the_user_where_it_is_root_and_knows_none_without_an_inode() -> None:
    assert details(f"{ROW} ino:16791 sk:7 <->").user == "0"
    known = details(f"{ROW} ino:0 sk:7")
    assert (known.user, known.inode) == (None, None)


def test_all_holders_are_kept_and_the_row_has_the_lowest_pid() -> None:
    line = f'{ROW} users:(("b",pid=12,fd=6),("a",pid=9,fd=7),("b",pid=30,fd=1))'
    parsed = table(line)
    assert parsed.sockets[0][8:10] == (9, "a")
    assert parsed.tables.details[0].holders == (
        Holder(12, "b", 6),
        Holder(9, "a", 7),
        Holder(30, "b", 1),
    )
    assert parsed.sockets == parsers.parse_lines([line], "ss").sockets


def test_one_holder_alone_is_in_the_row_and_nowhere_else() -> None:
    assert table(f"{ROW} {USERS}").tables.details == {}


def test_a_security_context_is_no_part_of_what_follows() -> None:
    users = 'users:(("x",pid=1,proc_ctx=u:r:t:s0,fd=2,sock_ctx=u:r:t:s0)) uid:7 ino:3'
    parsed = table(f"{ROW} {users}")
    assert parsed.sockets[0][8:10] == (1, "x")
    assert parsed.tables.details[0] == Details(user="7", inode=3)


def test_a_line_after_a_tab_goes_on_with_the_row_before() -> None:
    known = details(
        f"{ROW} {USERS}",
        "\t skmem:(r0,rb131072,t0) ts sack cubic wscale:7,7 rtt:0.024/0.012 send 12bps"
        " pacing_rate 3bps/4bps busy:12ms rwnd_limited:0ms(0.0%) app_limited",
    )
    assert dict(known.more) == {
        "skmem": "(r0,rb131072,t0)",
        "ts": "yes",
        "sack": "yes",
        "cubic": "yes",
        "wscale": "7,7",
        "rtt": "0.024/0.012",
        "send": "12bps",
        "pacing_rate": "3bps/4bps",
        "busy": "12ms",
        "rwnd_limited": "0ms(0.0%)",
        "app_limited": "yes",
    }


def test_what_stands_in_brackets_is_one_value() -> None:
    known = details(ROW, "\t inet-sockopt: ( recverr is_icsk ) flags( running auxdata ) mss:9")
    assert dict(known.more) == {
        "inet-sockopt": "( recverr is_icsk )",
        "flags": "( running auxdata )",
        "mss": "9",
    }


def test_what_is_told_of_a_socket_has_a_limit() -> None:
    words = " ".join(f"word{number}:{'x' * 400}" for number in range(150))
    known = details(ROW, f"\t {words}")
    assert len(known.more) == 128
    assert max(len(value) for _, value in known.more) == 255


def test_a_line_that_goes_on_with_a_rejected_row_is_rejected() -> None:
    parsed = table(ROW, "nl UNCONN 0 0 0:0 *", "\t skmem:(r0)")
    assert [rejected.line for rejected in parsed.rejected] == [3, 4]
    assert "not read" in parsed.rejected[1].reason
    assert parsed.tables.details == {}


def test_with_o_all_is_on_one_line() -> None:
    known = details(f"{ROW} {USERS} timer:(on,340ms,1) uid:5 ino:7 sk:1 <-> ts sack bbr rto:408")
    assert (known.user, known.inode) == ("5", 7)
    assert known.more[-1] == ("rto", "408")
    assert dict(details(f"{ROW} ts sack cubic rto:408").more)["cubic"] == "yes"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (ROW, True),
        (f"{ROW} {USERS}", True),
        (f"{ROW} {USERS}   ", True),
        ("nl UNCONN 0 0 0:0 *", True),
        (f"{ROW} {USERS} ino:7", True),
        (f'{ROW} users:(("x",pid=1,fd=2),("x",pid=2,fd=2))', True),
        (f"{ROW} timer:(on,340ms,1)", True),
        ("\t cubic rto:204", False),
        ("LISTEN 0 128 0.0.0.0:22 0.0.0.0:*", False),
        ("tcp LISTEN 0 128 localhost:22 0.0.0.0:*", False),
        ("State  Recv-Q Send-Q Local Address:Port  Peer Address:Port", False),
    ],
)
def test_the_fast_reader_knows_when_a_line_needs_those_around_it(line: str, *, plain: bool) -> None:
    reader = ss.Reader(wide=False)
    for _ in range(3):  # the second time, the columns are known
        reader.feed(f"{ROW} {USERS}\n{line}\n{ROW}")
    assert reader.plain is plain


ALONE = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"


def of_one_protocol(*lines: str, header: str = ALONE) -> tuple[list[Socket], str]:
    parsed = table(*lines, header=header)
    assert not parsed.rejected, parsed.rejected
    assert len(parsed.tables.remarks) == 1
    return parsed.sockets, parsed.tables.remarks[0].rpartition(" ")[2]


LISTENER = "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*"
CONNECTED = "ESTAB 0 0 10.0.0.1:22 10.0.0.2:999"
CONNECTED6 = "ESTAB 0 0 [::1]:22 [::1]:999"
UNCONNECTED = "UNCONN 0 0 0.0.0.0:53 0.0.0.0:*"


def test_a_state_that_only_tcp_has_makes_the_table_one_of_tcp() -> None:
    sockets, taken_for = of_one_protocol(CONNECTED, LISTENER, CONNECTED6)
    assert taken_for == "tcp"
    assert [(socket.protocol, socket.state) for socket in sockets] == [
        ("tcp", "ESTABLISHED"),
        ("tcp", "LISTEN"),
        ("tcp6", "ESTABLISHED"),
    ]


def test_what_is_unconnected_makes_the_table_one_of_udp() -> None:
    sockets, taken_for = of_one_protocol(CONNECTED6, UNCONNECTED)
    assert taken_for == "udp"
    assert [(socket.protocol, socket.state) for socket in sockets] == [
        ("udp6", "ESTABLISHED"),
        ("udp", None),
    ]


def test_connected_sockets_alone_are_those_of_tcp() -> None:
    assert of_one_protocol(CONNECTED)[1] == "tcp"


def test_a_window_makes_the_table_one_of_tcp() -> None:
    sockets, taken_for = of_one_protocol(UNCONNECTED, "\t cubic cwnd:10")
    assert (taken_for, sockets[0].state) == ("tcp", "CLOSE")


def test_an_ip_protocol_by_its_name_makes_the_table_one_of_raw_sockets() -> None:
    sockets, taken_for = of_one_protocol("UNCONN 0 0 0.0.0.0:icmp 0.0.0.0:*", CONNECTED6)
    assert taken_for == "raw"
    assert [socket.protocol for socket in sockets] == ["raw", "raw6"]


def test_a_table_of_one_protocol_needs_no_heading() -> None:
    sockets, taken_for = of_one_protocol(LISTENER, CONNECTED, header="")
    assert (taken_for, len(sockets)) == ("tcp", 2)


@pytest.mark.parametrize(
    ("ports", "protocols"),
    [
        (("1", "58"), ["raw", "raw6"]),
        (("255", "58"), ["raw", "raw6"]),
        (("1", "53"), ["udp", "udp6"]),
        (("68", "58"), ["udp", "udp6"]),
    ],
)
def test_ports_that_are_all_ip_protocols_are_of_raw_sockets(
    ports: tuple[str, str], protocols: list[str]
) -> None:
    rows = f"UNCONN 0 0 0.0.0.0:{ports[0]} 0.0.0.0:*", f"UNCONN 0 0 [::]:{ports[1]} [::]:*"
    parsed = table(*rows, header=ALONE)
    assert [socket.protocol for socket in parsed.sockets] == protocols
    assert parsed.tables.remarks[0].endswith(f"taken for {protocols[0]}")


def test_sctp_is_known_by_its_associations() -> None:
    parsed = table("      `- ESTAB 0 0 10.0.0.1:38 10.0.0.2:39", header=ALONE)
    assert parsed.sockets[0].protocol == "sctp"
    assert parsed.tables.remarks == []


def test_without_states_a_row_has_none() -> None:
    header = "Netid Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"
    parsed = table(f"udp 0 0 [::1]:53 [::1]:5300 {USERS}", f"tcp 0 0 1.2.3.4:5 1.2.3.5:6 {USERS}",
                   header=header)  # fmt: skip
    assert parsed.dialect == "ss"
    assert [(socket.protocol, socket.state, socket.pid) for socket in parsed.sockets] == [
        ("udp6", None, 1),
        ("tcp", None, 1),
    ]
    assert "states" in parsed.tables.remarks[0]


def test_a_host_name_is_kept_as_one_where_the_whole_text_is_read() -> None:
    parsed = table("udp ESTAB 0 0 near.example:5301 [2001:db8::2]:domain",
                   "tcp LISTEN 0 5 localhost:ipp *:*")  # fmt: skip
    assert [socket[:1] + socket[3:7] + socket[10:] for socket in parsed.sockets] == [
        ("udp6", "near.example", 5301, "2001:db8::2", 53, parsers.Flag.LOCAL_NAME),
        ("tcp", "localhost", 631, "0.0.0.0", None,
         parsers.Flag.LOCAL_NAME | parsers.Flag.FOREIGN_STAR),
    ]  # fmt: skip


def test_a_descriptor_too_large_to_be_one_is_unknown() -> None:
    holders, rest = ss_details.holders(f'users:(("x",pid=1,fd={10**12})) uid:3')
    assert (holders, rest) == ((Holder(1, "x", None),), "uid:3")
