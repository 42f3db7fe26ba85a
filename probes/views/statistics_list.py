"""The statistics by name: what each answers, and the one-liner over netstat it takes the place of.

Place in the data's way: declarations for the page Statistics (``probes.views.statistics``); what
is counted is in ``probes.history.queries.statistics``, how it is shown in
``probes.views.statistics_tables``. The one-liners are those people copy from tutorials: they cut
addresses at a colon, so that IPv6 is lost, and mix up local and remote ports; what is counted here
is what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from probes.history.queries import busiest, statistics

Label = str | Promise

Kind = Literal[
    "ips", "ends", "ports", "programs", "states", "protocols", "common", "scopes", "list", "traffic"
]

SORTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "ips": tuple(statistics.IP_SORTS),
    "ends": tuple(statistics.END_SORTS),
    "ports": tuple(statistics.PORT_SORTS),
    "programs": tuple(statistics.PROGRAM_SORTS),
    "traffic": tuple(busiest.SORTS),
}
"""What a statistic may be sorted by, with - before it for the reverse; the others have one order,
and that of traffic always begins with the largest."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One click."""

    name: str
    """``?by=``."""
    label: Label
    answers: Label
    shell: str
    kind: Kind
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Filters of sockets that are part of the statistic."""
    scope: str = ""
    """The scope of remote addresses that is part of it."""
    sort: str = ""
    """The usual order."""
    on_port: bool = False
    """Whether it is of one local port."""
    trend: Mapping[str, str] = field(default_factory=dict)
    """What of ``statistics/trend`` goes over time below it."""
    timeline: str = ""
    """The same of ``statistics/timeline``."""

    @property
    def has_limit(self) -> bool:
        """Whether it is a list that goes on."""
        return self.kind not in ("states", "protocols", "common", "scopes")

    @property
    def has_scope(self) -> bool:
        """Whether the reader chooses the scope of remote addresses."""
        return not self.scope and self.kind in ("ips", "ends", "ports", "programs", "list")

    @property
    def has_filters(self) -> bool:
        """Whether it is of sockets."""
        return self.kind != "traffic"


@dataclass(frozen=True, slots=True)
class Section:
    """Statistics that stand together."""

    label: Label
    statistics: tuple[Statistic, ...]


_CUT: Final = "awk '{print $5}' | cut -d: -f1 | sort | uniq -c | sort -nr"

SECTIONS: Final = (
    Section(
        _("Remote addresses"),
        (
            Statistic(
                "ips",
                _("Connections per IP"),
                _("Which remote addresses have most connections, in any state."),
                f"netstat -ntu | {_CUT}",
                "ips",
                sort="-total",
                trend={"by": "ip"},
            ),
            Statistic(
                "established",
                _("ESTABLISHED per IP"),
                _("Which remote addresses have most connections that are open and in use."),
                f"netstat -ntu | grep ESTAB | {_CUT}",
                "ips",
                {"state": "ESTABLISHED"},
                sort="-total",
                trend={"by": "ip", "state": "ESTABLISHED"},
            ),
            Statistic(
                "on-port",
                _("IPs on one port"),
                _("Which remote addresses have most connections to one local port."),
                f"netstat -plan | grep :80 | {_CUT} | head -n20",
                "ips",
                sort="-total",
                on_port=True,
                trend={"by": "ip"},
            ),
            Statistic(
                "external",
                _("External sources"),
                _(
                    "Remote addresses of the internet: not private, loopback, link-local or"
                    " carrier-grade NAT."
                ),
                "netstat -anp | grep ESTABLISHED | awk '{print $5}' | awk -F: '{print $1}'"
                " | grep -v 192.168 | grep -v 10. | … | sort | uniq -c | sort -rn | head -10",
                "ips",
                scope="external",
                sort="-total",
                trend={"by": "scope", "key": "external"},
            ),
            Statistic(
                "scopes",
                _("External and internal"),
                _("How many connections go out to the internet, stay inside, or on the host."),
                "netstat -ant | awk '{print $5}' | grep -vc '192.168\\|10\\.\\|127.0.0.1'",
                "scopes",
                trend={"by": "scope"},
            ),
        ),
    ),
    Section(
        _("Handshakes and ends"),
        (
            Statistic(
                "syn",
                _("SYN_RECV per IP"),
                _("Who opens connections without finishing the handshake: many are a SYN flood."),
                f"netstat -an | grep SYN | {_CUT}",
                "ips",
                {"state": "SYN_RECV"},
                sort="-total",
                trend={"by": "state", "state": "SYN_RECV"},
            ),
            Statistic(
                "syn-list",
                _("SYN_RECV, each one"),
                _("Every half-open connection, newest first."),
                "netstat -n -p | grep SYN_REC | sort -u",
                "list",
                {"state": "SYN_RECV"},
                trend={"by": "state", "state": "SYN_RECV"},
            ),
            Statistic(
                "time-wait",
                _("TIME_WAIT per IP"),
                _("With whom connections were closed lately."),
                f"netstat -n | grep TIME_WAIT | {_CUT}",
                "ips",
                {"state": "TIME_WAIT"},
                sort="-total",
                trend={"by": "ip", "state": "TIME_WAIT"},
            ),
            Statistic(
                "time-wait-to",
                _("TIME_WAIT per destination"),
                _("Address and port: many to one of them use up the host's own ports."),
                "netstat -n | grep TIME_WAIT | awk '{print $5}' | sort | uniq -c | sort -rn",
                "ends",
                {"state": "TIME_WAIT"},
                sort="-total",
                trend={"by": "state", "state": "TIME_WAIT"},
            ),
            Statistic(
                "close-wait",
                _("CLOSE_WAIT per program"),
                _("Which programs do not close what the other end closed long ago."),
                "netstat -antp | grep CLOSE_WAIT | awk '{print $7}' | sort | uniq -c",
                "programs",
                {"state": "CLOSE_WAIT"},
                sort="-sockets",
                trend={"by": "program", "state": "CLOSE_WAIT"},
            ),
        ),
    ),
    Section(
        _("Ports and programs"),
        (
            Statistic(
                "ports",
                _("Connections per local port"),
                _("Which services are used most, by how many addresses."),
                "netstat -ant | grep ESTABLISHED | awk '{print $4}' | awk -F: '{print $NF}'"
                " | sort | uniq -c | sort -rn",
                "ports",
                sort="-arrived",
                trend={"by": "port"},
            ),
            Statistic(
                "listening",
                _("Listening ports"),
                _("Every port that is listened on, TCP and UDP apart."),
                "netstat -tuln | awk '{print $4}' | awk -F: '{print $NF}' | sort -n | uniq",
                "ports",
                {"direction": "listen"},
                sort="port",
                timeline="listeners",
            ),
            Statistic(
                "common",
                _("Common ports"),
                _("What well-known ports are used for, as a service here and elsewhere."),
                'for p in 21 22 23 25 53 80 110 443 3306 8080; do netstat -anp | grep -c ":$p "; '
                "done",
                "common",
                trend={"by": "port"},
            ),
            Statistic(
                "programs",
                _("Sockets per program"),
                _("Which programs have most sockets, listen, or talk to most addresses."),
                "netstat -antup | awk '{print $7}' | cut -d/ -f2 | sort | uniq -c | sort -rn",
                "programs",
                sort="-sockets",
                trend={"by": "program"},
            ),
        ),
    ),
    Section(
        _("Totals"),
        (
            Statistic(
                "states",
                _("Sockets per state"),
                _("All eleven states of TCP, whether seen or not."),
                "netstat -ant | awk '/^tcp/ {++S[$NF]} END {for(a in S) print (a,S[a])}'",
                "states",
                timeline="state",
            ),
            Statistic(
                "protocols",
                _("TCP and UDP totals"),
                _("How many sockets there are of each protocol, IPv4 and IPv6."),
                "netstat -anp | grep -c tcp; netstat -anp | grep -c udp",
                "protocols",
                timeline="total",
            ),
            Statistic(
                "traffic",
                _("Interface traffic"),
                _("What interfaces move per second; without loopback."),
                "netstat -i; sleep 5; netstat -i",
                "traffic",
                sort="bytes",
            ),
            Statistic(
                "list",
                _("The connections themselves"),
                _("Sockets of all these hosts, newest first."),
                "netstat -an | grep :80 | sort",
                "list",
                timeline="total",
            ),
        ),
    ),
)

STATISTICS: Final = {
    statistic.name: statistic for section in SECTIONS for statistic in section.statistics
}
USUAL: Final = "ips"
