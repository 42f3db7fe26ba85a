"""The settings an operator can give, each declared once.

Place in the data's way: read by ``netadmin.settings``; ``.env.example`` and the compose file are
checked against :data:`VARIABLES`. Every name may also be given as ``NAME_FILE``, the path of a
file that holds the value (django-environ's ``FileAwareEnv``). A value of the wrong type, and a
number that means nothing, is refused with the name of the setting.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its type as django-environ names it, default and meaning."""

    name: str
    kind: str
    default: Any
    help: str
    secret: bool = False
    required: bool = False
    least: int = 0
    """Of a whole number; it has no meaning below."""
    most: int = 2**31 - 1
    """Of a whole number. Times reach ten years at most, so that no date leaves the calendar."""


_TEN_YEARS_DAYS = 3650
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,30}")

VARIABLES: tuple[Variable, ...] = (
    Variable("SECRET_KEY", "str", None, "Django's signing key; any long random text.", True, True),
    Variable(
        "FIELD_ENCRYPTION_KEYS",
        "str",
        None,
        "Keys for stored secrets as id:base64 of 32 bytes, comma separated, newest first. "
        "`manage.py rotate_keys --new-key` prints one. Keep it apart from database backups.",
        True,
        True,
    ),
    Variable("DEBUG", "bool", False, "Show tracebacks in the browser. Never in production."),
    Variable(
        "SITE_URL",
        "str",
        "http://localhost:8000",
        "Where people open netadmin. Allowed hosts, CSRF origins and secure cookies follow it.",
    ),
    Variable("ALLOWED_HOSTS", "list", [], "Further host names to answer to, comma separated."),
    Variable(
        "TRUSTED_PROXIES",
        "int",
        0,
        "How many reverse proxies stand in front and set X-Forwarded-For and X-Forwarded-Proto.",
        most=100,
    ),
    Variable("DATA_DIR", "str", "var", "Folder of the embedded database, secrets and sockets."),
    Variable(
        "DATABASE_URL",
        "str",
        "",
        "postgres://user:password@host:5432/name. Empty: SQLite in DATA_DIR.",
        True,
    ),
    Variable("REDIS_URL", "str", "", "redis://host:6379/0. Empty: `up` starts its own.", True),
    Variable(
        "CELERY_BROKER_URL", "str", "", "Where Celery queues tasks, if not at REDIS_URL.", True
    ),
    Variable(
        "EMAIL_URL", "str", "consolemail://", "smtp+tls://user:password@host:587 for mail.", True
    ),
    Variable("TIME_ZONE", "str", "UTC", "Zone in which times are shown, such as Asia/Shanghai."),
    Variable("LANGUAGE_CODE", "str", "en", "Default language: en, zh-hans or zh-hant."),
    Variable("LOG_LEVEL", "str", "INFO", "DEBUG, INFO, WARNING or ERROR."),
    Variable(
        "PROBE_INTERVAL_S",
        "int",
        60,
        "Seconds between probes of a host without its own.",
        least=1,
        most=_TEN_YEARS_DAYS * 86_400,
    ),
    Variable(
        "PROBE_TABLES_MINUTES",
        "int",
        10,
        "Minutes between probes that also take routes, interfaces, protocol counters and multicast "
        "groups. 0: never.",
        most=_TEN_YEARS_DAYS * 1440,
    ),
    Variable(
        "PROBE_DEADLINE_S",
        "int",
        30,
        "Seconds one probe may take from connect to end.",
        least=1,
        most=86_400,
    ),
    Variable(
        "PROBE_MAX_BYTES",
        "int",
        32 * 1024 * 1024,
        "Bytes of output after which a probe fails.",
        least=1,
    ),
    Variable(
        "PROBE_THREADS",
        "int",
        20,
        "Hosts one worker process probes at the same time.",
        least=1,
        most=10_000,
    ),
    Variable(
        "RETENTION_DAYS",
        "int",
        90,
        "Days that closed sockets, snapshots, former network tables and counters are kept.",
        least=1,
        most=_TEN_YEARS_DAYS,
    ),
    Variable(
        "RAW_RETENTION_DAYS",
        "int",
        14,
        "Days that raw output of failed probes is kept.",
        most=_TEN_YEARS_DAYS,
    ),
)

_BY_NAME = {variable.name: variable for variable in VARIABLES}


class Reader:
    """Reads declared variables from the process environment and an optional env file."""

    def __init__(self, env_file: Path | None = None) -> None:
        if env_file is not None and env_file.exists():
            environ.Env.read_env(str(env_file))
        self._env = environ.FileAwareEnv()

    def __call__(self, name: str) -> Any:
        """Value of a declared variable; raises ImproperlyConfigured naming it."""
        variable = _BY_NAME[name]
        if variable.default is None and name not in os.environ and f"{name}_FILE" not in os.environ:
            if variable.required:
                raise ImproperlyConfigured(
                    f"{name} is not set. Set it, or {name}_FILE, or start with "
                    "`python3 manage.py up`, which makes one."
                )
            return None
        try:
            if variable.kind == "int":
                return _whole_number(variable, self._env.str(name, default=str(variable.default)))
            return getattr(self._env, variable.kind)(name, default=variable.default)
        except ImproperlyConfigured:
            raise
        except Exception as error:
            raise ImproperlyConfigured(f"{name} is not a valid {variable.kind}: {error}") from None


def _whole_number(variable: Variable, text: str) -> int:
    """The number in ``text``; ImproperlyConfigured where it is none, or one without a meaning."""
    written = text.strip()
    if _WHOLE_NUMBER.fullmatch(written) is None:
        raise ImproperlyConfigured(f"{variable.name} is not a whole number: {text[:100]!r}.")
    number = int(written)
    if not variable.least <= number <= variable.most:
        raise ImproperlyConfigured(
            f"{variable.name} must be a whole number from {variable.least} to {variable.most}, "
            f"not {number}."
        )
    return number


def site_parts(site_url: str) -> tuple[str, str, bool]:
    """Split SITE_URL into (host name, origin for CSRF, is https); raises ImproperlyConfigured."""
    parts = urlsplit(site_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"SITE_URL must look like https://netadmin.example.com, not {site_url!r}."
        )
    return parts.hostname, f"{parts.scheme}://{parts.netloc}", parts.scheme == "https"
