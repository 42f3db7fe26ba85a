"""Every page under the strict policy, and forms that only this site can send (trust 22)."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.http import HttpResponse
from django.urls import reverse

from netadmin.access.models import Role
from netadmin.access.routes import ROUTES, Route, walk
from tests.people import PASSWORD, browser_of, person
from tests.trust.world import World

PAGES = [
    route
    for route in ROUTES
    if "GET" in route.roles and route.answers == 200 and not route.name.startswith("api-")
]
UNSAFE = [route for route in ROUTES if route.roles.keys() - {"GET"}]
FOUND = {entry.name: entry for entry in walk()}
LINKS = {"src", "href", "action", "formaction", "data", "poster", "srcset", "ping", "manifest"}
SENT_OR_LOADED = {
    *("script", "link", "img", "iframe", "object", "embed", "source", "video", "audio", "use"),
    *("form", "button", "input"),
}
DATA_TYPES = {"application/json", "text/plain"}
"""Script elements that hold data, which no browser runs."""


class Violations(HTMLParser):
    """Collects what a strict policy would refuse, or what would load from another site."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        where = f"line {self.getpos()[0]}: <{tag}>"
        if tag == "script" and "src" not in values and values.get("type") not in DATA_TYPES:
            self.found.append(f"{where} inline script")
        if tag == "style":
            self.found.append(f"{where} inline style")
        for name, value in values.items():
            if name == "style":
                self.found.append(f"{where} style attribute")
            elif name.startswith(("on", "hx-on")):
                self.found.append(f"{where} handler {name}")
            elif name in {"hx-vals", "hx-vars"} and value.lstrip().startswith(
                ("js:", "javascript:")
            ):
                self.found.append(f"{where} {name} needs eval")
            elif name in LINKS and value.strip().lower().startswith(("javascript:", "vbscript:")):
                self.found.append(f"{where} {value}")
            elif name in LINKS and tag in SENT_OR_LOADED and urlsplit(value).netloc:
                self.found.append(f"{where} {name} goes to {value}")

    handle_startendtag = handle_starttag


def violations(html: str) -> list[str]:
    parser = Violations()
    parser.feed(html)
    parser.close()
    return parser.found


def policy(response: HttpResponse) -> dict[str, list[str]]:
    parts = [part.split() for part in response.headers["Content-Security-Policy"].split(";")]
    return {words[0]: words[1:] for words in parts if words}


def has_strict_headers(response: HttpResponse) -> None:
    rules = policy(response)
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'"]
    assert rules["style-src"] == ["'self'"]
    assert rules["frame-ancestors"] == ["'none'"]
    assert rules["form-action"] == ["'self'"]
    assert rules["base-uri"] == ["'none'"]
    words = [word for values in rules.values() for word in values]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:"} & set(words)
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.name)
def test_no_page_has_anything_inline_or_from_elsewhere(world: World, route: Route) -> None:
    who = "nobody" if route.name == "login" else "admin"
    response = world.client(who).get(world.path(route, FOUND[route.name], who=who))
    assert response.status_code == 200
    has_strict_headers(response)
    if response.headers["Content-Type"].startswith("text/html"):
        assert violations(response.content.decode()) == []


@pytest.mark.parametrize("path", ["/nothing/here/", "/api/v1/nothing/", "/admin/nothing/"])
def test_refusals_have_the_same_headers(world: World, path: str) -> None:
    response = world.client("admin").get(path)
    assert response.status_code == 404
    has_strict_headers(response)
    assert violations(response.content.decode()) == []


@pytest.mark.parametrize(
    "html",
    [
        "<script>x()</script>",
        "<style>a{}</style>",
        '<p style="color:red">',
        '<img src="x" onerror="x()">',
        '<button hx-on:click="x()">',
        '<a href=" JavaScript:x()">',
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<form action="https://evil.example/">',
    ],
)
def test_the_look_for_violations_finds_each_kind(html: str) -> None:
    assert violations(html)


