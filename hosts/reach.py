"""What an administrator may put hosts into, log in with and jump through.

Place in the data's way: asked by ``hosts.inventory`` and the forms. An administrator of some host
groups only works within them; what lies outside does not exist for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from hosts.models import Credential, Host, HostGroup, HostKey
from netadmin.access import permissions

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a caller reaches. ``user`` None is a command typed on the server."""

    user: User | None
    everything: bool

    @property
    def at_the_server(self) -> bool:
        """Whether the caller could read the key ring anyway."""
        return self.user is None

    def hosts(self) -> QuerySet[Host]:
        """Hosts it may see and jump through."""
        kept = Host.objects.kept()
        return kept if self.user is None else kept.visible_to(self.user)

    def groups(self) -> QuerySet[HostGroup]:
        """Groups it may put a host into."""
        groups = HostGroup.objects.all()
        if self.everything:
            return groups
        user = cast("User", self.user)
        access = getattr(user, "access", None)
        if not user.is_superuser and (access is None or not access.all_hosts):
            groups = groups.filter(pk__in=[] if access is None else access.groups.values("pk"))
        token_groups: list[int] | None = getattr(user, "token_groups", None)
        return groups if token_groups is None else groups.filter(pk__in=token_groups)

    def has_group(self, group: HostGroup) -> bool:
        """Whether it may use ``group``."""
        return self.groups().filter(pk=group.pk).exists()

    def credentials(self) -> QuerySet[Credential]:
        """Credentials it may choose: all, or those its hosts use already."""
        if self.everything:
            return Credential.objects.all()
        return Credential.objects.filter(pk__in=self.hosts().values("credential_id"))

    def host_keys(self) -> QuerySet[HostKey]:
        """Host keys it may decide: all, or those met where its hosts are."""
        if self.everything:
            return HostKey.objects.all()
        places = Q(pk__in=[])
        for address, port in self.hosts().values_list("address", "port").distinct():
            places |= Q(address=address, port=port)
        return HostKey.objects.filter(places)


def of(request: HttpRequest | Any | None) -> Reach:
    """The reach of whoever makes ``request``; of the server's own shell where it is None."""
    if request is None:
        return Reach(None, True)
    user = cast("User", request.user)
    return Reach(user, permissions.administers_all(user))
