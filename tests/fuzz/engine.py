"""The search itself: run an input, see what it reached, keep it if that is new.

Traces with ``sys.settrace``, which every Python has, so the suite needs nothing built for one
machine. Traced are the lines of ``probes.parsers`` alone and each step from one line to the next.
"""

from __future__ import annotations

import hashlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from probes import parsers
from probes.parsers import Parsed
from tests.fuzz import invariants
from tests.fuzz.mutations import Mutator, seeds, words

TRACED = str(Path(parsers.__file__).parent)
WORK_PER_CHAR = 400
WORK_ANYWAY = 100_000
"""Lines of the parsers run for an input: at most so many anyway and so many for each character.
A count, the same on any machine, so that a loop within a loop over a line is found."""
PATIENCE_CPU_S = 30.0
"""An input that takes longer has a pattern that goes back and forth over it."""
SHRINK_RUNS = 300

Step = tuple[int, int, int]


class _Hang(BaseException):
    """Raised in the middle of whatever takes too long."""


class Trace(AbstractContextManager["Trace"]):
    """Steps between lines of the traced files, and how many lines ran, while it is entered."""

    def __init__(self) -> None:
        self.steps: set[Step] = set()
        self.work = 0
        self._known: dict[CodeType, bool] = {}

    def __enter__(self) -> Trace:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        wanted = self._known.get(code)
        if wanted is None:
            wanted = self._known[code] = code.co_filename.startswith(TRACED)
        if not wanted:
            return None
        last = 0
        number = hash((code.co_filename, code.co_firstlineno))
        add = self.steps.add

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                self.work += 1
                add((number, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


@dataclass(frozen=True, slots=True)
class Failure:
    """An input of which something does not hold."""

    raw: bytes
    what: str
    place: str
    """Where it was raised, to tell one fault from another."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a search did."""

    runs: int
    kept: int
    steps: int
    failures: Sequence[Failure]


def run(raw: bytes, trace: Trace | None = None) -> Parsed | None:
    """One input, checked; AssertionError or whatever a parser raised."""
    if trace is None:
        return invariants.check(raw)
    with trace:
        parsed = invariants.check(raw)
    limit = WORK_ANYWAY + WORK_PER_CHAR * len(raw)
    assert trace.work <= limit, f"{trace.work} lines run for {len(raw)} bytes"
    return parsed


def failure_of(raw: bytes) -> Failure | None:
    """What is wrong with an input, if anything is."""
    return _run(raw, Trace())[1]


def search(*, seconds: float, seed: int, most_failures: int = 10) -> Account:
    """Look for ``seconds``. The same seed tries the same inputs in the same order."""
    source = random.Random(seed)
    corpus: list[bytes] = []
    reached: set[Any] = set()
    failures: dict[str, Failure] = {}
    first = seeds()
    source.shuffle(first)
    mutator = Mutator(source, words(first))
    until = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < until and len(failures) < most_failures:
        if runs < len(first):
            raw = first[runs]
        else:
            # Newer ones more often: they stand where nothing stood before.
            old = corpus or first
            parent = old[int(len(old) * source.random() ** 0.6)]
            raw = mutator.change(parent, source.choice(old))
        runs += 1
        seen, failure = _run(raw, Trace())
        if failure is not None:
            failures.setdefault(failure.place, failure)
        elif not seen <= reached:
            corpus.append(raw)
        reached |= seen
    smaller = [_smaller(failure) for failure in failures.values()]
    return Account(runs, len(corpus), len(reached), smaller)


def save(failure: Failure, folder: Path) -> Path:
    """Write the input; its name follows from its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(failure.raw).hexdigest()[:16]}.bin"
    path.write_bytes(failure.raw)
    return path


def _run(raw: bytes, trace: Trace) -> tuple[set[Any], Failure | None]:
    signal.signal(signal.SIGVTALRM, _hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_CPU_S)
    seen: set[Any] = set()
    try:
        parsed = run(raw, trace)
        if parsed is not None:
            shape = invariants.shape(parsed)
            seen |= {shape.dialect, *shape.rejected, *shape.rows, shape.found}
    except (Exception, _Hang) as error:
        return trace.steps | seen, _failure(raw, error)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return trace.steps | seen, None


def _hang(number: int, frame: FrameType | None) -> None:
    raise _Hang(f"over {PATIENCE_CPU_S:g} s of processor time")


def _failure(raw: bytes, error: BaseException) -> Failure:
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = "".join(traceback.format_exception(error))
    return Failure(raw, what, f"{type(error).__name__} {last.filename}:{last.lineno}")


def _smaller(failure: Failure) -> Failure:
    """The same fault from fewer lines, as far as a few hundred runs get."""
    lines = failure.raw.split(b"\n")
    size, runs = max(1, len(lines) // 2), 0
    while runs < SHRINK_RUNS and "_Hang" not in failure.place:
        at = 0
        while at < len(lines) and len(lines) > 1 and runs < SHRINK_RUNS:
            fewer = lines[:at] + lines[at + size :]
            again = failure_of(b"\n".join(fewer))
            runs += 1
            if again is not None and again.place == failure.place:
                lines, failure = fewer, again
            else:
                at += size
        if size == 1:
            break
        size //= 2
    return failure
