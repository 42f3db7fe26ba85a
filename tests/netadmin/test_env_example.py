"""``.env.example`` says what the settings are, no more and no less."""

from __future__ import annotations

import os
import re
from pathlib import Path

from netadmin import env_example
from netadmin.env import VARIABLES, Variable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"


def test_the_example_is_what_the_settings_render() -> None:
    """``REGEN=1`` writes it anew, to be reviewed."""
    if os.environ.get("REGEN") == "1":
        EXAMPLE.write_text(env_example.render(), encoding="utf-8")
    assert EXAMPLE.read_text(encoding="utf-8") == env_example.render()


def test_every_setting_has_one_line_and_every_default_reads_back() -> None:
    lines = re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", env_example.render(), flags=re.MULTILINE)
    assert [name for name, _ in lines] == [variable.name for variable in VARIABLES]
    assert dict(lines)["DEBUG"] == "off"
    assert dict(lines)["SECRET_KEY"] == ""


def test_a_long_help_stays_a_comment() -> None:
    text = env_example.render([Variable("X", "list", ["a", "b"], "word " * 60, required=True)])
    body = text.removeprefix(env_example.HEADER).strip().splitlines()
    assert body[-1] == "#X=a,b"
    assert all(line.startswith("# ") and len(line) < 100 for line in body[:-1])
    assert body[-2].endswith("Required.")


def test_settings_read_no_variable_that_is_not_declared() -> None:
    used = set(re.findall(r'env\("([A-Z0-9_]+)"\)', (ROOT / "netadmin/settings.py").read_text()))
    assert used == {variable.name for variable in VARIABLES}
