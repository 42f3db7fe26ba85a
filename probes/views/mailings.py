"""Reports that are mailed on a schedule: the list with how each went, adding, changing, sending.

Place in the data's way: between the browser and ``probes.reports.mailings`` and ``mailed_reports``.
A mailing is there for its owner and for administrators of all hosts; for everybody else it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.forms import add_errors
from netadmin import csvfile
from netadmin.access import audit
from netadmin.access.models import Role
from netadmin.access.permissions import administers_all, require
from probes import mail
from probes.models import ReportRun, ReportSchedule
from probes.reports import mailings
from probes.reports import sending as mailed_reports
from probes.reports.mailing_form import MailingForm, initial
from probes.views.hostpage import with_query

if TYPE_CHECKING:
    from django.contrib.auth.models import User

A_PAGE = 50
CSV_COLUMNS = (
    "name", "owner", "host", "group", "every", "hour", "recipients", "language", "enabled",
    "next_at", "last_at", "last_outcome", "last_reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A mailing with its newest run."""

    schedule: ReportSchedule
    recipients: Sequence[str]
    run: ReportRun | None
    reason: str

    @property
    def stuck(self) -> bool:
        """Whether its run waits for a sender for longer than one may be silent."""
        return (
            self.run is not None
            and self.run.outcome == ReportRun.Outcome.SENDING
            and self.run.next_try_at is not None
            and timezone.now() - self.run.next_try_at > mailed_reports.LEASE
        )


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """The mailings of the caller, or for administrators of all hosts everybody's."""
    found = mailings.visible(request)
    if request.GET.get("format") == "csv":
        return csvfile.answer("mailed-reports", CSV_COLUMNS, map(_cells, _rows(list(found))))
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": _rows(list(page.object_list)),
        "everybody": administers_all(request.user),
        "can_mail": mail.can_mail(),
        "sender": settings.DEFAULT_FROM_EMAIL,
        "tries": mailed_reports.TRIES,
        "zone": timezone.get_default_timezone_name(),
        "csv_url": with_query(request, format="csv"),
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
    }
    return render(request, "probes/mailings.html", context)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponseBase:
    """Make a mailing; ``host`` and ``group`` are chosen already where the report's page says so."""
    return _page(request, None)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Change a mailing."""
    return _page(request, _find(request, pk))


@require(Role.OPERATOR)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Delete a mailing."""
    schedule = _find(request, pk)
    name = schedule.name
    mailings.remove(schedule, request=request)
    messages.success(request, _("%(name)s is no longer mailed.") % {"name": name})
    return redirect("report_mailings")


@require(Role.OPERATOR)
@require_POST
def send(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send it now, besides its usual times."""
    schedule = _find(request, pk)
    with transaction.atomic():
        run = mailed_reports.ask(schedule, by=request.user.get_username())
        if run is not None:
            audit.record("mailing.send", request=request, target=schedule)
    if run is None:
        messages.warning(request, _("%(name)s is being sent already.") % {"name": schedule.name})
    else:
        messages.success(
            request,
            _("%(name)s will be sent within a minute.") % {"name": schedule.name},
        )
    return redirect("report_mailings")


def _find(request: HttpRequest, pk: int) -> ReportSchedule:
    schedule = mailings.visible(request).filter(pk=pk).first() if pk < 2**63 else None
    if schedule is None:
        raise Http404
    return schedule


def _page(request: HttpRequest, schedule: ReportSchedule | None) -> HttpResponseBase:
    owner = cast("User", request.user if schedule is None else schedule.owner)
    form = MailingForm(
        request.POST if request.method == "POST" else None,
        request=request,
        owner=owner,
        initial=_wished(request) if schedule is None else initial(schedule),
    )
    if request.method == "POST" and form.is_valid():
        try:
            if schedule is None:
                saved = mailings.create(form.cleaned_data, request=request)
            else:
                saved = mailings.change(schedule, form.cleaned_data, request=request)
        except ValidationError as invalid:
            add_errors(form, invalid)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("report_mailings")
    context = {
        "form": form,
        "schedule": schedule,
        "zone": timezone.get_default_timezone_name(),
        "can_mail": mail.can_mail(),
        "back_url": reverse("report_mailings"),
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "probes/mailing_form.html", context, status=status)


def _wished(request: HttpRequest) -> dict[str, Any]:
    """What the page of the report said it is about; a name that is none chooses nothing."""
    wished: dict[str, Any] = {
        "every": ReportSchedule.Every.WEEK,
        "hour": 7,
        "language": translation.get_language(),
        "enabled": True,
    }
    user = cast("User", request.user)
    host = request.GET.get("host", "")
    if host.isascii() and host.isdigit() and len(host) < 19:
        chosen = mailings.hosts(request, user).filter(pk=int(host)).first()
        if chosen is not None:
            wished |= {"host": chosen.pk, "name": chosen.name}
    group = request.GET.get("group", "").replace("\x00", "")[:200]
    if group and "host" not in wished:
        found = mailings.groups(request, user).filter(name=group).first()
        if found is not None:
            wished |= {"group": found.pk, "name": found.name}
    return wished


def _rows(schedules: Sequence[ReportSchedule]) -> list[Row]:
    """With the newest run of each: one query however many there are."""
    runs = mailed_reports.newest_runs(schedules)
    return [
        Row(
            schedule,
            mailings.recipients_of(schedule),
            runs.get(schedule.pk),
            mailed_reports.reason(runs.get(schedule.pk)),
        )
        for schedule in schedules
    ]


def _cells(row: Row) -> list[Any]:
    schedule, run = row.schedule, row.run
    return [
        schedule.name,
        schedule.owner.get_username(),
        None if schedule.host is None else schedule.host.name,
        None if schedule.group is None else schedule.group.name,
        schedule.every,
        schedule.hour,
        " ".join(row.recipients),
        schedule.language,
        schedule.enabled,
        schedule.next_at if schedule.enabled else None,
        None if run is None else run.began_at,
        None if run is None else run.outcome,
        None if run is None else run.code or None,
    ]
