"""What the token and audit pages accept, from their query strings and the token form."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.models import HostGroup
from netadmin.access import networks, tokens
from netadmin.access.models import APIToken, Scope

if TYPE_CHECKING:
    from django.http import QueryDict

DAYS = (7, 30, 90, 365)
DEFAULT_DAYS = 90
LEAST_ROWS, MOST_ROWS = 3, 12
"""Lines of the field of networks."""
LIMIT = 50
_CURSOR = re.compile(r"[0-9]{1,18}")
_YEARS = range(1970, 2200)
"""Times outside are mistakes, and the ends of the calendar do not survive a change of zone."""


class QueryForm(forms.Form):
    """A query string: every parameter once at most, what is not declared is ignored."""

    cursor = forms.CharField(required=False, widget=forms.HiddenInput)
    format = forms.ChoiceField(
        required=False, choices=[("", ""), ("csv", "csv")], widget=forms.HiddenInput
    )

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query, auto_id="filter_%s")
        self._query = query

    def clean(self) -> dict[str, Any]:
        """Refuse a parameter that was given twice."""
        cleaned = super().clean() or {}
        for name in self.fields:
            if len(self._query.getlist(name)) > 1:
                self.add_error(name, ValidationError(_("Give this once."), code="duplicate"))
        return cleaned

    def clean_cursor(self) -> int | None:
        """The id of the last row of the page before."""
        text = self.cleaned_data["cursor"]
        if not text:
            return None
        if not _CURSOR.fullmatch(text):
            raise ValidationError(_("This page's address is not valid."), code="invalid")
        return int(text)

    @property
    def asked(self) -> dict[str, Any]:
        """The filters in use: visible fields that have a value."""
        return {
            field.name: self.cleaned_data[field.name]
            for field in self.visible_fields()
            if self.cleaned_data.get(field.name) not in (None, "")
        }


def _narrow() -> forms.TextInput:
    return forms.TextInput(attrs={"class": "na-w7"})


class AuditQuery(QueryForm):
    """Filters of the audit log."""

    who = forms.CharField(label=_("Who"), required=False, max_length=150, widget=_narrow())
    action = forms.CharField(label=_("What"), required=False, max_length=50, widget=_narrow())
    object = forms.CharField(label=_("Object"), required=False, max_length=200, widget=_narrow())
    request = forms.CharField(label=_("Request"), required=False, max_length=64, widget=_narrow())
    since = forms.DateTimeField(
        label=_("From"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    order = forms.ChoiceField(
        label=_("Order"),
        required=False,
        choices=[("", _("Newest first")), ("oldest", _("Oldest first"))],
    )

    def clean_since(self) -> dt.datetime | None:
        """A time of our days."""
        return _sane(self.cleaned_data["since"])

    def clean_until(self) -> dt.datetime | None:
        """A time of our days."""
        return _sane(self.cleaned_data["until"])


class TokenQuery(QueryForm):
    """Filters of the token list."""

    q = forms.CharField(label=_("Name or user"), required=False, max_length=150)
    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[
            ("", _("All")),
            ("live", _("In use")),
            ("expired", _("Expired")),
            ("revoked", _("Revoked")),
        ],
    )
    scope = forms.ChoiceField(
        label=_("Scope"), required=False, choices=[("", _("All")), *Scope.choices]
    )
    sort = forms.ChoiceField(
        label=_("Order"),
        required=False,
        choices=[
            ("", _("Newest first")),
            ("oldest", _("Oldest first")),
        ],
    )


class NamedToken(forms.Form):
    """What may be said of a token when it is made, and changed later."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What uses it, such as backup script.")
    )
    networks = forms.CharField(
        label=_("May be used from"),
        required=False,
        max_length=networks.LONGEST,
        widget=forms.Textarea(
            attrs={
                "rows": LEAST_ROWS,
                "class": "na-mono",
                "spellcheck": "false",
                "autocomplete": "off",
            }
        ),
    )

    def __init__(self, *args: Any, address: str | None, **kwargs: Any) -> None:
        """``address``: where the form is filled in, which is said beside the networks."""
        super().__init__(*args, **kwargs)
        told = _("Addresses or networks, such as 192.0.2.7 or 10.20.0.0/16. Empty: anywhere.")
        here = _("You are at %(address)s.") % {"address": address} if address else ""
        self.fields["networks"].help_text = f"{told} {here}".strip()

    def clean_name(self) -> str:
        """Refuse what would break a line of the audit log or a list."""
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError(_("A name has no control characters."), code="invalid")
        return name

    def clean_networks(self) -> list[str]:
        """As CIDR."""
        return networks.read(self.cleaned_data["networks"])


class TokenForm(NamedToken):
    """A new token of ``user``: never a scope above its role, never a group it does not see."""

    scope = forms.ChoiceField(label=_("Scope"))
    days = forms.ChoiceField(label=_("Expires"), initial=str(DEFAULT_DAYS))
    groups = forms.ModelMultipleChoiceField(
        label=_("Host groups"),
        queryset=HostGroup.objects.none(),
        required=False,
        help_text=_("None: all hosts that you see."),
    )
    field_order = ("name", "scope", "days", "groups", "networks")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = [(s.value, s.label) for s in tokens.scopes(user)]  # type: ignore[attr-defined]
        self.fields["days"].choices = _ends()  # type: ignore[attr-defined]
        self.fields["groups"].queryset = tokens.groups_of(user)  # type: ignore[attr-defined]
        if not self.fields["groups"].queryset.exists():  # type: ignore[attr-defined]
            del self.fields["groups"]

    def expires_at(self) -> dt.datetime | None:
        """When the token ends; None for never."""
        return _ends_at(self.cleaned_data["days"])


class TokenChangeForm(NamedToken):
    """Another name, other networks, another end of ``token``."""

    days = forms.ChoiceField(label=_("Expires"), initial="keep")
    field_order = ("name", "days", "networks")

    def __init__(self, *args: Any, token: APIToken, **kwargs: Any) -> None:
        kwargs["initial"] = {"name": token.name, "networks": "\n".join(token.networks)}
        super().__init__(*args, **kwargs)
        self._token = token
        rows = min(max(len(token.networks), LEAST_ROWS), MOST_ROWS)
        self.fields["networks"].widget.attrs["rows"] = rows
        keep: Any = _("as it is: never")
        if token.expires_at is not None:
            when = timezone.localtime(token.expires_at)
            keep = _("as it is: %(when)s") % {"when": f"{when:%Y-%m-%d %H:%M}"}
        self.fields["days"].choices = [("keep", keep), *_ends()]  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """What ``tokens.change`` takes."""
        days: str = self.cleaned_data["days"]
        return {
            "name": self.cleaned_data["name"],
            "networks": self.cleaned_data["networks"],
            "expires_at": self._token.expires_at if days == "keep" else _ends_at(days),
        }


def _ends() -> list[tuple[str, Any]]:
    return [
        *((str(days), _("in %(days)d days") % {"days": days}) for days in DAYS),
        ("never", _("never")),
    ]


def _ends_at(days: str) -> dt.datetime | None:
    return None if days == "never" else timezone.now() + dt.timedelta(days=int(days))


def _sane(when: dt.datetime | None) -> dt.datetime | None:
    if when is not None and when.year not in _YEARS:
        raise ValidationError(_("Enter a time between 1970 and 2199."), code="invalid")
    return when
