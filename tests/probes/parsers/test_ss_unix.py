"""UNIX sockets of ss, and its summary."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import UnixSocket


def row(line: str) -> UnixSocket:
    parsed = parsers.parse(line)
    assert not parsed.rejected, parsed.rejected
    assert parsed.dialect == "ss"
    (socket,) = parsed.tables.unix
    return socket


def test_a_listener_with_its_holder() -> None:
    assert row('u_str LISTEN 0 8 /run/app.sock 913580 * 0 users:(("app",pid=15,fd=62))') == (
        UnixSocket(
            "stream", "LISTEN", "/run/app.sock", inode=913580, recv_queue=0, send_queue=8,
            pid=15, program="app",
        )
    )  # fmt: skip


def test_a_connected_pair_knows_the_inode_of_the_other_end() -> None:
    socket = row("u_str ESTAB  0      0            * 913585            * 913586")
    assert (socket.state, socket.path, socket.inode, socket.peer_inode) == (
        "CONNECTED", None, 913585, 913586,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/run/two words.sock", "@app/control", "/a  b", "/x 1 * 2"])
def test_a_path_may_hold_anything(path: str) -> None:
    socket = row(f"u_dgr UNCONN 0 0 {path} 913583 * 0")
    assert (socket.type, socket.state, socket.path, socket.peer_inode) == (
        "dgram", None, path, None,
    )  # fmt: skip


def test_columns_may_touch_and_details_may_follow() -> None:
    assert row('u_seqLISTEN 0 8 @a 9 * 0users:(("b",pid=1,fd=2)) <->').pid == 1
    socket = row("u_str ESTAB 0 0 /a b 9 * 10 uid:0 ino:9 sk:4 <->")
    assert (socket.path, socket.inode, socket.peer_inode) == ("/a b", 9, 10)


def test_among_ip_sockets_each_goes_to_its_table_in_its_order() -> None:
    parsed = parsers.parse(
        "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"
        "u_str ESTAB 0 0 * 1 * 2\n"
        "\t skmem:(r0)\n"
        "tcp   ESTAB 0 0 10.0.0.1:5 10.0.0.2:6 ino:7\n"
        "u_str ESTAB 0 0 * 2 * 1\n"
        "tcp   ESTAB 0 0 10.0.0.1:7 10.0.0.2:8 ino:9\n"
    )
    assert [socket.inode for socket in parsed.tables.unix] == [1, 2]
    assert [socket.local_port for socket in parsed.sockets] == [5, 7]
    assert [parsed.tables.details[index].inode for index in (0, 1)] == [7, 9]
    assert not parsed.rejected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("u_str ESTAB 0 0 * 1", "columns are missing"),
        ("u_str ESTAB 0 0 * one * 2", "inode"),
        (f"u_str ESTAB 0 0 * {2**63} * 2", "queue"),
        ('u_str ESTAB 0 0 * 1 * 2 users:(("x"', "process column not understood"),
    ],
)
def test_what_cannot_be_is_a_reason(line: str, why: str) -> None:
    parsed = parsers.parse(f"u_str ESTAB 0 0 * 1 * 2\n{line}")
    (rejected,) = parsed.rejected
    assert why in rejected.reason


SUMMARY = """Total: 251 (kernel 302)
TCP:   27 (estab 3, closed 12, orphaned 1, synrecv 0, timewait 11/0), ports 4

Transport Total     IP        IPv6
*\t  302       -         -
UDP\t  9         6         3
"""


def test_a_summary_is_read_as_numbers_of_sockets() -> None:
    parsed = parsers.parse(SUMMARY)
    assert not parsed.rejected
    assert parsed.tables.protocols == {
        "sockets": {
            "total": 251, "kernel": 302, "tcp": 27, "tcp_estab": 3, "tcp_closed": 12,
            "tcp_orphaned": 1, "tcp_synrecv": 0, "tcp_timewait": 11, "tcp_ports": 4,
            "all_total": 302, "udp_total": 9, "udp_ip": 6, "udp_ipv6": 3,
        }
    }  # fmt: skip
    assert "one moment" in parsed.tables.remarks[0]


@pytest.mark.parametrize("line", ["TCP: 1 (estab two)", "UDP 1 2", "Hello", f"UDP {2**63} 0 0"])
def test_a_line_of_no_summary_is_rejected(line: str) -> None:
    parsed = parsers.parse(f"Total: 2\n{line}\n")
    assert [rejected.text for rejected in parsed.rejected] == [line]
    assert parsed.tables.protocols == {"sockets": {"total": 2}}
