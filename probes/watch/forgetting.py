"""Ports that a person says are gone for good, so that they are no longer watched as being down.

Place in the data's way: between pages and JSON routes, which find the host among those the caller
may act on, and the rows of ``WatchedPort`` and ``Alert``. One transaction with its audit entry,
under the lock that each probe of the host is stored with. A refusal is a ValidationError.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.access import audit
from probes import payloads
from probes.models import Schedule, Service, WatchedPort
from probes.watch import lifecycle
from probes.watch.port_list import PROTOCOLS
from probes.watch.ports import Alarm, Key


def forget(host: Host, protocol: str, port: int, *, request: HttpRequest) -> None:
    """Forget a port that is down: its row goes, its alert ends, and should it be listened on again
    it is new. Nobody is told by a channel: whoever did it knows.

    A port that is there, is expected, or has a service that is switched on cannot be forgotten.
    """
    if protocol not in PROTOCOLS or not 0 < port < 65_536:
        raise ValidationError({"port": [_("There is no such watched port.")]})
    key = Key(protocol, port)
    with transaction.atomic():
        Schedule.objects.select_for_update().filter(pk=host.pk).first()
        row = WatchedPort.objects.filter(host=host, protocol=protocol, port=port).first()
        _check(host, key, row)
        who = request.user.get_username()[:150]
        ended = lifecycle.resolve(host.pk, Alarm.DOWN.of(key), at=timezone.now(), by=who)
        if row is None and ended is None:
            raise ValidationError({"port": [_("There is no such watched port.")]})
        detail = {"protocol": protocol, "port": port}
        if row is not None:
            detail |= {"programs": row.programs[:10], "down_since": payloads.time(row.since)}
            row.delete()
        audit.record("port.forget", request=request, target=host, detail=detail)


def _check(host: Host, key: Key, row: WatchedPort | None) -> None:
    if row is not None and row.is_up:
        raise ValidationError({"port": [_("%(port)s is listened on.") % {"port": key}]})
    if row is not None and row.expected:
        said = _("%(port)s is expected: take it off the list of expected ports instead.")
        raise ValidationError({"port": [said % {"port": key}]})
    service = Service.objects.filter(
        host=host, protocol=key.protocol, port=key.port, enabled=True
    ).first()
    if service is not None:
        said = _("The service %(name)s is on %(port)s: remove it, or switch it off, first.")
        raise ValidationError({"port": [said % {"name": service.name, "port": key}]})
