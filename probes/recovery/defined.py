"""Writing services and restart commands: checked, recorded, and whole or not at all.

Place in the data's way: between the pages and JSON routes and the rows. Each function is one
transaction with its audit entry. A refusal is a ValidationError with messages by field. Commands
belong to the whole site; a service belongs to its host, and names a command by its id only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host, HostQuerySet
from netadmin.access import audit
from probes import commands
from probes.models import Alert, AlertKind, Restart, RestartCommand, Service
from probes.recovery import guard
from probes.watch import lifecycle

SERVICE_FIELDS: Final = (
    "name",
    "host",
    "protocol",
    "port",
    "command",
    "automatic",
    "enabled",
    "budget",
    "budget_s",
    "notes",
)
COMMAND_FIELDS: Final = ("name", "argv", "use_sudo")
MOST_SERVICES: Final = 5_000
MOST_COMMANDS: Final = 500
NAME_CHARS: Final = 100
NOTES_CHARS: Final = 10_000


def create(data: Mapping[str, Any], *, hosts: HostQuerySet, request: HttpRequest) -> Service:
    """Make a service on one of ``hosts``."""
    with transaction.atomic():
        if Service.objects.count() >= MOST_SERVICES:
            most = _("There are %(most)s services already.") % {"most": MOST_SERVICES}
            raise ValidationError({"name": [most]})
        service = Service()
        _fill(service, data, hosts)
        _save(service)
        audit.record("service.add", request=request, target=service, detail=_described(service))
    return service


def change(
    service: Service, data: Mapping[str, Any], *, hosts: HostQuerySet, request: HttpRequest
) -> Service:
    """Change what ``data`` names; host, protocol and port only where nothing is under way."""
    with transaction.atomic():
        stored = guard.locked(service.pk)
        if stored is None:
            raise ValidationError({"name": [_("This service was removed meanwhile.")]})
        before = _described(stored)
        place = (stored.host_id, stored.protocol, stored.port)
        _fill(stored, data, hosts)
        if place != (stored.host_id, stored.protocol, stored.port):
            if Restart.objects.filter(service=stored, ended_at=None).exists():
                busy = _("A restart of it is under way. Try again when it has ended.")
                raise ValidationError({"port": [busy]})
            _end_alert(stored, request, host_id=place[0])
        elif not (stored.enabled and stored.automatic):
            # Of what is not restarted by itself nobody is told that it was given up.
            _end_alert(stored, request, host_id=place[0])
        _save(stored)
        changed = audit.changes(before, _described(stored))
        audit.record("service.change", request=request, target=stored, detail=changed)
    return stored


def remove(service: Service, *, request: HttpRequest) -> None:
    """Delete a service with the history of its restarts; its alert ends."""
    with transaction.atomic():
        stored = guard.locked(service.pk)
        if stored is None:
            return
        audit.record("service.remove", request=request, target=stored, detail=_described(stored))
        _end_alert(stored, request, host_id=stored.host_id)
        stored.delete()


def create_command(data: Mapping[str, Any], *, request: HttpRequest) -> RestartCommand:
    """Make a command that services may be restarted with."""
    with transaction.atomic():
        if RestartCommand.objects.count() >= MOST_COMMANDS:
            most = _("There are %(most)s commands already.") % {"most": MOST_COMMANDS}
            raise ValidationError({"name": [most]})
        command = RestartCommand()
        _fill_command(command, data)
        _save(command)
        detail = _described_command(command)
        audit.record("restart_command.add", request=request, target=command, detail=detail)
    return command


def change_command(
    command: RestartCommand, data: Mapping[str, Any], *, request: HttpRequest
) -> RestartCommand:
    """Change what ``data`` names; what runs already runs as it was."""
    with transaction.atomic():
        stored = RestartCommand.objects.select_for_update().filter(pk=command.pk).first()
        if stored is None:
            raise ValidationError({"name": [_("This command was removed meanwhile.")]})
        before = _described_command(stored)
        _fill_command(stored, data)
        _save(stored)
        changed = audit.changes(before, _described_command(stored))
        audit.record("restart_command.change", request=request, target=stored, detail=changed)
    return stored


def remove_command(command: RestartCommand, *, request: HttpRequest) -> None:
    """Delete a command that no service uses."""
    with transaction.atomic():
        stored = RestartCommand.objects.select_for_update().filter(pk=command.pk).first()
        if stored is None:
            return
        if Service.objects.filter(command=stored).exists():
            used = _("Services use this command. Give them another one first.")
            raise ValidationError({"name": [used]})
        detail = _described_command(stored)
        audit.record("restart_command.remove", request=request, target=stored, detail=detail)
        stored.delete()


def words(text: str) -> list[str]:
    """The words of a command from a text with one a line; blank lines are none."""
    lines = text.replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _fill(service: Service, data: Mapping[str, Any], hosts: HostQuerySet) -> None:
    wrong: dict[str, list[str]] = {}
    if "name" in data:
        service.name = _name(data["name"], wrong)
    if "host" in data or service._state.adding:
        host = _host(data.get("host"), hosts)
        if host is None:
            wrong["host"] = [_("There is no such host.")]
        else:
            service.host = host
    if "protocol" in data:
        service.protocol = str(data["protocol"] or "tcp")
        if service.protocol not in ("tcp", "udp"):
            wrong["protocol"] = [_("Give tcp or udp.")]
    for field, lowest, highest in (("port", 1, 65535), ("budget", 1, 20), ("budget_s", 60, 86_400)):
        if field in data or (field == "port" and service._state.adding):
            number = _number(data.get(field), lowest, highest)
            if number is None:
                said = {"lowest": lowest, "highest": highest}
                wrong[field] = [_("Give a number from %(lowest)s to %(highest)s.") % said]
            else:
                setattr(service, field, number)
    if "command" in data:
        service.command = _command(data["command"], wrong)
    for field in ("automatic", "enabled"):
        if field in data:
            setattr(service, field, bool(data[field]))
    if "notes" in data:
        service.notes = str(data["notes"] or "").replace("\r\n", "\n").strip()
        if len(service.notes) > NOTES_CHARS or "\0" in service.notes:
            most = {"most": NOTES_CHARS}
            wrong["notes"] = [_("Give at most %(most)s characters of text.") % most]
    if service.automatic and service.command is None and "command" not in wrong:
        wrong["command"] = [_("Choose the command that restarts it.")]
    if wrong:
        raise ValidationError(wrong)


def _fill_command(command: RestartCommand, data: Mapping[str, Any]) -> None:
    wrong: dict[str, list[str]] = {}
    if "name" in data:
        command.name = _name(data["name"], wrong)
    if "argv" in data:
        given = data["argv"]
        listed = [str(word) for word in given] if isinstance(given, list | tuple) else []
        try:
            commands.check_words(listed)
        except commands.UnusableWords as unusable:
            wrong["argv"] = [_unusable(unusable)]
        command.argv = listed
    if "use_sudo" in data:
        command.use_sudo = bool(data["use_sudo"])
    if wrong:
        raise ValidationError(wrong)


def _unusable(error: commands.UnusableWords) -> str:
    number = {"number": error.number}
    return {
        "empty": _("Give the command: one word a line, the program first."),
        "too_many": _("Give at most %(most)s words.") % {"most": commands.MOST_WORDS},
        "blank": _("Word %(number)s is empty.") % number,
        "too_long": _("Word %(number)s is too long.") % number,
        "unprintable": _("Word %(number)s holds a control character or a line break.") % number,
        "program": _(
            "The first word is a program: an absolute path, or a plain name. No option, no "
            "variable, nothing for a shell."
        ),
    }[error.code]


def _name(given: Any, wrong: dict[str, list[str]]) -> str:
    name = str(given or "").strip()
    if not name:
        wrong["name"] = [_("Give it a name.")]
    elif len(name) > NAME_CHARS or not name.isprintable():
        most = {"most": NAME_CHARS}
        wrong["name"] = [_("Give at most %(most)s printable characters.") % most]
    return name


def _host(given: Any, hosts: HostQuerySet) -> Host | None:
    if isinstance(given, Host):
        given = given.pk
    pk = _number(given, 1, 2**63 - 1)
    if pk is None:
        return None
    related = hosts.select_related("credential", "jump_host__credential")
    return related.filter(pk=pk).first()


def _command(given: Any, wrong: dict[str, list[str]]) -> RestartCommand | None:
    if given in (None, ""):
        return None
    if isinstance(given, RestartCommand):
        return given
    pk = _number(given, 1, 2**63 - 1)
    found = None if pk is None else RestartCommand.objects.filter(pk=pk).first()
    if found is None:
        wrong["command"] = [_("There is no such command.")]
    return found


def _number(given: Any, lowest: int, highest: int) -> int | None:
    if isinstance(given, bool):
        return None
    if isinstance(given, str):
        text = given.strip()
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            return None
        given = int(text)
    return given if isinstance(given, int) and lowest <= given <= highest else None


def _save(row: models.Model) -> None:
    """Save; ValidationError by field where another row is in the way."""
    try:
        row.validate_unique()
        row.validate_constraints()
        with transaction.atomic():
            row.save()
    except ValidationError as error:
        said = [message for messages in error.message_dict.values() for message in messages]
        field = "name" if isinstance(row, RestartCommand) else "port"
        raise ValidationError({field: said}) from None
    except IntegrityError:
        field = "name" if isinstance(row, RestartCommand) else "port"
        raise ValidationError({field: [_("Somebody else has just made this.")]}) from None


def _end_alert(service: Service, request: HttpRequest, *, host_id: int) -> None:
    """End the alert about a service that is no longer what it was about."""
    active = Alert.objects.filter(
        host_id=host_id,
        kind=AlertKind.SERVICE,
        fingerprint=guard.fingerprint(service),
        resolved_at=None,
    )
    alert = active.first()
    if alert is not None:
        who = request.user.get_username()
        lifecycle.resolve(host_id, alert.fingerprint, at=alert.newest_at, by=who)


def _described(service: Service) -> dict[str, Any]:
    """The fields as the audit log keeps them."""
    return {
        "name": service.name,
        "host": service.host.name,
        "protocol": service.protocol,
        "port": service.port,
        "command": None if service.command is None else service.command.name,
        "automatic": service.automatic,
        "enabled": service.enabled,
        "budget": service.budget,
        "budget_s": service.budget_s,
        "notes": service.notes[:500],
    }


def _described_command(command: RestartCommand) -> dict[str, Any]:
    # Not as a list: lists are sorted in the audit log, and the order of words matters.
    return {
        "name": command.name,
        "line": commands.restart_shown(command.argv)[:2_000],
        "use_sudo": command.use_sudo,
    }
