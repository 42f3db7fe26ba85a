"""The rules as they are stored, and as they count for a host.

Place in the data's way: between the rows of rules and overrides and ``probes.watch.thresholds``,
which judges by them; ``watch.rules`` says, purely, which override counts. Writes nothing.

Rules and overrides are kept in memory by the time of the newest of them and their number, which the
same query gives that reads how far each rule has come on the host.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from hosts.models import Host
from probes.models import Rule, RuleOverride, RuleState
from probes.watch import port_numbers, rules
from probes.watch.rules import Held, Limits, Override


@dataclass(frozen=True, slots=True)
class Book:
    """All rules with what is other for groups and hosts."""

    rules: tuple[Limits, ...]
    of_groups: dict[int, dict[int, Override]] = field(default_factory=dict)
    """By group and rule."""
    of_hosts: dict[int, dict[int, Override]] = field(default_factory=dict)


_lock = threading.Lock()
_books: dict[str, tuple[tuple[Any, ...], Book]] = {}
"""By database: what it was read at, and what was read."""


def of_host(host_id: int, *, using: str = "default") -> list[Limits]:
    """Every rule as it counts for a host, switched off ones included, in the order of names."""
    book, _held = read(using, host_id)
    return in_book(book, using, host_id)


def overridden(
    rule: Limits, host_ids: Collection[int], *, using: str = "default"
) -> dict[int, Limits]:
    """A rule that may not be stored as it is by host: with what is stored to be other about it."""
    book, _held = read(using, 0)
    only = Book((rule,), book.of_groups, book.of_hosts)
    members = _members(book, host_ids, using)
    return {pk: _effective(only, pk, members.get(pk, []))[0] for pk in host_ids}


def of_hosts(host_ids: Collection[int], *, using: str = "default") -> dict[int, list[Limits]]:
    """The same of many hosts, in two queries."""
    book, _held = read(using, 0)
    members = _members(book, host_ids, using)
    return {pk: _effective(book, pk, members.get(pk, [])) for pk in host_ids}


def _members(book: Book, host_ids: Collection[int], using: str) -> dict[int, list[int]]:
    """By host those of its groups that have something of their own."""
    groups: dict[int, list[int]] = {}
    if book.of_groups:
        pairs = Host.groups.through.objects.using(using).filter(
            host_id__in=list(host_ids), hostgroup_id__in=list(book.of_groups)
        )
        for host_id, group_id in pairs.values_list("host_id", "hostgroup_id"):
            groups.setdefault(host_id, []).append(group_id)
    return groups


_RULE, _OVERRIDE = Rule._meta.db_table, RuleOverride._meta.db_table
_STATES = (
    "SELECT r.at, r.n, o.at, o.n, s.rule_id, s.about, s.streak, s.raised, s.value, s.since"
    f" FROM (SELECT MAX(updated_at) AS at, COUNT(*) AS n FROM {_RULE}) AS r"
    f" CROSS JOIN (SELECT MAX(updated_at) AS at, COUNT(*) AS n FROM {_OVERRIDE}) AS o"
    f" LEFT JOIN {RuleState._meta.db_table} AS s ON s.host_id = %s"
)


def read(using: str, host_id: int) -> tuple[Book, dict[tuple[int, str], Held]]:
    """All rules, and how far each has come on a host. One query while no rule changes."""
    with connections[using].cursor() as cursor:
        cursor.execute(_STATES, [host_id])
        rows = cursor.fetchall()
    mark = rows[0][:4]
    held = {
        (pk, about): Held(streak, bool(raised), value, _aware(since))
        for _1, _2, _3, _4, pk, about, streak, raised, value, since in rows
        if pk is not None
    }
    with _lock:
        kept = _books.get(using)
    if kept is not None and kept[0] == mark:
        return kept[1], held
    book = _all(using)
    with _lock:
        _books[using] = mark, book
    return book, held


def _aware(when: dt.datetime) -> dt.datetime:
    """SQLite gives times without their zone, which is UTC."""
    return when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)


def _all(using: str) -> Book:
    book = Book(tuple(stored(row) for row in Rule.objects.using(using).order_by("name")))
    for row in RuleOverride.objects.using(using).all():
        place = book.of_hosts if row.host_id is not None else book.of_groups
        key = row.host_id if row.host_id is not None else row.group_id
        assert key is not None
        place.setdefault(key, {})[row.rule_id] = other(row)
    return book


def stored(row: Rule) -> Limits:
    """A rule as it is stored, without what is other for anybody."""
    return Limits(
        rule_id=row.pk,
        name=row.name,
        metric=row.metric,
        enabled=row.enabled,
        state=row.state,
        of_state=row.of_state,
        ports=port_numbers.read(row.ports) if row.metric == "port" else (),
        threshold=row.threshold,
        clear_at=row.clear_at,
        at_least=row.at_least,
        within_minutes=row.within_minutes,
        probes=row.probes,
        severity=row.severity,
    )


def other(row: RuleOverride) -> Override:
    """What is stored to be other."""
    return Override(
        enabled=row.enabled,
        threshold=row.threshold,
        clear_at=row.clear_at,
        probes=row.probes,
        severity=row.severity,
    )


def in_book(book: Book, using: str, host_id: int) -> list[Limits]:
    """Every rule of the book as it counts for a host, in the order of names."""
    groups: Iterable[int] = ()
    if book.of_groups:
        members = Host.groups.through.objects.using(using).filter(
            host_id=host_id, hostgroup_id__in=list(book.of_groups)
        )
        groups = members.values_list("hostgroup_id", flat=True)
    return _effective(book, host_id, groups)


def _effective(book: Book, host_id: int, groups: Iterable[int]) -> list[Limits]:
    own = book.of_hosts.get(host_id, {})
    shared = [book.of_groups[pk] for pk in groups]
    if not own and not shared:
        return list(book.rules)
    return [
        rules.effective(
            rule,
            of_host=own.get(rule.rule_id),
            of_groups=[each[rule.rule_id] for each in shared if rule.rule_id in each],
        )
        for rule in book.rules
    ]
