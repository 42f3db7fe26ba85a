"""Changes, watched ports and policies of ports as JSON and CSV.

Place in the data's way: calls ``queries.changes``, ``watch.policies`` and ``watch.policy_book``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from hosts.models import Host, visible_groups
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import Body, Refusal, route
from probes.api.shared import (
    NEWEST,
    Listed,
    Place,
    absent,
    hosts_of,
    readable_host,
    visible_host,
    visible_hosts,
)
from probes.filters import FilterError, Query
from probes.history.queries import changes as queries
from probes.history.queries.changes import ChangeFilter
from probes.history.queries.pages import slice_rows
from probes.models import PortPolicy, PortWatch, WatchedPort
from probes.payloads import alerts as alert_payloads
from probes.payloads import watching as watching_payloads
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import watching as shapes
from probes.watch import feed, forgetting, policies, policy_book, port_watch
from probes.watch.port_list import range_of

Lines = Annotated[str, Field(max_length=policy_book.LONGEST_LIST)]
Switches = dict[str, Annotated[list[str], Field(max_length=10)]]


class ChangeList(ChangeFilter, Listed):
    """Which changes, a page at a time; or, with ``after``, those behind a place in the feed."""

    after: Place | None = None
    """A place as ``next_after`` gave it, 0 for the oldest kept, or ``newest``."""

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.after is not None:
            for name in ("cursor", "sort", "format"):
                if name in self.model_fields_set:
                    raise FilterError(name, _("after has an order of its own. Leave this out."))
        return self


class Trial(Query):
    """Whether to say what would happen, and to change nothing."""

    dry_run: Literal["true", "false"] = "false"


class Forgotten(Body):
    """A port of a host."""

    protocol: Literal["tcp", "udp", "sctp", "dccp"]
    port: Annotated[int, Field(ge=1, le=65_535)]


class PolicyChange(Body):
    """Fields of a policy."""

    enabled: bool | None = None
    allowed: Lines = ""
    excluded: Lines = ""
    expected: Lines = ""
    raises: Switches = {}


class NewPolicy(PolicyChange):
    """A policy is of a group (its name) or of a host (its id)."""

    group: Annotated[str, Field(max_length=100)] | None = None
    host: int | None = None


def visible_policy(request: HttpRequest, pk: int) -> PortPolicy | None:
    """A policy that the caller may know of, by its id."""
    return policy_book.visible(request).filter(pk=pk).first()


@route(
    "GET",
    Role.VIEWER,
    query=ChangeList,
    data=shapes.Changes | shapes.FollowedChanges,
    version=versions.of_body,
)
def changes(request: HttpRequest, query: ChangeList) -> HttpResponseBase:
    """What changed on the hosts that the caller may see, newest first; or what came after a place,
    in the order of the feed."""
    hosts = hosts_of(request, query, removed=True)
    rows = queries.listed(hosts, query)
    if query.after is not None:
        after = feed.end() if query.after == NEWEST else int(query.after)
        followed = feed.following(rows, after=after, limit=query.limit)
        return envelope.answer(
            {
                "changes": [alert_payloads.change(row) for row in followed.rows],
                "next_after": followed.next_after,
                "more": followed.more,
                "missed": followed.missed,
            }
        )
    if query.format == "csv":
        shaped = map(alert_payloads.change, rows.iterator(500))
        return payloads.csv("changes", alert_payloads.CHANGE, shaped)
    page = queries.page(rows, _filters(query), cursor=query.cursor, limit=query.limit)
    return envelope.answer(
        {
            "changes": [alert_payloads.change(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, query=Listed, about=readable_host, data=shapes.Watch)
def watch(request: HttpRequest, host: Host, query: Listed) -> HttpResponseBase:
    """The watched ports of a host, and the policy that applies to it."""
    effective = policies.of_hosts([host.pk])[host.pk]
    ephemeral = port_watch.ephemeral_range(host.pk)
    stored = list(WatchedPort.objects.filter(host=host))
    rows = [_watched(row, effective, ephemeral) for row in stored]
    if query.format == "csv":
        return payloads.csv(f"watch-{host.pk}", watching_payloads.WATCHED, rows)
    page = slice_rows(
        rows,
        kind=f"watch:{host.pk}",
        key=lambda row: [row["port"], row["protocol"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    known = PortWatch.objects.filter(pk=host.pk).first()
    groups = set(visible_groups(request.user).filter(hosts=host).values_list("pk", flat=True))
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "watched_since": None if known is None else payloads.time(known.since),
            "ephemeral": list(ephemeral),
            "policy": watching_payloads.effective(effective, groups=groups),
            "ports": page.rows,
            "total": page.total,
            "next": page.next,
        }
    )


@route("POST", Role.OPERATOR, body=Forgotten, about=visible_host, data=Nothing)
def forget(request: HttpRequest, host: Host, body: Forgotten) -> HttpResponse:
    """Forget a port that was taken away on purpose."""
    forgetting.forget(host, body.protocol, body.port, request=request)
    return envelope.answer(message=_("The port is forgotten."))


@route("GET", Role.VIEWER, query=Listed, data=shapes.Policies)
def port_policies(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The policies of ports: the site's, and those of groups and hosts that the caller sees."""
    rows = [watching_payloads.policy(row) for row in policy_book.visible(request).order_by("pk")]
    if query.format == "csv":
        return payloads.csv("port-policies", watching_payloads.POLICY, rows)
    page = slice_rows(
        rows,
        kind="port-policies",
        key=lambda row: [row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"policies": page.rows, "total": page.total, "next": page.next})


