"""Finds secrets wherever they may have ended up, in the disguises that software puts on text.

A canary is a secret that occurs nowhere else. It is looked for raw, in base64 (at any place of a
longer text), hex, URL-encoded, and as JSON, Python and HTML escape it; all of that also across
line breaks, since keys and encoded blobs are wrapped.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Bytes of a canary at least: what is shorter is found by chance."""

_BREAKS = re.compile(rb"(?:\\\\?[nr]|\s|&#1[03];|%0[aAdD])+")


@dataclass(frozen=True, slots=True)
class Finding:
    """A canary that was found, in which place and form. Never shows the secret itself."""

    canary: str
    place: str
    form: str


def scan(places: Mapping[str, bytes], canaries: Mapping[str, str | bytes]) -> list[Finding]:
    """Every canary (by its name) in every place (by its name) where any form of it is."""
    looked_for = {name: forms(secret) for name, secret in canaries.items()}
    found = []
    for place, data in places.items():
        joined = _BREAKS.sub(b"", data)
        lowered = joined.lower()
        for canary, its_forms in looked_for.items():
            for form, pattern in its_forms.items():
                bare = _BREAKS.sub(b"", pattern)
                insensitive = "hex" in form or "URL-encoded" in form
                if pattern in data or (bare.lower() in lowered if insensitive else bare in joined):
                    found.append(Finding(canary, place, form))
    return found


def forms(secret: str | bytes) -> dict[str, bytes]:
    """The disguises of a secret, by name: escaped, encoded, and encoded after it was escaped."""
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < SHORTEST:
        raise ValueError(f"a canary needs {SHORTEST} bytes, not {len(raw)}")
    found = {}
    for escaping, escaped in _escaped(raw).items():
        found[escaping] = escaped
        found[f"{escaping} in hex"] = escaped.hex().encode()
        for shift in range(3):
            padded = b"\0" * shift + escaped
            for name, encoded in (
                ("base64", base64.b64encode(padded)),
                ("base64 for URLs", base64.urlsafe_b64encode(padded)),
            ):
                found[f"{escaping} in {name} at {shift}"] = _inner_base64(escaped, shift, encoded)
    return found


def _escaped(raw: bytes) -> dict[str, bytes]:
    found = {
        "raw": raw,
        "URL-encoded": quote(raw, safe="").encode(),
        "URL-encoded path": quote(raw).encode(),
        "URL-encoded form": quote_plus(raw).encode(),
        "repr of bytes": repr(raw)[2:-1].encode(),
    }
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return found
    return found | {
        "JSON": json.dumps(text)[1:-1].encode(),
        "JSON in Unicode": json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        "repr": repr(text)[1:-1].encode(),
        "HTML": html.escape(text).encode(),
    }


def _inner_base64(raw: bytes, shift: int, encoded: bytes) -> bytes:
    """The characters of ``encoded`` that depend on ``raw`` alone, whatever stands around it."""
    first = -(-shift * 8 // 6)  # the first character none of whose bits are of what stands before
    last = (shift + len(raw)) * 8 // 6
    return encoded[first:last]


def lines(findings: Iterable[Finding]) -> str:
    """For the message of a failed test."""
    return "\n".join(f"{f.canary} in {f.place}, {f.form}" for f in sorted(findings, key=str))
