"""Tells whether a text is a private key that SSH can use, and if not, why.

Pure but for the file that :func:`check_file` reads. Formats: OpenSSH's own (PROTOCOL.key in its
sources) and the traditional PEM of OpenSSL, which are what the SSH library reads.
"""

from __future__ import annotations

import os
import stat

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_BYTES = 64 * 1024
_USABLE = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


def normal(text: str) -> str:
    """A pasted key as files have it: browsers send CRLF, and lose or add blank ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip() + "\n"


def check(text: str, *, passphrase: str | None, field: str = "private_key") -> None:
    """Raise ValidationError, on ``field`` or on ``passphrase``, for a key that cannot be used."""
    head = text.lstrip()[:200]
    if len(text) > MAX_BYTES:
        raise _wrong(field, _("This is too long for a private key."))
    if head.startswith(("ssh-", "ecdsa-", "sk-")) or "PUBLIC KEY-----" in head:
        raise _wrong(field, _("This is a public key. The private one is needed."))
    if head.startswith("PuTTY-User-Key-File"):
        raise _wrong(
            field, _("This is a PuTTY key. Export it as an OpenSSH key with PuTTYgen first.")
        )
    if head.startswith(("-----BEGIN PRIVATE KEY", "-----BEGIN ENCRYPTED PRIVATE KEY")):
        raise _wrong(
            field,
            _("This key is in PKCS#8 form. Rewrite it as SSH reads it: ssh-keygen -p -f FILE"),
        )
    if not head.startswith("-----BEGIN "):
        raise _wrong(field, _("This is not a private key: it does not start with -----BEGIN."))
    openssh = head.startswith("-----BEGIN OPENSSH")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    data = text.encode("utf-8", "surrogatepass")
    secret = passphrase.encode("utf-8", "surrogatepass") if passphrase else None
    try:
        try:
            key = load(data, secret)
        except TypeError:
            # Either a passphrase is missing, or one was given for a key that has none.
            if not secret:
                raise _wrong("passphrase", _("This key needs its passphrase.")) from None
            key = load(data, None)
    except UnsupportedAlgorithm:
        raise _wrong(field, _("This kind of key is not supported.")) from None
    except ValidationError:
        raise
    except Exception:  # the loaders raise many kinds, some of which quote the key
        if secret:
            raise _wrong(
                "passphrase", _("The passphrase does not open this key, or the key is damaged.")
            ) from None
        raise _wrong(field, _("This private key is damaged.")) from None
    if not isinstance(key, _USABLE):
        raise _wrong(field, _("Use an Ed25519, ECDSA or RSA key; others are not supported."))


def check_file(path: str, *, passphrase: str | None) -> None:
    """The same for a key file of this machine; errors are on ``key_file`` or ``passphrase``."""
    try:
        # Not blocking: the path may name a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _wrong("key_file", _("There is no such file on this machine.")) from None
    except (OSError, ValueError):
        raise _wrong(
            "key_file", _("netadmin may not read this file. Give its user read permission.")
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _wrong("key_file", _("This is not a file."))
        data = os.read(handle, MAX_BYTES + 1)
    finally:
        os.close(handle)
    check(data.decode("utf-8", "surrogateescape"), passphrase=passphrase, field="key_file")


def _wrong(field: str, message: object) -> ValidationError:
    return ValidationError({field: message})
