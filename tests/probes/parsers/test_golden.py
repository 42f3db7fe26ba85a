"""Whole outputs against reviewed results: tests/fixtures/<os>/<command>--<case>.out and .json.

Pairs are found by name, so a new case needs no code: add the .out and a .json with its ``origin``
(captured, and with what; or written, and from which document) and ``wide``, run with ``REGEN=1``,
and review what was written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from probes import parsers
from probes.parsers.document import document
from probes.parsers.encoding import decode

FOLDER = Path(__file__).parents[2] / "fixtures"
CASES = sorted(str(path.relative_to(FOLDER))[:-4] for path in FOLDER.glob("*/*--*.out"))
ABOUT = ("origin", "wide")


def out(case: str) -> str:
    return decode((FOLDER / f"{case}.out").read_bytes())


def golden(case: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))
    return expected


def bare(value: Any) -> Any:
    """A document without what is not known of its rows: short enough to review."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items()}
    if isinstance(value, list):
        return [
            {key: part for key, part in row.items() if part not in (None, [], {})}
            if isinstance(row, dict)
            else row
            for row in value
        ]
    return value


def as_json(result: dict[str, Any], indent: str = "") -> str:
    """JSON with one line for each row, so that a diff shows which changed."""
    lines = []
    for key, value in result.items():
        start = f'{indent}  "{key}": '
        if isinstance(value, list) and value:
            rows = (f"{indent}    {json.dumps(row, ensure_ascii=False)}" for row in value)
            joined = ",\n".join(rows)
            lines.append(f"{start}[\n{joined}\n{indent}  ]")
        elif isinstance(value, dict) and key in ("tables", "protocols") and value:
            lines.append(f"{start}{as_json(value, indent + '  ')}")
        else:
            lines.append(f"{start}{json.dumps(value, ensure_ascii=False)}")
    joined = ",\n".join(lines)
    return f"{{\n{joined}\n{indent}}}"


def test_there_are_cases_of_every_system() -> None:
    assert {case.partition("/")[0] for case in CASES} == {
        "linux", "windows", "macos", "freebsd", "openbsd", "netbsd",
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_whole_output_gives_the_reviewed_result(case: str) -> None:
    expected = golden(case)
    result = bare(document(parsers.parse(out(case), wide=expected["wide"])))
    if os.environ.get("REGEN"):
        about = {name: expected[name] for name in ABOUT}
        (FOLDER / f"{case}.json").write_text(as_json(about | result) + "\n", encoding="utf-8")
    else:
        assert json.loads(json.dumps(result)) == {
            key: expected[key] for key in expected if key not in ABOUT
        }


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_where_an_output_is_from(case: str) -> None:
    assert golden(case)["origin"].startswith(("captured on ", "written ", "layout of "))


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_an_output_is_accounted_for(case: str) -> None:
    text = out(case)
    parsed = parsers.parse(text)
    assert parsed.lines == len(text.removesuffix("\n").split("\n"))
    assert parsed.lines == (
        parsed.row_lines + parsed.header_lines + parsed.blank_lines + len(parsed.rejected)
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if parsers.identify(out(case)) in parsers.LINEWISE]
)
def test_a_line_alone_gives_what_it_gives_within_its_text(case: str) -> None:
    text = out(case)
    whole = parsers.parse_sockets(text)
    lines = text.removesuffix("\n").split("\n")
    alone = [parsers.parse_lines([line], whole.dialect) for line in reversed(lines)]
    assert [socket for line in reversed(alone) for socket in line.sockets] == whole.sockets
    assert sum(line.header_lines for line in alone) == whole.header_lines
    assert [reason for line in reversed(alone) for _, reason in line.rejected] == [
        rejected.reason for rejected in whole.rejected
    ]
