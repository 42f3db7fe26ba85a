"""Adding, changing and removing credentials: secrets go in here and never come out to people.

Place in the data's way: under ``hosts.inventory``, the credential pages and the Django admin. Each
function is one transaction with its audit entry, in which a secret shows only as changed.

``data`` maps ``name, user, method, key_file, sudo`` and the secrets of
``Credential.SECRET_FIELDS`` to text. On a change what is missing stays, and so does a secret that
is None or empty; ``clear`` lists the secrets to forget. Secrets that the method does not use are
forgotten by themselves.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hosts import private_keys
from hosts.models import Credential
from hosts.secrets import DecryptionError
from hosts.values import check_text
from netadmin.access import audit

PLAIN_FIELDS = ("name", "user", "method", "key_file", "sudo")
LOGIN_FIELDS = ("user", "method", "key_file", "sudo")
SECRET_MAX = 16 * 1024
HIDDEN = ["***", "***"]

_Method = Credential.Method
USED_BY = {
    "password": lambda credential: credential.method == _Method.PASSWORD,
    "private_key": lambda credential: credential.method == _Method.KEY,
    "passphrase": lambda credential: credential.method != _Method.PASSWORD,
    "sudo_password": lambda credential: credential.sudo == Credential.SudoChoice.PASSWORD,
}
"""Which credentials use a secret."""
NO_CONFIRMATION = _(
    "This would send the stored secret to another address. Type it again to go on, "
    "or make a new credential."
)


def create(data: Mapping[str, Any], *, request: HttpRequest | None) -> Credential:
    """Add a credential; raises ValidationError by field."""
    with transaction.atomic():
        return insert(draft(data, credential=None), request=request)


def insert(credential: Credential, *, request: HttpRequest | None) -> Credential:
    """Save a new one made by :func:`draft`, inside the caller's transaction."""
    _write(credential)
    audit.record(
        "credential.add",
        request=request,
        target=credential,
        detail=audit.changes({}, _plain(credential)) | _secrets_changed(None, credential),
    )
    return credential


def change(
    credential: Credential, data: Mapping[str, Any], *, request: HttpRequest | None
) -> Credential:
    """Change a credential; hosts that use it log in anew. Raises ValidationError by field."""
    with transaction.atomic():
        stored = Credential.objects.select_for_update().get(pk=credential.pk)
        changed = draft(data, credential=stored)
        detail = audit.changes(_plain(stored), _plain(changed)) | _secrets_changed(stored, changed)
        if detail:
            _write(changed)
            audit.record("credential.change", request=request, target=changed, detail=detail)
        return changed


