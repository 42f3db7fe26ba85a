"""Why a message did not arrive: codes, and their words in the reader's language.

Place in the data's way: raised by ``mailing``, ``webhook`` and ``team_chat``, stored by ``sending``
as ``code`` or ``code: detail``, read by pages and JSON. A detail never holds a secret.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from probes import mail

WORDS: Final = {
    "no_mail_server": gettext_noop(
        "No mail server is set. Set EMAIL_URL, such as smtp+tls://user:password@mail.example.com:587."
    ),
    "no_recipients": gettext_noop("It has no recipients."),
    "mail_refused": gettext_noop("The mail server refused it."),
    "mail_unreachable": gettext_noop("The mail server could not be reached."),
    "no_address": gettext_noop("It has no address. Enter it again."),
    "secret_unreadable": gettext_noop(
        "Its address or key cannot be decrypted. Enter it again, or restore the lost key."
    ),
    "blocked": gettext_noop(
        "Its address may not be reached. OUTBOUND_ALLOWED_NETWORKS can allow a network."
    ),
    "url": gettext_noop("Its address is no URL that may be asked."),
    "dns": gettext_noop("The name of the server was not found."),
    "connect": gettext_noop("The server could not be connected to."),
    "tls": gettext_noop("The certificate of the server is not trusted, or it speaks no TLS."),
    "timeout": gettext_noop("It did not answer in time."),
    "redirect": gettext_noop("It sends elsewhere. Enter the final address."),
    "status": gettext_noop("The receiver refused it."),
    "answer": gettext_noop("The answer was not one of a web server."),
    "template": gettext_noop("Its template is no JSON any more."),
    "service": gettext_noop("The service did not take it. Check token, room and rights."),
    "switched_off": gettext_noop("The channel was switched off while it waited."),
    "interrupted": gettext_noop("The sender was ended again and again while it was sent."),
    "internal_error": gettext_noop("It could not be sent. The log has the reason."),
}
LONGEST_DETAIL: Final = 300


class CannotSend(Exception):
    """A try failed for one of WORDS."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail

    def stored(self) -> str:
        """As ``Delivery.error`` keeps it."""
        detail = mail.one_line(self.detail, LONGEST_DETAIL)
        return f"{self.code}: {detail}" if detail else self.code


def said(error: str) -> str:
    """A stored error in the active language; empty for none."""
    code, _colon, detail = error.partition(": ")
    words = _(WORDS[code]) if code in WORDS else error
    return f"{words} ({detail})" if detail and code in WORDS else words


def code_of(error: str) -> str | None:
    """The code of a stored error."""
    return error.partition(": ")[0] or None
