"""Tries a login before a host is saved: reach, host key, login, tool, PIDs, each with its fix.

Place in the data's way: between the host form and ``probes.connection_test``. Nothing is stored
but a host key that was met, and what the administrator decides of it right here. The form is
checked as for saving, so a stored secret goes to no new address without being typed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from hosts import inventory, keys, reach, secrets
from hosts.forms import HostPageForm, add_errors
from hosts.models import Host, HostKey, JumpLoop, MissingCredential
from hosts.target import Trust
from hosts.views import host as host_pages
from hosts.views.host_keys import ShownKey, shape
from netadmin.access import audit
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.connection_test import (
    ConnectionTest,
    Step,
    StepName,
    StepStatus,
    test_connection,
)
from probes.observation import EXPLANATIONS, Code

LABELS = {
    StepName.REACHABLE: gettext_lazy("Reachable"),
    StepName.HOST_KEY: gettext_lazy("Host key"),
    StepName.LOGIN: gettext_lazy("Login"),
    StepName.TOOL: gettext_lazy("netstat or ss"),
    StepName.PIDS: gettext_lazy("Processes visible"),
}
ICONS = {StepStatus.OK: "ok", StepStatus.FAILED: "bad", StepStatus.NOT_REACHED: "off"}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One line of the result. ``title`` and ``hint`` are English msgids."""

    label: Any
    icon: str
    detail: str
    title: str = ""
    hint: str = ""


@require(Role.ADMIN)
@require_POST
def connection_test(request: HttpRequest) -> HttpResponse:
    """Test what the form says; with ``approve_key`` that key is approved first.

    For htmx the result alone, else the whole page: the secrets typed there have to be typed
    again, since no page ever holds one.
    """
    host = _stored_host(request)
    form = host_pages.form_of(request, host)
    if not form.is_valid() or form.checked is None:
        return _answer(request, form, host)
    checked = form.checked
    try:
        _approve(request, checked.host)
    except ValidationError as invalid:
        add_errors(form, invalid)
        return _answer(request, form, host)
    return _answer(request, form, host, **result(request, checked))


def result(request: HttpRequest, checked: inventory.Draft) -> dict[str, Any]:
    """Run the test of a checked host and shape it for the template; recorded in the audit log."""
    host = checked.host
    used = host.credential.name if host.credential else None
    where = {"address": host.address, "port": host.port, "credential": used}
    with transaction.atomic():
        stored = host if host.pk else None
        audit.record("connection.test", request=request, target=stored, detail=where)
    tested = run(host)
    offered: ShownKey | None = None
    if tested.offered_key is not None:
        offered = shape(keys.offered(tested.offered_key), [])
    return {"tested": tested, "steps": shown(tested), "offered": offered}


def run(host: Host) -> ConnectionTest:
    """Test a host, saved or not; a host that gives no target fails where it would."""
    try:
        target = host.target()
    except MissingCredential:
        return _untried(Code.CREDENTIAL_MISSING, "")
    except JumpLoop as error:
        return _untried(Code.JUMP_FAILED, str(error))
    except secrets.DecryptionError as error:
        return _untried(Code.KEY_UNREADABLE, str(error))
    return test_connection(target)


def shown(tested: ConnectionTest) -> list[ShownStep]:
    """The steps with their words: what failed says why and what helps."""
    steps = []
    for step in tested.steps:
        title, hint = EXPLANATIONS[step.code] if step.code is not None else ("", "")
        icon = ICONS[step.status]
        if step.name is StepName.PIDS and step.status is StepStatus.FAILED:
            icon = "warn"  # the host can be watched all the same
        steps.append(ShownStep(LABELS[step.name], icon, step.detail, title, hint))
    return steps


def _stored_host(request: HttpRequest) -> Host | None:
    given = request.POST.get("host", "")
    if not given:
        return None
    known = given.isascii() and given.isdigit() and len(given) < 19
    return host_pages.find(request, int(given) if known else 0)


def _approve(request: HttpRequest, host: Host) -> None:
    given = request.POST.get("approve_key", "")
    if not given:
        return
    key = None
    if given.isascii() and given.isdigit() and len(given) < 19:
        key = HostKey.objects.filter(pk=int(given)).first()
    if key is None or not _may_decide(request, key, host):
        raise ValidationError({"address": _("That host key is not offered there any more.")})
    keys.decide(key, Trust.TRUSTED, request=request)


def _may_decide(request: HttpRequest, key: HostKey, host: Host) -> bool:
    """A key of the caller's hosts, or of the host being added unless it is somebody else's."""
    if reach.of(request).host_keys().filter(pk=key.pk).exists():
        return True
    here = (key.address, key.port) == (host.address, host.port)
    return here and not Host.objects.kept().filter(address=key.address, port=key.port).exists()


def _untried(code: Code, detail: str) -> ConnectionTest:
    first, *rest = StepName
    return ConnectionTest(
        (
            Step(first, StepStatus.FAILED, code, detail),
            *(Step(name, StepStatus.NOT_REACHED) for name in rest),
        )
    )


def _answer(
    request: HttpRequest, form: HostPageForm, host: Host | None, **context: Any
) -> HttpResponse:
    if getattr(request, "htmx", False):
        labels = {name: field.label for name, field in form.fields.items()}
        errors = [
            (labels.get(name, ""), message)
            for name, found in form.errors.items()
            for message in found
        ]
        full = {"errors": errors, "form": form, "host": host, **context}
        return render(request, "hosts/_connection_test.html", full)
    return host_pages.show(request, form, host, **context)
