"""API tokens: made, shown once, stored hashed, capped, ended."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hosts.models import Host, HostGroup
from netadmin.access import permissions, tokens
from netadmin.access.middleware import TokenMiddleware
from netadmin.access.models import Access, APIToken, AuditEntry, Role, Scope
from tests.people import browser_of, person

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LATER = dt.datetime(2190, 1, 1, tzinfo=dt.UTC)


def header(text: str) -> str:
    return f"Bearer {text}"


def test_a_token_is_stored_as_a_digest_alone(viewer: User) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)

    assert text.startswith(f"nad_{row.prefix}_")
    secret = text.rsplit("_", 1)[-1] if text.count("_") == 2 else text.split("_", 2)[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_apitoken")
        stored = repr(cursor.fetchall())
    assert secret not in stored
    assert row.prefix in stored


def test_two_tokens_differ(viewer: User) -> None:
    made = {tokens.create(user=viewer, name="same", scope=Scope.READ)[1] for _ in range(3)}
    assert len(made) == 3


def test_a_live_token_is_known_and_its_use_recorded(viewer: User) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)

    assert tokens.authenticate(header(text), address="192.0.2.7") == row

    row.refresh_from_db()
    assert row.last_used_at is not None
    assert row.last_used_ip == "192.0.2.7"


def test_a_busy_token_writes_its_use_once_a_minute(viewer: User) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    with time_machine.travel(NOW, tick=False) as clock:
        tokens.authenticate(header(text), address="192.0.2.1")
        clock.shift(30)
        tokens.authenticate(header(text), address="192.0.2.2")
        row.refresh_from_db()
        assert (row.last_used_at, row.last_used_ip) == (NOW, "192.0.2.1")
        clock.shift(31)
        tokens.authenticate(header(text), address="192.0.2.2")
        row.refresh_from_db()
        assert row.last_used_ip == "192.0.2.2"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["viewer", "admin", "superuser"])
def test_a_token_its_user_and_its_role_are_found_by_one_query(
    name: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    role = {"viewer": Role.VIEWER, "admin": Role.ADMIN}.get(name)
    user = person(name, role, superuser=name == "superuser")
    row, text = tokens.create(
        user=user, name="x", scope=Scope.ADMIN, from_networks=["192.0.2.0/24"], expires_at=LATER
    )
    tokens.authenticate(header(text), address="192.0.2.1")

    with django_assert_num_queries(1):
        found = tokens.authenticate(header(text), address="192.0.2.1")
        assert found is not None
        assert (found.user.username, found.user.is_superuser) == (name, user.is_superuser)
        assert permissions.user_role(found.user) == permissions.user_role(user)
        assert permissions.administers_all(found.user) == permissions.administers_all(user)
    row.refresh_from_db()
    for field in APIToken._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(row, field.attname), field.attname
    for field in User._meta.concrete_fields:
        assert getattr(found.user, field.attname) == getattr(user, field.attname), field.attname


def test_a_token_ends_at_its_expiry(viewer: User) -> None:
    _row, text = tokens.create(
        user=viewer, name="script", scope=Scope.READ, expires_at=NOW + dt.timedelta(days=1)
    )
    with time_machine.travel(NOW, tick=False) as clock:
        assert tokens.authenticate(header(text), address=None) is not None
        clock.shift(dt.timedelta(days=1))
        assert tokens.authenticate(header(text), address=None) is None


def test_a_revoked_token_opens_nothing(viewer: User) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    row.revoked_at = timezone.now()
    row.save()
    assert tokens.authenticate(header(text), address=None) is None


def test_the_token_of_an_inactive_user_opens_nothing(viewer: User) -> None:
    _row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    viewer.is_active = False
    viewer.save()
    assert tokens.authenticate(header(text), address=None) is None


@pytest.mark.parametrize(
    "form",
    [
        "{token}",
        "Basic {token}",
        "Token {token}",
        "Bearer{token}",
        "Bearer\t{token}",
        "Bearer {token} ",
        "Bearer {token}x",
        "Bearer {token},{token}",
        "Bearer {prefix}",
        "Bearer nad_00000000_",
        "Bearer ",
        "Bearer",
        "",
        "Bearer {upper}",
        "Bearer \xff\xfe",
    ],
)
def test_any_other_header_is_refused_as_json(viewer: User, form: str) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    value = form.format(token=text, prefix=f"nad_{row.prefix}", upper=text.upper())

    response = browser_of(viewer).get("/api/v1/", headers={"Authorization": value})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["error"]["code"] == "bad_token"


def test_the_scheme_is_known_in_lower_case(viewer: User) -> None:
    _row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    assert tokens.authenticate(f"bearer {text}", address=None) is not None


@pytest.mark.parametrize(
    ("role", "scope", "acts_as"),
    [
        (Role.ADMIN, Scope.READ, Role.VIEWER),
        (Role.ADMIN, Scope.OPERATE, Role.OPERATOR),
        (Role.ADMIN, Scope.ADMIN, Role.ADMIN),
        (Role.VIEWER, Scope.ADMIN, Role.VIEWER),
        (Role.OPERATOR, Scope.ADMIN, Role.OPERATOR),
    ],
)
def test_a_token_does_no_more_than_its_scope_and_its_user(
    db: None, rf: RequestFactory, role: Role, scope: Scope, acts_as: Role
) -> None:
    _row, text = tokens.create(user=person("someone", role), name="x", scope=scope)
    seen = []

    def view(request: object) -> object:
        seen.append(permissions.request_role(request))  # type: ignore[arg-type]
        return None

    TokenMiddleware(view)(  # type: ignore[arg-type]
        rf.get("/api/v1/hosts/", headers={"Authorization": header(text)})
    )
    assert seen == [acts_as]


def test_the_address_of_a_use_is_the_clients_behind_a_proxy(
    viewer: User, rf: RequestFactory, settings: object
) -> None:
    settings.TRUSTED_PROXIES = 1  # type: ignore[attr-defined]
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    request = rf.get(
        "/api/v1/hosts/",
        headers={"Authorization": header(text), "X-Forwarded-For": "203.0.113.9, 198.51.100.4"},
    )
    TokenMiddleware(lambda request: None)(request)  # type: ignore[arg-type,return-value]
    row.refresh_from_db()
    assert row.last_used_ip == "198.51.100.4"


def test_a_token_limited_to_groups_sees_their_hosts_alone(viewer: User, group: HostGroup) -> None:
    inside = Host.objects.create(name="inside", address="192.0.2.1")
    Host.objects.create(name="outside", address="192.0.2.2")
    inside.groups.add(group)
    _row, text = tokens.create(user=viewer, name="x", scope=Scope.READ, groups=[group])

    token = tokens.authenticate(header(text), address=None)

    assert token is not None
    assert list(Host.objects.visible_to(token.user)) == [inside]


def test_a_token_whose_last_group_is_deleted_sees_nothing(viewer: User, group: HostGroup) -> None:
    Host.objects.create(name="outside", address="192.0.2.2")
    _row, text = tokens.create(user=viewer, name="x", scope=Scope.READ, groups=[group])
    group.delete()

    token = tokens.authenticate(header(text), address=None)

    assert token is not None
    assert not Host.objects.visible_to(token.user).exists()


def test_a_token_never_sees_more_than_its_user(group: HostGroup) -> None:
    other = HostGroup.objects.create(name="db")
    host = Host.objects.create(name="outside", address="192.0.2.2")
    host.groups.add(other)
    user = person("limited", Role.VIEWER, groups=[group])
    _row, text = tokens.create(user=user, name="x", scope=Scope.READ, groups=[other])

    token = tokens.authenticate(header(text), address=None)

    assert token is not None
    assert not Host.objects.visible_to(token.user).exists()


class TestPage:
    def make(self, client: Client, **data: object) -> object:
        form = {"name": "backup", "scope": "read", "days": "30"} | data
        return client.post(reverse("token_add"), form)

    def test_the_new_token_is_shown_once(self, viewer: User) -> None:
        client = browser_of(viewer)
        shown = self.make(client)
        row = APIToken.objects.get()

        assert shown.status_code == 200  # type: ignore[attr-defined]
        text = shown.context["text"]  # type: ignore[attr-defined]
        assert text in shown.content.decode()  # type: ignore[attr-defined]
        assert "no-store" in shown.headers["Cache-Control"]  # type: ignore[attr-defined]
        assert tokens.authenticate(header(text), address=None) == row
        for page in (reverse("tokens"), reverse("token_add"), reverse("tokens") + "?format=csv"):
            response = client.get(page)
            body = response.getvalue() if response.streaming else response.content
            assert response.status_code == 200
            assert text.encode() not in body

    def test_making_one_is_recorded_without_the_token(self, viewer: User) -> None:
        shown = self.make(browser_of(viewer))
        entry = AuditEntry.objects.get(action="token.add")
        assert entry.actor == "vera"
        assert entry.detail["scope"] == "read"
        assert shown.context["text"] not in repr(entry.__dict__)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("scope", ["operate", "admin", "root", ""])
    def test_a_viewer_makes_no_token_above_its_role(self, viewer: User, scope: str) -> None:
        response = self.make(browser_of(viewer), scope=scope)
        assert response.status_code == 400  # type: ignore[attr-defined]
        assert "scope" in response.context["form"].errors  # type: ignore[attr-defined]
        assert not APIToken.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 101),
            ("name", "a\x00b"),
            ("name", "a\nb"),
            ("days", "0"),
            ("days", "-1"),
            ("days", "８"),
            ("days", ""),
            ("groups", "999999"),
            ("groups", "x"),
        ],
    )
    def test_a_bad_value_names_its_field(
        self, viewer: User, group: HostGroup, field: str, value: str
    ) -> None:
        response = self.make(browser_of(viewer), **{field: value})
        assert response.status_code == 400  # type: ignore[attr-defined]
        assert list(response.context["form"].errors) == [field]  # type: ignore[attr-defined]
        assert not APIToken.objects.exists()

    def test_a_limited_user_names_its_own_groups_alone(self, group: HostGroup) -> None:
        other = HostGroup.objects.create(name="db")
        client = browser_of(person("limited", Role.VIEWER, groups=[group]))
        assert self.make(client, groups=[other.pk]).status_code == 400  # type: ignore[attr-defined]
        assert self.make(client, groups=[group.pk]).status_code == 200  # type: ignore[attr-defined]
        token = APIToken.objects.get()
        assert not token.all_hosts
        assert list(token.groups.all()) == [group]

    def test_the_list_shows_ones_own_and_an_administrator_all(
        self, viewer: User, operator: User, admin: User, group_admin: User
    ) -> None:
        for user in (viewer, operator):
            tokens.create(user=user, name=f"of-{user}", scope=Scope.READ)

        def listed(user: User) -> set[str]:
            response = browser_of(user).get(reverse("tokens"))
            return {token.name for token, _live in response.context["tokens"]}

        assert listed(viewer) == {"of-vera"}
        assert listed(admin) == {"of-vera", "of-otto"}
        assert listed(group_admin) == set()

    def test_revoking_ends_it_at_once_and_is_recorded(self, viewer: User) -> None:
        row, text = tokens.create(user=viewer, name="x", scope=Scope.READ)
        response = browser_of(viewer).post(reverse("token_revoke", args=[row.pk]))
        assert response.status_code == 302
        assert tokens.authenticate(header(text), address=None) is None
        assert AuditEntry.objects.get(action="token.revoke").object_id == str(row.pk)

    def test_revoking_twice_keeps_the_first_time(self, viewer: User) -> None:
        row, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
        client = browser_of(viewer)
        client.post(reverse("token_revoke", args=[row.pk]))
        first = APIToken.objects.get().revoked_at
        client.post(reverse("token_revoke", args=[row.pk]))
        assert APIToken.objects.get().revoked_at == first
        assert AuditEntry.objects.filter(action="token.revoke").count() == 1

    def test_anothers_token_is_absent(self, viewer: User, operator: User, admin: User) -> None:
        row, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
        path = reverse("token_revoke", args=[row.pk])
        assert browser_of(operator).post(path).status_code == 404
        assert APIToken.objects.get().revoked_at is None
        assert browser_of(admin).post(path).status_code == 302
        assert APIToken.objects.get().revoked_at is not None

    def test_the_list_filters_orders_pages_and_exports(self, viewer: User) -> None:
        for number in range(60):
            tokens.create(user=viewer, name=f"script {number:02}", scope=Scope.READ)
        APIToken.objects.filter(name="script 07").update(revoked_at=timezone.now())
        APIToken.objects.filter(name="script 08").update(expires_at=timezone.now())
        client = browser_of(viewer)

        def names(query: str) -> list[str]:
            response = client.get(reverse("tokens") + query)
            return [token.name for token, _live in response.context["tokens"]]

        first = client.get(reverse("tokens"))
        rest = client.get(reverse("tokens") + first.context["next_url"])
        paged = [token.name for page in (first, rest) for token, _live in page.context["tokens"]]
        assert paged == [f"script {number:02}" for number in reversed(range(60))]
        assert rest.context["next_url"] == ""
        assert names("?state=revoked") == ["script 07"]
        assert names("?state=expired") == ["script 08"]
        assert names("?q=script+0&sort=oldest&state=live")[:2] == ["script 00", "script 01"]
        assert names("?scope=admin") == []
        exported = client.get(reverse("tokens") + "?format=csv&q=script+5").getvalue().decode()
        assert exported.count("\r\n") == 11

    @pytest.mark.parametrize(
        "query", ["?cursor=x", "?cursor=２２", "?state=odd", "?scope=root", "?q=a&q=b", "?q=%00"]
    )
    def test_a_bad_filter_is_a_400_that_names_it(self, viewer: User, query: str) -> None:
        response = browser_of(viewer).get(reverse("tokens") + query)
        assert response.status_code == 400
        assert list(response.context["form"].errors) == [query[1:].partition("=")[0]]

    def test_without_a_role_there_is_no_page(self, db: None) -> None:
        assert browser_of(person("nobody")).get(reverse("tokens")).status_code == 403


def test_a_role_taken_away_ends_what_its_tokens_open(operator: User, rf: RequestFactory) -> None:
    _row, text = tokens.create(user=operator, name="x", scope=Scope.OPERATE)
    Access.objects.filter(user=operator).delete()
    seen: list[Role | None] = []

    def view(request: object) -> object:
        seen.append(permissions.request_role(request))  # type: ignore[arg-type]
        return None

    TokenMiddleware(view)(  # type: ignore[arg-type]
        rf.get("/api/v1/hosts/", headers={"Authorization": header(text)})
    )
    assert seen == [None]
