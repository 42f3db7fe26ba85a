"""The pages of sources: what they show, keep and never show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hosts import inventory
from hosts.models import Credential, Host, HostGroup, Source, SyncRun
from netadmin import env
from tests.people import browser_of
from tests.web_answers import WebServer, web_server

pytestmark = pytest.mark.django_db
PATH = "/hosts.json"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def browser(admin: User, settings: Any) -> Client:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])
    return browser_of(admin)


def fill(server: WebServer, *names: str) -> None:
    rows = [{"name": name, "address": f"{name}.example"} for name in names]
    server.say(PATH, json.dumps(rows).encode())


def form(server: WebServer, group: HostGroup, **changed: str) -> dict[str, str]:
    fields = {"name": "assets", "kind": "json", "location": server.url(PATH), "enabled": "on"}
    return fields | {"group": str(group.pk), "every_minutes": "30", "token": ""} | changed


def test_from_the_first_source_to_an_approved_removal(
    browser: Client, server: WebServer, group: HostGroup
) -> None:
    assert "Add a source" in browser.get("/hosts/sources/").content.decode()
    fill(server, "a", "b", "c")
    added = browser.post("/hosts/sources/add/", form(server, group, token="hunter2"))
    source = Source.objects.get()
    assert added.headers["Location"] == f"/hosts/sources/{source.pk}/"
    dry = browser.post(f"/hosts/sources/{source.pk}/sync/", {"dry": "1"}, follow=True)
    text = dry.content.decode()
    assert "a.example:22" in text
    assert "Nothing was." in text
    assert "To be added" in text
    assert ">Added<" not in text
    assert "not done" in browser.get(f"/hosts/sources/{source.pk}/").content.decode()
    assert not Host.objects.exists()
    browser.post(f"/hosts/sources/{source.pk}/sync/")
    assert Host.objects.count() == 3
    done = SyncRun.objects.get(state="done")
    shown = browser.get(f"/hosts/sources/runs/{done.pk}/").content.decode()
    assert ">Added<" in shown
    assert "To be" not in shown
    fill(server, "a", "b")
    waits = browser.post(f"/hosts/sources/{source.pk}/sync/", follow=True)
    run = SyncRun.objects.get(state="waiting")
    assert "Approve, and remove 1 host" in waits.content.decode()
    assert "waits for a person" in browser.get("/hosts/").content.decode()
    browser.post(f"/hosts/sources/runs/{run.pk}/decide/", {"decision": "approve"})
    run.refresh_from_db()
    assert (run.state, run.removed, run.decided_by) == ("done", 1, "anna")
    assert "waits for a person" not in browser.get("/hosts/").content.decode()
    one = f"/hosts/sources/{source.pk}/"
    for page in ("/hosts/sources/", one, f"{one}edit/", f"/hosts/sources/runs/{run.pk}/"):
        shown = browser.get(page)
        assert shown.status_code == 200
        assert "hunter2" not in shown.content.decode()


def test_a_form_keeps_what_was_typed_but_no_secret_and_says_errors_at_the_field(
    browser: Client, server: WebServer, group: HostGroup, deploy: Credential
) -> None:
    typed = form(server, group, credential=str(deploy.pk), location="http://10.0.0.1/x")
    typed |= {"token": "hunter2", "confirm_secret": "guess-1", "map_name": "host{name}"}
    answer = browser.post("/hosts/sources/add/", typed)
    assert answer.status_code == 400
    shown = answer.context["form"]
    assert set(shown.errors) == {"location"}
    text = answer.content.decode()
    assert "OUTBOUND_ALLOWED_NETWORKS" in text
    assert "http://10.0.0.1/x" in text
    assert "host{name}" in text
    assert "hunter2" not in text
    assert "guess-1" not in text
    typed["location"] = server.url(PATH)
    assert set(browser.post("/hosts/sources/add/", typed).context["form"].errors) == {
        "confirm_secret"
    }
    typed["confirm_secret"] = "s3cret-pass"
    assert browser.post("/hosts/sources/add/", typed).status_code == 302
    assert Source.objects.get().fields == {"name": "host{name}"}


@pytest.mark.parametrize(
    "changed", [{"kind": "x"}, {"group": "987654"}, {"every_minutes": "０５"}, {"name": "\x00"}]
)
def test_a_wrong_value_is_an_error_of_its_field(
    browser: Client, server: WebServer, group: HostGroup, changed: dict[str, str]
) -> None:
    answer = browser.post("/hosts/sources/add/", form(server, group) | changed)
    assert answer.status_code == 400
    assert set(changed) <= set(answer.context["form"].errors)


def test_filters_pages_and_csv(browser: Client, server: WebServer, group: HostGroup) -> None:
    fill(server, "a")
    browser.post("/hosts/sources/add/", form(server, group))
    source = Source.objects.get()
    for _time in range(2):
        browser.post(f"/hosts/sources/{source.pk}/sync/")
    page = f"/hosts/sources/{source.pk}/"
    assert len(browser.get(page).context["rows"]) == 2
    assert [run.state for run, _why in browser.get(f"{page}?state=done").context["rows"]] == [
        "done"
    ]
    assert not browser.get(f"{page}?state=zzz").context["rows"]
    rows = browser.get(f"{page}?state=done&format=csv").getvalue().decode().splitlines()
    assert len(rows) == 2
    assert ",done,anna,1,1,0,0," in rows[1]
    assert "assets,json," in browser.get("/hosts/sources/?format=csv").getvalue().decode()
    done = SyncRun.objects.get(state="done")
    listed = browser.get(f"/hosts/sources/runs/{done.pk}/?format=csv").getvalue().decode()
    assert "add,,a,,,a.example,," in listed


def test_a_host_in_the_way_is_handed_over_with_one_click(
    browser: Client, server: WebServer, group: HostGroup
) -> None:
    own = inventory.create_host({"name": "a", "address": "mine.example"}, request=None)
    fill(server, "a", "b")
    browser.post("/hosts/sources/add/", form(server, group))
    source = Source.objects.get()
    shown = browser.post(f"/hosts/sources/{source.pk}/sync/", follow=True)
    assert "Let the source have it" in shown.content.decode()
    run = SyncRun.objects.get()
    decide = f"/hosts/sources/runs/{run.pk}/decide/"
    wrongs: list[dict[str, str]] = [
        {},
        {"decision": "adopt"},
        {"decision": "adopt", "host": "９"},
        {"decision": "take_back", "host": str(own.pk)},
        {"decision": "approve"},
    ]
    for wrong in wrongs:
        assert browser.post(decide, wrong, follow=True).status_code == 200
    assert not hasattr(Host.objects.get(pk=own.pk), "sourced")
    browser.post(decide, {"decision": "adopt", "host": str(own.pk)})
    browser.post(f"/hosts/sources/{source.pk}/sync/")
    own.refresh_from_db()
    assert own.address == "a.example"


def test_administrators_of_some_groups_see_no_source(
    group_admin: User, server: WebServer, group: HostGroup
) -> None:
    source = Source.objects.create(name="assets", kind="json", location=PATH, group=group)
    limited = browser_of(group_admin)
    for page in ("/hosts/sources/", f"/hosts/sources/{source.pk}/", "/hosts/sources/add/"):
        assert limited.get(page).status_code == 403
    assert limited.post(f"/hosts/sources/{source.pk}/sync/").status_code == 403
    assert "/hosts/sources/" not in limited.get("/hosts/").content.decode()


def test_pages_cost_the_same_for_many_sources_and_runs(
    browser: Client, group: HostGroup, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        source = Source.objects.create(name=f"s{number}", kind="json", location=PATH, group=group)
        for minute in range(3):
            SyncRun.objects.create(
                source=source, state="done", started_at=source.created_at, rows=minute
            )
    run = SyncRun.objects.latest("pk")
    for page, queries in (
        ("/hosts/sources/", 10),
        (f"/hosts/sources/{source.pk}/", 11),
        (f"/hosts/sources/runs/{run.pk}/", 7),
    ):
        with django_assert_max_num_queries(queries):
            assert browser.get(page).status_code == 200
