"""Makes and checks API tokens: shown once, stored as a digest, prefixed, scoped, expiring."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from netadmin.access.models import APIToken, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from hosts.models import HostGroup

_BEARER = re.compile(r"[Bb]earer +(nad_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43})")
USED_EVERY = dt.timedelta(minutes=1)
"""``last_used_at`` is written at most this often, so a poller costs no write a call."""


def create(
    *,
    user: User,
    name: str,
    scope: Scope,
    expires_at: dt.datetime | None = None,
    groups: Iterable[HostGroup] | None = None,
) -> tuple[APIToken, str]:
    """Store a new token; returns the row and the token itself, which nobody can read again.

    ``groups`` limits what it sees; None leaves it all that its user sees.
    """
    prefix = secrets.token_hex(4)
    text = f"nad_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        row = APIToken.objects.create(
            user=user,
            name=name,
            prefix=prefix,
            digest=_digest(text),
            scope=scope,
            all_hosts=groups is None,
            expires_at=expires_at,
        )
        row.groups.set(groups or ())
    return row, text


def authenticate(header: str, *, address: str | None) -> APIToken | None:
    """The live token of an ``Authorization`` header, its user and groups loaded; else None.

    Sets ``token.user.token_groups`` (ids, or None for no limit), which
    ``Host.objects.visible_to`` obeys. Writes when and from where it was last used.
    """
    match = _BEARER.fullmatch(header)
    if match is None:
        return None
    now = timezone.now()
    token = (
        APIToken.objects.select_related("user", "user__access")
        .filter(digest=_digest(match[1]), user__is_active=True)
        .first()
    )
    if token is None or not token.is_live(now):
        return None
    token.user.token_groups = (  # type: ignore[attr-defined]
        None if token.all_hosts else list(token.groups.values_list("pk", flat=True))
    )
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        token.last_used_at, token.last_used_ip = now, address
        token.save(update_fields=["last_used_at", "last_used_ip"])
    return token


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
