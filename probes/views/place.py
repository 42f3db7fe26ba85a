"""Which hosts a page over the fleet looks at, and at which time: ``?host=``, ``?group=``, ``?at=``.

Place in the data's way: between the query string and ``probes.history.queries``; what the bar
``probes/_at.html`` shows. Always among the hosts that the user may see. A page uses it so::

    try:
        here = place.read(request)
    except FilterError as error:
        problem, here = error, place.everywhere(request)
    scope = here.scope           # of every query over sockets; None where there is no host
    context |= place.context(request, here)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host, HostGroup, HostQuerySet, visible_groups
from probes.filters import FilterError, unstorable
from probes.history.queries import moments as history
from probes.history.queries.sql import Scope
from probes.views import moment
from probes.views.hostpage import with_query

PARAMETERS: Final = ("host", "group", "at")
"""What :func:`read` reads of a page's query."""


@dataclass(frozen=True)
class Place:
    """Which hosts, and when."""

    hosts: HostQuerySet
    """Those asked about, of those the user may see."""
    visible: HostQuerySet
    """All that the user may see."""
    host: Host | None = None
    """The only one, where one was chosen."""
    group: HostGroup | None = None
    at: dt.datetime | None = None
    """UTC; None is now."""

    @cached_property
    def scope(self) -> Scope | None:
        """Of these hosts at that time; None where there is no host. One query, two with ``at``;
        asked once."""
        return history.scope(self.hosts, at=self.at)

    @property
    def past(self) -> bool:
        """Whether a time was asked for."""
        return self.at is not None

    def parameters(self, names: Iterable[str] = PARAMETERS) -> dict[str, str]:
        """The parameters that ask for this place again, here or in the API; those of ``names``."""
        said = {
            "host": None if self.host is None else str(self.host.pk),
            "group": None if self.group is None else self.group.name,
            "at": None if self.at is None else moment.stamp(self.at),
        }
        return {name: value for name in names if (value := said[name]) is not None}

    @property
    def query(self) -> str:
        """What to put behind the address of a page to see it of this place: "" for all, now."""
        asked = self.parameters()
        return f"?{urlencode(asked)}" if asked else ""


def read(request: HttpRequest) -> Place:
    """The place a page's query asks for; FilterError naming host, group or at.

    A host or group that the user may not see is refused in the words of one that does not exist.
    At most two queries.
    """
    visible = Host.objects.kept().visible_to(request.user)
    hosts, host, group = visible, None, None
    if name := request.GET.get("group", "").strip():
        known = visible_groups(request.user).filter(hosts__in=visible).distinct()
        group = None if unstorable(name) else known.filter(name=name[:200]).first()
        if group is None:
            raise FilterError("group", _("There is no such host group, or no host in it."))
        hosts = hosts.filter(groups=group)
    if number := request.GET.get("host", "").strip():
        if number.isascii() and number.isdigit() and len(number) < 19:
            host = hosts.filter(pk=int(number)).first()
        if host is None:
            raise FilterError("host", _("There is no such host."))
        hosts = hosts.filter(pk=host.pk)
    return Place(hosts, visible, host, group, moment.parse(request.GET.get("at", "")))


def narrowed(
    request: HttpRequest, visible: HostQuerySet, *, host: int | None, group: str | None
) -> HostQuerySet:
    """Those of ``visible`` that a host's id and a group's name mean; FilterError naming the field.

    As :func:`read` for a page that reads its own parameters. At most two queries.
    """
    if group is not None:
        visible = visible.in_group(group, request.user)
        if not visible.exists():
            raise FilterError("group", _("There is no such host group, or no host in it."))
    if host is not None:
        visible = visible.filter(pk=host)
        if not visible.exists():
            raise FilterError("host", _("There is no such host."))
    return visible


def everywhere(request: HttpRequest) -> Place:
    """All that the user may see, now."""
    visible = Host.objects.kept().visible_to(request.user)
    return Place(visible, visible)


def context(request: HttpRequest, here: Place) -> dict[str, Any]:
    """What ``probes/_at.html`` needs, as ``place``. Three queries, and those of ``here.scope``.

    ``place.silent`` hosts have no whole probe by then; the others are shown as of their newest
    one, which were taken from ``place.oldest`` to ``place.newest`` (None where there is none).
    """
    shown = history.coverage(here.scope)
    groups = visible_groups(request.user).filter(hosts__in=here.visible).distinct()
    listed = here.visible if here.group is None else here.visible.filter(groups=here.group)
    return {
        "place": {
            "here": here,
            "past": here.past,
            "at_value": "" if here.at is None else moment.field_value(here.at),
            "now_url": with_query(request, at=None),
            "everywhere_url": with_query(request, host=None, group=None),
            "hosts": list(listed.order_by("name").values_list("pk", "name")),
            "groups": list(groups.order_by("name").values_list("name", flat=True)),
            "total": shown.hosts,
            "silent": shown.silent,
            "oldest": shown.oldest,
            "newest": shown.newest,
            "kept_fields": [
                (name, value)
                for name, values in request.GET.lists()
                for value in values
                if value and name not in {*PARAMETERS, "cursor", "known", "page"}
            ],
        }
    }
