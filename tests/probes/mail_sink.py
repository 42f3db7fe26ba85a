"""A real SMTP server on loopback that keeps what it takes, and refuses or stalls where it is told.

``with Sink() as sink: ...``; ``sink.settings`` are Django's settings that lead there.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.servers import free_port


@dataclass(frozen=True)
class Mail:
    """One message as it arrived."""

    recipients: tuple[str, ...]
    message: EmailMessage

    def part(self, kind: str) -> Any:
        """The content of its only part of a MIME type."""
        (found,) = [part for part in self.message.walk() if part.get_content_type() == kind]
        return found.get_content()


@dataclass
class Sink:
    """The server; what it was told may change while it runs."""

    mails: list[Mail] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Recipient -> the answer to it; ``*`` for everybody."""
    stalls: set[str] = field(default_factory=set)
    """Recipients whose message is read and never answered."""
    stalled: threading.Event = field(default_factory=threading.Event)
    logins: bool = False
    """Whether it wants a login, which it then always refuses, and says the password aloud."""

    def __enter__(self) -> Self:
        self.port = free_port()
        self._over = asyncio.Event()
        more: dict[str, Any] = {}
        if self.logins:
            more = {
                "authenticator": self._refuse_login,
                "auth_require_tls": False,
                "auth_required": True,
            }
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **more)
        self._controller.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._controller.loop.call_soon_threadsafe(self._over.set)
        self._controller.stop()

    @property
    def settings(self) -> dict[str, Any]:
        """What leads Django's mail here."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": self.port,
        }

    def of(self, recipient: str) -> list[Mail]:
        """What one recipient got."""
        return [mail for mail in self.mails if recipient in mail.recipients]

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Take or refuse a recipient."""
        refusal = self.refused.get(address) or self.refused.get("*")
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a message, or stall."""
        if self.stalls & set(envelope.rcpt_tos):
            self.stalled.set()
            await self._over.wait()
            return "421 over"
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(Mail(tuple(envelope.rcpt_tos), parsed))
        return "250 OK"

    def _refuse_login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        said = f"535 5.7.8 not with the password {data.password.decode()}"
        return AuthResult(success=False, handled=False, message=said)
