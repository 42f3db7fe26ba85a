"""What changed since the day before, and how all of it was measured.

Place in the data's way: tables of ``probes.reports.layout``, of what ``composition`` found.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from probes.history.queries.reported import Measured
from probes.observation import EXPLANATIONS, Code
from probes.reports.composition import Changes, Report
from probes.reports.tables import Column, Table, Word, word
from probes.reports.words import CHANGES, PRIVILEGES


def changes(report: Report) -> Table:
    many = report.host is None
    changes = report.changes
    return Table(
        "changes",
        _("Listeners in the last 24 hours"),
        [
            *([Column("host", _("Host"), "host")] if many else []),
            Column("change", pgettext("difference", "Change")),
            Column("protocol", _("Proto")),
            Column("local_ip", _("Address"), "address"),
            Column("port", _("Port"), "port"),
            Column("before", _("Program before"), "program"),
            Column("after", _("Program now"), "program"),
            Column("since", _("Since"), "time"),
        ],
        [
            (
                *([row.host] if many else []),
                word(row.change, CHANGES[row.change]),
                row.what.protocol,
                row.what.local_ip,
                row.what.local_port,
                None if row.before is None else row.before.program,
                None if row.after is None else row.after.program,
                None if row.after is None else row.after.first_seen,
            )
            for row in (changes.rows if changes is not None else ())
        ],
        about=_since(changes),
        empty=_("Nothing opened, closed or changed its program."),
    )


def _since(changes: Changes | None) -> str:
    if changes is None:
        return ""
    text = _("Compared with 24 hours before; what came and went in between is not listed.")
    if changes.unknown:
        text += " " + ngettext(
            "%(n)d host was not known then and is left out.",
            "%(n)d hosts were not known then and are left out.",
            changes.unknown,
        ) % {"n": changes.unknown}
    return text


def measured(report: Report) -> Table:
    return Table(
        "measured",
        _("Probes"),
        [
            Column("host", _("Host"), "host"),
            Column("taken_at", _("Probed"), "time"),
            Column("tool", _("Tool")),
            Column("privilege", _("Privilege")),
            Column("sockets", _("Sockets"), "number"),
            Column("without_pid", _("Rows without a PID"), "number"),
            Column("rejected", _("Lines not understood"), "number"),
            Column("newer_failure", _("Newer probe that failed")),
        ],
        [_measured_row(one) for one in sorted(report.measured, key=_worst_first)],
        about=_(
            "Each host counts as its newest whole probe saw it. A failed probe changes nothing."
        ),
        empty=_("There is no host."),
        each_host=True,
    )


def _measured_row(one: Measured) -> tuple[Any, ...]:
    whole = one.whole
    return (
        one.host,
        None if whole is None else whole.taken_at,
        None if whole is None else whole.tool or None,
        None if whole is None else word(whole.privilege, PRIVILEGES[whole.privilege]),
        None if whole is None else whole.sockets,
        None if whole is None else whole.without_pid,
        None if whole is None else whole.rejected,
        _failure(one),
    )


def _failure(one: Measured) -> Word | None:
    latest = one.latest
    if latest is None:
        return Word("never_probed", _("never probed"))
    if one.whole is not None and latest.pk == one.whole.pk:
        return None
    if not latest.code:
        return Word(latest.outcome, latest.get_outcome_display())
    return word(latest.code, EXPLANATIONS[Code(latest.code)][0])


def _worst_first(one: Measured) -> tuple[Any, ...]:
    whole = one.whole
    if whole is None:
        return (0, 0, one.host.name.casefold())
    failing = one.latest is not None and one.latest.pk != whole.pk
    return (
        1 if failing else 2 if whole.rejected or whole.without_pid else 3,
        whole.taken_at.timestamp() if failing else 0,
        one.host.name.casefold(),
    )
