"""Which lines two texts do not share, counted as often as they occur.

Place in the data's way: the first step of ``history.diff``. Pure: lines are strings, whatever
they mean. Kernels list sockets in the order of their hash tables, so that most lines stand where
they stood a minute ago: runs of equal text are passed over without even splitting them into
lines, and only what is left is looked up in sets. Lines that moved are found there, so no order
is relied on. Where a text changed all over, its lines are compared instead of its characters.
"""

from __future__ import annotations

from collections import Counter

_SHORT_RUN, _LONG_RUN = 16, 256
"""Lines compared at once: at first, and after long runs of the same."""

_WINDOW = 16
"""How far ahead both texts are searched for a line to go on with after a difference."""


_RUN_CHARS = 4096
"""Characters compared at once."""

_WINDOW_CHARS = 2048
_SPARSE_CHARS = 2048
"""Where lines that changed are closer than this on average, to split all is cheaper."""
_CHANGES = 64
"""So many lines have to be known as changed before their average distance counts."""


def lines_of(text: str) -> list[str]:
    """The lines of a text; what its last newline ends is the last of them."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def texts(old: str, new: str) -> tuple[list[str], list[str], int]:
    """What :func:`lines` gives for the lines of two texts."""
    return _net(*_left_over_of_texts(_ended(old), _ended(new)))


def lines(old: list[str], new: list[str]) -> tuple[list[str], list[str], int]:
    """The lines ``new`` has more often than ``old``, each as often as it has it more; those
    ``old`` has more often; and how many distinct lines ``old`` does not have at all, or less
    often, that is."""
    return _net(*_left_over(old, new))


def _net(gone: list[str], unseen: list[str]) -> tuple[list[str], list[str], int]:
    gone_set, unseen_set = set(gone), set(unseen)
    if len(gone_set) == len(gone) and len(unseen_set) == len(unseen):
        more, fewer = list(unseen_set - gone_set), list(gone_set - unseen_set)
        return more, fewer, len(more)
    gone_times, unseen_times = Counter(gone), Counter(unseen)
    net_more, net_fewer = unseen_times - gone_times, gone_times - unseen_times
    return list(net_more.elements()), list(net_fewer.elements()), len(net_more)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _left_over_of_texts(old: str, new: str) -> tuple[list[str], list[str]]:
    """What ``_left_over`` finds in the lines of two texts that end with a newline or are empty."""
    gone: list[str] = []
    unseen: list[str] = []
    i = j = 0
    while True:
        same = _same_chars(old, i, new, j)
        i += same
        j += same
        changes = len(gone) + len(unseen)
        if changes > _CHANGES and changes * _SPARSE_CHARS > i + j:
            break
        here, there = _next_lines(old, i), _next_lines(new, j)
        if not here or not there:
            break
        skip_old, skip_new = _resume(here, there)
        gone += here[:skip_old]
        unseen += there[:skip_new]
        i += skip_old + sum(map(len, here[:skip_old]))
        j += skip_new + sum(map(len, there[:skip_new]))
    rest_gone, rest_unseen = _left_over(lines_of(old[i:]), lines_of(new[j:]))
    return gone + rest_gone, unseen + rest_unseen


def _next_lines(text: str, at: int) -> list[str]:
    """The lines that begin at ``at``, as many as a window holds: none at the end of the text, and
    where the first is very long."""
    return text[at : at + _WINDOW_CHARS].split("\n", _WINDOW)[:-1]


def _same_chars(old: str, i: int, new: str, j: int) -> int:
    """The characters of the lines from here on that are the same in both."""
    start = j
    while (run := new[j : j + _RUN_CHARS]) and old.startswith(run, i):
        i += len(run)
        j += len(run)
    same, differs = 0, len(run)
    while differs - same > 1:
        middle = (same + differs) // 2
        if old.startswith(run[same:middle], i + same):
            same = middle
        else:
            differs = middle
    return max(new.rfind("\n", start, j + same) + 1 - start, 0)


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
