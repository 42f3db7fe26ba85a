"""Measures what the rules look at and records which passed their thresholds.

Place in the data's way: called by ``probes.watch.judging`` for each stored probe; ``watch.rules``
decides, purely, ``watch.lifecycle`` writes. A host where nothing is wrong costs one query, two
where some group has rules of its own; rows are written only where something is wrong, or ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from django.db import connections

from hosts.models import Host, HostKey
from probes import payloads
from probes.history.store import Stored
from probes.models import Alert, AlertKind, Change, Outcome, Rule, RuleState
from probes.observation import Code
from probes.status import TOOL_PASTED
from probes.watch import lifecycle, measures, rule_limits, rules
from probes.watch.lifecycle import Evidence, Raise, Transition
from probes.watch.rules import Held, Limits, Turn

MOST_NOTED: Final = 10
NOTED_S: Final = 300
"""Where more alerts of a host go on than MOST_NOTED, that is written so often only."""
MOST_SHOWN: Final = 5
"""Alerts of one rule, opened by one probe, whose connections are read as evidence."""


def judge(stored: Stored) -> None:
    """Record the thresholds that a probe shows to be passed, or no longer passed."""
    snapshot = stored.snapshot
    if snapshot.outcome == Outcome.LATE:
        return
    book, held = rule_limits.read(stored.using, stored.host_id)
    limits = {
        each.rule_id: each for each in rule_limits.in_book(book, stored.using, stored.host_id)
    }
    result = _Result(stored, limits, held)
    for pk, about in sorted(held):
        if pk not in limits or not _counts(limits[pk], about):
            result.drop(pk, about)
    enabled = [each for each in limits.values() if each.enabled]
    _judge_numbers(result, enabled)
    if snapshot.tool != TOOL_PASTED:
        _judge_probe(result, enabled)
    result.write()


def _counts(rule: Limits, about: str) -> bool:
    """Whether the rule still looks at that port or address, or at the host as a whole."""
    if rule.metric == "port":
        return rule.enabled and about in map(str, rule.ports)
    return rule.enabled and bool(about) == (rule.metric in rules.ABOUT)


def _judge_numbers(result: _Result, enabled: Sequence[Limits]) -> None:
    """Numbers are those of whole snapshots: of any other probe nothing is known."""
    stored = result.stored
    if stored.snapshot.outcome != Outcome.OK:
        return
    asked = [
        each
        for each in enabled
        if each.metric in rules.NUMBERS
        and not (each.metric == "slow" and stored.snapshot.tool == TOOL_PASTED)
    ]
    numbers = measures.measure(stored, asked, result.held.keys())
    by_id = {each.rule_id: each for each in asked}
    for (pk, about), value in numbers.items():
        decision = rules.decide(
            by_id[pk], result.held.get((pk, about)), value, at=stored.snapshot.taken_at
        )
        result.take(by_id[pk], about, decision, value)


def _judge_probe(result: _Result, enabled: Sequence[Limits]) -> None:
    """What the probe shows of reaching the host, its key, the login and the output."""
    snapshot = result.stored.snapshot
    shown = rules.troubles(snapshot.outcome, snapshot.code)
    for rule in enabled:
        wrong: bool | None
        if rule.metric == "stale":
            wrong = False  # here is one
        elif rule.metric in rules.LAYERS:
            wrong = shown[rule.metric]
        else:
            continue
        decision = rules.decide_trouble(
            rule, result.held.get((rule.rule_id, "")), wrong, at=snapshot.taken_at
        )
        result.take(rule, "", decision)


class _Result:
    """What a probe did to the rules of its host, until it is written."""

    def __init__(
        self, stored: Stored, limits: dict[int, Limits], held: dict[tuple[int, str], Held]
    ) -> None:
        self.stored = stored
        self.limits = limits
        self.held = held
        self.now: dict[tuple[int, str], Held] = {}
        """States that are to be written."""
        self.gone: list[tuple[int, str]] = []
        self.again: dict[str, tuple[Limits, str, Held]] = {}
        """What goes on, by the fingerprint of its alert."""
        self.transitions: list[Transition] = []
        self.shown: dict[int, int] = {}

    def drop(self, rule_id: int, about: str) -> None:
        """A rule no longer counts for the host: what it raised is over, and nobody is told."""
        held = self.held.pop((rule_id, about))
        self.gone.append((rule_id, about))
        if held.raised:
            marks = [f"rule:{rule_id}", f"rule:{rule_id}:{about}"]
            rule = self.limits.get(rule_id)
            if rule is not None:
                marks = [fingerprint(rule, about)]
            for mark in marks:
                lifecycle.resolve(
                    self.stored.host_id,
                    mark,
                    at=self.stored.snapshot.taken_at,
                    using=self.stored.using,
                )

    def take(
        self, rule: Limits, about: str, decision: rules.Decision, value: float | None = None
    ) -> None:
        """Remember what was decided of a rule, by its number now where it has one."""
        place = rule.rule_id, about
        before = self.held.get(place)
        if decision.held is not None and rules.is_news(before, decision.held):
            self.now[place] = decision.held
        if decision.held is None and before is not None:
            self.gone.append(place)
        if decision.turn == Turn.AGAIN:
            assert decision.held is not None
            self.again[fingerprint(rule, about)] = rule, about, decision.held
        elif decision.turn == Turn.RAISED:
            assert decision.held is not None
            self.transitions.append(self._raised(rule, about, decision.held))
        elif decision.turn == Turn.CLEARED:
            assert before is not None
            self.transitions.append(self._cleared(rule, about, before, value))

    def write(self) -> None:
        """Write states and transitions; nothing where nothing is wrong. Some queries at most,
        whatever number of ports and addresses it is about, and those of each alert."""
        stored = self.stored
        if not (self.now or self.gone or self.again or self.transitions):
            return
        states = RuleState.objects.using(stored.using).filter(host_id=stored.host_id)
        if self.now and not self._rules_stay():
            return
        if self.now:
            states.bulk_create(
                [
                    RuleState(
                        host_id=stored.host_id,
                        rule_id=pk,
                        about=about,
                        streak=held.streak,
                        raised=held.raised,
                        value=held.value,
                        since=held.since,
                    )
                    for (pk, about), held in self.now.items()
                ],
                update_conflicts=True,
                unique_fields=["host", "rule", "about"],
                update_fields=["streak", "raised", "value", "since"],
            )
        for pk in {pk for pk, _about in self.gone}:
            abouts = [about for rule_id, about in self.gone if rule_id == pk]
            states.filter(rule_id=pk, about__in=abouts).delete()
        if self.again and self._is_noted():
            self._go_on()
        if self.transitions:
            lifecycle.record(self.transitions, using=stored.using)

    def _go_on(self) -> None:
        """Note that alerts go on: one query where all have one severity. Where it is worse now than
        an alert says, or there is no alert, another one is opened, since that is told."""
        stored, at = self.stored, self.stored.snapshot.taken_at
        by_severity: dict[str, list[str]] = {}
        for mark, (rule, _about, _held) in self.again.items():
            by_severity.setdefault(self._severity(rule), []).append(mark)
        for severity, marks in by_severity.items():
            enough = rules.SEVERITIES[rules.SEVERITIES.index(severity) :]
            noted = lifecycle.seen_again(
                stored.host_id, marks, at=at, severities=enough, using=stored.using
            )
            if noted == len(marks):
                continue
            said = Alert.objects.using(stored.using).filter(
                host_id=stored.host_id,
                fingerprint__in=[lifecycle.fitting(mark) for mark in marks],
                resolved_at=None,
                severity__in=enough,
            )
            told = set(said.values_list("fingerprint", flat=True))
            for mark in marks:
                if lifecycle.fitting(mark) not in told:
                    self.transitions.append(self._anew(mark))

    def _anew(self, mark: str) -> Transition:
        """The alert of something that goes on ends, and one that begins now takes its place."""
        raised = self._raised(*self.again[mark])
        assert raised.raises is not None
        return replace(raised, resolves=[mark], raises=replace(raised.raises, since=None))

    def _severity(self, rule: Limits) -> str:
        """How bad it is that the rule is wrong at this probe."""
        unknown = self.stored.snapshot.code == Code.HOST_KEY_UNKNOWN
        if unknown and rule.metric == "key_changed":
            # A new host whose key nobody has looked at yet.
            return min(rule.severity, "warning", key=rules.SEVERITIES.index)
        return rule.severity

    def _is_noted(self) -> bool:
        """Whether it is written that alerts go on: of many only at the first probe in each slot of
        NOTED_S."""
        before_at = self.stored.before_at
        if len(self.again) <= MOST_NOTED or before_at is None:
            return True
        at = self.stored.snapshot.taken_at
        return at.timestamp() // NOTED_S != before_at.timestamp() // NOTED_S

    def _rules_stay(self) -> bool:
        """Hold the rules that are written about until the end, so that none is removed meanwhile;
        False where one was. SQLite has one writer at a time."""
        connection = connections[self.stored.using]
        wanted = sorted({pk for pk, _about in self.now})
        if connection.vendor != "postgresql":
            return True
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {Rule._meta.db_table} WHERE id = ANY(%s) ORDER BY id"
                " FOR KEY SHARE",
                [wanted],
            )
            return len(cursor.fetchall()) == len(wanted)

    def _raised(self, rule: Limits, about: str, held: Held) -> Transition:
        stored, snapshot = self.stored, self.stored.snapshot
        trouble = rule.metric in rules.TROUBLE
        facts = facts_of(rule, about, held)
        kind, event = AlertKind.RULE, Change.Kind.RAISED
        show: Callable[[], Evidence] | None = None
        if trouble:
            kind, event = AlertKind.PROBE, Change.Kind.TROUBLE
            if rule.metric != "slow":
                facts = trouble_facts(rule, stored, held)
        if not trouble or rule.metric == "slow":
            shown = self.shown.get(rule.rule_id, 0)
            if shown < MOST_SHOWN:
                self.shown[rule.rule_id] = shown + 1
                show = partial(measures.evidence, rule, about, stored, since=held.since)
        return Transition(
            kind=event,
            host_id=stored.host_id,
            at=snapshot.taken_at,
            before_at=stored.before_at,
            snapshot_id=snapshot.pk,
            port=int(about) if rule.metric == "port" else None,
            detail=facts,
            raises=Raise(
                kind=kind,
                fingerprint=fingerprint(rule, about),
                subject=f"{rule.name}: {about}" if about else rule.name,
                severity=self._severity(rule),
                facts=facts,
                evidence=show,
                rule_id=rule.rule_id,
                since=held.since,
            ),
        )

    def _cleared(self, rule: Limits, about: str, before: Held, value: float | None) -> Transition:
        snapshot = self.stored.snapshot
        return over(
            rule,
            about,
            before,
            value=value,
            host_id=self.stored.host_id,
            at=snapshot.taken_at,
            before_at=self.stored.before_at,
            snapshot_id=snapshot.pk,
        )


def over(
    rule: Limits,
    about: str,
    before: Held,
    *,
    value: float | None = None,
    host_id: int,
    at: dt.datetime,
    before_at: dt.datetime | None = None,
    snapshot_id: int | None = None,
) -> Transition:
    """That a rule which was raised is over; ``value`` is its number now, where it is one of a
    number."""
    trouble = rule.metric in rules.TROUBLE
    numbers: dict[str, Any] = {}
    if rule.metric in rules.NUMBERS:
        numbers = facts_of(rule, about, before) | {
            "value": value,
            "before": {"value": before.value},
            "after": {"value": value},
        }
    facts = {
        "rule": rule.name,
        "metric": rule.metric,
        **numbers,
        "event": Change.Kind.TROUBLE_OVER if trouble else Change.Kind.CLEARED,
        "since": payloads.time(before.since),
    }
    return Transition(
        kind=Change.Kind.TROUBLE_OVER if trouble else Change.Kind.CLEARED,
        host_id=host_id,
        at=at,
        before_at=before_at,
        snapshot_id=snapshot_id,
        port=int(about) if rule.metric == "port" else None,
        detail=facts,
        resolves=[fingerprint(rule, about)],
    )


def fingerprint(rule: Limits, about: str) -> str:
    """What an alert of the rule is known by on its host."""
    if rule.metric in rules.TROUBLE:
        return f"probe:{rule.metric}"
    return f"rule:{rule.rule_id}:{about}" if about else f"rule:{rule.rule_id}"


def facts_of(rule: Limits, about: str, held: Held) -> dict[str, Any]:
    """A number and what it is held against, as alerts and changes keep it."""
    facts: dict[str, Any] = {
        "event": Change.Kind.RAISED,
        "rule": rule.name,
        "metric": rule.metric,
        "state": rule.state,
        "of_state": rule.of_state,
        "about": about,
        "value": held.value,
        "threshold": rule.threshold,
        "clear_at": rule.over_at,
        "probes": rule.probes,
        "minutes": rule.within_minutes if rule.metric == "rise" else None,
        "after": {"value": held.value},
        "since": payloads.time(held.since),
    }
    if rule.metric == "slow":
        facts["event"] = Change.Kind.TROUBLE
    return facts


def trouble_facts(rule: Limits, stored: Stored, held: Held) -> dict[str, Any]:
    """Why a probe failed. Of a host key: the one that was offered, and those that are trusted."""
    snapshot = stored.snapshot
    facts: dict[str, Any] = {
        "event": Change.Kind.TROUBLE,
        "rule": rule.name,
        "metric": rule.metric,
        "code": snapshot.code,
        "detail": snapshot.detail[:500],
        "cause": None if stored.cause is None else stored.cause.value,
        "since": payloads.time(held.since),
        "probes": held.streak,
    }
    if rule.metric == "key_changed":
        facts |= _keys(stored)
    return facts


def _keys(stored: Stored) -> dict[str, Any]:
    """``offered`` and ``trusted``: fingerprints of the keys of the host's address."""
    host = Host.objects.using(stored.using).filter(pk=stored.host_id).first()
    if host is None:
        return {}
    known = HostKey.objects.using(stored.using).filter(address=host.address, port=host.port)
    rows = list(known.order_by("-last_seen").values_list("fingerprint", "trust"))
    trusted = [mark for mark, trust in rows if trust == HostKey.TrustChoice.TRUSTED]
    offered = [mark for mark, trust in rows if trust != HostKey.TrustChoice.TRUSTED]
    return {"offered": offered[0] if offered else "", "trusted": ", ".join(trusted[:3])}


def newest_value(alert: Alert) -> float | None:
    """The number that the rule of an active alert has now; None where it has none any more."""
    if alert.rule_id is None:
        return None
    about = alert.facts.get("about") or ""
    state = RuleState.objects.using(alert._state.db).filter(
        host_id=alert.host_id, rule_id=alert.rule_id, about=about
    )
    return state.values_list("value", flat=True).first()
