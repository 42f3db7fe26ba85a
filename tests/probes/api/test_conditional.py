"""Conditional requests: who has an answer is told so, and never where it would read otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from netadmin.access.models import Access, Role, Scope
from probes.api import versions
from probes.history import store
from probes.models import Alert, ClosedSocket, OpenSocket
from probes.watch import feed
from tests.people import browser_of, person
from tests.probes.api.site import ENDPOINTS, FIRST, SECOND, Caller, Site
from tests.probes.history.played import at, failed, observed

NEEDED: dict[str, dict[str, Any]] = {
    "api-ports": {"port": 22},
    "api-statistics-trend": {"by": "ip"},
}
TAGGED = [
    each.name
    for each in ENDPOINTS
    if "GET" in each.operations
    and each.operations["GET"].version in (versions.of_body, versions.of_host, versions.of_hosts)
]
CHEAP = [
    each.name
    for each in ENDPOINTS
    if "GET" in each.operations
    and each.operations["GET"].version in (versions.of_host, versions.of_hosts)
]


def get(site: Site, caller: Caller, name: str, **headers: str) -> HttpResponse:
    """A GET of that route with what it needs."""
    response: HttpResponse = caller.client.get(
        site.path(name),
        NEEDED.get(name, {}),
        headers=caller.headers
        | {header.replace("_", "-"): value for header, value in headers.items()},
    )
    return response


def test_the_routes_that_pollers_ask_are_conditional() -> None:
    asked = {"api-hosts", "api-host-snapshots", "api-changes", "api-alerts", "api-map"}
    assert asked | {"api-exposure"} <= set(TAGGED)
    assert {"api-host-connections", "api-host-ports", "api-ports"} <= set(CHEAP)
    assert {"api-statistics-ips", "api-statistics-states"} <= set(CHEAP)


@pytest.mark.parametrize("name", TAGGED)
def test_an_answer_that_is_held_is_not_sent_again(site: Site, name: str) -> None:
    caller = site.session("viewer")
    first = get(site, caller, name)
    assert first.status_code == 200, first.content
    assert first["Cache-Control"] == "private, no-cache"
    assert {"Accept-Language", "Authorization", "Cookie"} <= set(first["Vary"].split(", "))

    again = get(site, caller, name, If_None_Match=f'"other", {first["ETag"]}')

    if name == "api-statistics-timeline":
        # It ends now, which is later than it was.
        assert again.status_code in (200, 304)
    else:
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        assert again["Cache-Control"] == "private, no-cache"
        head = caller.call("HEAD", site.path(name), If_None_Match=first["ETag"])
        assert head.status_code in ((200, 400) if name in NEEDED else (304,))


@pytest.mark.parametrize("name", CHEAP)
def test_to_say_so_reads_no_socket_and_costs_two_queries(site: Site, name: str) -> None:
    caller = site.session("viewer")
    tag = get(site, caller, name)["ETag"]
    with CaptureQueriesContext(
        connection,
    ) as whoever:
        caller.client.get("/api/v1/hosts/987654321/", headers=caller.headers)
    with CaptureQueriesContext(connection) as asked:
        assert get(site, caller, name, If_None_Match=tag).status_code == 304

    tables = (OpenSocket._meta.db_table, ClosedSocket._meta.db_table)
    statements = [each["sql"] for each in asked.captured_queries]
    assert not [sql for sql in statements if any(table in sql for table in tables)]
    assert len(statements) <= len(whoever.captured_queries) + 2


@pytest.mark.parametrize("name", CHEAP)
def test_a_new_whole_probe_makes_a_new_answer_and_a_failed_one_none(site: Site, name: str) -> None:
    caller = site.session("viewer")
    tag = get(site, caller, name)["ETag"]
    store.save(site.host, failed(4))
    assert get(site, caller, name, If_None_Match=tag).status_code == 304

    store.save(site.host, observed(5, FIRST))

    assert get(site, caller, name, If_None_Match=tag).status_code == 200


def test_whoever_is_told_that_nothing_changed_would_have_read_the_same(site: Site) -> None:
    caller = site.session("viewer")
    member = Host.objects.create(name="new", address="192.0.2.77")

    def renamed() -> None:
        Host.objects.filter(pk=site.host.pk).update(name="renamed")

    def joined() -> None:
        member.groups.add(site.group)

    def left() -> None:
        member.groups.clear()

    def acknowledged() -> None:
        Alert.objects.filter(pk=site.alert.pk).update(acknowledged_by="ann", acknowledged_at=at(9))

    steps = [
        lambda: store.save(site.host, observed(5, SECOND)),
        lambda: store.save(site.host, observed(6, FIRST)),
        renamed,
        joined,
        lambda: store.save(member, observed(6, SECOND)),
        left,
        acknowledged,
        lambda: feed.number(),
        lambda: None,
    ]
    known = {name: get(site, caller, name) for name in CHEAP}
    spared = 0
    for step in steps:
        step()
        for name, before in known.items():
            asked = get(site, caller, name, If_None_Match=before["ETag"])
            whole = get(site, caller, name)
            if asked.status_code == 304:
                assert whole.content == before.content, name
                spared += 1
            known[name] = whole
    assert spared > len(CHEAP)


@pytest.mark.parametrize("name", ["api-host-connections", "api-statistics-ips", "api-hosts"])
def test_a_tag_is_good_for_one_caller_language_and_question_alone(site: Site, name: str) -> None:
    caller = site.session("viewer")
    tag = get(site, caller, name)["ETag"]
    path = site.path(name)

    others = [
        get(site, site.session("operator"), name, If_None_Match=tag),
        get(site, site.token("viewer", Scope.READ), name, If_None_Match=tag),
        get(site, caller, name, If_None_Match=tag, Accept_Language="zh-hans"),
        caller.client.get(path, {"limit": 7}, headers={"If-None-Match": tag}),
        caller.client.get(path, {"format": "csv"}, headers={"If-None-Match": tag}),
    ]

    assert [response.status_code for response in others] == [200] * 5


def test_who_sees_other_hosts_than_before_gets_an_answer(site: Site) -> None:
    limited = person("limited", Role.VIEWER, groups=[site.group])
    caller = Caller(browser_of(limited))
    tag = get(site, caller, "api-statistics-ips")["ETag"]
    Access.objects.get(user=limited).groups.add(site.others)

    assert get(site, caller, "api-statistics-ips", If_None_Match=tag).status_code == 200


def test_what_is_asked_of_a_past_time_is_judged_by_its_body(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")
    query = {"snapshot": site.first.pk}
    first = caller.client.get(path, query)
    same = caller.client.get(path, query, headers={"If-None-Match": first["ETag"]})
    assert same.status_code == 304

    site.first.delete()

    gone = caller.client.get(path, query, headers={"If-None-Match": first["ETag"]})
    assert gone.status_code == 404


def test_downloads_refusals_and_other_routes_have_no_tag(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-connections")

    for response in (
        caller.client.get(path, {"format": "csv"}),
        caller.client.get(path, {"state": "nonsense"}),
        caller.client.get(site.path("api-host")),
    ):
        assert not response.has_header("ETag")
        assert response["Cache-Control"] == "no-store"
