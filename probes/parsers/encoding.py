"""Bytes of a command's output in, text that is safe to parse, show and store out.

Place in the data's way: after a transport's bytes, before ``probes.parsers.parse``. Pure: knows no
dialect. Which code page a Windows console is in, ``code_pages`` knows.
"""

from __future__ import annotations

import re

from probes.parsers import code_pages

_KEPT = bytes([0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)])
_CONTROL = bytes(sorted(set(range(0x100)) - set(_KEPT)))
_CRLF = re.compile(rb"\r+\n|\r+\Z")
_LONE_CR = re.compile(rb"\r+")
_C1 = re.compile(rb"\xc2([\x80-\x9f])")

_TEXT_CRLF = re.compile(r"\r+\n|\r+\Z")
_TEXT_LONE_CR = re.compile(r"\r+")
_TEXT_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_BOM_UTF8 = b"\xef\xbb\xbf"
_BOMS_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_PATTERN_BYTES = 1024
_MIN_PATTERN_BYTES = 16


def decode(raw: bytes, *, code_page: str | None = None) -> str:
    r"""The text of a command's output, safe to store: no NUL, no lone surrogate, no control
    character but tab and newline. Line ends of a terminal (CR LF) become LF, and so does a CR
    where there is no LF at all.

    Every control character, as in program names that netstat prints raw, becomes ``\xNN``, and so
    does every byte that is no character. The bytes are taken for UTF-8, or for UTF-16 where every
    other one is NUL; byte order marks are left out. What is neither is taken for the code page it
    seems to be in, but only if it looks like the output of a Windows tool.

    ``code_page``: the host said so (:func:`code_page` read its answer). Then the bytes are in
    that page, or in UTF-16; a name that is not known counts as None.
    """
    utf16 = _utf16(raw)
    if utf16 is not None:
        return _safe(raw.decode(utf16, errors="backslashreplace").removeprefix("\ufeff"))
    if raw.startswith(_BOM_UTF8):
        raw = raw[len(_BOM_UTF8) :]
    elif code_page is not None and not raw.isascii():
        page = code_pages.known(code_page)
        if page not in (None, "utf-8"):
            return _safe(raw.decode(page, errors="backslashreplace"))
    if b"\r" in raw and b"\n" not in raw:
        raw = _LONE_CR.sub(b"\n", raw)
    clean = raw
    if len(raw.translate(None, _CONTROL)) != len(raw):
        clean = _CRLF.sub(lambda end: b"\n" if end[0].endswith(b"\n") else b"", raw)
        for code in sorted(set(clean.translate(None, _KEPT))):
            clean = clean.replace(bytes([code]), b"\\x%02x" % code)
    if clean.isascii():
        return clean.decode("ascii")
    clean = _C1.sub(lambda control: b"\\x%02x" % control[1][0], clean)
    try:
        return clean.decode("utf-8")
    except UnicodeDecodeError:
        page = code_pages.guess(raw)
        if page is not None:
            return _safe(raw.decode(page, errors="backslashreplace"))
        return clean.decode("utf-8", errors="backslashreplace")


def code_page(raw: bytes) -> str | None:
    """The code page in an answer of ``chcp``, in any language; None where there is none."""
    return code_pages.of_chcp(raw)


def _utf16(raw: bytes) -> str | None:
    """utf-16-le or utf-16-be where the beginning is in it. Every table is full of digits and
    blanks, so that in UTF-16 about every other byte is NUL; a mark alone proves nothing."""
    if b"\x00" not in raw[:_PATTERN_BYTES] or len(raw) < _MIN_PATTERN_BYTES:
        return None
    head = raw[:_PATTERN_BYTES]
    upper, lower = head[1::2].count(0), head[0::2].count(0)
    half = len(head) // 2
    marked = _BOMS_UTF16.get(raw[:2])
    if upper > lower and (3 * upper > half if marked == "utf-16-le" else 5 * upper > 3 * half):
        return "utf-16-le" if lower * 20 <= half else None
    if lower > upper and (3 * lower > half if marked == "utf-16-be" else 5 * lower > 3 * half):
        return "utf-16-be" if upper * 20 <= half else None
    return None


def _safe(text: str) -> str:
    if "\r" in text and "\n" not in text:
        text = _TEXT_LONE_CR.sub("\n", text)
    text = _TEXT_CRLF.sub(lambda end: "\n" if end[0].endswith("\n") else "", text)
    return _TEXT_CONTROL.sub(lambda control: f"\\x{ord(control[0]):02x}", text)
