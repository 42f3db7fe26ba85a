"""What people do about alerts and windows: checked, recorded, and never twice."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import Alert, Silence
from probes.watch import handling, windows
from tests.people import person

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="web1", address="192.0.2.1")


def asked_by(name: str, **access: Any) -> HttpRequest:
    request = HttpRequest()
    request.user = person(name, Role.OPERATOR, **access)
    return request


def alert_on(host: Host, **fields: Any) -> Alert:
    now = timezone.now()
    usual = {"kind": "port", "fingerprint": "x", "subject": "tcp/80"}
    return Alert.objects.create(host=host, opened_at=now, newest_at=now, **usual | fields)


def acts() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_what_ends_by_itself_stays_active_and_known(host: Host) -> None:
    request = asked_by("ann")
    known = handling.acknowledge(alert_on(host), request=request, note=" on it ")
    assert (known.acknowledged_by, known.resolved_at) == ("ann", None)
    assert AuditEntry.objects.get().detail["note"] == "on it"
    first = known.acknowledged_at
    again = handling.acknowledge(known, request=asked_by("ben"))
    assert (again.acknowledged_by, again.acknowledged_at) == ("ann", first)
    assert acts() == ["alert.acknowledge"]


def test_what_has_no_end_is_over_with_it(host: Host) -> None:
    over = handling.acknowledge(alert_on(host, ends_by_word=True), request=asked_by("ann"))
    assert (over.resolved_by, over.resolved_at) == ("ann", over.acknowledged_at)


def test_only_what_has_no_end_is_ended_by_word(host: Host) -> None:
    request = asked_by("ann")
    with pytest.raises(ValidationError, match="ends by itself"):
        handling.end(alert_on(host), request=request)
    known = timezone.now()
    mine = alert_on(
        host, fingerprint="y", ends_by_word=True, acknowledged_at=known, acknowledged_by="ben"
    )
    over = handling.end(mine, request=request)
    assert (over.resolved_by, over.acknowledged_by) == ("ann", "ben")
    handling.end(mine, request=request)
    assert acts() == ["alert.end"]


def test_several_are_acknowledged_or_none(host: Host) -> None:
    request = asked_by("ann")
    some = [alert_on(host, fingerprint=str(number)) for number in range(3)]
    handling.acknowledge(some[0], request=request)
    assert handling.acknowledge_all(some, request=request) == 2
    with pytest.raises(ValidationError):
        handling.acknowledge_all(some * 100, request=request)
    with pytest.raises(ValidationError, match="no database keeps"):
        handling.acknowledge_all(some, request=request, note="a\0")


def test_a_snooze_is_a_window_of_one_alert_and_the_next_changes_it(host: Host) -> None:
    request, alert = asked_by("ann"), alert_on(host)
    now = timezone.now()
    first = handling.snooze(alert, until=now + HOUR, request=request, reason="known")
    second = handling.snooze(alert, until=now + 8 * HOUR, request=request)
    assert first.pk == second.pk
    stored = Silence.objects.get()
    assert (stored.host_id, stored.fingerprint, stored.kind) == (host.pk, "x", "port")
    assert (stored.ends_at, stored.reason, stored.created_by) == (now + 8 * HOUR, "known", "ann")
    assert acts() == ["alert.snooze", "alert.snooze"]
    for until in (now - HOUR, now + dt.timedelta(days=91)):
        with pytest.raises(ValidationError) as refused:
            handling.snooze(alert, until=until, request=request)
        assert refused.value.message_dict.keys() == {"until"}
    Alert.objects.update(resolved_at=now)
    with pytest.raises(ValidationError, match="is over"):
        handling.snooze(alert, until=now + HOUR, request=request)


# --- windows --------------------------------------------------------------------------------------


def fields(**more: Any) -> dict[str, Any]:
    return {"ends_at": timezone.now() + HOUR, "reason": "disks"} | more


def wrong(data: dict[str, Any], request: HttpRequest) -> set[str]:
    with pytest.raises(ValidationError) as refused:
        windows.create(data, request=request)
    assert not Silence.objects.exists()
    return set(refused.value.message_dict)


def test_a_window_is_added_changed_and_ended(host: Host) -> None:
    request = asked_by("ann")
    window = windows.create(fields(host=host.pk, kind="port"), request=request)
    assert (window.host, window.kind, window.created_by) == (host, "port", "ann")
    assert window.starts_at <= timezone.now()
    later = timezone.now() + 5 * HOUR
    changed = windows.change(window, {"ends_at": later, "kind": ""}, request=request)
    assert (changed.ends_at, changed.kind, changed.host) == (later, "", host)
    ended = windows.end(window, request=request)
    assert ended.ends_at <= timezone.now()
    windows.end(window, request=request)
    with pytest.raises(ValidationError, match="is over"):
        windows.change(window, {"ends_at": later}, request=request)
    assert acts() == ["silence.add", "silence.change", "silence.end"]


def test_a_planned_window_that_is_ended_never_began(host: Host) -> None:
    request, now = asked_by("ann"), timezone.now()
    window = windows.create(
        fields(host=host.pk, starts_at=now + HOUR, ends_at=now + 2 * HOUR), request=request
    )
    ended = windows.end(window, request=request)
    assert ended.starts_at == ended.ends_at


def test_what_does_not_fit_is_said_at_its_field(host: Host) -> None:
    request, now = asked_by("ann"), timezone.now()
    for data, field in (
        (fields(host=987654321), "host"), (fields(group=987654321), "group"),
        (fields(rule=987654321), "rule"), (fields(kind="odd"), "kind"),
        (fields(reason="x" * 201), "reason"), (fields(reason="a\0"), "reason"),
        ({"host": host.pk}, "ends_at"), (fields(ends_at=now - HOUR), "ends_at"),
        (fields(starts_at=now + 3 * HOUR), "ends_at"),
        (fields(ends_at=now + dt.timedelta(days=400)), "ends_at"),
    ):  # fmt: skip
        assert wrong(data, request) == {field}


def test_whom_groups_limit_silences_these_alone(host: Host) -> None:
    inside, outside = (HostGroup.objects.create(name=name) for name in ("inside", "outside"))
    mine = Host.objects.create(name="web2", address="192.0.2.2")
    mine.groups.add(inside)
    host.groups.add(outside)
    limited = asked_by("lars", groups=[inside])
    assert wrong(fields(host=host.pk), limited) == {"host"}
    assert wrong(fields(group=outside.pk), limited) == {"group"}
    assert wrong(fields(), limited) == {"host"}, "the whole site"
    assert wrong(fields(kind="port"), limited) == {"host"}
    for data in (fields(host=mine.pk), fields(group=inside.pk)):
        windows.create(data, request=limited).delete()
    window = windows.create(fields(host=mine.pk), request=limited)
    with pytest.raises(ValidationError):
        windows.change(window, {"host": None}, request=limited)
    windows.create(fields(), request=asked_by("ann"))


def test_a_snooze_keeps_what_it_is_about(host: Host) -> None:
    request = asked_by("ann")
    until = timezone.now() + HOUR
    window = handling.snooze(alert_on(host), until=until, request=request)
    changed = windows.change(
        window, {"host": None, "kind": "", "ends_at": until + HOUR}, request=request
    )
    assert (changed.host, changed.kind, changed.ends_at) == (host, "port", until + HOUR)
