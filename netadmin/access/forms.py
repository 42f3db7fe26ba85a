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
from netadmin.access.models import Role, Scope
from netadmin.access.permissions import SCOPE_ROLES, user_role

if TYPE_CHECKING:
    from django.http import QueryDict

DAYS = (7, 30, 90, 365)
DEFAULT_DAYS = 90
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


class AuditQuery(QueryForm):
    """Filters of the audit log."""

    who = forms.CharField(label=_("Who"), required=False, max_length=150)
    action = forms.CharField(label=_("What"), required=False, max_length=50)
    object = forms.CharField(label=_("Object"), required=False, max_length=200)
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


class TokenForm(forms.Form):
    """A new token of ``user``: never a scope above its role, never a group it does not see."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What uses it, such as backup script.")
    )
    scope = forms.ChoiceField(label=_("Scope"))
    days = forms.ChoiceField(label=_("Expires"), initial=str(DEFAULT_DAYS))
    groups = forms.ModelMultipleChoiceField(
        label=_("Host groups"),
        queryset=HostGroup.objects.none(),
        required=False,
        help_text=_("None: all hosts that you see."),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = user_role(user) or Role.VIEWER
        scopes = [scope for scope, needed in SCOPE_ROLES.items() if needed <= role]
        self.fields["scope"].choices = [(s.value, s.label) for s in scopes]  # type: ignore[attr-defined]
        self.fields["days"].choices = [  # type: ignore[attr-defined]
            *((str(days), _("in %(days)d days") % {"days": days}) for days in DAYS),
            ("never", _("never")),
        ]
        access = getattr(user, "access", None)
        self.fields["groups"].queryset = (  # type: ignore[attr-defined]
            HostGroup.objects.all()
            if user.is_superuser or access is None or access.all_hosts
            else access.groups.all()
        )
        if not self.fields["groups"].queryset.exists():  # type: ignore[attr-defined]
            del self.fields["groups"]

    def clean_name(self) -> str:
        """Refuse what would break a line of the audit log or a list."""
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError(_("A name has no control characters."), code="invalid")
        return name

    def expires_at(self) -> dt.datetime | None:
        """When the token ends; None for never."""
        days: str = self.cleaned_data["days"]
        return None if days == "never" else timezone.now() + dt.timedelta(days=int(days))


def _sane(when: dt.datetime | None) -> dt.datetime | None:
    if when is not None and when.year not in _YEARS:
        raise ValidationError(_("Enter a time between 1970 and 2199."), code="invalid")
    return when
