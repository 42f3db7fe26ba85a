"""Tables, JSON and CSV in a terminal or a pipe: what all commands of operators print with.

Place in the data's way: last step of the commands, after the JSON of the API. Knows no model, no
query and no request. In a terminal tables are drawn by rich, as wide as it is; in a pipe they are
plain text, whole, one row a line, so that ``grep`` and ``awk`` find what they look for.

What a host printed reaches a terminal only as characters that print: no escape code, no change of
direction, no markup. Python's own words for a character that does not are kept (``\\x1b``).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Protocol

from probes.parsers.lines import printed_width, visible

Row = Mapping[str, Any]

UNKNOWN: Final = "-"
"""Stands in a table for what is not known or not there; JSON has null, CSV nothing."""
MAX_CELL_CHARS: Final = 100
"""Of one cell of a table, so that one long name does not push all columns apart."""
_GAP: Final = "  "
_DUMB: Final = ("dumb", "unknown")
"""What TERM says of terminals that cannot draw."""
_ROWS_AT_ONCE: Final = 500
_TOKENS_AT_ONCE: Final = 10_000

_SUSPECT: Final = re.compile(r"[^\n -~]")
"""Not ASCII that prints: each is looked at. Inside a JSON string it may be written as an escape."""

STATES: Final = {
    "LISTEN": "cyan",
    "ESTABLISHED": "green",
    "CLOSE_WAIT": "yellow",
    "SYN_SENT": "magenta",
    "SYN_RECV": "magenta",
    "TIME_WAIT": "bright_black",
}
KINDS: Final = {"opened": "green", "closed": "red", "changed": "yellow"}


class Stream(Protocol):
    """What is written to: Django's wrapper of standard output or standard error."""

    def write(self, msg: str, style_func: Any = None, ending: str | None = None) -> None: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table for people."""

    title: str
    text: Callable[[Row], Any]
    """What a cell says of a row; None and "" are shown as :data:`UNKNOWN`."""
    number: bool = False
    """Set to the right."""
    least: int = 0
    """Left out of a terminal that is too narrow for all, the highest first; 0 never is."""
    colours: Mapping[str, str] | None = None
    """Colour by the cell's text."""


def named(title: str, name: str, **more: Any) -> Column:
    """A column of one field; a list is its parts, an object with a name is the name."""
    return Column(title, lambda row: said(row[name]), **more)


