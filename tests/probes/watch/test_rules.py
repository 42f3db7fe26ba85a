"""What raises and ends a rule, whatever numbers probes bring."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.observation import Code
from probes.watch import rules
from probes.watch.rules import Held, Limits, Override, Turn, decide, effective

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
NUMBERS = st.one_of(st.none(), st.integers(0, 300).map(float))
LIMITS = st.builds(
    lambda threshold, clear, probes: limits(threshold=threshold, clear_at=clear, probes=probes),
    st.integers(0, 200),
    st.one_of(st.none(), st.integers(0, 250)),
    st.integers(1, 5),
)


def limits(**fields: object) -> Limits:
    """A rule over ESTABLISHED above 100, two probes in a row."""
    base = Limits(
        rule_id=1, name="x", metric="state", state="ESTABLISHED", threshold=100.0, probes=2
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def played(rule: Limits, numbers: list[float | None]) -> list[tuple[Turn, Held | None]]:
    """What each of the numbers does, one a minute."""
    held: Held | None = None
    turns = []
    for minute, number in enumerate(numbers):
        decision = decide(rule, held, number, at=START + dt.timedelta(minutes=minute))
        held = decision.held
        turns.append((decision.turn, held))
    return turns


def turns_of(rule: Limits, *numbers: float | None) -> list[str]:
    return [turn.value for turn, _held in played(rule, list(numbers))]


def test_it_takes_so_many_probes_in_a_row() -> None:
    assert turns_of(limits(), 101, 100, 101, 101, 101) == [
        *("counted", "reset", "counted", "raised", "again"),
    ]


def test_the_threshold_itself_is_not_wrong_and_one_more_is() -> None:
    assert turns_of(limits(probes=1), 100, 101) == ["nothing", "raised"]


def test_it_is_over_at_nine_tenths_and_not_before() -> None:
    assert turns_of(limits(probes=1), 101, 99, 91, 90) == ["raised", "again", "again", "cleared"]


def test_it_is_over_at_its_own_number_where_it_has_one() -> None:
    assert turns_of(limits(probes=1, clear_at=40.0), 101, 50, 41, 40) == [
        *("raised", "again", "again", "cleared"),
    ]


def test_a_probe_that_tells_nothing_neither_counts_nor_resets() -> None:
    assert turns_of(limits(), 101, None, None, 101, None) == [
        *("counted", "nothing", "nothing", "raised", "nothing"),
    ]


def test_the_streak_remembers_when_it_began_and_the_newest_number() -> None:
    ((_first, _held), (_turn, raised), (_again, later)) = played(limits(), [150.0, 160.0, 95.0])
    assert raised == Held(2, True, 160.0, START)
    assert later == Held(2, True, 95.0, START)


@given(LIMITS, st.lists(NUMBERS, max_size=40))
def test_it_never_turns_without_crossing(rule: Limits, numbers: list[float | None]) -> None:
    raised = False
    for number, (turn, held) in zip(numbers, played(rule, numbers), strict=True):
        if turn is Turn.RAISED:
            assert not raised
            assert number is not None
            assert number > rule.threshold
        if turn is Turn.CLEARED:
            assert raised
            assert number is not None
            assert number <= rule.over_at <= rule.threshold
        if number is None or rule.over_at < number <= rule.threshold:
            assert turn not in (Turn.RAISED, Turn.CLEARED)
        raised = held is not None and held.raised
        assert raised == (turn in (Turn.RAISED, Turn.AGAIN)) or number is None


@given(LIMITS, st.lists(NUMBERS, max_size=30))
def test_it_is_raised_only_after_so_many_known_numbers_above(
    rule: Limits, numbers: list[float | None]
) -> None:
    known: list[float] = []
    for number, (turn, _held) in zip(numbers, played(rule, numbers), strict=True):
        if number is not None:
            known.append(number)
        if turn is Turn.RAISED:
            newest = known[-rule.needed :]
            assert len(newest) == rule.needed
            assert min(newest) > rule.threshold


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(1, 4),
)
def test_a_lower_threshold_is_raised_no_later(
    numbers: list[int], one: int, other: int, probes: int
) -> None:
    low, high = sorted((one, other))

    def first(threshold: int) -> int:
        rule = limits(threshold=float(threshold), probes=probes)
        turns = [turn for turn, _held in played(rule, [float(each) for each in numbers])]
        return turns.index(Turn.RAISED) if Turn.RAISED in turns else len(turns)

    assert first(low) <= first(high)


# --- what is other for a group or a host --------------------------------------------------------


def test_a_hosts_own_override_counts_before_those_of_its_groups() -> None:
    rule = effective(
        limits(), of_host=Override(threshold=500.0), of_groups=[Override(threshold=10.0, probes=7)]
    )
    assert (rule.threshold, rule.probes) == (500.0, 7)


def test_of_several_groups_the_strictest_counts() -> None:
    rule = effective(
        limits(enabled=False),
        of_groups=[
            Override(threshold=300.0, clear_at=20.0, severity="critical", enabled=False),
            Override(threshold=150.0, probes=1, enabled=True),
            Override(probes=9, severity="info"),
        ],
    )
    assert (rule.threshold, rule.over_at, rule.probes) == (150.0, 135.0, 1)
    assert (rule.severity, rule.enabled) == ("critical", True)


def test_a_threshold_without_an_end_of_its_own_is_over_at_nine_tenths_of_itself() -> None:
    rule = limits(threshold=100.0, clear_at=60.0)
    assert effective(rule, of_host=Override(threshold=1_000.0)).over_at == 900.0
    assert effective(rule, of_host=Override(clear_at=70.0)).over_at == 70.0


def test_an_end_above_the_threshold_is_the_threshold() -> None:
    assert limits(clear_at=1_000.0).over_at == 100.0


# --- ratios and rises ---------------------------------------------------------------------------


def test_a_share_of_nothing_is_large_and_of_few_is_none() -> None:
    assert rules.ratio(30, 60, at_least=20) == 50.0
    assert rules.ratio(19, 0, at_least=20) == 0.0
    assert rules.ratio(40, 0, at_least=20) == 4_000.0
    assert rules.ratio(0, 0, at_least=0) == 0.0


def test_a_rise_needs_a_past_and_enough_connections() -> None:
    assert rules.rise(300, 100, at_least=100) == 200.0
    assert rules.rise(300, None, at_least=100) is None
    assert rules.rise(99, None, at_least=100) == 0.0
    assert rules.rise(100, 300, at_least=0) == 0.0
    assert rules.rise(5, 0, at_least=0) == 500.0


# --- what a probe proves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [code for code in Code if code not in (Code.PERMISSION_LIMITED, Code.LATE)]
)
def test_every_failure_is_trouble_of_exactly_one_kind(code: Code) -> None:
    shown = rules.troubles("failed", code)
    assert [metric for metric, wrong in shown.items() if wrong] == [rules.layer_of("failed", code)]


def test_what_fails_at_one_layer_has_passed_those_before_it_and_tells_nothing_behind() -> None:
    assert rules.troubles("failed", Code.LOGIN_FAILED) == {
        "unreachable": False,
        "key_changed": False,
        "login_failed": True,
        "incomplete": None,
    }


def test_a_probe_that_never_went_out_proves_nothing_else() -> None:
    shown = rules.troubles("failed", Code.CREDENTIAL_MISSING)
    assert shown["unreachable"] is None
    assert shown["login_failed"] is True


def test_a_time_out_is_the_network_without_output_and_the_output_with_some() -> None:
    assert rules.layer_of("failed", Code.TIMED_OUT) == "unreachable"
    assert rules.layer_of("partial", Code.TIMED_OUT) == "incomplete"


def test_a_whole_probe_ends_all_trouble_and_a_late_one_none() -> None:
    assert set(rules.troubles("ok", "").values()) == {False}
    assert set(rules.troubles("limited", Code.PERMISSION_LIMITED).values()) == {False}
    assert set(rules.troubles("late", Code.LATE).values()) == {None}


def test_a_failed_login_counts_at_once() -> None:
    rule = limits(metric="login_failed", probes=5)
    assert rules.decide_trouble(rule, None, True, at=START).turn is Turn.RAISED


def test_a_host_that_does_not_answer_is_raised_after_its_probes_whatever_the_threshold() -> None:
    rule = limits(metric="unreachable", threshold=50.0, probes=2)
    first = rules.decide_trouble(rule, None, True, at=START)
    second = rules.decide_trouble(rule, first.held, True, at=START)
    unknown = rules.decide_trouble(rule, second.held, None, at=START)
    last = rules.decide_trouble(rule, unknown.held, False, at=START)
    assert [each.turn.value for each in (first, second, unknown, last)] == [
        *("counted", "raised", "nothing", "cleared"),
    ]
