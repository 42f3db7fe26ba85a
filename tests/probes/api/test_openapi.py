"""``openapi.json`` says what the API is, all of it, and its page shows it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from netadmin.access.models import Scope
from probes.api import api_page, field_notes, openapi, routing
from probes.api.openapi import address_of, document, operations
from probes.payloads import shapes
from tests import api_shapes
from tests.probes.api.site import ENDPOINTS, Site

pytestmark = pytest.mark.django_db

DESCRIBED = [
    pytest.param(said, id=f"{method.upper()} {address}")
    for address, methods in document()["paths"].items()
    for method, said in methods.items()
]


def named(operation: dict[str, Any]) -> list[str]:
    """The parameters of path and query, which stand in the operation itself."""
    return [each["name"] for each in operation["parameters"] if "$ref" not in each]


def by_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the description that stands by itself."""
    return schema | {"components": document()["components"]}


def test_every_operation_of_every_address_is_described() -> None:
    described = {
        (address, method.upper())
        for address, methods in document()["paths"].items()
        for method in methods
    }
    assert described == {
        (address_of(endpoint), method) for endpoint in ENDPOINTS for method in endpoint.operations
    }


def test_every_operation_declares_what_it_answers() -> None:
    assert [
        f"{operation.method} {endpoint.path}"
        for endpoint, operation in operations()
        if operation.data is None
    ] == []


def test_every_status_that_is_declared_is_explained() -> None:
    for _endpoint, operation in operations():
        good, bad = openapi.statuses(operation)
        assert set(good) <= openapi.SUCCESSES.keys()
        assert set(bad) <= openapi.REFUSALS.keys()


def test_operations_have_ids_of_their_own_and_subjects() -> None:
    ids = [said.values[0]["operationId"] for said in DESCRIBED]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", each) for each in ids)
    tags = {tag["name"] for tag in document()["tags"]}
    assert {said.values[0]["tags"][0] for said in DESCRIBED} == tags


