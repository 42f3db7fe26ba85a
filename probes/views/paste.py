"""The page "Paste netstat output": any text in, its tables out, or saved as a snapshot of a host.

Place in the data's way: ``probes.parsers`` and ``probes.parsed_tables`` for what a text holds,
``probes.pasted`` for what is stored. Nothing is kept between two requests: a text goes on to its
downloads and to the save in a hidden field of the page, packed; where it is too long for that, it
is chosen again as a file.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from hosts.models import Host, HostQuerySet
from netadmin import csvfile
from netadmin.access.models import Role
from netadmin.access.permissions import request_role, require
from probes import brought, parsed_tables, pasted
from probes.filters import FilterError
from probes.models import Outcome
from probes.observation import Privilege, Table
from probes.views import moment as moments
from probes.views import sent_text

SHOWN_ROWS: Final = 200
SHOWN_REJECTED: Final = 200
MOST_HOSTS: Final = 2_000

COMMANDS: Final = (
    (
        gettext_lazy("Linux, with net-tools"),
        "sudo netstat -antuwpW; netstat -rne46; netstat -aie; netstat -s; netstat -gn",
    ),
    (
        gettext_lazy("Linux, without net-tools"),
        "sudo ss -antuwp; ip route; ip -6 route; ip -s -s addr; nstat -asz; ip maddr",
    ),
    (
        "BusyBox",
        "netstat -antuwp 2>/dev/null || netstat -antuw; netstat -rn; cat /proc/net/dev",
    ),
    (
        gettext_lazy("No tool at all, from /proc"),
        "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 /proc/net/route"
        " /proc/net/dev /proc/net/snmp",
    ),
    (
        gettext_lazy("Windows, as an administrator"),
        'cmd /c "netstat -ano & tasklist & route print & netstat -e & netstat -s"',
    ),
    ("macOS", "sudo netstat -anvlW; netstat -rnl; netstat -ibdnW; netstat -s; netstat -gn"),
    (
        "FreeBSD",
        "netstat -anW; sockstat -46; netstat -rnW; netstat -ibdnW; netstat -ian; netstat -s",
    ),
    ("OpenBSD", "netstat -anv; netstat -rn; netstat -idn; netstat -ian; netstat -s"),
    (
        "NetBSD",
        "netstat -anv; sockstat -46n; netstat -rn; netstat -idn; netstat -ian; netstat -s",
    ),
)
"""(system, what to run there)"""

PRIVILEGES: Final = (
    (Privilege.UNKNOWN, gettext_lazy("not known")),
    (Privilege.ROOT, gettext_lazy("root or an administrator")),
    (Privilege.USER, gettext_lazy("an ordinary user")),
)
TABLE_WORDS: Final = {
    Table.ROUTES: gettext_lazy("routes"),
    Table.INTERFACES: gettext_lazy("interfaces"),
    Table.PROTOCOLS: gettext_lazy("protocol counters"),
    Table.MULTICAST: gettext_lazy("multicast groups"),
}


def _tell_problem(request: HttpRequest, problem: sent_text.Problem) -> HttpResponse:
    return _page(request, problem=str(problem), status=problem.status)


@require(Role.VIEWER)
@sent_text.bounded(_tell_problem)
@require_http_methods(["GET", "HEAD", "POST"])
def paste(request: HttpRequest) -> HttpResponse:
    """The form, and for what is posted its tables, the lines not understood and the dialect."""
    if request.method != "POST":
        return _page(request)
    try:
        sent = sent_text.read(request)
    except sent_text.Problem as problem:
        return _tell_problem(request, problem)
    return _page(request, sent=sent)


@require(Role.VIEWER)
@sent_text.bounded(_tell_problem)
@require_POST
def download(request: HttpRequest) -> HttpResponseBase:
    """All of a posted text: ``as=json``, or the name of a table as CSV."""
    try:
        sent = sent_text.read(request)
    except sent_text.Problem as problem:
        return _tell_problem(request, problem)
    wanted = request.POST.get("as", "json")
    if wanted in parsed_tables.found(sent.parsed):
        rows = parsed_tables.csv_rows(sent.parsed, wanted)
        return csvfile.answer(wanted, parsed_tables.header(wanted), rows)
    return StreamingHttpResponse(
        parsed_tables.json_pieces(sent.parsed),
        content_type="application/json",
        headers={
            "Content-Disposition": 'attachment; filename="netstat.json"',
            "Cache-Control": "no-store",
        },
    )


@require(Role.OPERATOR)
@sent_text.bounded(_tell_problem)
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Store a posted text as a snapshot of a host, and go there."""
    chosen = request.POST.get("host", "")
    host = _host(request, chosen) if chosen else None
    try:
        sent = sent_text.read(request)
    except sent_text.Problem as problem:
        return _tell_problem(request, problem)
    if host is None:
        return _page(request, sent=sent, refusal=_("Choose a host."), status=400)
    try:
        stored = pasted.save(
            host,
            sent.text,
            taken_at=_taken_at(request.POST.get("taken_at", "")),
            privilege=_privilege(request.POST.get("privilege", "")),
            wide=sent.wide,
            request=request,
        )
    except pasted.Refused as refused:
        return _page(request, sent=sent, refusal=_(refused.message) % refused.values, status=400)
    except FilterError as wrong:
        return _page(request, sent=sent, refusal=str(wrong.message), status=400)
    _tell(request, stored)
    if stored.snapshot is None:
        return redirect("host", host.pk)
    return redirect("snapshot", stored.snapshot.pk)


