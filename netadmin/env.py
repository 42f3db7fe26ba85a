"""The settings an operator can give, each declared once.

Place in the data's way: read by ``netadmin.settings``; ``.env.example`` and the compose file are
checked against :data:`VARIABLES`. Every name may also be given as ``NAME_FILE``, the path of a
file that holds the value (django-environ's ``FileAwareEnv``). A value of the wrong type, and a
number that means nothing, is refused with the name of the setting.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from email.utils import parseaddr
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
_MAIL_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,30}")

USUAL_PORTS = "21,22,23,25,53,80,110,443,3306,8080"

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
    Variable(
        "API_PER_MINUTE",
        "int",
        600,
        "Requests a minute that one token, or one session, may make of the API. 0: no limit.",
        most=1_000_000,
    ),
    Variable(
        "LIVE_PER_MINUTE",
        "int",
        30,
        "Of them, those that log in to a host while the caller waits. 0: no limit.",
        most=1_000_000,
    ),
    Variable(
        "EVENT_STREAMS",
        "int",
        6,
        "Streams of events that one web process keeps open, well below its threads. 0: none.",
        most=1_000,
    ),
    Variable("REDIS_URL", "str", "", "redis://host:6379/0. Empty: `up` starts its own.", True),
    Variable(
        "CELERY_BROKER_URL", "str", "", "Where Celery queues tasks, if not at REDIS_URL.", True
    ),
    Variable(
        "EMAIL_URL", "str", "consolemail://", "smtp+tls://user:password@host:587 for mail.", True
    ),
    Variable(
        "EMAIL_FROM",
        "str",
        "",
        "Sender of mail: an address, or Name <address>. Empty: netadmin@ the host of SITE_URL.",
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
        "CONNECT_BACK",
        "bool",
        True,
        "Let operators try from here which listeners of a host answer (a TCP connect, nothing is "
        "sent).",
    ),
    Variable(
        "REVERSE_DNS",
        "bool",
        True,
        "Ask DNS, in the background, for the names of the addresses that pages show.",
    ),
    Variable(
        "DNS_SERVERS",
        "list",
        [],
        "Whom to ask for those names, as IP addresses with an optional port ([2001:db8::1]:53), "
        "comma separated. Empty: the servers of this machine.",
    ),
    Variable(
        "OUTBOUND_ALLOWED_NETWORKS",
        "list",
        [],
        "Networks (CIDR, comma separated) that webhooks, channels and sources of hosts may reach "
        "although they are loopback, private or otherwise not public, such as 10.20.0.0/16.",
    ),
    Variable(
        "CMDB_FILES_DIR",
        "str",
        "",
        "Absolute path of the only folder whose files may be read as sources of hosts. Empty: "
        "sources are asked over HTTP only.",
    ),
    Variable(
        "COMMON_PORTS",
        "str",
        USUAL_PORTS,
        "Ports that the statistic of common ports begins with, comma separated, at most 50.",
    ),
    Variable("PORT_NAMES", "bool", True, "Show the registered names of ports beside them."),
    Variable(
        "ALERT_QUIET_S",
        "int",
        10,
        "Seconds without anything new after which what gathered is sent to a channel as one "
        "message.",
        most=3_600,
    ),
    Variable(
        "ALERT_MAX_WAIT_S",
        "int",
        120,
        "Seconds after which it is sent although new things still come.",
        most=3_600,
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
        "ROLLUP_RETENTION_DAYS",
        "int",
        730,
        "Days that charts reach back: their hours and days are kept longer than what they sum up.",
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


def mail_sender(text: str, site_host: str) -> str:
    """The sender of mail: what EMAIL_FROM says, or an address at the site's host; raises
    ImproperlyConfigured."""
    if not text.strip():
        named = "." in site_host and not site_host.replace(".", "").isdigit()
        return f"netadmin <netadmin@{site_host if named else 'localhost'}>"
    address = parseaddr(text.strip())[1]
    if not text.isprintable() or not _MAIL_ADDRESS.fullmatch(address):
        raise ImproperlyConfigured(
            f"EMAIL_FROM must be a mail address or Name <address>, not {text[:100]!r}."
        )
    return text.strip()


def site_parts(site_url: str) -> tuple[str, str, bool]:
    """Split SITE_URL into (host name, origin for CSRF, is https); raises ImproperlyConfigured."""
    parts = urlsplit(site_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"SITE_URL must look like https://netadmin.example.com, not {site_url!r}."
        )
    return parts.hostname, f"{parts.scheme}://{parts.netloc}", parts.scheme == "https"


def dns_servers(listed: list[str]) -> list[tuple[str, int]]:
    """DNS_SERVERS as (address, port); raises ImproperlyConfigured. A name would itself need DNS."""
    servers = []
    for text in map(str.strip, listed):
        address, port = text, "53"
        bracketed = _BRACKETED.fullmatch(text)
        if bracketed is not None:
            address, port = bracketed[1], bracketed[2] or "53"
        elif text.count(":") == 1:
            address, _colon, port = text.partition(":")
        try:
            plain = str(ipaddress.ip_address(address))
            number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else 0
            if not 1 <= number <= 65535:
                raise ValueError("no port")
        except ValueError:
            raise ImproperlyConfigured(
                f"DNS_SERVERS lists {text[:100]!r}. Give IP addresses such as 192.0.2.53 or "
                "[2001:db8::53]:5353."
            ) from None
        servers.append((plain, number))
    return servers


def networks(listed: list[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """OUTBOUND_ALLOWED_NETWORKS; raises ImproperlyConfigured."""
    found = []
    for text in map(str.strip, listed):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise ImproperlyConfigured(
                f"OUTBOUND_ALLOWED_NETWORKS lists {text[:100]!r}. Give networks such as "
                "10.20.0.0/16 or 2001:db8::/48."
            ) from None
    return tuple(found)


def folder(name: str, text: str) -> Path | None:
    """An absolute path, or None where it is empty; raises ImproperlyConfigured."""
    if not text.strip():
        return None
    path = Path(text.strip()).expanduser()
    if not path.is_absolute():
        raise ImproperlyConfigured(f"{name} must be an absolute path, not {text[:100]!r}.")
    return path


def common_ports(text: str) -> tuple[int, ...]:
    """COMMON_PORTS as numbers, each once, the usual ones where it is empty; raises
    ImproperlyConfigured."""
    ports = []
    for part in map(str.strip, (text.strip() or USUAL_PORTS).split(",")):
        port = int(part) if re.fullmatch(r"[0-9]{1,5}", part) else 0
        if not 1 <= port <= 65535:
            raise ImproperlyConfigured(
                f"COMMON_PORTS lists {part[:100]!r}. Give ports from 1 to 65535, comma separated."
            )
        ports.append(port)
    if len(ports) > 50:
        raise ImproperlyConfigured("COMMON_PORTS lists more than 50 ports.")
    return tuple(dict.fromkeys(ports))


_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?")
