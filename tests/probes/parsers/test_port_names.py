"""Numbers of ports to their registered names: hints beside a port."""

from __future__ import annotations

import pytest

from probes.parsers import service_names


@pytest.mark.parametrize(
    ("port", "protocol", "name"),
    [
        (22, "tcp", "ssh"),
        (5432, "tcp6", "postgresql"),
        (53, "udp", "domain"),
        (514, "tcp", "shell"),
        (514, "udp6", "syslog"),
        (512, "udp", "biff"),
        (520, "tcp", None),
        (58, "raw6", "ipv6-icmp"),
        (1, "raw", "icmp"),
        (250, "raw", None),
        (49_200, "tcp", None),
        (0, "tcp", None),
    ],
)
def test_a_port_has_the_name_it_is_registered_for(
    port: int, protocol: str, name: str | None
) -> None:
    assert service_names.name(port, protocol) == name


def test_every_name_given_leads_back_to_its_port() -> None:
    for port in range(65_536):
        for protocol in ("tcp", "udp"):
            name = service_names.name(port, protocol)
            if name is not None:
                assert service_names.number(name, protocol) == port
