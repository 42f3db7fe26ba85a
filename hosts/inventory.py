"""Adding, changing and removing hosts: checked, confirmed, recorded, and whole or not at all.

Place in the data's way: between whoever wants a change (pages, the Django admin, JSON routes,
CSV import, ``manage.py``) and the rows. Each function is one transaction with its audit entry.
Knows nothing of HTTP beyond the request that the audit log names, and nothing of probes.

``data`` maps the names of :data:`HOST_FIELDS` to values; on a change, what is missing stays. A
relation is given as an object, an id or a name. Beside them ``data`` may hold

``new_credential``
    a mapping for :func:`hosts.credentials.create`, made with the host and used by it;
``confirm_secret``, ``confirm_sudo_password``
    the chosen credential's secrets typed again, asked for by :func:`draft` where a stored secret
    would go to another address.

``request`` is None for a command typed on the server, which may do everything. Every refusal is
a ``django.core.exceptions.ValidationError`` with a dict of messages by field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts import credentials, reach
from hosts.models import Credential, Host, HostGroup
from hosts.values import check_text, plain_bool, plain_int
from netadmin.access import audit

HOST_FIELDS = (
    "name",
    "address",
    "port",
    "is_local",
    "platform",
    "credential",
    "groups",
    "jump_host",
    "interval_s",
    "enabled",
    "keep_connection",
    "notes",
)
EXTRA_FIELDS = ("new_credential", "confirm_secret", "confirm_sudo_password")
NOTES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A host as it would be stored, checked but not saved."""

    host: Host
    groups: list[HostGroup]
    new_credential: Credential | None
    before: dict[str, Any]
    """What is stored now, as :func:`describe` gives it; empty for a new host."""
    confirmed: bool
    """Whether a stored secret was typed again for this."""


def create_host(data: Mapping[str, Any], *, request: HttpRequest | None, actor: str = "") -> Host:
    """Add a host; raises ValidationError by field. ``actor`` names who is no user (a source)."""
    with transaction.atomic():
        return _save(draft(data, host=None, request=request), request, actor)


def change_host(
    host: Host, data: Mapping[str, Any], *, request: HttpRequest | None, actor: str = ""
) -> Host:
    """Change a host and return it fresh; raises ValidationError by field."""
    with transaction.atomic():
        stored = Host.objects.select_for_update(of=("self",)).kept().filter(pk=host.pk).first()
        if stored is None:
            raise ValidationError({"name": _("This host was removed meanwhile.")})
        return _save(draft(data, host=stored, request=request), request, actor)


def remove_host(host: Host, *, request: HttpRequest | None, actor: str = "") -> None:
    """Stop watching a host and forget how to log in to it; its history stays.

    Raises ValidationError where another host is reached through it.
    """
    with transaction.atomic():
        stored = Host.objects.select_for_update(of=("self",)).kept().filter(pk=host.pk).first()
        if stored is None:
            return
        through = stored.reached_through.kept().values_list("name", flat=True)[:5]
        if through:
            raise ValidationError(
                {
                    "jump_host": _("Other hosts are reached through it: %(names)s.")
                    % {"names": ", ".join(through)}
                }
            )
        was = describe(stored)
        stored.removed_at = timezone.now()
        stored.enabled = False
        stored.credential = stored.jump_host = None
        stored.save()
        audit.record(
            "host.remove", request=request, actor=actor, target=stored, detail={"was": was}
        )
    host.removed_at = stored.removed_at


def draft(data: Mapping[str, Any], *, host: Host | None, request: HttpRequest | None) -> Draft:
    """Check a new host (``host`` None) or a change of a stored one without saving anything.

    Asks for the credential again (error on ``confirm_secret``) where a stored secret would go to
    another address or port, and, from an administrator of some groups only, wherever a stored
    credential comes to a host it was not used for.
    """
    errors: dict[str, Any] = {}
    _refuse_unknown(data)
    limits = reach.of(request)
    stored = None if host is None else Host.objects.get(pk=host.pk)
    new = Host() if stored is None else Host.objects.get(pk=stored.pk)
    before = {} if stored is None else describe(stored)
    _assign(new, data, errors)
    groups = _groups(stored, data, limits, errors)
    _relate(new, data, limits, errors)
    fresh = _fresh_credential(new, data, errors)
    if fresh is not None:
        new.credential = fresh
    if new.is_local:
        new.credential, new.jump_host, fresh = None, None, None
        new.address = new.address or "localhost"
        if not limits.everything and not (stored and stored.is_local):
            errors["is_local"] = _("Only administrators of all hosts may add this machine.")
    try:
        # An unsaved credential is checked by itself and has no row to look up yet.
        new.full_clean(exclude=[*errors, "credential", "jump_host"], validate_constraints=False)
    except ValidationError as invalid:
        errors |= invalid.error_dict
    if "name" not in errors and new.same_name().exists():
        errors["name"] = _("A host with this name exists already.")
    if "jump_host" not in errors and _loops(new):
        errors["jump_host"] = _("This host would be reached through itself.")
    confirmed = False
    if not errors and fresh is None and _redirects(stored, new, limits):
        credentials.confirm(cast("Credential", new.credential), data, errors)
        confirmed = not errors
    if errors:
        raise ValidationError(errors)
    return Draft(new, groups, fresh, before, confirmed)


