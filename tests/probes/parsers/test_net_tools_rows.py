"""One odd row of net-tools a test. Real outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Socket


def row(line: str, *, wide: bool = False) -> Socket:
    result = parsers.parse_lines([line], "net-tools", wide=wide)
    assert not result.rejected, result.rejected
    (socket,) = result.sockets
    return socket


def reason(line: str) -> str:
    result = parsers.parse_lines([line], "net-tools")
    assert not result.sockets, result.sockets
    ((rejected, why),) = result.rejected
    assert rejected == line
    return why


def udp(tail: str) -> Socket:
    return row(f"udp        0      0 0.0.0.0:53              0.0.0.0:*               {tail}")


def tcp(tail: str) -> Socket:
    return row(f"tcp        0      0 0.0.0.0:80              0.0.0.0:*               {tail}")


@pytest.mark.parametrize(
    ("column", "pid", "program"),
    [
        ("2007/nginx: master  ", 2007, "nginx: master"),
        ("5678/sshd: user [pr ", 5678, "sshd: user [pr"),
        ("17//usr/bin/x y/z:1 ", 17, "/usr/bin/x y/z:1"),
        ("24/                 ", 24, None),
        ("-                   ", None, None),
        ("", None, None),
        ("1234", 1234, None),
        ("nginx               ", None, "nginx"),
        ("sshd: user/pts      ", None, "sshd: user/pts"),
        ("12/1 2 3", 12, "1 2 3"),
    ],
)
def test_the_program_column_may_hold_anything(column: str, pid: int | None, program: str) -> None:
    assert tcp(f"LISTEN      {column}")[8:10] == (pid, program)
    assert udp(f"            {column}")[7:10] == (None, pid, program)


@pytest.mark.parametrize("name", ["LISTEN", "ESTABLISHED", "ESTABLISHED x", "UNKNOWN", "7", "-"])
def test_a_udp_program_named_like_a_state_is_a_program(name: str) -> None:
    assert udp(f"            123/{name}")[7:10] == (None, 123, name)


def test_a_udp_socket_that_is_connected_has_its_state_and_its_program() -> None:
    assert udp("ESTABLISHED 9/ESTABLISHED")[7:10] == ("ESTABLISHED", 9, "ESTABLISHED")
    assert udp("ESTABLISHED -   ")[7:10] == ("ESTABLISHED", None, None)
    assert udp("ESTABLISHED ")[7:10] == ("ESTABLISHED", None, None)
    assert udp("UNKNOWN     9/x ")[7:10] == ("UNKNOWN", 9, "x")


def test_a_udp_program_without_pid_that_is_named_like_a_tcp_state_is_a_program() -> None:
    assert udp("            LISTEN")[7:10] == (None, None, "LISTEN")


STATE_OF_UDP = [
    ("CLOSE       80/dhcp", (None, 80, "dhcp")),
    ("UNCONN      80/dhcp: eth0", (None, 80, "dhcp: eth0")),
    ("LISTEN      80/LISTEN", ("LISTEN", 80, "LISTEN")),
    ("CLOSE       -", (None, None, None)),
    ("CLOSE", (None, None, None)),
    ("CLOSE                           ", (None, None, None)),
    ("CLOSE       1000       5555       80/dhcp", (None, 80, "dhcp")),
    ("CLOSE       off (0.00/0/0)", (None, None, None)),
    ("CLOSE x", (None, None, "CLOSE x")),
    ("            CLOSE", (None, None, "CLOSE")),
    ("            77/LISTEN", (None, 77, "LISTEN")),
    ("123/ESTABLISHED x", (None, 123, "ESTABLISHED x")),
]


@pytest.mark.parametrize(("tail", "told"), STATE_OF_UDP)
@pytest.mark.parametrize("word", ["udp", "raw"])
def test_a_state_that_some_tools_print_of_udp_is_no_program(
    word: str, tail: str, told: tuple[str | None, int | None, str | None]
) -> None:
    line = f"{word}        0      0 {'0.0.0.0:72':<23} {'0.0.0.0:*':<23} {tail}"
    (alone,) = parsers.parse_lines([line], "net-tools").sockets
    if word == "raw":
        told = (None, *told[1:])
    assert alone[7:10] == told
    titled = parsers.parse("Active Internet connections (w/o servers)\n" + 3 * f"{line}\n")
    assert titled.sockets == [alone] * 3


def test_a_tcp_row_without_a_program_column_is_read() -> None:
    assert tcp("LISTEN      ")[7:10] == ("LISTEN", None, None)


@pytest.mark.parametrize("tail", ["", "     ", "123/nginx", "UNCONN 1/x", "listen 1/x"])
def test_a_tcp_row_needs_a_state_it_can_have(tail: str) -> None:
    line = f"tcp        0      0 0.0.0.0:80              0.0.0.0:*               {tail}"
    assert "state" in reason(line)


def test_states_of_other_spellings_are_given_in_our_words() -> None:
    assert tcp("LISTENING 1/x").state == "LISTEN"
    assert tcp("SYN_RCVD 1/x").state == "SYN_RECV"
    assert tcp("FIN_WAIT_2 -").state == "FIN_WAIT2"


def test_the_number_in_a_raw_socket_s_state_column_is_no_state() -> None:
    line = "raw        0      0 0.0.0.0:1               0.0.0.0:*               7           "
    assert row(line + "99/ping") == (
        "raw", 0, 0, "0.0.0.0", 1, "0.0.0.0", None, None, 99, "ping", 0,
    )  # fmt: skip
    assert row(line)[7:10] == (None, None, None)
    assert row(line.replace(" 7 ", "   ") + "99/ping")[7:10] == (None, 99, "ping")


def test_udpl_is_udplite() -> None:
    line = "udpl       0      0 0.0.0.0:7000            0.0.0.0:*                           17/cast"
    assert row(line)[:1] + row(line)[7:10] == ("udplite", None, 17, "cast")
    assert row(line.replace("udpl ", "udpl6").replace("0.0.0.0", "::")).protocol == "udplite6"


def test_a_listening_sctp_endpoint_has_neither_queues_nor_a_foreign_end() -> None:
    line = f"sctp                {'10.0.0.1:3868':<47} {'LISTEN':<11} 77/diameter"
    assert row(line) == (
        "sctp", None, None, "10.0.0.1", 3868, "0.0.0.0", None, "LISTEN", 77, "diameter", 0,
    )  # fmt: skip
    assert row(line.replace("10.0.0.1", "::"))[:6] == ("sctp6", None, None, "::", 3868, "::")


def test_an_sctp_association_is_a_row_and_its_further_addresses_are_not() -> None:
    line = "sctp       0      0 10.0.0.1:3868           10.0.0.2:40000          UNKNOWN(9)  -"
    assert row(line)[:8] == ("sctp", 0, 0, "10.0.0.1", 3868, "10.0.0.2", 40000, "UNKNOWN")
    assert reason(
        "                    10.1.0.1                10.1.0.2                            "
    )


def test_user_inode_and_timer_are_no_part_of_the_program() -> None:
    tail = "LISTEN      0          16791      17/my prog 3        off (0.00/0/0)"
    assert tcp(tail)[7:10] == ("LISTEN", 17, "my prog 3")
    assert tcp("TIME_WAIT   0          0          -     timewait (58.11/0/0)")[8:10] == (None, None)
    assert tcp("LISTEN      www-data   16791      ")[8:10] == (None, None)
    assert udp("            1000       5 17/x on2 (1.00/0/-1)")[7:10] == (None, 17, "x")


def test_a_long_queue_shifts_the_line_and_nothing_else() -> None:
    line = "tcp        0 3782144 127.0.0.1:60188         127.0.0.1:8080          ESTABLISHED 11/py"
    assert row(line)[:7] == ("tcp", 0, 3782144, "127.0.0.1", 60188, "127.0.0.1", 8080)
    assert row(line.replace("     0 3782144", f" {2**63 - 1} 1"))[1] == 2**63 - 1


@pytest.mark.parametrize("queue", ["9223372036854775808", str(2**70), "-1", "1e3", "x", "0x16"])
def test_a_queue_that_is_no_such_number_is_a_reason(queue: str) -> None:
    assert "queue" in reason(f"tcp  {queue}  0 1.2.3.4:5 1.2.3.4:6 LISTEN -")
    assert "queue" in reason(f"tcp  0  {queue} 1.2.3.4:5 1.2.3.4:6 LISTEN -")


@pytest.mark.parametrize(
    "port", ["65536", "99999", "-1", "no-such", "", "8_0", "２２", "+1", "1e1"]
)
def test_a_port_that_is_no_such_number_is_a_reason(port: str) -> None:
    head = "tcp        0      0 "
    assert "port" in reason(f"{head}1.2.3.4:{port:<10} 1.2.3.4:6 LISTEN -")
    assert "port" in reason(f"{head}1.2.3.4:5 1.2.3.4:{port} LISTEN -")


def test_ports_from_0_to_65535_are_read() -> None:
    line = "tcp        0      0 1.2.3.4:0 1.2.3.4:65535 ESTABLISHED -"
    assert row(line)[3:7] == ("1.2.3.4", 0, "1.2.3.4", 65535)


@pytest.mark.parametrize(
    "address",
    [
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "１.2.3.4",
        "host",
        "host.example.org",
        "[::",
        "1::2::3",
        ":",
        "::%a/b",
        "%",
    ],
)
def test_an_address_that_is_none_is_a_reason(address: str) -> None:
    assert "address" in reason(f"tcp        0      0 {address}:5 1.2.3.4:6 LISTEN -")
    assert "address" in reason(f"tcp6       0      0 ::1:5 {address}:6 LISTEN -")


@pytest.mark.parametrize("pid", ["2147483648", "99999999999999999999"])
def test_a_pid_no_system_has_is_a_reason(pid: str) -> None:
    assert "PID" in reason(f"tcp        0      0 1.2.3.4:5 1.2.3.4:6 LISTEN {pid}/x")


def test_a_tcp_row_with_ipv6_addresses_is_tcp6() -> None:
    line = "tcp        0      0 :::22                   :::*                    LISTEN      1/sshd"
    assert row(line)[:7] == ("tcp6", 0, 0, "::", 22, "::", None)


def test_a_mapped_address_is_given_as_ipv4_and_flagged() -> None:
    line = "tcp        0      0 ::ffff:10.0.0.1:80      ::ffff:10.0.0.2:51022   ESTABLISHED -"
    assert row(line)[3:7] == ("10.0.0.1", 80, "10.0.0.2", 51022)
    assert row(line).flags == Flag.LOCAL_MAPPED | Flag.FOREIGN_MAPPED


def test_the_random_zone_that_busybox_prints_for_a_raw_socket_is_left_out() -> None:
    line = "raw        0      0 ::%4017080989:58        ::%32:*                 58"
    assert row(line)[:7] == ("raw6", 0, 0, "::", 58, "::", None)


def test_other_ways_to_write_an_ipv6_address_are_made_one() -> None:
    line = "tcp6       0      0 2001:DB8:0:0:0:0:0:1:80 2001:0db8::1:0:2:9 LISTEN -"
    assert (row(line).local_ip, row(line).foreign_ip) == ("2001:db8::1", "2001:db8::1:0:2")


class TestAddressesCutWithoutW:
    """Each pair: the endpoint as -W prints it, and as it is without, of 23 characters."""

    HEAD = "tcp6       0      0 "
    CUT = (
        ("2001:db8:10:20:30:40:50:60:443", "2001:db8:10:20:30:4:443", "2001:db8:10:20:30:4"),
        ("2001:db8:a:b:c:d:0:7:57500", "2001:db8:a:b:c:d::57500", "2001:db8:a:b:c:d:"),
        ("2001:db8:1::aaaa:bbbb:42326", "2001:db8:1::aaaa::42326", "2001:db8:1::aaaa:"),
        ("2001:db8:1::abcd:bbbb:443", "2001:db8:1::abcd:bb:443", "2001:db8:1::abcd:bb"),
        ("::ffff:192.168.100.10:5432", "::ffff:192.168.100:5432", "::ffff:192.168.100"),
        ("::ffff:192.168.100.10:54321", "::ffff:192.168.10:54321", "::ffff:192.168.10"),
        ("2001:db8:aaaa:bbbb::1:65535", "2001:db8:aaaa:bbb:65535", "2001:db8:aaaa:bbb"),
        ("1:2:3:4:5:6:7:1234:65535", "1:2:3:4:5:6:7:123:65535", "1:2:3:4:5:6:7:123"),
    )

    @pytest.mark.parametrize(("whole", "cut", "shown"), CUT)
    def test_a_cut_address_is_never_taken_as_whole(self, whole: str, cut: str, shown: str) -> None:
        ip, port = whole.rpartition(":")[::2]
        assert cut == f"{ip[: 22 - len(port)]}:{port}"
        near = row(f"{self.HEAD}{cut} :::*                    LISTEN      1/x")
        assert near.flags & Flag.LOCAL_TRUNCATED
        assert (near.local_ip, near.local_port) == (shown, int(port))
        far = row(f"{self.HEAD}{'::1:5':<23} {cut} ESTABLISHED 1/x")
        assert far.flags == Flag.FOREIGN_TRUNCATED
        assert (far.foreign_ip, far.foreign_port) == (shown, int(port))

    def test_an_address_that_just_fits_may_be_cut_so_it_counts_as_cut(self) -> None:
        line = f"{self.HEAD}2001:db8:123:4::1:22222 :::*                    LISTEN      26/x"
        assert row(line).flags == Flag.LOCAL_TRUNCATED

    def test_an_address_that_just_fits_is_whole_where_w_is_known_to_be_asked_for(self) -> None:
        line = f"{self.HEAD}2001:db8:123:4::1:22222 :::*                    LISTEN      26/x"
        assert row(line, wide=True)[3:7] == ("2001:db8:123:4::1", 22222, "::", None)
        assert row(line, wide=True).flags == 0

    def test_a_longer_address_on_the_same_line_proves_that_none_was_cut(self) -> None:
        line = f"{self.HEAD}2001:db8:123:4::1:22222 2001:db8:a:b:c:d:0:7:57208 ESTABLISHED 1/x"
        assert row(line).flags == 0

    def test_what_is_no_address_even_when_wide_is_cut_all_the_same(self) -> None:
        line = f"{self.HEAD}2001:db8:10:20:30:4:443 :::*                    LISTEN      11/x"
        assert row(line, wide=True).flags == Flag.LOCAL_TRUNCATED

    def test_ipv4_is_never_cut(self) -> None:
        line = "tcp        0      0 192.168.100.100:65535   192.168.100.101:65535   LISTEN -"
        assert row(line).flags == 0


@pytest.mark.parametrize(
    "line",
    [
        "Active Internet connections (servers and established)",
        "Active Internet connections (only servers)",
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ",
        "(Not all processes could be identified, non-owned process info",
        " will not be shown, you would have to be root to see it all.)",
        '(No info could be read for "-p": geteuid()=1000 but you should be root.)',
        "netstat: no support for `AF INET (udplite)' on this system.",
    ],
)
def test_titles_and_remarks_are_header_lines(line: str) -> None:
    result = parsers.parse_lines([line], "net-tools")
    assert (result.header_lines, result.sockets, result.rejected) == (1, [], [])


def test_a_unix_socket_is_rejected_with_its_own_reason() -> None:
    line = "unix  2      [ ACC ]     STREAM     LISTENING     16791    1/init    /run/x.sock"
    assert reason(line) == "sockets of this kind are not read"


def test_a_long_program_is_cut_and_a_line_of_a_megabyte_is_rejected() -> None:
    program = tcp("LISTEN 1/" + "x" * 5000).program
    assert program == "x" * 255
    head = "tcp        0      0 0.0.0.0:80 0.0.0.0:* LISTEN 1/"
    assert reason(head + "x" * 1_000_000) == "line too long"
    assert reason("x" * 1_000_000) == "line too long"


@pytest.mark.parametrize(
    "program", ["a\x00b", "a\x1b[31m", "a\tb", "a\u202eb", "a\u2028b", "\ud800"]
)
def test_a_program_never_holds_what_cannot_be_seen_or_stored(program: str) -> None:
    name = tcp(f"LISTEN 1/{program}").program
    assert name is not None
    assert name.isprintable()
    assert "\\" in name
    name.encode()
