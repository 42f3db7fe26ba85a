"""Writes ``.env.example`` from the declared settings: ``python -m netadmin.env_example``.

Place: beside ``netadmin.env``, which declares them; a test holds the file to what this renders.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from netadmin.env import VARIABLES, Variable

HEADER = """\
# Every setting of netadmin, with its default. Copy this file to .env and change what you need.
# Each may also be given as NAME_FILE, the path of a file that holds the value.
# `python3 manage.py up` needs none of them: it makes its own secrets in DATA_DIR/env.
"""


def render(variables: Sequence[Variable] = VARIABLES) -> str:
    """The text of ``.env.example``."""
    return HEADER + "".join(_entry(variable) for variable in variables)


def _entry(variable: Variable) -> str:
    text = f"{variable.help} Required." if variable.required else variable.help
    comment = textwrap.fill(
        text,
        width=98,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"\n{comment}\n#{variable.name}={_default(variable.default)}\n"


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
