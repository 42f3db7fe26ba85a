"""Rows of sockstat, alone."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Parsed, Socket
from probes.parsers.records import Details, Holder

HEADING = "USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n"


def read(line: str, *, under: str = HEADING) -> Parsed:
    parsed = parsers.parse(f"{under}{line}\n")
    assert not parsed.rejected, parsed.rejected
    return parsed


def row(line: str, *, under: str = HEADING) -> Socket:
    (socket,) = read(line, under=under).tables.sockets
    return socket


def test_a_row_tells_user_program_pid_and_descriptor() -> None:
    parsed = read("www      nginx      812   9  tcp4   192.0.2.10:443   198.51.100.9:41030")
    assert parsed.tables.sockets == [
        Socket("tcp", None, None, "192.0.2.10", 443, "198.51.100.9", 41030, None, 812, "nginx")
    ]
    assert parsed.tables.details[0] == Details(user="www")
    assert parsed.dialect == "freebsd"
    assert parsed.tables.held == []


@pytest.mark.parametrize(
    ("word", "local", "protocol", "ip", "port", "flags"),
    [
        ("tcp4", "*:22", "tcp", "0.0.0.0", 22, 0),
        ("tcp6", "*:22", "tcp6", "::", 22, 0),
        ("tcp46", "*:22", "tcp6", "::", 22, Flag.LOCAL_STAR | Flag.FOREIGN_STAR),
        ("tcp6", "::1:22", "tcp6", "::1", 22, 0),
        ("tcp6", "[::1]:22", "tcp6", "::1", 22, 0),
        ("tcp6", "fe80::1%em0:22", "tcp6", "fe80::1%em0", 22, 0),
        ("tcp4", "127.0.0.1:ssh", "tcp", "127.0.0.1", 22, 0),
        ("tcp4", "localhost:22", "tcp", "localhost", 22, Flag.LOCAL_NAME),
        ("tcp", "*.22", "tcp", "0.0.0.0", 22, 0),
        ("tcp6", "fe80::1%wm0.22", "tcp6", "fe80::1%wm0", 22, 0),
        ("tcp", "10.0.0.1.22", "tcp", "10.0.0.1", 22, 0),
    ],
)
def test_ends_are_joined_by_a_colon_or_a_dot(
    word: str, local: str, protocol: str, ip: str, port: int, flags: int
) -> None:
    foreign = "*.*" if local.rfind(".") > local.rfind(":") else "*:*"
    socket = row(f"root  sshd  655  3  {word}  {local}   {foreign}")
    assert (socket.protocol, socket.local_ip, socket.local_port) == (protocol, ip, port)
    assert (socket.flags, socket.foreign_port, socket.state) == (flags, None, "LISTEN")


def test_a_command_may_have_blanks_and_numbers_in_it() -> None:
    assert row("mina  sshd: 1 2  1203  4  tcp4  10.0.0.1:22  10.0.0.2:5000")[8:10] == (
        1203, "sshd: 1 2",
    )  # fmt: skip


def test_a_socket_that_nobody_holds_is_one_all_the_same() -> None:
    parsed = read("?   ?   ?   ?  tcp4  10.0.0.1:443  10.0.0.2:5000")
    assert parsed.tables.sockets[0][8:10] == (None, None)
    assert parsed.tables.details == {}


@pytest.mark.parametrize(
    ("columns", "tail", "state", "more"),
    [
        ("STATE", "TIME_WAIT", "TIME_WAIT", {}),
        ("PATH STATE   CONN STATE", "SYN_RCVD", "SYN_RECV", {}),
        (
            "CONN STATE   STACK   CC",
            "LISTEN  rack  newreno",
            "LISTEN",
            {"stack": "rack", "cc": "newreno"},
        ),
        ("", "", None, {}),
    ],
)
def test_columns_after_the_ends_are_those_of_the_heading(
    columns: str, tail: str, state: str | None, more: dict[str, str]
) -> None:
    parsed = read(
        f"root  sshd  655  3  tcp4  10.0.0.1:22  10.0.0.2:5000  {tail}",
        under=HEADING.replace("FOREIGN ADDRESS", f"FOREIGN ADDRESS  {columns}"),
    )
    assert parsed.tables.sockets[0].state == state
    assert dict(parsed.tables.details[0].more) == more


def test_rows_without_a_heading_are_known_by_their_shape() -> None:
    assert row("www  nginx  812  9  tcp4  192.0.2.10:443  198.51.100.9:41030", under="").pid == 812


def test_a_socket_of_several_processes_is_one_with_all_of_them() -> None:
    parsed = read("www  nginx  812  6  tcp4  *:443  *:*\nroot nginx  811  6  tcp4  *:443  *:*")
    (socket,) = parsed.tables.sockets
    assert socket.pid == 812
    assert parsed.tables.details[0].holders == (Holder(812, "nginx", 6), Holder(811, "nginx", 6))


def test_sockets_that_are_not_bound_are_not_one() -> None:
    parsed = read("root  a  1  6  udp4  *:*  *:*\nroot b  2  6  udp4  *:*  *:*")
    assert [socket.pid for socket in parsed.tables.sockets] == [1, 2]


def test_unix_sockets_are_unix_sockets() -> None:
    parsed = read(
        "root  syslogd  560  8  dgram  /var/run/log\n"
        "root  cron     701  5  dgram  -> /var/run/log\n"
        "mina  tmux     702  6  seqpac (not connected)"
    )
    assert [(unix.type, unix.state, unix.path, unix.pid) for unix in parsed.tables.unix] == [
        ("dgram", None, "/var/run/log", 560),
        ("dgram", "CONNECTED", None, 701),
        ("seqpacket", None, None, 702),
    ]
    assert parsed.tables.held_unix == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("root  sshd  655  3  tcp4  *:22", "missing"),
        ("root  sshd  655  3  foo4  *:22 *:*", "not a row"),
        ("root  sshd  x  3  tcp4  *:22 *:*", "not a row"),
        ("root  natd  655  3  divert4  *:22 *:*", "sockets of this kind are not read"),
        ("root  sshd  655  3  tcp4  *:70000 *:*", "port"),
        ("root  sshd  655  3  tcp4  10.0.0.300:70 *:*", "address"),
        ("root  sshd  99999999999  3  tcp4  *:22 *:*", "PID"),
        ("             10.0.0.1:22", "another address"),
    ],
)
def test_what_is_no_row_is_rejected_with_its_reason(line: str, word: str) -> None:
    parsed = parsers.parse(f"{HEADING}{line}\n")
    assert parsed.tables.sockets == []
    assert word in parsed.rejected[0].reason
