"""The filter bar of a socket list, and its rows with the links that narrow it further.

Place in the data's way: between the query string, ``probes.filters`` and the templates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.filters import FilterError, SocketFilter, parse
from probes.history.queries import SocketRow
from probes.models import Snapshot
from probes.parsers.records import TCP_STATES, Flag
from probes.views.hostpage import with_query

Label = str | Promise

ANY = ("", gettext_lazy("any"))
UNSPECIFIED = frozenset({"0.0.0.0", "::"})

DIRECTION_LABELS: dict[str, Label] = {
    "in": gettext_lazy("in"),
    "out": gettext_lazy("out"),
    "listen": gettext_lazy("listen"),
    "local": gettext_lazy("local"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One control of the filter bar."""

    name: str
    label: Label
    css: str
    main: bool = False
    """In sight at once; the others stand behind "More"."""
    placeholder: str = ""
    options: tuple[tuple[str, Label], ...] = ()


FIELDS = (
    Field(
        "proto",
        gettext_lazy("Protocol"),
        "na-w6",
        main=True,
        options=(ANY, ("tcp", "TCP"), ("udp", "UDP"), ("raw", "raw")),
    ),
    Field(
        "state",
        gettext_lazy("State"),
        "na-w10",
        main=True,
        options=(ANY, *((state, state) for state in TCP_STATES)),
    ),
    Field("remote_ip", gettext_lazy("Remote IP"), "na-w12", main=True, placeholder="10.0.0.0/8"),
    Field("local_port", gettext_lazy("Local port"), "na-w8", main=True, placeholder="80,8000-8100"),
    Field("program", gettext_lazy("Program"), "na-w8", main=True, placeholder="nginx"),
    Field("remote_port", gettext_lazy("Remote port"), "na-w8", placeholder="443"),
    Field("local_ip", gettext_lazy("Local IP"), "na-w12", placeholder="192.168.0.0/16"),
    Field("pid", gettext_lazy("PID"), "na-w6", placeholder="1234"),
    Field(
        "direction",
        gettext_lazy("Direction"),
        "na-w7",
        options=(ANY, *DIRECTION_LABELS.items()),
    ),
    Field(
        "family",
        gettext_lazy("Family"),
        "na-w6",
        options=(ANY, ("4", "IPv4"), ("6", "IPv6")),
    ),
    Field(
        "hide",
        gettext_lazy("Hide"),
        "na-w10",
        options=(
            ("", gettext_lazy("nothing")),
            ("loopback", gettext_lazy("loopback")),
            ("listen", gettext_lazy("listeners")),
            ("loopback,listen", gettext_lazy("both")),
        ),
    ),
)
NAMES = tuple(field.name for field in FIELDS)
PAGE_PARAMETERS = ("at", "span", "by", "sort", "cursor", "known")
"""What a page's query holds besides filters."""


def read(request: HttpRequest) -> SocketFilter:
    """The filter of this page's query; raises FilterError."""
    return parse(SocketFilter, request.GET, ignore=PAGE_PARAMETERS)


def only(request: HttpRequest, names: Iterable[str]) -> QueryDict:
    """The parameters of these names that are not empty."""
    query = QueryDict(mutable=True)
    for name in names:
        values = [value.strip() for value in request.GET.getlist(name) if value.strip()]
        if values:
            query.setlist(name, values)
    return query


def bar(request: HttpRequest, problem: FilterError | None) -> dict[str, Any]:
    """What ``probes/_socket_filters.html`` needs."""
    fields = []
    for field in FIELDS:
        value = request.GET.get(field.name, "")
        options = field.options
        if options and value and value not in dict(options):
            options = (*options, (value, value))
        fields.append(
            {
                "name": field.name,
                "label": field.label,
                "css": field.css,
                "main": field.main,
                "placeholder": field.placeholder,
                "options": options,
                "value": value,
                "bad": problem is not None and problem.field == field.name,
            }
        )
    return {
        "fields": fields,
        "more_used": any(item["value"] and not item["main"] for item in fields),
        "filtered": any(item["value"] for item in fields),
        "clear_url": with_query(request, **dict.fromkeys(NAMES)),
    }


def states(request: HttpRequest, snapshot: Snapshot | None) -> list[dict[str, Any]]:
    """The snapshot's states, commonest first, as links that filter by one."""
    if snapshot is None:
        return []
    chosen = request.GET.get("state", "").strip().upper()
    counts = sorted(snapshot.by_state.items(), key=lambda item: (-item[1], item[0]))
    everything = {
        "label": _("All"),
        "count": snapshot.sockets,
        "chosen": not chosen,
        "url": with_query(request, state=None),
    }
    return [
        everything,
        *(
            {
                "label": state,
                "count": number,
                "chosen": chosen == state,
                "url": with_query(request, state=state, proto=None),
            }
            for state, number in counts
        ),
    ]


def shaped(request: HttpRequest, rows: Iterable[SocketRow]) -> list[dict[str, Any]]:
    """Rows for the template, with a link on whatever narrows the list or looks elsewhere."""
    ports_url = reverse("ports")
    at = {"at": when} if (when := request.GET.get("at", "").strip()) else {}
    port_title = _("Who holds this port, on all hosts")
    by_ip: dict[str, str] = {}
    by_program: dict[str, str] = {}
    shaped_rows = []
    for row in rows:
        has_peer = bool(row.foreign_ip) and not (
            row.foreign_ip in UNSPECIFIED and not row.foreign_port
        )
        no_address = row.flags & (Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME)
        if has_peer and not no_address and row.foreign_ip not in by_ip:
            by_ip[row.foreign_ip] = with_query(request, remote_ip=row.foreign_ip)
        if row.program and row.program not in by_program:
            by_program[row.program] = with_query(request, program=row.program)
        shaped_rows.append(
            {
                "protocol": row.protocol,
                "local_ip": row.local_ip,
                "local_port": row.local_port,
                "local_port_url": (
                    f"{ports_url}?{urlencode({'port': row.local_port} | at)}"
                    if row.local_port
                    else ""
                ),
                "port_title": port_title,
                "local_cut": bool(row.flags & Flag.LOCAL_TRUNCATED),
                "foreign_ip": row.foreign_ip,
                "foreign_cut": bool(row.flags & Flag.FOREIGN_TRUNCATED),
                "foreign_port": row.foreign_port,
                "foreign_ip_url": "" if no_address else by_ip.get(row.foreign_ip, ""),
                "foreign_port_url": (
                    with_query(request, remote_port=str(row.foreign_port))
                    if has_peer and row.foreign_port
                    else ""
                ),
                "foreign_port_title": _("Only this remote port"),
                "has_peer": has_peer,
                # The other side's port is chance, and its name would mean nothing.
                "local_service_port": row.local_port if row.direction != "out" else None,
                "foreign_service_port": row.foreign_port if row.direction == "out" else None,
                "state": row.state,
                "pid": row.pid,
                "program": row.program,
                "program_url": by_program.get(row.program or "", ""),
                "direction_label": DIRECTION_LABELS.get(row.direction or "", row.direction),
                "recv_queue": row.recv_queue,
                "send_queue": row.send_queue,
                "copies": row.copies,
                "first_seen": row.first_seen,
            }
        )
    return shaped_rows
