"""API tokens, as their owner sees them.

Place in the data's way: filled by ``probes.payloads.tokens``, declared by ``probes.api.tokens``.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Identity, Listed, Named, Time


class Token(TypedDict):
    """A token, without the token itself, which was shown once."""

    id: Identity
    name: str
    prefix: str
    """It begins with ``nad_`` and this."""
    state: Literal["live", "expired", "revoked"]
    scope: Literal["read", "operate", "admin"]
    all_hosts: bool
    """All that its user sees; otherwise the hosts of ``groups``, also where those are none."""
    groups: list[Named]
    networks: list[str]
    """Where it may be used from, as CIDR; empty: from anywhere."""
    created_at: Time
    expires_at: Time | None
    """Null where it never does."""
    revoked_at: Time | None
    last_used_at: Time | None
    """To a minute."""
    last_used_ip: str | None
    current: bool
    """Whether this request came with it."""


class Tokens(Listed):
    """One's own tokens."""

    tokens: list[Token]


class OneToken(TypedDict):
    """A token of one's own."""

    token: Token
