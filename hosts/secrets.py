"""Encryption of stored secrets: AES-256-GCM, bound to the row and field, with a key ring.

Place in the data's way: under ``Credential.set_secret`` and ``Credential.secret``. Knows no model
but the one whose ciphertexts :func:`verify_ring` samples.

A ciphertext is ``v1:<key id>:<base64 of 12 bytes nonce and the sealed text with its 16 bytes
tag>``. The associated data is the version, the key id and the context (row and field), so that a
ciphertext moved to another row or field, or altered anywhere, does not open (NIST SP 800-38D).

The ring is ``FIELD_ENCRYPTION_KEYS``: ``id:base64 of 32 bytes``, comma separated, newest first.
The newest seals; all of them open.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
import secrets as random
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_HOLDS_KEYS = re.compile(r"(?m)^[ \t]*(?:export[ \t]+)?FIELD_ENCRYPTION_KEYS[ \t]*=[ \t]*\S")
MEND = "`manage.py rotate_keys --new-key` prints a key."


class DecryptionError(Exception):
    """A ciphertext was altered, moved to another row or field, or its key is not in the ring."""


class KeyRingError(ImproperlyConfigured):
    """FIELD_ENCRYPTION_KEYS cannot be used; the message is for the operator and holds no key."""


def encrypt(value: str, *, context: str) -> str:
    """Seal ``value`` for ``context`` with the newest key, whatever it looks like."""
    ring = _ring()
    key_id = next(iter(ring))
    nonce = random.token_bytes(NONCE_BYTES)
    text = value.encode("utf-8", "surrogatepass")
    sealed = AESGCM(ring[key_id]).encrypt(nonce, text, _associated(key_id, context))
    return f"{VERSION}:{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(sealed: str, *, context: str) -> str:
    """Open what :func:`encrypt` sealed for the same ``context``.

    Raises DecryptionError with a reason that quotes neither text nor key.
    """
    version, _, rest = sealed.partition(":")
    key_id, _, body = rest.partition(":")
    if version != VERSION or not body:
        raise DecryptionError("The stored secret is not in a form netadmin writes.")
    key = _ring().get(key_id)
    if key is None:
        raise DecryptionError(
            f"Its key {key_id[:32]!r} is not in FIELD_ENCRYPTION_KEYS."
            if _KEY_ID.fullmatch(key_id)
            else "The stored secret is not in a form netadmin writes."
        )
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error:
        raise DecryptionError("The stored secret was altered.") from None
    if len(data) < NONCE_BYTES + TAG_BYTES:
        raise DecryptionError("The stored secret was cut off.")
    try:
        text = AESGCM(key).decrypt(
            data[:NONCE_BYTES], data[NONCE_BYTES:], _associated(key_id, context)
        )
    except InvalidTag:
        raise DecryptionError(
            "The stored secret was altered, belongs to another row or field, "
            f"or was sealed by another key than {key_id!r} of FIELD_ENCRYPTION_KEYS."
        ) from None
    return text.decode("utf-8", "surrogatepass")


def key_id_of(sealed: str) -> str:
    """Id of the key that sealed a ciphertext; empty where it is none."""
    parts = sealed.split(":", 2)
    return parts[1] if len(parts) == 3 and parts[0] == VERSION else ""


def newest_key_id() -> str:
    """Id of the key that seals."""
    return next(iter(_ring()))


def key_ids() -> list[str]:
    """Ids of the ring, newest first."""
    return list(_ring())


def new_key() -> str:
    """A fresh ``id:base64`` whose id is not in the ring."""
    taken = set(_ring()) if settings.FIELD_ENCRYPTION_KEYS else set()
    number = 1
    while f"k{number}" in taken:
        number += 1
    return f"k{number}:{base64.b64encode(random.token_bytes(KEY_BYTES)).decode()}"


@functools.lru_cache(maxsize=8)
def parse_ring(text: str | None) -> dict[str, bytes]:
    """The keys of ``FIELD_ENCRYPTION_KEYS`` by id, newest first; raises KeyRingError.

    Base64 may be of either alphabet (RFC 4648 sections 4 and 5), with or without padding.
    """
    ring: dict[str, bytes] = {}
    entries = [entry.strip() for entry in (text or "").split(",") if entry.strip()]
    if not entries:
        raise KeyRingError(f"FIELD_ENCRYPTION_KEYS is empty. {MEND}")
    for number, entry in enumerate(entries, start=1):
        key_id, colon, body = entry.partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise KeyRingError(
                f"Key {number} of FIELD_ENCRYPTION_KEYS is not of the form id:base64, "
                "with an id of letters, digits, dot, dash or underscore."
            )
        if key_id in ring:
            raise KeyRingError(f"FIELD_ENCRYPTION_KEYS has two keys with the id {key_id!r}.")
        ring[key_id] = _key(key_id, body.strip())
    return ring


def verify_files() -> None:
    """Raise KeyRingError where group or others may read a file that holds the ring."""
    for path in _key_files():
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if stat.S_IMODE(mode) & 0o077:
            raise KeyRingError(
                f"{path} holds encryption keys and can be read by others: chmod 600 {path}"
            )


def verify_ring() -> None:
    """Refuse to start on a ring that is missing, malformed, readable by others or wrong.

    Raises KeyRingError. Called by the web server, the worker and the scheduler; management
    commands meet the same through ``hosts.checks``. A database that is away or not migrated yet
    is no reason to refuse: secrets then fail one by one, and say why.
    """
    parse_ring(settings.FIELD_ENCRYPTION_KEYS)
    verify_files()
    from hosts import rotation

    problems = rotation.unreadable()
    if problems:
        raise KeyRingError(problems[0])


def _ring() -> dict[str, bytes]:
    return parse_ring(settings.FIELD_ENCRYPTION_KEYS)


def _associated(key_id: str, context: str) -> bytes:
    return f"{VERSION}:{key_id}:{context}".encode()


def _key(key_id: str, body: str) -> bytes:
    standard = body.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRingError(f"Key {key_id!r} of FIELD_ENCRYPTION_KEYS is not base64.") from None
    if len(key) != KEY_BYTES:
        raise KeyRingError(
            f"Key {key_id!r} of FIELD_ENCRYPTION_KEYS has {len(key)} bytes, not {KEY_BYTES}. {MEND}"
        )
    return key


def _key_files() -> list[Path]:
    given = os.environ.get("FIELD_ENCRYPTION_KEYS_FILE")
    files = [Path(given)] if given else []
    for path in (settings.DATA_DIR / "env", settings.BASE_DIR / ".env"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if _HOLDS_KEYS.search(text):
            files.append(path)
    return files
