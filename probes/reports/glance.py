"""The chapter that is read first: totals, checks, findings, states, protocols, hosts.

Place in the data's way: tables of ``probes.reports.layout``, of what ``composition`` found.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from probes.reports.composition import LOOKED_AT, Report
from probes.reports.tables import STATES, Column, Table, Word, state_columns, word
from probes.reports.words import CHECKS
from probes.wording import findings as finding_texts


def unknown_hosts(report: Report) -> str:
    """A sentence on the hosts that are in no count; empty where there is none."""
    missing = report.totals.hosts - report.totals.known
    if not missing:
        return ""
    if report.at is None:
        return ngettext(
            "%(n)d host has no whole probe yet and is in no count.",
            "%(n)d hosts have no whole probe yet and are in no count.",
            missing,
        ) % {"n": missing}
    return ngettext(
        "%(n)d host has no whole probe by then and is in no count.",
        "%(n)d hosts have no whole probe by then and are in no count.",
        missing,
    ) % {"n": missing}


def totals(report: Report) -> Table:
    totals = report.totals
    return Table(
        "totals",
        _("Totals"),
        [Column("what", pgettext("item", "What")), Column("sockets", _("Sockets"), "number")],
        [
            (Word("sockets", _("All sockets")), totals.sockets),
            (Word("tcp", "TCP"), totals.tcp),
            (Word("udp", "UDP"), totals.udp),
            (Word("other", _("Other protocols")), totals.other),
            (Word("established", "ESTABLISHED"), totals.established),
            (Word("listening", _("Listening")), totals.listening),
        ],
        about=unknown_hosts(report),
    )


def checks(report: Report) -> Table:
    return Table(
        "checks",
        _("Thresholds"),
        [
            Column("check", _("Count")),
            Column("most", _("Most"), "number"),
            Column("where", _("Where")),
            Column("threshold", _("Threshold"), "number"),
            Column("exceeded", _("Above it"), "number"),
            Column("meaning", _("What it may mean")),
        ],
        [
            (
                word(check.what, CHECKS[check.what][0]),
                check.most,
                check.where,
                check.threshold,
                check.exceeded,
                _(CHECKS[check.what][1]) if check.exceeded else _("Nothing: not above it."),
            )
            for check in report.checks
        ],
        about=_(
            "Counts of one host, address or port that deserve a look above a usual number. Of "
            "addresses the %(most)d commonest are looked at."
        )
        % {"most": LOOKED_AT},
    )


def findings(report: Report) -> Table:
    many = report.host is None
    hosts = report.hosts
    left_out = sum(report.troubles.left_out.values())
    about = _("What explains itself in the sockets over several probes, worst first.")
    if left_out:
        about += " " + ngettext(
            "%(n)d more host looked suspicious and was not looked at.",
            "%(n)d more hosts looked suspicious and were not looked at.",
            left_out,
        ) % {"n": left_out}
    return Table(
        "findings",
        _("Findings"),
        [
            *([Column("host", _("Host"), "host")] if many else []),
            Column("finding", _("Finding")),
            Column("severity", _("Severity")),
            Column("count", _("Count"), "number"),
            Column("summary", _("Numbers")),
            Column("advice", _("What to do")),
            Column("since", _("Since"), "time"),
        ],
        [
            (
                *([hosts.get(found.host.host_id)] if many else []),
                Word(found.finding.code.value, finding_texts.title(found)),
                Word(
                    found.finding.severity.name.lower(),
                    str(finding_texts.SEVERITIES[found.finding.severity]),
                ),
                found.finding.count,
                finding_texts.summary(found),
                next(iter(finding_texts.what_to_do(found)), None),
                found.finding.since,
            )
            for found in report.troubles.found
        ],
        about,
        empty=_("Nothing was found."),
        each_host=True,
    )


def states(report: Report) -> Table:
    many = report.host is None
    rows = [
        (
            row.state or Word("none", _("none")),
            row.sockets,
            *([row.hosts] if many else []),
        )
        for row in report.states
    ]
    return Table(
        "states",
        _("States"),
        [
            Column("state", _("State"), "state"),
            Column("sockets", _("Sockets"), "number"),
            *([Column("hosts", _("Hosts"), "number")] if many else []),
        ],
        rows,
        empty=_("Nothing was counted."),
    )


def protocols(report: Report) -> Table:
    return Table(
        "protocols",
        _("Protocols"),
        [Column("protocol", _("Protocol")), Column("sockets", _("Sockets"), "number")],
        report.protocols,
        about=_("As the tool called them: tcp6 and udp6 also speak IPv4."),
        empty=_("Nothing was counted."),
    )


def hosts(report: Report) -> Table:
    rows: list[tuple[Any, ...]] = []
    for one in report.measured:
        states = one.whole.by_state if one.whole is not None else None
        rows.append(
            (
                one.host,
                None if one.whole is None else one.whole.sockets,
                *(None if states is None else states.get(state, 0) for state in STATES),
                None if one.whole is None else one.whole.listeners,
            )
        )
    rows.sort(key=lambda row: -(row[1] or 0))
    return Table(
        "hosts",
        _("Hosts"),
        [
            Column("host", _("Host"), "host"),
            Column("sockets", _("Sockets"), "number"),
            *state_columns(),
            Column("listening", _("Listening"), "number"),
        ],
        rows,
        empty=_("There is no host."),
        each_host=True,
    )
