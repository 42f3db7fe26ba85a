"""Forms for hosts and credentials: of the pages and, the same ones, of the Django admin.

Place in the data's way: between a browser and ``hosts.inventory`` or ``hosts.credentials``, which
check everything. A secret goes in and is never rendered again; a blank field keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hosts import credentials, inventory, private_keys, reach
from hosts.models import Credential, Host
from hosts.values import plain_int

if TYPE_CHECKING:
    _HostModelForm = forms.ModelForm[Host]
    _CredentialModelForm = forms.ModelForm[Credential]
else:
    _HostModelForm = _CredentialModelForm = forms.ModelForm

CREDENTIAL_ORDER = (
    "name",
    "user",
    "method",
    "password",
    "private_key",
    "key_file",
    "passphrase",
    "clear_passphrase",
    "sudo",
    "sudo_password",
)
NEW = "new_"
"""Prefix of the fields that make a credential within the form of a host."""


class SecretInput(forms.PasswordInput):
    """One line that is never filled in by the server nor by the browser."""

    def __init__(self) -> None:
        super().__init__(
            render_value=False,
            attrs={"autocomplete": "new-password", "spellcheck": "false", "autocapitalize": "off"},
        )


class SecretText(forms.Textarea):
    """Several lines that are never filled in by the server."""

    def __init__(self) -> None:
        super().__init__(
            attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false", "class": "na-mono"}
        )

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Whatever was typed stays out of the page."""
        return super().get_context(name, None, attrs)


class SecretField(forms.CharField):
    """Text kept byte for byte, blanks and all."""

    def __init__(self, *, label: Any, help_text: Any = "", lines: bool = False) -> None:
        super().__init__(
            label=label,
            help_text=help_text,
            required=False,
            strip=False,
            max_length=private_keys.MAX_BYTES if lines else credentials.SECRET_MAX,
            widget=SecretText() if lines else SecretInput(),
        )

    def has_changed(self, initial: Any, data: Any) -> bool:
        """A blank field keeps what is stored."""
        return bool(data)


class WholeNumberField(forms.IntegerField):
    """ASCII digits only: Django's own takes those of any script."""

    def to_python(self, value: Any) -> int | None:
        """The number, or None for a blank field."""
        return None if value in self.empty_values else plain_int(value)


def _secret_fields() -> dict[str, SecretField]:
    keep = _("Leave blank to keep what is stored.")
    return {
        "password": SecretField(label=_("Password"), help_text=keep),
        "private_key": SecretField(label=_("Private key"), help_text=keep, lines=True),
        "passphrase": SecretField(label=_("Passphrase of the key"), help_text=keep),
        "sudo_password": SecretField(label=_("sudo password"), help_text=keep),
    }


