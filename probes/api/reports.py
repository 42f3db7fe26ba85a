"""``report`` and ``report-mailings``: the network report, and those that are mailed on a schedule.

Place in the data's way: between scripts and ``probes.reports.composition``,
``probes.reports.mailings`` and ``probes.reports.sending``; here parameters and fields are named and
typed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import HostGroup
from netadmin import csvfile, envelope
from netadmin.access import audit
from netadmin.access.models import Role
from probes import mail, payloads
from probes.api.routing import Body, Refusal, route
from probes.api.shared import Format, Listed, Of, hosts_of, visible_hosts
from probes.filters import Moment, number
from probes.history.queries.pages import slice_rows
from probes.models import ReportRun, ReportSchedule
from probes.payloads.shapes import Nothing, names
from probes.payloads.shapes import reports as shapes
from probes.reports import composition as reports
from probes.reports import files as report_files
from probes.reports import layout, mailings
from probes.reports import sending as mailed_reports

MAILING: Final = names(shapes.Mailing)
"""A mailed report."""
RUN: Final = names(shapes.MailingRun)
"""How one mailing went."""


class ReportQuery(Of):
    """Which hosts, and when."""

    at: Moment | None = None
    limit: Annotated[int, number(1, 100)] = reports.LIMIT
    format: Format = "json"


class MailingList(Listed):
    """Mailed reports by name."""


class MailingChange(Body):
    """What to change of a mailed report; what is absent stays."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = ""
    host: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    every: Literal["day", "week", "month"] = "week"
    hour: Annotated[int, Field(ge=0, le=23)] = 7
    recipients: Annotated[
        list[Annotated[str, Field(max_length=mailings.LONGEST_ADDRESS)]],
        Field(min_length=1, max_length=mailings.MOST_RECIPIENTS),
    ] = []
    language: Annotated[str, Field(max_length=10)] = "en"
    enabled: bool = True


