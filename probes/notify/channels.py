"""Adding, changing, removing and testing channels: checked and recorded.

Place in the data's way: between the pages and JSON routes and the rows. Each function is one
transaction with its audit entry, in which a secret shows only as changed; a refusal is a
ValidationError with messages by field. Channels belong to the whole site: the callers let in
administrators of all hosts only.

``data`` maps :data:`FIELDS`; what is missing stays. A secret that is empty stays too, and
``forget_signing_key`` clears that one. ``groups`` are names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import HostGroup
from netadmin import outbound
from netadmin.access import audit
from probes import mail
from probes.filters import unstorable
from probes.models import AlertKind, Channel, Delivery, Severity, Told
from probes.notify import sending, team_chat, webhook

MOST_CHANNELS: Final = 100
"""Each decision goes over all of them."""
MOST_RECIPIENTS: Final = 20
LONGEST_SECRET: Final = 2_000
LEAST_REPEAT: Final = 60
"""Minutes: more often, and reminders alone would be as many as may be told of a thing an hour."""
MOST_MINUTES: Final = 7 * 24 * 60
MOST_PER_HOUR: Final = 1_000
HIDDEN: Final = ["***", "***"]

COMMON: Final = (
    "name", "enabled", "language", "groups", "kinds", "min_severity", "send_resolved", "per_hour",
    "repeat_minutes", "escalate_minutes",
)  # fmt: skip
OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    Channel.Kind.EMAIL: ("recipients",),
    Channel.Kind.WEBHOOK: ("address", "signing_key", "forget_signing_key", "template"),
    Channel.Kind.APPRISE: ("address",),
}
"""What only channels of a kind have."""
FIELDS: Final = ("kind", *COMMON, *dict.fromkeys(sum(OF_KIND.values(), ())))


def create(data: Mapping[str, Any], *, request: HttpRequest) -> Channel:
    """Add a channel; it is told of what happens from now on."""
    with transaction.atomic():
        if Channel.objects.count() >= MOST_CHANNELS:
            raise ValidationError(
                {"name": _("There are %(most)s channels already.") % {"most": MOST_CHANNELS}}
            )
        kind = str(data.get("kind") or "")
        if kind not in Channel.Kind.values:
            raise ValidationError({"kind": _("Choose one of: %(kinds)s.") % {
                "kinds": ", ".join(Channel.Kind.values)
            }})  # fmt: skip
        channel = Channel(kind=kind)
        groups = _fill(channel, {"name": ""} | _needed(kind) | dict(data))
        _save(channel)
        channel.groups.set(groups or ())
        audit.record("channel.add", request=request, target=channel, detail=described(channel))
    return channel


def change(channel: Channel, data: Mapping[str, Any], *, request: HttpRequest) -> Channel:
    """Change what ``data`` names. What waits for a channel that is switched off is given up, and
    what it was told before counts no more: switched on again, it is told what is wrong then."""
    with transaction.atomic():
        stored = Channel.objects.select_for_update().filter(pk=channel.pk).first()
        if stored is None:
            raise ValidationError({"name": _("This channel was removed meanwhile.")})
        if data.get("kind", stored.kind) != stored.kind:
            raise ValidationError({"kind": _("The kind stays. Add another channel.")})
        before, ciphertexts = described(stored), _ciphertexts(stored)
        groups = _fill(stored, data)
        if stored.enabled and not before["enabled"]:
            stored.is_behind = True
        _save(stored)
        if groups is not None:
            stored.groups.set(groups)
        detail: dict[str, Any] = audit.changes(before, described(stored))
        for name, sealed in _ciphertexts(stored).items():
            if sealed != ciphertexts[name]:
                detail[name] = HIDDEN
        if not stored.enabled and before["enabled"]:
            dropped = sending.drop_waiting(stored)
            Told.objects.filter(channel=stored).update(is_active=False, held_since=None)
            if dropped:
                detail["dropped"] = dropped
        audit.record("channel.change", request=request, target=stored, detail=detail)
    return stored


def remove(channel: Channel, *, request: HttpRequest) -> int:
    """Delete a channel with its deliveries; how many of them were waiting."""
    with transaction.atomic():
        stored = Channel.objects.select_for_update().filter(pk=channel.pk).first()
        if stored is None:
            return 0
        waiting = stored.deliveries.filter(state=Delivery.State.WAITING).count()
        audit.record(
            "channel.remove",
            request=request,
            target=stored,
            detail=described(stored) | {"dropped": waiting},
        )
        stored.delete()
    return waiting


def test(channel: Channel, *, request: HttpRequest) -> Delivery:
    """Send a test message now; the delivery says how that went. Takes ten seconds at most."""
    with transaction.atomic():
        audit.record("channel.test", request=request, target=channel)
    return sending.send_test(channel)


def retry(delivery: Delivery, *, request: HttpRequest) -> bool:
    """Have a delivery sent once more; False where it was sent, is being sent, or its channel is
    off."""
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=delivery.channel_id)
        if not channel.enabled or delivery.kind == Delivery.Kind.TEST:
            return False
        if not sending.retry(delivery):
            return False
        audit.record(
            "channel.retry", request=request, target=channel, detail={"delivery": str(delivery.uid)}
        )
    return True


def described(channel: Channel) -> dict[str, Any]:
    """The fields as the audit log keeps them: no secret."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "enabled": channel.enabled,
        "recipients": channel.recipients.split(),
        "address_shown": channel.address_shown,
        "template": channel.template,
        "language": channel.language,
        "groups": sorted(channel.groups.values_list("name", flat=True)) if channel.pk else [],
        "kinds": channel.kinds,
        "min_severity": channel.min_severity,
        "send_resolved": channel.send_resolved,
        "per_hour": channel.per_hour,
        "repeat_minutes": channel.repeat_minutes,
        "escalate_minutes": channel.escalate_minutes,
    }


