"""When a number, or trouble with probes, is wrong: streaks, hysteresis, what a probe proves.

Place in the data's way: ``probes.watch.thresholds`` gives numbers and codes of one stored probe and
records what comes out. Pure: knows no database, no words and no alert.

A rule is wrong above its threshold, and counts the probes in a row that it was. With enough of them
it is raised; it then stays raised until a number is at or below ``over_at``. A probe that tells
nothing of a number (it failed, or what it is compared with is missing) neither counts nor resets.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from probes.observation import Code

SEVERITIES: Final = ("info", "warning", "critical")
"""From the least to the worst."""

NUMBERS: Final = frozenset(
    {"state", "sockets", "listeners", "port", "remote_ip", "ratio", "rise", "slow"}
)
"""Metrics that are a number of one probe; the others are trouble with probes, right or wrong."""
ABOUT: Final = frozenset({"port", "remote_ip"})
"""Metrics with a number for each port or address of a host."""
LAYERS: Final = ("unreachable", "key_changed", "login_failed", "incomplete")
"""What can go wrong with a probe, in the order it is met: what fails at one of them has passed
those before it, and tells nothing of those behind."""
TROUBLE: Final = frozenset({*LAYERS, "stale", "slow"})
"""Metrics about probes themselves; one rule for each."""

AT_ONCE: Final = frozenset({"login_failed", "stale"})
"""Metrics that count from the first probe: a login that failed is not tried again, so that no
second one would ever come, and the absence of probes is no probe."""

_USUAL_CLEAR: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A rule as it counts for one host."""

    rule_id: int
    name: str
    metric: str
    enabled: bool = True
    state: str = ""
    of_state: str = ""
    ports: tuple[int, ...] = ()
    threshold: float = 0.0
    clear_at: float | None = None
    at_least: float = 0.0
    within_minutes: int = 10
    probes: int = 1
    severity: str = "warning"

    @property
    def over_at(self) -> float:
        """At or below it a raised one is over: ``clear_at``, else nine tenths of the threshold;
        never above the threshold."""
        clear = self.threshold * _USUAL_CLEAR if self.clear_at is None else self.clear_at
        return min(clear, self.threshold)

    @property
    def needed(self) -> int:
        """Probes in a row that raise it."""
        return 1 if self.metric in AT_ONCE else max(self.probes, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What is other about a rule for a group or a host; None and "" are as the rule says."""

    enabled: bool | None = None
    threshold: float | None = None
    clear_at: float | None = None
    probes: int | None = None
    severity: str = ""


def effective(
    rule: Limits, *, of_host: Override | None = None, of_groups: Iterable[Override] = ()
) -> Limits:
    """The rule with what is other for a host: its own override first, then those of its groups.

    Field by field. Where several groups say something about one field the strictest counts:
    switched on, the lowest threshold, the fewest probes, the worst severity. A ``clear_at`` goes
    with the threshold it was given with; a threshold without one is over at nine tenths.
    """
    layers = [_strictest(list(of_groups)), of_host]
    for layer in layers:
        if layer is None:
            continue
        if layer.threshold is not None:
            rule = replace(rule, threshold=layer.threshold, clear_at=layer.clear_at)
        elif layer.clear_at is not None:
            rule = replace(rule, clear_at=layer.clear_at)
        if layer.enabled is not None:
            rule = replace(rule, enabled=layer.enabled)
        if layer.probes is not None:
            rule = replace(rule, probes=layer.probes)
        if layer.severity:
            rule = replace(rule, severity=layer.severity)
    return rule


def _strictest(overrides: Sequence[Override]) -> Override | None:
    if not overrides:
        return None
    switches = [each.enabled for each in overrides if each.enabled is not None]
    thresholds = [each.threshold for each in overrides if each.threshold is not None]
    lowest = min(thresholds, default=None)
    clears = [
        each.clear_at
        for each in overrides
        if each.threshold == lowest and each.clear_at is not None
    ]
    counts = [each.probes for each in overrides if each.probes is not None]
    worst = [each.severity for each in overrides if each.severity]
    return Override(
        enabled=any(switches) if switches else None,
        threshold=lowest,
        clear_at=min(clears, default=None),
        probes=min(counts, default=None),
        severity=max(worst, key=SEVERITIES.index, default=""),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """How far a rule has come on a host; None in its place: it is not wrong."""

    streak: int
    """Probes in a row that were above the threshold; while raised it is not counted on."""
    raised: bool
    value: float
    """The newest known number; of a raised one within a tenth."""
    since: dt.datetime
    """Of the first probe of the streak."""


def is_news(before: Held | None, now: Held) -> bool:
    """Whether what is held is worth writing again: of a raised one only another number, by a tenth
    at least, since hundreds of addresses may go up and down a little with every probe."""
    if before is None or replace(before, value=0.0) != replace(now, value=0.0) or not now.raised:
        return before != now
    return abs(now.value - before.value) >= before.value / 10 and now.value != before.value


class Turn(enum.Enum):
    """What a probe did to a rule."""

    NOTHING = "nothing"
    """It is not wrong, or nothing is known of it."""
    COUNTED = "counted"
    """Wrong, but not for long enough yet."""
    RESET = "reset"
    """Wrong before, but not for long enough, and no longer."""
    RAISED = "raised"
    AGAIN = "again"
    """Raised before, and not over."""
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a rule stands after a probe."""

    held: Held | None
    turn: Turn


def decide(limits: Limits, held: Held | None, value: float | None, *, at: dt.datetime) -> Decision:
    """Where a rule stands after a probe of ``at`` with this number; None: it is not known."""
    if value is None:
        return Decision(held, Turn.NOTHING)
    if held is not None and held.raised:
        if value <= limits.over_at:
            return Decision(None, Turn.CLEARED)
        return Decision(replace(held, value=value), Turn.AGAIN)
    if value <= limits.threshold:
        return Decision(None, Turn.NOTHING if held is None else Turn.RESET)
    streak, since = (1, at) if held is None else (held.streak + 1, held.since)
    raised = streak >= limits.needed
    return Decision(Held(streak, raised, value, since), Turn.RAISED if raised else Turn.COUNTED)


def decide_trouble(
    limits: Limits, held: Held | None, wrong: bool | None, *, at: dt.datetime
) -> Decision:
    """The same of what is right or wrong, whatever threshold the rule has."""
    value = None if wrong is None else float(wrong)
    return decide(replace(limits, threshold=0.0, clear_at=None), held, value, at=at)


# --- numbers ------------------------------------------------------------------------------------


def ratio(count: int, whole: int, *, at_least: float) -> float:
    """``count`` in percent of ``whole``; 0 where ``count`` is below ``at_least``.

    Of nothing it is as of one, so that many CLOSE_WAIT without any ESTABLISHED are seen.
    """
    if count < at_least or not count:
        return 0.0
    return 100.0 * count / max(whole, 1)


def rise(count: int, before: int | None, *, at_least: float) -> float | None:
    """By how many percent ``count`` is above what it was; 0 where it is lower, or below
    ``at_least``. None where nothing is known of before.

    ``before`` is the largest number of a window of the same length before the one looked at: a host
    that comes back from a restart, or a service from a pause, is where it was and has not risen.
    """
    if count < at_least:
        return 0.0
    if before is None:
        return None
    return max(0.0, 100.0 * (count - before) / max(before, 1))


# --- trouble with probes ------------------------------------------------------------------------

_LAYER_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            Code.NAME_NOT_FOUND,
            Code.UNREACHABLE,
            Code.CONNECTION_REFUSED,
            Code.TIMED_OUT,
            Code.NOT_SSH,
            Code.JUMP_FAILED,
        ),
        "unreachable",
    ),
    **dict.fromkeys(
        (Code.HOST_KEY_UNKNOWN, Code.HOST_KEY_CHANGED, Code.HOST_KEY_REFUSED), "key_changed"
    ),
    **dict.fromkeys(
        (
            Code.LOGIN_FAILED,
            Code.LOGIN_PAUSED,
            Code.CREDENTIAL_MISSING,
            Code.KEY_UNREADABLE,
            Code.SUDO_REFUSED,
        ),
        "login_failed",
    ),
    **dict.fromkeys(
        (
            Code.TRUNCATED,
            Code.OUTPUT_TOO_LARGE,
            Code.NOT_UNDERSTOOD,
            Code.COMMAND_FAILED,
            Code.NETSTAT_MISSING,
            Code.STILL_RUNNING,
            Code.UNSUPPORTED,
            Code.INTERNAL_ERROR,
        ),
        "incomplete",
    ),
}
_NOT_TRIED: Final = frozenset(
    {
        Code.LOGIN_PAUSED,
        Code.CREDENTIAL_MISSING,
        Code.KEY_UNREADABLE,
        Code.JUMP_FAILED,
        Code.INTERNAL_ERROR,
    }
)
"""Codes of probes that may not have come as far as the host itself: they prove nothing else."""


def layer_of(outcome: str, code: str) -> str | None:
    """Which of LAYERS a probe failed at; None where it was whole, or as good for this."""
    if outcome in ("ok", "limited", "late"):
        return None
    if code == Code.TIMED_OUT and outcome == "partial":
        return "incomplete"  # it had begun to answer
    return _LAYER_OF.get(code, "incomplete")


def troubles(outcome: str, code: str) -> dict[str, bool | None]:
    """By metric of LAYERS whether a probe shows it wrong (True), right (False) or neither (None).

    ``outcome`` and ``code`` are those of a snapshot. One that is late tells nothing at all.
    """
    if outcome == "late":
        return dict.fromkeys(LAYERS)
    failed = layer_of(outcome, code)
    if failed is None:
        return dict.fromkeys(LAYERS, False)
    place = LAYERS.index(failed)
    passed = None if code in _NOT_TRIED else False
    return {
        metric: passed if number < place else True if number == place else None
        for number, metric in enumerate(LAYERS)
    }
