"""Alerts as a list, how many of each severity are active, and what was done about one.

Place in the data's way: between the rows that ``probes.watch.lifecycle`` writes and the pages and
routes that show them. The hosts that are given decide what may be seen.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import (
    Case,
    Count,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.utils import timezone

from hosts.models import Host
from probes.alert_filters import AlertFilter
from probes.history.queries.pages import Page, bad_cursor, open_cursor, seal
from probes.models import Alert, Change, Delivery, Severity, Silence

RANKS: Final = {Severity.CRITICAL: 3, Severity.WARNING: 2, Severity.INFO: 1}

MOST_OF_A_HOST: Final = 200

_ORDERS: Final[dict[str, tuple[tuple[str, bool], ...]]] = {
    "newest": (("newest_at", True), ("pk", True)),
    "opened": (("opened_at", True), ("pk", True)),
    "oldest": (("opened_at", False), ("pk", False)),
    "severity": (("rank", True), ("newest_at", True), ("pk", True)),
    "host": (("host__name", False), ("newest_at", True), ("pk", True)),
}
"""By sort: fields with whether they fall; the last one is unique."""


def listed(
    hosts: QuerySet[Host], wanted: AlertFilter, *, now: dt.datetime | None = None
) -> QuerySet[Alert]:
    """The alerts on ``hosts`` that pass the filter, in its order, with host, rule and hunt.

    ``now`` is when windows count. ``host`` and ``group`` of the filter are taken among ``hosts``.
    """
    rows = Alert.objects.using(hosts.db).filter(host__in=hosts.order_by())
    rows = _in_state(rows, wanted.state, now or timezone.now())
    for name in ("kind", "severity", "rule", "hunt", "host"):
        if (value := getattr(wanted, name)) is not None:
            rows = rows.filter(**{name: value})
    if wanted.group is not None:
        rows = rows.filter(host__in=hosts.order_by().filter(groups__name=wanted.group))
    if wanted.since is not None:
        rows = rows.filter(Q(resolved_at=None) | Q(resolved_at__gte=wanted.since))
    if wanted.until is not None:
        rows = rows.filter(opened_at__lte=wanted.until)
    if wanted.port is not None:
        rows = rows.filter(facts__port=wanted.port)
    if wanted.q is not None:
        rows = _saying(rows, wanted.q)
    rows = rows.annotate(
        rank=Case(
            *(When(severity=name, then=Value(rank)) for name, rank in RANKS.items()),
            default=Value(0),
            output_field=IntegerField(),
        )
    )
    order = [f"-{name}" if falls else name for name, falls in _ORDERS[wanted.sort or "newest"]]
    return rows.select_related("host", "rule", "hunt").order_by(*order)


def page(
    rows: QuerySet[Alert], *, kind: str, cursor: str | None, limit: int, sort: str | None = None
) -> Page[Alert]:
    """One page of :func:`listed`; raises FilterError for a cursor that is not of ``kind``, which
    says list, filter and order."""
    order = _ORDERS[sort or "newest"]
    total = rows.count()
    if cursor is not None:
        values = open_cursor(kind, cursor, parts=len(order))
        rows = rows.filter(_after(order, [_read(value) for value in values]))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        following = seal(kind, *(_written(_value(found[-1], name)) for name, _falls in order))
    return Page(found, following, total)


def open_count(hosts: QuerySet[Host]) -> int:
    """How many active alerts on ``hosts`` nobody has acknowledged: rows of one partial index."""
    return (
        Alert.objects.using(hosts.db)
        .filter(acknowledged_at=None, resolved_at=None, host__in=hosts.order_by())
        .count()
    )


def active_by_severity(host_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """By host: how many alerts of each severity are active, the worst first. One query."""
    counted = (
        Alert.objects.filter(host__in=list(host_ids), resolved_at=None)
        .order_by()
        .values_list("host", "severity")
        .annotate(Count("pk"))
    )
    found: dict[int, dict[str, int]] = {}
    for host_id, severity, number in sorted(counted, key=lambda row: -RANKS.get(row[1], 0)):
        found.setdefault(host_id, {})[severity] = number
    return found


def active_of(host: Host) -> list[Alert]:
    """A host's active alerts: those nobody knows of, the worst first, then those somebody does;
    of very many the newest. One query."""
    rows = Alert.objects.filter(host_id=host.pk, resolved_at=None).select_related("rule", "hunt")
    return sorted(
        rows.order_by("-newest_at", "-pk")[:MOST_OF_A_HOST],
        key=lambda row: (row.acknowledged_at is not None, -RANKS.get(Severity(row.severity), 0)),
    )


def deliveries(alert: Alert, *, most: int) -> list[Delivery]:
    """Messages that told of it, newest first, with their channels."""
    told = Change.objects.filter(alert=alert).order_by()
    return list(
        Delivery.objects.filter(
            pk__in=Delivery.changes.through.objects.filter(change__in=told).values("delivery_id")
        )
        .select_related("channel")
        .order_by("-created_at", "-pk")[:most]
    )


def changes_of(alert: Alert, *, most: int) -> list[Change]:
    """What happened to it, newest first."""
    rows = Change.objects.filter(alert=alert).select_related("host", "alert", "alert__rule")
    return list(rows.order_by("-at", "-pk")[:most])


def silenced(now: dt.datetime) -> Exists:
    """Whether a window that counts at ``now`` holds an alert, for a filter over alerts.

    Says in SQL what ``probes.watch.silences.fits`` says of one.
    """
    windows = Silence.objects.filter(
        Q(host=None) | Q(host=OuterRef("host_id")),
        Q(rule=None) | Q(rule=OuterRef("rule_id")),
        Q(kind="") | Q(kind=OuterRef("kind")),
        Q(fingerprint="") | Q(fingerprint=OuterRef("fingerprint")),
        Q(group=None) | Q(group__hosts=OuterRef("host_id")),
        starts_at__lte=now,
        ends_at__gt=now,
    )
    return Exists(windows.order_by())


def _in_state(rows: QuerySet[Alert], state: str | None, now: dt.datetime) -> QuerySet[Alert]:
    if state in (None, "all"):
        return rows
    if state == "resolved":
        return rows.filter(resolved_at__isnull=False)
    rows = rows.filter(resolved_at=None)
    if state == "silenced":
        return rows.filter(silenced(now))
    if state in ("open", "acknowledged"):
        return rows.filter(acknowledged_at__isnull=state == "open")
    return rows


def _saying(rows: QuerySet[Alert], text: str) -> QuerySet[Alert]:
    """Those whose subject, facts or rows hold ``text``; JSON escapes it in one of two ways."""
    rows = rows.annotate(
        facts_text=Cast("facts", TextField()), evidence_text=Cast("evidence", TextField())
    )
    wanted = Q(subject__icontains=text) | Q(fingerprint__icontains=text)
    for form in {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}:
        wanted |= Q(facts_text__icontains=form) | Q(evidence_text__icontains=form)
    return rows.filter(wanted)


def _after(order: tuple[tuple[str, bool], ...], values: list[Any]) -> Q:
    """What comes after a row with these values, in that order."""
    after = Q()
    for place, (name, falls) in enumerate(order):
        same = {order[before][0]: values[before] for before in range(place)}
        after |= Q(**same, **{f"{name}__{'lt' if falls else 'gt'}": values[place]})
    return after


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def _written(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, dt.datetime) else value


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return dt.datetime.fromisoformat(value["at"])
    except (KeyError, TypeError, ValueError):
        raise bad_cursor() from None