def _needed(kind: str) -> dict[str, Any]:
    return {"recipients": ""} if kind == Channel.Kind.EMAIL else {"address": ""}


def _ciphertexts(channel: Channel) -> dict[str, str]:
    return {name: getattr(channel, f"{name}_encrypted") for name in Channel.SECRET_FIELDS}


def _fill(channel: Channel, data: Mapping[str, Any]) -> list[HostGroup] | None:
    """Put checked values on ``channel``; its groups where ``data`` names them. Raises
    ValidationError by field."""
    wrong: dict[str, str] = {}
    allowed = {"kind", *COMMON, *OF_KIND[channel.kind]}
    for name in data:
        if name not in allowed:
            wrong[name] = _("A channel of this kind has no such field.")
    for field, check in _CHECKS.items():
        if field in data and field in allowed:
            try:
                check(channel, data[field])
            except ValueError as error:
                wrong[field] = str(error)
    if data.get("forget_signing_key") and channel.kind == Channel.Kind.WEBHOOK:
        channel.set_secret("signing_key", None)
    groups: list[HostGroup] | None = None
    if "groups" in data:
        asked = sorted({str(name) for name in data["groups"] or ()})
        known = {group.name: group for group in HostGroup.objects.all()}
        missing = next((name for name in asked if name not in known), None)
        if missing is not None:
            wrong["groups"] = _("There is no group %(name)s.") % {
                "name": mail.one_line(missing, 100)
            }
        groups = [known[name] for name in asked if name in known]
    if wrong:
        raise ValidationError({field: [message] for field, message in wrong.items()})
    return groups


def _name(channel: Channel, value: Any) -> None:
    name = str(value or "").strip()
    if not name:
        raise ValueError(_("Give it a name."))
    if len(name) > 100 or unstorable(name) or not name.isprintable():
        raise ValueError(_("Give at most 100 printable characters."))
    channel.name = name


def _recipients(channel: Channel, value: Any) -> None:
    words = value if isinstance(value, list | tuple) else str(value or "").replace(",", " ").split()
    listed = list(dict.fromkeys(str(word).strip() for word in words))
    if not listed:
        raise ValueError(_("Give at least one mail address."))
    if len(listed) > MOST_RECIPIENTS:
        raise ValueError(_("Give at most %(most)s of them.") % {"most": MOST_RECIPIENTS})
    for address in listed:
        try:
            validate_email(address)
        except ValidationError:
            shown = mail.one_line(address, 100)
            raise ValueError(_("“%(address)s” is no mail address.") % {"address": shown}) from None
    channel.recipients = "\n".join(listed)


