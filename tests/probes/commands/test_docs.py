"""docs/commands.md is true: what it shows is what the commands print, and what it names exists.

``REGEN=1`` writes what they print into it; the change is then reviewed.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import load_command_class

from probes.management.asking import HELP
from tests.probes.commands.fleet import Fleet, options_of, run

PAGE = Path(__file__).resolve().parents[3] / "docs" / "commands.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = ("connections", "diff", "hunt", "ports", "probe", "top")
STEP = "    $ "
CALLED = re.compile(rf"manage\.py ((?:{'|'.join(COMMANDS)})(?: [^|;&>\n]*)?)")


def played(text: str) -> str:
    """The page with every ``$`` step followed by what it prints."""
    lines: list[str] = []
    status, behind_a_step = 0, False
    for line in text.split("\n"):
        if line.startswith(STEP):
            behind_a_step = True
            lines.append(line)
            if line == f"{STEP}echo $?":
                lines.append(f"    {status}")
            else:
                words = shlex.split(line.removeprefix(f"{STEP}python3 manage.py "))
                done = run(*words, together=True)
                status = done.status
                lines += [f"    {printed}" for printed in done.out.splitlines()]
        elif not (behind_a_step and line.startswith("    ")):
            behind_a_step = False
            lines.append(line)
    return "\n".join(lines)


def test_every_example_prints_what_the_page_shows(fleet: Fleet) -> None:
    now = played(TEXT)
    if os.environ.get("REGEN"):
        PAGE.write_text(now, encoding="utf-8")
    assert now.split("\n") == TEXT.split("\n")


@pytest.mark.parametrize("called", sorted(set(CALLED.findall(TEXT))))
def test_every_command_line_of_the_page_is_taken(called: str) -> None:
    name, *words = shlex.split(called.split("`")[0])
    load_command_class("probes", name).create_parser("manage.py", name).parse_args(words)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_its_exit_statuses_and_what_its_options_mean(name: str) -> None:
    parser = load_command_class("probes", name).create_parser("manage.py", name)

    assert "exit status:\n  0  " in parser.format_help()
    assert [option.dest for option in options_of(name) if not option.help] == []
    assert f"\n## {name}\n" in TEXT


def test_no_help_is_left_of_an_option_that_is_gone() -> None:
    used = {option.dest for name in COMMANDS for option in options_of(name)}

    assert sorted(HELP.keys() - used) == []
