"""The commands that services may be restarted with: for administrators of all hosts.

Place in the data's way: between the forms and ``probes.recovery.defined``, which checks and
records.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.views.credentials import site_wide
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import commands
from probes.models import RestartCommand
from probes.recovery import defined


class CommandForm(forms.Form):
    """A command as it is typed, one word a line."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=defined.NAME_CHARS)
    argv = forms.CharField(
        label=gettext_lazy("Command"),
        max_length=commands.MOST_WORDS * (commands.MOST_WORD_BYTES + 2),
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 6, "class": "na-mono", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=gettext_lazy(
            "One word a line: the program first, then each argument as it is. No shell reads them, "
            "so nothing is quoted, and spaces stay: systemctl, restart, nginx."
        ),
    )
    use_sudo = forms.BooleanField(
        label=gettext_lazy("Run by sudo"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "As the host's credential says; refused where it has none. The sudoers file of the "
            "host has to allow this very command."
        ),
    )

    def clean_argv(self) -> list[str]:
        """The words."""
        return defined.words(str(self.cleaned_data["argv"]))


@require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All commands with how many services use each."""
    site_wide(request)
    found = RestartCommand.objects.annotate(used=Count("services")).order_by("name")
    rows = [{"command": row, "line": commands.restart_shown(row.argv)} for row in found]
    context = {"rows": rows, "csv_url": f"{reverse('api-restart-commands')}?format=csv"}
    return render(request, "probes/restart_commands.html", context)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Allow a command."""
    site_wide(request)
    if request.method == "POST":
        return _save(request, None)
    return _form(request, CommandForm(), None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a command, for all services that use it."""
    site_wide(request)
    command = _find(pk)
    if request.method == "POST":
        return _save(request, command)
    fields = {"name": command.name, "use_sudo": command.use_sudo, "argv": "\n".join(command.argv)}
    return _form(request, CommandForm(initial=fields), command)


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a command that no service uses."""
    site_wide(request)
    command = _find(pk)
    try:
        defined.remove_command(command, request=request)
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
    else:
        messages.success(request, _("%(name)s was removed.") % {"name": command.name})
    return redirect("restart_commands")


def _find(pk: int) -> RestartCommand:
    command = RestartCommand.objects.filter(pk=pk).first() if pk < 2**63 else None
    if command is None:
        raise Http404
    return command


def _save(request: HttpRequest, command: RestartCommand | None) -> HttpResponse:
    form = CommandForm(request.POST)
    if form.is_valid():
        data: dict[str, Any] = form.cleaned_data
        try:
            if command is None:
                saved = defined.create_command(data, request=request)
            else:
                saved = defined.change_command(command, data, request=request)
        except ValidationError as invalid:
            for field, said in invalid.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("restart_commands")
    return _form(request, form, command, status=400)


def _form(
    request: HttpRequest, form: CommandForm, command: RestartCommand | None, *, status: int = 200
) -> HttpResponse:
    used = command.services.count() if command is not None else 0
    context = {"form": form, "command": command, "used": used}
    return render(request, "probes/restart_command_form.html", context, status=status)
