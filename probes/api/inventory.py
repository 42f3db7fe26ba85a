"""``hosts/``: the inventory. Secrets go in and never come out.

Place in the data's way: between scripts and ``hosts.inventory``, which checks, records and stores;
here its fields are named and typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from pydantic import Field, PlainValidator

from hosts import inventory
from hosts.models import Host, HostQuerySet
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import Body, invalid, route
from probes.api.shared import Listed, hosts_of, visible_host, visible_hosts
from probes.filters import Identifier, Invalid
from probes.history import queries
from probes.history.queries.pages import open_cursor, seal
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import hosts as shapes

_CSV_CHUNK: Final = 500

Name = Annotated[str, Field(min_length=1, max_length=100)]


def _id_or_name(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and value.strip():
        return value
    raise Invalid(_lazy("Give an id or a name."))


Wanted = Annotated[
    int | str, PlainValidator(_id_or_name, json_schema_input_type=Annotated[int, Field(ge=1)] | str)
]
"""The id of something, or its name."""
Secret = Annotated[str, Field(max_length=64 * 1024)]


class HostList(Listed):
    """Which hosts."""

    host: Identifier | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    q: Annotated[str, Field(max_length=100)] | None = None
    """Part of the name or the address."""
    enabled: Literal["true", "false"] | None = None


class NewCredential(Body):
    """A credential made with the host."""

    name: Name
    user: Name
    method: Literal["password", "key", "key_file"] = "password"
    password: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None
    key_file: Annotated[str, Field(max_length=500)] | None = None
    sudo: Literal["none", "nopasswd", "password"] = "none"
    sudo_password: Secret | None = None


class HostChange(Body):
    """What to change of a host; what is absent stays."""

    name: Name = ""
    address: Annotated[str, Field(min_length=1, max_length=255)] = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    is_local: bool = False
    platform: Literal["auto", "linux", "windows", "macos", "bsd"] = "auto"
    credential: Wanted | None = None
    groups: Annotated[list[Wanted], Field(max_length=100)] = []
    jump_host: Wanted | None = None
    interval_s: Annotated[int, Field(ge=5, le=86_400)] | None = None
    enabled: bool = True
    keep_connection: bool = True
    notes: Annotated[str, Field(max_length=inventory.NOTES_MAX)] = ""
    new_credential: NewCredential | None = None
    confirm_secret: Secret | None = None
    """The stored secret typed again: asked for where it would go to another address or port."""
    confirm_sudo_password: Secret | None = None


class NewHost(HostChange):
    """A host to add."""

    name: Name
    address: Annotated[str, Field(min_length=1, max_length=255)]


@route("GET", Role.VIEWER, query=HostList, data=shapes.Hosts, version=versions.of_body)
def listing(request: HttpRequest, query: HostList) -> HttpResponseBase:
    """Hosts by name, each with its status and newest probes."""
    hosts = _matching(request, query)
    if query.format == "csv":
        return payloads.csv("hosts", payloads.HOST, _all(request, hosts))
    kind = f"hosts:{query.host}:{query.group}:{query.q}:{query.enabled}"
    rows = hosts
    if query.cursor is not None:
        (after,) = open_cursor(kind, query.cursor, parts=1)
        rows = rows.filter(name__gt=after)
    found = list(rows.values_list("pk", "name")[: query.limit + 1])
    following = None
    if len(found) > query.limit:
        found.pop()
        following = seal(kind, found[-1][1])
    return envelope.answer(
        {
            "hosts": _shaped(request, hosts, [pk for pk, _name in found]),
            "total": hosts.count(),
            "next": following,
        }
    )


@route("POST", Role.ADMIN, body=NewHost, data=shapes.OneHost, also=(201,))
def add(request: HttpRequest, body: NewHost) -> HttpResponse:
    """Add a host, and its credential with it where one is given."""
    host = inventory.create_host(_given(body), request=request)
    response = envelope.answer(
        {"host": _one(request, host)}, message=_("The host was added."), status=201
    )
    response["Location"] = f"{request.path}{host.pk}/"
    return response


@route("GET", Role.VIEWER, about=visible_host, data=shapes.OneHost)
def show(request: HttpRequest, host: Host) -> HttpResponse:
    """One host."""
    return envelope.answer({"host": _one(request, host)})


@route("PATCH", Role.ADMIN, body=HostChange, about=visible_host, data=shapes.OneHost)
def change(request: HttpRequest, host: Host, body: HostChange) -> HttpResponse:
    """Change a host; a new address or port asks for its credential again."""
    given = _given(body)
    try:
        changed = inventory.change_host(host, given, request=request)
    except ValidationError as error:
        if "confirm_secret" in error.message_dict and not given.get("confirm_secret"):
            return invalid(
                "credential",
                " ".join(error.message_dict["confirm_secret"]),
                hint=_("Send confirm_secret with the stored secret, or a new_credential."),
            )
        raise
    return envelope.answer({"host": _one(request, changed)}, message=_("The host was changed."))


@route("DELETE", Role.ADMIN, about=visible_host, data=Nothing)
def remove(request: HttpRequest, host: Host) -> HttpResponse:
    """Stop watching a host; its history is kept."""
    inventory.remove_host(host, request=request)
    return envelope.answer(message=_("The host was removed. Its history is kept."))


def _given(body: HostChange) -> dict[str, Any]:
    return body.model_dump(exclude_unset=True)


def _matching(request: HttpRequest, query: HostList) -> HostQuerySet:
    hosts = hosts_of(request, query).order_by("name").select_related("credential")
    if query.q is not None:
        hosts = hosts.filter(Q(name__icontains=query.q) | Q(address__icontains=query.q))
    if query.enabled is not None:
        hosts = hosts.filter(enabled=query.enabled == "true")
    return hosts


def _one(request: HttpRequest, host: Host) -> dict[str, Any]:
    (shaped,) = _shaped(request, Host.objects.select_related("credential"), [host.pk])
    return shaped


def _shaped(request: HttpRequest, hosts: HostQuerySet, ids: list[int]) -> list[dict[str, Any]]:
    """These of ``hosts``, in the order of ``ids``: the database sorts, in its own way."""
    page = hosts.filter(pk__in=ids).with_groups(request.user)
    by_id = {row.host.pk: row for row in queries.overview(page, bars=0)}
    rows = [by_id[pk] for pk in ids if pk in by_id]
    through = {row.host.jump_host_id for row in rows if row.host.jump_host_id is not None}
    jumps = visible_hosts(request).filter(pk__in=through) if through else Host.objects.none()
    seen = {host.pk: host for host in jumps}
    return [payloads.host(row, jump_host=seen.get(row.host.jump_host_id or 0)) for row in rows]


def _all(request: HttpRequest, hosts: HostQuerySet) -> Iterator[dict[str, Any]]:
    ids = list(hosts.values_list("pk", flat=True))
    for start in range(0, len(ids), _CSV_CHUNK):
        yield from _shaped(request, hosts, ids[start : start + _CSV_CHUNK])
