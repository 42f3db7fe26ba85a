"""The settings an operator can give, each declared once.

Place in the data's way: read by ``netadmin.settings``; ``.env.example`` and the compose file are
checked against :data:`VARIABLES`. Every name may also be given as ``NAME_FILE``, the path of a
file that holds the value (django-environ's ``FileAwareEnv``). A value of the wrong type is
refused with the name of the setting.
"""

from __future__ import annotations

import os
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
    Variable("PROBE_INTERVAL_S", "int", 60, "Seconds between probes of a host without its own."),
    Variable(
        "PROBE_TABLES_MINUTES",
        "int",
        10,
        "Minutes between probes that also take routes, interfaces, protocol counters and multicast "
        "groups. 0: never.",
    ),
    Variable("PROBE_DEADLINE_S", "int", 30, "Seconds one probe may take from connect to end."),
    Variable(
        "PROBE_MAX_BYTES", "int", 32 * 1024 * 1024, "Bytes of output after which a probe fails."
    ),
    Variable("PROBE_THREADS", "int", 20, "Hosts one worker process probes at the same time."),
    Variable(
        "RETENTION_DAYS",
        "int",
        90,
        "Days that closed sockets, snapshots, former network tables and counters are kept.",
    ),
    Variable("RAW_RETENTION_DAYS", "int", 14, "Days that raw output of failed probes is kept."),
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
            return getattr(self._env, variable.kind)(name, default=variable.default)
        except ImproperlyConfigured:
            raise
        except Exception as error:
            raise ImproperlyConfigured(f"{name} is not a valid {variable.kind}: {error}") from None


def site_parts(site_url: str) -> tuple[str, str, bool]:
    """Split SITE_URL into (host name, origin for CSRF, is https); raises ImproperlyConfigured."""
    parts = urlsplit(site_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"SITE_URL must look like https://netadmin.example.com, not {site_url!r}."
        )
    return parts.hostname, f"{parts.scheme}://{parts.netloc}", parts.scheme == "https"
