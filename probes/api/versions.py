"""Which version of an answer there is, said cheaply, for ``version=`` of a route.

Place in the data's way: called by ``probes.api.routing`` with the arguments of the handler, before
it. A version covers all that may change in the answer but for what ``probes.api.conditional``
covers itself; where that cannot be said in a query or two, it is None and the body decides.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.http import HttpRequest

from hosts.models import Host
from probes.api.shared import visible_hosts
from probes.models import Schedule

MOST_HOSTS: Final = 5_000
"""More are not looked at to spare an answer."""


def of_body(request: HttpRequest, *subject: Any, query: Any = None) -> None:
    """The version of an answer that depends on more than is cheaply known: its body's."""
    return


def of_host(request: HttpRequest, host: Host, query: Any) -> str | None:
    """The version of what the newest whole probe of a host shows. One query.

    None where a time or a page is asked for: what was shown of them may be deleted by now.
    """
    if query.at is not None or query.snapshot is not None or query.cursor is not None:
        return None
    whole = Schedule.objects.filter(host=host).values_list("latest_whole_id", flat=True).first()
    return json.dumps([host.pk, host.name, whole])


def of_hosts(request: HttpRequest, query: Any) -> str | None:
    """The version of what the newest whole probes of the hosts asked for show. One query, two with
    a group; None as :func:`of_host`, and where there are very many."""
    if any(getattr(query, name, None) is not None for name in ("at", "snapshot", "cursor")):
        return None
    hosts = visible_hosts(request)
    if query.group is not None:
        hosts = hosts.in_group(query.group, request.user)
    if query.host is not None:
        hosts = hosts.filter(pk=query.host)
    shown = hosts.order_by("pk").values_list("pk", "name", "schedule__latest_whole_id")
    known = list(shown[: MOST_HOSTS + 1])
    return json.dumps(known) if 0 < len(known) <= MOST_HOSTS else None
