"""Login, logout, passwords and language, as a browser meets them."""

from __future__ import annotations

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from netadmin.access.models import AuditEntry
from tests.people import PASSWORD, browser_of

SESSION, CSRF = "netadmin_session", "netadmin_csrf"


@pytest.fixture
def vera(viewer: User) -> User:
    """A viewer with a password."""
    viewer.set_password(PASSWORD)
    viewer.save()
    return viewer


def log_in(client: Client, password: str = PASSWORD, **extra: str) -> object:
    form = {"username": "vera", "password": password} | extra
    return client.post(reverse("login"), form)


def is_logged_in(client: Client) -> bool:
    return client.get(reverse("tokens")).status_code == 200


def test_a_good_password_opens_the_pages_and_is_recorded(vera: User) -> None:
    client = browser_of(None)
    response = log_in(client)
    assert response.headers["Location"] == reverse("overview")  # type: ignore[attr-defined]
    assert is_logged_in(client)
    entry = AuditEntry.objects.get(action="session.login")
    assert (entry.actor, entry.object_id) == ("vera", str(vera.pk))


@pytest.mark.parametrize(
    "change", [{"password": "wrong"}, {"password": ""}, {"username": "ve\x00ra"}]
)
def test_anything_else_does_not(vera: User, change: dict[str, str]) -> None:
    client = browser_of(None)
    form = {"username": "vera", "password": PASSWORD} | change
    response = client.post(reverse("login"), form)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not is_logged_in(client)
    assert not AuditEntry.objects.exists()


def test_an_inactive_user_does_not_log_in_and_its_session_ends(vera: User) -> None:
    client = browser_of(None)
    log_in(client)
    vera.is_active = False
    vera.save()
    assert not is_logged_in(client)
    log_in(client)
    assert not is_logged_in(client)


def test_logging_in_starts_another_session(vera: User) -> None:
    client = browser_of(None)
    client.get(reverse("login"))
    client.cookies[SESSION] = "a" * 32
    log_in(client)
    assert client.cookies[SESSION].value != "a" * 32
    first = client.cookies[SESSION].value
    client.post(reverse("logout"))
    assert not is_logged_in(client)
    log_in(client)
    assert client.cookies[SESSION].value != first
    stolen = Client()
    stolen.cookies[SESSION] = first
    assert not is_logged_in(stolen)


def test_logging_in_changes_the_csrf_secret(vera: User) -> None:
    client = browser_of(None)
    client.get(reverse("login"))
    before = client.cookies[CSRF].value
    log_in(client)
    assert client.cookies[CSRF].value != before


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "\x08//evil.example",
    ],
)
def test_login_and_language_do_not_lead_elsewhere(vera: User, target: str) -> None:
    client = browser_of(None)
    response = client.post(reverse("language"), {"language": "en", "next": target})
    assert response.headers["Location"] == "/"
    response = log_in(client, next=target)
    assert response.headers["Location"] == reverse("overview")  # type: ignore[attr-defined]
    response = client.get(reverse("login"), {"next": target})
    assert response.headers["Location"] == reverse("overview")


def test_login_goes_where_one_was_going(vera: User) -> None:
    client = browser_of(None)
    refused = client.get(reverse("tokens") + "?state=live")
    page = client.get(refused.headers["Location"])
    response = log_in(client, next=page.context["next"])
    assert response.headers["Location"] == reverse("tokens") + "?state=live"  # type: ignore[attr-defined]


