"""Which host the caller means, among those it may see.

Place in the data's way: first step of every tool that is told a host by one word.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts import finding
from hosts.models import Host
from netadmin.envelope import Refused
from probes.filters import visible


def host_of(request: HttpRequest, word: str, *, removed: bool = False) -> Host:
    """The host that a name, an address or an id means; with ``removed`` also one whose history
    alone is kept. Raises Refused: the same whether there is none or it may not be seen."""
    hosts = Host.objects.readable() if removed else Host.objects.kept()
    try:
        return finding.find(hosts.visible_to(request.user), word)
    except finding.Ambiguous:
        raise Refused(
            409,
            "ambiguous",
            _("Several hosts have the address %(word)s.") % {"word": visible(word)},
            field="host",
            hint=_("Give the name of one of them."),
        ) from None
    except finding.NotFound:
        raise Refused(
            404,
            "not_found",
            _("No host is called %(word)s.") % {"word": visible(word)},
            field="host",
            hint=_("Give the name, address or id of a host, as the list of hosts shows them."),
        ) from None
