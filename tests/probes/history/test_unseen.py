"""Lines two texts do not share, against plain counting."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bench.netstat_text import churn, generate
from probes.history import unseen

LINES = st.lists(st.sampled_from("abcdefgh") | st.text(max_size=2), max_size=80)


def check(old: list[str], new: list[str]) -> None:
    more, fewer, distinct = unseen.lines(old, new)
    assert Counter(more) == Counter(new) - Counter(old)
    assert Counter(fewer) == Counter(old) - Counter(new)
    assert distinct == len(Counter(new) - Counter(old))
    check_texts("\n".join(old), "\n".join(new))


def check_texts(old: str, new: str) -> None:
    before, now = Counter(unseen.lines_of(old)), Counter(unseen.lines_of(new))
    more, fewer, distinct = unseen.texts(old, new)
    assert Counter(more) == now - before
    assert Counter(fewer) == before - now
    assert distinct == len(now - before)


@given(LINES, LINES)
def test_any_two_lists_give_what_counting_gives(old: list[str], new: list[str]) -> None:
    check(old, new)


@given(LINES, st.randoms(use_true_random=False))
def test_lines_that_only_moved_are_no_difference(old: list[str], chance: random.Random) -> None:
    new = old[:]
    chance.shuffle(new)
    assert unseen.lines(old, new) == ([], [], 0)


@given(
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40), st.integers(0, 40)), max_size=6),
)
def test_lines_put_in_and_taken_out_anywhere_are_found(
    length: int, edits: list[tuple[int, int, int]]
) -> None:
    old = [f"line {number}" for number in range(length)]
    new = old[:]
    for at, taken, put in edits:
        new[at : at + taken] = [f"new {at} {number}" for number in range(put)]
    check(old, new)


@given(st.text("ab\n", max_size=60), st.text("ab\n", max_size=60))
def test_texts_that_end_anywhere_give_what_their_lines_give(old: str, new: str) -> None:
    check_texts(old, new)


def test_lines_longer_than_any_window_are_compared_as_well() -> None:
    long = ["x" * 9000, "y" * 9000, "é" * 5000, "z"]
    check(long, [*long[1:], long[0] + "!"])
    check(["a", *long], ["b", *long, "c"])


def test_large_tables_of_much_and_of_little_churn_are_counted_right() -> None:
    text = generate(6000, 3)
    for share in (0.001, 0.02, 0.3, 1.0):
        later = churn(text, share, 1)
        check(text.split("\n"), later.split("\n"))
        check_texts(text, later)
