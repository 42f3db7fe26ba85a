"""schemathesis makes requests from the description, right ones and wrong ones, and the API keeps
what it describes: statuses, types, shapes, refusal of what is not described.

The description, the world and the callers are those of the other tests of the API; requests go
through the whole site, as WSGI, in this process.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.urls import resolve
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from netadmin.access.models import Scope
from probes.api import openapi
from tests.probes.api.site import ENDPOINTS, Site

NOT_HERE = frozenset({"api-events"})
"""A stream without an end: tests of its own read it."""


def _cases() -> Iterator[Any]:
    """Each operation with right requests, and with wrong ones where it takes anything at all."""
    for endpoint in ENDPOINTS:
        for method, operation in endpoint.operations.items():
            if endpoint.name in NOT_HERE:
                continue
            takes = "<int:pk>" in endpoint.path or operation.query.model_fields
            for mode in GenerationMode:
                if mode is GenerationMode.NEGATIVE and not (takes or operation.body):
                    continue
                yield pytest.param(
                    endpoint.name,
                    openapi.address_of(endpoint),
                    method,
                    mode,
                    id=f"{method} {endpoint.path} {mode.value}",
                )


EXAMPLES = 3
"""Of right requests and of wrong ones each, for each operation."""

_PORTS = st.integers(1, 65_535)
_PORT_RANGES = st.tuples(_PORTS, _PORTS).map(lambda ends: f"{min(ends)}-{max(ends)}")
_ADDRESSES = st.ip_addresses().map(str)
_NETWORKS = st.ip_addresses(v=4).map(lambda address: f"{address}/24")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MOMENTS = st.integers(86_400, 219 * 366 * 86_400).map(
    lambda seconds: (_EPOCH + dt.timedelta(seconds=seconds)).isoformat()
)
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date-time": _MOMENTS,
    "port-ranges": st.lists(_PORTS.map(str) | _PORT_RANGES, min_size=1, max_size=3).map(",".join),
    "ports": st.lists(_PORTS.map(str), min_size=1, max_size=3, unique=True).map(",".join),
    "address-or-network": _ADDRESSES | _NETWORKS,
    "address": _ADDRESSES,
    "pid": st.integers(1, 2**32 - 1).map(str) | st.just("none"),
    # Only the list itself gives one; test_cursors.py walks them. Taken out before the request.
    "cursor": st.just("left out"),
    "indicators": _ADDRESSES | _NETWORKS | _PORTS.map("port {}".format),
}
"""What no pattern says: the formats of the description, as text that is right."""


BETWEEN_PARAMETERS = (
    "give host as well",
    "Give a time before until",
    "Give a time at most 366 days before until",
    "Give at or snapshot, not both",
    "UDP has no states",
    "This goes without port",
    "This goes with by=",
    "Give this with format=csv",
    "Say what to look for",
    "Give a list, or ip, cidr and port",
    "Give ip or cidr, not both",
    "key: Give",
    "after has an order of its own",
    "after goes",
)
"""Rules that no schema of one parameter says, by the words of the refusal."""
SECONDS = frozenset(map(str, range(1, 61)))
"""For which a probe may be waited for."""
ASK_A_HOST = frozenset({"api-connections-query", "api-ports-check"})
"""They go to the host itself, which none of these tests should: here they ask an unknown one."""


class SiteAsWSGI:
    """The site as WSGI, under the name it is known by."""

    def __init__(self) -> None:
        self.application = get_wsgi_application()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.application(environ | {"HTTP_HOST": "testserver"}, start_response)


def in_range(pk: Any) -> bool:
    """Whether an id could be one, so that one that is may stand for it."""
    return isinstance(pk, int) and 1 <= pk < 2**63


def without_fractions(value: Any) -> Any:
    """JSON in which 22.0 is 22: to JSON Schema they are the same, and the API takes the latter."""
    if isinstance(value, dict):
        return {name: without_fractions(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_fractions(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def may_be_refused(case: Any, response: Any) -> bool:
    """Whether a request that fits each schema may be wrong as a whole: a body is judged by what
    it names and by all of it (an address, a rule, a crontab), and some parameters by others."""
    if response.status_code not in (400, 422):
        return False
    said = response.json()["message"]
    return case.operation.body or any(words in said for words in BETWEEN_PARAMETERS)


@pytest.fixture(scope="module")
def described() -> Iterator[OpenApiSchema]:
    """The description as schemathesis reads it, without its database of failures."""
    for name, strategy in FORMATS.items():
        schemathesis.openapi.format(name, strategy)
    schema = schemathesis.openapi.from_dict(openapi.document())
    # Who calls is tests/probes/api/test_access.py's matter.
    schema.config.generation.update(with_security_parameters=False)
    # A body that is too long for the schema may be too long to be read at all.
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")
    schema.app = SiteAsWSGI()
    # As Django's own test client: between requests there is the test's transaction.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield schema
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.parametrize(("name", "address", "method", "mode"), list(_cases()))
def test_an_operation_is_as_it_is_described(
    site: Site,
    described: OpenApiSchema,
    name: str,
    address: str,
    method: str,
    mode: GenerationMode,
) -> None:
    caller = site.token("admin", Scope.ADMIN)
    real = resolve(site.path(name)).kwargs.get("pk")
    operation = described[address][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        if real is not None and in_range(case.path_parameters.get("id")):
            case.path_parameters["id"] = real
        if name in ASK_A_HOST:
            case.query["host"] = "unknown.example"
        if str(case.query.get("wait")) in SECONDS:
            case.query["wait"] = 1  # nothing probes here
        excluded = []
        if mode is GenerationMode.POSITIVE:
            case.query.pop("cursor", None)
            case.body = without_fractions(case.body)
        response = case.call(headers=caller.headers)
        if mode is GenerationMode.POSITIVE and may_be_refused(case, response):
            excluded.append(positive_data_acceptance)
        case.validate_response(response, headers=caller.headers, excluded_checks=excluded)

    holds()
