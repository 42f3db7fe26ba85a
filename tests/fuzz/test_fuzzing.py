"""Ten seconds of the search in every run of the suite, and that it finds what there is to find."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probes import parsers
from probes.parsers import ss_details
from tests.fuzz import engine, invariants
from tests.fuzz.mutations import HOSTILE, Mutator, seeds, words

ROOT = Path(__file__).parents[2]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: what traces the parsers would stop pytest-cov from doing so."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_ten_seconds_find_nothing_that_does_not_hold(tmp_path: Path) -> None:
    # The same inputs each time: new ones are looked for by hand, for longer.
    found = fuzz("--seconds", "10", "--seed", "3", "--keep", str(tmp_path))
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.match(r"seed [0-9]+, 10 s\n[0-9]+ inputs, [0-9]+ kept, [0-9]+ steps", found.stdout)


def test_a_saved_input_can_be_run_again(tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(b"Active Internet connections (servers and established)\nrubbish\n")
    found = fuzz(str(path))
    assert (found.returncode, found.stdout) == (0, f"{path}: all holds\n")


def test_every_fixture_keeps_the_rules() -> None:
    for raw in seeds():
        invariants.check(raw)


def test_the_same_seed_makes_the_same_inputs() -> None:
    first = seeds()

    def some(seed: int) -> list[bytes]:
        source = random.Random(seed)
        mutator = Mutator(source, words(first))
        return [mutator.change(source.choice(first), source.choice(first)) for _ in range(50)]

    assert some(1) == some(1)
    assert some(1) != some(2)
    assert len(set(some(1))) > 40


def test_words_of_the_fixtures_and_hostile_ones_are_tried() -> None:
    known = words(seeds())
    assert {b"LISTEN", b"ESTAB", b"near0", *HOSTILE} <= set(known)


def test_a_fault_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def careless(text: str) -> bool:
        if text.startswith("timer:"):
            raise IndexError("as if someone had trusted the column")
        return True

    monkeypatch.setattr(ss_details, "are_details", careless)
    account = engine.search(seconds=60, seed=5, most_failures=1)
    (failure,) = account.failures
    assert "IndexError" in failure.what
    assert failure.raw.count(b"\n") <= 2
    path = engine.save(failure, tmp_path)
    again = engine.failure_of(path.read_bytes())
    assert again is not None
    assert again.place == failure.place


def test_an_input_that_takes_too_long_is_stopped_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forever(text: str) -> None:
        while True:
            pass

    monkeypatch.setattr(engine, "PATIENCE_CPU_S", 0.05)
    monkeypatch.setattr(invariants, "check_text", forever)
    failure = engine.failure_of(b"tcp")
    assert failure is not None
    assert "processor time" in failure.what


def test_work_that_grows_faster_than_the_input_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WORK_ANYWAY", 10)
    monkeypatch.setattr(engine, "WORK_PER_CHAR", 0)
    failure = engine.failure_of(seeds()[0])
    assert failure is not None
    assert "lines run for" in failure.what


def test_a_trace_sees_the_parsers_and_nothing_else() -> None:
    before = sys.gettrace()
    with engine.Trace() as trace:
        parsers.parse("Active Internet connections (servers and established)\n")
    assert sys.gettrace() is before
    assert trace.work > 20
    assert len(trace.steps) > 20
    with engine.Trace() as nothing:
        sorted([3, 2, 1], key=lambda number: -number)
    assert not nothing.steps
