"""The form of a source of hosts.

Place in the data's way: between a browser and ``hosts.cmdb.sources``, which checks everything. A
token goes in and is never rendered again; a blank field keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from hosts.cmdb import sources
from hosts.cmdb.rows import FIELDS
from hosts.forms import SecretField, WholeNumberField
from hosts.models import Source

if TYPE_CHECKING:
    _SourceModelForm = forms.ModelForm[Source]
else:
    _SourceModelForm = forms.ModelForm

MAP = "map_"
"""Prefix of the fields that say what a column or key is called there."""
MAPPED = {
    "name": _("Column of the name"),
    "address": _("Column of the address"),
    "port": _("Column of the SSH port"),
    "platform": _("Column of the platform"),
    "notes": _("Column of the notes"),
    "id": _("Column of a lasting id"),
}


class SourceForm(_SourceModelForm):
    """Adds or changes a source."""

    every_minutes = WholeNumberField(
        label=_("Every (minutes)"), min_value=1, max_value=10_080, initial=60
    )
    map_rows = forms.CharField(
        label=_("Path of the list"),
        required=False,
        max_length=200,
        help_text=_("Of JSON: data.servers. Empty: the document is the list."),
    )
    token = SecretField(
        label=_("Token"),
        help_text=_("Sent as Authorization: whole (“Bearer …”), of NetBox the token alone."),
    )
    clear_token = forms.BooleanField(label=_("Forget the stored token"), required=False)
    confirm_secret = SecretField(
        label=_("Secret of the credential, again"),
        help_text=_(
            "Asked for when the credential, or where the list comes from, changes: hosts that the "
            "list adds or moves are logged in to with it."
        ),
    )
    confirm_sudo_password = SecretField(label=_("sudo password of the credential, again"))

    class Meta:
        model = Source
        fields = ("name", "kind", "location", "group", "credential", "every_minutes", "enabled")
        labels = {
            "name": _("Name"),
            "kind": _("Kind"),
            "location": _("Address or file"),
            "group": _("Group"),
            "credential": _("Credential"),
            "enabled": _("Synchronise by itself"),
        }
        help_texts = {
            "location": _(
                "https://cmdb.example.com/hosts.json, of NetBox its address alone; or a file of "
                "CMDB_FILES_DIR, such as hosts.csv."
            ),
            "group": _(
                "Every host of the list is put into it. With another group, those that are in "
                "this one move there."
            ),
            "credential": _("Of hosts that are added from now on; the others keep theirs."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance if self.instance.pk else None
        fields = self.instance.fields if isinstance(self.instance.fields, dict) else {}
        self.fields["map_rows"].initial = fields.get("rows", "")
        for name, label in MAPPED.items():
            self.fields[MAP + name] = forms.CharField(
                label=label,
                required=False,
                max_length=200,
                initial=fields.get(name, ""),
                widget=forms.TextInput(attrs={"placeholder": name}),
            )
        if stored is None or not stored.has_secret("token"):
            del self.fields["clear_token"]
        else:
            self.fields["token"].help_text = _("Leave blank to keep what is stored.")

    def payload(self) -> dict[str, Any]:
        """What was entered, as ``hosts.cmdb.sources`` takes it."""
        given = self.cleaned_data
        data = {name: given[name] for name in sources.PLAIN_FIELDS if name in given}
        known = sources.KNOWN_FIELDS.get(given.get("kind", ""), ())
        named = {name: given.get(MAP + name) or "" for name in ("rows", *FIELDS) if name in known}
        data["fields"] = {name: value for name, value in named.items() if value}
        for name in sources.SECRET_FIELDS:
            if given.get(name):
                data[name] = given[name]
        return data

    def validate_unique(self) -> None:
        """Left to ``sources``, which says it at the same field."""

    def mapping(self) -> list[forms.BoundField]:
        """The fields that map columns, for the template."""
        return [self["map_rows"], *(self[MAP + name] for name in MAPPED)]