def remove(credential: Credential, *, request: HttpRequest | None) -> None:
    """Delete a credential; raises ValidationError while hosts use it."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                gone = Credential(pk=credential.pk, name=credential.name, user=credential.user)
                credential.delete()
        except models.ProtectedError as error:
            names = sorted(str(host) for host in error.protected_objects)[:5]
            raise ValidationError(
                {"name": _("Hosts use it: %(names)s.") % {"names": ", ".join(names)}}
            ) from None
        audit.record("credential.delete", request=request, target=gone)


def draft(data: Mapping[str, Any], *, credential: Credential | None) -> Credential:
    """The credential as it would be stored, checked but not saved, its version raised where
    hosts must log in anew; raises ValidationError by field."""
    _refuse_unknown(data)
    new = Credential() if credential is None else Credential.objects.get(pk=credential.pk)
    errors: dict[str, Any] = {}
    for name in PLAIN_FIELDS:
        if name in data:
            try:
                setattr(new, name, check_text(data[name] or "", longest=500))
            except ValidationError as invalid:
                errors[name] = invalid
    login_changed = credential is not None and any(
        getattr(new, name) != getattr(credential, name) for name in LOGIN_FIELDS
    )
    secrets_changed = _assign_secrets(new, data, errors)
    if new.method != _Method.KEY_FILE:
        new.key_file = ""
    try:
        new.full_clean(exclude=list(errors))
    except ValidationError as invalid:
        errors |= invalid.error_dict
    if not errors:
        _check_login(new, errors)
    if errors:
        raise ValidationError(errors)
    if credential is not None and (login_changed or secrets_changed):
        new.version += 1
    return new


def confirms(credential: Credential, typed: str) -> bool:
    """Whether ``typed`` is what the credential logs in with: its password, its private key, or
    the path of its key file. Raises DecryptionError."""
    if credential.method == _Method.PASSWORD:
        return _same(credential.secret("password") or "", typed)
    if credential.method == _Method.KEY:
        # A key pasted into a field of one line has lost its line breaks.
        stored = credential.secret("private_key") or ""
        return _same("".join(stored.split()), "".join(typed.split()))
    return _same(credential.key_file, typed.strip())


def confirms_sudo(credential: Credential, typed: str) -> bool:
    """Whether ``typed`` is its sudo password, where it has one of its own. Raises
    DecryptionError."""
    if not USED_BY["sudo_password"](credential) or not credential.has_secret("sudo_password"):
        return True
    return _same(credential.secret("sudo_password") or "", typed)


def confirm(credential: Credential, data: Mapping[str, Any], errors: dict[str, Any]) -> None:
    """Hold what was typed as ``confirm_secret`` and ``confirm_sudo_password`` against the stored
    secrets; whatever does not fit becomes an error of that field."""
    for name, matches in (
        ("confirm_secret", confirms),
        ("confirm_sudo_password", confirms_sudo),
    ):
        typed = data.get(name) or ""
        try:
            if isinstance(typed, str) and matches(credential, typed):
                continue
        except DecryptionError as error:
            errors[name] = _("The stored secret cannot be opened: %(reason)s") % {"reason": error}
            continue
        errors[name] = _("That is not the stored secret.") if typed else NO_CONFIRMATION


def _refuse_unknown(data: Mapping[str, Any]) -> None:
    known = (*PLAIN_FIELDS, *Credential.SECRET_FIELDS, "clear")
    unknown = [name for name in data if name not in known]
    if unknown:
        raise ValidationError({str(unknown[0]): _("There is no such field.")})


def _assign_secrets(
    credential: Credential, data: Mapping[str, Any], errors: dict[str, Any]
) -> bool:
    clear = data.get("clear") or ()
    changed = False
    for field in Credential.SECRET_FIELDS:
        value = data.get(field)
        longest = private_keys.MAX_BYTES if field == "private_key" else SECRET_MAX
        if value and not isinstance(value, str):
            errors[field] = _("Give text.")
        elif value and len(value) > longest:
            errors[field] = _("At most %(longest)s characters.") % {"longest": longest}
        elif value and any(0xD800 <= ord(char) < 0xE000 for char in value):
            errors[field] = _("This is no text that can be sent to a host.")
        elif value and USED_BY[field](credential):
            value = private_keys.normal(value) if field == "private_key" else value
            credential.set_secret(field, value)
            changed = True
        elif credential.has_secret(field) and (field in clear or not USED_BY[field](credential)):
            credential.set_secret(field, None)
            changed = True
    return changed


def _check_login(credential: Credential, errors: dict[str, Any]) -> None:
    """Whether there is all that the method needs, and whether its key opens."""
    required = {
        "password": _("Enter the password."),
        "private_key": _("Paste the private key."),
        "sudo_password": _("Enter the sudo password."),
    }
    for field, message in required.items():
        # sudo asks for the login password where no other is stored.
        if field == "sudo_password" and credential.method == _Method.PASSWORD:
            continue
        if USED_BY[field](credential) and not credential.has_secret(field):
            errors[field] = message
    if credential.method == _Method.KEY_FILE and not credential.key_file:
        errors["key_file"] = _("Enter the path of the key file.")
    if errors:
        return
    try:
        if credential.method == _Method.KEY:
            private_keys.check(
                credential.secret("private_key") or "", passphrase=credential.secret("passphrase")
            )
        elif credential.method == _Method.KEY_FILE:
            private_keys.check_file(credential.key_file, passphrase=credential.secret("passphrase"))
    except ValidationError as invalid:
        errors |= invalid.error_dict
    except DecryptionError as error:
        errors["private_key"] = _(
            "The stored secret cannot be opened: %(reason)s Enter it again."
        ) % {"reason": error}


def _write(credential: Credential) -> None:
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError:  # somebody else took the name between the check and this write
        raise ValidationError({"name": _("A credential with this name exists already.")}) from None


def _plain(credential: Credential) -> dict[str, Any]:
    return {name: getattr(credential, name) for name in PLAIN_FIELDS}


def _secrets_changed(before: Credential | None, after: Credential) -> dict[str, Any]:
    changed = {}
    for field in Credential.SECRET_FIELDS:
        old = getattr(before, f"{field}_encrypted") if before is not None else ""
        if old != getattr(after, f"{field}_encrypted"):
            changed[field] = list(HIDDEN)
    return changed


def _same(stored: str, typed: str) -> bool:
    """Compare in a time that tells nothing of where they differ; nothing stored matches nothing."""
    return bool(stored) and hmac.compare_digest(
        stored.encode("utf-8", "surrogatepass"), typed.encode("utf-8", "surrogatepass")
    )
