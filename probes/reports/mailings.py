"""Who gets which report by mail, and when: making, changing and removing such a schedule.

Place in the data's way: between the page or the API, which hand over plain values, and
``ReportSchedule``. Everything is checked here, recorded in the audit log and stored in one
transaction. A mailing exists for its owner and for administrators of all hosts; for others it is
absent. What it may be about is what its owner sees, and no more than a token in use sees.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import reach
from hosts.models import Host, HostGroup
from netadmin.access import audit, permissions
from probes.analysis import mail_times
from probes.models import ReportSchedule

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_RECIPIENTS: Final = 50
MOST_OF_ONE: Final = 50
"""Mailings of one owner."""
LONGEST_ADDRESS: Final = 254
"""RFC 5321, section 4.5.3.1.3, without its brackets."""
FIELDS: Final = ("name", "host", "group", "every", "hour", "recipients", "language", "enabled")


def visible(request: HttpRequest) -> QuerySet[ReportSchedule]:
    """The mailings that exist for the caller."""
    user = cast("User", request.user)
    found = ReportSchedule.objects.select_related("owner", "host", "group").order_by("name", "pk")
    if permissions.administers_all(user):
        return found
    found = found.filter(owner=user)
    token_groups: list[int] | None = getattr(user, "token_groups", None)
    if token_groups is None:
        return found
    return found.filter(
        Q(group__in=token_groups) | Q(host__in=Host.objects.kept().visible_to(user))
    )


def hosts(request: HttpRequest, owner: User) -> QuerySet[Host]:
    """The hosts that a mailing of ``owner`` may be about."""
    kept = Host.objects.kept().visible_to(request.user)
    if owner != request.user:
        kept = kept & Host.objects.kept().visible_to(owner)
    return kept.order_by("name")


def groups(request: HttpRequest, owner: User) -> QuerySet[HostGroup]:
    """The host groups that a mailing of ``owner`` may be about."""
    found = reach.of(request).groups()
    if owner != request.user:
        found = found & reach.Reach(owner, permissions.administers_all(owner)).groups()
    return found.order_by("name")


def recipients_of(schedule: ReportSchedule) -> list[str]:
    """Its mail addresses, as they were checked when it was saved."""
    return schedule.recipients.split("\n") if schedule.recipients else []


def read_recipients(text: str) -> list[str]:
    """Mail addresses, one a line or separated by commas; raises ValidationError.

    Each once, whatever the case of its domain.
    """
    found: dict[str, str] = {}
    for part in text.replace(",", "\n").replace(";", "\n").splitlines():
        address = part.strip()
        if not address:
            continue
        try:
            if len(address) > LONGEST_ADDRESS or not address.isprintable():
                raise ValidationError("")
            validate_email(address)
        except ValidationError:
            raise ValidationError(
                _("%(address)s is no mail address.") % {"address": _shown(address)}
            ) from None
        local, _at, domain = address.rpartition("@")
        found.setdefault(f"{local}@{domain.lower()}", address)
    if not found:
        raise ValidationError(_("Give at least one mail address."))
    if len(found) > MOST_RECIPIENTS:
        raise ValidationError(
            _("Give at most %(most)d mail addresses.") % {"most": MOST_RECIPIENTS}
        )
    return list(found.values())


def create(values: Mapping[str, Any], *, request: HttpRequest) -> ReportSchedule:
    """Make a mailing of the caller's; ``values`` by FIELDS. Raises ValidationError by field."""
    owner = cast("User", request.user)
    schedule = ReportSchedule(owner_id=owner.pk, every=ReportSchedule.Every.WEEK)
    with transaction.atomic():
        # Two at once may pass the limit by one: it guards against scripts, not against that.
        if ReportSchedule.objects.filter(owner=owner).count() >= MOST_OF_ONE:
            raise ValidationError(
                {"name": _("You have %(most)d mailings already.") % {"most": MOST_OF_ONE}}
            )
        _fill(schedule, values, request=request, owner=owner)
        schedule.save()
        audit.record("mailing.add", request=request, target=schedule, detail=_plain(schedule))
    return schedule


def change(
    schedule: ReportSchedule, values: Mapping[str, Any], *, request: HttpRequest
) -> ReportSchedule:
    """Change the given fields; its next time follows. Raises ValidationError by field."""
    with transaction.atomic():
        before = _plain(schedule)
        _fill(schedule, values, request=request, owner=schedule.owner)
        schedule.save()
        changed = audit.changes(before, _plain(schedule))
        if changed:
            audit.record("mailing.change", request=request, target=schedule, detail=changed)
    return schedule


def remove(schedule: ReportSchedule, *, request: HttpRequest) -> None:
    """Delete it with the record of what was sent."""
    with transaction.atomic():
        audit.record("mailing.remove", request=request, target=schedule, detail=_plain(schedule))
        schedule.delete()


def next_at(schedule: ReportSchedule, after: dt.datetime) -> dt.datetime:
    """When it is due next, behind ``after``, in the site's zone."""
    zone = timezone.get_default_timezone()
    return mail_times.next_time(schedule.every, schedule.hour, zone=zone, after=after)


def _fill(
    schedule: ReportSchedule, values: Mapping[str, Any], *, request: HttpRequest, owner: User
) -> None:
    before = (schedule.every, schedule.hour, schedule.enabled)
    for name in ("name", "every", "hour", "language", "enabled", "host", "group"):
        if name in values:
            setattr(schedule, name, values[name])
    if "recipients" in values:
        try:
            schedule.recipients = "\n".join(read_recipients(values["recipients"]))
        except ValidationError as error:
            raise ValidationError({"recipients": error.messages}) from None
    schedule.name = schedule.name.strip()
    if not schedule.name or not schedule.name.isprintable():
        raise ValidationError({"name": _("Give a name without control characters.")})
    if schedule.language not in dict(settings.LANGUAGES):
        raise ValidationError(
            {"language": _("One of %(names)s.") % {"names": ", ".join(dict(settings.LANGUAGES))}}
        )
    _check_subject(schedule, request=request, owner=owner)
    if schedule._state.adding or before != (schedule.every, schedule.hour, schedule.enabled):
        if not 0 <= schedule.hour <= 23:
            raise ValidationError({"hour": _("Give an hour from 0 to 23.")})
        if schedule.every not in mail_times.EVERY:
            raise ValidationError(
                {"every": _("One of %(names)s.") % {"names": ", ".join(mail_times.EVERY)}}
            )
        schedule.next_at = next_at(schedule, timezone.now())
    schedule.full_clean(exclude=["host", "group", "owner"])


def _check_subject(schedule: ReportSchedule, *, request: HttpRequest, owner: User) -> None:
    """What it is about exists for the caller, and stays inside what a limited token sees."""
    if schedule.host is not None and schedule.group is not None:
        raise ValidationError({"group": _("Choose a host or a group, not both.")})
    if schedule.host is not None:
        if not hosts(request, owner).filter(pk=schedule.host.pk).exists():
            raise ValidationError({"host": _("There is no such host.")})
    elif schedule.group is not None:
        if not groups(request, owner).filter(pk=schedule.group.pk).exists():
            raise ValidationError({"group": _("There is no such host group.")})
    elif getattr(request.user, "token_groups", None) is not None:
        # It would send what its owner sees and the token does not.
        raise ValidationError(
            {"group": _("This token sees some groups only: name a host or a group of them.")}
        )


def _plain(schedule: ReportSchedule) -> dict[str, Any]:
    return {name: audit.plain(getattr(schedule, name)) for name in FIELDS}


def _shown(address: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in address[:60])