def test_every_schema_is_json_schema_and_is_used() -> None:
    text = openapi.encoded()[0].decode()
    for name, schema in document()["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        assert f'"#/components/schemas/{name}"' in text, name
    references = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert references <= document()["components"]["schemas"].keys()


@pytest.mark.parametrize("said", DESCRIBED)
def test_examples_are_as_their_schemas_say(said: dict[str, Any]) -> None:
    contents = [said.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in said["responses"].values()]
    for content in contents:
        for each in content.values():
            if "example" in each:
                validator = jsonschema_rs.Draft202012Validator(
                    by_reference(each["schema"]), validate_formats=True
                )
                assert [error.message for error in validator.iter_errors(each["example"])] == []
    for parameter in said["parameters"]:
        if "example" in parameter:
            assert jsonschema_rs.is_valid(parameter["schema"], parameter["example"])


@pytest.mark.parametrize("said", DESCRIBED)
def test_every_answer_names_its_headers(said: dict[str, Any]) -> None:
    known = document()["components"]
    sent = [each["$ref"] for each in said["parameters"] if "$ref" in each]
    assert (sent == ["#/components/parameters/If-None-Match"]) is ("304" in said["responses"])
    for status, answer in said["responses"].items():
        headers = (known["responses"][status] if "$ref" in answer else answer)["headers"]
        for name, reference in headers.items():
            assert reference == {"$ref": f"#/components/headers/{name}"}
            assert name in known["headers"]
        assert {"X-Request-ID", "RateLimit-Limit", "RateLimit-Reset"} <= headers.keys()
        tagged = status in ("200", "304") and "304" in said["responses"]
        assert ("ETag" in headers) is tagged


def test_headers_are_as_they_are_described(site: Site, settings: Any) -> None:
    settings.API_PER_MINUTE = 1_000
    caller = site.session("viewer")
    answer = caller.call("GET", "/api/v1/hosts/")
    described = document()["paths"]["/hosts/"]["get"]["responses"]["200"]["headers"]
    for name in described:
        schema = document()["components"]["headers"][name]["schema"]
        text = answer[name]
        value = int(text) if schema["type"] == "integer" else text
        assert jsonschema_rs.is_valid(schema, value), (name, text)
    again = caller.call("GET", "/api/v1/hosts/", If_None_Match=answer["ETag"])
    assert (again.status_code, again["ETag"]) == (304, answer["ETag"])
    cookie = document()["components"]["securitySchemes"]["session"]["name"]
    assert cookie in caller.client.cookies


def test_a_default_is_a_value_that_may_be_given() -> None:
    wrong = [
        (name, field)
        for name, schema in document()["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if "default" in said and not jsonschema_rs.is_valid(by_reference(said), said["default"])
    ]
    assert wrong == []
    assert [
        parameter["name"]
        for said in DESCRIBED
        for parameter in said.values[0]["parameters"]
        if "default" in parameter.get("schema", {})
        and not jsonschema_rs.is_valid(parameter["schema"], parameter["schema"]["default"])
    ] == []


def test_parameters_are_described_with_the_bounds_that_are_checked() -> None:
    said = document()["paths"]["/hosts/{id}/connections"]["get"]
    schemas = {each["name"]: each["schema"] for each in said["parameters"] if "name" in each}
    assert schemas["limit"] == {
        "type": "integer", "minimum": 1, "maximum": 1000, "default": 100
    }  # fmt: skip
    assert schemas["proto"]["enum"][:3] == ["all", "tcp", "udp"]
    assert schemas["at"] == {"type": "string", "format": "date-time"}
    assert {"program", "-program"} <= set(schemas["sort"]["enum"])
    assert jsonschema_rs.is_valid(schemas["state"], "LISTEN,TIME_WAIT")
    assert not jsonschema_rs.is_valid(schemas["state"], "LISTEN,OPEN")


def test_an_answer_that_lacks_a_key_or_has_another_does_not_fit() -> None:
    validator = jsonschema_rs.Draft202012Validator(shapes.schema(shapes.Named))
    assert validator.is_valid({"id": 1, "name": "web1"})
    assert not validator.is_valid({"id": 1})
    assert not validator.is_valid({"id": 1, "name": "web1", "more": 1})


def test_the_suite_refuses_an_answer_that_is_not_as_declared(site: Site) -> None:
    made = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "api-host")
    wrong = routing.envelope.answer({"host": {"id": site.host.pk}})
    with pytest.raises(AssertionError, match="answers what its shape has not"):
        api_shapes.check(made, _get(), wrong)
    with pytest.raises(AssertionError, match="answers 418"):
        api_shapes.check(made, _get(), routing.envelope.error(418, "teapot", "no"))
    api_shapes.PROBLEMS.clear()


def _get() -> Any:
    from django.test import RequestFactory

    return RequestFactory().get("/api/v1/hosts/1/")


def test_a_reader_gets_the_description_and_nobody_else_does(site: Site) -> None:
    answer = site.token("viewer", Scope.READ).call("GET", "/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.1"
    site.nobody().refused(401, "/api/v1/openapi.json")
    site.nobody().refused(401, "/api/v1/docs/")


def test_the_index_lists_every_operation_and_a_search_narrows_it(site: Site) -> None:
    caller = site.session("viewer")
    whole = caller.call("GET", "/api/v1/docs/").content.decode()
    for said in DESCRIBED:
        assert f'?operation={said.values[0]["operationId"]}"' in whole
    found = caller.call("GET", "/api/v1/docs/?q=post+hosts").content.decode()
    assert "operation=post_hosts" in found
    assert "operation=get_hosts" not in found
    nothing = caller.call("GET", "/api/v1/docs/?q=no+such+words").content.decode()
    assert "No operation has these words" in nothing


def test_each_operation_can_be_shown() -> None:
    for said in DESCRIBED:
        operation = said.values[0]
        shown = api_page.context(document(), wanted=operation["operationId"], q="")
        assert shown is not None
        names = [field.name for field in shown["detail"].parameters]
        assert names == named(operation)
        assert [answer.status for answer in shown["detail"].answers] == [*operation["responses"]]


def test_an_operation_of_each_subject_has_its_page(site: Site) -> None:
    caller = site.session("viewer")
    one_each = {said.values[0]["tags"][0]: said.values[0] for said in DESCRIBED}
    for operation in one_each.values():
        page = caller.call("GET", f"/api/v1/docs/?operation={operation['operationId']}")
        assert page.status_code == 200
        text = page.content.decode()
        for name in named(operation):
            assert re.search(rf">{re.escape(name)}\b", text)
        assert "curl -s" in text
    caller.refused(404, "/api/v1/docs/", operation="get_nothing")


def test_what_is_code_in_a_note_is_marked_and_nothing_else_is_markup() -> None:
    assert api_page.marked("``cursor`` of <b>") == "<code>cursor</code> of &lt;b&gt;"


def test_notes_below_fields_are_those_of_the_source() -> None:
    source = Path(field_notes.__file__).with_name("shared.py").read_text(encoding="utf-8")
    listed = next(
        node for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "Listed"
    )  # fmt: skip
    from probes.api.inventory import HostList

    notes = field_notes.notes_of(HostList)
    assert notes["limit"] in ast.get_source_segment(source, listed)  # type: ignore[operator]
    assert notes["q"] == "Part of the name or the address."
