"""Routes x methods x roles equals one committed table (trust 19), and outside is absent (20)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.http import HttpResponse

from netadmin.access.models import Role
from netadmin.access.permissions import MACHINE_PATHS
from netadmin.access.routes import BY_NAME, METHODS, ROUTES, Found, Route, walk
from tests.trust.world import World

PEOPLE = ("nobody", "without a role", "viewer", "operator", "admin")
ALLOWED, LOGIN, FORBIDDEN, ABSENT, METHOD = "allowed", "log in", "forbidden", "absent", "method"
UNLISTED = object()


def found() -> dict[str, Found]:
    return {entry.name: entry for entry in walk()}


def verdict(response: HttpResponse, *, answers: int = 200) -> str:
    """What an answer says about access, in one word."""
    code = response.status_code
    if code >= 500 and code != answers:
        return f"error {code}"
    if code == 401 or (code == 302 and re.match(r"/login/\?", response.headers["Location"])):
        return LOGIN
    return {403: FORBIDDEN, 404: ABSENT, 405: METHOD}.get(code, ALLOWED)


def expected(route: Route, method: str, role: Role | None, *, known: bool) -> set[str]:
    """The verdicts that the table allows for a caller with ``role``."""
    least = route.roles.get(method, UNLISTED)
    if least is UNLISTED:
        return {METHOD, FORBIDDEN} if known else {METHOD, FORBIDDEN, LOGIN}
    if least is None:
        return {ALLOWED}
    if not known:
        return {LOGIN}
    assert isinstance(least, Role)
    if role is None or role < least:
        return {FORBIDDEN}
    if route.answers in (403, 404):
        return {FORBIDDEN, ABSENT}
    return {ALLOWED}


def call(world: World, who: str, method: str, path: str, **headers: str) -> HttpResponse:
    """One request whose effects are undone, so that calls do not meet one another."""
    client = world.client(who)
    with transaction.atomic():
        response: HttpResponse = client.generic(
            method, path, b"", content_type="application/x-www-form-urlencoded", headers=headers
        )
        if response.streaming:
            response.getvalue()  # type: ignore[attr-defined]
        transaction.set_rollback(True)
    return response


def test_every_route_of_the_site_is_in_the_table_and_no_other() -> None:
    there = found()
    unlisted = sorted(there.keys() - BY_NAME.keys())
    gone = sorted(BY_NAME.keys() - there.keys())
    lines = "".join(f'\n    route("{name}", {{"GET": VIEWER}}),' for name in unlisted)
    assert not unlisted, f"decide who may call these and add to netadmin/access/routes.py:{lines}"
    assert not gone, f"netadmin/access/routes.py lists what no URL pattern has: {gone}"
    assert len(BY_NAME) == len(ROUTES), "a route is listed twice"


def test_every_view_outside_the_admin_is_marked_with_the_least_role_of_its_row() -> None:
    wrong = {}
    for name, entry in found().items():
        if entry.path.startswith("/admin/"):
            continue
        roles = BY_NAME[name].roles.values()
        least = None if None in roles else min(role for role in roles if role is not None)
        marked = getattr(entry.view, "required_role", "no mark")
        if marked != least:
            wrong[name] = (marked, least)
    assert not wrong, f"name: (mark of the view, least role in the table): {wrong}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_each_role_and_method_meets_what_the_table_says(world: World, route: Route) -> None:
    entry = found()[route.name]
    wrong = []
    for method, who, role, headers in calls(world, route, entry.path):
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        path = world.path(route, entry, who=who, token=token)
        response = call(world, who, method, path, **headers)
        allowed = expected(route, method, role, known=who != "nobody")
        if route.token_only and not headers:
            allowed = {LOGIN}
        got = verdict(response, answers=route.answers)
        if got not in allowed:
            wrong.append(f"{method} as {who} {headers and 'by token'}: {got}, not {allowed}")
        shown = got == ALLOWED and method == "GET"
        if route.roles.get(method) is None and who != "nobody":
            shown = False  # such as the login page, which sends on who is logged in
        if shown and response.status_code != route.answers:
            wrong.append(f"GET as {who}: {response.status_code}, not {route.answers}")
    assert not wrong, f"{route.name} ({entry.path})\n" + "\n".join(wrong)


def calls(
    world: World, route: Route, path: str
) -> Iterator[tuple[str, str, Role | None, dict[str, str]]]:
    """Every method of the row by every role, on the routes of programs also by tokens of a higher
    user; and every other method by nobody and by whoever may do most."""
    for method in METHODS:
        listed = method in route.roles
        for who in PEOPLE if listed else ("nobody", "admin"):
            yield method, who, world.roles[who], {}
        if listed and path.startswith(MACHINE_PATHS):
            for name, text in world.tokens.items():
                authorization = {"Authorization": f"Bearer {text}"}
                yield method, "admin", world.roles[name], authorization


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.site_wide], ids=lambda route: route.name
)
def test_an_administrator_of_some_groups_does_not_reach_what_is_site_wide(
    world: World, route: Route
) -> None:
    path = world.path(route, found()[route.name])
    for method in route.roles:
        assert verdict(call(world, "limited admin", method, path)) == FORBIDDEN


SCOPED = [
    route
    for route in ROUTES
    if not route.site_wide
    and (
        route.about
        in {
            "hosts.host",
            "probes.snapshot",
            "own token",
            "own mailing",
            "probes.alert",
            "probes.service",
            "probes.silence",
        }
        or "{host}" in route.query
    )
]


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: route.name)
def test_what_is_outside_ones_groups_answers_with_the_body_of_absence(
    world: World, route: Route
) -> None:
    entry = found()[route.name]
    hidden = world.path(route, entry, hidden=True)
    pk = str(world.hidden[route.about or "hosts.host"].pk)
    missing = re.sub(rf"([/=,]){pk}(?=/|$)", r"\g<1>987654321", hidden, count=1)
    assert missing != hidden
    for method, least in route.roles.items():
        assert least is not None
        who = {
            Role.VIEWER: "limited",
            Role.OPERATOR: "limited operator",
            Role.ADMIN: "limited admin",
        }[least]
        outside = call(world, who, method, hidden)
        absent = call(world, who, method, missing)
        assert verdict(outside) == ABSENT, f"{method} {hidden}: {outside.status_code}"
        assert verdict(absent) == ABSENT
        assert _body(outside, pk) == _body(absent, "987654321")
        assert _headers(outside) == _headers(absent)


def _body(response: HttpResponse, pk: str) -> str:
    """What was answered, without what differs in every answer: the id asked for and CSRF."""
    text = re.sub(rf"([/=]){pk}\b", r"\g<1>ID", response.content.decode())
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)


def _headers(response: HttpResponse) -> dict[str, str]:
    return {
        name: value
        for name, value in response.items()
        if name not in {"Content-Length", "X-Request-ID", "Date"}
    }
