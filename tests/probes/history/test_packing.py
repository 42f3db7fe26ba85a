"""Keys and columns of sockets, there and back."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.history import packing
from probes.models import Direction
from probes.parsers.records import TCP_STATES, Flag, Socket

ADDRESSES = st.ip_addresses().map(
    lambda ip: str(getattr(ip, "ipv4_mapped", None) or ip)
) | st.sampled_from(["0.0.0.0", "::", "::1", "127.0.0.1", "fe80::1%eth0", "fe80::1%网卡", "::1%lo"])
TEXTS = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))
SOCKETS = st.builds(
    Socket,
    protocol=st.sampled_from(packing.PROTOCOLS),
    recv_queue=st.none() | st.integers(0, 2**63 - 1),
    send_queue=st.none() | st.integers(0, 2**63 - 1),
    local_ip=ADDRESSES,
    local_port=st.none() | st.integers(0, 65535),
    foreign_ip=ADDRESSES,
    foreign_port=st.none() | st.integers(0, 65535),
    state=st.none() | st.sampled_from(TCP_STATES),
    pid=st.none() | st.integers(0, 2**31 - 1),
    program=st.none() | TEXTS.map(packing.storable),
    flags=st.integers(0, 63),
)


def unpacked(socket: Socket) -> Socket:
    row = packing.pack(socket, packing.key(socket))._asdict()
    row.pop("key")
    return packing.unpack(**row, recv_queue=socket.recv_queue, send_queue=socket.send_queue)


@given(SOCKETS)
def test_a_socket_comes_back_as_it_went_in(socket: Socket) -> None:
    assert unpacked(socket) == socket


@given(SOCKETS, SOCKETS)
def test_keys_are_equal_exactly_where_identities_are(one: Socket, other: Socket) -> None:
    same = one._replace(recv_queue=other.recv_queue, send_queue=other.send_queue) == other
    assert (packing.key(one) == packing.key(other)) == same


@given(SOCKETS, SOCKETS)
def test_every_field_but_the_queues_is_part_of_the_key(one: Socket, other: Socket) -> None:
    key = packing.key(one)
    for name in Socket._fields:
        changed = one._replace(**{name: getattr(other, name)})
        if name in {"recv_queue", "send_queue"}:
            assert packing.key(changed) == key
        elif changed != one:
            assert packing.key(changed) != key


@given(SOCKETS)
def test_keys_fit_a_bigint(socket: Socket) -> None:
    assert -(2**63) <= packing.key(socket) < 2**63


SSH = Socket("tcp", 0, 0, "10.0.0.5", 22, "10.0.0.9", 51000, "ESTABLISHED", 811, "sshd")


def test_keys_do_not_change_from_version_to_version() -> None:
    # Stored in every open row: another value closes and opens every socket of a fleet.
    assert packing.key(SSH) == 8435470306124495860


def test_no_program_is_not_the_empty_program() -> None:
    assert packing.key(SSH._replace(program=None)) != packing.key(SSH._replace(program=""))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("nginx: worker", "nginx: worker"),
        ("a\0b", "a\\x00b"),
        ("网\0", "网\\x00"),
        ("\ud800é", "\\ud800é"),
        ("\udcff", "\\udcff"),
        ("\U0001f4a9", "\U0001f4a9"),
    ],
)
def test_what_no_database_holds_is_written_out(text: str, kept: str) -> None:
    assert packing.storable(text) == kept


@pytest.mark.parametrize("ip", ["2001:db8::", "fe80::1%eth0", "2001:db8:1234:56"])
def test_an_address_cut_short_is_text_and_no_address(ip: str) -> None:
    flagged = SSH._replace(protocol="tcp6", foreign_ip=ip, flags=Flag.FOREIGN_TRUNCATED)
    row = packing.pack(flagged, 1)
    assert (row.remote_ip, row.remote_zone) == (b"", ip)
    assert unpacked(flagged) == flagged


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.168.4.0/22", "2001:db8::/32", "0.0.0.0/0"])
def test_packed_addresses_sort_so_that_a_network_is_a_range(network: str) -> None:
    block = ipaddress.ip_network(network)
    first, last = (
        packing.pack(SSH._replace(foreign_ip=str(ip)), 1).remote_ip for ip in (block[0], block[-1])
    )
    for ip, inside in [
        (block[0], True), (block[-1], True), (block[block.num_addresses // 3], True),
        ("9.255.255.255", False), ("192.168.8.0", False), ("2001:db9::", False),
    ]:  # fmt: skip
        packed = packing.pack(SSH._replace(foreign_ip=str(ip)), 1).remote_ip
        if inside or ipaddress.ip_address(str(ip)) not in block:
            assert (first <= packed <= last) == (inside and ip in block)


UDP = SSH._replace(protocol="udp", state=None)


@pytest.mark.parametrize(
    ("socket", "way"),
    [
        (SSH._replace(state="LISTEN", foreign_ip="0.0.0.0", foreign_port=None), "LISTEN"),
        (UDP._replace(foreign_ip="0.0.0.0", foreign_port=None), "LISTEN"),
        (UDP._replace(protocol="udplite6", foreign_port=None), "LISTEN"),
        (UDP._replace(protocol="raw", local_port=1, foreign_port=None), "LISTEN"),
        (UDP._replace(foreign_ip="10.0.0.9"), "OUT"),
        (UDP._replace(local_port=53), "IN"),
        (SSH, "IN"),
        (SSH._replace(protocol="tcp6"), "IN"),
        (SSH._replace(protocol="sctp"), "OUT"),
        (SSH._replace(local_port=40000, foreign_port=22), "OUT"),
        (SSH._replace(local_ip="127.0.0.1", foreign_ip="127.0.0.53"), "LOCAL"),
        (SSH._replace(protocol="tcp6", local_ip="::1", foreign_ip="::1"), "LOCAL"),
        (SSH._replace(foreign_ip="10.0.0.5"), "LOCAL"),
        (SSH._replace(state="CLOSE", local_port=9, foreign_port=None), "OUT"),
    ],
)
def test_who_opened_a_connection(socket: Socket, way: str) -> None:
    listening = {("tcp", 22), ("udp", 53)}
    assert packing.way(socket, listening).name == way


def test_two_ends_that_were_cut_alike_may_be_of_two_machines() -> None:
    cut = SSH._replace(
        protocol="tcp6",
        local_ip="2001:db8:aaaa:bbb",
        foreign_ip="2001:db8:aaaa:bbb",
        flags=Flag.LOCAL_TRUNCATED | Flag.FOREIGN_TRUNCATED,
    )
    assert packing.way(cut, set()).name == "OUT"
    assert (
        packing.way(cut._replace(flags=0, local_ip="::5", foreign_ip="::5"), set()).name == "LOCAL"
    )


def test_directions_have_the_same_numbers_in_rows_and_in_models() -> None:
    assert {way.name: way.value for way in packing.Way} == {
        direction.name: direction.value for direction in Direction
    }


def test_numbers_of_protocols_and_states_never_move() -> None:
    # They are stored: append only.
    assert packing.PROTOCOLS[:10] == (
        "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "sctp", "sctp6", "raw", "raw6",
    )  # fmt: skip
    assert packing.STATES[:12] == (
        "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
        "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "UNKNOWN",
    )  # fmt: skip
