"""Makes an answer fit for a model's context: short, printable, and nothing but data.

Place in the data's way: after a tool's handler, before the protocol. Whatever a host may have
written (names of programs above all) leaves here as a JSON string: no longer than
:data:`LONGEST_TEXT`, without control characters and without the characters that show as nothing or
turn the direction of text, in which instructions could hide. In a sentence of ours stands of it no
more than a program's name, quoted where it is no plain word (``probes.wording.alerts``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Final

from mcp_types import CallToolResult, TextContent

from netadmin.envelope import Refused

LONGEST_TEXT: Final = 200
LONGEST_LIST: Final = 25
"""Items of a list inside of a row."""
MOST_BYTES: Final = 40_000
"""Of one answer as JSON in UTF-8."""

_ROOM: Final = MOST_BYTES - 1_000
"""Of data that is cut: the envelope with its message takes the rest."""
_TIGHTER: Final = ((LONGEST_LIST, LONGEST_TEXT), (5, LONGEST_TEXT), (5, 60), (1, 40))
"""Items of a list inside of a row, and letters of a text: what is tried in turn."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_UNSEEN: Final = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0000-\U000e0fff]"
)
"""What shows as nothing and is a letter or a mark all the same: Default_Ignorable_Code_Point of
Unicode's DerivedCoreProperties.txt beyond the categories above, and the empty braille pattern.
Variation selectors (FE00, E0100) can spell any text."""
_OURS: Final = frozenset({"next", "message", "hint"})
"""Keys of the envelope whose text is never a host's: a cursor cut short would be none."""


def plain(text: str, *, most: int | None = LONGEST_TEXT) -> str:
    """``text`` without characters that are not seen, no longer than ``most``."""
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(
        "\ufffd" if unicodedata.category(letter) in _HIDDEN else letter for letter in text
    )
    return _UNSEEN.sub("\ufffd", shown)


def cleaned(
    value: Any, *, items: int = LONGEST_LIST, letters: int = LONGEST_TEXT, depth: int = 0
) -> Any:
    """``value`` (of JSON) with all text in it :func:`plain`, of so many letters at most; a list
    inside of a row ends after so many items."""
    if isinstance(value, str):
        return plain(value, most=letters)
    if isinstance(value, dict):
        return {
            plain(str(key)): plain(inner, most=None)
            if key in _OURS and isinstance(inner, str)
            else cleaned(inner, items=items, letters=letters, depth=depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        # The rows themselves are counted by the tool: depth 1 is what stands in data.
        kept = value if depth <= 1 else value[:items]
        return [cleaned(each, items=items, letters=letters, depth=depth + 1) for each in kept]
    return value


def fitted(data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """``data`` :func:`cleaned`, in MOST_BYTES with its envelope, and whether that took anything
    away: first of the lists in its rows, then of the texts, then rows. A page loses no row, or who
    turns it would never see that one."""
    made: dict[str, Any] = {}
    for items, letters in _TIGHTER:
        made = cleaned(data, items=items, letters=letters)
        if size(made) <= _ROOM:
            return made, items != LONGEST_LIST
    lists = [name for name, value in made.items() if isinstance(value, list)]
    while "next" not in made and size(made) > _ROOM and any(made[name] for name in lists):
        longest = max(lists, key=lambda name: size(made[name]))
        made[longest] = made[longest][: len(made[longest]) // 2]
    return made, True


def dumped(value: Any) -> str:
    """As JSON, as compact as can be read."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def size(value: Any) -> int:
    """Bytes of :func:`dumped`."""
    return len(dumped(value).encode("utf-8", "replace"))


def good(data: dict[str, Any], message: str) -> dict[str, Any]:
    """The envelope of what succeeded."""
    return {"success": True, "message": plain(message, most=None), "data": cleaned(data)}


def bad(refused: Refused) -> dict[str, Any]:
    """The envelope of what was refused, or failed."""
    return {
        "success": False,
        "message": plain(str(refused.message), most=1000),
        "data": {},
        "error": {
            "code": refused.code,
            "field": refused.field,
            "hint": plain(str(refused.hint), most=1000),
        },
    }


def result(envelope: dict[str, Any]) -> CallToolResult:
    """The envelope as the protocol carries it: as text, and what succeeded as it is too.

    A refusal is text alone: the output schema is that of an answer that succeeds, and clients hold
    whatever is structured against it.
    """
    return CallToolResult(
        content=[TextContent(type="text", text=dumped(envelope))],
        structured_content=envelope if envelope["success"] else None,
        is_error=not envelope["success"],
    )
