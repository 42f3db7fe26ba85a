"""The Django admin: who comes in, what it records, what it never shows."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.urls import reverse

from hosts.models import HostGroup
from netadmin.access import tokens
from netadmin.access.models import Access, AuditEntry, Role, Scope
from netadmin.access.site import AuditedAdmin, ReadOnlyAdmin
from tests.people import browser_of, person

INLINE = {
    "access-TOTAL_FORMS": "1",
    "access-INITIAL_FORMS": "0",
    "access-MIN_NUM_FORMS": "0",
    "access-MAX_NUM_FORMS": "1",
}


def test_every_model_admin_is_recorded_or_read_only() -> None:
    plain = [
        model._meta.label
        for model, shown in django_admin.site._registry.items()
        if not isinstance(shown, AuditedAdmin | ReadOnlyAdmin)
    ]
    assert not plain


def test_administrators_come_in_by_role_and_nobody_else(
    viewer: User, operator: User, admin: User, group_admin: User
) -> None:
    staff = person("sam", Role.OPERATOR)
    staff.is_staff = True
    staff.save()
    path = reverse("admin:index")
    assert browser_of(admin).get(path).status_code == 200
    assert browser_of(person("root", superuser=True)).get(path).status_code == 200
    for refused in (viewer, operator, group_admin, staff):
        assert browser_of(refused).get(path).status_code == 403
    assert browser_of(None).get(path).headers["Location"] == reverse("login") + f"?next={path}"


def test_a_user_is_added_with_a_role_and_recorded(admin: User, group: HostGroup) -> None:
    client = browser_of(admin)
    password = "another-long-phrase"
    response = client.post(
        reverse("admin:auth_user_add"),
        {
            "username": "nina",
            "password1": password,
            "password2": password,
            "usable_password": "true",
            "access-0-role": str(Role.OPERATOR.value),
            "access-0-groups": [str(group.pk)],
        }
        | INLINE,
    )
    assert response.status_code == 302, response.context and response.context["errors"]
    access = Access.objects.get(user__username="nina")
    assert (access.role, access.all_hosts) == (Role.OPERATOR, False)
    entry = AuditEntry.objects.get(action="user.add")
    assert entry.detail["access.groups"] == [None, ["web"]]
    assert entry.detail["password1"] == ["***", "***"]
    assert password not in repr(entry.__dict__)


def test_a_user_added_without_choosing_a_role_gets_the_least(admin: User) -> None:
    password = "another-long-phrase"
    form = {"username": "nina", "password1": password, "password2": password}
    form |= {"usable_password": "true", "access-0-role": "10", "access-0-all_hosts": "on"} | INLINE
    assert browser_of(admin).post(reverse("admin:auth_user_add"), form).status_code == 302
    assert Access.objects.get(user__username="nina").role == Role.VIEWER


def test_a_changed_role_is_recorded_with_before_and_after(admin: User, viewer: User) -> None:
    form = {
        "username": "vera",
        "is_active": "on",
        "access-0-id": str(viewer.access.pk),  # type: ignore[attr-defined]
        "access-0-user": str(viewer.pk),
        "access-0-role": str(Role.ADMIN.value),
        "access-0-all_hosts": "on",
    }
    form |= INLINE | {"access-INITIAL_FORMS": "1"}
    path = reverse("admin:auth_user_change", args=[viewer.pk])
    assert browser_of(admin).post(path, form).status_code == 302
    assert Access.objects.get(user=viewer).role == Role.ADMIN
    entry = AuditEntry.objects.get(action="user.change")
    assert entry.detail == {"access.role": [10, 30]}


def test_nobody_locks_themselves_out_or_raises_themselves(admin: User) -> None:
    client = browser_of(admin)
    path = reverse("admin:auth_user_change", args=[admin.pk])
    assert client.post(path, {"username": "anna"}).status_code == 302
    admin.refresh_from_db()
    assert admin.is_active
    assert not admin.is_superuser
    assert client.post(path, {"username": "anna", "is_superuser": "on"}).status_code == 302
    admin.refresh_from_db()
    assert not admin.is_superuser
    assert client.post(reverse("admin:auth_user_delete", args=[admin.pk])).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [admin.pk], "post": "yes"}
    client.post(reverse("admin:auth_user_changelist"), action)
    assert User.objects.filter(pk=admin.pk).exists()


def test_a_deleted_user_stays_in_the_log(admin: User, viewer: User) -> None:
    client = browser_of(admin)
    action = {"action": "delete_selected", "_selected_action": [viewer.pk], "post": "yes"}
    client.post(reverse("admin:auth_user_changelist"), action)
    assert not User.objects.filter(pk=viewer.pk).exists()
    entry = AuditEntry.objects.get(action="user.delete")
    assert (entry.actor, entry.object_name) == ("anna", "vera")


def test_a_password_set_by_an_administrator_is_recorded_without_it(
    admin: User, viewer: User
) -> None:
    session = browser_of(viewer)
    password = "another-long-phrase"
    path = reverse("admin:auth_user_password_change", args=[viewer.pk])
    form = {"password1": password, "password2": password, "usable_password": "true"}
    assert browser_of(admin).post(path, form | {"set-password": "1"}).status_code == 302
    viewer.refresh_from_db()
    assert viewer.check_password(password)
    assert session.get(reverse("tokens")).status_code == 302
    assert password not in repr(AuditEntry.objects.get(action="user.change").__dict__)


@pytest.mark.parametrize("model", ["access_apitoken", "access_auditentry"])
def test_tokens_and_the_log_are_only_shown(admin: User, viewer: User, model: str) -> None:
    row, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
    client = browser_of(admin)
    client.post(reverse("token_revoke", args=[row.pk]))
    entry = AuditEntry.objects.get()
    pk = row.pk if model == "access_apitoken" else entry.pk
    assert client.get(reverse(f"admin:{model}_changelist")).status_code == 200
    shown = client.get(reverse(f"admin:{model}_change", args=[pk]))
    assert shown.status_code == 200
    assert row.digest not in shown.content.decode()
    assert not re.search(r'<input[^>]+name="_save"', shown.content.decode())
    assert client.post(reverse(f"admin:{model}_change", args=[pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:{model}_delete", args=[pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:{model}_add"), {}).status_code == 403


def test_lifting_a_lock_is_recorded(admin: User) -> None:
    from axes.models import AccessAttempt

    client = browser_of(None)
    client.post(reverse("login"), {"username": "vera", "password": "wrong"})
    attempt = AccessAttempt.objects.get()
    browser_of(admin).post(
        reverse("admin:axes_accessattempt_delete", args=[attempt.pk]), {"post": "yes"}
    )
    assert not AccessAttempt.objects.exists()
    assert AuditEntry.objects.filter(action="accessattempt.delete").exists()
