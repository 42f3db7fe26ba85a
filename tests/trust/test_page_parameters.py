"""Every parameter of every page with everything that is no value (trust 21, for pages).

A page answers 200 (or sends on, where that is its task) or a 4xx that names the parameter; it
never fails, and what was asked never comes back as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from netadmin.access.forms import AuditQuery, TokenQuery
from netadmin.access.models import Role
from netadmin.access.routes import BY_NAME, ROUTES, Route, walk
from probes.alert_filters import ActivityFilter, AlertFilter, SilenceFilter
from probes.connection_map import MapFilter
from probes.filters import SocketFilter
from probes.history.queries.changes import ChangeFilter
from probes.peer_filters import PeerFilter
from probes.service_filters import ServiceFilter
from probes.table_filters import InterfaceFilter, MulticastFilter, ProtocolFilter, RouteFilter
from probes.views import diff, exposure, hunt, network, over_time, place, sockets, statistics
from tests.people import browser_of, person
from tests.standing import Standing
from tests.trust.test_pages_are_safe import violations
from tests.trust.world import World, postgresql_as_default

NOT_SHARED = {*SocketFilter.model_fields, "cursor", "sort"}
"""Named alike on many pages, and another thing on each."""
MARKUP = "\"'><script>alert(1)</script> autofocus onfocus=alert(1) y='"
WRONG = (
    *("", "9" * 400, "x" * 10_000, "NaN", "-1", "0", "65536", "9" * 19, "２２", "0x16", "1_0"),
    *("80\x00", "\r\nSet-Cookie: a=b", MARKUP),
)
FOR_DATABASES = ("80\x00", "9" * 19, "2147483648")
"""What SQLite takes and PostgreSQL may not: it has narrower numbers, and no NUL in text."""
RAW = ("%ED%A0%80", "%FF%", "%uD800")
"""Escapes that are no text, as they stand in an address."""
ODD_TIMES = (
    *("2026-01-31", "20260131T031200", "2026-W05-6", "2026-01-31T03:12:00+99:00", "24:00", "now"),
    *("0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59", "1700000000"),
    *(
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2026-02-30T00:00:00",
        "２０２６-01-31T00:00:00",
        "2026-13-01",
    ),
    *("2026-01-31T03:12:00,5", "2026-01-31T24:00:00", "2026-03-29T02:30:00", "-2026-01-31T00:00"),
    *("2026-01-31T03:12:00Z", "2026-01-31T03:12:00 08:00", "1969-12-31T23:59:59", "NaN", "\x00"),
    *("2026-01-31T03:12:00.123456789", "2026-01-31T03:12:60", "x" * 10_000, MARKUP),
)
ZONES = ("Asia/Shanghai", "America/Los_Angeles")
TABLES = {
    "routes": RouteFilter,
    "interfaces": InterfaceFilter,
    "protocols": ProtocolFilter,
    "multicast": MulticastFilter,
}
FILTERS_OF_TABLES = {name for model in TABLES.values() for name in model.model_fields}
READ: dict[str, set[str]] = {
    "overview": {"q", "group", "status", "sort", "page", "format"},
    "search": {"q"},
    "hunt": {*hunt.FIELDS, *hunt.PAGE_PARAMETERS},
    "hunt_add": {"indicators"},
    "alerts": {*AlertFilter.model_fields, "cursor"},
    "silences": {*SilenceFilter.model_fields, "cursor"},
    "channels": {"format"},
    "channel": {"state", "page", "format"},
    "channel_add": {"kind"},
    "silence_add": {"host", "group", "rule", "kind"},
    "sources": {"format"},
    "source": {"state", "page", "format"},
    "sync_run": {"format"},
    "activity": {*ActivityFilter.model_fields, "cursor"},
    "peers": {*PeerFilter.model_fields, "cursor"},
    "drift_edit": {"group"},
    "services": {*ServiceFilter.model_fields, "page"},
    "service": {"page"},
    "service_add": {"host", "port", "protocol", "name"},
    "changes": {*ChangeFilter.model_fields, "cursor"},
    "port_policy_edit": {"group", "host"},
    "host_watch": {"state", "sort", "at", "span"},
    "rule_add": {"metric"},
    "rule_override_add": {"host", "group"},
    "ports": {"port", "proto", "q", "page", "format", *place.PARAMETERS},
    "exposure": {*exposure.OWN, *exposure.PAGE_PARAMETERS},
    "findings": {"host", "group", "at", "kind", "severity", "q", "page", "format"},
    "map": {*place.PARAMETERS, *MapFilter.model_fields, "sort", "page"},
    "statistics": {*statistics.OWN, "cursor", *place.PARAMETERS, *SocketFilter.model_fields},
    "paste": {"host"},
    "report": {"host", "group", "at", "format", "limit"},
    "report_mailings": {"page", "format"},
    "report_mailing_add": {"host", "group"},
    "host": {*sockets.NAMES, *sockets.PAGE_PARAMETERS},
    "host_ports": {"at", "span", "q", "scope", "page", "format"},
    "host_peers": {"at", "span", "scope", "limit", *SocketFilter.model_fields},
    "host_history": {*sockets.NAMES, *over_time.OWN},
    "host_diff": {*sockets.NAMES, *diff.OWN},
    "compare": {"a", "b", "at", "what", "show", "page"},
    "host_states": {"at", "span", "by"},
    "host_live": {"every", *SocketFilter.model_fields, "at", "by", "span", "sort"},
    "host_network": {*network.OWN_PARAMETERS, *FILTERS_OF_TABLES},
    "host_probes": {"at", "span", "outcome", "cursor"},
    "probe_progress": {"compact", "since"},
    "host_list": {"q", "group", "state", "sort", "page", "format"},
    "audit": set(AuditQuery.base_fields),
    "tokens": set(TokenQuery.base_fields),
    "login": {"next"},
}
"""What each page reads of its query string; the other pages read nothing."""
TIMED = sorted(name for name, read in READ.items() if "at" in read)
PAGES = [
    route
    for route in ROUTES
    if "GET" in route.roles and not route.name.startswith(("api-", "admin:", "/admin/"))
]
LISTS = [
    route
    for route in ROUTES
    if route.name.startswith("admin:") and route.name.endswith(("_changelist", "_add"))
]
FOUND = {entry.name: entry for entry in walk()}


@pytest.fixture
def postgres_site(world_in_postgresql: Standing[World], db: None) -> Iterator[World]:
    """A site whose own database is PostgreSQL."""
    with postgresql_as_default():
        yield world_in_postgresql.taken()


on_both_databases = pytest.mark.django_db(databases=["default", "postgres"])


def visitor(world: World, route: Route) -> Client:
    """Somebody who may see the page; the page of logins is for strangers."""
    return world.client("nobody" if Role.VIEWER not in _roles(route) else "admin")


_PAGES_OF = Counter(name for names in READ.values() for name in names)
SHARED = [
    *SocketFilter.model_fields,
    *sorted(name for name, pages in _PAGES_OF.items() if pages > 2 and name not in NOT_SHARED),
]


def _roles(route: Route) -> set[Role]:
    least = route.roles["GET"]
    return set() if least is None else {role for role in Role if role <= least} | {Role.VIEWER}


def complaint(response: HttpResponse, names: set[str], *, allowed: set[int]) -> str:
    """What is wrong with an answer, or nothing; a refusal must blame one of ``names``."""
    body = response.getvalue() if response.streaming else response.content  # type: ignore[attr-defined]
    code = response.status_code
    if code == 302 and 302 in allowed:
        target = urlsplit(response.headers["Location"])
        return f"leads to {target.netloc}" if target.scheme or target.netloc else ""
    if code not in allowed - {302}:
        return f"status {code}"
    if not response.headers["Content-Type"].startswith("text/html"):
        return ""
    html = body.decode()
    if "alert(1)" in html:  # or nothing of MARKUP came back, and reading the page takes long
        found = [line for line in violations(html) if "alert" in line or "on" in line]
        if found or "<script>alert" in html:
            return f"came back as markup: {found}"
    if code == 400 and names:
        blamed = _blamed(response)
        if not blamed & names:
            return f"400 that blames {blamed}"
    return ""


def _blamed(response: Any) -> set[str]:
    """The parameters that a page says are wrong."""
    context = response.context or {}
    problem = context.get("problem")
    if problem is not None and f"<code>{problem.field}</code>" in response.content.decode():
        return {problem.field}
    form = context.get("form")
    return set(form.errors) if form is not None else set()


def some(values: Sequence[str], page: str, name: str, *, every: int) -> Sequence[str]:
    """``values``; one in ``every``, other ones on each page, of a parameter that many pages read by
    one function: filters of sockets, all of which the page of a host takes, hosts, times."""
    if page == "host" or name not in SHARED:
        return values
    turn = sorted(READ).index(page) + SHARED.index(name)
    return values[turn % every :: every]


def queries(page: str, name: str) -> Iterator[str]:
    tried = some(WRONG, page, name, every=5)
    for value in tried:
        yield f"{name}={quote(value)}"
    if tried is not WRONG:
        yield f"{name}={quote(MARKUP)}"
        return
    if name in FILTERS_OF_TABLES and page != "host":
        return  # read there by the same function, value by value
    for raw in RAW:
        yield f"{name}={raw}"
    yield f"{name}=1&{name}=2"
    yield name
    yield f"{name}%00={quote(MARKUP)}"


@pytest.mark.parametrize("name", sorted(READ))
def test_no_value_of_a_parameter_breaks_a_page_or_comes_back_as_markup(
    world: World, name: str
) -> None:
    wrong = [
        f"?{query[:80]}: {problem}"
        for parameter in sorted(READ[name])
        for query in queries(name, parameter)
        for problem in problems(world, name, parameter, query)
    ]
    assert not wrong, "\n".join(wrong)


@on_both_databases
@pytest.mark.parametrize("name", sorted(READ))
def test_no_value_of_a_parameter_breaks_a_page_on_postgresql(
    postgres_site: World, name: str
) -> None:
    wrong = [
        f"?{parameter}={value!r}: {problem}"
        for parameter in sorted(READ[name])
        for value in some(FOR_DATABASES, name, parameter, every=len(FOR_DATABASES))
        for problem in problems(postgres_site, name, parameter, f"{parameter}={quote(value)}")
    ]
    assert not wrong, "\n".join(wrong)


def problems(world: World, name: str, parameter: str, query: str) -> Iterator[str]:
    """What is wrong with the page for such a query."""
    route = BY_NAME[name]
    client, path = visitor(world, route), world.path(route, FOUND[name])
    allowed = {200, 400} | ({302} if name == "jump" else set())
    for prefix in _prefixes(name, parameter):
        response = client.get(f"{path}?{prefix}{query}")
        problem = complaint(response, {parameter, f"{parameter}\ufffd"}, allowed=allowed)
        if problem:
            yield f"{prefix} {problem}"


def _prefixes(name: str, parameter: str) -> list[str]:
    """The other tables of a host have each its own filters on one page."""
    if name != "host_network" or parameter == "table":
        return [""]
    tables = [
        table
        for table, model in TABLES.items()
        if parameter in model.model_fields
        or parameter == "sort"
        or (parameter not in FILTERS_OF_TABLES and table == "interfaces")
    ]
    return [f"table={table}&" for table in tables]


@pytest.mark.parametrize("name", TIMED)
def test_a_time_in_any_odd_form_is_read_or_named(world: World, name: str) -> None:
    route = BY_NAME[name]
    client, path = visitor(world, route), world.path(route, FOUND[name])
    wrong = []
    for number, value in enumerate(some(ODD_TIMES, name, "at", every=3)):
        # The ends of the calendar are beyond it in the zones of one side each.
        for zone in ZONES if "9999" in value or "0001" in value else [ZONES[number % 2]]:
            with timezone.override(zone):
                problem = complaint(client.get(path, {"at": value}), {"at"}, allowed={200, 400})
            if problem:
                wrong.append(f"{value[:80]!r} in {zone}: {problem}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["overview", "host"])
def test_the_live_part_of_a_page_takes_no_value_amiss(world: World, name: str) -> None:
    route = BY_NAME[name]
    client, path = visitor(world, route), world.path(route, FOUND[name])
    wrong = []
    for parameter in sorted(READ[name]):
        for value in ("-1", "80\x00", MARKUP):
            response = client.get(path, {parameter: value}, headers={"HX-Request": "true"})
            # The page around it has named the parameter already.
            problem = complaint(response, set(), allowed={200, 400})
            if problem:
                wrong.append(f"{parameter}={value!r}: {problem}")
    assert not wrong, "\n".join(wrong)


@on_both_databases
@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
def test_no_parameter_breaks_a_list_or_form_of_the_admin(
    postgres_site: World, route: Route
) -> None:
    site = postgres_site
    client, path = site.client("admin"), site.path(route, FOUND[route.name])
    names = sorted(_asked_of_the_admin(route))
    values = (FOR_DATABASES[1], MARKUP)
    asked = [{name: value} for name in names for value in values]
    if route.name.endswith("_add"):
        # A form takes all its first values at once.
        asked = [dict.fromkeys(names, value) for value in values]
    wrong = []
    for query in [*asked, {names[-1]: FOR_DATABASES[0]}]:
        with transaction.atomic("postgres"):
            response = client.get(path, query)
            transaction.set_rollback(True, "postgres")
        body = response.content.decode()
        if response.status_code not in (200, 302, 400, 403):
            wrong.append(f"{query}: {response.status_code}")
        elif "<script>alert" in body or " onfocus=alert(1) y='" in body:
            wrong.append(f"{query}: came back as markup")
        elif (
            response.status_code == 400
            and "_to_field" not in query  # Django's own, for the windows it opens
            and not body.startswith((*query, "at"))
        ):
            wrong.append(f"{query}: {body[:80]}")
    assert not wrong, "\n".join(wrong)


def _asked_of_the_admin(route: Route) -> set[str]:
    """What its lists read of every query string, and each model's filters and fields."""
    kind, _, page = route.name.removeprefix("admin:").rpartition("_")
    for model, shown in admin.site._registry.items():
        if kind != model._meta.label_lower.replace(".", "_"):
            continue
        fields = [field.name for field in model._meta.get_fields() if field.concrete]
        if page == "add":
            return {*fields, "_popup", "_changelist_filters"}
        names = {"q", "o", "p", "all", "e", "_popup", "_to_field", "_facets", "id__exact", "zzz"}
        for name in shown.list_filter:
            names |= {f"{name}__exact", f"{name}__id__exact", f"{name}__gte", f"{name}__isnull"}
        if shown.date_hierarchy:
            names |= {f"{shown.date_hierarchy}__{part}" for part in ("year", "month", "day")}
        return names
    raise AssertionError(f"no model for {route.name}")


