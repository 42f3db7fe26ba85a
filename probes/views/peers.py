"""Whom the programs of a group talk to: what is new, and one click to approve it or not.

Place in the data's way: shapes ``queries.peers``; ``watch.peer_decisions`` checks and records.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host, HostGroup, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, parse, unstorable
from probes.history.queries import peers as queries
from probes.history.queries.pages import Page
from probes.models import DriftWatch, Peer
from probes.peer_filters import PeerFilter
from probes.views.hostpage import administers, with_query
from probes.watch import peer_decisions

ROWS_A_PAGE: Final = 100
SNOOZE_DAYS: Final = 7
COLUMNS: Final = (
    ("", gettext_lazy("State")),
    ("program", gettext_lazy("Program")),
    ("network", gettext_lazy("Network")),
    ("", gettext_lazy("Group")),
    ("-first_seen", gettext_lazy("First seen")),
    ("-last_seen", gettext_lazy("Newest connection")),
)


class DriftForm(forms.Form):
    """A new-peer watch as it is typed; ``peer_decisions`` checks it."""

    enabled = forms.BooleanField(label=gettext_lazy("Enabled"), required=False, initial=True)
    learn_days = forms.IntegerField(
        label=gettext_lazy("Learn for days from now"),
        required=False,
        min_value=0,
        max_value=peer_decisions.MOST_DAYS,
        help_text=gettext_lazy(
            "Whatever is seen until then is known. Empty: as it is. 0: everything is new from now "
            "on."
        ),
    )
    ipv4_prefix = forms.IntegerField(
        label=gettext_lazy("IPv4 prefix"),
        min_value=8,
        max_value=32,
        initial=24,
        help_text=gettext_lazy(
            "How many bits of an address make the network that is learned; 32: each address. "
            "Another prefix begins to learn anew."
        ),
    )
    ipv6_prefix = forms.IntegerField(
        label=gettext_lazy("IPv6 prefix"), min_value=16, max_value=128, initial=64
    )
    forget_days = forms.IntegerField(
        label=gettext_lazy("Forget after days"),
        min_value=1,
        max_value=peer_decisions.MOST_DAYS,
        initial=90,
        help_text=gettext_lazy("A peer that was not seen for so long is new again."),
    )
    ignored = forms.CharField(
        label=gettext_lazy("Networks left out"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4, "class": "na-mono", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Addresses and networks, one a line, that are neither learned nor told, such as your "
            "own 10.0.0.0/8; # begins a comment. Loopback never counts."
        ),
    )


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The watches, and the peers of the groups that the reader may see."""
    groups = visible_groups(request.user)
    problem: FilterError | None = None
    found: Page[Peer] = Page(())
    asked = PeerFilter()
    try:
        asked = parse(PeerFilter, request.GET, ignore=("cursor",))
        found = queries.page(
            queries.listed(_narrowed(groups, asked), asked),
            asked,
            cursor=request.GET.get("cursor") or None,
            limit=ROWS_A_PAGE,
        )
    except FilterError as error:
        problem = error
    csv = asked.parameters() | {"format": "csv"}
    watches = list(queries.watches(groups))
    hosts = {peer.host_id for peer in found.rows if peer.host_id is not None}
    visible = Host.objects.visible_to(request.user).filter(pk__in=hosts)
    now = timezone.now()
    context = {
        "problem": problem,
        "watches": [
            {
                "watch": watch,
                "learning": watch.enabled and watch.learn_until > now,
                "group_query": urlencode({"group": watch.group.name}),
            }
            for watch in watches
        ],
        "rows": [
            {"peer": peer, "hunt_query": _hunted(peer), "over": _is_over(peer, now)}
            for peer in found.rows
        ],
        "visible": set(visible.order_by().values_list("pk", flat=True)),
        "total": found.total,
        "columns": [(label, *_sort(request, asked, name)) for name, label in COLUMNS],
        "states": Peer.State.choices,
        "snooze_days": SNOOZE_DAYS,
        "next_url": with_query(request, cursor=found.next) if found.next else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "csv_url": f"{reverse('api-peers')}?{urlencode(csv)}" if found.rows else "",
        "query": urlencode(asked.parameters()),
        "filtered": bool(asked.parameters()) or problem is not None,
        "may_set": administers(request),
        "here": request.get_full_path(),
    }
    return render(request, "probes/peers.html", context, status=400 if problem else 200)


