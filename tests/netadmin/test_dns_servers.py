"""DNS_SERVERS: IP addresses with a port or without one, and nothing else."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from netadmin import env


def test_addresses_of_both_families_with_and_without_a_port() -> None:
    listed = ["192.0.2.53", " 192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]", "[::1]:5353"]
    assert env.dns_servers(listed) == [
        ("192.0.2.53", 53),
        ("192.0.2.53", 5353),
        ("2001:db8::53", 53),
        ("2001:db8::53", 53),
        ("::1", 5353),
    ]
    assert env.dns_servers([]) == []


@pytest.mark.parametrize(
    "text",
    ["dns.example", "", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:５３",
     "[192.0.2.53", "[dns]:53", "https://192.0.2.53"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DNS_SERVERS"):
        env.dns_servers([text])
