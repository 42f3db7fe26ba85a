"""From whom mail comes: EMAIL_FROM, or an address at the host of SITE_URL."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from netadmin.env import mail_sender


@pytest.mark.parametrize(
    ("said", "site", "sender"),
    [
        ("", "netadmin.example.com", "netadmin <netadmin@netadmin.example.com>"),
        ("  ", "localhost", "netadmin <netadmin@localhost>"),
        ("", "192.0.2.1", "netadmin <netadmin@localhost>"),
        ("", "2001:db8::1", "netadmin <netadmin@localhost>"),
        ("ops@example.org", "localhost", "ops@example.org"),
        (" Network <ops@example.org>", "localhost", "Network <ops@example.org>"),
    ],
)
def test_the_sender_is_what_was_said_or_the_site(said: str, site: str, sender: str) -> None:
    assert mail_sender(said, site) == sender


@pytest.mark.parametrize(
    "said", ["nobody", "a b@example.org", "ops@example.org\r\nBcc: x@example.org", "@", "ops@"]
)
def test_what_is_no_sender_is_refused_by_its_name(said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_FROM must be"):
        mail_sender(said, "localhost")
