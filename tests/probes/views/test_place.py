"""Which hosts a page over the fleet looks at, and when."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.utils import timezone

from hosts.models import Host, HostGroup, visible_groups
from netadmin.access.models import Role
from probes.filters import FilterError
from probes.views import place
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER
from tests.probes.views import fleet


@pytest.fixture
def hosts(host: Host) -> list[Host]:
    """web1 in no group; db1 in "databases", probed once an hour ago; new1 never, beside it."""
    group = HostGroup.objects.create(name="databases")
    others = [Host.objects.create(name=name, address="192.0.2.2") for name in ("db1", "new1")]
    for one in others:
        one.groups.add(group)
    fleet.seen(others[0], 3600, LISTENER)
    return [host, *others]


def asked(query: str, *, groups: list[HostGroup] | None = None) -> Any:
    request = RequestFactory().get(f"/somewhere/?{query}")
    request.user = person("vera", Role.VIEWER, groups=groups)
    return request


def names(here: place.Place) -> list[str]:
    return sorted(here.hosts.values_list("name", flat=True))


def test_without_a_word_it_is_everything_now(hosts: list[Host]) -> None:
    here = place.read(asked(""))
    assert names(here) == ["db1", "new1", "web1"]
    assert (here.host, here.group, here.at, here.past) == (None, None, None, False)
    assert here.parameters() == {}
    assert here.scope is not None
    assert here.scope.moments is None


def test_a_group_a_host_and_a_time_are_read_and_written_back(hosts: list[Host]) -> None:
    query = f"group=databases&host={hosts[1].pk}&at=2026-01-31T03:12:00%2B08:00&other=1"
    here = place.read(asked(query))
    assert names(here) == ["db1"]
    assert (here.host, here.past) == (hosts[1], True)
    assert here.at == dt.datetime(2026, 1, 30, 19, 12, 0, 999_999, tzinfo=dt.UTC)
    assert here.parameters() == {
        "host": str(hosts[1].pk),
        "group": "databases",
        "at": "2026-01-30T19:12:00.999999Z",
    }
    assert here.parameters(["at"]) == {"at": "2026-01-30T19:12:00.999999Z"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("host=moon", "host"),
        ("host=99999999999999999999", "host"),
        ("host=%EF%BC%91", "host"),
        ("host=987654", "host"),
        ("group=moon", "group"),
        ("group=a%00b", "group"),
        ("at=yesterday", "at"),
        ("at=9999-12-31T23:59:59Z", "at"),
    ],
)
def test_what_is_no_place_is_named(hosts: list[Host], query: str, field: str) -> None:
    with pytest.raises(FilterError) as refused:
        place.read(asked(query))
    assert refused.value.field == field


def test_what_is_outside_ones_groups_is_as_absent_as_what_is_not(hosts: list[Host]) -> None:
    group = HostGroup.objects.get()
    other = HostGroup.objects.create(name="others")
    hosts[0].groups.add(other)
    assert names(place.read(asked("", groups=[group]))) == ["db1", "new1"]
    for outside, absent in ((f"host={hosts[0].pk}", "host=98765"), ("group=others", "group=moon")):
        told = []
        for query in (outside, absent):
            request = RequestFactory().get(f"/?{query}")
            request.user = person(f"lina {query}", Role.VIEWER, groups=[group])
            with pytest.raises(FilterError) as refused:
                place.read(request)
            told.append(str(refused.value))
        assert told[0] == told[1]


def test_the_bar_says_of_when_it_is_and_who_is_silent(hosts: list[Host]) -> None:
    request = asked("at=&zone=1&cursor=x&host=")
    now = place.context(request, place.read(request))["place"]
    assert (now["total"], now["silent"], now["past"]) == (3, 1, False)
    assert now["kept_fields"] == [("zone", "1")]
    assert now["groups"] == ["databases"]
    assert [name for _pk, name in now["hosts"]] == ["db1", "new1", "web1"]
    past = timezone.now() - dt.timedelta(minutes=30)
    here = place.Place(Host.objects.all(), Host.objects.all(), at=past)
    then = place.context(request, here)["place"]
    assert (then["total"], then["silent"], then["past"]) == (3, 2, True)
    assert then["oldest"] == then["newest"] < past


def test_the_scope_of_a_past_time_is_asked_for_once(
    hosts: list[Host], django_assert_num_queries: Any
) -> None:
    here = place.Place(Host.objects.all(), Host.objects.all(), at=timezone.now())
    with django_assert_num_queries(2):
        assert here.scope is here.scope


def test_only_groups_of_ones_own_are_named_or_asked_for(hosts: list[Host]) -> None:
    own = HostGroup.objects.get(name="databases")
    secret = HostGroup.objects.create(name="secret")
    hosts[1].groups.add(secret)
    viewer = browser_of(person("limited", Role.VIEWER, groups=[own]))
    for path in ("/", "/hunt/", "/alerts/", "/ports/", "/statistics/", "/exposure/", "/map/"):
        html = viewer.get(path).content.decode()
        assert "databases" in html, path
        assert "secret" not in html, path
    for path in ("/hunt/?port=22&", "/alerts/?", "/ports/?", "/statistics/?"):
        assert viewer.get(f"{path}group=databases").status_code == 200, path
        assert viewer.get(f"{path}group=secret").status_code == 400, path
    assert "db1" in viewer.get(f"/?group={own.pk}").content.decode()
    assert "db1" not in viewer.get(f"/?group={secret.pk}").content.decode()
    assert "db1" not in viewer.get("/search/?q=secret").content.decode()
    for path in (
        "ports?",
        "statistics/ips?",
        "connections/search?port=22&",
        "alerts?",
        "exposure?",
    ):
        assert viewer.get(f"/api/v1/{path}group=databases").status_code == 200, path
        inside, absent = (
            viewer.get(f"/api/v1/{path}group={name}") for name in ("secret", "nothing")
        )
        assert inside.status_code == 404, path
        assert inside.content == absent.content, path


def test_who_sees_all_hosts_sees_all_groups_and_a_token_its_own(hosts: list[Host]) -> None:
    own = HostGroup.objects.get(name="databases")
    HostGroup.objects.create(name="empty")
    everybody = person("everybody", Role.VIEWER)
    assert [group.name for group in visible_groups(everybody)] == ["databases", "empty"]
    everybody.token_groups = [own.pk]  # type: ignore[attr-defined]
    assert list(visible_groups(everybody)) == [own]
    assert not visible_groups(AnonymousUser()).exists()
