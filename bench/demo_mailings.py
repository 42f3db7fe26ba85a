"""A few mailed reports of the invented fleet, one sent and one refused, for screenshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.contrib.auth.models import User

from hosts.models import Host, HostGroup
from probes.models import ReportRun, ReportSchedule
from probes.reports import mailings


def build(owner: User, hosts: Iterable[Host], now: dt.datetime) -> None:
    """Make them, owned by ``owner``."""
    by_name = {host.name: host for host in hosts}
    weekly = _mailing(owner, now, "Web front", "week", 7, by_name["web-1"], None)
    data = HostGroup.objects.get(name="data")
    daily = _mailing(owner, now, "Databases", "day", 6, None, data)
    _mailing(owner, now, "Everything", "month", 7, None, None)
    sent, refused = now - dt.timedelta(days=4), now - dt.timedelta(hours=5)
    recipients = mailings.recipients_of(weekly)
    ReportRun.objects.create(
        schedule=weekly, began_at=sent, ended_at=sent, outcome="sent", tries=1, reached=recipients
    )
    ReportRun.objects.create(
        schedule=daily,
        began_at=refused,
        ended_at=refused,
        outcome="failed",
        tries=3,
        reached=recipients[:1],
        code="refused",
        detail="550 5.1.1 <net@example.com>: user unknown",
    )


def _mailing(
    owner: User,
    now: dt.datetime,
    name: str,
    every: str,
    hour: int,
    host: Host | None,
    group: HostGroup | None,
) -> ReportSchedule:
    schedule = ReportSchedule(
        owner=owner,
        name=name,
        every=every,
        hour=hour,
        host=host,
        group=group,
        recipients="ops@example.com\nnet@example.com",
    )
    schedule.next_at = mailings.next_at(schedule, now)
    schedule.save()
    return schedule
