"""Rules in words: what one means in a sentence, what each metric looks at.

Place in the data's way: after ``Rule`` and ``watch.rules.Limits``, before pages and JSON, in the
language that is active when it is asked.
"""

from __future__ import annotations

from typing import Final

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from probes.watch import port_numbers
from probes.watch.rules import AT_ONCE, Limits

ABOUT: Final[dict[str, str]] = {
    "state": gettext_noop("How many connections of a host are in one state."),
    "sockets": gettext_noop("How many sockets of any kind a host has."),
    "listeners": gettext_noop("How many listeners a host has."),
    "port": gettext_noop("How many connections each of some local ports has."),
    "remote_ip": gettext_noop("How many connections one remote address has with a host."),
    "ratio": gettext_noop("How many connections are in one state, in percent of another."),
    "rise": gettext_noop("By how many percent connections rose within some minutes."),
    "unreachable": gettext_noop("The host does not answer, or something on the way does not."),
    "login_failed": gettext_noop("The host refuses the login or sudo, or there is none to try."),
    "key_changed": gettext_noop("The host shows a key that nobody trusts yet, or another one."),
    "incomplete": gettext_noop("The output was cut off, too large, or could not be read."),
    "stale": gettext_noop("Nobody probes the host although it is due."),
    "slow": gettext_noop("A whole probe takes long."),
}
"""What a metric looks at; English msgids."""


def about(metric: str) -> str:
    """What a metric looks at."""
    return _(ABOUT[metric])


def sentence(rule: Limits) -> str:
    """When a rule is raised, and when it is over: one or two sentences."""
    said = _CONDITIONS.get(rule.metric)
    if rule.metric == "rise" and not rule.state:
        said = gettext_noop("Sockets rose by more than %(threshold)s %% within %(minutes)s min")
    values = {
        "threshold": number(rule.threshold),
        "clear": number(rule.over_at),
        "state": rule.state,
        "of_state": rule.of_state,
        "ports": port_numbers.written(rule.ports),
        "minutes": rule.within_minutes,
        "least": number(rule.at_least),
        "probes": rule.needed,
    }
    condition = about(rule.metric).rstrip(".。") if said is None else _(said) % values
    if rule.at_least > 0 and rule.metric in ("ratio", "rise"):
        condition += _(" (where there are at least %(least)s)") % values
    if rule.metric not in AT_ONCE:
        condition += ngettext(", at one probe", ", at %(probes)s probes in a row", rule.needed) % {
            "probes": rule.needed
        }
    if said is None or rule.metric == "stale":
        return _("%(condition)s.") % {"condition": condition}
    return _("%(condition)s. Over at %(clear)s or below.") % {"condition": condition, **values}


def number(value: float) -> str:
    """A number without needless decimals, as the language writes it."""
    return number_format(round(value, 2) if value % 1 else int(value), force_grouping=True)


_CONDITIONS: Final[dict[str, str]] = {
    "state": gettext_noop("More than %(threshold)s connections in %(state)s"),
    "sockets": gettext_noop("More than %(threshold)s sockets"),
    "listeners": gettext_noop("More than %(threshold)s listeners"),
    "port": gettext_noop("More than %(threshold)s %(state)s of one of the local ports %(ports)s"),
    "remote_ip": gettext_noop("More than %(threshold)s %(state)s with one remote address"),
    "ratio": gettext_noop("%(state)s is more than %(threshold)s %% of %(of_state)s"),
    "rise": gettext_noop("%(state)s rose by more than %(threshold)s %% within %(minutes)s min"),
    "stale": gettext_noop("No probe for more than %(threshold)s of the host's intervals"),
    "slow": gettext_noop("A whole probe takes more than %(threshold)s s"),
}