def _visible(request: HttpRequest) -> HostQuerySet:
    return Host.objects.kept().visible_to(request.user)


def _host(request: HttpRequest, text: str) -> Host:
    return get_object_or_404(_visible(request), pk=_pk(text))


def _pk(text: str) -> int:
    """An id out of a form; 0, which nothing has, where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _taken_at(text: str) -> dt.datetime:
    """A time in whole seconds, so that a form sent twice means one snapshot."""
    asked = moments.parse(text)
    return (asked or timezone.now()).replace(microsecond=0)


def _privilege(text: str) -> Privilege:
    known = {privilege.value: privilege for privilege, _words in PRIVILEGES}
    return known.get(text, Privilege.UNKNOWN)


def _page(
    request: HttpRequest,
    *,
    sent: sent_text.Sent | None = None,
    problem: str = "",
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    posted = request.POST if request.method == "POST" and status != 413 else request.GET
    context: dict[str, Any] = {
        "problem": problem,
        "refusal": refusal,
        "commands": COMMANDS,
        "max_bytes": sent_text.MAX_BYTES,
        "host": _pk(posted.get("host", "")),
        "wide": sent is not None and sent.wide,
        "text": sent.original if sent is not None and sent.typed else "",
    }
    if sent is not None:
        context |= _result(sent)
        role = request_role(request)
        if role is not None and role >= Role.OPERATOR:
            context |= _saving(request, sent, refused=bool(refusal))
    return render(request, "probes/paste.html", context, status=status)


def _result(sent: sent_text.Sent) -> dict[str, Any]:
    parsed = sent.parsed
    sheets = [
        parsed_tables.sheet(parsed, name, most=SHOWN_ROWS) for name in parsed_tables.found(parsed)
    ]
    return {
        "parsed": parsed,
        "lines": parsed_tables.lines(parsed),
        "sheets": sheets,
        "rejected": parsed.rejected[:SHOWN_REJECTED],
        "rejected_more": max(0, len(parsed.rejected) - SHOWN_REJECTED),
        "carried": sent_text.pack(sent.original) if sheets else "",
        "characters": len(sent.original),
    }


def _saving(request: HttpRequest, sent: sent_text.Sent, *, refused: bool) -> dict[str, Any]:
    storable = pasted.storable_tables(sent.parsed)
    if not storable:
        return {"saving": False}
    found = list(pasted.hosts(_visible(request)).order_by("name").only("name")[: MOST_HOSTS + 1])
    now = timezone.now()
    return {
        "saving": True,
        "has_sockets": "sockets" in storable,
        "several": brought.is_several(sent.parsed),
        "hosts": found[:MOST_HOSTS],
        "more_hosts": len(found) > MOST_HOSTS,
        "privileges": PRIVILEGES,
        "privilege": request.POST.get("privilege", Privilege.UNKNOWN.value),
        "taken_at": (refused and request.POST.get("taken_at")) or moments.field_value(now),
        "zone": timezone.localtime(now).tzname() or "",
    }


def _tell(request: HttpRequest, stored: pasted.Stored) -> None:
    """What became of it, as messages on the page that follows."""
    snapshot = stored.snapshot
    if stored.again:
        messages.info(request, _("There is a snapshot of that very time. Nothing was changed."))
        return
    if snapshot is not None and snapshot.outcome == Outcome.LATE:
        messages.warning(
            request,
            _(
                "Kept as late: the host has a newer snapshot, so this one takes no part in its "
                "history."
            ),
        )
    elif snapshot is not None and snapshot.outcome == Outcome.OK:
        messages.success(request, _("Saved as a snapshot of the host."))
    elif snapshot is not None:
        messages.warning(request, _("Kept, but it takes no part in the host's history."))
    if stored.tables:
        messages.success(request, _("Saved too: %(tables)s.") % {"tables": _words(stored.tables)})
    if stored.left:
        messages.warning(
            request,
            _("Not saved, since newer ones are known or nothing is in them: %(tables)s.")
            % {"tables": _words(stored.left)},
        )


def _words(tables: tuple[Table, ...]) -> str:
    return ", ".join(str(TABLE_WORDS[table]) for table in tables)
