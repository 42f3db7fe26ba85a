"""Channels: the list with how each is doing, one with its messages, adding, changing, testing.

Place in the data's way: between the browser and ``probes.notify.channels``. Channels belong to the
whole site: only administrators of all hosts come here.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.forms import add_errors
from hosts.views.credentials import site_wide
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import mail, payloads
from probes.models import AlertKind, Channel, Delivery
from probes.notify import channels, sending, shown, trouble
from probes.notify import messages as composing
from probes.notify.channel_form import ChannelForm
from probes.views.hostpage import with_query

A_PAGE: Final = 50


@require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """All channels with what waits for each and how its newest message went."""
    site_wide(request)
    found = list(Channel.objects.prefetch_related("groups").order_by("name"))
    outcomes = shown.outcomes(found)
    if request.GET.get("format") == "csv":
        listed = (shown.channel(row, outcomes[row.pk]) for row in found)
        return payloads.csv("channels", shown.CHANNEL, listed)
    kinds = dict(AlertKind.choices)
    context = {
        "rows": [
            {
                "channel": row,
                "outcome": outcomes[row.pk],
                "said": trouble.said(outcomes[row.pk].error),
                "kinds": [kinds[kind] for kind in row.kinds if kind in kinds],
                "groups": sorted(group.name for group in row.groups.all()),
                "recipients": row.recipients.split(),
            }
            for row in found
        ],
        "kinds": Channel.Kind.choices,
        "csv_url": with_query(request, format="csv"),
        "mails_in_vain": not mail.can_mail()
        and any(row.kind == Channel.Kind.EMAIL and row.enabled for row in found),
    }
    return render(request, "probes/channels.html", context)


@require(Role.ADMIN)
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One channel with its messages, newest first."""
    site_wide(request)
    channel = _find(pk)
    asked = request.GET.get("state", "")
    state = asked if asked in Delivery.State.values else ""
    rows = shown.deliveries(channel, state=state)
    if request.GET.get("format") == "csv":
        return payloads.csv("deliveries", shown.DELIVERY, map(shown.delivery, rows.iterator(200)))
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    outcome = shown.outcomes([channel])[channel.pk]
    context = {
        "channel": channel,
        "groups": list(channel.groups.values_list("name", flat=True)),
        "kinds": [label for kind, label in AlertKind.choices if kind in channel.kinds],
        "recipients": channel.recipients.split(),
        "signed": channel.has_secret("signing_key"),
        "outcome": outcome,
        "said": trouble.said(outcome.error),
        "page": page,
        "rows": [_row(row) for row in page.object_list],
        "states": [("", _("all")), *Delivery.State.choices],
        "state": state,
        "tries": sending.TRIES,
        "csv_url": with_query(request, format="csv"),
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_url": with_query(request) if page.has_previous() else "",
        "mails_in_vain": channel.kind == Channel.Kind.EMAIL and not mail.can_mail(),
    }
    return render(request, "probes/channel.html", context)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Make a channel of the kind that ``kind`` says: its form has the fields of that kind only."""
    site_wide(request)
    asked = request.GET.get("kind", "")
    kind = asked if asked in Channel.Kind.values else Channel.Kind.EMAIL.value
    return _page(request, kind, None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a channel."""
    site_wide(request)
    channel = _find(pk)
    return _page(request, channel.kind, channel)


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a channel with its messages."""
    site_wide(request)
    channel = _find(pk)
    dropped = channels.remove(channel, request=request)
    said = _("The channel %(name)s was removed.") % {"name": channel.name}
    if dropped:
        said += " " + _("Messages that waited and are not sent: %(n)s.") % {"n": dropped}
    messages.success(request, said)
    return redirect("channels")


@require(Role.ADMIN)
@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test message now and say how that went."""
    site_wide(request)
    channel = _find(pk)
    delivery = channels.test(channel, request=request)
    if delivery.state == Delivery.State.SENT:
        messages.success(request, _("The test message was taken. Look whether it arrived."))
    else:
        messages.error(
            request,
            _("The test message was not sent: %(why)s") % {"why": trouble.said(delivery.error)},
        )
    return redirect("channel", pk=channel.pk)


@require(Role.ADMIN)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the message that ``delivery`` (its uid) names sent once more."""
    site_wide(request)
    channel = _find(pk)
    uid = _uid(request)
    delivery = channel.deliveries.filter(uid=uid).first() if uid is not None else None
    if delivery is None:
        messages.warning(request, _("There is no such message any more."))
    elif channels.retry(delivery, request=request):
        messages.success(request, _("It is sent again within a few seconds."))
    else:
        messages.warning(
            request, _("It was sent, is being sent, is a test, or its channel is off.")
        )
    return redirect("channel", pk=channel.pk)


def _uid(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("delivery", "")[:50])
    except ValueError:
        return None


def _find(pk: int) -> Channel:
    channel = Channel.objects.filter(pk=pk).first() if pk < 2**63 else None
    if channel is None:
        raise Http404
    return channel


def _row(row: Delivery) -> dict[str, Any]:
    message = composing.compose(row)
    return {
        "delivery": row,
        "subject": message.subject.removeprefix("[netadmin] "),
        "text": message.text,
        "said": trouble.said(row.error),
        "again": row.state != Delivery.State.SENT
        and row.kind != Delivery.Kind.TEST
        and row.channel.enabled,
    }


def _page(request: HttpRequest, kind: str, channel: Channel | None) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    form = ChannelForm(data, kind=kind, channel=channel)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            try:
                if channel is None:
                    saved = channels.create(form.payload() | {"kind": kind}, request=request)
                else:
                    saved = channels.change(channel, form.payload(), request=request)
            except ValidationError as invalid:
                add_errors(form, invalid)
            else:
                messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
                return redirect("channel", pk=saved.pk)
        status = 400
    context = {
        "form": form,
        "channel": channel,
        "kind": kind,
        "kinds": Channel.Kind.choices,
        "multiple": ("groups", "kinds"),
        "mails_in_vain": kind == Channel.Kind.EMAIL and not mail.can_mail(),
    }
    return render(request, "probes/channel_form.html", context, status=status)
