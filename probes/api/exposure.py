"""``exposure`` and ``hosts/{id}/reach``: what listens to whom, and what of it answers."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin import envelope
from netadmin.access import audit
from netadmin.access.models import Role
from probes import connect_back, payloads
from probes.api import versions
from probes.api.routing import route
from probes.api.shared import Listed, Of, hosts_of, visible_host
from probes.filters import Moment
from probes.history.queries import exposure as ledger
from probes.history.queries.exposure import ExposureFilter
from probes.history.queries.pages import slice_rows
from probes.models import Reach, ReachRun
from probes.payloads import exposure as exposure_payloads
from probes.payloads.shapes import exposure as shapes


class ExposureQuery(ExposureFilter, Of, Listed):
    """Which listeners, of which hosts, when."""

    at: Moment | None = None

    def wanted(self) -> ExposureFilter:
        """The filters alone."""
        names = ExposureFilter.model_fields.keys() & self.model_fields_set
        return ExposureFilter.model_construct(
            _fields_set=set(names), **{name: getattr(self, name) for name in names}
        )


@route(
    "GET", Role.VIEWER, query=ExposureQuery, data=shapes.ExposureLedger, version=versions.of_body
)
def exposure(request: HttpRequest, query: ExposureQuery) -> HttpResponseBase:
    """What listens on each host, to whom, since when, and who connects; the worst first."""
    wanted = query.wanted()
    at = query.at
    if at is not None and not at.microsecond:
        at = at.replace(microsecond=999_999)
    found = ledger.find(hosts_of(request, query), wanted, at=at)
    key = ledger.order(wanted)
    if query.format == "csv":
        rows = map(exposure_payloads.exposed, ledger.every_detailed(found, wanted, at=at))
        return payloads.csv("exposure", exposure_payloads.EXPOSURE, rows)
    page = slice_rows(
        found.rows,
        kind=f"exposure:{wanted.parameters()}:{query.host}:{query.group}:{query.at}",
        key=key,
        cursor=query.cursor,
        limit=query.limit,
    )
    shown = ledger.detailed(found, page.rows, at=at)
    return envelope.answer(
        {
            "exposure": [exposure_payloads.exposed(row) for row in shown],
            "by_bound": {kind.value: number for kind, number in found.by_bound.items()},
            "new_hosts": found.new_hosts,
            "counted": found.counted,
            "total": page.total,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, about=visible_host, data=shapes.ReachOfHost)
def reach(request: HttpRequest, host: Host) -> HttpResponse:
    """How the newest attempt at a host's listeners from the controller went."""
    results = Reach.objects.filter(host=host).order_by("port", "address")
    run = ReachRun.objects.filter(pk=host.pk).first()
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "run": exposure_payloads.run(run),
            "reach": [exposure_payloads.reach(row) for row in results],
        }
    )


@route("POST", Role.OPERATOR, about=visible_host, data=shapes.ReachAsked, also=(202, 409))
def try_reach(request: HttpRequest, host: Host) -> HttpResponse:
    """Try a host's listeners from the controller: 202, and the results under GET.

    Asked again while that goes on, it answers with the run that is under way.
    """
    try:
        with transaction.atomic():
            audit.record("host.reach", request=request, target=host)
            connect_back.ask(host, by=request.user.get_username())
    except connect_back.Refused as refused:
        if refused.code != connect_back.UNDER_WAY:
            return envelope.error(409, refused.code, str(refused.message), hint=str(refused.hint))
        message = str(refused.message)
    else:
        connect_back.ring(host)
        message = _("Its listeners are tried next.")
    run = ReachRun.objects.filter(pk=host.pk).first()
    return envelope.answer({"run": exposure_payloads.run(run)}, message=message, status=202)
