"""The table of each statistic: its columns, its cells, and where each cell leads.

Place in the data's way: between the rows of ``probes.history.queries.statistics`` and the template
``probes/statistics.html``, which draws any :class:`Table`. Asks the database nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.filters import PROTOCOLS, SocketFilter
from probes.history.queries import SocketRow, statistics
from probes.history.queries.busiest import SORTS as TRAFFIC_SORTS
from probes.history.queries.busiest import BusyInterface
from probes.history.queries.statistics_rows import (
    CommonPort,
    EndRow,
    IpRow,
    PortCount,
    ProgramCount,
    ProtocolCount,
    ScopeCount,
    StateCount,
)
from probes.parsers.records import Flag
from probes.views.hostpage import with_query
from probes.views.place import Place
from probes.views.statistics_list import SORTS, STATISTICS, Statistic

Label = str | Promise

STATE_COLUMNS: Final = 5
"""States that have a column of their own; the rarer ones are summed up."""

NAMED_PORTS: Final = 3
"""Local ports named beside an address."""

SCOPE_WORDS: Final[Mapping[str, Label]] = {
    "external": gettext_lazy("external"),
    "private": gettext_lazy("private"),
    "loopback": gettext_lazy("loopback"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; what ``hosts/_sort_heading.html`` draws."""

    label: Label
    css: str = ""
    url: str = ""
    order: str = ""
    hidden: bool = False
    """Whether only those hear it who do not see the page."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. ``kind`` says how ``probes/_statistic_cell.html`` draws it."""

    kind: str
    value: Any = None
    url: str = ""
    more: Any = None
    title: Label = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What is drawn. The first cell of each row names it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    ips: Sequence[str] = field(default_factory=list)
    """Addresses in it that may have a name."""


class Links:
    """Addresses that a cell leads to: they keep the place, and what is filtered here."""

    def __init__(self, request: HttpRequest, here: Place, statistic: Statistic) -> None:
        self._request = request
        self._here = here
        self._asked: dict[str, str] = {
            **here.parameters(),
            **{
                name: value
                for name in SocketFilter.model_fields
                if (value := request.GET.get(name, "").strip())
            },
            **statistic.fixed,
        }
        if scope := statistic.scope or request.GET.get("scope", "").strip():
            self._asked["scope"] = scope

    def by(self, name: str, **filters: str | None) -> str:
        """Another statistic, of the same sockets and those ``filters``."""
        asked = {"by": name, **self._asked, **filters}
        if (asked.get("proto") or "").startswith("udp"):
            asked.pop("state", None)  # UDP has no states worth asking for
        if STATISTICS[name].on_port:
            asked.pop("local_port", None)  # its own parameter is the port
        return "?" + urlencode({key: value for key, value in asked.items() if value})

    def narrowed(self, **filters: str) -> str:
        """This statistic of fewer sockets."""
        return with_query(self._request, **filters)

    def hunt(self, **of: str) -> str:
        """Who ever talked to an address, or ran a program."""
        try:
            return f"{reverse('hunt')}?{urlencode(of)}"
        except NoReverseMatch:
            return self.by("list", remote_ip=of.get("ip"), program=of.get("program"))

    def port(self, port: int) -> str:
        """Who holds a port."""
        query = {"port": str(port), **self._here.parameters(["at"])}
        return f"{reverse('ports')}?{urlencode(query)}"

    def host(self, pk: int, **filters: str) -> str:
        """A host at this time."""
        query = filters | self._here.parameters(["at"])
        return reverse("host", args=[pk]) + (f"?{urlencode(query)}" if query else "")

    def interface(self, pk: int, name: str) -> str:
        """The chart of an interface."""
        query = {"table": "interfaces", "chart": name, **self._here.parameters(["at"])}
        return f"{reverse('host_network', args=[pk])}?{urlencode(query)}"


