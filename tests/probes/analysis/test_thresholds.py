"""Counts against the numbers that usual scripts warn at."""

from __future__ import annotations

from probes.analysis import thresholds


def test_a_count_exceeds_a_threshold_only_above_it() -> None:
    found = thresholds.check("ip", 50, [("a", 50), ("b", 51), ("c", 90), ("d", 3)])

    assert (found.most, found.where, found.exceeded) == (90, "c", 2)


def test_nothing_counted_exceeds_nothing() -> None:
    found = thresholds.check("ip", 50, [("a", 0)])

    assert (found.most, found.where, found.exceeded) == (0, None, 0)


def test_states_are_judged_host_by_host() -> None:
    found = thresholds.by_state({"web": {"TIME_WAIT": 900}, "db": {"TIME_WAIT": 1001}})

    by_what = {check.what: check for check in found}
    assert by_what.keys() == thresholds.BY_STATE.keys()
    assert (by_what["TIME_WAIT"].where, by_what["TIME_WAIT"].exceeded) == ("db", 1)
    assert by_what["CLOSE_WAIT"].exceeded == 0
