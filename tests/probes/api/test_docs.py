"""docs/api.md is true to the routes: every address, parameter, field and order is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from probes.api import reports
from probes.api.inventory import NewCredential, NewHost
from probes.api.routing import Endpoint, Text
from probes.filters import PROTOCOLS, SocketFilter
from probes.history.queries import SORTS
from probes.payloads.shapes import schema
from tests.probes.api.site import ENDPOINTS

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^#{2,3} (.+)\n((?:(?!^#{2,3} ).*\n?)*)", TEXT, re.MULTILINE))


def section(endpoint: Endpoint, method: str) -> str:
    """The text under the heading that names this method of this address."""
    address = endpoint.path.replace("<int:pk>", "{id}")
    for heading, text in SECTIONS.items():
        if f"`{method} {address}`" in heading:
            return text
    raise AssertionError(f"docs/api.md has no heading with `{method} {address}`")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_method_and_parameter_of_an_address_is_described(endpoint: Endpoint) -> None:
    for method, operation in endpoint.operations.items():
        text = section(endpoint, method)
        names = set(operation.query.model_fields)
        if issubclass(operation.query, SocketFilter):
            assert "the filters" in text
            names -= SocketFilter.model_fields.keys()
        missing = sorted(name for name in names if f"`{name}`" not in text)
        assert not missing, f"{endpoint.name}: {missing}"


def test_every_filter_is_described() -> None:
    text = SECTIONS["Filters of sockets"]

    assert not [name for name in SocketFilter.model_fields if f"`{name}`" not in text]
    assert not [name for name in PROTOCOLS if f"`{name}`" not in text]


def test_every_order_is_described() -> None:
    text = SECTIONS["`GET hosts/{id}/connections`"]

    assert not [name for name in SORTS if name[0] != "-" and f"`{name}`" not in text]


def test_every_field_of_a_new_host_is_described() -> None:
    text = SECTIONS["`POST hosts/` (admin)"]

    assert not [name for name in NewHost.model_fields if f"`{name}`" not in text]
    assert not [name for name in NewCredential.model_fields if name not in text]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_name_of_an_answer_is_shown(endpoint: Endpoint) -> None:
    missing = set()
    for operation in endpoint.operations.values():
        assert operation.data is not None, operation.method
        if isinstance(operation.data, Text):
            continue
        for shape, described in schema(operation.data)["$defs"].items():
            for name in described.get("properties", {}):
                if f'"{name}"' not in TEXT and f"`{name}`" not in TEXT:
                    missing.add(f"{shape}.{name}")
    assert not missing, sorted(missing)


def test_every_error_code_is_listed() -> None:
    api = Path(reports.__file__).parent
    sources = [*api.glob("*.py"), *api.with_name("tools").glob("*.py")]
    codes = set()
    for source in sources:
        codes |= set(
            re.findall(r"(?:error|Refused)\(\s*\d+,\s*\"(\w+)\"", source.read_text("utf-8"))
        )
    assert codes >= {"not_found", "disabled", "raw_not_kept", "method_not_allowed"}
    assert not [code for code in codes if f"`{code}`" not in SECTIONS["Errors"]]
