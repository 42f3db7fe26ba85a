"""Log lines that hostile text cannot forge.

Whatever a host prints may end in a log message; control characters are made visible, so one
message stays one line and no terminal obeys it. Tracebacks show no local variables: those of a
login hold a password.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from django_guid.context import guid

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class RequestId(logging.Filter):
    """Gives each record the id of the request it was written for; ``-`` outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is left out."""
        record.request_id = guid.get() or "-"
        return True


class EscapingFormatter(logging.Formatter):
    """Formats as usual, then writes control characters of the message as ``\\xNN``."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line of the log; newlines of a message become ``\\x0a``, tracebacks stay whole."""
        record.message = _CONTROL.sub(
            lambda match: f"\\x{ord(match[0]):02x}", record.message
        ).replace("\n", "\\x0a")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The traceback, its lines indented so that no message in it can look like a line."""
        text = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", super().formatException(ei))
        return "\n".join(f"    {line}" for line in text.split("\n"))
