"""Whatever comes in where one of the BSDs is expected, every line is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import parsers
from probes.parsers.encoding import decode
from tests.fuzz.invariants import check_text

FOLDER = Path(__file__).parents[2] / "fixtures"
SYSTEMS = ("macos", "freebsd", "openbsd", "netbsd")
TEXTS = {
    f"{system}/{path.name}": decode(path.read_bytes())
    for system in SYSTEMS
    for path in sorted((FOLDER / system).glob("*.out"))
}
HEADINGS = (
    "Active Internet connections (including servers)\n"
    "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)\n",
    "Current listen queue sizes (qlen/incqlen/maxqlen)\nProto Listen  Local Address\n",
    "Active UNIX domain sockets\nAddress  Type   Recv-Q Send-Q  Inode  Conn  Refs  Nextref Addr\n",
    "Routing tables\n\nInternet6:\nDestination  Gateway   Flags     Netif Expire\n",
    "Name       Mtu   Network       Address            Ipkts Ierrs    Opkts Oerrs  Coll\n",
    "tcp:\n",
    "IPv4 Multicast Group Memberships\nGroup   \tLink-layer Address\tNetif\n",
    "USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n",
    "Active SCTP associations\nProto  Type  Local Address    Foreign Address  (state)\n",
)


@given(st.sampled_from(HEADINGS), st.text(max_size=80))
def test_any_text_under_a_heading_is_accounted_for(heading: str, text: str) -> None:
    assert check_text(heading + text) is not None


@given(st.sampled_from(HEADINGS), st.lists(st.sampled_from(
    ["tcp4", "udp46", "0", "*.*", "1.2.3.4.5", "::1.22", "LISTEN", "default", "link#1", "UGS",
     "en0", "<Link#1>", "-", "7", "12 packets sent", "\t", "(3 bytes)", "root", "?", "stream",
     "*:80", "/tmp/x", "0/0/1", "ff02::1%en0", "name.example.https", "\x00", "é"]
)))  # fmt: skip
def test_words_of_these_tables_in_any_order_are_accounted_for(
    heading: str, words: list[str]
) -> None:
    assert check_text(heading + " ".join(words)) is not None
    check_text(" ".join(words))


@pytest.mark.parametrize("heading", HEADINGS)
def test_hostile_lines_take_no_time_that_grows_with_their_square(heading: str) -> None:
    pieces = (
        " ", "\t", "a ", "1 ", "a.", "1.", ".", ":", "a:", "=", "(", "()", "(1", "/", "-> ", "f",
        "*.* ", "0/0/0 ", "1:", "tcp4 ", "12 ", "Address ", "? ", "%",
    )  # fmt: skip
    heads = (
        "",
        "  ",
        "\t",
        "\t12 ",
        "tcp4 0 0 ",
        "tcp4 0 0 1.2.3.4.5",
        "fffff80003a2c000 ",
        "fffff80003a2c000 stream 0 0 0 0 0 0 ",
        "default 192.0.2.1 U",
        "Destination Gateway Flags",
        "en0 1500 <Link#1> ",
        "Proto Recv-Q Send-Q Local Address Foreign Address",
        "Active Internet connections",
        "root sshd 1 2 tcp4 ",
        "Routing tables",
    )
    hostile = [head + piece * (15_000 // len(piece)) for head in heads for piece in pieces]
    assert check_text(heading + "\n".join(hostile)) is not None


@pytest.mark.parametrize("case", sorted(TEXTS))
def test_an_output_is_known_as_of_its_system_or_of_any_bsd(case: str) -> None:
    assert parsers.parse(TEXTS[case]).dialect in (case.partition("/")[0], "bsd")


def test_no_output_of_another_system_is_taken_for_one_of_these() -> None:
    others = [path for path in FOLDER.glob("*/*.out") if path.parent.name not in SYSTEMS]
    assert others
    for path in others:
        told = parsers.parse(decode(path.read_bytes())).dialect.split(" + ")
        assert not set(told) & {*SYSTEMS, "bsd"}, path.name


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_outputs_of_a_system_in_one_text_are_read_as_each_alone(system: str) -> None:
    texts = [text for case, text in TEXTS.items() if case.startswith(f"{system}/netstat")]
    whole = parsers.parse("\n".join(text.rstrip("\n") for text in texts))
    alone = [parsers.parse(text) for text in texts]
    assert whole.dialect == system
    assert whole.tables.routes == [row for one in alone for row in one.tables.routes]
    assert whole.tables.unix == [row for one in alone for row in one.tables.unix]
    assert whole.tables.interfaces == [row for one in alone for row in one.tables.interfaces]
    assert whole.tables.multicast == [row for one in alone for row in one.tables.multicast]
    assert len(whole.rejected) == sum(len(one.rejected) for one in alone)
