"""Where messages go, and what was sent. No secret is ever in here.

Place in the data's way: filled by ``probes.notify.shown``, declared by ``probes.api.channels``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Time
from probes.payloads.shapes.words import (
    AlertKind,
    ChannelKind,
    DeliveryError,
    DeliveryKind,
    DeliveryState,
    Severity,
)


class Channel(TypedDict):
    """A way to tell people, and how its newest message went."""

    id: Identity
    name: str
    kind: ChannelKind
    enabled: bool
    address_shown: str | None
    """Scheme and host of the address, which itself is a secret."""
    recipients: list[str]
    """Of e-mail."""
    signed: bool
    """Whether a signing key is stored."""
    template: str | None
    language: str | None
    groups: list[str]
    """Names of the host groups that it tells of; empty: of all hosts."""
    kinds: list[AlertKind]
    """Empty: all."""
    min_severity: Severity
    send_resolved: bool
    per_hour: Count
    """Messages an hour at most."""
    repeat_minutes: Annotated[int, Field(ge=1)] | None
    """Remind so often while an alert is active; null: never."""
    escalate_minutes: Annotated[int, Field(ge=1)] | None
    """Only told once nobody has acknowledged for so long; null: at once."""
    waiting: Count
    """Messages that wait to be sent."""
    last_state: DeliveryState | None
    last_at: Time | None
    last_error: DeliveryError | None
    last_error_text: str | None
    """In the reader's language."""


class Channels(Listed):
    """The channels, by name."""

    channels: list[Channel]


class OneChannel(TypedDict):
    """A channel."""

    channel: Channel


class ChannelRemoved(TypedDict):
    """The channel is gone with its messages."""

    dropped: Count
    """How many of them waited."""


class Delivery(TypedDict):
    """A message of a channel."""

    uid: Annotated[str, Field(pattern="^[0-9a-f-]{36}$")]
    """The same at each try, so that a receiver knows it again."""
    kind: DeliveryKind
    state: DeliveryState
    created_at: Time
    sent_at: Time | None
    try_after: Time | None
    """When it is sent, or tried again; null: it is sent, or given up."""
    tries: Count
    error: DeliveryError | None
    error_text: str | None
    """In the reader's language."""
    subject: str
    alerts: Count
    """Active alerts that it tells of."""
    over: Count
    """Alerts that it tells to be over."""
    changes: list[Identity]
    reached: list[str]
    """Recipients whose mail the server took."""


class Deliveries(Listed):
    """The messages of a channel, newest first."""

    deliveries: list[Delivery]


class OneDelivery(TypedDict):
    """A message of a channel."""

    delivery: Delivery