class NewMailing(MailingChange):
    """A report to mail."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    every: Literal["day", "week", "month"]
    recipients: Annotated[
        list[Annotated[str, Field(max_length=mailings.LONGEST_ADDRESS)]],
        Field(min_length=1, max_length=mailings.MOST_RECIPIENTS),
    ]


def visible_mailing(request: HttpRequest, pk: int) -> ReportSchedule | None:
    """One that exists for the caller."""
    return mailings.visible(request).filter(pk=pk).first()


@route("GET", Role.VIEWER, query=ReportQuery, data=shapes.NetworkReport)
def report(request: HttpRequest, query: ReportQuery) -> HttpResponseBase:
    """The whole network report of a host, a group or all hosts, now or at any time."""
    hosts = hosts_of(request, query)
    at = query.at
    if at is not None and at.microsecond == 0:
        at = at.replace(microsecond=999_999)
    made = reports.compose(
        hosts,
        host=None if query.host is None else hosts.get(),
        group=None if query.group is None else HostGroup.objects.get(name=query.group),
        at=at,
        limit=query.limit,
    )
    chapters = layout.lay_out(made)
    if query.format == "csv":
        return csvfile.answer(
            report_files.name(made), report_files.header(chapters), report_files.rows(chapters)
        )
    return envelope.answer(report_files.data(made, chapters))


@route("GET", Role.VIEWER, query=MailingList, data=shapes.Mailings)
def listing(request: HttpRequest, query: MailingList) -> HttpResponseBase:
    """The caller's mailed reports by name; everybody's for administrators of all hosts."""
    found = list(mailings.visible(request))
    if query.format == "csv":
        return payloads.csv("report-mailings", MAILING, _shaped(found))
    page = slice_rows(
        found,
        kind="report-mailings",
        key=lambda schedule: [schedule.name, schedule.pk],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "mailings": _shaped(list(page.rows)),
            "can_mail": mail.can_mail(),
            "total": page.total,
            "next": page.next,
        }
    )


@route("POST", Role.OPERATOR, body=NewMailing, data=shapes.OneMailing, also=(201,))
def add(request: HttpRequest, body: NewMailing) -> HttpResponseBase:
    """Mail a report each day, week or month."""
    values = {"language": "en", "hour": 7, "enabled": True} | _values(request, body)
    schedule = mailings.create(values, request=request)
    response = envelope.answer(
        {"mailing": _shaped([schedule])[0]}, message=_("The report will be mailed."), status=201
    )
    response["Location"] = f"{request.path}{schedule.pk}/"
    return response


@route("GET", Role.VIEWER, about=visible_mailing, data=shapes.OneMailing)
def show(request: HttpRequest, schedule: ReportSchedule) -> HttpResponseBase:
    """One mailed report."""
    return envelope.answer({"mailing": _shaped([schedule])[0]})


@route("PATCH", Role.OPERATOR, body=MailingChange, about=visible_mailing, data=shapes.OneMailing)
def change(request: HttpRequest, schedule: ReportSchedule, body: MailingChange) -> HttpResponseBase:
    """Change a mailed report."""
    changed = mailings.change(schedule, _values(request, body), request=request)
    return envelope.answer({"mailing": _shaped([changed])[0]}, message=_("It was changed."))


@route("DELETE", Role.OPERATOR, about=visible_mailing, data=Nothing)
def remove(request: HttpRequest, schedule: ReportSchedule) -> HttpResponseBase:
    """Mail a report no longer."""
    mailings.remove(schedule, request=request)
    return envelope.answer(message=_("It is mailed no longer."))


@route("POST", Role.OPERATOR, about=visible_mailing, data=shapes.OneMailing, also=(202, 409))
def send(request: HttpRequest, schedule: ReportSchedule) -> HttpResponseBase:
    """Mail a report now, besides its usual times."""
    with transaction.atomic():
        run = mailed_reports.ask(schedule, by=request.user.get_username())
        if run is not None:
            audit.record("mailing.send", request=request, target=schedule)
    if run is None:
        raise Refusal(
            envelope.error(
                409,
                "being_sent",
                _("It is being sent already."),
                hint=_("Wait until it is sent, or has failed."),
            )
        )
    return envelope.answer(
        {"mailing": _shaped([schedule])[0]},
        message=_("It will be sent within a minute."),
        status=202,
    )


def _values(request: HttpRequest, body: MailingChange) -> dict[str, Any]:
    """The given fields as ``probes.reports.mailings`` takes them."""
    values = body.model_dump(exclude_unset=True)
    if "recipients" in values:
        values["recipients"] = "\n".join(values["recipients"])
    if values.get("host") is not None:
        values["host"] = visible_hosts(request).filter(pk=values["host"]).first()
        if values["host"] is None:
            raise ValidationError({"host": _("There is no such host.")})
    if values.get("group") is not None:
        values["group"] = HostGroup.objects.filter(name=values["group"]).first()
        if values["group"] is None:
            raise ValidationError({"group": _("There is no such host group.")})
    return values


def _shaped(schedules: list[ReportSchedule]) -> list[dict[str, Any]]:
    """With the newest run of each; one query however many there are."""
    runs = mailed_reports.newest_runs(schedules)
    return [_mailing(schedule, runs.get(schedule.pk)) for schedule in schedules]


def _mailing(schedule: ReportSchedule, run: ReportRun | None) -> dict[str, Any]:
    return {
        "id": schedule.pk,
        "name": schedule.name,
        "owner": schedule.owner.get_username(),
        "host": None if schedule.host is None else payloads.host_name(schedule.host),
        "group": None if schedule.group is None else schedule.group.name,
        "every": schedule.every,
        "hour": schedule.hour,
        "recipients": mailings.recipients_of(schedule),
        "language": schedule.language,
        "enabled": schedule.enabled,
        "next_at": payloads.time(schedule.next_at) if schedule.enabled else None,
        "last": None if run is None else _run(run),
    }


def _run(run: ReportRun) -> dict[str, Any]:
    return {
        "began_at": payloads.time(run.began_at),
        "ended_at": payloads.time(run.ended_at),
        "asked_by": run.asked_by or None,
        "outcome": run.outcome,
        "tries": run.tries,
        "next_try_at": payloads.time(run.next_try_at),
        "reached": run.reached,
        "code": run.code or None,
        "reason": mailed_reports.reason(run),
        "detail": run.detail,
    }
