"""Every parameter of every route with everything that is no value: a 4xx naming it (trust 21)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from hosts.models import Credential, Host
from netadmin.access.models import AuditEntry
from probes.api import urls
from probes.api.routing import Endpoint, Operation
from tests.probes.api.site import ENDPOINTS, Caller, Site, error_of

WRONG = (
    "",
    " ",
    "9" * 400,
    "x" * 3000,
    "NaN",
    "-1",
    "0",
    "65536",
    "２２",
    "0x16",
    "1_0",
    "+1",
    " 1",
    "1.0",
    "1e3",
    "\x00",
    "80\x00",
    "null",
    "true",
    "[]",
    "{}",
    "'; DROP TABLE x --",
    "%",
    "é",
    "\u2028",
    "\ufeff1",
)

IDS = frozenset(("host", "snapshot", "hunt", "command", "rule", "source"))
NUMBERS_THAT_FIT = {name: {"65536"} for name in (*IDS, "pid", "step")} | {"after": {"0", "65536"}}
FREE_TEXT = {
    "program": 200,
    "q": 100,
    "group": 100,
    "interface": 255,
    "gateway": 100,
    "name": 100,
    "protocol": 100,
    "counter": 100,
    "key": 300,
    "note": 500,
    "person": 150,
}
"""Parameters that are any text up to so many characters."""
WORDS_THAT_FIT = {("enabled", "true"), ("wide", "true"), ("dry_run", "true")}


CALLED_BY_NAME = {"api-connections-query": 255, "api-ports-check": 255}
"""Routes that are told a host by its name, and the longest that may be."""


def fits(endpoint: Endpoint, name: str, value: str) -> bool:
    """Whether a value of WRONG is right for this parameter, if only as a name that is unknown."""
    longest = CALLED_BY_NAME.get(endpoint.name) if name == "host" else FREE_TEXT.get(name)
    if longest is not None:
        return bool(value.strip()) and len(value) <= longest and "\x00" not in value
    return value in NUMBERS_THAT_FIT.get(name, ()) or (name, value) in WORDS_THAT_FIT


NEEDED = {
    "api-ports": "port=22",
    "api-ports-check": "port=22",
    "api-diff": "hosts={host},{host}",
    "api-connections-search": "port=22",
    "api-search": "q=web",
    "api-statistics-trend": "by=program",
    "api-statistics-interfaces": "host={host}&interface=lo",
}
"""What a route cannot be asked without."""


def cases() -> Iterator[Any]:
    for endpoint in ENDPOINTS:
        for operation in endpoint.operations.values():
            for name in operation.query.model_fields:
                yield pytest.param(
                    endpoint, operation, name, id=f"{endpoint.name} {operation.method} {name}"
                )


_ROUTES_OF = Counter(name for endpoint in ENDPOINTS for operation in endpoint.operations.values()
                     for name in operation.query.model_fields)  # fmt: skip
SHARED = sorted(name for name, routes in _ROUTES_OF.items() if routes > 2)


def tried(endpoint: Endpoint, name: str) -> tuple[str, ...]:
    """Values of WRONG: one in six, other ones on each route, of a parameter that many routes read
    by one declaration."""
    if name not in SHARED:
        return WRONG
    return WRONG[(ENDPOINTS.index(endpoint) + SHARED.index(name)) % 6 :: 6]


def needed(site: Site, endpoint: Endpoint, operation: Operation, *, but: str) -> str:
    if operation.body is not None:
        return ""  # the body says it
    query = NEEDED.get(endpoint.name, "").format(host=site.host.pk)
    return "&".join(part for part in query.split("&") if not part.startswith(f"{but}="))


def test_the_table_is_of_every_address_of_the_api() -> None:
    assert [pattern.name for pattern in urls.urlpatterns] == [each.name for each in ENDPOINTS]
    assert len(list(cases())) > 90


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize(("endpoint", "operation", "name"), list(cases()))
def test_a_parameter_that_does_not_fit_is_named_and_nothing_fails(
    site: Site, endpoint: Endpoint, operation: Operation, name: str
) -> None:
    caller = site.session("admin")
    before = AuditEntry.objects.count()
    rest = needed(site, endpoint, operation, but=name)
    body = {"indicators": "10.0.0.9"} if operation.body else None
    queries = {value: f"{name}={quote(value)}" for value in tried(endpoint, name)}
    queries["twice"] = f"{name}=22&{name}=22"
    wrong, done = [], 0
    for value, query in queries.items():
        path = f"{site.path(endpoint.name)}?{query}&{rest}".rstrip("&")
        response = caller.call(operation.method, path, body)
        if value != "twice" and fits(endpoint, name, value):
            done += operation.method != "GET" and response.status_code in (200, 202)
            if response.status_code not in (200, 202, 400, 404):
                wrong.append((value, response.status_code))
            continue
        if response.status_code != 400:
            wrong.append((value, response.status_code))
            continue
        error = error_of(response, 400)
        if (error["field"], error["code"]) != (name, "invalid"):
            wrong.append((value, error))
    assert not wrong
    assert before <= AuditEntry.objects.count() <= before + done


@pytest.mark.parametrize(
    ("endpoint", "operation"),
    [
        pytest.param(each, operation, id=f"{each.name} {operation.method}")
        for each in ENDPOINTS
        for operation in each.operations.values()
        if operation.method != "DELETE"
    ],
)
def test_an_unknown_parameter_is_named(
    site: Site, endpoint: Endpoint, operation: Operation
) -> None:
    caller = site.session("admin")
    for query, field in (
        ("zzz=1", "zzz"),
        ("=1", ""),
        ("Proto=tcp", "Proto"),
        ("a%00b=1", "a\ufffdb"),
    ):
        rest = needed(site, endpoint, operation, but="")
        path = f"{site.path(endpoint.name)}?{query}&{rest}"
        body = {"name": "x", "address": "192.0.2.9"} if operation.body else None
        error = error_of(caller.call(operation.method, path.rstrip("&"), body), 400)
        assert error["field"] == field


def test_a_parameter_that_is_needed_is_named_when_it_is_missing(site: Site) -> None:
    caller = site.session("viewer")

    assert caller.refused(400, site.path("api-search"))["field"] == "q"
    assert caller.refused(400, site.path("api-statistics-trend"))["field"] == "by"


def test_a_state_with_udp_is_refused(site: Site) -> None:
    caller = site.session("viewer")
    path = site.path("api-host-connections")

    assert caller.refused(400, path, proto="udp", state="LISTEN")["field"] == "state"
    assert caller.refused(400, path, proto="UDP6", state="LISTEN")["field"] == "state"
    assert caller.get(path, proto="udp")["total"] == 1


@pytest.mark.parametrize(
    "pk", ["0", "9" * 18, "9" * 19, "9" * 30, "9" * 5000, "-1", "２", "x", "1.0"]
)
def test_an_id_that_no_row_has_is_absent(site: Site, pk: str) -> None:
    caller = site.session("admin")
    for endpoint in ENDPOINTS:
        if "<int:pk>" not in endpoint.path:
            continue
        path = "/api/v1/" + endpoint.path.replace("<int:pk>", quote(pk))
        for method in endpoint.operations:
            assert error_of(caller.call(method, path), 404)["code"] == "not_found"


# --- bodies ---------------------------------------------------------------------------------------

RIGHT: dict[str, Any] = {"name": "new", "address": "192.0.2.9"}
BODIES = [
    pytest.param(method, name, id=f"{method} {name}")
    for method, name in (("POST", "api-hosts"), ("PATCH", "api-host"))
]


def everything() -> tuple[list[Any], list[Any]]:
    return list(Host.objects.order_by("pk").values()), list(Credential.objects.values())


def send(site: Site, caller: Caller, method: str, name: str, raw: bytes, **headers: str) -> Any:
    return caller.call(method, site.path(name), raw, **headers)


@pytest.mark.parametrize(("method", "name"), BODIES)
@pytest.mark.parametrize(
    "raw",
    [
        b" ",
        b"{",
        b"nul",
        b"null",
        b"[]",
        b"[{}]",
        b'"x"',
        b"1",
        b"{'name': 'x'}",
        b'{"name": "x",}',
        b'{"port": NaN}',
        b'{"port": Infinity}',
        b'{"port": 0x16}',
        b'{"port": 1_0}',
        b'{"name": "\xff"}',
        '{"name": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"port": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_a_body_that_is_no_json_object_is_refused(
    site: Site, method: str, name: str, raw: bytes
) -> None:
    before = everything()
    response = send(site, site.session("admin"), method, name, raw, content_type="application/json")

    error = error_of(response, 400)
    assert error["field"] == "body"
    assert everything() == before


@pytest.mark.parametrize(("method", "name"), BODIES)
def test_a_body_of_another_type_is_refused(site: Site, method: str, name: str) -> None:
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        response = send(
            site, site.session("admin"), method, name, b'{"name":"x"}', content_type=kind
        )
        assert error_of(response, 415)["field"] == "Content-Type"


@pytest.mark.parametrize(("method", "name"), BODIES)
@pytest.mark.parametrize("size", [300 * 1024, 3 * 1024 * 1024])
def test_a_body_that_is_too_large_is_refused(site: Site, method: str, name: str, size: int) -> None:
    raw = b'{"notes": "' + b"x" * size + b'"}'

    error = error_of(
        send(site, site.session("admin"), method, name, raw, content_type="application/json"), 413
    )

    assert error["field"] == "body"


WRONG_FIELDS: dict[str, list[Any]] = {
    "name": [None, "", "  ", 5, True, [], {}, "x" * 101, "-rf", "a\x00b", "a\nb", "\ud800", "a;b"],
    "address": [None, "", 5, [], "x" * 300, "-oProxyCommand=x", "a b", "1.2.3", "２.２.２.２",
                "a;b", "$(id)", "a\x00", "\ud800"],
    "port": [None, "", "22", 22.0, 22.5, True, -1, 0, 65536, 10**30, "２２", "0x16", [], {}],
    "is_local": [None, 0, 1, "true", [], {}],
    "platform": [None, "", "LINUX", "solaris", 1, [], "linux\x00"],
    "credential": [0, -1, 10**30, "", "unknown", 1.5, True, [], {}, "a\x00"],
    "groups": [None, "inside", 1, {}, [0], [None], ["unknown"], [[]], [True], ["a\x00"], [1] * 101],
    "jump_host": [0, -1, 10**30, "unknown", 1.5, True, [], {}, "\ud800"],
    "interval_s": ["", "60", 60.0, True, -1, 0, 4, 86_401, 10**30, []],
    "enabled": [None, 0, 1, "true", []],
    "keep_connection": [None, 0, "no", {}],
    "notes": [None, 5, [], "x" * 10_001, "a\x00b", "\udfff"],
    "new_credential": [5, "x", [], {}, {"name": "x"}, {"name": "", "user": "u", "password": "p"},
                       {"name": "n", "user": "-u", "password": "p"},
                       {"name": "n", "user": "u", "method": "magic", "password": "p"},
                       {"name": "n", "user": "u"},
                       {"name": "n", "user": "u", "method": "key", "private_key": "rubbish"},
                       {"name": "n", "user": "u", "method": "key_file", "key_file": "../x"},
                       {"name": "n", "user": "u", "password": "p", "sudo": "always"},
                       {"name": "n", "user": "u", "password": "p", "zzz": 1},
                       {"name": "n", "user": "u", "password": "a\x00"},
                       {"name": "n", "user": "u", "password": 5}],
    "confirm_secret": [5, True, [], {}, "x" * 70_000, "a\x00"],
    "confirm_sudo_password": [5, [], "\ud800"],
    "zzz": [1, None],
    "removed_at": [None],
    "password_encrypted": ["x"],
}  # fmt: skip


@pytest.mark.parametrize(("method", "name"), BODIES)
@pytest.mark.parametrize("field", WRONG_FIELDS)
def test_a_field_that_does_not_fit_is_named_and_nothing_is_saved(
    site: Site, method: str, name: str, field: str
) -> None:
    caller = site.session("admin")
    before = everything()
    for value in WRONG_FIELDS[field]:
        body = {field: value} if method == "PATCH" else RIGHT | {field: value}
        response = caller.call(method, site.path(name), body)
        error = error_of(response, 400)
        named = str(error["field"])
        assert named == field or named.startswith(f"{field}."), (value, error)
    assert everything() == before


@pytest.mark.parametrize(("method", "name"), BODIES)
def test_a_field_given_twice_is_named(site: Site, method: str, name: str) -> None:
    raw = b'{"name": "x", "address": "192.0.2.9", "port": 22, "port": 23}'

    response = site.session("admin").call(method, site.path(name), raw)

    assert error_of(response, 400)["field"] == "port"


def test_fields_that_are_needed_are_named_when_they_are_missing(site: Site) -> None:
    caller = site.session("admin")
    for field in RIGHT:
        body = {name: value for name, value in RIGHT.items() if name != field}
        error = error_of(caller.call("POST", site.path("api-hosts"), body), 400)
        assert error["field"] == field


def test_a_body_where_none_belongs_is_ignored_by_nobody(site: Site) -> None:
    caller = site.session("admin")
    response = caller.call("POST", site.path("api-host-probe"), {"wait": 5})

    assert error_of(response, 400)["field"] == "body"
    assert not AuditEntry.objects.exists()


# --- words ----------------------------------------------------------------------------------------


def test_a_message_follows_the_language_and_code_and_field_do_not(site: Site) -> None:
    caller = site.session("viewer")
    path = f"{site.path('api-host-connections')}?limit=0"

    answers = {
        language: caller.call("GET", path, Accept_Language=language)
        for language in ("en", "zh-hans", "zh-hant")
    }

    errors = [error_of(response, 400) for response in answers.values()]
    assert {(error["code"], error["field"]) for error in errors} == {("invalid", "limit")}
    assert answers["en"].json()["message"] == "limit: Give a number from 1 to 1000."
    for language, response in answers.items():
        assert response["Content-Language"] == language
