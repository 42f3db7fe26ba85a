"""A program's name inside a sentence of ours.

Place in the data's way: asked by whatever puts a name that a host told into words: titles of alerts
and changes, messages of tools. A process chooses its name freely, and some read like an
instruction, so only a plain word stands there as it is.
"""

from __future__ import annotations

import json
import re
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")


def quoted(name: str, *, most: int, ascii_only: bool = False) -> str:
    """A plain word of up to ``most`` characters as it is, all else cut to them and written as a
    JSON string; with ``ascii_only`` every other character is escaped in it."""
    if len(name) <= most and _PLAIN.fullmatch(name):
        return name
    return json.dumps(name[:most], ensure_ascii=ascii_only)
