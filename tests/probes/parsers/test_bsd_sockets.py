"""One odd row of the BSDs' socket tables a test. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Parsed, ParseError, Socket
from probes.parsers.records import Details, Timer

MACOS = (
    "Active Internet connections (including servers)\n"
    "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    \n"
)
FREEBSD = MACOS.replace("Send-Q  Local", "Send-Q Local")
NETBSD = MACOS.replace("(state)    ", "State")


def parse(line: str, *, under: str = MACOS, wide: bool = False) -> Parsed:
    return parsers.parse(f"{under}{line}\n", wide=wide)


def row(line: str, *, under: str = MACOS, wide: bool = False) -> Socket:
    parsed = parse(line, under=under, wide=wide)
    assert not parsed.rejected, parsed.rejected
    (socket,) = parsed.tables.sockets
    return socket


def reason(line: str, *, under: str = MACOS) -> str:
    parsed = parse(line, under=under)
    assert not parsed.tables.sockets, parsed.tables.sockets
    (rejected,) = parsed.rejected
    return rejected.reason


def ends(text: str, *, word: str = "udp4", wide: bool = False) -> tuple[str, int | None, int]:
    socket = row(f"{word}       0      0  {text}      *.*", wide=wide)
    return socket.local_ip, socket.local_port, socket.flags & ~Flag.FOREIGN_STAR


@pytest.mark.parametrize(
    ("word", "text", "ip", "port"),
    [
        ("udp4", "127.0.0.1.631", "127.0.0.1", 631),
        ("udp4", "*.80", "0.0.0.0", 80),
        ("udp4", "*.*", "0.0.0.0", None),
        ("udp6", "*.80", "::", 80),
        ("udp6", "*.*", "::", None),
        ("udp6", "::1.22", "::1", 22),
        ("udp6", "fe80::1%lo0.123", "fe80::1%lo0", 123),
        ("udp6", "2001:db8::5.53", "2001:db8::5", 53),
        ("udp4", "*.mdns", "0.0.0.0", 5353),
        ("udp6", "::1.domain", "::1", 53),
        ("udp", "10.0.0.1.53", "10.0.0.1", 53),
    ],
)
def test_the_port_stands_behind_the_last_dot(
    word: str, text: str, ip: str, port: int | None
) -> None:
    assert ends(text, word=word) == (ip, port, 0)


@pytest.mark.parametrize(
    ("text", "ip", "port"),
    [
        ("localhost.ipp", "localhost", 631),
        ("host.example.https", "host.example", 443),
        ("192-0-2-1.lan.50123", "192-0-2-1.lan", 50123),
        ("Mina-Mac.ssh", "mina-mac", 22),
    ],
)
def test_a_name_is_kept_as_a_name(text: str, ip: str, port: int) -> None:
    assert ends(text) == (ip, port, Flag.LOCAL_NAME)


def test_a_dual_stack_socket_is_bound_to_all_of_both() -> None:
    socket = row("tcp46      0      0  *.80                   *.*                    LISTEN")
    assert socket == Socket(
        "tcp6",
        0,
        0,
        "::",
        80,
        "::",
        None,
        "LISTEN",
        None,
        None,
        Flag.LOCAL_STAR | Flag.FOREIGN_STAR,
    )


def test_a_dual_stack_socket_that_is_connected_has_no_star() -> None:
    socket = row("tcp46      0      0  10.0.0.5.80      10.0.0.6.4000      ESTABLISHED")
    assert socket[:7] == ("tcp6", 0, 0, "10.0.0.5", 80, "10.0.0.6", 4000)
    assert socket.flags == 0


def test_an_address_as_long_as_a_cut_one_is_marked() -> None:
    assert ends("2001:db8:1:2:3:4.53", word="udp6") == (
        "2001:db8:1:2:3:4", 53, Flag.LOCAL_TRUNCATED,
    )  # fmt: skip
    assert ends("2001:db8:77::abc.53", word="udp6") == (
        "2001:db8:77::abc", 53, Flag.LOCAL_TRUNCATED,
    )  # fmt: skip
    assert ends("a-very-long-name.http") == (
        "a-very-long-name", 80, Flag.LOCAL_NAME | Flag.LOCAL_TRUNCATED,
    )  # fmt: skip


@pytest.mark.parametrize("cut", ["fe80::1c2d:3e4f%", "fe80::aede:48ff:", "2001:db8:aaaa:bb"])
def test_a_cut_address_is_kept_as_it_was_printed(cut: str) -> None:
    assert ends(f"{cut}.1024", word="udp6") == (cut, 1024, Flag.LOCAL_TRUNCATED)


def test_nothing_is_cut_where_the_caller_knows_so() -> None:
    assert ends("2001:db8:77::abc.53", word="udp6", wide=True) == ("2001:db8:77::abc", 53, 0)


def test_a_longer_address_shows_that_nothing_in_its_table_was_cut() -> None:
    text = (
        f"{MACOS}"
        "udp6       0      0  2001:db8:77::abc.53    *.*\n"
        "udp6       0      0  2001:db8:77:1:2:3:4:5.53    *.*\n"
        "udp6       0      0  2001:db8:77::abd.53    *.*\n"
    )
    flags = [socket.flags for socket in parsers.parse(text).tables.sockets]
    assert flags == [0, 0, 0]


def test_an_ipv4_address_is_never_cut() -> None:
    socket = row("tcp4  0  0  192.168.100.200.54321  192.168.100.201.54321  ESTABLISHED")
    assert socket.flags == 0
    assert socket.foreign_port == 54321


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CLOSED", "CLOSE"), ("LISTEN", "LISTEN"), ("SYN_SENT", "SYN_SENT"),
        ("SYN_RCVD", "SYN_RECV"), ("ESTABLISHED", "ESTABLISHED"), ("CLOSE_WAIT", "CLOSE_WAIT"),
        ("FIN_WAIT_1", "FIN_WAIT1"), ("CLOSING", "CLOSING"), ("LAST_ACK", "LAST_ACK"),
        ("FIN_WAIT_2", "FIN_WAIT2"), ("TIME_WAIT", "TIME_WAIT"), ("ESTABLISHED*", "ESTABLISHED"),
        ("12", "UNKNOWN"), ("SYNSEN", "SYN_SENT"), ("SYSRCV", "SYN_RECV"), ("TMWAIT", "TIME_WAIT"),
    ],
)  # fmt: skip
def test_states_are_given_in_our_words(word: str, state: str) -> None:
    assert row(f"tcp4  0  0  10.0.0.1.22  10.0.0.2.4000  {word}").state == state


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("tcp4       0      0  10.0.0.1.22      10.0.0.2.4000", "state is missing"),
        ("tcp4       0      0  10.0.0.1.22      10.0.0.2.4000   SLEEPING", "no state"),
        ("tcp4       0      0  10.0.0.1.22", "columns are missing"),
        ("tcp4       0  10.0.0.1.22   *.*  LISTEN", "heading"),
        ("tcp4       0      0  10.0.0.1.70000   *.*  LISTEN", "port"),
        ("tcp4       0      0  10.0.0.1.no-such-service   *.*  LISTEN", "service"),
        ("tcp4       0      0  10.0.0.300.80    *.*  LISTEN", "address"),
        ("tcp4       0      0  localhost    *.*  LISTEN", "dot"),
        ("tcp4  99999999999999999999      0  10.0.0.1.80    *.*  LISTEN", "queue"),
        ("udp4       0      0  *.53    *.*   more", "heading"),
        ("foo4       0      0  *.53    *.*", "protocol is not known"),
        ("div4       0      0  *.8668    *.*", "sockets of this kind are not read"),
        ("kevt       0      0      1      1     11", "sockets of this kind are not read"),
        ("???", "not a row"),
    ],
)
def test_what_is_no_row_is_rejected_with_its_reason(line: str, word: str) -> None:
    if line == "???":
        assert parse(line).header_lines == 3  # the tool's own remark that its list changed
    else:
        assert word in reason(line)


def test_a_remark_of_the_tool_is_no_row() -> None:
    parsed = parse("Some tcp sockets may have been created or deleted.")
    assert (parsed.header_lines, parsed.rejected) == (3, [])


def test_raw_sockets_have_the_number_of_their_protocol() -> None:
    assert row("igm4       0      0  *.*    *.*")[:5] == ("raw", 0, 0, "0.0.0.0", 2)
    assert row("icm6       0      0  *.*    *.*")[:5] == ("icmp6", 0, 0, "::", None)
    assert row("ip 4       0      0  *.*    *.*")[:5] == ("raw", 0, 0, "0.0.0.0", None)
    assert row("ip         0      0  *.*    *.*    89")[:5] == ("raw", 0, 0, "0.0.0.0", 89)


@pytest.mark.parametrize(
    ("line", "protocol"),
    [
        ("tcp4       0      0  127.0.0.1.631          *.*                    LISTEN", "tcp"),
        ("tcp        0      0  127.0.0.1.25           *.*                    LISTEN", "tcp"),
        ("tcp6       0      0  ::1.631                *.*                    LISTEN", "tcp6"),
        ("udp6       0      0  fe80::1%lo0.123        *.*", "udp6"),
        ("udp        0      0  *.68                   *.*", "udp"),
        ("tcp46      0      0  *.http                 *.*                    LISTEN", "tcp6"),
        ("fffff8001c44a000 tcp4  0  0 192.0.2.10.22  198.51.100.7.5021  ESTABLISHED", "tcp"),
    ],
)
def test_rows_without_a_heading_are_known_by_their_shape(line: str, protocol: str) -> None:
    for text in (line, f"{line}\n{line}\n"):
        parsed = parsers.parse(text)
        assert parsed.dialect == "bsd"
        assert not parsed.rejected
        assert {socket.protocol for socket in parsed.tables.sockets} == {protocol}
    assert parsers.identify(line) == "bsd"
    assert parsers.parse_sockets(line).sockets == parsers.parse(line).sockets


def test_rows_of_linux_are_not_taken_for_these() -> None:
    for line in (
        "tcp        0      0 127.0.0.1:631           0.0.0.0:*               LISTEN",
        "tcp6       0      0 ::1:631                 :::*                    LISTEN",
        "tcp        0      0 host.example:ipp        peer.example.com:https  ESTABLISHED",
    ):
        assert parsers.identify(line) == "net-tools"
        assert parsers.parse(line).dialect == "net-tools"


def test_a_headline_without_rows_is_an_empty_table() -> None:
    parsed = parsers.parse(MACOS)
    assert (parsed.found, parsed.sockets, parsed.header_lines) == (("sockets",), [], 2)


@pytest.mark.parametrize(
    ("heading", "line", "dialect"),
    [
        (MACOS, "tcp4  0  0  *.22  *.*  LISTEN", "macos"),
        (MACOS, "tcp   0  0  *.22  *.*  LISTEN", "bsd"),
        (FREEBSD, "tcp4  0  0  *.22  *.*  LISTEN", "freebsd"),
        (NETBSD, "tcp   0  0  *.22  *.*  LISTEN", "netbsd"),
        (MACOS.replace("(state)", "TCP-State"), "tcp   0  0  *.22  *.*  LISTEN", "openbsd"),
        (MACOS.replace("Internet ", "Internet6 "), "tcp6  0  0  *.22  *.*  LISTEN", "bsd"),
    ],
)
def test_the_heading_tells_which_of_them_it_is(heading: str, line: str, dialect: str) -> None:
    parsed = parse(line, under=heading)
    assert parsed.dialect == dialect
    assert not parsed.rejected
    assert parsed.header_lines == 2


def test_a_heading_of_netbsd_in_squeezed_blanks_still_lets_its_rows_be_read() -> None:
    parsed = parse("tcp 0 0 *.22 *.* LISTEN", under=NETBSD.replace("  ", " "))
    assert [socket.local_port for socket in parsed.tables.sockets] == [22]


OLD = MACOS.replace("(state)    ", "(state)     rhiwat shiwat    pid   epid")
NEW = MACOS.replace(
    "(state)    ",
    "(state)     rxbytes txbytes  rhiwat  shiwat   process:pid    state  options",
)


def test_macos_shows_pids_in_a_column_of_their_own() -> None:
    socket = row("tcp4  0  0  *.22  *.*  LISTEN      131072 131072    644      0", under=OLD)
    assert (socket.pid, socket.program) == (644, None)


def test_a_pid_of_zero_is_nobody() -> None:
    assert row("udp4  0  0  *.22  *.*     131072 131072    0      0", under=OLD).pid is None


@pytest.mark.parametrize(
    ("cell", "pid", "program"),
    [
        ("httpd:2210  ", 2210, "httpd"),
        ("Browser Helper (:7", 7, "Browser Helper ("),
        ("a b:c d:9", 9, "a b:c d"),
        (":12", 12, None),
        ("kernel_task:0", None, None),
    ],
)
def test_macos_shows_a_name_with_the_pid(cell: str, pid: int | None, program: str | None) -> None:
    line = f"tcp4  0  0  *.22  *.*  LISTEN   1  2  131072  131072   {cell}   00102 00000020"
    socket = row(line, under=NEW)
    assert (socket.pid, socket.program) == (pid, program)


def test_a_process_and_its_effective_one_are_kept_apart() -> None:
    heading = NEW.replace("process:pid   ", "process:pid   eprocess:epid  ")
    start = "udp4  0  0  *.53  *.*   1  2  131072  131072   "
    told = parse(f"{start}named:53     helper one:99    00102 00000020", under=heading)
    assert told.tables.sockets[0][8:10] == (53, "named")
    assert dict(told.tables.details[0].more)["eprocess"] == "helper one"
    assert dict(told.tables.details[0].more)["epid"] == "99"
    none = parse(f"{start}named:53              :       00102 00000020", under=heading)
    assert none.tables.sockets[0][8:10] == (53, "named")
    assert {"eprocess", "epid"}.isdisjoint(dict(none.tables.details[0].more))


def test_columns_that_do_not_match_their_heading_are_no_row() -> None:
    assert "heading" in reason("tcp4  0  0  *.22  *.*  LISTEN  131072 131072    644", under=OLD)
    assert "heading" in reason("tcp4  0  0  *.22  *.*  LISTEN  1  2  3  4  httpd", under=NEW)


def test_an_address_of_the_kernel_in_front_is_kept() -> None:
    heading = FREEBSD.replace("Proto", "Tcpcb            Proto")
    parsed = parse("fffff8001c44a400 tcp6  0  0 *.22  *.*  LISTEN", under=heading)
    assert parsed.tables.details[0] == Details(more=(("pcb", "fffff8001c44a400"),))
    assert parsed.dialect == "freebsd"


def test_macos_puts_a_flow_behind_the_address_of_the_kernel() -> None:
    heading = MACOS.replace("Proto", "Socket           Flowhash Proto")
    line = "a3c1d5f0e1b20011  e0c2a4d1 tcp4  0  0  *.22  *.*  LISTEN"
    parsed = parse(line, under=heading)
    assert dict(parsed.tables.details[0].more) == {
        "pcb": "a3c1d5f0e1b20011", "flowhash": "e0c2a4d1",
    }  # fmt: skip
    assert parsed.dialect == "macos"


def test_a_port_that_may_have_lost_digits_beside_the_kernels_address_is_marked() -> None:
    heading = FREEBSD.replace("Proto", "Tcpcb            Proto")
    line = "fffff8001c44a400 tcp4  0  0 192.168.100.200.54 192.168.1.1.22  ESTABLISHED"
    assert row(line, under=heading).flags == Flag.LOCAL_TRUNCATED


def test_timers_of_freebsd_are_timers() -> None:
    heading = FREEBSD.replace(
        "(state)",
        " R-MBUF S-MBUF R-CLUS S-CLUS R-HIWA S-HIWA R-LOWA S-LOWA R-BCNT S-BCNT R-BMAX S-BMAX"
        "   rexmt persist    keep    2msl  delack rcvtime",
    )
    buffers = "0 1 0 0 66608 33304 1 2048 0 2304 532864 266432"
    line = f"tcp4 0 44 10.0.0.1.22 10.0.0.2.5000 {buffers} 0.00 0.00 7199.98 0.00 0.00 0.02"
    parsed = parse(line, under=heading)
    assert parsed.tables.details[0].timer == Timer("keepalive", 7199.98, None, None)
    assert parsed.tables.sockets[0].state is None
    parsed = parse(f"udp4 0 0 *.514 *.* {buffers}", under=heading)
    assert parsed.tables.details[0].timer is None
    assert dict(parsed.tables.details[0].more)["r-hiwa"] == "66608"


def test_stack_and_congestion_control_of_freebsd_are_kept() -> None:
    heading = FREEBSD.replace(
        "(state)    ", "(state)     Stack   CC          cwin   ssthresh   MSS ECN"
    )
    parsed = parse(
        "tcp4 0 0 10.0.0.1.22 10.0.0.2.5000 ESTABLISHED freebsd cubic 14480 1073725440 1448 off\n"
        "udp4 0 0 *.514 *.*",
        under=heading,
    )
    assert not parsed.rejected
    assert dict(parsed.tables.details[0].more)["cc"] == "cubic"
    assert 1 not in parsed.tables.details


def test_a_listen_queue_is_that_of_a_listener() -> None:
    parsed = parsers.parse("tcp46 3/1/511        *.8080\n0/0/128    ::1.22\n")
    assert [socket[:8] for socket in parsed.tables.sockets] == [
        ("tcp6", 3, 511, "::", 8080, "::", None, "LISTEN"),
        ("tcp6", 0, 128, "::1", 22, "::", None, "LISTEN"),
    ]
    assert parsed.tables.details[0].more == (("incqlen", "1"),)
    assert parsed.tables.sockets[0].flags == Flag.LOCAL_STAR


def test_a_listening_unix_socket_among_listen_queues_is_one() -> None:
    text = "Current listen queue sizes (qlen/incqlen/maxqlen)\nunix  1/0/50      /tmp/my sock\n"
    (unix,) = parsers.parse(text).tables.unix
    assert (unix.state, unix.path, unix.recv_queue, unix.send_queue) == (
        "LISTEN", "/tmp/my sock", 1, 50,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("tcp4  0/0      *.80", "not a row"),
        ("foo4  0/0/1    *.80", "protocol"),
        ("tcp4  0/0/1    *.80 more", "more columns"),
    ],
)
def test_what_is_no_listen_queue_is_rejected(line: str, word: str) -> None:
    under = "Current listen queue sizes (qlen/incqlen/maxqlen)\n"
    assert word in reason(line, under=under)


@pytest.mark.parametrize(
    ("state", "ours"),
    [("LISTEN", "LISTEN"), ("COOKIE_WAIT", "SYN_SENT"), ("SHUTDOWN_ACK_SENT", "LAST_ACK")],
)
def test_states_of_sctp_are_given_in_words_of_tcp(state: str, ours: str) -> None:
    under = "Active SCTP associations\nProto  Type  Local Address  Foreign Address  (state)\n"
    assert row(f"sctp6  1toN  ::1.3868   ::1.4000   {state}", under=under)[:8] == (
        "sctp6", None, None, "::1", 3868, "::1", 4000, ours,
    )  # fmt: skip
    assert "state" in reason("sctp4  1to1  *.3868  DOZING", under=under)


@pytest.mark.parametrize(
    "heading",
    [
        "Active Multipath Internet connections",
        "Active kernel event sockets",
        "Active kernel control sockets",
        "Registered kernel control modules",
    ],
)
def test_a_table_that_has_no_network_sockets_says_so(heading: str) -> None:
    parsed = parsers.parse(f"{MACOS}{heading}\nsome row of it\n")
    assert parsed.sockets == []
    assert parsed.rejected[0].reason.startswith(("subflows of", "sockets between"))


def test_a_table_of_kernel_sockets_is_no_table_of_sockets() -> None:
    with pytest.raises(ParseError, match="no socket table"):
        parsers.parse_sockets("Registered kernel control modules\nid  flags  pcbcount\n")