def _address(channel: Channel, value: Any) -> None:
    """The URL; empty keeps the stored one. No message repeats any of it."""
    url = str(value or "").strip()
    if not url:
        if not channel.has_secret("address"):
            raise ValueError(_("Give its address."))
        return
    if len(url) > LONGEST_SECRET or unstorable(url):
        raise ValueError(_("Give at most %(most)s characters.") % {"most": LONGEST_SECRET})
    if channel.kind == Channel.Kind.WEBHOOK:
        try:
            outbound.check_url(url)
        except outbound.Blocked as blocked:
            raise ValueError(
                _("%(reason)s OUTBOUND_ALLOWED_NETWORKS can allow a network.") % {"reason": blocked}
            ) from None
        except outbound.Failed as failed:
            raise ValueError(str(failed)) from None
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname}"
    else:
        problem = team_chat.problem(url)
        if problem:
            raise ValueError(_CHAT_PROBLEMS[problem]() % {
                "services": ", ".join(team_chat.SERVICES)
            })  # fmt: skip
        # What stands in the place of a host is the token of many services.
        shown = f"{team_chat.scheme_of(url)}://…"
    channel.set_secret("address", url)
    channel.address_shown = shown[:200]


_CHAT_PROBLEMS: Final = {
    "url": lambda: _("This is no address of Apprise's: it begins with a service, such as slack://"),
    "scheme": lambda: _("netadmin sends to none but these services: %(services)s."),
    "parameter": lambda: _(
        "Leave out parameters that read files, go elsewhere or do not verify certificates."
    ),
    "service": lambda: _(
        "Apprise does not understand this address. Its documentation has the form for the service."
    ),
}


def _signing_key(channel: Channel, value: Any) -> None:
    key = str(value or "")
    if not key:
        return
    if not 16 <= len(key) <= 500 or unstorable(key) or not key.isprintable():
        raise ValueError(_("Give 16 to 500 printable characters."))
    channel.set_secret("signing_key", key)


def _template(channel: Channel, value: Any) -> None:
    text = str(value or "").strip()
    if len(text) > webhook.LONGEST_TEMPLATE or unstorable(text):
        raise ValueError(
            _("Give at most %(most)s characters.") % {"most": webhook.LONGEST_TEMPLATE}
        )
    if text:
        try:
            webhook.check_template(text)
        except webhook.BadTemplate as bad:
            if bad.name:
                raise ValueError(
                    _("There is no placeholder %(name)s. There are: %(names)s.")
                    % {"name": bad.name, "names": ", ".join(webhook.PLACEHOLDERS)}
                ) from None
            raise ValueError(_("This is no JSON.")) from None
    channel.template = text


def _language(channel: Channel, value: Any) -> None:
    if str(value or "") not in {"", *dict(settings.LANGUAGES)}:
        raise ValueError(_choose([code for code, _name in settings.LANGUAGES]))
    channel.language = str(value or "")


def _kinds(channel: Channel, value: Any) -> None:
    asked = list(dict.fromkeys(str(each) for each in value or ()))
    if not set(asked) <= set(AlertKind.values):
        raise ValueError(_choose(AlertKind.values))
    channel.kinds = asked


def _min_severity(channel: Channel, value: Any) -> None:
    if value not in Severity.values:
        raise ValueError(_choose(Severity.values))
    channel.min_severity = str(value)


def _per_hour(channel: Channel, value: Any) -> None:
    channel.per_hour = _number(value, 1, MOST_PER_HOUR)


def _repeat(channel: Channel, value: Any) -> None:
    channel.repeat_minutes = (
        None if value in (None, "") else _number(value, LEAST_REPEAT, MOST_MINUTES)
    )


def _escalate(channel: Channel, value: Any) -> None:
    channel.escalate_minutes = None if value in (None, "") else _number(value, 1, MOST_MINUTES)


def _enabled(channel: Channel, value: Any) -> None:
    channel.enabled = bool(value)


def _send_resolved(channel: Channel, value: Any) -> None:
    channel.send_resolved = bool(value)


_CHECKS: Final = {
    "name": _name,
    "enabled": _enabled,
    "recipients": _recipients,
    "address": _address,
    "signing_key": _signing_key,
    "template": _template,
    "language": _language,
    "kinds": _kinds,
    "min_severity": _min_severity,
    "send_resolved": _send_resolved,
    "per_hour": _per_hour,
    "repeat_minutes": _repeat,
    "escalate_minutes": _escalate,
}


def _number(value: Any, least: int, most: int) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if number is None or not least <= number <= most:
        raise ValueError(
            _("Give a whole number from %(least)s to %(most)s.") % {"least": least, "most": most}
        )
    return number


def _choose(values: Any) -> str:
    return _("Choose one of: %(kinds)s.") % {"kinds": ", ".join(values)}


def _save(channel: Channel) -> None:
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise ValidationError({"name": [_("A channel with this name exists already.")]}) from None