class Recorded(QueryDict):
    """A query string that notes which parameters are asked for."""

    names: set[str]

    def __getitem__(self, key: str) -> Any:
        self.names.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return super().__contains__(key)

    def _getlist(self, key: str, default: Any = None, force_list: bool = False) -> Any:
        self.names.add(key)
        return MultiValueDict._getlist(self, key, default, force_list)  # type: ignore[attr-defined]


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.name)
def test_the_table_names_every_parameter_that_a_page_reads(
    world: World, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()
    monkeypatch.setattr(Recorded, "names", names, raising=False)
    monkeypatch.setattr("django.core.handlers.wsgi.QueryDict", Recorded)
    path = world.path(route, FOUND[route.name])
    for prefix in [f"?table={table}" for table in TABLES] if route.name == "host_network" else [""]:
        visitor(world, route).get(path + prefix)
    assert names <= READ.get(route.name, set())


def test_a_page_that_is_for_everybody_sends_nobody_to_another_site(db: None) -> None:
    person("nora", Role.VIEWER, password="a-long-phrase-for-tests")
    for target in (
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\x00",
        "x" * 9999,
    ):
        response = browser_of(None).post(
            f"{reverse('login')}?next={quote(target)}",
            {"username": "nora", "password": "a-long-phrase-for-tests", "next": target},
        )
        assert response.status_code == 302
        assert not urlsplit(response.headers["Location"]).netloc
