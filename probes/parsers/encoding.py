"""Bytes of a command's output in, text that is safe to parse, show and store out.

Place in the data's way: after a transport's bytes, before ``probes.parsers.parse``. Pure: knows no
dialect.
"""

from __future__ import annotations

import re

_KEPT = bytes([0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)])
_CONTROL = bytes(sorted(set(range(0x100)) - set(_KEPT)))
_CRLF = re.compile(rb"\r+\n|\r+\Z")
_C1 = re.compile(rb"\xc2([\x80-\x9f])")


def decode(raw: bytes) -> str:
    r"""The text of a command's output, safe to store: no NUL, no lone surrogate, no control
    character but tab and newline.

    UTF-8; what is not UTF-8 becomes ``\xNN``, and so does every control character, as in program
    names that netstat prints raw. Line ends of a terminal (CR LF) become LF.
    """
    if len(raw.translate(None, _CONTROL)) != len(raw):
        raw = _CRLF.sub(lambda end: b"\n" if end[0].endswith(b"\n") else b"", raw)
        for code in sorted(set(raw.translate(None, _KEPT))):
            raw = raw.replace(bytes([code]), b"\\x%02x" % code)
    if not raw.isascii():
        raw = _C1.sub(lambda control: b"\\x%02x" % control[1][0], raw)
    return raw.decode("utf-8", errors="backslashreplace")