def columns_of(
    request: HttpRequest, statistic: Statistic, named: Iterable[tuple[str, Label, str]]
) -> list[Column]:
    """Headings of (name to sort by or "", words, css), with links where that can be sorted by."""
    current = request.GET.get("sort", "").strip() or statistic.sort
    sortable = SORTS.get(statistic.kind, ())
    listed = []
    for name, label, css in named:
        if name not in sortable:
            listed.append(Column(label, css, hidden=css == "na-wide"))
            continue
        order = ""
        if current.removeprefix("-") == name:
            falling = current.startswith("-") or statistic.kind == "traffic"
            order = "descending" if falling else "ascending"
        # Numbers are first wanted from the largest down, names from A.
        first = name if name in ("ip", "port", "program") else f"-{name}"
        if statistic.kind == "traffic":
            wanted = name
        elif current == first:
            wanted = first.removeprefix("-") if first.startswith("-") else f"-{name}"
        else:
            wanted = first
        listed.append(Column(label, css, with_query(request, sort=wanted), order))
    return listed


def table(
    request: HttpRequest, statistic: Statistic, links: Links, rows: Sequence[Any], **more: Any
) -> Table:
    """The table of ``rows``, which are those of the statistic's kind."""
    makers: dict[str, Callable[..., tuple[list[tuple[str, Label, str]], list[list[Cell]]]]] = {
        "ips": _ips,
        "ends": _ends,
        "ports": _ports,
        "programs": _programs,
        "states": _states,
        "protocols": _protocols,
        "common": _common,
        "scopes": _scopes,
        "list": _list,
        "traffic": _traffic,
    }
    named, cells = makers[statistic.kind](links, rows, **more)
    ips = [row.ip for row in rows if isinstance(row, IpRow | EndRow)]
    ips += [row.foreign_ip for row in rows if isinstance(row, SocketRow)]
    return Table(columns_of(request, statistic, named), cells, ips)


_Named = list[tuple[str, Label, str]]
_Cells = list[list[Cell]]


def _ips(links: Links, rows: Sequence[IpRow], *, port: int | None = None) -> tuple[_Named, _Cells]:
    states, other = _state_columns(rows, lambda row: row.total)
    most = max((row.total for row in rows), default=0)
    at_port = {"local_port": str(port)} if port is not None else {}
    named: _Named = [
        ("ip", _("Remote IP"), ""),
        ("total", _("Connections"), "na-num"),
        ("", _("Share"), "na-wide"),
        *_state_headings(states, other),
        ("", _("Where"), ""),
        ("", _("Hosts"), "na-num"),
        ("", _("Local ports"), ""),
    ]
    cells = []
    for row in rows:
        known = row.ip != statistics.CUT_SHORT
        of = {"remote_ip": row.ip, **at_port} if known else {}
        cells.append(
            [
                _ip_cell(links, row.ip),
                Cell("num", row.total, links.by("list", **of) if of else ""),
                Cell("meter", row.total, more=most),
                *_state_cells(links, row.by_state, row.total, states, other, of),
                Cell("text", SCOPE_WORDS[row.scope]),
                Cell("num", row.hosts),
                Cell(
                    "times",
                    [
                        (number, times, links.by("list", **of, local_port=str(number)))
                        if not at_port
                        else (number, times, "")
                        for number, times in row.local_ports[:NAMED_PORTS]
                    ],
                ),
            ]
        )
    return named, cells


def _ends(links: Links, rows: Sequence[EndRow]) -> tuple[_Named, _Cells]:
    most = max((row.total for row in rows), default=0)
    named: _Named = [
        ("ip", _("Remote IP"), ""),
        ("port", _("Remote port"), "na-num"),
        ("total", _("Connections"), "na-num"),
        ("", _("Share"), "na-wide"),
        ("", _("Where"), ""),
        ("", _("Local addresses"), "na-num"),
        ("", _("Hosts"), "na-num"),
    ]
    cells = []
    for row in rows:
        of = {"remote_ip": row.ip} if row.ip != statistics.CUT_SHORT else {}
        if row.port is not None:
            of["remote_port"] = str(row.port)
        cells.append(
            [
                _ip_cell(links, row.ip),
                Cell("port", row.port, links.port(row.port) if row.port else ""),
                Cell("num", row.total, links.by("list", **of)),
                Cell("meter", row.total, more=most),
                Cell("text", SCOPE_WORDS[row.scope]),
                Cell("num", row.local_ips),
                Cell("num", row.hosts),
            ]
        )
    return named, cells


