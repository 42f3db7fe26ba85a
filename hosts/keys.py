"""Host keys: remembers those that servers show, and what an administrator decided of each.

Place in the data's way: ``offered`` is called after a probe met a key that is not trusted;
``Host.target()`` hands the decisions to the next probe as pins. A key is never trusted by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Protocol

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from hosts.models import HostKey
from hosts.target import Trust
from netadmin.access import audit

PENDING_KEPT = 8
"""Undecided keys kept per address and port: a server that shows a new one each time fills
nothing."""

KEY_MAX_CHARS = 8192


class Offered(Protocol):
    """A key as a probe reports it; see ``probes.observation.OfferedKey``."""

    @property
    def address(self) -> str:
        """Where it was met."""

    @property
    def port(self) -> int:
        """Where it was met."""

    @property
    def key_type(self) -> str:
        """SSH name of its algorithm."""

    @property
    def key_base64(self) -> str:
        """The public key blob, as in known_hosts."""


def fingerprint(key_base64: str) -> str:
    """``SHA256:...`` of a public key blob as ``ssh-keygen -lf`` prints it; raises ValueError."""
    try:
        blob = base64.b64decode(key_base64, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def offered(key: Offered) -> HostKey:
    """Remember a key that a server proved to hold, as pending where it is new.

    Safe to repeat: a key known already keeps what was decided, and shows when it was last seen.
    Raises ValueError for what is no key.
    """
    if len(key.key_base64) > KEY_MAX_CHARS:
        raise ValueError("too long for a host key")
    mark = fingerprint(key.key_base64)
    with transaction.atomic():
        row, created = HostKey.objects.get_or_create(
            address=key.address,
            port=key.port,
            fingerprint=mark,
            defaults={"key_type": key.key_type[:50], "key_base64": key.key_base64},
        )
        if not created:
            # Only this column: a decision made meanwhile is not written over.
            HostKey.objects.filter(pk=row.pk).update(last_seen=timezone.now())
            return row
        pending = HostKey.objects.filter(
            address=key.address, port=key.port, trust=HostKey.TrustChoice.PENDING
        ).order_by("-first_seen", "-pk")
        stale = list(pending.values_list("pk", flat=True)[PENDING_KEPT:])
        HostKey.objects.filter(pk__in=stale).delete()
    return row


def decide(key: HostKey, trust: Trust, *, request: HttpRequest | None) -> HostKey:
    """Trust or refuse a key. Trusting one refuses the trusted keys of the same type on that
    address and port: a host has one key of each type, so the other was replaced, and whoever
    still shows it is not that host.
    """
    with transaction.atomic():
        row = HostKey.objects.select_for_update().get(pk=key.pk)
        replaced = []
        if trust == Trust.TRUSTED:
            replaced = list(
                HostKey.objects.select_for_update()
                .filter(
                    address=row.address,
                    port=row.port,
                    key_type=row.key_type,
                    trust=HostKey.TrustChoice.TRUSTED,
                )
                .exclude(pk=row.pk)
            )
        for old in replaced:
            _decide(old, Trust.REFUSED, request)
        if row.trust != trust:
            _decide(row, trust, request)
    return row


def trusted_before(key: HostKey) -> HostKey | None:
    """The trusted key of the same address and port that an undecided key differs from; of the
    same type where there is one."""
    others = HostKey.objects.filter(
        address=key.address, port=key.port, trust=HostKey.TrustChoice.TRUSTED
    ).exclude(pk=key.pk)
    return others.filter(key_type=key.key_type).first() or others.first()


def _decide(row: HostKey, trust: Trust, request: HttpRequest | None) -> None:
    before, row.trust = row.trust, trust.value
    row.decided_at = timezone.now()
    entry = audit.record(
        "hostkey.approve" if trust == Trust.TRUSTED else "hostkey.refuse",
        request=request,
        target=row,
        detail={"trust": [before, trust.value], "fingerprint": row.fingerprint},
    )
    row.decided_by = entry.actor
    row.save(update_fields=["trust", "decided_at", "decided_by"])
