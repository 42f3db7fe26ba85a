"""Sends a message as JSON over HTTP: netadmin's own shape, or the channel's template.

Place in the data's way: called by ``sending``; ``netadmin.outbound`` holds it to public addresses.

Headers: ``X-Netadmin-Delivery`` (the uid, the same for each try), ``X-Netadmin-Timestamp`` (seconds
since 1970, of this try) and, with a signing key, ``X-Netadmin-Signature: sha256=<hex>``: the
HMAC-SHA256 of the timestamp, a dot and the body.

A template is a JSON text whose strings may have placeholders, ``{"text": "{{ subject }}"}``. It is
parsed first and filled in afterwards, so that nothing a host says leaves its string. A string that
is nothing but ``{{ items }}``, ``{{ active }}``, ``{{ over }}`` or ``{{ hosts }}`` becomes the list
or number itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from typing import Any, Final

from django.conf import settings

from netadmin import outbound
from probes.models import Delivery
from probes.notify.messages import Message
from probes.notify.trouble import CannotSend

VERSION: Final = 1
MOST_ANSWER_BYTES: Final = 1024 * 1024
LONGEST_TEMPLATE: Final = 10_000
MOST_DEPTH: Final = 20
PLACEHOLDERS: Final = (
    "uid", "kind", "subject", "text", "severity", "active", "over", "hosts", "items", "channel",
    "site", "created_at",
)  # fmt: skip
_PLACE = re.compile(r"\{\{ ?([a-z_]{1,20}) ?\}\}")
_ANSWERS: Final = frozenset({"truncated", "too_large", "encoding", "protocol"})
"""Failures of ``outbound`` that are told alike."""


class BadTemplate(ValueError):
    """A template that is no JSON, or asks for what there is not; ``name`` is the placeholder."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.name = name


def check_template(template: str) -> None:
    """Raise :class:`BadTemplate` where it cannot be filled in."""
    _fill(_parsed(template), dict.fromkeys(PLACEHOLDERS, ""))


def body(message: Message, template: str = "") -> bytes:
    """What is sent; the same bytes for each try. Raises BadTemplate."""
    values: dict[str, Any] = {
        "uid": message.uid,
        "kind": message.kind,
        "subject": message.subject,
        "text": message.text,
        "severity": message.severity,
        "active": message.active,
        "over": message.over,
        "hosts": message.hosts,
        "items": list(message.items),
        "channel": message.channel,
        "site": settings.SITE_URL,
        "created_at": message.created_at,
    }
    filled = _fill(_parsed(template), values) if template else {"version": VERSION, **values}
    # Escaped to ASCII, so that a lone surrogate in a name is no invalid UTF-8.
    return json.dumps(filled, ensure_ascii=True).encode()


def signature(key: str, timestamp: str, content: bytes) -> str:
    """``sha256=<hex>`` over the timestamp, a dot and the body."""
    signed = timestamp.encode() + b"." + content
    return f"sha256={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}"


def send(delivery: Delivery, message: Message, *, deadline_s: float) -> None:
    """Post it; any 2xx is taken for its arrival. Raises CannotSend and secrets.DecryptionError."""
    channel = delivery.channel
    url, key = channel.secret("address"), channel.secret("signing_key")
    if not url:
        raise CannotSend("no_address")
    try:
        content = body(message, channel.template)
    except BadTemplate as bad:
        raise CannotSend("template", bad.name) from None
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-Netadmin-Delivery": message.uid,
        "X-Netadmin-Timestamp": timestamp,
    }
    if key:
        headers["X-Netadmin-Signature"] = signature(key, timestamp, content)
    try:
        # A redirected POST arrives as a GET without its body, or at somebody else's.
        answer = outbound.request(
            "POST",
            url,
            headers=headers,
            body=content,
            deadline_s=deadline_s,
            max_bytes=MOST_ANSWER_BYTES,
            redirects=0,
        )
    except outbound.Blocked as blocked:
        raise CannotSend("blocked", str(blocked)) from None
    except outbound.Failed as failed:
        raise CannotSend("answer" if failed.code in _ANSWERS else failed.code) from None
    if not 200 <= answer.status < 300:
        raise CannotSend("status", str(answer.status))


def _parsed(template: str) -> Any:
    try:
        return json.loads(template)
    except (ValueError, RecursionError):
        raise BadTemplate from None


def _fill(value: Any, values: dict[str, Any], depth: int = 0) -> Any:
    if depth > MOST_DEPTH:
        raise BadTemplate
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, list):
        return [_fill(each, values, depth + 1) for each in value]
    if isinstance(value, dict):
        return {name: _fill(each, values, depth + 1) for name, each in value.items()}
    return value


def _filled(text: str, values: dict[str, Any]) -> Any:
    whole = _PLACE.fullmatch(text)
    if whole is not None:
        return _value(whole[1], values)

    def said(place: re.Match[str]) -> str:
        found = _value(place[1], values)
        if isinstance(found, list):
            return ", ".join(str(each) for each in found if isinstance(each, str))
        return str(found)

    return _PLACE.sub(said, text)


def _value(name: str, values: dict[str, Any]) -> Any:
    if name not in values:
        raise BadTemplate(name)
    return values[name]
