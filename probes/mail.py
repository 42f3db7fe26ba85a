"""What every mail of netadmin has in common: whether one can be sent, and how it is addressed.

Place in the data's way: below ``probes.reports.sending`` and ``probes.hunts.alert_mail``, which
decide what is sent to whom and when; above Django's mail library. Knows no models.
"""

from __future__ import annotations

import uuid
from email.utils import parseaddr
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

if TYPE_CHECKING:
    from django.core.mail.backends.base import BaseEmailBackend

NO_MAIL_SERVER: Final = frozenset(
    {
        "django.core.mail.backends.console.EmailBackend",
        "django.core.mail.backends.dummy.EmailBackend",
    }
)


def can_mail() -> bool:
    """Whether a mail server is set at all: ``EMAIL_URL`` names none by default."""
    return settings.EMAIL_BACKEND not in NO_MAIL_SERVER


def message(
    *, to: str, subject: str, text: str, about: str, connection: BaseEmailBackend
) -> EmailMultiAlternatives:
    """One recipient's message from the site's sender: nobody sees who else gets it.

    ``about`` says what it tells of, in the same words for every try: a message that is sent twice
    has the same Message-ID (RFC 5322, 3.6.4) and is seen to be one. ``subject`` is one line.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    one = uuid.uuid5(uuid.NAMESPACE_URL, f"netadmin:{about}:{to}")
    return EmailMultiAlternatives(
        subject=subject,
        body=text,
        to=[to],
        connection=connection,
        headers={"Message-ID": f"<{one}@{domain}>", "Auto-Submitted": "auto-generated"},
    )


def one_line(text: str, most: int) -> str:
    """At most ``most`` characters without anything that a mail or a terminal would obey."""
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