def _ports(links: Links, rows: Sequence[PortCount]) -> tuple[_Named, _Cells]:
    states, other = _state_columns(rows, lambda row: row.connections)
    most = max((row.arrived for row in rows), default=0)
    named: _Named = [
        ("port", _("Local port"), ""),
        ("", _("Protocol"), ""),
        ("arrived", _("Incoming"), "na-num"),
        ("", _("Share"), "na-wide"),
        ("connections", _("Connections"), "na-num"),
        *_state_headings(states, other),
        ("listeners", _("Listeners"), "na-num"),
        ("ips", _("Remote IPs"), "na-num"),
        ("hosts", _("Hosts"), "na-num"),
    ]
    cells = []
    for row in rows:
        of = {"local_port": str(row.port), "hide": "listen", "direction": ""}
        if row.protocol in PROTOCOLS:
            of["proto"] = row.protocol
        cells.append(
            [
                Cell(
                    "port",
                    row.port,
                    links.port(row.port),
                    row.protocol,
                    "" if row.arrived or row.listeners else _("opened from here: a port by chance"),
                ),
                Cell("text", row.protocol),
                Cell("num", row.arrived),
                Cell("meter", row.arrived, more=most),
                Cell("num", row.connections, links.by("list", **of)),
                *_state_cells(links, row.by_state, row.connections, states, other, of),
                Cell("num", row.listeners, links.port(row.port)),
                Cell("num", row.ips, links.by("on-port", port=str(row.port), direction="")),
                Cell("num", row.hosts),
            ]
        )
    return named, cells


def _programs(links: Links, rows: Sequence[ProgramCount]) -> tuple[_Named, _Cells]:
    states, other = _state_columns(rows, lambda row: row.sockets)
    most = max((row.sockets for row in rows), default=0)
    named: _Named = [
        ("program", _("Program"), ""),
        ("sockets", _("Sockets"), "na-num"),
        ("", _("Share"), "na-wide"),
        *_state_headings(states, other),
        ("listeners", _("Listeners"), "na-num"),
        ("ips", _("Remote IPs"), "na-num"),
        ("hosts", _("Hosts"), "na-num"),
    ]
    cells = []
    for row in rows:
        of = {"program": row.program} if row.program else {"pid": "none"}
        cells.append(
            [
                Cell("program", row.program, links.hunt(program=row.program) if row.program else "")
                if row.program
                else Cell("muted", _("not visible")),
                Cell("num", row.sockets, links.by("list", **of)),
                Cell("meter", row.sockets, more=most),
                *_state_cells(links, row.by_state, row.sockets, states, other, of),
                Cell("num", row.listeners, links.by("listening", **of, state="", scope="")),
                Cell("num", row.ips, links.by("ips", **of)),
                Cell("num", row.hosts),
            ]
        )
    return named, cells


def _states(links: Links, rows: Sequence[StateCount]) -> tuple[_Named, _Cells]:
    total = sum(row.sockets for row in rows)
    named: _Named = [
        ("", _("State"), ""),
        ("", _("Sockets"), "na-num"),
        ("", _("Share"), "na-wide"),
        ("", _("of TCP"), "na-num"),
        ("", _("Hosts"), "na-num"),
    ]
    return named, [
        [
            Cell("state", row.state, links.by("list", state=row.state), row.sockets)
            if row.state is not None
            else Cell("muted", _("without a state (UDP, raw)")),
            Cell("num", row.sockets, links.by("list", state=row.state) if row.state else ""),
            Cell("meter", row.sockets, more=total),
            Cell("num", row.tcp),
            Cell("num", row.hosts),
        ]
        for row in rows
    ]


