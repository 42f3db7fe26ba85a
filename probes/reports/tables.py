"""What the report is laid out as: chapters of tables whose cells hold values.

Place in the data's way: between the chapters (``glance``, ``peers``, ``ports``, ``network``,
``measured``) and whatever writes them down. A cell holds the value itself (None where unknown); how
it reads follows from its column's kind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext as _

from hosts.models import Host

STATES: Final = ("ESTABLISHED", "SYN_RECV", "TIME_WAIT", "CLOSE_WAIT")
"""States that have a column of their own where rows are broken down; the others are summed up."""
THIN_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
LISTED_HOSTS: Final = 200
"""Rows of a page's tables that have one for each host; CSV and JSON have all of them."""


class Word(NamedTuple):
    """A value that is one of a few: the same code in CSV and JSON whatever the language."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in CSV and JSON, its heading, and what its values are."""

    key: str
    label: str
    kind: str = "text"
    """text, state, number, id (a number that is a name, such as a PID), rate (per second), bytes
    (per second), time, host, address, and those that lead somewhere: ip, port, program."""

    @property
    def numeric(self) -> bool:
        """Whether its values stand to the right."""
        return self.kind in ("number", "id", "rate", "bytes", "port")


@dataclass(frozen=True, slots=True)
class Table:
    """One section of the report."""

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    about: str = ""
    """What is counted, or what to make of it."""
    empty: str = ""
    """What to say where there is no row."""
    each_host: bool = False
    """A row for every host: long where there are many."""

    @property
    def width(self) -> int:
        """How much of a page it needs, in thirds."""
        if self.key in ("checks", "scopes"):
            return 2
        return 1 if len(self.columns) <= 4 else 2 if len(self.columns) <= 6 else 3


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sections that belong together; printed, each begins a page."""

    key: str
    title: str
    tables: Sequence[Table]


def state_columns() -> list[Column]:
    """The columns of STATES."""
    return [Column(state.lower(), state, "number") for state in STATES]


def by_state(counts: dict[str, int]) -> list[int]:
    """Their cells."""
    return [counts.get(state, 0) for state in STATES]


def word(code: str, msgid: str) -> Word:
    """A word by its English msgid, in the language that is active."""
    return Word(code, _(msgid))


def plain(value: Any) -> Any:
    """A cell's value for CSV and JSON: a host by its name, a word by its code, a rate rounded."""
    if isinstance(value, Word):
        return value.code
    if isinstance(value, Host):
        return value.name
    return round(value, 3) if isinstance(value, float) else value


def in_words(kind: str, value: Any, *, time: Callable[[dt.datetime], str]) -> str:
    """A cell as people read it; ``time`` writes times. Unknown is a dash."""
    if value is None or value == "":
        return "—"
    if isinstance(value, Word):
        return value.text
    if isinstance(value, dt.datetime):
        return time(value)
    if kind == "bytes":
        return _scaled(value)
    if kind == "rate":
        return f"{value:.1f}" if value < 100 else f"{value:,.0f}".replace(",", THIN_SPACE)
    if kind == "number" and isinstance(value, int):
        return f"{value:,}".replace(",", THIN_SPACE)
    return str(plain(value))


def _scaled(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes everything")
