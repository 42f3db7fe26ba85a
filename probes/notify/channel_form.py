"""The form of a channel: only the fields of its kind, whose secrets go in and never come out.

Place in the data's way: between the channel pages and ``channels``, which checks and stores.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hosts.models import HostGroup
from probes.models import AlertKind, Channel, Severity
from probes.notify import channels, team_chat, webhook

ORDER: Final = (
    "name", "recipients", "address", "signing_key", "forget_signing_key", "template", "language",
    "groups", "kinds", "min_severity", "send_resolved", "per_hour", "escalate_minutes",
    "repeat_minutes", "enabled",
)  # fmt: skip
_NO_AUTOFILL: Final = {"autocomplete": "off", "spellcheck": "false"}


class ChannelForm(forms.Form):
    """Adds a channel of ``kind``, or changes ``channel``."""

    name = forms.CharField(label=_("Name"), max_length=100)
    recipients = forms.CharField(
        label=_("Recipients"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("Mail addresses, one a line, at most 20. None of them sees the others."),
    )
    address = forms.CharField(
        label=_("Address"),
        required=False,
        max_length=channels.LONGEST_SECRET,
        strip=False,
        widget=forms.PasswordInput(attrs=_NO_AUTOFILL | {"autocomplete": "new-password"}),
    )
    signing_key = forms.CharField(
        label=_("Signing key"),
        required=False,
        max_length=500,
        strip=False,
        widget=forms.PasswordInput(attrs=_NO_AUTOFILL | {"autocomplete": "new-password"}),
    )
    forget_signing_key = forms.BooleanField(label=_("Forget the stored key"), required=False)
    template = forms.CharField(
        label=_("Template"),
        required=False,
        max_length=webhook.LONGEST_TEMPLATE,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "na-mono"}),
    )
    language = forms.ChoiceField(label=_("Language"), required=False)
    groups = forms.MultipleChoiceField(
        label=_("Only of these groups"),
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        help_text=_("None: of all hosts."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Only of these kinds"),
        choices=AlertKind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        help_text=_("None: of all kinds."),
    )
    min_severity = forms.ChoiceField(
        label=_("From severity"), choices=Severity.choices, initial=Severity.WARNING
    )
    send_resolved = forms.BooleanField(label=_("Say when it is over"), required=False, initial=True)
    per_hour = forms.IntegerField(
        label=_("Messages an hour at most"),
        initial=60,
        min_value=1,
        max_value=channels.MOST_PER_HOUR,
        help_text=_("What is over it comes in one message later."),
    )
    escalate_minutes = forms.IntegerField(
        label=_("Only after minutes"),
        required=False,
        min_value=1,
        max_value=channels.MOST_MINUTES,
        help_text=_(
            "For escalation: told only of alerts that nobody acknowledged for so long. Empty: at "
            "once."
        ),
    )
    repeat_minutes = forms.IntegerField(
        label=_("Repeat after minutes"),
        required=False,
        min_value=channels.LEAST_REPEAT,
        max_value=channels.MOST_MINUTES,
        help_text=_(
            "While an alert is active and nobody acknowledged it; 60 at least. Empty: never."
        ),
    )
    enabled = forms.BooleanField(label=_("Send"), required=False, initial=True)

    def __init__(self, data: Any = None, *, kind: str, channel: Channel | None) -> None:
        super().__init__(data, initial={} if channel is None else _initial(channel))
        own = {*channels.COMMON, *channels.OF_KIND[kind]}
        for name in [name for name in self.fields if name not in own]:
            del self.fields[name]
        self.order_fields(ORDER)
        self._choices("language", [("", pgettext_lazy("language", "that of the site"))])
        self.fields["language"].choices += settings.LANGUAGES  # type: ignore[attr-defined]
        self._choices("groups", [(n, n) for n in HostGroup.objects.values_list("name", flat=True)])
        if not self.fields["groups"].choices:  # type: ignore[attr-defined]
            del self.fields["groups"]
        if kind == Channel.Kind.WEBHOOK:
            self._explain_webhook(channel)
        elif kind == Channel.Kind.APPRISE:
            self.fields["address"].help_text = _(
                "An address of Apprise's, such as slack://TokenA/TokenB/TokenC/#ops. Services: "
                "%(services)s."
            ) % {"services": ", ".join(team_chat.SERVICES)}
        if kind != Channel.Kind.EMAIL and channel is not None and channel.has_secret("address"):
            self.fields["address"].label = _("New address")
            self.fields["address"].widget.attrs["placeholder"] = channel.address_shown
        elif kind != Channel.Kind.EMAIL:
            self.fields["address"].required = True

    def _choices(self, name: str, choices: list[Any]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _explain_webhook(self, channel: Channel | None) -> None:
        self.fields["address"].help_text = _("A URL that takes a POST with JSON.")
        self.fields["signing_key"].help_text = _(
            "16 characters at least. With it X-Netadmin-Signature proves who sent a message. "
            "Empty keeps what is stored."
        )
        self.fields["template"].help_text = _(
            "JSON that is sent instead of netadmin's own, with placeholders in its strings: "
            "%(names)s."
        ) % {"names": ", ".join(f"{{{{ {name} }}}}" for name in webhook.PLACEHOLDERS)}
        if channel is None or not channel.has_secret("signing_key"):
            del self.fields["forget_signing_key"]

    def payload(self) -> dict[str, Any]:
        """What was entered, as ``channels`` takes it."""
        return dict(self.cleaned_data)


def _initial(channel: Channel) -> dict[str, Any]:
    shown = {name: getattr(channel, name) for name in channels.COMMON if name != "groups"}
    return shown | {
        "groups": list(channel.groups.values_list("name", flat=True)),
        "recipients": channel.recipients,
        "template": channel.template,
    }
