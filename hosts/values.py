"""Reads values from forms, JSON and CSV strictly: what is not plainly meant is refused."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

TRUE = frozenset({"true", "yes", "on", "1", "y"})
FALSE = frozenset({"false", "no", "off", "0", "n"})
_LINE_BREAKS = "\r\n\t"


def plain_int(value: Any) -> int:
    """A whole number given as int or as ASCII digits; raises ValidationError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        digits = value.strip(" ")
        if digits.isascii() and digits.removeprefix("-").isdigit() and len(digits) <= 12:
            return int(digits)
    raise ValidationError(_("Enter a whole number."), code="invalid")


def plain_bool(value: Any) -> bool:
    """A bool given as such or as a word such as ``yes`` or ``off``; raises ValidationError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip(" ").lower() in TRUE | FALSE:
        return value.strip(" ").lower() in TRUE
    raise ValidationError(_("Enter yes or no."), code="invalid")


def check_text(value: Any, *, longest: int, lines: bool = False) -> str:
    """Text that any database stores and any terminal shows; raises ValidationError.

    Without control characters (with ``lines``, line breaks and tabs are allowed) and without
    lone surrogates, which JSON can carry and UTF-8 cannot.
    """
    if not isinstance(value, str):
        raise ValidationError(_("Give text."), code="invalid")
    if len(value) > longest:
        raise ValidationError(
            _("At most %(longest)s characters, not %(length)s.")
            % {"longest": longest, "length": len(value)},
            code="max_length",
        )
    allowed = _LINE_BREAKS if lines else ""
    if any(_is_unfit(char) and char not in allowed for char in value):
        raise ValidationError(_("Control characters are not allowed."), code="invalid")
    return value


def fit_text(value: str) -> str:
    """``value`` with whatever :func:`check_text` refuses replaced, to be stored as it was met."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unfit(char) else char for char in value)


def _is_unfit(char: str) -> bool:
    code = ord(char)
    return code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 or code in (0x2028, 0x2029)
