"""One odd row of ss a test. Real outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Socket


def row(line: str) -> Socket:
    result = parsers.parse_lines([line], "ss")
    assert not result.rejected, result.rejected
    (socket,) = result.sockets
    return socket


def reason(line: str) -> str:
    result = parsers.parse_lines([line], "ss")
    assert not result.sockets, result.sockets
    ((rejected, why),) = result.rejected
    assert rejected == line
    return why


def ends(local: str, peer: str) -> Socket:
    return row(f"tcp   ESTAB  0      0      {local}  {peer}  ")


def process(users: str) -> tuple[int | None, str | None]:
    return row(f"tcp   LISTEN 0  128  0.0.0.0:80  0.0.0.0:*    {users}")[8:10]


def test_one_row_with_one_holder() -> None:
    line = 'tcp   LISTEN 0   128   0.0.0.0:80    0.0.0.0:*   users:(("nginx",pid=7,fd=6))'
    assert row(line) == (
        "tcp", 0, 128, "0.0.0.0", 80, "0.0.0.0", None, "LISTEN", 7, "nginx", 0,
    )  # fmt: skip


def test_of_several_holders_the_lowest_pid_is_named_in_whatever_order() -> None:
    assert process('users:(("nginx",pid=12,fd=6),("nginx",pid=9,fd=6),("x",pid=30,fd=1))') == (
        9,
        "nginx",
    )
    assert process('users:(("b",pid=9,fd=6),("a",pid=12,fd=6))') == (9, "b")
    assert process('users:(("b",pid=9,fd=6),("a",pid=9,fd=7))') == (9, "a")


@pytest.mark.parametrize(
    "name",
    ["my prog", 'a"b', "a,fd=1", "x),(y", "(sd-pam", "users:((", "a/b:c", "kworker/0:1-eve", "ü"],
)
def test_a_program_name_may_hold_anything(name: str) -> None:
    assert process(f'users:(("{name}",pid=7,fd=6))') == (7, name)
    assert process(f'users:(("{name}",pid=7,fd=6),("other",pid=8,fd=6))') == (7, name)


def test_other_forms_of_the_process_column() -> None:
    assert process('users:(("sshd",1071,3))') == (1071, "sshd")
    assert process('users:(("java",pid=5,tid=9,fd=3))') == (5, "java")
    assert process('users:(("java",pid=5,proc_ctx=unconfined,fd=3))') == (5, "java")
    assert process('users:(("sshd",pid=1,fd=3)) ino:16791 sk:7 cgroup:/ <->') == (1, "sshd")
    assert process('users:(("sshd",pid=1,fd=3)) timer:(keepalive,58sec,0)') == (1, "sshd")
    assert process("timer:(timewait,58sec,0) ino:0 sk:b") == (None, None)
    assert process("uid:1000 ino:5 sk:b <->") == (None, None)
    assert process("") == (None, None)


def test_a_process_column_that_cannot_be_read_is_a_reason() -> None:
    head = "tcp   LISTEN 0  128  0.0.0.0:80  0.0.0.0:*    "
    assert "process" in reason(head + 'users:(("nginx",pid=')
    assert "process" in reason(head + "users:((")
    assert "PID" in reason(head + 'users:(("nginx",pid=2147483648,fd=1))')
    assert "unexpected" in reason(head + "something else")


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("127.0.0.53%lo:53", "127.0.0.53%lo"),
        ("[fe80::1]%eth0:53", "fe80::1%eth0"),
        ("[fe80::1%eth0]:53", "fe80::1%eth0"),
        ("fe80::1%eth0:53", "fe80::1%eth0"),
        ("[::1]:53", "::1"),
        ("::1:53", "::1"),
        ("[2001:DB8::0:1]:53", "2001:db8::1"),
    ],
)
def test_an_address_keeps_its_zone_and_loses_its_brackets(text: str, ip: str) -> None:
    assert ends(text, "[::1]:9")[3:5] == (ip, 53)
    assert ends("[::1]:9", text)[5:7] == (ip, 53)


def test_the_form_of_the_addresses_says_which_family_it_is() -> None:
    assert ends("10.0.0.1:80", "10.0.0.2:9").protocol == "tcp"
    assert ends("[::1]:80", "[::1]:9").protocol == "tcp6"
    assert ends("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.2]:9").protocol == "tcp6"
    assert row("udp UNCONN 0 0 *:5454 *:*").protocol == "udp6"


def test_a_mapped_address_is_given_as_ipv4_and_flagged() -> None:
    socket = ends("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.2]:9")
    assert (socket.local_ip, socket.foreign_ip) == ("10.0.0.1", "10.0.0.2")
    assert socket.flags == Flag.LOCAL_MAPPED | Flag.FOREIGN_MAPPED


def test_a_star_is_any_address_of_both_families_and_flagged() -> None:
    assert row("tcp LISTEN 0 128 *:22 *:*")[3:7] == ("::", 22, "::", None)
    assert row("tcp LISTEN 0 128 *:22 *:*").flags == Flag.LOCAL_STAR | Flag.FOREIGN_STAR
    assert row("udp UNCONN 0 0 *%eth0:68 *:*")[3:5] == ("::%eth0", 68)
    assert row("tcp LISTEN 0 16 [::ffff:10.9.0.1]:8181 *:*")[3:7] == ("10.9.0.1", 8181, "::", None)
    assert row("tcp LISTEN 0 128 [::]:22 [::]:*").flags == 0


def test_a_star_beside_an_ipv4_address_is_ipv4_as_old_versions_print_it() -> None:
    socket = row("tcp LISTEN 0 100 127.0.0.1:25 *:*")
    assert socket[:1] + socket[3:7] == ("tcp", "127.0.0.1", 25, "0.0.0.0", None)
    assert socket.flags == Flag.FOREIGN_STAR


@pytest.mark.parametrize(
    "line",
    [
        'tcp  TIME-WAIT0 0 10.0.0.1:80 10.0.0.2:9 users:(("x",pid=1,fd=2))',
        'tcpTIME-WAIT 0 0 10.0.0.1:80 10.0.0.2:9 users:(("x",pid=1,fd=2))',
        'tcpTIME-WAIT0 0 10.0.0.1:80 10.0.0.2:9users:(("x",pid=1,fd=2))',
        'tcp TIME-WAIT 0 0 10.0.0.1:80 10.0.0.2:9users:(("x",pid=1,fd=2))',
    ],
)
def test_columns_that_touch_are_told_apart(line: str) -> None:
    assert row(line) == (
        "tcp", 0, 0, "10.0.0.1", 80, "10.0.0.2", 9, "TIME_WAIT", 1, "x", 0,
    )  # fmt: skip


@pytest.mark.parametrize("peer", ["[2001:db8::9]:50000", "[fe80::9]%eth0:50000"])
@pytest.mark.parametrize("between", ["", " "])
def test_ends_in_brackets_that_touch_are_told_apart(peer: str, between: str) -> None:
    line = f'tcp ESTAB 0 0 [2001:db8::5]:443{peer}{between}users:(("x",pid=7,fd=4))'
    (found,) = parsers.parse_lines([line], "ss").sockets
    assert found == parsers.parse_lines([line.replace("443[", "443 [")], "ss").sockets[0]
    assert (found.local_port, found.foreign_port, found.pid) == (443, 50000, 7)


def test_a_star_port_that_touches_the_process_is_told_apart() -> None:
    line = 'udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*users:(("dhclient",pid=7,fd=6))'
    assert row(line)[6:10] == (None, None, 7, "dhclient")
    assert row("tcp FIN-WAIT-10 0 10.0.0.1:80 10.0.0.2:9").state == "FIN_WAIT1"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("ESTAB", "ESTABLISHED"),
        ("SYN-SENT", "SYN_SENT"),
        ("SYN-RECV", "SYN_RECV"),
        ("FIN-WAIT-1", "FIN_WAIT1"),
        ("FIN-WAIT-2", "FIN_WAIT2"),
        ("TIME-WAIT", "TIME_WAIT"),
        ("CLOSE-WAIT", "CLOSE_WAIT"),
        ("LAST-ACK", "LAST_ACK"),
        ("LISTEN", "LISTEN"),
        ("CLOSING", "CLOSING"),
        ("UNCONN", "CLOSE"),
        ("UNDEF", "UNKNOWN"),
    ],
)
def test_tcp_states_are_given_in_our_words(word: str, state: str) -> None:
    assert row(f"tcp {word} 0 0 10.0.0.1:80 10.0.0.2:9").state == state


def test_an_unconnected_udp_socket_and_a_raw_one_have_no_state() -> None:
    assert row("udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:*").state is None
    assert row("udp ESTAB 0 0 10.0.0.1:5 10.0.0.2:53").state == "ESTABLISHED"
    assert row("raw UNCONN 0 0 0.0.0.0:1 0.0.0.0:*").state is None
    assert row("raw ESTAB 0 0 10.0.0.1:1 10.0.0.2:*").state is None


def test_an_sctp_association_hangs_under_its_endpoint() -> None:
    assert row("sctp  LISTEN 0 5 10.0.0.1:3868 0.0.0.0:*")[7] == "LISTEN"
    association = row("      `- ESTAB 0 0 10.0.0.1:3868 10.0.0.2:40000")
    assert association[:1] + association[3:8] == (
        "sctp", "10.0.0.1", 3868, "10.0.0.2", 40000, "ESTABLISHED",
    )  # fmt: skip
    assert row("      `- SHUTDOWN_SENT 0 0 10.0.0.1:3868 10.0.0.2:40000").state == "UNKNOWN"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("u_str ESTAB 0 0 * 16791 * 16792", "a UNIX socket, not an IP socket"),
        ("u_dgr UNCONN 0 0 /run/x.sock 16791 * 0", "a UNIX socket, not an IP socket"),
        ("nl    UNCONN 0 0 0:0 *", "a netlink socket, not an IP socket"),
        ("p_raw UNCONN 0 0 *:eth0 *", "a packet socket, not an IP socket"),
        ("p_dgrUNCONN 0 0 *:eth0 *", "a packet socket, not an IP socket"),
        ("v_str ESTAB 0 0 2:5000 3:6000", "a vsock socket, not an IP socket"),
        ("xdp   UNCONN 0 0 eth0:q0 *", "an XDP socket, not an IP socket"),
        ("ti_st ESTAB 0 0 1:2 3:4", "a TIPC socket, not an IP socket"),
        ("???   UNCONN 0 0 10.0.0.1:5 10.0.0.2:6", "not a row of a socket table"),
        ("\t cubic wscale:7,7 rto:204", "goes on with a socket that was not read"),
        ("tcp ESTAB 0 0 localhost:5 10.0.0.2:6", "a host name where the address belongs"),
        ("tcp   ESTAB 0 0 10.0.0.1:5", "columns are missing"),
    ],
)
def test_lines_of_other_families_are_rejected_with_a_plain_reason(line: str, why: str) -> None:
    assert reason(line) == why


@pytest.mark.parametrize(
    ("netid", "protocols"),
    [
        ("dccp", ("dccp", "dccp6")),
        ("mptcp", ("mptcp", "mptcp6")),
        ("icmp", ("icmp", "icmp6")),
        ("icmp6", ("icmp6", "icmp6")),
        ("udplite", ("udplite", "udplite6")),
    ],
)
def test_rarer_protocols_are_read_like_the_usual_ones(
    netid: str, protocols: tuple[str, str]
) -> None:
    assert row(f"{netid} ESTAB 0 0 10.0.0.1:5 10.0.0.2:6").protocol == protocols[0]
    assert row(f"{netid} ESTAB 0 0 [::1]:5 [::1]:6").protocol == protocols[1]


def test_a_service_is_its_port_and_an_ip_protocol_its_number() -> None:
    assert row("tcp LISTEN 0 0 0.0.0.0:ssh 0.0.0.0:*").local_port == 22
    assert row("udp ESTAB 0 0 10.0.0.1:999 10.0.0.2:domain").foreign_port == 53
    assert row("raw UNCONN 0 0 *:ipv6-icmp *:*").local_port == 58


def test_a_table_of_one_protocol_lacks_the_column_that_names_it() -> None:
    assert "Netid" in reason("LISTEN 0 128 0.0.0.0:22 0.0.0.0:*")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("tcp ESTAB 0 0 10.0.0.1:99999 10.0.0.2:9", "port"),
        ("tcp ESTAB 0 0 10.0.0.1:no-such-service 10.0.0.2:9", "port"),
        (f"tcp ESTAB {2**70} 0 10.0.0.1:9 10.0.0.2:9", "queue"),
        (f"tcp ESTAB 0 {2**63} 10.0.0.1:9 10.0.0.2:9", "queue"),
        ("tcp ESTAB 0 0 10.0.0.999:9 10.0.0.2:9", "address"),
        ("tcp ESTAB 0 0 [::1:9 10.0.0.2:9", "address"),
        ("tcp ESTAB 0 0 [2001:1:2:3:4:5:6:7x:9 10.0.0.2:9", "address"),
        ("tcp ESTAB 0 0 * *", "address"),
        ("tcp ESTAB 0 0 " + "1" * 1_000_000, "line too long"),
    ],
)
def test_what_cannot_be_is_a_reason(line: str, word: str) -> None:
    assert word in reason(line)


def test_a_socket_held_by_a_thousand_processes_is_one_row() -> None:
    holders = ",".join(f'("php-fpm",pid={pid},fd=9)' for pid in range(5000, 4000, -1))
    assert process(f"users:({holders})") == (4001, "php-fpm")


@pytest.mark.parametrize(
    "line",
    [
        "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process",
        "NetidState   Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess",
        "Netid  State      Recv-Q Send-Q     Local Address:Port     Peer Address:Port",
        "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process",
        "Recv-Q Send-Q Local Address:Port  Peer Address:Port Process",
        "Netid Recv-Q Send-Q Local Address:Port  Peer Address:Port Process",
    ],
)
def test_titles_are_header_lines(line: str) -> None:
    assert parsers.parse_lines([line], "ss").header_lines == 1


def test_rows_of_different_widths_in_one_text_are_read_alike() -> None:
    lines = [
        'tcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:9 users:(("x",pid=1,fd=2))',
        'tcp   ESTAB      0      0        10.0.0.1:80   10.0.0.2:9   users:(("x",pid=1,fd=2))',
        'tcp   ESTAB      0      0    10.0.0.1:80   10.0.0.2:9   users:(("x",pid=1,fd=2))',
        'tcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:9 users:(("x",pid=1,fd=2))',
    ]
    sockets = parsers.parse_lines(lines, "ss").sockets
    assert len(sockets) == 4
    assert len(set(sockets)) == 1
