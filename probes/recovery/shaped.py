"""Services, restarts and commands as JSON and CSV show them.

Place in the data's way: as ``probes.payloads``, above what it shapes.
"""

from __future__ import annotations

from typing import Any, Final

from probes import payloads
from probes.models import Restart, RestartCommand
from probes.payloads.shapes import names
from probes.payloads.shapes import recovery as shapes
from probes.recovery.guard import Standing
from probes.recovery.listing import Row
from probes.wording import recovery as words

SERVICE: Final = names(shapes.Service)
RESTART: Final = names(shapes.Restart)
COMMAND: Final = names(shapes.RestartCommand)


def service(row: Row) -> dict[str, Any]:
    """A service with how it stands."""
    made = row.service
    command = made.command
    return {
        "id": made.pk,
        "name": made.name,
        "host": payloads.host_name(made.host),
        "protocol": made.protocol,
        "port": made.port,
        "state": row.state,
        "since": payloads.time(row.since),
        "seen_at": payloads.time(row.seen_at),
        "holders": list(row.holders),
        "watched": row.watched,
        "enabled": made.enabled,
        "automatic": made.automatic,
        "command": None if command is None else {"id": command.pk, "name": command.name},
        "budget": made.budget,
        "budget_s": made.budget_s,
        "restarts_last_day": row.restarts,
        "gave_up": row.given_up is not None,
        "restart": None if row.newest is None else restart(row.newest),
        "notes": made.notes,
    }


def restart(row: Restart) -> dict[str, Any]:
    """One decision and what became of it."""
    return {
        "id": row.pk,
        "service": row.service_id,
        "state": row.state,
        "reason": row.reason or None,
        "message": words.sentence(row),
        "by": row.by or None,
        "attempt": row.attempt,
        "planned_at": payloads.time(row.planned_at),
        "ran_at": payloads.time(row.ran_at),
        "ended_at": payloads.time(row.ended_at),
        "exit_status": row.exit_status,
        "command_line": row.command_line,
        "affected": row.affected,
        "output": row.output,
    }


def dry_run(at: Standing, affected: dict[str, Any]) -> dict[str, Any]:
    """What a restart would run, whom it would cut off, and what refuses it."""
    title, hint = words.reason(at.refusal)
    return {
        "command_line": at.line,
        "affected": affected,
        "up": at.is_up,
        "budget_left": at.left,
        "refusal": None if not at.refusal else {"code": at.refusal, "message": title, "hint": hint},
    }


def command(row: RestartCommand, *, services: int) -> dict[str, Any]:
    """A command with how many services use it."""
    return {
        "id": row.pk,
        "name": row.name,
        "argv": row.argv,
        "use_sudo": row.use_sudo,
        "services": services,
        "updated_at": payloads.time(row.updated_at),
    }
