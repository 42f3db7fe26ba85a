"""Names of services lead to the ports that the common services files have for them."""

from __future__ import annotations

import pytest

from probes.parsers import service_names


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("ssh", 22),
        ("http", 80),
        ("www", 80),
        ("https", 443),
        ("domain", 53),
        ("ipp", 631),
        ("postgresql", 5432),
        ("mysql", 3306),
        ("http-alt", 8080),
        ("webcache", 8080),
        ("epmap", 135),
        ("microsoft-ds", 445),
        ("ms-wbt-server", 3389),
        ("wsman", 5985),
        ("commplex-main", 5000),
        ("afs3-fileserver", 7000),
        ("mdns", 5353),
        ("rfb", 5900),
        ("daap", 3689),
    ],
)
def test_a_service_is_known_by_its_name_and_by_its_alias(name: str, port: int) -> None:
    assert service_names.number(name, "tcp") == port
    assert service_names.number(name, "udp6") == port
    assert service_names.number(name.upper(), "tcp") == port


@pytest.mark.parametrize("name", ["", "no-such-service", "80", "*", "ssh ", "ipv6-icmp", "\x00"])
def test_what_is_no_service_is_unknown(name: str) -> None:
    assert service_names.number(name, "tcp") is None


def test_a_raw_socket_has_an_ip_protocol_where_others_have_a_port() -> None:
    assert service_names.number("icmp", "raw") == 1
    assert service_names.number("ipv6-icmp", "raw6") == 58
    assert service_names.number("ssh", "raw") is None


def test_every_port_is_one_and_no_name_stands_for_two() -> None:
    listed = [part.split() for part in service_names._BY_PORT.split(";")]
    names = [name for _, *each in listed for name in each]
    assert len(names) == len(set(names)) > 350
    assert all(each for _, *each in listed)
    assert all(0 < int(port) < 65536 for port, *_ in listed)
    assert all(name == name.lower() for name in names)