def said(value: Any) -> Any:
    """A value of the JSON in few words."""
    if isinstance(value, Mapping):
        if "name" in value:
            return value["name"]
        return " ".join(f"{key} {number}" for key, number in value.items())
    if isinstance(value, list):
        return ", ".join(str(said(each)) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def endpoint(ip: str | None, port: int | None) -> str:
    """``10.0.0.1:22``, ``[::1]:22``; what is unknown or any is a star."""
    shown = ip or "*"
    return f"[{shown}]:{port or '*'}" if ":" in shown else f"{shown}:{port or '*'}"


def clock(when: str | None) -> str | None:
    """A time of the JSON to the second, in UTC."""
    return None if when is None else f"{when[:10]} {when[11:19]}Z"


def span(oldest: str | None, newest: str | None) -> str:
    """``at TIME``, or ``at TIME to TIME`` where they differ."""
    first, last = clock(oldest), clock(newest)
    return f"at {last}" if first == last else f"at {first} to {last}"


def counted(number: int, thing: str) -> str:
    """``1 host``, ``2 hosts``"""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class Console:
    """Writes to standard output until nobody reads it any more, and tells about it beside."""

    def __init__(
        self,
        out: Stream,
        told: Stream,
        *,
        colour: bool | None = None,
        quiet: bool = False,
    ) -> None:
        self._out = out
        self._told = told
        self._quiet = quiet
        self._gone = False
        terminal = out.isatty() and os.environ.get("TERM") not in _DUMB
        self.draws = terminal if colour is None else (colour or terminal)
        """Whether tables are drawn for a person at a terminal."""
        self._colour = (
            not os.environ.get("NO_COLOR") and self.draws if colour is None else bool(colour)
        )
        _be_patient_with(sys.stdout, of=out)
        _be_patient_with(sys.stderr, of=told)

    def tell(self, text: str) -> None:
        """A sentence beside the output, on standard error."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A sentence that is told however quiet it should be."""
        self._told.write(visible(text), style_func=str)  # Django's own style for it is an error's

    def put(self, pieces: Iterable[str]) -> None:
        """Write ``pieces``; whoever reads them may stop when it has enough."""
        if self._gone:
            return
        try:
            for piece in pieces:
                self._out.write(piece, ending="")
            self._out.flush()
        except BrokenPipeError:
            self._gone = True
            # What Python would write at its end goes nowhere, so that it does not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """A table of what ``rows`` have; nothing where there is none."""
        if not rows:
            return
        cells = [[_cell(column, row) for column in columns] for row in rows]
        if self.draws:
            text, left_out = self._drawn(columns, cells)
            self.put([text])
            if left_out:
                self.tell(f"Too narrow for: {', '.join(left_out)}.")
        else:
            self.put(_aligned(columns, cells))

    def json(self, value: Any) -> None:
        """A value as indented JSON that is inert in a terminal, some of it at a time."""
        encoder = json.JSONEncoder(ensure_ascii=not _speaks_unicode(), indent=2)
        tokens = encoder.iterencode(value)
        pieces = iter(lambda: "".join(islice(tokens, _TOKENS_AT_ONCE)), "")
        self.put(chain((_SUSPECT.sub(_inert, piece) for piece in pieces), "\n"))

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[str], None]]:
        """Say on standard error that ``total`` things are done, and in a terminal how far it is.

        Gives what is called after each of them, with a remark for the line.
        """
        if self._quiet or not self._told.isatty() or os.environ.get("TERM") in _DUMB:
            self.tell(f"{what} ...")
            yield lambda _remark: None
            return
        from rich import progress
        from rich.console import Console as Drawer

        drawer = Drawer(stderr=True, no_color=not self._colour, highlight=False)
        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
        )
        with progress.Progress(*columns, console=drawer, transient=True) as bar:
            task = bar.add_task(visible(what), total=total)

            def advance(remark: str) -> None:
                said = ", ".join(filter(None, (what, remark)))
                bar.update(task, advance=1, description=visible(said))

            yield advance

    def _drawn(self, columns: Sequence[Column], cells: list[list[str]]) -> tuple[str, list[str]]:
        # Imported where something is drawn: a pipe never waits for it.
        from rich import box
        from rich.console import Console as Drawer
        from rich.table import Table
        from rich.text import Text

        kept, width = _fitting(columns, cells, shutil.get_terminal_size().columns)
        plain = _speaks_unicode()
        drawn = Table(
            box=box.SIMPLE_HEAD if plain else None,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1 if plain else 2, 0, 0),
            header_style="bold",
        )
        for place in kept:
            drawn.add_column(
                Text(columns[place].title),
                justify="right" if columns[place].number else "left",
                no_wrap=True,
            )
        for row in cells:
            drawn.add_row(*(_coloured(columns[place], row[place]) for place in kept))
        drawer = Drawer(
            width=width + len(_GAP),
            force_terminal=True,
            force_interactive=False,
            color_system="standard" if self._colour else None,
            no_color=not self._colour,
            legacy_windows=False,
        )
        with drawer.capture() as capture:
            drawer.print(drawn, highlight=False, markup=False)
        left_out = [
            column.title
            for place, column in enumerate(columns)
            if place not in kept and any(row[place] != UNKNOWN for row in cells)
        ]
        return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()), left_out


def _cell(column: Column, row: Row) -> str:
    value = column.text(row)
    text = UNKNOWN if value is None or value == "" else visible(str(value))
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}{_ellipsis()}"


def _coloured(column: Column, text: str) -> Any:
    from rich.text import Text

    style = (column.colours or {}).get(text, "")
    return Text(text, style="bright_black" if text == UNKNOWN else style)


def _fitting(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int
) -> tuple[list[int], int]:
    """Places of the columns that fit into ``width``, and the width they take.

    What must stay stays, however wide: a terminal that is narrower wraps the lines itself, and an
    address that is copied out of it is whole.
    """
    wide = _widths(columns, cells)
    # What is known of no row is no loss either.
    kept = [
        place
        for place, column in enumerate(columns)
        if not column.least or any(row[place] != UNKNOWN for row in cells)
    ]
    while True:
        taken = sum(wide[place] + len(_GAP) for place in kept) - len(_GAP)
        droppable = [place for place in kept if columns[place].least]
        if taken <= width or not droppable:
            return kept, taken
        kept.remove(max(droppable, key=lambda place: (columns[place].least, place)))


def _aligned(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table as plain lines, some hundred at a time."""
    wide = _widths(columns, cells)
    lines: list[str] = []
    for row in ([column.title for column in columns], *cells):
        parts = []
        for text, width, column in zip(row, wide, columns, strict=True):
            gap = " " * (width - printed_width(text))
            parts.append(gap + text if column.number else text + gap)
        lines.append(_GAP.join(parts).rstrip() + "\n")
        if len(lines) == _ROWS_AT_ONCE:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    wide = [printed_width(column.title) for column in columns]
    for row in cells:
        for place, text in enumerate(row):
            if (width := printed_width(text)) > wide[place]:
                wide[place] = width
    return wide


def _inert(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def _ellipsis() -> str:
    return "…" if _speaks_unicode() else "~"


def _be_patient_with(stream: Any, *, of: Any) -> None:
    """A character that the terminal's encoding lacks is written out and no reason to fail."""
    its_own: Any = getattr(of, "_out", None)
    if its_own is stream and isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace", newline="")
