"""Few requests of a web process compute at once, and whoever waits for something else is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from netadmin import gate

PATIENCE_S = 30.0


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4 * gate.MOST) as threads:
        yield threads


def call(application: gate.Application) -> list[bytes]:
    return list(application({}, lambda *_arguments: None))


def test_no_more_compute_at_once_than_may(crowd: ThreadPoolExecutor) -> None:
    counting = threading.Lock()
    full = threading.Barrier(gate.MOST)
    there, most = 0, 0

    def application(_environ: dict[str, Any], _start: Callable[..., Any]) -> Iterable[bytes]:
        nonlocal there, most
        with counting:
            there += 1
            most = max(most, there)
        full.wait(PATIENCE_S)  # all places are taken, each time
        with counting:
            there -= 1
        return [b"done"]

    guarded = gate.guarded(application)
    answers = [crowd.submit(call, guarded) for _each in range(4 * gate.MOST)]
    assert [answer.result(PATIENCE_S) for answer in answers] == [[b"done"]] * 4 * gate.MOST
    assert most == gate.MOST


def test_whoever_waits_outside_keeps_nobody_from_computing(crowd: ThreadPoolExecutor) -> None:
    answered = threading.Event()

    def waiting(_environ: dict[str, Any], _start: Callable[..., Any]) -> Iterable[bytes]:
        with gate.outside():
            assert answered.wait(PATIENCE_S)
        return [b"waited"]

    waiters = [crowd.submit(call, gate.guarded(waiting)) for _each in range(2 * gate.MOST)]
    assert crowd.submit(call, gate.guarded(lambda *_call: [b"page"])).result(PATIENCE_S)
    answered.set()
    assert all(waiter.result(PATIENCE_S) == [b"waited"] for waiter in waiters)


def test_a_request_that_fails_gives_its_place_back() -> None:
    def failing(_environ: dict[str, Any], _start: Callable[..., Any]) -> Iterable[bytes]:
        with gate.outside():
            raise ValueError("broken")

    for _turn in range(2 * gate.MOST):
        with pytest.raises(ValueError, match="broken"):
            call(gate.guarded(failing))
    assert call(gate.guarded(lambda *_call: [b"page"])) == [b"page"]


def test_a_command_has_no_place_to_give_back() -> None:
    with gate.outside():
        assert not getattr(gate._mine, "place", False)