def _protocols(links: Links, rows: Sequence[ProtocolCount]) -> tuple[_Named, _Cells]:
    total = sum(row.sockets for row in rows)
    named: _Named = [
        ("", _("Protocol"), ""),
        ("", _("Sockets"), "na-num"),
        ("", _("Share"), "na-wide"),
        ("", _("Kinds"), ""),
    ]
    return named, [
        [
            Cell("text", row.protocol.upper() if row.protocol in ("tcp", "udp") else row.protocol),
            Cell("num", row.sockets, _list_of_protocol(links, row.protocol)),
            Cell("meter", row.sockets, more=total),
            Cell("counts", [(kind, number, "") for kind, number in row.kinds.items()]),
        ]
        for row in rows
    ]


def _list_of_protocol(links: Links, protocol: str) -> str:
    return links.by("list", proto=protocol) if protocol in PROTOCOLS else ""


def _common(links: Links, rows: Sequence[CommonPort]) -> tuple[_Named, _Cells]:
    most = max((row.inbound for row in rows), default=0)
    named: _Named = [
        ("", _("Port"), ""),
        ("", _("Listeners"), "na-num"),
        ("", _("Connections in"), "na-num"),
        ("", _("Share"), "na-wide"),
        ("", _("States"), ""),
        ("", _("Remote IPs"), "na-num"),
        ("", _("Hosts"), "na-num"),
        ("", _("Connections out"), "na-num"),
        ("", _("States"), ""),
    ]
    cells = []
    for row in rows:
        here = {"local_port": str(row.port), "hide": "listen"}
        there = {"remote_port": str(row.port)}
        cells.append(
            [
                Cell("port", row.port, links.port(row.port), "tcp"),
                Cell("num", row.listeners, links.port(row.port)),
                Cell("num", row.inbound, links.by("list", **here)),
                Cell("meter", row.inbound, more=most),
                Cell("counts", _state_links(links, row.inbound_states, here)),
                Cell("num", row.ips, links.by("on-port", port=str(row.port))),
                Cell("num", row.hosts),
                Cell("num", row.outbound, links.by("list", **there)),
                Cell("counts", _state_links(links, row.outbound_states, there)),
            ]
        )
    return named, cells


def _scopes(links: Links, rows: Sequence[ScopeCount]) -> tuple[_Named, _Cells]:
    states, other = _state_columns(rows, lambda row: row.connections)
    total = sum(row.connections for row in rows)
    named: _Named = [
        ("", _("Where"), ""),
        ("", _("Connections"), "na-num"),
        ("", _("Share"), "na-wide"),
        *_state_headings(states, other),
        ("", _("Remote IPs"), "na-num"),
        ("", _("Hosts"), "na-num"),
    ]
    words = {
        "external": _("the internet"),
        "private": _("private, carrier-grade NAT, link-local, multicast"),
        "loopback": _("the host itself"),
    }
    cells = []
    for row in rows:
        of = {"scope": row.scope, "hide": "listen"}
        cells.append(
            [
                Cell("text", SCOPE_WORDS[row.scope], links.by("ips", scope=row.scope),
                     words[row.scope]),
                Cell("num", row.connections, links.by("list", **of)),
                Cell("meter", row.connections, more=total),
                *_state_cells(links, row.by_state, row.connections, states, other, of),
                Cell("num", row.ips, links.by("ips", scope=row.scope)),
                Cell("num", row.hosts),
            ]
        )  # fmt: skip
    return named, cells


def _list(
    links: Links, rows: Sequence[SocketRow], *, names: Mapping[int, str]
) -> tuple[_Named, _Cells]:
    named: _Named = [
        ("", _("Host"), ""),
        ("", _("Protocol"), ""),
        ("", _("Local"), ""),
        ("", _("Remote"), ""),
        ("", _("State"), ""),
        ("", _("Program"), ""),
        ("", _("PID"), "na-num"),
        ("", _("First seen"), ""),
    ]
    cells = []
    for row in rows:
        of = {"local_port": str(row.local_port)} if row.local_port else {}
        unknown = row.flags & (Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME)
        connected = row.foreign_port is not None
        cells.append(
            [
                Cell("host", names.get(row.host_id, ""), links.host(row.host_id, **of)),
                Cell("text", row.protocol, more=f"×{row.copies}" if row.copies > 1 else ""),
                Cell("end", row.local_ip, "", row.local_port),
                Cell(
                    "end",
                    row.foreign_ip,
                    links.narrowed(remote_ip=row.foreign_ip) if connected and not unknown else "",
                    row.foreign_port,
                ),
                Cell("text", row.state or "—"),
                Cell("program", row.program, links.hunt(program=row.program))
                if row.program
                else Cell("muted", "—"),
                Cell("plain", row.pid),
                Cell("ago", row.first_seen),
            ]
        )
    return named, cells


