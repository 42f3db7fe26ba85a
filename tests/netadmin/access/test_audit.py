"""The audit log: append-only, written with the act or not at all, filtered and exported."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, connections, transaction
from django.test import RequestFactory
from django.urls import reverse

from hosts.models import Host, HostGroup
from netadmin.access import audit, tokens
from netadmin.access.models import APIToken, AppendOnly, AuditEntry, Scope
from tests.databases import both_databases
from tests.people import PASSWORD, browser_of

REFUSE_INSERTS = """
CREATE TRIGGER refuse BEFORE INSERT ON access_auditentry
BEGIN SELECT RAISE(ABORT, 'disk full'); END
"""


@pytest.fixture
def unwritable_log(db: None) -> None:
    """An audit table that refuses every insert, until the test's transaction is undone."""
    with connection.cursor() as cursor:
        cursor.execute(REFUSE_INSERTS)


def test_an_entry_says_who_what_and_from_where(viewer: User, rf: RequestFactory) -> None:
    token, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
    host = Host.objects.create(name="web-1", address="192.0.2.1")
    request = rf.post("/", REMOTE_ADDR="198.51.100.4")
    request.user, request.token = viewer, token  # type: ignore[attr-defined]

    entry = audit.record("host.change", request=request, target=host, detail={"port": [22, 2222]})

    entry.refresh_from_db()
    assert (entry.actor, entry.token, entry.address) == ("vera", token.prefix, "198.51.100.4")
    assert (entry.kind, entry.object_id, entry.object_name) == (
        "hosts.host",
        str(host.pk),
        "web-1",
    )
    assert entry.detail == {"port": [22, 2222]}


def test_an_act_without_a_request_is_the_systems(db: None) -> None:
    assert audit.record("retention.run").actor == "system"


def test_control_characters_of_a_name_do_not_reach_the_log(db: None) -> None:
    entry = audit.record("host.add", target=Host(name="a\x00b\x1b[2J\u2028c", address="x"))
    assert entry.object_name == "a\ufffdb\ufffd[2J\ufffdc"


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
        lambda _entry: AuditEntry.objects.all().delete(),
        lambda _entry: AuditEntry.objects.update(actor="nobody"),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["actor"]),
    ],
)
def test_an_entry_is_never_changed_or_deleted(db: None, change: object) -> None:
    audit.record("host.add", actor="vera")
    entry = AuditEntry.objects.get()
    entry.actor = "nobody"
    with pytest.raises(AppendOnly):
        change(entry)  # type: ignore[operator]
    assert AuditEntry.objects.get().actor == "vera"


