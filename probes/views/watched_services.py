"""Services: the list, one with its restarts, adding and changing them, and restarting by hand.

Place in the data's way: between the browser and ``probes.recovery``, which checks, decides and
records. A service is there for whoever may see its host.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host, HostQuerySet, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, parse
from probes.models import OpenSocket, Restart, RestartCommand, Service
from probes.models.sockets import Direction
from probes.recovery import affected, decisions, defined, guard, listing
from probes.service_filters import ServiceFilter
from probes.views import lists, place
from probes.views.hostpage import with_query
from probes.wording import alerts as alert_words
from probes.wording import recovery as words

A_PAGE: Final = 50
RESTARTS_SHOWN: Final = 50
STATES: Final = (
    ("down", gettext_lazy("Down")),
    ("unknown", gettext_lazy("Unknown")),
    ("up", gettext_lazy("Up")),
    ("off", gettext_lazy("Off")),
)
MOST_PICKS: Final = 200


class ServiceForm(forms.Form):
    """A service as it is typed; ``recovery.defined`` checks it."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=defined.NAME_CHARS)
    host = forms.ChoiceField(label=gettext_lazy("Host"))
    protocol = forms.ChoiceField(
        label=gettext_lazy("Protocol"), choices=[("tcp", "TCP"), ("udp", "UDP")], initial="tcp"
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535)
    command = forms.ChoiceField(
        label=gettext_lazy("Restart command"),
        required=False,
        help_text=gettext_lazy("Commands are made by administrators of all hosts."),
    )
    automatic = forms.BooleanField(
        label=gettext_lazy("Restart by itself when the port is down"),
        required=False,
        help_text=gettext_lazy(
            "Only where a whole probe shows the port down, never for a host out of reach, and not "
            "during maintenance."
        ),
    )
    budget = forms.IntegerField(
        label=gettext_lazy("Restarts at most"), min_value=1, max_value=20, initial=3
    )
    budget_s = forms.IntegerField(
        label=gettext_lazy("Within seconds"), min_value=60, max_value=86_400, initial=300
    )
    enabled = forms.BooleanField(label=gettext_lazy("Enabled"), required=False, initial=True)
    notes = forms.CharField(
        label=gettext_lazy("Notes"),
        required=False,
        max_length=defined.NOTES_CHARS,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, hosts: HostQuerySet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(pk), name) for pk, name in hosts.values_list("pk", "name")]
        known = RestartCommand.objects.order_by("name").values_list("pk", "name")
        self.fields["host"].choices = [("", "—"), *choices]  # type: ignore[attr-defined]
        self.fields["command"].choices = [  # type: ignore[attr-defined]
            ("", _("none: it is only watched")),
            *((str(pk), name) for pk, name in known),
        ]


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The services of the hosts that the reader may see, the worst first."""
    visible = _hosts(request)
    problem: FilterError | None = None
    found: list[listing.Row] = []
    every: list[listing.Row] = []
    asked = ServiceFilter()
    try:
        asked = parse(ServiceFilter, request.GET, ignore=("page",))
        chosen = place.narrowed(request, visible, host=asked.host, group=asked.group)
        every = listing.rows(list(listing.of(chosen)))
        found = listing.fitting(every, asked)
    except FilterError as error:
        problem = error
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    parameters = asked.parameters()
    chips = [
        lists.chip(request, "state", value, label, sum(row.state == value for row in every))
        for value, label in STATES
    ]
    context = {
        "problem": problem,
        "rows": [_shaped(row) for row in page.object_list],
        "page": page,
        "chips": [lists.chip(request, "state", None, _("All"), len(every)), *chips],
        "groups": list(
            visible_groups(request.user).filter(hosts__in=visible.order_by()).distinct()
        ),
        "host": visible.filter(pk=asked.host).first() if asked.host and not problem else None,
        "filtered": bool(parameters) or problem is not None,
        "csv_url": f"{reverse('api-services')}?{urlencode(parameters | {'format': 'csv'})}"
        if found
        else "",
        "next_url": with_query(request, page=str(page.next_page_number()))
        if page.has_next()
        else "",
        "first_url": with_query(request) if page.has_previous() else "",
    }
    return render(request, "probes/services.html", context, status=400 if problem else 200)


@require(Role.VIEWER)
@require_safe
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """A service, what a restart would cut off, and its restarts."""
    service = _find(request, pk)
    return render(request, "probes/service.html", _context(request, service))


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Make a service; ``?host=&port=&protocol=`` fill in a listener that was picked."""
    hosts = _hosts(request)
    if request.method == "POST":
        return _save(request, None)
    host = _picked_host(request, hosts)
    initial: dict[str, Any] = {} if host is None else {"host": str(host.pk)}
    port = request.GET.get("port", "")
    if port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536:
        initial["port"] = int(port)
    if request.GET.get("protocol") in ("tcp", "udp"):
        initial["protocol"] = request.GET["protocol"]
    program = request.GET.get("name", "")
    if program.isprintable():
        initial["name"] = program[: defined.NAME_CHARS]
    return _form(request, ServiceForm(initial=initial, hosts=hosts), None, host=host)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a service."""
    service = _find(request, pk)
    if request.method == "POST":
        return _save(request, service)
    fields = {name: getattr(service, name) for name in defined.SERVICE_FIELDS}
    fields |= {"host": str(service.host_id), "command": str(service.command_id or "")}
    return _form(request, ServiceForm(initial=fields, hosts=_hosts(request)), service)


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a service with the history of its restarts."""
    service = _find(request, pk)
    defined.remove(service, request=request)
    messages.success(request, _("%(name)s was removed.") % {"name": service.name})
    return redirect("services")