def describe(host: Host) -> dict[str, Any]:
    """A stored host's fields for the audit log: relations by name, no secrets."""
    values: dict[str, Any] = {name: getattr(host, name) for name in HOST_FIELDS if name != "groups"}
    values["credential"] = host.credential.name if host.credential else None
    values["jump_host"] = host.jump_host.name if host.jump_host else None
    values["groups"] = sorted(group.name for group in host.groups.all())
    return values


def _save(checked: Draft, request: HttpRequest | None, actor: str) -> Host:
    host, adding = checked.host, checked.host.pk is None
    if checked.new_credential is not None:
        credentials.insert(checked.new_credential, request=request)
        host.credential = checked.new_credential
    try:
        with transaction.atomic():
            host.save()
    except IntegrityError:  # somebody else took the name between the check and this write
        raise ValidationError({"name": _("A host with this name exists already.")}) from None
    host.groups.set(checked.groups)
    changed = audit.changes(checked.before, describe(host))
    if checked.confirmed:
        changed["confirmed"] = [None, "the stored secret was typed again"]
    if adding or changed:
        audit.record(
            "host.add" if adding else "host.change",
            request=request,
            actor=actor,
            target=host,
            detail=changed,
        )
    return host


def _refuse_unknown(data: Mapping[str, Any]) -> None:
    unknown = [name for name in data if name not in (*HOST_FIELDS, *EXTRA_FIELDS)]
    if unknown:
        raise ValidationError({str(unknown[0]): _("There is no such field.")})


def _assign(host: Host, data: Mapping[str, Any], errors: dict[str, Any]) -> None:
    readers: dict[str, Any] = {
        "name": lambda value: check_text(value, longest=100),
        "address": lambda value: check_text(value, longest=255),
        "notes": lambda value: check_text(value, longest=NOTES_MAX, lines=True),
        "platform": lambda value: check_text(value, longest=10),
        "port": plain_int,
        "interval_s": lambda value: None if value in (None, "") else plain_int(value),
        "is_local": plain_bool,
        "enabled": plain_bool,
        "keep_connection": plain_bool,
    }
    for name, read in readers.items():
        if name in data:
            try:
                setattr(host, name, read(data[name]))
            except ValidationError as invalid:
                errors[name] = invalid


def _groups(
    stored: Host | None, data: Mapping[str, Any], limits: reach.Reach, errors: dict[str, Any]
) -> list[HostGroup]:
    """The groups the host will be in: those the caller may not see stay as they are."""
    current = [] if stored is None else list(stored.groups.all())
    if "groups" not in data:
        chosen = current
    else:
        try:
            wanted = [_find(limits.groups(), item) for item in _listed(data["groups"])]
        except ValidationError as invalid:
            errors["groups"] = invalid
            return []
        unseen = [] if limits.everything else [g for g in current if not limits.has_group(g)]
        chosen = list({group.pk: group for group in (*unseen, *wanted)}.values())
    if not limits.everything and not any(limits.has_group(group) for group in chosen):
        errors["groups"] = _("Choose one of your host groups; you could not see the host else.")
    return chosen


def _relate(
    host: Host, data: Mapping[str, Any], limits: reach.Reach, errors: dict[str, Any]
) -> None:
    for name, allowed in (("credential", limits.credentials), ("jump_host", limits.hosts)):
        if name not in data:
            continue
        wanted = data[name]
        try:
            setattr(host, name, None if wanted in (None, "") else _find(allowed(), wanted))
        except ValidationError as invalid:
            errors[name] = invalid


def _fresh_credential(
    host: Host, data: Mapping[str, Any], errors: dict[str, Any]
) -> Credential | None:
    given = data.get("new_credential")
    if not given or host.is_local:
        return None
    try:
        return credentials.draft(given, credential=None)
    except ValidationError as invalid:
        errors |= {f"new_credential.{name}": each for name, each in invalid.error_dict.items()}
        return None


def _listed(value: Any) -> Iterable[Any]:
    if value in (None, ""):
        return []
    if isinstance(value, str | int) or not isinstance(value, Iterable):
        raise ValidationError(_("Give a list."))
    return value


def _find(allowed: models.QuerySet[Any], wanted: Any) -> Any:
    """The object that ``wanted`` (an object, an id or a name) means among those allowed."""
    found = None
    if isinstance(wanted, models.Model):
        found = allowed.filter(pk=wanted.pk).first()
    elif isinstance(wanted, int) and not isinstance(wanted, bool):
        found = allowed.filter(pk=wanted).first() if 0 < wanted < 2**63 else None
    elif isinstance(wanted, str):
        found = allowed.filter(name=check_text(wanted, longest=200)).first()
    else:
        raise ValidationError(_("Give an id or a name."))
    if found is None:
        raise ValidationError(
            _("There is no %(kind)s “%(wanted)s”.")
            % {"kind": allowed.model._meta.verbose_name, "wanted": str(wanted)[:100]}
        )
    return found


def _loops(host: Host) -> bool:
    """Whether following jump hosts from ``host`` comes back to one already passed."""
    passed = {host.pk} if host.pk else set()
    jump = host.jump_host
    while jump is not None:
        if jump.pk in passed:
            return True
        passed.add(jump.pk)
        jump = jump.jump_host
    return False


def _redirects(stored: Host | None, new: Host, limits: reach.Reach) -> bool:
    """Whether a stored secret would go where it was not sent before."""
    if new.is_local or new.credential is None or limits.at_the_server:
        return False
    if stored is None:
        return not limits.everything
    if (stored.address, stored.port) != (new.address, new.port) or stored.is_local:
        return True
    return not limits.everything and stored.credential_id != new.credential_id
