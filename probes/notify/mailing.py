"""Sends a message as mail, each recipient one of its own.

Place in the data's way: called by ``sending``; above ``probes.mail``. Who was reached is told to
the caller after each, so that a later try goes on with the others. Every try of a message carries
the same Message-ID and ``X-Netadmin-Delivery``. What a mail server says may hold the login it was
given: only its code is kept.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import time
from collections.abc import Callable
from typing import Final

from django.core.mail import get_connection

from probes import mail
from probes.models import Delivery
from probes.notify.messages import Message
from probes.notify.trouble import CannotSend

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 20.0


def send(
    delivery: Delivery, message: Message, *, deadline_s: float, reached: Callable[[str], None]
) -> None:
    """Mail it to the channel's recipients that have not got it; raises CannotSend."""
    if not mail.can_mail():
        raise CannotSend("no_mail_server")
    everybody = delivery.channel.recipients.split()
    if not everybody:
        raise CannotSend("no_recipients")
    until = time.monotonic() + deadline_s
    left = [who for who in everybody if who not in delivery.reached]
    connection = get_connection(timeout=min(TIMEOUT_S, deadline_s))
    refused = ""
    try:
        connection.open()
        for who in left:
            if time.monotonic() >= until:
                raise CannotSend("timeout")
            one = mail.message(
                to=who,
                subject=message.subject,
                text=message.text,
                about=f"delivery:{message.uid}",
                connection=connection,
            )
            one.extra_headers["X-Netadmin-Delivery"] = message.uid
            try:
                one.send()
            except smtplib.SMTPRecipientsRefused as error:
                refused = ", ".join(str(code) for code, _said in error.recipients.values())
                continue
            except smtplib.SMTPResponseException as error:
                refused = str(error.smtp_code)
                continue
            reached(who)
    except smtplib.SMTPResponseException as error:
        raise CannotSend("mail_refused", str(error.smtp_code)) from None
    except (OSError, smtplib.SMTPException) as error:
        raise CannotSend("mail_unreachable", type(error).__name__) from None
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.close()
    if refused:
        raise CannotSend("mail_refused", refused)
