"""The form of a mailed report: choices and texts; ``probes.reports.mailings`` checks and stores
them.

Place in the data's way: between the page and ``probes.reports.mailings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup
from probes.models import ReportSchedule
from probes.reports import mailings

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class MailingForm(forms.Form):
    """A mailing of ``owner``: only what it sees can be chosen."""

    name = forms.CharField(label=_("Name"), max_length=100)
    host = forms.ModelChoiceField(
        label=_("Host"),
        queryset=Host.objects.none(),
        required=False,
        empty_label=_("all hosts of the group"),
    )
    group = forms.ModelChoiceField(
        label=_("Host group"),
        queryset=HostGroup.objects.none(),
        required=False,
        empty_label=_("all hosts that its owner sees"),
        help_text=_("Leave it as it is where you chose a host."),
    )
    every = forms.ChoiceField(label=_("How often"), choices=ReportSchedule.Every.choices)
    hour = forms.TypedChoiceField(
        label=_("Hour"), coerce=int, choices=[(n, f"{n:02}:00") for n in range(24)]
    )
    recipients = forms.CharField(
        label=_("Recipients"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_("Mail addresses, one a line, at most 50. None of them sees the others."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    enabled = forms.BooleanField(label=_("Send it at its times"), required=False)

    def __init__(self, *args: Any, request: HttpRequest, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["host"].queryset = mailings.hosts(request, owner)  # type: ignore[attr-defined]
        self.fields["group"].queryset = mailings.groups(request, owner)  # type: ignore[attr-defined]


def initial(schedule: ReportSchedule) -> dict[str, Any]:
    """What the form of a stored mailing begins with."""
    return {
        "name": schedule.name,
        "host": schedule.host_id,
        "group": schedule.group_id,
        "every": schedule.every,
        "hour": schedule.hour,
        "recipients": schedule.recipients,
        "language": schedule.language,
        "enabled": schedule.enabled,
    }
