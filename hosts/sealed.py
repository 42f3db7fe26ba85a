"""Rows that hold secrets: ciphertexts bound to their row and field.

Place in the data's way: below every model with a secret; above ``hosts.secrets``, which encrypts.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from hosts import secrets


class Sealed(models.Model):
    """Has a ``<field>_encrypted`` text column for each of ``SECRET_FIELDS``.

    Secrets are set by :meth:`set_secret` and read by :meth:`secret` only, never by a form's initial
    value or an API answer. ``hosts.rotation`` finds every model of this kind by itself.
    """

    SECRET_FIELDS: ClassVar[tuple[str, ...]] = ()

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    """Binds the ciphertexts to this row, known before the row is saved."""

    class Meta:
        abstract = True

    def set_secret(self, field: str, value: str | None) -> None:
        """Encrypt ``value`` into ``field`` (one of SECRET_FIELDS); None or "" clears it."""
        sealed = secrets.encrypt(value, context=self._context(field)) if value else ""
        setattr(self, f"{field}_encrypted", sealed)

    def secret(self, field: str) -> str | None:
        """Decrypt ``field``; None where unset. Raises secrets.DecryptionError."""
        sealed: str = getattr(self, f"{field}_encrypted")
        return secrets.decrypt(sealed, context=self._context(field)) if sealed else None

    def has_secret(self, field: str) -> bool:
        """Whether ``field`` holds a ciphertext."""
        return bool(getattr(self, f"{field}_encrypted"))

    def _context(self, field: str) -> str:
        return f"{self._meta.label_lower}:{self.uid}:{field}"
