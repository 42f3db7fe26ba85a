"""``peers`` and ``drift-watches``: whom the programs of a group talk to, and what is done of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostGroup, visible_groups
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import Body, route
from probes.api.shared import Listed, absent
from probes.filters import Moment
from probes.history.queries import peers as queries
from probes.history.queries.pages import slice_rows
from probes.models import DriftWatch, Peer
from probes.payloads import peers as peer_payloads
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import peers as shapes
from probes.peer_filters import PeerFilter
from probes.watch import peer_decisions


class PeerList(PeerFilter, Listed):
    """Which peers, a page at a time."""


class Decision(Body):
    """What to do of a peer."""

    action: Literal["approve", "snooze", "expire"]
    days: Annotated[int, Field(ge=1, le=peer_decisions.MOST_DAYS)] | None = None


class WatchChange(Body):
    """How a group is watched; what is left out stays as it is."""

    enabled: bool = True
    learn_until: Moment | None = None
    ipv4_prefix: int = 24
    ipv6_prefix: int = 64
    forget_days: int = 90
    ignored: Annotated[list[str], Field(max_length=peer_decisions.MOST_IGNORED)] = []


def visible_peer(request: HttpRequest, pk: int) -> Peer | None:
    """A peer of a group that the caller may see."""
    return _peers(request).filter(pk=pk).first()


def visible_group(request: HttpRequest, pk: int) -> HostGroup | None:
    """A group that the caller may know of."""
    return visible_groups(request.user).filter(pk=pk).first()


@route("GET", Role.VIEWER, query=PeerList, data=shapes.Peers)
def peers(request: HttpRequest, query: PeerList) -> HttpResponseBase:
    """The peers of the groups that the caller may see, newest first."""
    groups = visible_groups(request.user)
    if query.group is not None and not groups.filter(name=query.group).exists():
        raise absent("group", _("There is no such host group."))
    names = PeerFilter.model_fields.keys() & query.model_fields_set
    wanted = PeerFilter.model_construct(
        _fields_set=set(names), **{name: getattr(query, name) for name in names}
    )
    rows = queries.listed(groups, wanted)
    visible = set(Host.objects.visible_to(request.user).order_by().values_list("pk", flat=True))
    if query.format == "csv":
        shaped = (peer_payloads.peer(row, visible=visible) for row in rows.iterator(500))
        return payloads.csv("peers", peer_payloads.PEER, shaped)
    page = queries.page(rows, wanted, cursor=query.cursor, limit=query.limit)
    return envelope.answer(
        {
            "peers": [peer_payloads.peer(row, visible=visible) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route("POST", Role.OPERATOR, body=Decision, about=visible_peer, data=shapes.OnePeer)
def decide(request: HttpRequest, peer: Peer, body: Decision) -> HttpResponse:
    """Approve, snooze or expire a peer; its alert is over."""
    peer_decisions.decide(
        Peer.objects.filter(pk=peer.pk), body.action, days=body.days, request=request
    )
    decided = _peers(request).get(pk=peer.pk)
    hosts = Host.objects.visible_to(request.user).filter(pk__in=[decided.host_id or 0])
    visible = set(hosts.order_by().values_list("pk", flat=True))
    return envelope.answer(
        {"peer": peer_payloads.peer(decided, visible=visible)}, message=_("Decided.")
    )


@route("GET", Role.VIEWER, query=Listed, data=shapes.DriftWatches)
def watches(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The groups that are watched for new peers, of those the caller may see."""
    rows = [_shaped(row) for row in queries.watches(visible_groups(request.user))]
    if query.format == "csv":
        return payloads.csv("drift-watches", peer_payloads.WATCH, rows)
    page = slice_rows(
        rows,
        kind="drift-watches",
        key=lambda row: [row["group"]["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"drift_watches": page.rows, "total": page.total, "next": page.next})


@route("GET", Role.VIEWER, about=visible_group, data=shapes.OneDriftWatch)
def watch(request: HttpRequest, group: HostGroup) -> HttpResponse:
    """How a group is watched for new peers."""
    return envelope.answer({"drift_watch": _one(request, group)})


@route("PUT", Role.ADMIN, body=WatchChange, about=visible_group, data=shapes.OneDriftWatch)
def save_watch(request: HttpRequest, group: HostGroup, body: WatchChange) -> HttpResponse:
    """Watch a group for new peers, or change how."""
    data: dict[str, Any] = body.model_dump(exclude_unset=True)
    if data.get("learn_until", 0) is None:
        del data["learn_until"]
    if "ignored" in data:
        data["ignored"] = "\n".join(data["ignored"])
    peer_decisions.save_watch(group, data, request=request)
    return envelope.answer(
        {"drift_watch": _one(request, group)}, message=_("The new-peer watch was saved.")
    )


@route("DELETE", Role.ADMIN, about=visible_group, data=Nothing)
def remove_watch(request: HttpRequest, group: HostGroup) -> HttpResponse:
    """Watch a group no more; what was learned is forgotten."""
    stored = DriftWatch.objects.filter(group=group).first()
    if stored is None:
        raise absent("group", _("This group is not watched for new peers."))
    peer_decisions.remove_watch(stored, request=request)
    return envelope.answer(message=_("The group is no longer watched for new peers."))


def _peers(request: HttpRequest) -> QuerySet[Peer]:
    rows = Peer.objects.filter(group__in=visible_groups(request.user).order_by())
    return rows.select_related("group", "host")


def _one(request: HttpRequest, group: HostGroup) -> dict[str, Any]:
    rows = queries.watches(visible_groups(request.user).filter(pk=group.pk))
    row = rows.first()
    if row is None:
        raise absent("group", _("This group is not watched for new peers."))
    return _shaped(row)


def _shaped(row: Any) -> dict[str, Any]:
    return peer_payloads.watch(row, peers=row.known, new=row.new)