@route(
    "POST",
    Role.ADMIN,
    query=Trial,
    body=NewPolicy,
    data=shapes.OnePolicy | shapes.PolicyTrial,
    also=(201,),
)
def add(request: HttpRequest, query: Trial, body: NewPolicy) -> HttpResponse:
    """Give a group or host a policy of its own."""
    policy = _new(request, body)
    if not policy._state.adding:
        raise ValidationError({"group" if policy.group_id else "host": [_("It has one already.")]})
    return _saved(request, policy, query, _given(body), status=201)


@route("GET", Role.VIEWER, about=visible_policy, data=shapes.OnePolicy)
def show(request: HttpRequest, policy: PortPolicy) -> HttpResponse:
    """One policy."""
    return envelope.answer({"policy": watching_payloads.policy(policy)})


@route(
    "PATCH",
    Role.ADMIN,
    query=Trial,
    body=PolicyChange,
    about=visible_policy,
    data=shapes.OnePolicy | shapes.PolicyTrial,
)
def change(
    request: HttpRequest, policy: PortPolicy, query: Trial, body: PolicyChange
) -> HttpResponse:
    """Change a policy; it counts from each host's next whole probe on."""
    return _saved(request, policy, query, _given(body), status=200)


@route(
    "DELETE",
    Role.ADMIN,
    query=Trial,
    about=visible_policy,
    data=Nothing | shapes.PolicyTrial,
)
def remove(request: HttpRequest, policy: PortPolicy, query: Trial) -> HttpResponse:
    """Remove the policy of a group or host; what is wider counts from then on."""
    _may(request, policy)
    if query.dry_run == "true":
        would = policy_book.preview(request, policy, removed=True)
        return envelope.answer({"preview": watching_payloads.preview(would)})
    policy_book.remove(policy, request=request)
    return envelope.answer(message=_("The policy was removed."))


def _saved(
    request: HttpRequest, policy: PortPolicy, query: Trial, data: dict[str, Any], *, status: int
) -> HttpResponse:
    _may(request, policy)
    if query.dry_run == "true":
        would = policy_book.preview(request, policy_book.draft(policy, data))
        return envelope.answer({"preview": watching_payloads.preview(would)})
    saved = policy_book.save(policy, data, request=request)
    return envelope.answer(
        {"policy": watching_payloads.policy(saved)},
        message=_("The policy was saved."),
        status=status,
    )


def _new(request: HttpRequest, body: NewPolicy) -> PortPolicy:
    if (body.group is None) == (body.host is None):
        raise ValidationError({"group": [_("Give a group or a host.")]})
    if body.group is not None:
        group = visible_groups(request.user).filter(name=body.group).first()
        if group is None:
            raise absent("group", _("There is no such host group."))
        return policy_book.of_scope(group, None)
    number = body.host if body.host is not None and 0 < body.host < 2**63 else 0
    host = visible_hosts(request).filter(pk=number).first()
    if host is None:
        raise absent("host", _("There is no such host."))
    return policy_book.of_scope(None, host)


def _given(body: PolicyChange) -> dict[str, Any]:
    given = body.model_dump(exclude_unset=True)
    return {name: given[name] for name in policy_book.FIELDS if name in given}


def _may(request: HttpRequest, policy: PortPolicy) -> None:
    if not policy_book.may_change(request, policy):
        raise Refusal(
            envelope.error(
                403,
                "forbidden",
                _("The rules of the site need an administrator of all hosts."),
                hint=_("An administrator of some groups changes those of its groups and hosts."),
            )
        )


def _filters(query: ChangeList) -> ChangeFilter:
    """The filters alone, which a cursor belongs to."""
    names = ChangeFilter.model_fields.keys() & query.model_fields_set
    return ChangeFilter.model_construct(
        _fields_set=set(names), **{name: getattr(query, name) for name in names}
    )


def _watched(
    row: WatchedPort, effective: policies.Effective, ephemeral: tuple[int, int]
) -> dict[str, Any]:
    of = range_of(row.port, ephemeral)
    expected, allowed = effective.naming(row.protocol, row.port, of, row.addresses, row.programs)
    return watching_payloads.watched(row, of=of, expected=expected, allowed=allowed)
