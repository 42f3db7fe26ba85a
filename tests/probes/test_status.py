"""What a host's status says, from the rows it is judged by."""

from __future__ import annotations

import datetime as dt

import pytest

from hosts.models import Host
from probes import status
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def judge(
    *,
    enabled: bool = True,
    paused: str = "",
    latest: Snapshot | None = None,
    interval_s: int = 60,
) -> status.Status:
    host = Host(name="alpha", enabled=enabled, interval_s=interval_s)
    schedule = Schedule(next_probe_at=NOW, paused_code=paused, failing_since=NOW)
    whole = latest if latest is not None and latest.outcome == Outcome.OK else None
    return status.of(host, schedule=schedule, latest=latest, latest_whole=whole, now=NOW)


def snapshot(outcome: Outcome, code: str = "", *, age_s: int = 10) -> Snapshot:
    return Snapshot(taken_at=NOW - dt.timedelta(seconds=age_s), outcome=outcome, code=code)


def test_a_fresh_whole_snapshot_is_up_to_date() -> None:
    assert judge(latest=snapshot(Outcome.OK)).level == status.Level.OK


def test_a_host_without_a_probe_waits() -> None:
    assert judge().level == status.Level.NEW


def test_a_disabled_host_is_off_whatever_its_last_probe_said() -> None:
    judged = judge(enabled=False, latest=snapshot(Outcome.FAILED, Code.TIMED_OUT))

    assert judged.level == status.Level.OFF


def test_a_failed_probe_says_what_to_do_next() -> None:
    judged = judge(latest=snapshot(Outcome.FAILED, Code.CONNECTION_REFUSED))

    assert judged.level == status.Level.BAD
    assert (judged.title, judged.hint) == EXPLANATIONS[Code.CONNECTION_REFUSED]
    assert judged.since == NOW


def test_a_paused_login_is_said_even_after_a_restart() -> None:
    assert judge(paused="login_failed").code == "login_failed"


@pytest.mark.parametrize(
    ("age_s", "interval_s", "stale"),
    [(100, 60, False), (200, 60, True), (100, 5, False), (130, 5, True), (2000, 900, False)],
)
def test_an_old_snapshot_is_stale(age_s: int, interval_s: int, stale: bool) -> None:
    judged = judge(latest=snapshot(Outcome.OK, age_s=age_s), interval_s=interval_s)

    assert (judged.code == "stale") is stale


def test_lines_that_were_not_understood_are_a_warning() -> None:
    latest = snapshot(Outcome.OK)
    latest.rejected = 1

    assert judge(latest=latest).code == "rejected"


def test_a_whole_snapshot_without_pids_is_a_warning_with_the_fix() -> None:
    judged = judge(latest=snapshot(Outcome.OK, Code.PERMISSION_LIMITED))

    assert judged.level == status.Level.WARN
    assert "sudo" in judged.hint


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_title_and_a_hint(code: Code) -> None:
    title, hint = EXPLANATIONS[code]

    assert title
    assert hint.endswith(".")
