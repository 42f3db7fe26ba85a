"""Which lines two texts do not share, counted as often as they occur.

Place in the data's way: the first step of ``history.diff``. Pure: lines are strings, whatever
they mean. Kernels list sockets in the order of their hash tables, so that most lines stand where
they stood a minute ago: runs of equal lines are passed over by comparing whole slices, and only
what is left is looked up in sets. Lines that moved are found there, so no order is relied on.
"""

from __future__ import annotations

from collections import Counter

_SHORT_RUN, _LONG_RUN = 16, 256
"""Lines compared at once: at first, and after long runs of the same."""

_WINDOW = 16
"""How far ahead both texts are searched for a line to go on with after a difference."""


def lines(old: list[str], new: list[str]) -> tuple[list[str], list[str], int]:
    """The lines ``new`` has more often than ``old``, each as often as it has it more; those
    ``old`` has more often; and how many distinct lines ``old`` does not have at all, or less
    often, that is."""
    gone, unseen = _left_over(old, new)
    gone_set, unseen_set = set(gone), set(unseen)
    if len(gone_set) == len(gone) and len(unseen_set) == len(unseen):
        more, fewer = list(unseen_set - gone_set), list(gone_set - unseen_set)
        return more, fewer, len(more)
    gone_times, unseen_times = Counter(gone), Counter(unseen)
    net_more, net_fewer = unseen_times - gone_times, gone_times - unseen_times
    return list(net_more.elements()), list(net_fewer.elements()), len(net_more)


def _left_over(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """What remains of both lists once lines that are equal, in order, are taken out in pairs."""
    gone: list[str] = []
    unseen: list[str] = []
    i = j = 0
    old_end, new_end = len(old), len(new)
    while i < old_end and j < new_end:
        same = _same(old, i, new, j)
        i += same
        j += same
        if i == old_end or j == new_end:
            break
        skip_old, skip_new = _resume(old[i : i + _WINDOW], new[j : j + _WINDOW])
        gone += old[i : i + skip_old]
        unseen += new[j : j + skip_new]
        i += skip_old
        j += skip_new
    return gone + old[i:], unseen + new[j:]


def _same(old: list[str], i: int, new: list[str], j: int) -> int:
    """How many lines from here on are the same in both."""
    start, step = i, _SHORT_RUN
    while (some := old[i : i + step]) == new[j : j + step]:
        taken = len(some)
        i += taken
        j += taken
        if taken < step:
            return i - start
        step = min(2 * step, _LONG_RUN)
    for one, other in zip(old[i : i + step], new[j : j + step], strict=False):
        if one != other:
            break
        i += 1
    return i - start


def _resume(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines of each to pass over so that both go on with the same line; all of both
    where no line of one is in the other."""
    here, there = old[0], new[0]
    after_old, after_new = old[1:2], new[1:2]
    if after_new and after_new[0] == here:
        return 0, 1
    if after_old and after_old[0] == there:
        return 1, 0
    if after_old and after_old == after_new:
        return 1, 1
    places = dict(zip(reversed(new), range(len(new) - 1, -1, -1), strict=True))
    for skip, line in enumerate(old):
        if line in places:
            return skip, places[line]
    return len(old), len(new)
