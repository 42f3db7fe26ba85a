"""Messages are kept as long as what they tell of; what waits is never forgotten."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings
from django.utils import timezone

from probes.history import retention
from probes.models import Change, Delivery, Told
from tests.databases import both_databases
from tests.probes.notify.told import channel, down, new_host

pytestmark = pytest.mark.django_db


@both_databases
def test_old_messages_go_but_not_those_that_wait(using: str) -> None:
    to, host, now = channel(using), new_host(using), timezone.now()
    old = now - dt.timedelta(days=settings.RETENTION_DAYS + 1)
    for state in Delivery.State.values:
        for created_at in (old, now):
            made = Delivery.objects.using(using).create(channel=to, kind="alerts", state=state)
            Delivery.objects.using(using).filter(pk=made.pk).update(created_at=created_at)
    for name, active in (("over", False), ("wrong", True)):
        Told.objects.using(using).create(
            channel=to, host=host, fingerprint=name, is_active=active, at=old
        )
    assert retention.prune(now, using).deliveries == 2
    left = Delivery.objects.using(using).filter(created_at__lt=now - dt.timedelta(days=1))
    assert [row.state for row in left] == ["waiting"]
    assert Delivery.objects.using(using).count() == 4
    assert [row.fingerprint for row in Told.objects.using(using).all()] == ["wrong"]


def test_what_a_window_keeps_from_being_told_is_not_forgotten() -> None:
    now = timezone.now()
    old = now - dt.timedelta(days=settings.RETENTION_DAYS + 1)
    held, said = (down(new_host(name=name), old) for name in ("held", "said"))
    Change.objects.update(announced_at=old)
    Change.objects.filter(pk=held.pk).update(hushed=True)
    assert retention.prune(now).changes == 1
    assert not Change.objects.filter(pk=said.pk).exists()
    Change.objects.filter(pk=held.pk).update(alert=None)
    assert retention.prune(now).changes == 1, "its alert is gone: there is nothing to tell"
