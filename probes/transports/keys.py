"""Host keys checked against pins, and private keys loaded once.

Place in the data's way: between key exchange and authentication. Decides whether a server is the
one an administrator trusted; until it is, nothing secret is sent. Keeps no plaintext: private
keys are remembered by a hash of their text and passphrase.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path

import paramiko

from hosts.target import Login, Pin, Target, Trust
from probes.observation import Code, Failure, OfferedKey
from probes.transports.base import Stage, TransportError

KEY_FILE_MAX_BYTES = 64 * 1024
REMEMBERED_KEYS = 1024

_HOST_KEY_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Algorithms by which a key of that type signs (RFC 8332); other types sign by their own name."""

_loaded: OrderedDict[bytes, paramiko.PKey] = OrderedDict()
_loading = threading.Lock()


def fingerprint(key: bytes) -> str:
    """``SHA256:...`` of a public key blob, as ``ssh-keygen -lf`` prints it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def algorithms(pins: tuple[Pin, ...]) -> tuple[str, ...]:
    """Host key algorithms in the order to ask for them: those with a trusted pin first.

    A server has several keys and shows the one asked for first; asking for another than the
    pinned one would make it look changed.
    """
    wanted: list[str] = []
    for trust in (Trust.TRUSTED, Trust.PENDING, Trust.REFUSED):
        for pin in pins:
            if pin.trust is trust:
                wanted += _SIGNATURES.get(pin.key_type, (pin.key_type,))
    known = [name for name in wanted if name in _HOST_KEY_ALGORITHMS]
    return tuple(dict.fromkeys((*known, *_HOST_KEY_ALGORITHMS)))


def is_trusted(key: bytes, pins: tuple[Pin, ...]) -> bool:
    """Whether this very key is pinned as trusted."""
    return any(pin.trust is Trust.TRUSTED and _blob(pin) == key for pin in pins)


def check(target: Target, *, key_type: str, key: bytes) -> None:
    """Raise TransportError unless the key a server proved to hold is trusted for ``target``.

    HOST_KEY_UNKNOWN for a key never decided on, HOST_KEY_CHANGED where another is trusted,
    HOST_KEY_REFUSED where an administrator said no. Each carries the offered key.
    """
    if is_trusted(key, target.pins):
        return
    shown = fingerprint(key)
    offered = OfferedKey(
        address=target.address,
        port=target.port,
        key_type=key_type,
        key_base64=base64.b64encode(key).decode(),
        fingerprint=shown,
    )
    trusted = [pin for pin in target.pins if pin.trust is Trust.TRUSTED]
    if any(pin.trust is Trust.REFUSED and _blob(pin) == key for pin in target.pins):
        code, detail = Code.HOST_KEY_REFUSED, f"{key_type} {shown}"
    elif trusted:
        code = Code.HOST_KEY_CHANGED
        before = ", ".join(f"{pin.key_type} {fingerprint(_blob(pin))}" for pin in trusted)
        detail = f"offered {key_type} {shown}; trusted {before}"
    else:
        code, detail = Code.HOST_KEY_UNKNOWN, f"{key_type} {shown}"
    raise TransportError(Failure(code, detail, offered_key=offered), stage=Stage.HOST_KEY)


def _blob(pin: Pin) -> bytes:
    try:
        return base64.b64decode(pin.key_base64)
    except (binascii.Error, ValueError):
        return b""


def private_key(login: Login) -> paramiko.PKey | None:
    """The login's key, ready to sign; None where it has none.

    Raises TransportError with KEY_UNREADABLE; its detail holds nothing of the key.
    """
    if login.private_key is not None:
        return _load(login.private_key, login.passphrase, named="the stored private key")
    if login.key_file is not None:
        return _load(_read(login.key_file), login.passphrase, named=login.key_file)
    return None


def _read(path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(KEY_FILE_MAX_BYTES + 1)
        if len(data) > KEY_FILE_MAX_BYTES:
            raise _unreadable(path, "too large for a private key")
        return data.decode("ascii")
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be read") from None
    except (UnicodeDecodeError, RuntimeError):
        raise _unreadable(path, "no private key") from None


def _load(text: str, passphrase: str | None, *, named: str) -> paramiko.PKey:
    secret = text.encode("utf-8", "surrogatepass")
    phrase = b"" if passphrase is None else b"+" + passphrase.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(hashlib.sha256(secret).digest() + phrase).digest()
    with _loading:
        key = _loaded.get(digest)
        if key is not None:
            _loaded.move_to_end(digest)
            return key
    key = _parse(text, passphrase, named=named)
    with _loading:
        _loaded[digest] = key
        while len(_loaded) > REMEMBERED_KEYS:
            _loaded.popitem(last=False)
    return key


def _parse(text: str, passphrase: str | None, *, named: str) -> paramiko.PKey:
    # Pasted keys lose their last line break or gain carriage returns.
    text = text.replace("\r\n", "\n").strip() + "\n"
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            # An empty passphrase is none at all.
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text), passphrase or None)
        except paramiko.PasswordRequiredException:
            raise _unreadable(named, "needs a passphrase") from None
        # Each class raises its own mixture for a key of another type, a wrong passphrase or
        # rubbish (SSHException, ValueError, IndexError, UnicodeDecodeError, struct.error).
        except Exception:
            continue
        return key
    reason = "wrong passphrase, or not a private key" if passphrase else "not a private key"
    raise _unreadable(named, reason)


def _unreadable(named: str, reason: str) -> TransportError:
    return TransportError(Failure(Code.KEY_UNREADABLE, f"{named}: {reason}"), stage=Stage.LOGIN)
