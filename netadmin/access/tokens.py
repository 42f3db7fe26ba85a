"""Makes, checks, changes and ends API tokens: shown once, stored as a digest, prefixed, scoped,
expiring, bound to networks.

Place in the data's way: the page, the command and the API call it for what they do to tokens, each
act with its audit entry; the middleware asks it who calls.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from hosts.models import HostGroup
from netadmin.access import audit, networks, permissions
from netadmin.access.models import Access, APIToken, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.http import HttpRequest

_BEARER = re.compile(r"[Bb]earer +(nad_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43})")
_HELD: Final = """
SELECT token.*, holder.username, holder.is_superuser,
    access.id AS access_id, access.role AS access_role, access.all_hosts AS access_all_hosts
FROM access_apitoken token
JOIN auth_user holder ON holder.id = token.user_id
LEFT JOIN access_access access ON access.user_id = holder.id
WHERE token.digest = %s AND holder.is_active
"""
USED_EVERY = dt.timedelta(minutes=1)
"""``last_used_at`` is written at most this often, so a poller costs no write a call."""


class WrongAddress(Exception):
    """A live token came from outside the networks it may be used from."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.prefix = prefix


def create(
    *,
    user: User,
    name: str,
    scope: Scope,
    expires_at: dt.datetime | None = None,
    groups: Iterable[HostGroup] | None = None,
    from_networks: Iterable[str] = (),
) -> tuple[APIToken, str]:
    """Store a new token; returns the row and the token itself, which nobody can read again.

    ``groups`` limits what it sees; None leaves it all that its user sees. ``from_networks`` (as
    :func:`networks.normal` writes them) limits where it is used from; none: anywhere.
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
            networks=list(from_networks),
        )
        row.groups.set(groups or ())
    return row, text


def make(
    *,
    user: User,
    name: str,
    scope: Scope,
    expires_at: dt.datetime | None,
    groups: Iterable[HostGroup] | None = None,
    from_networks: Iterable[str] = (),
    request: HttpRequest | None = None,
    by: str = "",
) -> tuple[APIToken, str]:
    """:func:`create`, recorded in the audit log; ``by`` says who where no request does."""
    chosen = None if groups is None else list(groups)
    listed = list(from_networks)
    with transaction.atomic():
        row, text = create(
            user=user,
            name=name,
            scope=scope,
            expires_at=expires_at,
            groups=chosen,
            from_networks=listed,
        )
        detail = {
            "scope": row.scope,
            "expires": audit.plain(expires_at),
            "groups": audit.plain(chosen or []),
            "networks": listed,
        }
        if by:
            detail["by"] = by
        audit.record("token.add", request=request, target=row, detail=detail)
    return row, text


def change(token: APIToken, values: Mapping[str, Any], *, request: HttpRequest) -> None:
    """Give a live token other ``name``, ``networks`` or ``expires_at``; recorded.

    One that is over stays over. What it may do and see is decided once, when it is made. Values are
    valid; where none differs nothing is written.
    """
    before = {name: getattr(token, name) for name in values}
    differ = audit.changes(before, dict(values))
    if not differ:
        return
    with transaction.atomic():
        for name in differ:
            setattr(token, name, values[name])
        token.save(update_fields=list(differ))
        audit.record("token.change", request=request, target=token, detail=differ)


def revoke(token: APIToken, *, request: HttpRequest) -> None:
    """End a token at once and for ever, recorded; one that is revoked stays as it was."""
    if token.revoked_at is not None:
        return
    with transaction.atomic():
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record("token.revoke", request=request, target=token)


def scopes(user: User) -> list[Scope]:
    """The scopes that a token of ``user`` may have: none above its role."""
    role = permissions.user_role(user)
    return [scope for scope, needed in permissions.SCOPE_ROLES.items() if role and needed <= role]


def groups_of(user: User) -> QuerySet[HostGroup]:
    """The host groups that ``user`` may limit a token to: those it sees itself."""
    access = getattr(user, "access", None)
    if user.is_superuser or access is None or access.all_hosts:
        return HostGroup.objects.all()
    return access.groups.all()  # type: ignore[no-any-return]


def authenticate(header: str, *, address: str | None) -> APIToken | None:
    """The live token of an ``Authorization`` header, its user and groups loaded; else None.

    Raises :class:`WrongAddress` where it may not be used from ``address``; that is no use of it.
    Sets ``token.user.token_groups`` (ids, or None for no limit), which
    ``Host.objects.visible_to`` obeys. Writes when and from where it was last used.
    """
    match = _BEARER.fullmatch(header)
    if match is None:
        return None
    now = timezone.now()
    token = _held(_digest(match[1]))
    if token is None or not token.is_live(now):
        return None
    if not networks.admit(token.networks, address):
        raise WrongAddress(token.prefix)
    token.user.token_groups = (  # type: ignore[attr-defined]
        None if token.all_hosts else list(token.groups.values_list("pk", flat=True))
    )
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        token.last_used_at, token.last_used_ip = now, address
        token.save(update_fields=["last_used_at", "last_used_ip"])
    return token


def _held(digest: str) -> APIToken | None:
    """The token with that digest, of an active user, who is loaded with its access. One query.

    Each answer to a program begins with it. To have it built by ``select_related`` each time takes
    four times as long, a third of what a small answer takes altogether.
    """
    rows = APIToken.objects.raw(_HELD, [digest])
    token = next(iter(rows), None)
    if token is None:
        return None
    found = vars(token)
    # from_db takes values in the order of the model's fields; what is left out is read when asked.
    user = get_user_model().from_db(
        rows.db,
        ["id", "is_superuser", "username", "is_active"],
        [token.user_id, bool(found["is_superuser"]), found["username"], True],
    )
    if found["access_id"] is not None:
        user.access = Access.from_db(
            rows.db,
            ["id", "user_id", "role", "all_hosts"],
            [
                found["access_id"],
                token.user_id,
                found["access_role"],
                bool(found["access_all_hosts"]),
            ],
        )
    token.user = user
    return token


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
