"""System checks of the key ring: every management command refuses to run on a bad one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from hosts import rotation, secrets


@register("hosts")
def the_key_ring_can_be_used(**kwargs: Any) -> list[CheckMessage]:
    """FIELD_ENCRYPTION_KEYS is well formed, private, and opens what is stored."""
    try:
        secrets.parse_ring(settings.FIELD_ENCRYPTION_KEYS)
    except secrets.KeyRingError as error:
        return [Error(str(error), id="hosts.E001")]
    try:
        secrets.verify_files()
    except secrets.KeyRingError as error:
        return [Error(str(error), id="hosts.E002")]
    return [Error(problem, id="hosts.E003") for problem in rotation.unreadable()]
