"""Encryption bound to row and field: what was altered or moved does not open (trust 3 and 4)."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts import secrets
from hosts.models import Credential

CONTEXT = "hosts.credential:row:password"
WEIRD = [
    "v1:t1:" + base64.b64encode(b"x" * 40).decode(),
    "pässwörd 🔑 密码",
    "ends with a newline\n",
    "\r\n\t leading and trailing blanks \t",
    "x" * 4096,
    "'$(id)`id`\\\"",
    "a\x00b",
    "\ud800 alone",
]


@pytest.mark.parametrize("text", WEIRD, ids=range(len(WEIRD)))
def test_a_password_of_any_kind_comes_back_as_it_was(text: str) -> None:
    assert secrets.decrypt(secrets.encrypt(text, context=CONTEXT), context=CONTEXT) == text


def test_what_looks_like_a_ciphertext_is_encrypted_like_all_else() -> None:
    inner = secrets.encrypt("secret", context=CONTEXT)
    sealed = secrets.encrypt(inner, context=CONTEXT)
    assert inner not in sealed
    assert secrets.decrypt(sealed, context=CONTEXT) == inner


@given(st.text(max_size=200))
def test_any_text_comes_back_and_is_not_readable_in_between(text: str) -> None:
    sealed = secrets.encrypt(text, context=CONTEXT)
    assert secrets.decrypt(sealed, context=CONTEXT) == text
    if len(text) > 8:
        assert text not in sealed
        assert text.encode("utf-8", "surrogatepass") not in base64.b64decode(sealed.split(":")[2])


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    assert secrets.encrypt("x", context=CONTEXT) != secrets.encrypt("x", context=CONTEXT)


def test_a_flipped_bit_anywhere_does_not_open() -> None:
    version, key_id, body = secrets.encrypt("secret", context=CONTEXT).split(":")
    data = bytearray(base64.b64decode(body))
    for place in range(len(data)):
        data[place] ^= 1
        altered = f"{version}:{key_id}:{base64.b64encode(bytes(data)).decode()}"
        with pytest.raises(secrets.DecryptionError, match="altered"):
            secrets.decrypt(altered, context=CONTEXT)
        data[place] ^= 1


@pytest.mark.parametrize(
    "sealed", ["", "hunter2", "v1:t1:", "v2:t1:AAAA", "v1:t1:AAAA", "v1:t1:%%%", "v1::AAAA", ":::"]
)
def test_what_is_no_ciphertext_does_not_open_and_is_not_quoted(sealed: str) -> None:
    with pytest.raises(secrets.DecryptionError) as caught:
        secrets.decrypt(sealed, context=CONTEXT)
    if sealed:
        assert sealed not in str(caught.value)


def test_a_ciphertext_moved_to_another_row_or_field_does_not_open() -> None:
    mine, yours = Credential(name="mine"), Credential(name="yours")
    mine.set_secret("password", "one")
    mine.set_secret("sudo_password", "two")
    yours.password_encrypted = mine.password_encrypted
    with pytest.raises(secrets.DecryptionError):
        yours.secret("password")
    mine.password_encrypted = mine.sudo_password_encrypted
    with pytest.raises(secrets.DecryptionError):
        mine.secret("password")
    with pytest.raises(secrets.DecryptionError):
        mine.login()


def test_swapping_the_name_of_the_key_does_not_open(settings: object) -> None:
    same = base64.b64encode(b"k" * 32).decode()
    settings.FIELD_ENCRYPTION_KEYS = f"a:{same},b:{same}"  # type: ignore[attr-defined]
    sealed = secrets.encrypt("secret", context=CONTEXT)
    with pytest.raises(secrets.DecryptionError):
        secrets.decrypt(sealed.replace("v1:a:", "v1:b:"), context=CONTEXT)


def test_an_unknown_key_is_named(settings: object) -> None:
    sealed = secrets.encrypt("secret", context=CONTEXT)
    other = base64.b64encode(os.urandom(32)).decode()
    settings.FIELD_ENCRYPTION_KEYS = f"new:{other}"  # type: ignore[attr-defined]
    with pytest.raises(secrets.DecryptionError, match="'t1' is not in FIELD_ENCRYPTION_KEYS"):
        secrets.decrypt(sealed, context=CONTEXT)


def test_the_newest_key_seals_and_all_open(settings: object) -> None:
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    settings.FIELD_ENCRYPTION_KEYS = f"k1:{old}"  # type: ignore[attr-defined]
    sealed = secrets.encrypt("secret", context=CONTEXT)
    settings.FIELD_ENCRYPTION_KEYS = f"k2:{new}, k1:{old}"  # type: ignore[attr-defined]
    assert secrets.decrypt(sealed, context=CONTEXT) == "secret"
    assert secrets.key_id_of(secrets.encrypt("x", context=CONTEXT)) == "k2"


@pytest.mark.parametrize("urlsafe", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_either_base64_alphabet_is_read_with_or_without_padding(
    urlsafe: bool, padded: bool
) -> None:
    key = b"\xfb\xff" * 16
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(key).decode()
    text = text if padded else text.rstrip("=")
    assert secrets.parse_ring(f"k:{text}") == {"k": key}


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        ("", "empty"),
        (None, "empty"),
        (" , ", "empty"),
        ("AAAA", "Key 1 of FIELD_ENCRYPTION_KEYS is not of the form id:base64"),
        ("a b:AAAA", "not of the form"),
        (":AAAA", "not of the form"),
        ("k1:AAAA", "has 3 bytes, not 32"),
        ("k1:!!!!", "'k1' of FIELD_ENCRYPTION_KEYS is not base64"),
        ("k1:" + "A" * 43 + ",k1:" + "B" * 43, "two keys with the id 'k1'"),
        ("k1:" + "A" * 43 + ",k2", "Key 2"),
    ],
)
def test_a_bad_ring_is_refused_with_its_reason_and_without_the_key(
    ring: str | None, words: str
) -> None:
    with pytest.raises(secrets.KeyRingError, match=words) as caught:
        secrets.parse_ring(ring)
    for entry in (ring or "").split(","):
        body = entry.partition(":")[2]
        assert not body or body not in str(caught.value)


def test_a_new_key_has_an_id_of_its_own_and_fits_the_ring() -> None:
    made = secrets.new_key()
    ring = secrets.parse_ring(made + ",t1:" + "A" * 43)
    assert list(ring)[1] == "t1"
    assert len(ring) == 2