def test_a_fragment_asked_for_without_a_session_leads_the_whole_page_to_login(db: None) -> None:
    response = browser_of(None).get(
        reverse("tokens"),
        headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example/tokens/?q=a"},
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == reverse("login") + "?next=/tokens/%3Fq%3Da"


def test_ten_bad_logins_a_minute_are_throttled_and_the_owner_logs_in_elsewhere(vera: User) -> None:
    attacker, owner = browser_of(None), browser_of(None)
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        for _attempt in range(9):
            assert log_in(attacker, "wrong").status_code == 200  # type: ignore[attr-defined]
        response = log_in(attacker, "wrong")
        assert response.status_code == 429  # type: ignore[attr-defined]
        assert response.headers["Retry-After"] == "60"  # type: ignore[attr-defined]

        # The right password does not help at the locked place, so it cannot be guessed there.
        assert log_in(attacker).status_code == 429  # type: ignore[attr-defined]
        assert not is_logged_in(attacker)

        elsewhere = owner.post(
            reverse("login"),
            {"username": "vera", "password": PASSWORD},
            REMOTE_ADDR="198.51.100.4",
        )
        assert elsewhere.status_code == 302
        assert is_logged_in(owner)

        clock.shift(61)
        assert log_in(attacker).status_code == 302  # type: ignore[attr-defined]


def test_behind_a_proxy_one_address_does_not_lock_another(vera: User, settings: object) -> None:
    settings.TRUSTED_PROXIES = 1  # type: ignore[attr-defined]

    def attempt(client_address: str, password: str) -> int:
        # What stands left of the proxy's own entry is written by the client: it must not count.
        forwarded = f"203.0.113.{attempt.calls}, {client_address}"  # type: ignore[attr-defined]
        attempt.calls += 1  # type: ignore[attr-defined]
        return (
            browser_of(None)
            .post(
                reverse("login"),
                {"username": "vera", "password": password},
                headers={"X-Forwarded-For": forwarded},
            )
            .status_code
        )

    attempt.calls = 0  # type: ignore[attr-defined]
    for _attempt in range(9):
        assert attempt("192.0.2.66", "wrong") == 200
    assert attempt("192.0.2.66", "wrong") == 429
    assert attempt("198.51.100.4", PASSWORD) == 302


def test_the_lockout_stores_no_password(vera: User) -> None:
    from axes.models import AccessAttempt

    log_in(browser_of(None), "a-wrong-but-close-password")
    assert "a-wrong-but-close-password" not in repr(AccessAttempt.objects.values())
    assert AccessAttempt.objects.count() == 1


def test_a_new_password_ends_the_sessions_elsewhere(vera: User) -> None:
    here, elsewhere = browser_of(None), browser_of(None)
    log_in(here)
    log_in(elsewhere)
    new = "another-long-phrase"

    response = here.post(
        reverse("password_change"),
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )

    assert response.status_code == 302
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)
    entry = AuditEntry.objects.get(action="user.password")
    assert new not in repr(entry.__dict__)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("wrong", "another-long-phrase", "old_password"),
        (PASSWORD, "12345678", "new_password2"),
        (PASSWORD, "vera", "new_password2"),
        (PASSWORD, "short", "new_password2"),
    ],
)
def test_a_weak_password_or_a_wrong_old_one_changes_nothing(
    vera: User, old: str, new: str, field: str
) -> None:
    client = browser_of(vera)
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    response = client.post(reverse("password_change"), form)
    assert field in response.context["form"].errors
    vera.refresh_from_db()
    assert vera.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("code", "word"), [("zh-hans", "登录"), ("zh-hant", "登入"), ("en", "Log in")]
)
def test_the_language_is_chosen_before_and_after_login(db: None, code: str, word: str) -> None:
    client = browser_of(None)
    response = client.post(reverse("language"), {"language": code, "next": reverse("login")})
    assert response.headers["Location"] == reverse("login")
    body = client.get(reverse("login")).content.decode()
    assert f'<html lang="{code}"' in body
    assert word in body


def test_logging_out_is_recorded_and_needs_a_post(vera: User) -> None:
    client = browser_of(vera)
    assert client.get(reverse("logout")).status_code == 405
    assert is_logged_in(client)
    client.post(reverse("logout"))
    assert not is_logged_in(client)
    assert AuditEntry.objects.filter(action="session.logout", actor="vera").count() == 1
