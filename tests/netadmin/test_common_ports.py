"""The setting COMMON_PORTS: numbers of ports, each once, or a refusal that names it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from netadmin.env import Reader, common_ports


def test_the_default_is_what_everybody_asks_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMMON_PORTS", raising=False)
    ports = common_ports(Reader()("COMMON_PORTS"))
    assert ports == (21, 22, 23, 25, 53, 80, 110, 443, 3306, 8080)
    assert common_ports("") == ports


def test_ports_are_read_in_order_and_once() -> None:
    assert common_ports("443, 80,443") == (443, 80)


@pytest.mark.parametrize("text", ["ssh", "22-25", "0", "65536", "22,,80", "２２", "1" * 99])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^COMMON_PORTS lists "):
        common_ports(text)


def test_more_than_fifty_are_refused() -> None:
    assert len(common_ports(",".join(map(str, range(1, 51))))) == 50
    with pytest.raises(ImproperlyConfigured, match="more than 50"):
        common_ports(",".join(map(str, range(1, 52))))
