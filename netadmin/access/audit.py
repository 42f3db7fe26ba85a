"""The audit log: written inside the transaction of the act, so that no act goes unrecorded."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest

from netadmin.access import request_ids
from netadmin.access.models import AuditEntry

_CONTROL = dict.fromkeys([*range(32), *range(127, 160), 0x2028, 0x2029], "\ufffd")


def record(
    action: str,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
    target: models.Model | None = None,
    detail: dict[str, Any] | None = None,
    using: str = "default",
) -> AuditEntry:
    """Append one entry; call it inside the ``transaction.atomic`` of the act itself.

    If it cannot be written the exception ends the act. ``detail`` never holds a secret.
    """
    token = getattr(request, "token", None) if request else None
    user = getattr(request, "user", None) if request else None
    return AuditEntry.objects.using(using).create(
        actor=actor or (user.get_username() if user is not None else "") or "system",
        token=token.prefix if token else "",
        address=client_address(request) if request else None,
        action=action,
        kind=target._meta.label_lower if target is not None else "",
        object_id=_line(target.pk)[:50] if target is not None else "",
        object_name=_line(target)[:200] if target is not None else "",
        request_id=request_ids.present(),
        detail=detail or {},
    )


def client_address(request: HttpRequest) -> str | None:
    """Where a request came from, believing X-Forwarded-For only behind TRUSTED_PROXIES.

    Each proxy appends the address it was called from, so the client of ``n`` trusted proxies is
    the n-th from the right; whatever stands left of it was written by the client itself. None
    where that is no address, as with a server on a unix socket.
    """
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.TRUSTED_PROXIES and forwarded:
        hops = forwarded.split(",")
        if len(hops) >= settings.TRUSTED_PROXIES:
            address = hops[-settings.TRUSTED_PROXIES]
    return _address(address.strip())


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """Fields that differ, as ``{name: [before, after]}`` with JSON-ready values."""
    return {
        name: [plain(before.get(name)), plain(value)]
        for name, value in after.items()
        if before.get(name) != value
    }


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: numbers, text, lists of those."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset | models.QuerySet):
        return sorted((plain(item) for item in value), key=str)
    return str(value).replace("\x00", "\ufffd")


def _line(value: Any) -> str:
    return str(value).translate(_CONTROL)


def _address(text: str) -> str | None:
    # A proxy may write an IPv6 address in brackets, or either kind with a port.
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # Without the zone, which means nothing elsewhere and which no inet column takes.
        known = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # IPv4 as a socket of both families shows it (::ffff:192.0.2.1) is the same caller.
    return str(getattr(known, "ipv4_mapped", None) or known)
