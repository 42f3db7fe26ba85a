"""Restarts are forgotten with the probes they were decided on."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from probes.history import retention
from probes.models import Restart
from tests.probes.recovery.test_decisions import World


@pytest.mark.django_db
def test_what_ended_long_ago_goes_and_what_is_under_way_stays(settings: Any) -> None:
    settings.RETENTION_DAYS = 10
    world, now = World("default"), timezone.now()
    for days, ended in ((11, True), (9, True), (11, False)):
        when = now - dt.timedelta(days=days)
        Restart.objects.create(
            service=world.service,
            host=world.host,
            state="recovered" if ended else "planned",
            planned_at=when,
            ended_at=when if ended else None,
        )

    assert retention.prune(now).restarts == 1
    assert [row.ended_at is None for row in Restart.objects.order_by("planned_at")] == [True, False]
