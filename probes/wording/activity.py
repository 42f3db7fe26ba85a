"""What the feed of the activity says of each of its entries, in the language that is active.

Place in the data's way: after ``queries.activity``, before the page, JSON and CSV. Plain text.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes import mail
from probes.history.queries import activity
from probes.history.queries.activity import Entry
from probes.models import Alert, Silence
from probes.wording import alerts

KINDS: Final = {
    activity.CHANGE: gettext_lazy("Change"),
    activity.ACKNOWLEDGED: gettext_lazy("Acknowledged"),
    activity.SNOOZE: gettext_lazy("Snooze"),
    activity.WINDOW: gettext_lazy("Maintenance"),
    activity.RESTART: gettext_lazy("Restart"),
    activity.SYNC: gettext_lazy("Synchronisation"),
}


def title(entry: Entry) -> str:
    """What happened or was done, in one line without the host's name."""
    row = entry.row
    if entry.kind == activity.CHANGE:
        return alerts.change_title(row)
    if entry.kind == activity.ACKNOWLEDGED:
        return _("Acknowledged: %(title)s") % {"title": alerts.title(row)}
    if entry.kind == activity.SNOOZE:
        return _("Snoozed until %(until)s: %(what)s") % {
            "until": _clock(row),
            "what": _snoozed(row),
        }
    if entry.kind == activity.WINDOW:
        return _("Maintenance window until %(until)s: %(what)s") % {
            "until": _clock(row),
            "what": _scope(row),
        }
    if entry.kind == activity.RESTART:
        return _("Restart of %(service)s: %(state)s") % {
            "service": mail.one_line(row.service.name, 100),
            "state": row.get_state_display(),
        }
    return _("Hosts of %(source)s: %(state)s") % {
        "source": mail.one_line(row.source.name, 100),
        "state": row.get_state_display(),
    }


def second(entry: Entry) -> str:
    """What there is to add, or nothing."""
    row = entry.row
    if entry.kind == activity.CHANGE:
        return str(row.get_turn_display()) if row.turn else ""
    if entry.kind in (activity.SNOOZE, activity.WINDOW):
        return str(row.reason)
    if entry.kind == activity.SYNC:
        return _("%(added)s added, %(changed)s changed, %(removed)s removed") % {
            "added": row.added,
            "changed": row.changed,
            "removed": row.removed,
        }
    return ""


def _clock(silence: Silence) -> str:
    return f"{timezone.localtime(silence.ends_at):%Y-%m-%d %H:%M}"


def _snoozed(row: Any) -> str:
    """The alert that a snooze is about in its own words; where it is gone, of what kind it was."""
    if row.alert_subject is None:
        return str(row.get_kind_display()) or _("an alert that is gone")
    fields = {name: getattr(row, f"alert_{name}") for name in activity.ALERT_FIELDS}
    return alerts.title(Alert(kind=row.kind, **fields))


def _scope(silence: Silence) -> str:
    named = [
        _("group %(name)s") % {"name": silence.group.name} if silence.group is not None else "",
        silence.rule.name if silence.rule is not None else "",
        str(silence.get_kind_display()) if silence.kind else "",
    ]
    said = ", ".join(name for name in named if name)
    if said:
        return mail.one_line(said, 200)
    return _("everything of this host") if silence.host_id is not None else _("the whole site")
