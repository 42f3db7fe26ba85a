"""API tokens as JSON and CSV: never the token itself, nor its digest.

Place in the data's way: after ``netadmin.access.models``, before ``netadmin.envelope``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from netadmin.access.models import APIToken
from probes import payloads
from probes.payloads.shapes import names, tokens

TOKEN: Final = names(tokens.Token)


def token(row: APIToken, *, now: dt.datetime, current: bool) -> dict[str, Any]:
    """A token whose groups are loaded, as it is at ``now``."""
    state = "live" if row.is_live(now) else "expired"
    if row.revoked_at is not None:
        state = "revoked"
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "state": state,
        "scope": row.scope,
        "all_hosts": row.all_hosts,
        "groups": [{"id": group.pk, "name": group.name} for group in row.groups.all()],
        "networks": row.networks,
        "created_at": payloads.time(row.created_at),
        "expires_at": payloads.time(row.expires_at),
        "revoked_at": payloads.time(row.revoked_at),
        "last_used_at": payloads.time(row.last_used_at),
        "last_used_ip": row.last_used_ip,
        "current": current,
    }
