"""``channels``: where messages go, what was sent, and a test. Secrets go in and never come out."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import Body, invalid, route
from probes.api.shared import Listed
from probes.history.queries.pages import Page, open_cursor, seal, slice_rows
from probes.models import Channel, Delivery
from probes.notify import channels as changing
from probes.notify import shown, trouble
from probes.payloads.shapes import channels as shapes

Minutes = Annotated[int, Field(ge=1, le=changing.MOST_MINUTES)]


class ChannelChange(Body):
    """Fields of a channel; what is left out stays as it is."""

    name: Annotated[str, Field(max_length=100)] = ""
    enabled: bool = True
    recipients: Annotated[list[str], Field(max_length=changing.MOST_RECIPIENTS)] = []
    address: Annotated[str, Field(max_length=changing.LONGEST_SECRET)] = ""
    signing_key: Annotated[str, Field(max_length=500)] = ""
    forget_signing_key: bool = False
    template: Annotated[str, Field(max_length=20_000)] = ""
    language: Annotated[str, Field(max_length=10)] = ""
    groups: Annotated[list[str], Field(max_length=1_000)] = []
    """Names of host groups."""
    kinds: Annotated[list[str], Field(max_length=20)] = []
    min_severity: Literal["info", "warning", "critical"] = "warning"
    send_resolved: bool = True
    per_hour: Annotated[int, Field(ge=1, le=changing.MOST_PER_HOUR)] = 60
    repeat_minutes: Minutes | None = None
    escalate_minutes: Minutes | None = None


class NewChannel(ChannelChange):
    """A channel needs a name and a kind."""

    name: Annotated[str, Field(max_length=100)]
    kind: Literal["email", "webhook", "apprise"]


class DeliveryList(Listed):
    """Which deliveries, a page at a time."""

    state: Literal["waiting", "sent", "failed"] | None = None


class Retry(Body):
    """Which delivery."""

    delivery: Annotated[str, Field(pattern="^[0-9a-fA-F-]{36}$")]


def any_channel(_request: HttpRequest, pk: int) -> Channel | None:
    """A channel by its id."""
    return Channel.objects.prefetch_related("groups").filter(pk=pk).first()


@route("GET", Role.ADMIN, query=Listed, site_wide=True, data=shapes.Channels)
def listing(_request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The channels, by name, with what waits for each and how its newest message went."""
    rows = list(Channel.objects.prefetch_related("groups").order_by("name"))
    outcomes = shown.outcomes(rows)
    if query.format == "csv":
        listed = (shown.channel(row, outcomes[row.pk]) for row in rows)
        return payloads.csv("channels", shown.CHANNEL, listed)
    page = slice_rows(
        [shown.channel(row, outcomes[row.pk]) for row in rows],
        kind="channels",
        key=lambda row: [row["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"channels": page.rows, "total": page.total, "next": page.next})


@route("POST", Role.ADMIN, body=NewChannel, site_wide=True, data=shapes.OneChannel, also=(201,))
def add(request: HttpRequest, body: NewChannel) -> HttpResponse:
    """Add a channel; it is told of what happens from now on."""
    made = changing.create(body.model_dump(exclude_unset=True), request=request)
    response = envelope.answer(
        {"channel": _one(made)}, message=_("The channel was saved."), status=201
    )
    response["Location"] = f"{request.path}/{made.pk}"
    return response


@route("GET", Role.ADMIN, about=any_channel, site_wide=True, data=shapes.OneChannel)
def show(_request: HttpRequest, channel: Channel) -> HttpResponse:
    """One channel."""
    return envelope.answer({"channel": _one(channel)})


@route(
    "PATCH",
    Role.ADMIN,
    body=ChannelChange,
    about=any_channel,
    site_wide=True,
    data=shapes.OneChannel,
)
def change(request: HttpRequest, channel: Channel, body: ChannelChange) -> HttpResponse:
    """Change a channel; what waits for one that is switched off is given up."""
    changed = changing.change(channel, body.model_dump(exclude_unset=True), request=request)
    return envelope.answer({"channel": _one(changed)}, message=_("The channel was saved."))


@route("DELETE", Role.ADMIN, about=any_channel, site_wide=True, data=shapes.ChannelRemoved)
def remove(request: HttpRequest, channel: Channel) -> HttpResponse:
    """Remove a channel with its deliveries; says how many of them waited."""
    dropped = changing.remove(channel, request=request)
    return envelope.answer({"dropped": dropped}, message=_("The channel was removed."))


@route("POST", Role.ADMIN, about=any_channel, site_wide=True, data=shapes.OneDelivery)
def test(request: HttpRequest, channel: Channel) -> HttpResponse:
    """Send a test message now; the answer says how that went, after ten seconds at most."""
    delivery = changing.test(channel, request=request)
    taken = delivery.state == Delivery.State.SENT
    said = _("The test message was taken.") if taken else trouble.said(delivery.error)
    return envelope.answer({"delivery": shown.delivery(delivery)}, message=said)


@route(
    "GET", Role.ADMIN, query=DeliveryList, about=any_channel, site_wide=True, data=shapes.Deliveries
)
def deliveries(_request: HttpRequest, channel: Channel, query: DeliveryList) -> HttpResponseBase:
    """A channel's deliveries, newest first, with their tries and errors."""
    rows = shown.deliveries(channel, state=query.state or "")
    if query.format == "csv":
        return payloads.csv("deliveries", shown.DELIVERY, map(shown.delivery, rows.iterator(200)))
    page = _page(channel, query)
    return envelope.answer(
        {
            "deliveries": [shown.delivery(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route(
    "POST",
    Role.ADMIN,
    body=Retry,
    about=any_channel,
    site_wide=True,
    data=shapes.OneDelivery,
    also=(409,),
)
def retry(request: HttpRequest, channel: Channel, body: Retry) -> HttpResponse:
    """Have a delivery that waits or failed sent once more, within a few seconds."""
    delivery = Delivery.objects.filter(channel=channel, uid=body.delivery).first()
    if delivery is None:
        return invalid("delivery", _("There is no such delivery."), status=404)
    if not changing.retry(delivery, request=request):
        return invalid(
            "delivery",
            _("It was sent, is being sent, is a test, or its channel is off."),
            status=409,
        )
    delivery.refresh_from_db()
    return envelope.answer({"delivery": shown.delivery(delivery)})


def _page(channel: Channel, query: DeliveryList) -> Page[Delivery]:
    rows = shown.deliveries(channel, state=query.state or "").order_by("-pk")
    kind = f"deliveries:{channel.pk}:{query.state}"
    total = rows.count()
    if query.cursor is not None:
        (before,) = open_cursor(kind, query.cursor, parts=1)
        rows = rows.filter(pk__lt=before)
    found = list(rows[: query.limit + 1])
    more = len(found) > query.limit
    found = found[: query.limit]
    return Page(found, seal(kind, found[-1].pk) if more else None, total)


def _one(channel: Channel) -> dict[str, object]:
    fresh = Channel.objects.prefetch_related("groups").get(pk=channel.pk)
    return shown.channel(fresh, shown.outcomes([fresh])[fresh.pk])
