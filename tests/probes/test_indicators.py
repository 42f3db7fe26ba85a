"""Pasted lists of indicators: every form that is in use, and no text that breaks the reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import indicators
from probes.indicators import MOST, MOST_CHARACTERS


def texts(text: str) -> list[str]:
    reading = indicators.read(text)
    assert not reading.rejected, [(row.text, str(row.reason)) for row in reading.rejected]
    return [each.text for each in reading.indicators]


@pytest.mark.parametrize(
    ("word", "kind", "plain"),
    [
        ("10.0.0.1", "ip", "10.0.0.1"),
        ("10[.]0[.]0[.]1", "ip", "10.0.0.1"),
        ("10(.)0{.}0[dot]1", "ip", "10.0.0.1"),
        ("2001:db8[:]:1", "ip", "2001:db8::1"),
        ("2001:DB8:0::0001", "ip", "2001:db8::1"),
        ("[2001:db8::1]", "ip", "2001:db8::1"),
        ("::ffff:10.0.0.1", "ip", "10.0.0.1"),
        ("fe80::1%eth0", "ip", "fe80::1%eth0"),
        ("10.0.0.1/32", "ip", "10.0.0.1"),
        ("<10.0.0.1>", "ip", "10.0.0.1"),
        ("10.0.0.1.", "ip", "10.0.0.1"),
        ("10.1.2.3/8", "cidr", "10.0.0.0/8"),
        ("10.0.0.0[/]8", "cidr", "10.0.0.0/8"),
        ("2001:db8::/32", "cidr", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "cidr", "10.0.0.0/8"),
        ("::/0", "cidr", "::/0"),
        ("0.0.0.0/0", "cidr", "0.0.0.0/0"),
        ("10.0.0.1:4444", "ip+port", "10.0.0.1:4444"),
        ("10[.]0[.]0[.]1[:]4444", "ip+port", "10.0.0.1:4444"),
        ("[2001:db8::1]:443", "ip+port", "[2001:db8::1]:443"),
        ("10.0.0.1:53/udp", "ip+port", "10.0.0.1:53/udp"),
        ("hxxp://198.51.100.7/x.sh?a=1", "ip", "198.51.100.7"),
        ("hxxps[://]198[.]51[.]100[.]7:8443/x", "ip+port", "198.51.100.7:8443"),
        ("http://user:pw@[2001:db8::1]:80/", "ip+port", "[2001:db8::1]:80"),
        ("https://[2001:db8::1]/", "ip", "2001:db8::1"),
        ("port 4444", "port", "port 4444"),
        ("Port: 4444", "port", "port 4444"),
        ("port:4444", "port", "port 4444"),
        (":4444", "port", "port 4444"),
        ("4444/tcp", "port", "4444/tcp"),
        ("port 53/UDP", "port", "53/udp"),
        ("tcp/4444", "port", "4444/tcp"),
        ("program:xmrig", "program", "program:xmrig"),
        ("Program:kworker/0:1", "program", "program:kworker/0:1"),
        ('program:"nginx: master"', "program", 'program:"nginx: master"'),
        ('program:"a \\"b\\" \\\\c"', "program", 'program:"a \\"b\\" \\\\c"'),
    ],
)
def test_a_word_in_use_is_understood(word: str, kind: str, plain: str) -> None:
    reading = indicators.read(word)

    (found,) = reading.indicators
    assert not reading.rejected
    assert (found.kind, found.text) == (kind, plain)
    assert indicators.read(found.text).indicators == (found,)


def test_words_stand_apart_by_blanks_commas_and_lines_and_comments_are_left_out() -> None:
    text = """# from the report
    10.0.0.1, 10.0.0.2;10.0.0.3\tport 22 # ssh
    program:"a, b # c" #10.9.9.9

    10.0.0.1"""
    assert texts(text) == [
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "port 22", 'program:"a, b # c"'
    ]  # fmt: skip
    reading = indicators.read(text)
    assert (reading.lines, reading.blank, reading.understood, reading.repeated) == (5, 2, 3, 1)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("evil.example.com", "Names are not searched"),
        ("hxxps://evil[.]example[.]com/a", "Names are not searched"),
        ("10.0.0.1-10.0.0.9", "as networks"),
        ("d41d8cd98f00b204e9800998ecf8427e", "hash"),
        ("xmrig", "program:xmrig"),
        ("4444", "port 4444"),
        ("10.0.0.1:99999", "1 to 65535"),
        ("port 70000", "1 to 65535"),
        ("port", "program:port"),
        ("0/tcp", "1 to 65535"),
        ("10.0.0.1/33", "Write 10.0.0.1"),
        ("10.0.0.256", "Write 10.0.0.1"),
        ("fe80::1%<script>", "Write 10.0.0.1"),
        ("program:", "behind program:"),
        (f"program:{'x' * 201}", "200 characters"),
        ("program:a\x1b[2J", "no program's name has"),
        ("http://", "Write 10.0.0.1"),
        ("２２/tcp", "Write 10.0.0.1"),
    ],
)
def test_what_is_none_is_said_with_its_line_and_a_reason(word: str, reason: str) -> None:
    reading = indicators.read(f"10.0.0.1\n{word}\n")

    assert len(reading.indicators) == 1
    assert {row.line for row in reading.rejected} == {2}
    assert reason in str(reading.rejected[0].reason)
    assert (reading.lines, reading.understood) == (2, 1)


def test_a_list_that_is_too_long_is_read_as_far_as_it_may_be() -> None:
    many = "\n".join(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(MOST + 3))
    reading = indicators.read(many)
    assert len(reading.indicators) == MOST
    assert [row.line for row in reading.rejected] == [MOST + 1, MOST + 2, MOST + 3]

    long = indicators.read("10.0.0.1\n" * (MOST_CHARACTERS // 9 + 5))
    assert [each.text for each in long.indicators] == ["10.0.0.1"]
    assert "characters" in str(long.rejected[-1].reason)


@pytest.mark.parametrize(
    "line",
    ["[" * 60_000, "1." * 30_000, 'program:"' + "\\" * 60_000, "a-" * 30_000, "(.)" * 20_000,
     "port " * 12_000, "://" * 20_000, "a." * 30_000, "#" * 60_000, "%" * 60_000],
    ids=lambda line: line[:12],
)  # fmt: skip
def test_a_hostile_line_takes_linear_time(line: str) -> None:
    reading = indicators.read(line)
    assert reading.lines == 1
    assert not reading.indicators


WORDS = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda ip: str(ip).replace(".", "[.]")),
    st.integers(0, 70_000).map(lambda port: f"port {port}"),
    st.tuples(st.ip_addresses(v=6), st.integers(1, 65535)).map(lambda p: f"[{p[0]}]:{p[1]}"),
    st.text(min_size=1, max_size=20).map(lambda name: f'program:"{name}"'),
    st.text(max_size=30),
    st.sampled_from(["#", ",", "port", "hxxp://", "[:]", "%", "/32", "program:", '"', "\\"]),
)


@given(st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=300) |
       st.lists(WORDS, max_size=30).map("\n".join))  # fmt: skip
def test_no_text_breaks_it_and_every_line_is_accounted_for(text: str) -> None:
    reading = indicators.read(text)

    assert reading.lines == len(text.splitlines())
    bad = {row.line for row in reading.rejected}
    assert reading.blank + reading.understood + len(bad) == reading.lines
    assert all(1 <= line <= reading.lines for line in bad)
    assert all(str(row.reason) and row.text for row in reading.rejected)
    assert len(set(reading.indicators)) == len(reading.indicators)
    for each in reading.indicators:
        again = indicators.read(each.text)
        assert again.indicators == (each,), each.text
        assert not again.rejected