@pytest.mark.django_db(databases=["postgres"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE access_auditentry SET actor = 'nobody'", "DELETE FROM access_auditentry"],
)
def test_postgresql_refuses_it_to_every_program(statement: str) -> None:
    AuditEntry(actor="vera", action="host.add").save(using="postgres")
    with (
        pytest.raises(DatabaseError, match="never changed or deleted"),
        transaction.atomic(using="postgres"),
        connections["postgres"].cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEntry.objects.using("postgres").get().actor == "vera"


@both_databases
def test_any_text_can_be_recorded(using: str) -> None:
    name = "\u202e'; DROP TABLE access_auditentry; -- \U0001f600" + "x" * 300
    entry = AuditEntry(actor="vera", action="host.add", object_name=name[:200])
    entry.save(using=using)
    assert AuditEntry.objects.using(using).get().object_name == name[:200]


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "address"),
    [
        ("192.0.2.1", "203.0.113.9", 0, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", 1, "203.0.113.9"),
        ("192.0.2.1", "10.9.9.9, 203.0.113.9", 1, "203.0.113.9"),
        ("192.0.2.1", "10.9.9.9, 203.0.113.9, 198.51.100.1", 2, "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", 2, "192.0.2.1"),
        ("192.0.2.1", "", 1, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9:4711", 1, "203.0.113.9"),
        ("192.0.2.1", "[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("192.0.2.1", "fe80::1%eth0", 1, "fe80::1"),
        ("192.0.2.1", "'; DROP TABLE hosts; --", 1, None),
        ("", "", 0, None),
        ("unix:", "", 0, None),
    ],
)
def test_the_client_is_who_called_the_first_trusted_proxy(
    rf: RequestFactory,
    settings: object,
    remote: str,
    forwarded: str,
    proxies: int,
    address: str | None,
) -> None:
    settings.TRUSTED_PROXIES = proxies  # type: ignore[attr-defined]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = rf.get("/", headers=headers, REMOTE_ADDR=remote)
    assert audit.client_address(request) == address


class TestWithoutARecordThereIsNoAct:
    def test_no_login(self, unwritable_log: None, viewer: User) -> None:
        viewer.set_password(PASSWORD)
        viewer.save()
        client = browser_of(None)
        response = client.post(reverse("login"), {"username": "vera", "password": PASSWORD})
        assert response.status_code == 500
        assert client.get(reverse("tokens")).status_code == 302

    def test_no_new_token(self, unwritable_log: None, viewer: User) -> None:
        form = {"name": "x", "scope": "read", "days": "7"}
        response = browser_of(viewer).post(reverse("token_add"), form)
        assert response.status_code == 500
        assert b"nad_" not in response.content
        assert not APIToken.objects.exists()

    def test_no_revocation(self, unwritable_log: None, viewer: User) -> None:
        row, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
        response = browser_of(viewer).post(reverse("token_revoke", args=[row.pk]))
        assert response.status_code == 500
        row.refresh_from_db()
        assert row.revoked_at is None

    def test_no_new_password(self, viewer: User, request: pytest.FixtureRequest) -> None:
        viewer.set_password(PASSWORD)
        viewer.save()
        client = browser_of(viewer)
        request.getfixturevalue("unwritable_log")
        form = {"old_password": PASSWORD, "new_password1": "another-long-phrase"}
        response = client.post(
            reverse("password_change"), form | {"new_password2": "another-long-phrase"}
        )
        assert response.status_code == 500
        viewer.refresh_from_db()
        assert viewer.check_password(PASSWORD)

    def test_no_change_in_the_administration(
        self, unwritable_log: None, admin: User, viewer: User
    ) -> None:
        client = browser_of(admin)
        path = reverse("admin:auth_user_delete", args=[viewer.pk])
        assert client.post(path, {"post": "yes"}).status_code == 500
        path = reverse("admin:auth_user_changelist")
        action = {"action": "delete_selected", "_selected_action": [viewer.pk], "post": "yes"}
        assert client.post(path, action).status_code == 500
        path = reverse("admin:auth_user_password_change", args=[viewer.pk])
        both = {"password1": "another-long-phrase", "password2": "another-long-phrase"}
        assert client.post(path, both | {"usable_password": "true"}).status_code == 500
        viewer.refresh_from_db()
        assert not viewer.has_usable_password()


class TestPage:
    def test_it_filters_by_who_what_object_and_time(self, admin: User) -> None:
        host = Host.objects.create(name="web-1", address="192.0.2.1")
        for day, (actor, action, target) in enumerate(
            [
                ("vera", "probe.now", host),
                ("otto", "probe.now", None),
                ("vera", "host.change", host),
                ("otto", "token.add", None),
            ],
            start=1,
        ):
            with time_machine.travel(dt.datetime(2026, 3, day, tzinfo=dt.UTC), tick=False):
                audit.record(action, actor=actor, target=target)
        client = browser_of(admin)

        def days(query: str) -> list[int]:
            response = client.get(reverse("audit") + query)
            assert response.status_code == 200
            return [entry.at.day for entry, _lines in response.context["entries"]]

        assert days("") == [4, 3, 2, 1]
        assert days("?order=oldest") == [1, 2, 3, 4]
        assert days("?who=vera") == [3, 1]
        assert days("?action=probe") == [2, 1]
        assert days("?object=web") == [3, 1]
        assert days("?who=vera&action=probe.now") == [1]
        assert days("?since=2026-03-02T00:00&until=2026-03-04T00:00") == [3, 2]
        assert days("?who=nobody") == []

    def test_pages_follow_one_another_without_a_gap(self, admin: User) -> None:
        for number in range(120):
            audit.record("probe.now", actor=f"u{number}")
        client = browser_of(admin)
        seen, query = [], "?order=oldest"
        while query:
            response = client.get(reverse("audit") + query)
            seen += [entry.actor for entry, _lines in response.context["entries"]]
            query = response.context["next_url"]
        assert seen == [f"u{number}" for number in range(120)]

    def test_the_csv_has_every_filtered_row_and_no_formula(self, admin: User) -> None:
        for number in range(700):
            audit.record("probe.now", actor="vera", detail={"n": number})
        audit.record("host.add", actor="=cmd|' /C calc'!A0", detail={"name": ["a", "b\r\nc"]})
        client = browser_of(admin)

        response = client.get(reverse("audit") + "?format=csv&action=probe&cursor=5")
        rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert len(rows) == 700
        assert rows[0]["actor"] == "vera"

        body = client.get(reverse("audit") + "?format=csv&action=host").getvalue().decode()
        (row,) = csv.DictReader(io.StringIO(body))
        assert row["actor"] == "'=cmd|' /C calc'!A0"
        assert body.count("\n") == 2

    @pytest.mark.parametrize(
        "query",
        [
            "?cursor=-1",
            "?cursor=1_0",
            "?cursor=%00",
            "?cursor=" + "9" * 30,
            "?since=yesterday",
            "?since=0001-01-01T00:00",
            "?until=9999-12-31T23:59:59-12:00",
            "?who=%00",
            "?action=" + "x" * 51,
            "?who=a&who=b",
            "?order=sideways",
            "?format=xml",
        ],
    )
    def test_a_bad_filter_is_a_400_that_names_it(self, admin: User, query: str) -> None:
        response = browser_of(admin).get(reverse("audit") + query)
        assert response.status_code == 400
        assert list(response.context["form"].errors) == [query[1:].partition("=")[0]]

    def test_hostile_text_is_escaped(self, admin: User) -> None:
        audit.record("host.add", actor="<script>x</script>", detail={"<b>": ["<i>", "'\"><u>"]})
        body = browser_of(admin).get(reverse("audit")).content.decode()
        for tag in ("<script>x", "<b>", "<i>", "<u>"):
            assert tag not in body

    def test_an_administrator_of_some_groups_sees_what_concerns_them(
        self, group_admin: User, group: HostGroup
    ) -> None:
        inside = Host.objects.create(name="inside", address="192.0.2.1")
        outside = Host.objects.create(name="outside", address="192.0.2.2")
        inside.groups.add(group)
        audit.record("host.change", actor="anna", target=inside)
        audit.record("host.change", actor="anna", target=outside)
        audit.record("token.add", actor="greta")
        audit.record("token.add", actor="anna")
        response = browser_of(group_admin).get(reverse("audit"))
        seen = [(e.actor, e.object_name) for e, _lines in response.context["entries"]]
        assert seen == [("greta", ""), ("anna", "inside")]
