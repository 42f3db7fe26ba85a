"""Log lines that hostile text cannot forge.

Whatever a host prints may end in a log message; control characters are made visible, so one
message stays one line and no terminal obeys it. Tracebacks show no local variables: those of a
login hold a password.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


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


def configure_structlog() -> None:
    """Send what structlog is told (each web request) through ``logging``, as everything else.

    Its own console renderer prints the local variables of every frame where ``rich`` is installed.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            _to_logging,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _to_logging(
    logger: WrappedLogger, method: str, event: EventDict
) -> tuple[tuple[str, ...], dict[str, Any]]:
    exc_info = event.pop("exc_info", None)
    said = event.pop("event", "")
    words = " ".join(f"{name}={value}" for name, value in event.items())
    return ("%s %s", str(said), words), {"exc_info": exc_info}