class CredentialForm(_CredentialModelForm):
    """Adds or changes a credential."""

    field_order = CREDENTIAL_ORDER
    password = _secret_fields()["password"]
    private_key = _secret_fields()["private_key"]
    passphrase = _secret_fields()["passphrase"]
    clear_passphrase = forms.BooleanField(label=_("Forget the stored passphrase"), required=False)
    sudo_password = _secret_fields()["sudo_password"]

    class Meta:
        model = Credential
        fields = credentials.PLAIN_FIELDS
        labels = {"sudo": "sudo"}
        widgets = {"user": forms.TextInput(attrs={"autocomplete": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance if self.instance.pk else None
        if stored is None or not stored.has_secret("passphrase"):
            del self.fields["clear_passphrase"]
        for name in Credential.SECRET_FIELDS:
            if stored is None:
                self.fields[name].help_text = ""
            elif not stored.has_secret(name):
                self.fields[name].help_text = _("Nothing is stored.")

    def payload(self) -> dict[str, Any]:
        """What was entered, as ``hosts.credentials`` takes it."""
        names = (*credentials.PLAIN_FIELDS, *Credential.SECRET_FIELDS)
        data = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        if self.cleaned_data.get("clear_passphrase"):
            data["clear"] = ["passphrase"]
        return data

    def clean(self) -> dict[str, Any]:
        """Check the login as a whole: all that the method needs, and a key that opens."""
        super().clean()
        self._checked: Credential | None = None
        if not self.errors:
            stored = self.instance if self.instance.pk else None
            try:
                self._checked = credentials.draft(self.payload(), credential=stored)
            except ValidationError as invalid:
                add_errors(self, invalid)
        return self.cleaned_data

    def _post_clean(self) -> None:
        # The draft holds the encrypted secrets; the form's own instance would lose them.
        if self._checked is not None:
            self.instance = self._checked


class HostForm(_HostModelForm):
    """Adds or changes a host, choosing a credential."""

    name = forms.CharField(label=_("Name"), max_length=100)
    port = WholeNumberField(label=_("SSH port"), min_value=1, max_value=65_535, initial=22)
    interval_s = WholeNumberField(
        label=_("Interval (seconds)"),
        min_value=5,
        max_value=86_400,
        required=False,
        help_text=_("Empty: the site's default."),
    )
    confirm_secret = SecretField(
        label=_("The credential's secret again"),
        help_text=_(
            "Needed when the address or port changes: the password, the private key, or the path "
            "of the key file of the chosen credential."
        ),
    )
    confirm_sudo_password = SecretField(
        label=_("The credential's sudo password again"),
        help_text=_("Needed with the one above where the credential has one."),
    )

    class Meta:
        model = Host
        fields = inventory.HOST_FIELDS
        widgets = {"notes": forms.Textarea(attrs={"rows": 3})}

    request: HttpRequest
    """Who fills it in; given to the constructor, or set on a subclass as the Django admin does."""

    def __init__(self, *args: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if request is not None:
            self.request = request
        self.limits = reach.of(self.request)
        self._narrow("credential", self.limits.credentials())
        self._narrow("groups", self.limits.groups())
        self._narrow("jump_host", self.limits.hosts().exclude(pk=self.instance.pk))
        if self.instance._state.adding and self.limits.everything:
            del self.fields["confirm_secret"], self.fields["confirm_sudo_password"]

    def _narrow(self, name: str, allowed: Any) -> None:
        field = self.fields.get(name)
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = allowed

    def payload(self) -> dict[str, Any]:
        """What was entered, as ``hosts.inventory`` takes it."""
        names = (*inventory.HOST_FIELDS, "confirm_secret", "confirm_sudo_password")
        return {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}

    def clean(self) -> dict[str, Any]:
        """Check as :func:`hosts.inventory.draft` does."""
        super().clean()
        self._checked: Host | None = None
        self.checked: inventory.Draft | None = None
        if not self.errors:
            stored = self.instance if self.instance.pk else None
            try:
                self.checked = inventory.draft(self.payload(), host=stored, request=self.request)
                self._checked = self.checked.host
            except ValidationError as invalid:
                add_errors(self, invalid)
        return self.cleaned_data

    def _post_clean(self) -> None:
        if self._checked is not None:
            self.instance = self._checked


class HostPageForm(HostForm):
    """The form of the page "Add a host": chooses a credential or makes a new one right there."""

    NEW_CREDENTIAL = "new"
    STORED = "stored"

    credential_from = forms.ChoiceField(
        label=_("Log in with"),
        choices=[(STORED, _("A credential kept here")), (NEW_CREDENTIAL, _("A new credential"))],
        widget=forms.RadioSelect,
        initial=STORED,
        required=False,
    )

    class Meta(HostForm.Meta):
        labels = {
            "address": _("Address"),
            "is_local": _("This machine"),
            "credential": _("Credential"),
            "groups": _("Groups"),
            "jump_host": _("Jump host"),
            "platform": _("Platform"),
            "enabled": _("Enabled"),
            "keep_connection": _("Keep the connection open"),
            "notes": _("Notes"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bare = CredentialForm()
        for name, field in bare.fields.items():
            field.required = False
            self.fields[NEW + name] = field
        self.fields[f"{NEW}name"].label = _("Name of the credential")
        self.fields[f"{NEW}name"].help_text = _("Empty: user and host.")
        self.fields[f"{NEW}sudo_password"].help_text = _("Empty: the login password.")
        # Not asked for where the host is this machine; clean() asks for all others.
        self.fields["address"].required = False
        if not self.limits.everything:
            del self.fields["is_local"]
        if self.instance._state.adding and not self.limits.credentials().exists():
            self.fields["credential_from"].initial = self.NEW_CREDENTIAL

    def payload(self) -> dict[str, Any]:
        """The host's fields, and ``new_credential`` where one was entered."""
        data = super().payload()
        if self.makes_credential():
            names = (*credentials.PLAIN_FIELDS, *Credential.SECRET_FIELDS)
            new = {name: self.cleaned_data.get(NEW + name) or "" for name in names}
            new["name"] = new["name"] or f"{new['user']}@{data.get('name', '')}"[:100]
            data["new_credential"] = new
            data.pop("credential", None)
        return data

    def makes_credential(self) -> bool:
        """Whether the person chose to enter a new credential."""
        return bool(self.cleaned_data.get("credential_from") == self.NEW_CREDENTIAL)

    def clean(self) -> dict[str, Any]:
        """A host that is reached by SSH needs an address and a credential."""
        given = self.cleaned_data
        local = given.get("is_local") if "is_local" in self.fields else self.instance.is_local
        if not local:
            if not given.get("address") and not self.has_error("address"):
                self.add_error("address", _("Enter the host's name or IP address."))
            chosen = self.makes_credential() or given.get("credential")
            if not chosen and not self.has_error("credential"):
                self.add_error("credential", _("Choose a credential, or enter a new one."))
        return super().clean()

    def credential_fields(self) -> list[forms.BoundField]:
        """The fields of the new credential, for the template."""
        return [self[NEW + name] for name in CREDENTIAL_ORDER if NEW + name in self.fields]


def add_errors(form: forms.BaseForm, invalid: ValidationError) -> None:
    """Put each error beside its field, or above the form where it has none."""
    for name, errors in invalid.error_dict.items():
        name = name.replace("new_credential.", NEW)
        if name in form.fields:
            form.add_error(name, errors)
        else:
            for error in errors:
                form.add_error(None, f"{name}: {' '.join(error.messages)}")
