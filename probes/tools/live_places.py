"""Which machine somebody who asks now means by a word, and whether they may have it asked so.

Place in the data's way: first step of the live tools, before anything is connected to. Knows hosts
and callers, and nothing of probes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.access import permissions
from netadmin.access.models import Role
from netadmin.envelope import Refused
from probes.observation import EXPLANATIONS, Code
from probes.tools import whom

LOCALHOST: Final = "localhost"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
"""Mean this machine as well, where no host is configured with such an address."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look."""

    host: Host | None
    """None: this machine, which is no configured host."""
    name: str
    """As the caller called it."""
    port: int | None = None
    """SSH port in place of the configured one."""
    field: str = "port"
    """The parameter that gave it."""

    @property
    def is_local(self) -> bool:
        """Whether it is the machine netadmin runs on."""
        return self.host is None or self.host.is_local


def find(request: HttpRequest, word: str, *, port: int | None, field: str) -> Place:
    """The place that the caller means; raises Refused before anything is connected to."""
    if word.lower() == LOCALHOST:
        return _this_machine(request, word)
    try:
        host = whom.host_of(request, word)
    except Refused as refused:
        if refused.status != 404:
            raise
        if word in LOOPBACK:
            return _this_machine(request, word)
        raise not_configured() from None
    # An id is not what a person would recognise.
    shown = host.name if word == str(host.pk) else word
    if host.is_local:
        return Place(host, shown)
    if host.credential_id is None:
        raise _without_credential()
    other = None if port == host.port else port
    if other is not None:
        _check_may_choose_port(request, field)
    return Place(host, shown, other, field)


def _this_machine(request: HttpRequest, word: str) -> Place:
    local = Host.objects.kept().filter(is_local=True).order_by("pk")
    host = local.visible_to(request.user).first()
    if host is not None:
        return Place(host, word.lower())
    # Somebody whom groups limit sees a machine only by a host in them.
    if local.exists() or not permissions.sees_all(request.user):
        raise not_configured()
    return Place(None, word.lower())


def not_configured() -> Refused:
    """The refusal in the specification's words: the caller sees no such host."""
    return Refused(
        404,
        "not_found",
        _("No credentials are configured for this remote host"),
        field="host",
        hint=_("Add the host with its credential on the Hosts page, and call it as it is there."),
    )


def _without_credential() -> Refused:
    return Refused(
        409,
        Code.CREDENTIAL_MISSING.value,
        _("No credentials are configured for this remote host"),
        field="host",
        hint=_(EXPLANATIONS[Code.CREDENTIAL_MISSING][1]),
    )


def _check_may_choose_port(request: HttpRequest, field: str) -> None:
    """Raise Refused where the caller only reads: a login would go where nobody configured it to,
    and the answer tells what listens there."""
    role = permissions.request_role(request)
    if role is None or role < Role.OPERATOR:
        raise Refused(
            403,
            "forbidden",
            _("This needs the role %(role)s.") % {"role": Role.OPERATOR.label},
            field=field,
            hint=_(
                "Leave out the SSH port. Another than the host's own is for operators, and for "
                "tokens with the scope operate."
            ),
        )
