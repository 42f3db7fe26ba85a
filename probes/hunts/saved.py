"""Adding, changing and removing saved hunts: checked and recorded.

Place in the data's way: between the pages and JSON routes and the rows. Each function is one
transaction with its audit entry. A refusal is a ValidationError with messages by field.

A hunt runs over what its owner sees and mails what it finds, so only its owner changes it, or an
administrator of all hosts; and a token that sees some host groups only changes none, since it
would have a look at the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from netadmin.access import audit, permissions
from netadmin.access.models import Role
from probes import indicators
from probes.filters import unstorable
from probes.models import Alert, Hunt

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FIELDS: Final = ("name", "indicators", "enabled", "mail_to")
MOST_RECIPIENTS: Final = 20
MOST_HUNTS: Final = 200
"""Each looks at what is new once a minute."""


def may_add(request: HttpRequest) -> bool:
    """Whether the caller may save hunts."""
    return _operates(request) and getattr(request.user, "token_groups", None) is None


def may_change(request: HttpRequest, hunt: Hunt) -> bool:
    """Whether the caller may change or remove ``hunt``."""
    if not may_add(request):
        return False
    if hunt.owner_id == request.user.pk:
        return True
    return permissions.request_role(request) == Role.ADMIN and permissions.administers_all(
        request.user
    )


def _operates(request: HttpRequest) -> bool:
    role = permissions.request_role(request)
    return role is not None and role >= Role.OPERATOR


def create(data: Mapping[str, Any], *, request: HttpRequest) -> Hunt:
    """Save a hunt of the caller's; it looks at what is stored from now on."""
    with transaction.atomic():
        if Hunt.objects.count() >= MOST_HUNTS:
            raise ValidationError(
                {"name": _("There are %(most)s hunts already.") % {"most": MOST_HUNTS}}
            )
        hunt = Hunt(owner=cast("User", request.user), checked_at=timezone.now())
        _fill(hunt, data)
        _save(hunt)
        audit.record("hunt.add", request=request, target=hunt, detail=_described(hunt))
    return hunt


def change(hunt: Hunt, data: Mapping[str, Any], *, request: HttpRequest) -> Hunt:
    """Change what ``data`` names, and return the hunt fresh.

    Other indicators, and a hunt that was switched on again, look at what is stored from now on.
    """
    with transaction.atomic():
        stored = Hunt.objects.select_for_update().filter(pk=hunt.pk).first()
        if stored is None:
            raise ValidationError({"name": _("This hunt was removed meanwhile.")})
        before = _described(stored)
        _fill(stored, data)
        after = _described(stored)
        if before["indicators"] != after["indicators"] or (
            stored.enabled and not before["enabled"]
        ):
            stored.checked_at = timezone.now()
        _save(stored)
        audit.record(
            "hunt.change", request=request, target=stored, detail=audit.changes(before, after)
        )
    return stored


def remove(hunt: Hunt, *, request: HttpRequest) -> None:
    """Delete a hunt; its alerts stay, without it."""
    with transaction.atomic():
        stored = Hunt.objects.select_for_update().filter(pk=hunt.pk).first()
        if stored is None:
            return
        audit.record("hunt.remove", request=request, target=stored, detail=_described(stored))
        Alert.objects.filter(hunt=stored).update(hunt=None, mail_after=None)
        stored.delete()


def _fill(hunt: Hunt, data: Mapping[str, Any]) -> None:
    """Put checked values on ``hunt``; raises ValidationError by field."""
    wrong: dict[str, str] = {}
    if "name" in data:
        name = str(data["name"] or "").strip()
        if not name:
            wrong["name"] = _("Give it a name.")
        elif len(name) > 100 or unstorable(name) or not name.isprintable():
            wrong["name"] = _("Give at most 100 printable characters.")
        hunt.name = name
    if "indicators" in data:
        hunt.indicators, problem = _checked_list(str(data["indicators"] or ""))
        if problem:
            wrong["indicators"] = problem
    if "mail_to" in data:
        hunt.mail_to, problem = _checked_recipients(data["mail_to"])
        if problem:
            wrong["mail_to"] = problem
    if "enabled" in data:
        hunt.enabled = bool(data["enabled"])
    if wrong:
        raise ValidationError({field: [message] for field, message in wrong.items()})


def _checked_list(text: str) -> tuple[str, str]:
    """The list as it is stored, and what is wrong with it."""
    if unstorable(text):
        return "", _("This holds a character that no database keeps.")
    reading = indicators.read(text)
    if reading.rejected:
        first = reading.rejected[0]
        return "", _("Line %(line)s, “%(text)s”: %(reason)s") % {
            "line": first.line,
            "text": first.text,
            "reason": first.reason,
        }
    if not reading.indicators:
        return "", _("Give at least one address, network, port or program.")
    return text.strip(), ""


def _checked_recipients(given: Any) -> tuple[str, str]:
    """Addresses one a line, and what is wrong with them."""
    words = (
        given if isinstance(given, list | tuple) else str(given or "").replace(",", "\n").split()
    )
    listed = list(dict.fromkeys(str(word).strip() for word in words))
    if len(listed) > MOST_RECIPIENTS:
        return "", _("Give at most %(most)s of them.") % {"most": MOST_RECIPIENTS}
    for address in listed:
        try:
            validate_email(address)
        except ValidationError:
            shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in address)
            return "", _("“%(address)s” is no mail address.") % {"address": shown[:100]}
    return "\n".join(listed), ""


def _save(hunt: Hunt) -> None:
    try:
        hunt.validate_constraints()
        with transaction.atomic():
            hunt.save()
    except (IntegrityError, ValidationError):
        raise ValidationError({"name": [_("A hunt with this name exists already.")]}) from None


def _described(hunt: Hunt) -> dict[str, Any]:
    """The fields as the audit log keeps them."""
    return {
        "name": hunt.name,
        "indicators": hunt.indicators[:2_000],
        "enabled": hunt.enabled,
        "mail_to": hunt.mail_to.splitlines(),
    }
