"""What people decide on peers and new-peer watches: checked and recorded.

Place in the data's way: between the pages and JSON routes and the rows. Each function is one
transaction with its audit entry. A refusal is a ValidationError with messages by field. Whoever
calls has found the group and the peers among those that the reader may see.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import HostGroup
from netadmin.access import audit
from probes.filters import Invalid, unstorable
from probes.models import DriftWatch, Peer
from probes.watch import peer_alerts
from probes.watch.seen_peers import ignored_ranges

Action = Literal["approve", "snooze", "expire"]
ACTIONS: Final[tuple[Action, ...]] = ("approve", "snooze", "expire")
MOST_DAYS: Final = 3650
MOST_IGNORED: Final = 200
"""Networks that one watch leaves out."""
WATCH_FIELDS: Final = (
    "enabled", "learn_until", "ipv4_prefix", "ipv6_prefix", "forget_days", "ignored",
)  # fmt: skip
_BATCH: Final = 1_000


def decide(
    peers: QuerySet[Peer], action: Action, *, days: int | None = None, request: HttpRequest
) -> int:
    """Approve, snooze or expire peers; returns how many.

    ``days``: how long, needed to snooze, and optional to approve. Alerts of which no peer is new
    any more are resolved. Expired, a peer is new again at its next connection.
    """
    now = timezone.now()
    until = _until(action, days, now)
    state = {
        "approve": Peer.State.APPROVED,
        "snooze": Peer.State.SNOOZED,
        "expire": Peer.State.EXPIRED,
    }[action]
    who = request.user.get_username()[:150]
    with transaction.atomic():
        # The watches first, as whoever looks for new peers takes them.
        groups = sorted(set(peers.order_by().values_list("group", flat=True)))
        watches = DriftWatch.objects.select_for_update().filter(pk__in=groups)
        list(watches.order_by("pk").values_list("pk"))
        rows = list(peers.select_for_update(of=("self",)).order_by("pk"))
        for begin in range(0, len(rows), _BATCH):
            ids = [peer.pk for peer in rows[begin : begin + _BATCH]]
            Peer.objects.filter(pk__in=ids).update(
                state=state, until=until, decided_by=who, decided_at=now
            )
        peer_alerts.settle({peer.alert_id for peer in rows}, at=now, by=who)
        if rows:
            audit.record(
                f"peer.{action}",
                request=request,
                target=rows[0] if len(rows) == 1 else None,
                detail={
                    "count": len(rows),
                    "until": None if until is None else until.isoformat(),
                    "peers": [
                        [peer.group_id, audit.plain(peer.program), peer.network]
                        for peer in rows[:50]
                    ],
                },
            )
    return len(rows)


def _until(action: Action, days: int | None, now: dt.datetime) -> dt.datetime | None:
    if action not in ACTIONS:
        raise ValidationError({"action": _("Approve, snooze or expire.")})
    if action == "expire" and days is not None:
        raise ValidationError({"days": _("What is expired is new at its next connection.")})
    if action == "snooze" and days is None:
        raise ValidationError({"days": _("Say for how many days.")})
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": _("Give 1 to %(most)s days.") % {"most": MOST_DAYS}})
    return now + dt.timedelta(days=days)


def save_watch(
    group: HostGroup,
    data: Mapping[str, Any],
    *,
    request: HttpRequest | None,
    recorded: bool = True,
) -> DriftWatch:
    """Watch a group for new peers, or change how; ``data`` has any of :data:`WATCH_FIELDS`.
    Not ``recorded`` where the caller records it as a part of something larger.

    A later ``learn_until`` is learning once more: whatever is seen until then is known, but what is
    new stays new until somebody decides. Another prefix begins anew, since networks of another
    size are others: what was learned is forgotten and learned again from the past days.
    """
    with transaction.atomic():
        stored = DriftWatch.objects.select_for_update().filter(pk=group.pk).first()
        before = {} if stored is None else described(stored)
        watch = stored or DriftWatch(group=group, learn_until=default_learn_until())
        prefixes = watch.ipv4_prefix, watch.ipv6_prefix
        for name in WATCH_FIELDS:
            if name in data:
                setattr(watch, name, data[name])
        check(watch)
        if stored is not None and prefixes != (watch.ipv4_prefix, watch.ipv6_prefix):
            _forget_all(group)
            watch.checked_at = None
        watch.save()
        after = described(watch)
        if before != after and recorded:
            audit.record(
                "drift_watch.change" if before else "drift_watch.add",
                request=request,
                target=watch,
                detail=audit.changes(before, after),
            )
    return watch


def remove_watch(watch: DriftWatch, *, request: HttpRequest | None, recorded: bool = True) -> None:
    """Watch a group no more: its peers are forgotten, and their alerts are over."""
    with transaction.atomic():
        stored = DriftWatch.objects.select_for_update().filter(pk=watch.pk).first()
        if stored is None:
            return
        _forget_all(stored.group)
        audit.record("drift_watch.remove", request=request, target=stored, detail=described(stored))
        stored.delete()


def default_learn_until() -> dt.datetime:
    """A week from now, in whole seconds."""
    return timezone.now().replace(microsecond=0) + dt.timedelta(days=7)


def check(watch: DriftWatch) -> None:
    """Raise ValidationError, with messages by field, for what a watch cannot be."""
    errors: dict[str, str] = {}
    for name, least, most in (
        ("ipv4_prefix", 8, 32),
        ("ipv6_prefix", 16, 128),
        ("forget_days", 1, MOST_DAYS),
    ):
        value = getattr(watch, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            errors[name] = _("Give a number from %(least)s to %(most)s.") % {
                "least": least,
                "most": most,
            }
    try:
        if unstorable(watch.ignored):
            errors["ignored"] = _("This holds a character that no database keeps.")
        elif len(ignored_ranges(watch.ignored)) > MOST_IGNORED:
            errors["ignored"] = _("Give at most %(most)s networks.") % {"most": MOST_IGNORED}
    except Invalid as error:
        errors["ignored"] = _("Line %(problem)s") % {"problem": error.message}
    if watch.learn_until > timezone.now() + dt.timedelta(days=MOST_DAYS):
        errors["learn_until"] = _("This is too far away.")
    if errors:
        raise ValidationError(errors)


def described(watch: DriftWatch) -> dict[str, Any]:
    """The settings of a watch, as the audit log and the file of the rule set have them."""
    return {
        "enabled": watch.enabled,
        "learn_until": watch.learn_until.astimezone(dt.UTC).isoformat(),
        "ipv4_prefix": watch.ipv4_prefix,
        "ipv6_prefix": watch.ipv6_prefix,
        "forget_days": watch.forget_days,
        "ignored": watch.ignored,
    }


def _forget_all(group: HostGroup) -> None:
    peers = Peer.objects.filter(group=group)
    alerts = set(peers.exclude(alert=None).order_by().values_list("alert", flat=True))
    peers.delete()
    peer_alerts.settle(alerts, at=timezone.now())
