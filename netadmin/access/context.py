"""What every template knows of the person looking at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from netadmin import __version__
from netadmin.access import permissions
from netadmin.access.models import Role


def access(request: HttpRequest) -> dict[str, Any]:
    """``can_operate``, ``can_administer``, ``can_administer_all`` (no group limits) and version."""
    known = hasattr(request, "user")
    role = permissions.request_role(request) if known else None
    return {
        "role": role,
        "can_operate": role is not None and role >= Role.OPERATOR,
        "can_administer": role is not None and role >= Role.ADMIN,
        "can_administer_all": known and permissions.administers_all(request.user),
        "version": __version__,
    }
