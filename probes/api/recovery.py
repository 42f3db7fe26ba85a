"""``services``, their restarts, and the commands they are restarted with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import Field

from netadmin import envelope
from netadmin.access.models import Role
from probes import commands, payloads
from probes.api.routing import Body, route
from probes.api.shared import Listed, hosts_of, visible_hosts
from probes.history.queries.pages import open_cursor, seal, slice_rows
from probes.models import Restart, RestartCommand, Service
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import recovery as shapes
from probes.recovery import affected, decisions, defined, guard, listing, shaped
from probes.service_filters import ServiceFilter
from probes.wording import recovery as words

Name = Annotated[str, Field(max_length=defined.NAME_CHARS)]
Word = Annotated[str, Field(max_length=commands.MOST_WORD_BYTES)]


class ServiceList(ServiceFilter, Listed):
    """Which services, a page at a time."""


class ServiceChange(Body):
    """Fields of a service."""

    name: Name = ""
    host: Annotated[int, Field(ge=1, lt=2**63)] = 0
    protocol: Literal["tcp", "udp"] = "tcp"
    port: Annotated[int, Field(ge=1, le=65535)] = 0
    command: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    automatic: bool = False
    enabled: bool = True
    budget: Annotated[int, Field(ge=1, le=20)] = 3
    budget_s: Annotated[int, Field(ge=60, le=86_400)] = 300
    notes: Annotated[str, Field(max_length=defined.NOTES_CHARS)] = ""


class NewService(ServiceChange):
    """A service needs a name, and the port of a host."""

    name: Name
    host: Annotated[int, Field(ge=1, lt=2**63)]
    port: Annotated[int, Field(ge=1, le=65535)]


class CommandChange(Body):
    """Fields of a restart command."""

    name: Name = ""
    argv: Annotated[list[Word], Field(max_length=commands.MOST_WORDS)] = []
    """The program and its arguments, each a word of its own."""
    use_sudo: bool = True


class NewCommand(CommandChange):
    """A command needs a name and words."""

    name: Name
    argv: Annotated[list[Word], Field(max_length=commands.MOST_WORDS)]


class RestartRequest(Body):
    """Restart it, or only say what that would do."""

    dry_run: bool = False
    confirm: Literal["yes"] | None = None
    """Needed where the service is up."""


def visible_service(request: HttpRequest, pk: int) -> Service | None:
    """A service of a host that the caller may see."""
    return listing.of(visible_hosts(request)).filter(pk=pk).first()


def any_command(_request: HttpRequest, pk: int) -> RestartCommand | None:
    """A command by its id."""
    return RestartCommand.objects.filter(pk=pk).first()


@route("GET", Role.VIEWER, query=ServiceList, data=shapes.Services)
def services(request: HttpRequest, query: ServiceList) -> HttpResponseBase:
    """The services of the hosts that the caller may see, the worst first."""
    found = listing.fitting(listing.rows(list(listing.of(hosts_of(request, query)))), query)
    if query.format == "csv":
        return payloads.csv("services", shaped.SERVICE, map(shaped.service, found))
    page = slice_rows(
        found,
        kind=f"services:{query.q}:{query.state}:{query.host}:{query.group}:{query.port}"
        f":{query.command}",
        key=listing.order,
        cursor=query.cursor,
        limit=query.limit,
    )
    rows = [shaped.service(row) for row in page.rows]
    return envelope.answer({"services": rows, "total": page.total, "next": page.next})


@route("POST", Role.ADMIN, body=NewService, data=shapes.OneService, also=(201,))
def add(request: HttpRequest, body: NewService) -> HttpResponse:
    """Make a service of a port of a host."""
    made = defined.create(
        body.model_dump(exclude_unset=True), hosts=visible_hosts(request), request=request
    )
    response = envelope.answer(
        {"service": _one(made)}, message=_("The service was saved."), status=201
    )
    response["Location"] = f"{request.path}/{made.pk}"
    return response


@route("GET", Role.VIEWER, about=visible_service, data=shapes.OneServiceInFull)
def show(request: HttpRequest, service: Service) -> HttpResponse:
    """One service, and what a restart of it would cut off."""
    one = _one(service) | {"affected": affected.of(service)}
    return envelope.answer({"service": one})


@route("PATCH", Role.ADMIN, body=ServiceChange, about=visible_service, data=shapes.OneService)
def change(request: HttpRequest, service: Service, body: ServiceChange) -> HttpResponse:
    """Change a service."""
    data = body.model_dump(exclude_unset=True)
    changed = defined.change(service, data, hosts=visible_hosts(request), request=request)
    return envelope.answer({"service": _one(changed)}, message=_("The service was saved."))


@route("DELETE", Role.ADMIN, about=visible_service, data=Nothing)
def remove(request: HttpRequest, service: Service) -> HttpResponse:
    """Remove a service with the history of its restarts."""
    defined.remove(service, request=request)
    return envelope.answer(message=_("The service was removed."))


@route(
    "POST",
    Role.OPERATOR,
    body=RestartRequest,
    about=visible_service,
    data=shapes.RestartTrial | shapes.RestartPlanned,
    also=(202, 409),
)
def restart(request: HttpRequest, service: Service, body: RestartRequest) -> HttpResponse:
    """Restart a service within its budget, or say what that would do (``dry_run``)."""
    confirmed = body.confirm == "yes"
    if body.dry_run:
        at = guard.standing(service, now=timezone.now(), by_person=True, confirmed=confirmed)
        return envelope.answer({"dry_run": shaped.dry_run(at, affected.of(service))})
    planned = decisions.plan(service, request=request, confirmed=confirmed)
    if isinstance(planned, str):
        title, hint = words.reason(planned)
        return envelope.error(409, planned, title, hint=hint)
    return envelope.answer(
        {"restart": shaped.restart(planned)}, message=_("The restart is planned."), status=202
    )


@route("GET", Role.VIEWER, query=Listed, about=visible_service, data=shapes.Restarts)
def restarts(request: HttpRequest, service: Service, query: Listed) -> HttpResponseBase:
    """The restarts of a service, newest first."""
    found = Restart.objects.filter(service=service).order_by("-pk")
    if query.format == "csv":
        return payloads.csv("restarts", shaped.RESTART, map(shaped.restart, found.iterator(500)))
    kind, rest = f"restarts:{service.pk}", found
    if query.cursor is not None:
        (after,) = open_cursor(kind, query.cursor, parts=1)
        rest = found.filter(pk__lt=after)
    page = list(rest[: query.limit + 1])
    more, page = len(page) > query.limit, page[: query.limit]
    return envelope.answer(
        {
            "restarts": [shaped.restart(row) for row in page],
            "total": found.count(),
            "next": seal(kind, page[-1].pk) if more else None,
        }
    )


@route("GET", Role.ADMIN, query=Listed, site_wide=True, data=shapes.RestartCommands)
def restart_commands(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The commands that services may be restarted with, by name."""
    found = [shaped.command(row, services=row.used) for row in _counted()]
    if query.format == "csv":
        return payloads.csv("restart-commands", shaped.COMMAND, found)
    page = slice_rows(
        found,
        kind="restart-commands",
        key=lambda row: [row["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"commands": page.rows, "total": page.total, "next": page.next})


@route(
    "POST", Role.ADMIN, body=NewCommand, site_wide=True, data=shapes.OneRestartCommand, also=(201,)
)
def add_command(request: HttpRequest, body: NewCommand) -> HttpResponse:
    """Allow a command."""
    made = defined.create_command(body.model_dump(exclude_unset=True), request=request)
    response = envelope.answer(
        {"command": _command(made)}, message=_("The command was saved."), status=201
    )
    response["Location"] = f"{request.path}/{made.pk}"
    return response


@route("GET", Role.ADMIN, about=any_command, site_wide=True, data=shapes.OneRestartCommand)
def show_command(request: HttpRequest, command: RestartCommand) -> HttpResponse:
    """One command."""
    return envelope.answer({"command": _command(command)})


@route(
    "PATCH",
    Role.ADMIN,
    body=CommandChange,
    about=any_command,
    site_wide=True,
    data=shapes.OneRestartCommand,
)
def change_command(
    request: HttpRequest, command: RestartCommand, body: CommandChange
) -> HttpResponse:
    """Change a command, for all services that use it."""
    data = body.model_dump(exclude_unset=True)
    changed = defined.change_command(command, data, request=request)
    return envelope.answer({"command": _command(changed)}, message=_("The command was saved."))


@route("DELETE", Role.ADMIN, about=any_command, site_wide=True, data=Nothing)
def remove_command(request: HttpRequest, command: RestartCommand) -> HttpResponse:
    """Remove a command that no service uses."""
    defined.remove_command(command, request=request)
    return envelope.answer(message=_("The command was removed."))


def _one(service: Service) -> dict[str, Any]:
    return shaped.service(listing.row(service))


def _command(row: RestartCommand) -> dict[str, Any]:
    return shaped.command(row, services=row.services.count())


def _counted() -> Any:
    return RestartCommand.objects.annotate(used=Count("services")).order_by("name")
