"""Adding, changing and removing sources of hosts: checked, confirmed and recorded.

Place in the data's way: between the forms and JSON routes and the rows. Each function is one
transaction with its audit entry, in which a token shows only as changed. ``data`` maps
:data:`PLAIN_FIELDS`, ``token`` (write-only; blank keeps it), ``clear_token``, and
``confirm_secret`` with ``confirm_sudo_password``: the credential typed again, asked for where the
source would come to send it to addresses that nobody had in mind. ``request`` None is a command
on the server. Refusals are ValidationErrors by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hosts import credentials
from hosts.cmdb import reading
from hosts.cmdb.rows import FIELDS
from hosts.cmdb.wording import RUNS
from hosts.models import Credential, Host, HostGroup, Source
from hosts.values import check_text, plain_bool, plain_int
from netadmin import outbound
from netadmin.access import audit

PLAIN_FIELDS = (
    "name",
    "kind",
    "enabled",
    "location",
    "fields",
    "group",
    "credential",
    "every_minutes",
)
SECRET_FIELDS = ("token", "clear_token", "confirm_secret", "confirm_sudo_password")
TOKEN_MAX = 4096
DECIDES = ("kind", "location", "fields", "credential_id")
"""What decides where the credential will be sent."""
KNOWN_FIELDS: dict[str, tuple[str, ...]] = {
    Source.Kind.CSV: FIELDS,
    Source.Kind.JSON: (*FIELDS, "rows"),
}
"""What may be mapped, by kind; others have their own fixed form."""


def create(data: Mapping[str, Any], *, request: HttpRequest | None) -> Source:
    """Add a source; its first synchronisation follows at once where it is enabled."""
    with transaction.atomic():
        return _save(_draft(Source(), data, request), {}, data, request)


def change(source: Source, data: Mapping[str, Any], *, request: HttpRequest | None) -> Source:
    """Change a source and return it fresh.

    With another group, the hosts that it brought go there from the old one; one that a person
    took out of the old group stays where it is.
    """
    with transaction.atomic():
        stored = Source.objects.select_for_update(of=("self",)).filter(pk=source.pk).first()
        if stored is None:
            raise ValidationError({"name": _("This source was removed meanwhile.")})
        before = describe(stored)
        return _save(_draft(stored, data, request), before, data, request)


def remove(source: Source, *, request: HttpRequest | None) -> None:
    """Forget a source and its runs; its hosts stay and follow nobody."""
    with transaction.atomic():
        audit.record("source.remove", request=request, target=source,
                     detail={"was": describe(source)})  # fmt: skip
        source.delete()


def describe(source: Source) -> dict[str, Any]:
    """Its fields for the audit log, relations by name, no secrets."""
    values: dict[str, Any] = {name: getattr(source, name) for name in PLAIN_FIELDS}
    values["group"] = source.group.name
    values["credential"] = source.credential.name if source.credential else None
    return values


def _save(
    source: Source, before: dict[str, Any], data: Mapping[str, Any], request: HttpRequest | None
) -> Source:
    adding = source.pk is None
    if adding or {"kind", "location", "fields"} & {
        name for name in before if before[name] != getattr(source, name)
    }:
        source.next_sync_at = None
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError:  # somebody else took the name between the check and this write
        raise ValidationError({"name": _("A source with this name exists already.")}) from None
    detail: dict[str, Any] = audit.changes(before, describe(source))
    if "group" in detail and not adding:
        detail["hosts_moved"] = _move_hosts(source, before["group"])
    if data.get("token") or data.get("clear_token"):
        detail["token"] = list(credentials.HIDDEN)
    if adding or detail:
        action = "source.add" if adding else "source.change"
        audit.record(action, request=request, target=source, detail=detail)
    return source


def _move_hosts(source: Source, old: str) -> int:
    """Move the hosts of a source from the group of that name to its own; returns how many."""
    members = Host.groups.through.objects
    theirs = members.filter(
        hostgroup__name=old, host__sourced__source=source, host__removed_at=None
    )
    moved = list(theirs.values_list("host_id", flat=True))
    members.filter(pk__in=list(theirs.values_list("pk", flat=True))).delete()
    members.bulk_create(
        [Host.groups.through(host_id=host, hostgroup_id=source.group_id) for host in moved],
        batch_size=500,
        ignore_conflicts=True,
    )
    return len(moved)


def _draft(source: Source, data: Mapping[str, Any], request: HttpRequest | None) -> Source:
    errors: dict[str, Any] = {}
    unknown = [name for name in data if name not in (*PLAIN_FIELDS, *SECRET_FIELDS)]
    if unknown:
        raise ValidationError({str(unknown[0]): _("There is no such field.")})
    was = {name: getattr(source, name) for name in DECIDES}
    origin = _origin(source.location)
    _assign(source, data, errors)
    try:
        source.full_clean(exclude=[*errors, "uid"])
    except ValidationError as invalid:
        errors |= invalid.error_dict
    placed = any(was[name] != getattr(source, name) for name in ("kind", "location"))
    # What is stored stays editable where its network is no longer open: asking it is refused.
    if placed and "location" not in errors and "kind" not in errors and source.location:
        _check_location(source, errors)
    if "fields" not in errors:
        _check_fields(source, errors)
    _set_token(source, data, errors, moved=origin != _origin(source.location))
    redirected = any(was[name] != getattr(source, name) for name in DECIDES)
    if not errors and request is not None and source.credential is not None and redirected:
        credentials.confirm(source.credential, data, errors)
    if errors:
        raise ValidationError(errors)
    return source


def _assign(source: Source, data: Mapping[str, Any], errors: dict[str, Any]) -> None:
    readers: dict[str, Any] = {
        "name": lambda value: check_text(value, longest=100).strip(),
        "kind": lambda value: check_text(value, longest=8),
        "location": lambda value: check_text(value, longest=500).strip(),
        "enabled": plain_bool,
        "every_minutes": plain_int,
        "group": lambda value: _find(HostGroup, value),
        "credential": lambda value: None if value in (None, "") else _find(Credential, value),
        "fields": lambda value: value,
    }
    for name, read in readers.items():
        if name in data:
            try:
                setattr(source, name, read(data[name]))
            except ValidationError as invalid:
                errors[name] = invalid


def _find(model: type[HostGroup] | type[Credential], wanted: Any) -> Any:
    found: Any = None
    if isinstance(wanted, model):
        return wanted
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        found = model.objects.filter(pk=wanted).first() if 0 < wanted < 2**63 else None
    elif isinstance(wanted, str):
        found = model.objects.filter(name=check_text(wanted, longest=200)).first()
    if found is None:
        raise ValidationError(
            _("There is no %(kind)s “%(wanted)s”.")
            % {"kind": model._meta.verbose_name, "wanted": str(wanted)[:100]}
        )
    return found


def _check_location(source: Source, errors: dict[str, Any]) -> None:
    if reading.is_web(source.location):
        try:
            outbound.check_url(source.location)
        except outbound.Blocked as error:
            errors["location"] = _(
                "%(reason)s An operator opens networks with OUTBOUND_ALLOWED_NETWORKS."
            ) % {"reason": error}
        except outbound.Failed as error:
            errors["location"] = str(error)
    elif source.kind == Source.Kind.NETBOX:
        errors["location"] = _("Enter a URL that begins with https:// or http://.")
    else:
        try:
            reading.find_file(source.location)
        except reading.NotRead as error:
            errors["location"] = RUNS[error.code]


def _check_fields(source: Source, errors: dict[str, Any]) -> None:
    given = source.fields
    if not isinstance(given, dict):
        errors["fields"] = _("Give an object of names.")
        return
    known = KNOWN_FIELDS.get(source.kind, ())
    for name, value in given.items():
        if name not in known:
            errors["fields"] = _("There is no field “%(name)s” here.") % {"name": str(name)[:50]}
            return
        try:
            check_text(value, longest=200)
        except ValidationError as invalid:
            errors["fields"] = invalid
            return
    source.fields = {name: value.strip() for name, value in given.items() if value.strip()}


def _set_token(
    source: Source, data: Mapping[str, Any], errors: dict[str, Any], *, moved: bool
) -> None:
    token = data.get("token")
    if data.get("clear_token"):
        source.set_secret("token", None)
    elif token:
        if not isinstance(token, str) or len(token) > TOKEN_MAX or not _sendable(token.strip()):
            errors["token"] = _("A token is one line of ASCII text.")
            return
        source.set_secret("token", token.strip())
    elif moved and source.has_secret("token"):
        errors["token"] = _(
            "This would send the stored token to another server. Type it again to go on."
        )


def _sendable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _origin(location: str) -> str:
    """What a token is for: a server, or no server at all."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
