"""Services, their restarts, and the commands they are restarted with.

Place in the data's way: filled by ``probes.recovery.shaped``, declared by ``probes.api.recovery``.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import RestartRefusal, RestartState, ServiceState


class Affected(TypedDict):
    """Who is cut off by a restart: connections to the port, and of the processes that hold it."""

    connections: Count
    ips: list[tuple[str, Count]]
    """Remote addresses with most of them: address and number."""
    programs: list[tuple[str, Count]]
    """Programs with most of them: name (empty where unknown) and number."""


class AffectedThen(Affected):
    """The same as it is kept with a restart."""

    up: bool
    """Whether the port was open before."""
    pids: NotRequired[list[int]]
    """Where it was: the processes that held it."""


class Restart(TypedDict):
    """A decision to restart a service, and what became of it."""

    id: Identity
    service: Identity
    state: RestartState
    """``checking``: the next whole probe tells whether it helped."""
    reason: str | None
    """Code of why it was refused or failed."""
    message: str
    """What became of it in one line, in the reader's language; may be empty."""
    by: str | None
    """A user name; null where it was planned by itself."""
    attempt: Count
    """Counts the restarts after one transition of the port."""
    planned_at: Time
    ran_at: Time | None
    """When the command was begun."""
    ended_at: Time | None
    exit_status: int | None
    command_line: str
    affected: AffectedThen
    output: str
    """The end of what the command printed."""


class Service(TypedDict):
    """A port of a host with a name, and how it stands."""

    id: Identity
    name: str
    host: Named
    protocol: Literal["tcp", "udp"]
    port: Port
    state: ServiceState
    """``unknown`` where the newest probe gave no whole table."""
    since: Time | None
    """Since when the port is as it is, as far as it is watched."""
    seen_at: Time | None
    """Of the newest whole snapshot."""
    holders: list[str]
    """Programs that hold the port, or held it last."""
    watched: bool
    """Only a watched port is restarted by itself."""
    enabled: bool
    automatic: bool
    """Whether it is restarted by itself when its port goes down."""
    command: Named | None
    budget: Annotated[int, Field(ge=1)]
    """At most so many restarts within ``budget_s`` seconds."""
    budget_s: Annotated[int, Field(ge=1)]
    restarts_last_day: Count
    gave_up: bool
    """Whether it is not restarted by itself any more until a person looks."""
    restart: Restart | None
    """The newest decision."""
    notes: str


class ServiceInFull(Service):
    """The same with what a restart would cut off now."""

    affected: Affected


class Services(Listed):
    """The services of the hosts that the caller may see, the worst first."""

    services: list[Service]


class OneService(TypedDict):
    """A service."""

    service: Service


class OneServiceInFull(TypedDict):
    """A service, and what a restart of it would cut off."""

    service: ServiceInFull


class Refused(TypedDict):
    """What stands against a restart."""

    code: RestartRefusal
    message: str
    hint: str


class DryRun(TypedDict):
    """What a restart would do."""

    command_line: str
    affected: Affected
    up: bool | None
    """Null where the newest probe does not tell."""
    budget_left: Count
    """Restarts that the budget has left."""
    refusal: Refused | None


class RestartTrial(TypedDict):
    """Nothing was run: this is what would be (``dry_run``)."""

    dry_run: DryRun


class RestartPlanned(TypedDict):
    """It will be run within seconds."""

    restart: Restart


class Restarts(Listed):
    """The decisions on a service, newest first."""

    restarts: list[Restart]


class RestartCommand(TypedDict):
    """A command that services may be restarted with."""

    id: Identity
    name: str
    argv: list[str]
    """The program and its arguments; no shell reads them."""
    use_sudo: bool
    services: Count
    """How many use it."""
    updated_at: Time


class RestartCommands(Listed):
    """The commands that services may be restarted with, by name."""

    commands: list[RestartCommand]


class OneRestartCommand(TypedDict):
    """A restart command."""

    command: RestartCommand