@require(Role.OPERATOR)
@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """Approve, snooze or expire: one by its button, those with a tick, or all that match."""
    rows = Peer.objects.filter(group__in=visible_groups(request.user).order_by())
    one, action = request.POST.get("one", ""), request.POST.get("action", "")
    days_typed = request.POST.get("days", "").strip()
    try:
        if one:
            action, _colon, number = one.partition(":")
            rows = rows.filter(pk__in=_ids([number]))
            days_typed = str(SNOOZE_DAYS) if action == "snooze" else ""
            if not rows.exists():
                raise Http404
        elif request.POST.get("every"):
            asked = parse(PeerFilter, QueryDict(request.POST.get("query", "")))
            rows = queries.listed(_narrowed(visible_groups(request.user), asked), asked)
            rows = Peer.objects.filter(pk__in=rows.order_by().values("pk"))
        else:
            rows = rows.filter(pk__in=_ids(request.POST.getlist("peer")))
        done = peer_decisions.decide(
            rows, _action(action), days=_days(action, days_typed), request=request
        )
    except (ValidationError, FilterError) as invalid:
        said = invalid.messages if isinstance(invalid, ValidationError) else [invalid.message]
        messages.error(request, " ".join(map(str, said)))
    else:
        if done:
            words = {
                "approve": ngettext("%(n)s peer is approved.", "%(n)s peers are approved.", done),
                "snooze": ngettext("%(n)s peer is snoozed.", "%(n)s peers are snoozed.", done),
                "expire": ngettext("%(n)s peer is expired.", "%(n)s peers are expired.", done),
            }
            messages.success(request, words[action] % {"n": done})
        else:
            messages.error(request, _("Tick the peers that you mean."))
    query = request.POST.get("query", "")
    return redirect(f"{reverse('peers')}?{QueryDict(query).urlencode()}" if query else "peers")


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Watch a group for new peers, change how, or watch it no more."""
    groups = visible_groups(request.user)
    name = request.GET.get("group", "")
    group = None
    if name:
        group = None if unstorable(name) else groups.filter(name=name[:200]).first()
        if group is None:
            unknown = FilterError("group", _("There is no such host group."))
            return _form(request, DriftForm(), None, None, groups, problem=unknown, status=400)
    watch = DriftWatch.objects.filter(group=group).first() if group is not None else None
    if request.method != "POST":
        fields = {} if watch is None else peer_decisions.described(watch)
        return _form(request, DriftForm(initial={"learn_days": None if watch else 7} | fields),
                     group, watch, groups)  # fmt: skip
    if group is None:
        group = groups.filter(pk__in=_ids([request.POST.get("in_group", "")])).first()
    if request.POST.get("remove") and watch is not None:
        peer_decisions.remove_watch(watch, request=request)
        messages.success(
            request,
            _("%(group)s is no longer watched for new peers.") % {"group": watch.group.name},
        )
        return redirect("peers")
    form = DriftForm(request.POST)
    if form.is_valid() and group is None:
        form.add_error(None, _("Choose a host group."))
    if form.is_valid() and group is not None:
        data: dict[str, Any] = dict(form.cleaned_data)
        days = data.pop("learn_days")
        if days is not None:
            data["learn_until"] = timezone.now() + dt.timedelta(days=days)
        try:
            saved = peer_decisions.save_watch(group, data, request=request)
        except ValidationError as invalid:
            for field, said in invalid.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(
                request, _("%(group)s is watched for new peers.") % {"group": saved.group.name}
            )
            return redirect("peers")
    return _form(request, form, group, watch, groups, status=400)


def _form(
    request: HttpRequest,
    form: DriftForm,
    group: HostGroup | None,
    watch: DriftWatch | None,
    groups: QuerySet[HostGroup],
    *,
    problem: FilterError | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "group": group,
        "watch": watch,
        "problem": problem,
        "learning": watch is not None and watch.learn_until > timezone.now(),
        "choices": [] if watch else list(groups.filter(drift_watch=None).order_by("name")),
        "chosen": request.POST.get("in_group", ""),
    }
    return render(request, "probes/drift_form.html", context, status=status)


def _narrowed(groups: QuerySet[HostGroup], asked: PeerFilter) -> QuerySet[HostGroup]:
    if asked.group is not None and not groups.filter(name=asked.group).exists():
        raise FilterError("group", _("There is no such host group."))
    return groups


def _action(text: str) -> peer_decisions.Action:
    for action in peer_decisions.ACTIONS:
        if text == action:
            return action
    raise ValidationError({"action": _("Approve, snooze or expire.")})


def _days(action: str, text: str) -> int | None:
    if action == "expire":
        return None
    if not text:
        return SNOOZE_DAYS if action == "snooze" else None
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ValidationError({"days": _("Give a whole number of days.")})
    return int(text)


def _ids(texts: list[str]) -> list[int]:
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]


def _hunted(peer: Peer) -> str:
    """The hunt that shows every connection of a peer."""
    program = {"program": peer.program} if peer.program else {}
    return urlencode({"cidr": peer.network, "direction": "out", **program})


def _is_over(peer: Peer, now: dt.datetime) -> bool:
    return peer.until is not None and peer.until <= now


def _sort(request: HttpRequest, asked: PeerFilter, name: str) -> tuple[str, str]:
    """A column's link and its direction now: ``ascending``, ``descending`` or nothing."""
    if not name:
        return "", ""
    current = asked.sort or queries.DEFAULT_SORT
    if current.lstrip("-") != name.lstrip("-"):
        return with_query(request, sort=name), ""
    other = current[1:] if current.startswith("-") else f"-{current}"
    return with_query(request, sort=other), "descending" if current[0] == "-" else "ascending"