@pytest.mark.parametrize("route", UNSAFE, ids=lambda route: route.name)
def test_no_form_is_taken_without_its_token(world: World, route: Route) -> None:
    """Every unsafe method of every route, by the one who may call it, from another site."""
    client = browser_of(world.people["admin"], csrf=True)
    path = world.path(route, FOUND[route.name])
    for method in route.roles.keys() - {"GET"}:
        response = client.generic(method, path, b"{}", content_type="application/json")
        # What no session opens has nothing that could be forged: it is as if nobody had called.
        refused = 401 if route.token_only else 403
        assert response.status_code == refused, f"{method} {path}"
        if path.startswith("/api/"):
            assert response.json()["error"]["code"] == "csrf_failed"


def test_the_refusal_names_the_settings_to_mend(world: World, settings: object) -> None:
    settings.SITE_URL = "https://netadmin.example"  # type: ignore[attr-defined]
    client = browser_of(world.people["admin"], csrf=True)
    response = client.post(reverse("logout"), headers={"Origin": "https://other.example"})
    text = response.content.decode()
    assert response.status_code == 403
    for word in (
        "SITE_URL",
        "TRUSTED_PROXIES",
        "https://netadmin.example",
        "https://other.example",
    ):
        assert word in text
    has_strict_headers(response)


def test_a_token_needs_no_csrf_and_a_session_beside_it_does_not_help(world: World) -> None:
    client = browser_of(world.people["admin"], csrf=True)
    headers = {"Authorization": f"Bearer {world.tokens['admin']}"}
    assert client.post("/api/v1/nothing/", headers=headers).status_code == 404
    bad = {"Authorization": "Bearer nad_00000000_" + "A" * 43}
    assert client.post("/api/v1/nothing/", headers=bad).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "a b", "[::1", ""]
)
def test_another_host_name_is_refused(db: None, host: str) -> None:
    response = browser_of(None).get(reverse("login"), headers={"Host": host})
    assert response.status_code == 400
    assert "evil.example" not in response.content.decode()
    assert "SITE_URL" in response.content.decode()
    assert "evil" not in response.headers.get("Location", "")


def test_x_forwarded_host_is_not_believed(db: None) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    response = browser_of(None).get(reverse("tokens"), headers=headers)
    assert response.headers["Location"].startswith("/login/")
    assert (
        "evil.example"
        not in browser_of(None).get(reverse("login"), headers=headers).content.decode()
    )


def test_an_error_shows_nothing_of_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from netadmin.access.views import tokens

    def fail(*_args: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(tokens, "_visible", fail)
    response = world.client("viewer").get(reverse("tokens"))
    assert response.status_code == 500
    assert b"secret detail" not in response.content
    assert b"Traceback" not in response.content
    has_strict_headers(response)
    assert violations(response.content.decode()) == []


def test_cookies_are_not_for_scripts_or_other_sites(db: None) -> None:
    person("nora", Role.VIEWER, password=PASSWORD)
    client = browser_of(None)
    client.post(reverse("login"), {"username": "nora", "password": PASSWORD})
    client.post(reverse("language"), {"language": "zh-hans"})
    cookies = client.cookies
    assert cookies["netadmin_session"]["httponly"]
    assert cookies["django_language"]["httponly"]
    assert {cookies[name]["samesite"] for name in cookies} == {"Lax"}


@pytest.mark.parametrize("language", ["zh-hans", "zh-hant"])
def test_every_page_is_there_in_chinese(world: World, language: str) -> None:
    for route in PAGES:
        who = "nobody" if route.name == "login" else "admin"
        path = world.path(route, FOUND[route.name], who=who)
        response = world.client(who).get(path, headers={"Accept-Language": language})
        assert response.status_code == 200, path
        if response.headers["Content-Type"].startswith("text/html"):
            body = response.content.decode()
            assert "<html" not in body or f'lang="{language}"' in body, path
            assert re.search("[\u4e00-\u9fff]", body), path