def _traffic(links: Links, rows: Sequence[BusyInterface], *, sort: str) -> tuple[_Named, _Cells]:
    most = max((row.total(sort) or 0.0 for row in rows), default=0.0)
    words = {
        "bytes": _("Bytes, both ways"),
        "rx_bytes": _("In"),
        "tx_bytes": _("Out"),
        "packets": _("Packets"),
        "rx_packets": _("Packets in"),
        "tx_packets": _("Packets out"),
        "problems": _("Errors and drops"),
    }
    first, *rest = TRAFFIC_SORTS
    named: _Named = [
        ("", _("Host"), ""),
        ("", _("Interface"), ""),
        (first, words[first], "na-num"),
        ("", _("Share"), "na-wide"),
        *((name, words[name], "na-num") for name in rest if name != "packets"),
        ("", _("Taken"), ""),
    ]
    cells = []
    for row in rows:
        over = _("over %(seconds)s s") % {"seconds": round(row.over_s)}
        cells.append(
            [
                Cell("host", row.host.name, links.interface(row.host.pk, row.interface)),
                Cell("text", row.interface, links.interface(row.host.pk, row.interface)),
                Cell("bytes", row.total(first)),
                Cell("meter", row.total(sort) or 0, more=most),
                *(
                    Cell("bytes" if "bytes" in name else "rate", row.total(name))
                    for name in rest
                    if name != "packets"
                ),
                Cell("ago", row.taken_at, more=over),
            ]
        )
    return named, cells


# --- cells that several have ----------------------------------------------------------------------


def _ip_cell(links: Links, ip: str) -> Cell:
    if ip == statistics.CUT_SHORT:
        return Cell("muted", _("cut short by the tool, or a name"))
    return Cell("ip", ip, links.hunt(ip=ip), links.narrowed(remote_ip=ip))


def _state_columns(rows: Sequence[Any], total: Callable[[Any], int]) -> tuple[list[str], bool]:
    """The states with most, and whether any row has more than those."""
    totals: dict[str, int] = {}
    for row in rows:
        for state, number in row.by_state.items():
            totals[state] = totals.get(state, 0) + number
    states = sorted(totals, key=lambda state: (-totals[state], state))[:STATE_COLUMNS]
    if len(states) == 1 and totals[states[0]] == sum(map(total, rows)):
        return [], False  # the column of totals says it
    return states, sum(map(total, rows)) > sum(totals[state] for state in states)


def _state_headings(states: Sequence[str], other: bool) -> _Named:
    listed: _Named = [("", state, "na-num") for state in states]
    return [*listed, ("", _("other"), "na-num")] if other else listed


def _state_cells(
    links: Links,
    by_state: Mapping[str, int],
    total: int,
    states: Sequence[str],
    other: bool,
    of: Mapping[str, str],
) -> list[Cell]:
    cells = []
    for state in states:
        number = by_state.get(state, 0)
        url = links.by("list", **{**of, "state": state}) if number and of else ""
        cells.append(Cell("num", number, url))
    if other:
        cells.append(Cell("num", total - sum(by_state.get(state, 0) for state in states)))
    return cells


def _state_links(
    links: Links, by_state: Mapping[str, int], of: Mapping[str, str]
) -> list[tuple[str, int, str]]:
    return [
        (state, number, links.by("list", **{**of, "state": state}))
        for state, number in by_state.items()
    ]
