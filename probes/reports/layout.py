"""The report laid out: chapters of tables that the page, its print view, CSV, JSON and the mail
all show, so that none of them lacks what another has.

Place in the data's way: between ``composition`` and whatever writes it down. Words are those of the
language that is active when a report is laid out. Knows no HTML and no request.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from probes.reports import glance, measured, network, peers, ports
from probes.reports.composition import Report
from probes.reports.tables import Chapter


def lay_out(report: Report) -> list[Chapter]:
    """All chapters, each with all of its sections, empty ones too."""
    many = report.host is None
    return [
        Chapter(
            "glance",
            _("At a glance"),
            [
                glance.totals(report),
                glance.checks(report),
                glance.findings(report),
                glance.states(report),
                glance.protocols(report),
                *([glance.hosts(report)] if many else []),
            ],
        ),
        Chapter(
            "peers",
            _("Who is connected"),
            [
                peers.scopes(report),
                peers.ips(
                    "remote_ips",
                    _("Connections by remote IP"),
                    report.remote_ips,
                    about=_("All states; listeners have no remote address."),
                    many=many,
                ),
                peers.ips(
                    "established_ips",
                    _("ESTABLISHED by remote IP"),
                    report.established_ips,
                    many=many,
                    states=False,
                ),
                peers.ips(
                    "external_ips",
                    _("External sources"),
                    report.external_ips,
                    many=many,
                    states=False,
                    about=_(
                        "ESTABLISHED connections with addresses outside: not private, "
                        "carrier-grade NAT, link-local or loopback."
                    ),
                ),
                peers.ips(
                    "internal_ips",
                    _("Internal sources"),
                    report.internal_ips,
                    many=many,
                    states=False,
                    about=_("ESTABLISHED connections with private and link-local addresses."),
                ),
                peers.busiest(report, many=many),
            ],
        ),
        Chapter(
            "waiting",
            _("Half open and closing"),
            [
                peers.sockets(
                    "syn_recv",
                    "SYN_RECV",
                    report.syn_recv,
                    report,
                    about=_(
                        "Connections whose handshake has not ended, the oldest first. Many at "
                        "once are a SYN flood or peers that cannot be reached."
                    ),
                ),
                peers.ips(
                    "syn_recv_ips",
                    _("SYN_RECV by remote IP"),
                    report.syn_recv_ips,
                    many=many,
                    states=False,
                ),
                peers.ips(
                    "time_wait_ips",
                    _("TIME_WAIT by remote IP"),
                    report.time_wait_ips,
                    many=many,
                    states=False,
                    about=_("The usual end of a connection at the side that closed it first."),
                ),
                peers.close_wait_programs(report),
                peers.sockets(
                    "close_wait",
                    "CLOSE_WAIT",
                    report.close_wait,
                    report,
                    about=_("The peer has closed and the program has not, the oldest first."),
                ),
            ],
        ),
        Chapter(
            "ports",
            _("Ports and programs"),
            [
                ports.common_ports(report),
                ports.local_ports(report),
                ports.programs(report),
                ports.listeners(report),
            ],
        ),
        Chapter(
            "network",
            _("Network"),
            [
                network.interfaces(report),
                network.gateways(report),
                *([] if many else [network.routes(report)]),
            ],
        ),
        Chapter("changes", _("What changed"), [measured.changes(report)]),
        Chapter("measured", _("How this was measured"), [measured.measured(report)]),
    ]


def subject(report: Report) -> str:
    """What it is about, in a few words."""
    if report.host is not None:
        return report.host.name
    if report.group is not None:
        return _("host group %(name)s") % {"name": report.group.name}
    return _("all hosts")