@require(Role.OPERATOR)
@require_POST
def restart(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a restart would do (``dry_run``), or plan it."""
    service = _find(request, pk)
    confirmed = request.POST.get("confirm") == "yes"
    if request.POST.get("dry_run") == "yes":
        return _dry_run(request, service, confirmed=confirmed)
    planned = decisions.plan(service, request=request, confirmed=confirmed)
    if isinstance(planned, str):
        return _dry_run(request, service, refused=planned, confirmed=confirmed)
    messages.success(request, _("The restart of %(name)s is planned.") % {"name": service.name})
    return redirect("service", pk)


def _dry_run(
    request: HttpRequest, service: Service, *, refused: str = "", confirmed: bool = False
) -> HttpResponse:
    """What it would run, whom it cuts off, and what refuses it."""
    at = guard.standing(service, now=timezone.now(), by_person=True, confirmed=True)
    title, hint = words.reason(at.refusal)
    context = {
        "service": service,
        "row": listing.row(service),
        "at": at,
        "affected": affected.of(service),
        "refusal": title,
        "hint": hint,
        "unconfirmed": refused == "confirm" and not confirmed,
    }
    status = 409 if refused else 200
    return render(request, "probes/service_restart.html", context, status=status)


def _context(request: HttpRequest, service: Service) -> dict[str, Any]:
    row = listing.row(service)
    at = guard.standing(service, now=timezone.now(), by_person=True, confirmed=True)
    found = Paginator(listing.history(service), RESTARTS_SHOWN)
    page = found.get_page(request.GET.get("page"))
    title, hint = words.reason(at.refusal)
    return {
        "service": service,
        **_shaped(row),
        "given_up": "" if row.given_up is None else alert_words.title(row.given_up),
        "at": at,
        "refusal": title,
        "hint": hint,
        "affected": affected.of(service),
        "under_way": listing.under_way(service),
        "restarts": [_restart(each) for each in page.object_list],
        "page": page,
        "csv_url": f"{reverse('api-service-restarts', args=[service.pk])}?format=csv",
        "next_url": with_query(request, page=str(page.next_page_number()))
        if page.has_next()
        else "",
        "first_url": with_query(request) if page.has_previous() else "",
    }


def _shaped(row: listing.Row) -> dict[str, Any]:
    newest = row.newest
    return {
        "row": row,
        "service": row.service,
        "newest": None if newest is None else _restart(newest),
        "label": dict(STATES)[row.state],
    }


def _restart(restart: Restart) -> dict[str, Any]:
    title, hint = words.reason(restart.reason)
    shape = {
        Restart.State.RECOVERED: "ok",
        Restart.State.STILL_DOWN: "bad",
        Restart.State.FAILED: "bad",
        Restart.State.REFUSED: "off",
        Restart.State.UNKNOWN: "warn",
    }.get(Restart.State(restart.state), "new")
    return {
        "restart": restart,
        "shape": shape,
        "said": words.sentence(restart),
        "reason": title,
        "hint": hint,
    }


def _hosts(request: HttpRequest) -> HostQuerySet:
    return Host.objects.kept().visible_to(request.user)


def _find(request: HttpRequest, pk: int) -> Service:
    services = listing.of(_hosts(request)).select_related(
        "host__credential", "host__jump_host__credential", "command"
    )
    service = services.filter(pk=pk).first() if pk < 2**63 else None
    if service is None:
        raise Http404
    return service


def _picked_host(request: HttpRequest, hosts: HostQuerySet) -> Host | None:
    """The host whose listeners are to be picked from; None for none, or one that is absent."""
    number = request.GET.get("host", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return hosts.filter(pk=int(number)).first()


def _picks(host: Host) -> list[dict[str, Any]]:
    """The listeners of a host that are no service yet, by port, each with a link that picks it."""
    numbers = {number: name for name in ("tcp", "udp") for number in affected.numbers(name)}
    taken = set(Service.objects.filter(host=host).values_list("protocol", "port"))
    found: dict[tuple[str, int], set[str]] = {}
    rows = OpenSocket.objects.filter(
        host_id=host.pk, direction=Direction.LISTEN, protocol__in=list(numbers)
    )
    for number, port, program in rows.values_list("protocol", "local_port", "program"):
        if port and (numbers[number], port) not in taken:
            found.setdefault((numbers[number], port), set()).update([program] if program else [])
    picked = sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))[:MOST_PICKS]
    return [
        {
            "protocol": protocol,
            "port": port,
            "programs": ", ".join(sorted(programs)),
            "query": urlencode(
                {
                    "host": host.pk,
                    "protocol": protocol,
                    "port": port,
                    "name": min(programs, default=""),
                }
            ),
        }
        for (protocol, port), programs in picked
    ]


def _save(request: HttpRequest, service: Service | None) -> HttpResponse:
    hosts = _hosts(request)
    form = ServiceForm(request.POST, hosts=hosts)
    if form.is_valid():
        data: dict[str, Any] = form.cleaned_data
        try:
            if service is None:
                saved = defined.create(data, hosts=hosts, request=request)
            else:
                saved = defined.change(service, data, hosts=hosts, request=request)
        except ValidationError as invalid:
            for field, said in invalid.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("service", saved.pk)
    return _form(request, form, service, status=400)


def _form(
    request: HttpRequest,
    form: ServiceForm,
    service: Service | None,
    *,
    host: Host | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "service": service,
        "host": host,
        "hosts": list(_hosts(request).order_by("name").values_list("pk", "name")[:1000])
        if service is None
        else [],
        "picks": [] if host is None else _picks(host),
    }
    return render(request, "probes/service_form.html", context, status=status)
