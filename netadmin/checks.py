"""System checks of this project, run by every management command and by ``check --deploy``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from netadmin.access import routes
from netadmin.access.middleware import UNMARKED_ALLOWED


@checks.register("netadmin", deploy=True)
def every_route_is_listed(**kwargs: Any) -> list[CheckMessage]:
    """Each URL pattern is in the route table, each table row has its pattern, each view a mark."""
    found = {entry.name: entry for entry in routes.walk()}
    problems: list[CheckMessage] = [
        checks.Error(
            f"The route {name!r} ({found[name].path}) is not in netadmin/access/routes.py.",
            hint=f'Decide who may call it and add: route("{name}", {{"GET": VIEWER}}),',
            id="netadmin.E001",
        )
        for name in sorted(found.keys() - routes.BY_NAME.keys())
    ]
    problems += [
        checks.Error(
            f"netadmin/access/routes.py lists {name!r}, which no URL pattern has.",
            hint="Remove the row.",
            id="netadmin.E002",
        )
        for name in sorted(routes.BY_NAME.keys() - found.keys())
    ]
    problems += [
        checks.Error(
            f"The view of {entry.name!r} ({entry.path}) has no required role.",
            hint="Mark it with @require(Role.VIEWER) or @public.",
            id="netadmin.E003",
        )
        for entry in found.values()
        if entry.name.partition(":")[0] not in UNMARKED_ALLOWED
        and not hasattr(entry.view, "required_role")
        and not entry.path.startswith("/admin/")
    ]
    return problems


@checks.register("netadmin", deploy=True)
def the_site_is_reached_by_https(**kwargs: Any) -> list[CheckMessage]:
    """Passwords and tokens travel through SITE_URL."""
    if settings.SITE_URL.startswith("https://"):
        return []
    return [
        checks.Warning(
            f"SITE_URL is {settings.SITE_URL}: passwords and tokens cross the network unencrypted.",
            hint="Put a reverse proxy with TLS in front, set SITE_URL to its https:// address "
            "and TRUSTED_PROXIES to 1.",
            id="netadmin.W001",
        )
    ]
