"""What names, users and addresses may look like: nothing that a shell or option parser reads."""

from __future__ import annotations

import ipaddress
import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ZONE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,31}")
_NAME = re.compile(r"[\w][\w .:@()\-]{0,99}")


def validate_login_name(value: str) -> None:
    """Refuse a user name with characters that ssh or a shell could take for something else."""
    if not _LOGIN.fullmatch(value):
        raise ValidationError(
            _("A user name has letters, digits, dot, dash, underscore or @, and no leading dash."),
            code="invalid",
        )


def validate_host_name(value: str) -> None:
    """Refuse a display name with control characters, quotes, or a leading dash."""
    if not _NAME.fullmatch(value):
        raise ValidationError(
            _("A name starts with a letter or digit and has no quotes or control characters."),
            code="invalid",
        )


def validate_address(value: str) -> None:
    """Accept a DNS name, an IPv4 or an IPv6 address (zone id allowed), and nothing else."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        # The standard library takes any text as a zone id.
        zone = getattr(address, "scope_id", None)
        if zone is None or _ZONE.fullmatch(zone):
            return
    labels = value.rstrip(".").split(".")
    numeric = all(label.isdigit() for label in labels)
    if len(value) > 253 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValidationError(
            _("Enter a host name, an IPv4 address or an IPv6 address."), code="invalid"
        )


def plain_address(value: str) -> str:
    """One spelling of a valid address: host keys are looked up by it."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value.rstrip(".").lower()


def validate_key_file(value: str) -> None:
    """Refuse anything but an absolute path without control characters or ``..``."""
    if not value.startswith("/") or "/../" in f"{value}/" or not value.isprintable():
        raise ValidationError(_("Enter an absolute path."), code="invalid")
