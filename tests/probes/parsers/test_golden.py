"""Whole outputs against reviewed results: tests/fixtures/linux/<command>--<case>.out and .json.

Pairs are found by name, so a new case needs no code: add the .out and a .json with its ``origin``
and ``wide``, run with ``REGEN=1``, and review what was written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from probes import parsers

FOLDER = Path(__file__).parents[2] / "fixtures" / "linux"
CASES = sorted(path.stem for path in FOLDER.glob("*--*.out"))


def read(case: str, *, wide: bool) -> dict[str, Any]:
    parsed = parsers.parse(parsers.decode((FOLDER / f"{case}.out").read_bytes()), wide=wide)
    return {
        "dialect": parsed.dialect,
        "lines": parsed.lines,
        "header_lines": parsed.header_lines,
        "blank_lines": parsed.blank_lines,
        "rejected": [list(line) for line in parsed.rejected],
        "sockets": [list(socket) for socket in parsed.sockets],
    }


def as_json(result: dict[str, Any]) -> str:
    """JSON with one line for each socket and rejected line, so that a diff shows which changed."""
    lines = []
    for key, value in result.items():
        if isinstance(value, list) and value:
            rows = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in value)
            lines.append(f'  "{key}": [\n{rows}\n  ]')
        else:
            lines.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def test_there_are_cases_of_every_dialect() -> None:
    assert {case.partition("--")[0] for case in CASES} >= {"netstat", "ss"}


@pytest.mark.parametrize("case", CASES)
def test_a_whole_output_gives_the_reviewed_result(case: str) -> None:
    path = FOLDER / f"{case}.json"
    expected = json.loads(path.read_text(encoding="utf-8"))
    result = read(case, wide=expected["wide"])
    if os.environ.get("REGEN"):
        about = {"origin": expected["origin"], "wide": expected["wide"]}
        path.write_text(as_json(about | result), encoding="utf-8")
    else:
        assert result == {key: expected[key] for key in expected if key not in ("origin", "wide")}


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_an_output_is_accounted_for(case: str) -> None:
    raw = (FOLDER / f"{case}.out").read_bytes()
    result = parsers.parse(parsers.decode(raw))
    assert result.lines == len(raw.splitlines()) or b"\x1b" in raw
    assert result.lines == (
        len(result.sockets) + len(result.rejected) + result.header_lines + result.blank_lines
    )


@pytest.mark.parametrize("case", CASES)
def test_a_line_alone_gives_what_it_gives_within_its_text(case: str) -> None:
    text = parsers.decode((FOLDER / f"{case}.out").read_bytes())
    whole = parsers.parse(text)
    lines = text.removesuffix("\n").split("\n")
    alone = [parsers.parse_lines([line], whole.dialect) for line in reversed(lines)]
    assert [socket for line in reversed(alone) for socket in line.sockets] == whole.sockets
    assert sum(line.header_lines for line in alone) == whole.header_lines
    assert [reason for line in reversed(alone) for _, reason in line.rejected] == [
        rejected.reason for rejected in whole.rejected
    ]
