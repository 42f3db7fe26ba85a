"""Framed outputs, taken apart: whole, cut off anywhere, and made by a host that means harm."""

from __future__ import annotations

import pytest

from probes import commands, replies
from probes.observation import Table
from probes.transports.base import Command

COMMAND = commands.sockets(tables=True)
TOKEN = replies.token(COMMAND)


def framed(text: str, command: Command = COMMAND) -> bytes:
    """``text`` with the marker of ``command`` for each @."""
    return text.encode().replace(b"@", replies.token(command))


SOCKETS = "@ begin\ntable\n@ end 0 0 none ss - /bin/ss\n"


def test_what_a_login_shell_prints_first_is_left_out() -> None:
    command = commands.sockets()
    reply = replies.read(command, framed("Welcome!\n" + SOCKETS, command))
    assert reply is not None
    assert (reply.table, reply.uid, reply.tool) == (b"table\n", 0, "ss")


@pytest.mark.parametrize(
    "ending", ["", "0 0\n", "x 0 none ss - /bin/ss\n", "0 0 none ss /bin/ss\n", "0 0 none ss - /b"]
)
def test_an_ending_we_did_not_write_is_no_reply(ending: str) -> None:
    assert replies.read(COMMAND, framed("@ begin\ntable\n@ end " + ending)) is None


def test_an_ending_that_goes_on_and_on_is_no_reply() -> None:
    assert replies.read(COMMAND, framed("@ end 0 0 none ss - " + "x" * 5000 + "\n")) is None


def test_the_sockets_are_whole_wherever_the_other_tables_are_cut() -> None:
    whole = framed(SOCKETS + "@ table routes netstat\nrow\n@ status 0\n@ done\n")
    sockets = len(framed(SOCKETS))
    for cut in range(len(whole)):
        reply = replies.read(COMMAND, whole[:cut])
        assert (reply is not None) == (cut >= sockets), cut
        for attempt in replies.attempts(COMMAND, whole[:cut]):
            assert attempt.exit_status is None or attempt.output == b"row\n"


@pytest.mark.parametrize(
    ("options", "wide"), [("-antuwpW", True), ("-anv", True), ("-anvlW", True), ("-antuwp", False)]
)
def test_options_say_whether_addresses_are_cut(options: str, wide: bool) -> None:
    reply = replies.read(COMMAND, framed(f"@ begin\n@ end 0 0 none netstat {options} /n\n"))
    assert reply is not None
    assert reply.wide is wide


def test_each_attempt_is_told_with_its_tool_and_status() -> None:
    output = framed(
        SOCKETS + "@ table interfaces netstat\nhalf@ status 1\n"
        "@ table interfaces ip\nlo\n@ status 0\n"
        "@ table routes netstat\n\n@ status 127\n@ done\n"
    )
    assert replies.attempts(COMMAND, output) == [
        replies.Attempt(Table.INTERFACES, "netstat", b"half", 1),
        replies.Attempt(Table.INTERFACES, "ip", b"lo\n", 0),
        replies.Attempt(Table.ROUTES, "netstat", b"\n", 127),
    ]


def test_an_attempt_that_never_ended_has_no_status() -> None:
    output = framed(SOCKETS + "@ table protocols netstat\nIp:\n@ table routes ip\nx\n@ stat")
    assert replies.attempts(COMMAND, output) == [
        replies.Attempt(Table.PROTOCOLS, "netstat", b"Ip:\n", None),
        replies.Attempt(Table.ROUTES, "ip", b"x\n" + TOKEN + b" stat", None),
    ]


def test_a_table_nobody_asked_for_is_none() -> None:
    output = framed("@ table sockets netstat\nx\n@ status 0\n@ table x y\n@ status 0\n")
    assert replies.attempts(COMMAND, output) == []


def test_a_host_that_repeats_the_marker_for_ever_is_not_followed() -> None:
    output = framed("@ table routes ip\n") * 200_000
    assert len(replies.attempts(COMMAND, output)) <= 100


def test_the_limits_of_the_kernel_are_told_apart_from_the_tables() -> None:
    output = framed(
        SOCKETS + "@ table limits proc\n4096\n@ status 0\n@ table routes ip\nr\n@ status 0\n"
    )
    assert replies.limits(COMMAND, output) == b"4096\n"
    assert [attempt.table for attempt in replies.attempts(COMMAND, output)] == [Table.ROUTES]
    assert replies.limits(COMMAND, framed(SOCKETS + "@ table limits proc\n40")) == b"40"
    assert replies.limits(COMMAND, framed(SOCKETS)) == b""
