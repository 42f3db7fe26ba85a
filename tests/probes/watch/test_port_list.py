"""Lists of ports: what they say, what is wrong with them, what they match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.watch import port_list
from probes.watch.port_list import (
    Entry,
    Listening,
    ListError,
    PortList,
    Problem,
    Range,
    Word,
    parse,
)

names = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=30
)
programs = names.filter(lambda name: name.strip() and name.isprintable()).map(str.strip)
numbers = st.integers(1, 65535)
spans = st.tuples(numbers, numbers).map(sorted) | numbers.map(lambda port: [port, port])
entries = (
    st.builds(
        lambda span, protocol, program: Entry(span[0], span[1], protocol, program),
        spans,
        st.sampled_from(("", *port_list.PROTOCOLS)),
        st.just("") | programs,
    )
    | st.builds(lambda program: Entry(program=program), programs)
    | st.builds(lambda word: Entry(word=word), st.sampled_from(Word))
)


@given(st.lists(entries, unique=True, max_size=20))
def test_what_is_printed_is_read_again(listed: list[Entry]) -> None:
    written = PortList(tuple(listed))
    assert parse(str(written)) == written
    assert parse(str(written).replace(", ", "\n")) == parse("\n".join(map(str, listed)))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_by_naming_the_entry(text: str) -> None:
    listed, refused = attempt(text)
    if refused is not None:
        assert refused.entry in text
        assert 1 <= refused.line <= len(text.splitlines())
    else:
        assert parse(str(listed)) == listed


def attempt(text: str) -> tuple[PortList | None, ListError | None]:
    try:
        return parse(text), None
    except ListError as error:
        return None, error


def test_the_forms_of_the_manual_are_read() -> None:
    text = """22, 80-90  # the web
    443/tcp nginx, udp/53
    program:dhclient, loopback, EPHEMERAL
    5432/TCP "my, \\"db\\"", , 22"""
    assert parse(text).entries == (
        Entry(22, 22),
        Entry(80, 90),
        Entry(443, 443, "tcp", "nginx"),
        Entry(53, 53, "udp"),
        Entry(program="dhclient"),
        Entry(word=Word.LOOPBACK),
        Entry(word=Word.EPHEMERAL),
        Entry(5432, 5432, "tcp", 'my, "db"'),
    )


@pytest.mark.parametrize(
    ("text", "problem", "entry", "line"),
    [
        ("22, 80\n0, 443", Problem.PORT, "0", 2),
        ("65536", Problem.PORT, "65536", 1),
        ("99999999", Problem.PORT, "99999999", 1),
        ("90-80", Problem.ORDER, "90-80", 1),
        ("22/icmp", Problem.PROTOCOL, "22/icmp", 1),
        ("tcp/22/tcp", Problem.PROTOCOL, "tcp/22/tcp", 1),
        ("22, ssh", Problem.NOT_UNDERSTOOD, "ssh", 1),
        ("２２", Problem.NOT_UNDERSTOOD, "２２", 1),
        ("0x16", Problem.NOT_UNDERSTOOD, "0x16", 1),
        ("-1", Problem.NOT_UNDERSTOOD, "-1", 1),
        ("program:", Problem.PROGRAM, "program:", 1),
        ("22 ng\x07inx", Problem.PROGRAM, "22 ng\x07inx", 1),
        (f"22 {'x' * 201}", Problem.PROGRAM, f"22 {'x' * 201}", 1),
        ('22 "nginx', Problem.QUOTE, '22 "nginx', 1),
        ('22 ng"inx"', Problem.QUOTE, '22 ng"inx"', 1),
    ],
)
def test_an_error_names_the_entry(text: str, problem: Problem, entry: str, line: int) -> None:
    with pytest.raises(ListError) as refused:
        parse(text)
    assert (refused.value.problem, refused.value.entry, refused.value.line) == (
        problem,
        entry,
        line,
    )


@pytest.mark.parametrize("text", ["loopback", "ephemeral", "program:nginx"])
def test_an_expected_port_has_a_number(text: str) -> None:
    with pytest.raises(ListError) as refused:
        parse(text, expected=True)
    assert refused.value.problem is Problem.NO_PORT


def test_a_list_has_an_end() -> None:
    with pytest.raises(ListError) as refused:
        parse("1-1000, 2000-2001", expected=True)
    assert refused.value.problem is Problem.TOO_MANY
    with pytest.raises(ListError) as refused:
        parse(",".join(map(str, range(1, 600))))
    assert (refused.value.problem, refused.value.entry) == (Problem.TOO_MANY, "501")


def test_expected_ports_are_tcp_where_nothing_is_said() -> None:
    listed = parse("22, 80-81 nginx, udp/53", expected=True)
    assert list(listed.each_expected()) == [
        ("tcp", 22, ""),
        ("tcp", 80, "nginx"),
        ("tcp", 81, "nginx"),
        ("udp", 53, ""),
    ]


def listening(text: str = "tcp/443", *held: str, at: tuple[str, ...] = ("0.0.0.0",)) -> Listening:
    protocol, _slash, port = text.partition("/")
    of = port_list.range_of(int(port), (32768, 60999))
    return Listening(protocol, int(port), of, at, held)


@pytest.mark.parametrize(
    ("text", "listener", "is_it"),
    [
        ("443", listening(), True),
        ("443", listening("udp/443"), True),
        ("443/tcp", listening("udp/443"), False),
        ("400-500", listening(), True),
        ("443 nginx", listening("tcp/443", "NGINX"), True),
        ("443 nginx", listening("tcp/443", "nginx", "nc"), False),
        ("443 nginx", listening("tcp/443", "nginx: master"), True),
        ("443 nginx", listening("tcp/443", "nginx-evil"), False),
        ("udp/53 systemd-resolved", listening("udp/53", "systemd-resolve"), True),
        ("443 nginx", listening(), False),
        ("program:dhclient", listening("udp/68", "dhclient"), True),
        ("program:dhclient", listening("udp/68"), False),
        ("loopback", listening(at=("127.0.0.1", "::1", "::ffff:127.0.0.53")), True),
        ("loopback", listening(at=("127.0.0.1", "10.0.0.1")), False),
        ("loopback", listening(at=("127.0.0.53%lo",)), True),
        ("loopback", listening(at=()), False),
        ("loopback", listening(at=("cut",)), False),
        ("ephemeral", listening("udp/40000"), True),
        ("ephemeral", listening("udp/61000"), False),
    ],
)
def test_what_an_entry_names(text: str, listener: Listening, is_it: bool) -> None:
    assert parse(text).matches(listener) is is_it


def test_ranges_go_by_the_kernel_of_the_host() -> None:
    assert port_list.range_of(1023, (1, 65535)) is Range.SYSTEM
    assert port_list.range_of(1024, (49152, 65535)) is Range.REGISTERED
    assert port_list.range_of(49152, (49152, 65535)) is Range.EPHEMERAL


@pytest.mark.parametrize("letter", [" ", '"', "\\", "1", ",", "-", "/", "#", "1-", "tcp/"])
def test_a_long_line_takes_no_time(letter: str) -> None:
    for text in (letter * 60_000, f"22 x{letter * 60_000}x"):
        listed, refused = attempt(text)
        assert (listed is None) is (refused is not None)
