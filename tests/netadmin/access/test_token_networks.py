"""Tokens bound to networks: read in one way, asked at each use, shown and changed everywhere."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from netadmin.access import networks, tokens
from netadmin.access.models import APIToken, AuditEntry, Scope
from tests.people import browser_of

LISTED = ["192.0.2.0/24", "2001:db8::/48"]


def made(user: User, *listed: str, **more: Any) -> tuple[APIToken, str]:
    return tokens.create(
        user=user, name="script", scope=Scope.READ, from_networks=listed or LISTED, **more
    )


class TestReading:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", []),
            (" \n ", []),
            ("192.0.2.7", ["192.0.2.7/32"]),
            ("2001:db8::7", ["2001:db8::7/128"]),
            ("10.20.0.0/16, 192.0.2.0/24\n2001:DB8::/48", [
                "10.20.0.0/16", "192.0.2.0/24", "2001:db8::/48",
            ]),
            ("192.0.2.7 192.0.2.7/32", ["192.0.2.7/32"]),
            ("0.0.0.0/0 ::/0", ["0.0.0.0/0", "::/0"]),
            ("::ffff:192.0.2.7", ["192.0.2.7/32"]),
            ("::ffff:10.20.0.0/112", ["10.20.0.0/16"]),
            ("::ffff:0:0/96", ["0.0.0.0/0"]),
        ],
    )  # fmt: skip
    def test_addresses_and_networks_become_cidr(self, text: str, found: list[str]) -> None:
        assert networks.read(text) == found

    @pytest.mark.parametrize(
        "text",
        [
            "office", "192.0.2", "192.0.2.7/33", "192.0.2.7/-1", "192.0.2.7/", "/24", "0x16",
            "192.0.2.0/255.255.255.0", "192.0.2.0/0.0.0.255", "fe80::1%eth0", "2001:db8::/129",
            "10.20.0.1/16", "::ffff:10.20.0.1/112", "２.0.0.0/8", "10.0.0.0/８", "1", "010.0.0.0/8",
            "192.0.2.0/024x", "x" * 900,
        ],
    )  # fmt: skip
    def test_what_is_none_is_named(self, text: str) -> None:
        with pytest.raises(ValidationError) as refused:
            networks.read(f"198.51.100.0/24, {text}")
        assert text[:60] in refused.value.messages[0]

    def test_bits_beyond_a_prefix_are_answered_with_what_may_be_meant(self) -> None:
        with pytest.raises(ValidationError) as refused:
            networks.read("10.20.0.1/16")
        assert "10.20.0.0/16" in refused.value.messages[0]

    def test_there_may_be_fifty(self) -> None:
        assert len(networks.normal(f"192.0.2.{number}" for number in range(50))) == 50
        with pytest.raises(ValidationError):
            networks.normal(f"192.0.2.{number}" for number in range(51))

    @pytest.mark.parametrize(
        ("address", "inside"),
        [
            ("192.0.2.7", True),
            ("192.0.3.7", False),
            ("2001:db8:0:ffff::1", True),
            ("2001:db8:1::1", False),
            ("::ffff:192.0.2.7", True),
            ("::ffff:192.0.3.7", False),
            ("::1", False),
            (None, False),
        ],
    )
    def test_an_address_lies_in_one_or_in_none(self, address: str | None, inside: bool) -> None:
        assert networks.admit(LISTED, address) is inside
        assert networks.admit([], address)


class TestUse:
    def ask(self, text: str, *, address: str, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {text}"} | headers
        return Client().get("/api/v1/hosts/", headers=sent, REMOTE_ADDR=address)  # type: ignore[arg-type]

    @pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
    def test_from_inside_it_opens(self, viewer: User, address: str) -> None:
        row, text = made(viewer)
        assert self.ask(text, address=address).status_code == 200
        row.refresh_from_db()
        assert row.last_used_ip == address.removeprefix("::ffff:")

    @pytest.mark.parametrize(
        "address", ["192.0.3.7", "2001:db8:1::7", "::ffff:192.0.3.7", "127.0.0.1", ""]
    )
    def test_from_elsewhere_it_is_refused_and_that_is_no_use_of_it(
        self, viewer: User, address: str
    ) -> None:
        row, text = made(viewer)
        response = self.ask(text, address=address)

        assert response.status_code == 403
        assert response.json()["error"]["code"] == "address_refused"
        row.refresh_from_db()
        assert row.last_used_at is None

    def test_a_session_beside_it_does_not_help(self, viewer: User) -> None:
        _row, text = made(viewer)
        response = browser_of(viewer).get(
            "/api/v1/hosts/", headers={"Authorization": f"Bearer {text}"}
        )
        assert response.status_code == 403

    def test_behind_proxies_the_clients_address_counts(self, viewer: User, settings: Any) -> None:
        _row, text = made(viewer)
        inside, outside = "192.0.2.7", "203.0.113.9"
        settings.TRUSTED_PROXIES = 1
        for forwarded, status in (
            (inside, 200),
            (outside, 403),
            (f"{inside}, {outside}", 403),  # what the client wrote itself
            (f"{outside}, {inside}", 200),
            ("[2001:db8::7]:443", 200),
            ("unknown", 403),
        ):
            got = self.ask(text, address="127.0.0.1", **{"X-Forwarded-For": forwarded})
            assert got.status_code == status, forwarded
        settings.TRUSTED_PROXIES = 0
        assert self.ask(text, address=outside, **{"X-Forwarded-For": inside}).status_code == 403

    def test_one_that_is_over_is_not_told_from_an_unknown_one(self, viewer: User) -> None:
        _row, text = made(viewer, expires_at=timezone.now())
        response = self.ask(text, address="203.0.113.9")
        assert response.json()["error"]["code"] == "bad_token"


class TestPages:
    def test_a_token_is_made_with_them_and_the_record_tells(self, viewer: User) -> None:
        form = {"name": "backup", "scope": "read", "days": "30"}
        form["networks"] = "192.0.2.7\n10.20.0.0/16"
        shown = browser_of(viewer).post(reverse("token_add"), form)

        assert APIToken.objects.get().networks == ["192.0.2.7/32", "10.20.0.0/16"]
        assert "10.20.0.0/16" in shown.content.decode()
        detail = AuditEntry.objects.get(action="token.add").detail
        assert detail["networks"] == ["192.0.2.7/32", "10.20.0.0/16"]

    @pytest.mark.parametrize("text", ["office", "10.20.0.1/16", "a\x00b", "1.2.3.4 " * 200])
    def test_what_is_no_network_names_its_field(self, viewer: User, text: str) -> None:
        client = browser_of(viewer)
        row, _text = made(viewer)
        form = {"name": "backup", "scope": "read", "days": "30", "networks": text}
        added = client.post(reverse("token_add"), form)
        edited = client.post(
            reverse("token_edit", args=[row.pk]), {"name": "x", "days": "keep", "networks": text}
        )
        for response in (added, edited):
            assert response.status_code == 400
            assert list(response.context["form"].errors) == ["networks"]
        row.refresh_from_db()
        assert (row.name, row.networks, APIToken.objects.count()) == ("script", LISTED, 1)

    def test_the_form_says_where_one_is(self, viewer: User) -> None:
        shown = browser_of(viewer).get(reverse("token_add"), REMOTE_ADDR="192.0.2.44")
        assert "192.0.2.44" in shown.content.decode()

    def test_the_list_and_its_csv_show_them(self, viewer: User) -> None:
        made(viewer, *(f"192.0.2.{number}/32" for number in range(5)))
        client = browser_of(viewer)
        shown = client.get(reverse("tokens")).content.decode()
        assert "192.0.2.4/32" in shown
        exported = client.get(reverse("tokens"), {"format": "csv"}).getvalue().decode()
        (row,) = csv.DictReader(io.StringIO(exported))
        assert row["networks"].split(", ") == [f"192.0.2.{number}/32" for number in range(5)]

    def test_a_change_is_kept_and_recorded_with_what_was_before(self, viewer: User) -> None:
        row, text = made(viewer)
        response = browser_of(viewer).post(
            reverse("token_edit", args=[row.pk]),
            {"name": "renamed", "days": "never", "networks": "203.0.113.0/24"},
        )
        assert response.status_code == 302
        row.refresh_from_db()
        assert (row.name, row.networks, row.expires_at) == ("renamed", ["203.0.113.0/24"], None)
        assert AuditEntry.objects.get(action="token.change").detail == {
            "name": ["script", "renamed"],
            "networks": [sorted(LISTED), ["203.0.113.0/24"]],
        }
        used = tokens.authenticate(f"Bearer {text}", address="203.0.113.9")
        assert used == row

    def test_keeping_all_as_it_is_writes_and_records_nothing(self, viewer: User) -> None:
        ends = timezone.now() + dt.timedelta(days=3)
        row, _text = made(viewer, expires_at=ends)
        client = browser_of(viewer)
        shown = client.get(reverse("token_edit", args=[row.pk])).context["form"]
        same = {name: shown[name].value() for name in ("name", "days", "networks")}
        assert client.post(reverse("token_edit", args=[row.pk]), same).status_code == 302
        row.refresh_from_db()
        assert (row.expires_at, row.networks) == (ends, LISTED)
        assert not AuditEntry.objects.filter(action="token.change").exists()

    @pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
    def test_a_token_that_is_over_stays_so_and_as_it_was(self, viewer: User, end: str) -> None:
        row, text = made(viewer)
        setattr(row, end, timezone.now())
        row.save()
        path = reverse("token_edit", args=[row.pk])
        client = browser_of(viewer)
        for response in (
            client.get(path),
            client.post(path, {"name": "x", "days": "never", "networks": ""}),
        ):
            assert response.status_code == 302
        row.refresh_from_db()
        assert (row.name, row.networks) == ("script", LISTED)
        assert tokens.authenticate(f"Bearer {text}", address="192.0.2.7") is None
        listed = browser_of(viewer).get(reverse("tokens")).content.decode()
        assert path not in listed

    def test_anothers_token_is_absent_but_for_an_administrator(
        self, viewer: User, operator: User, admin: User
    ) -> None:
        row, _text = made(viewer)
        path = reverse("token_edit", args=[row.pk])
        form = {"name": "x", "days": "keep", "networks": "192.0.2.7"}
        assert browser_of(operator).post(path, form).status_code == 404
        assert browser_of(admin).post(path, form).status_code == 302
        assert APIToken.objects.get().networks == ["192.0.2.7/32"]

    def test_the_django_admin_shows_them(self, admin: User) -> None:
        row, _text = made(admin)
        shown = browser_of(admin).get(reverse("admin:access_apitoken_change", args=[row.pk]))
        assert "192.0.2.0/24" in shown.content.decode()


class TestCommand:
    def test_it_takes_any_number(self, viewer: User, capsys: pytest.CaptureFixture[str]) -> None:
        call_command(
            "api_token", "vera", "--scope", "read", "--from", "192.0.2.7",
            "--from", "10.20.0.0/16,2001:db8::/48",
        )  # fmt: skip
        listed = ["192.0.2.7/32", "10.20.0.0/16", "2001:db8::/48"]
        assert APIToken.objects.get().networks == listed
        out, told = capsys.readouterr()
        assert len(out.splitlines()) == 1
        assert ", ".join(listed) in told
        assert AuditEntry.objects.get(action="token.add").detail["networks"] == listed

    def test_it_refuses_what_is_none(self, viewer: User) -> None:
        with pytest.raises(CommandError, match="--from: office"):
            call_command("api_token", "vera", "--scope", "read", "--from", "office")
        assert not APIToken.objects.exists()


class TestRoutes:
    def caller(self, text: str, method: str, path: str) -> Any:
        sent = {"Authorization": f"Bearer {text}"}
        response = Client().generic(method, path, headers=sent, REMOTE_ADDR="192.0.2.7")
        return response.status_code, json.loads(response.content)

    def test_a_session_lists_its_users_tokens(self, viewer: User, operator: User) -> None:
        made(operator)
        rows = [made(viewer)[0].pk for _ in range(3)]
        browser = browser_of(viewer)
        first = browser.get("/api/v1/tokens?limit=2").json()["data"]
        second = browser.get(f"/api/v1/tokens?limit=2&cursor={first['next']}").json()["data"]
        listed = [*first["tokens"], *second["tokens"]]
        assert [each["id"] for each in listed] == [*reversed(rows)]
        assert not any(each["current"] for each in listed)
        assert listed[0]["networks"] == LISTED
        assert (listed[0]["state"], listed[0]["scope"]) == ("live", "read")
        assert (second["next"], second["total"]) == (None, 3)

    def test_a_session_ends_its_users_tokens_and_no_others(
        self, viewer: User, operator: User
    ) -> None:
        other, _text = made(operator)
        row, _text = made(viewer)
        browser = browser_of(viewer)
        assert browser.delete(f"/api/v1/tokens/{other.pk}").status_code == 404
        assert browser.delete(f"/api/v1/tokens/{row.pk}").status_code == 200
        assert set(APIToken.objects.exclude(revoked_at=None)) == {row}

    def test_a_token_sees_and_ends_itself_and_none_of_its_users_others(self, admin: User) -> None:
        wide, _text = tokens.create(user=admin, name="wide", scope=Scope.ADMIN)
        row, text = made(admin)
        status, answer = self.caller(text, "GET", "/api/v1/tokens")
        listed = answer["data"]["tokens"]
        assert (status, answer["data"]["total"]) == (200, 1)
        assert [(each["id"], each["current"]) for each in listed] == [(row.pk, True)]
        assert text not in json.dumps(answer)
        for method in ("GET", "DELETE"):
            assert self.caller(text, method, f"/api/v1/tokens/{wide.pk}")[0] == 404

        status, answer = self.caller(text, "DELETE", f"/api/v1/tokens/{row.pk}")
        assert (status, answer["data"]["token"]["state"]) == (200, "revoked")
        assert self.caller(text, "GET", "/api/v1/tokens")[0] == 401
        assert AuditEntry.objects.get(action="token.revoke").token == row.prefix
        wide.refresh_from_db()
        assert wide.revoked_at is None

    def test_no_token_makes_or_widens_another(self, admin: User) -> None:
        row, _text = made(admin)
        _row, text = tokens.create(user=admin, name="x", scope=Scope.ADMIN)
        assert self.caller(text, "POST", "/api/v1/tokens")[0] == 405
        assert self.caller(text, "PATCH", f"/api/v1/tokens/{row.pk}")[0] == 405
