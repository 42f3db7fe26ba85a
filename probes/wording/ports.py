"""What is said of watched ports: errors of lists, ranges, switches, and where a line comes from.

Place in the data's way: between ``watch.port_list`` and ``watch.policies``, which give codes, and
pages and JSON routes, in the language that is active.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.filters import visible
from probes.watch import port_list
from probes.watch.port_list import ListError, Problem, Range
from probes.watch.ports import Switch

RANGES: Final = {
    Range.SYSTEM: gettext_lazy("under 1024"),
    Range.REGISTERED: gettext_lazy("registered"),
    Range.EPHEMERAL: gettext_lazy("ephemeral"),
}
RANGE_HINTS: Final = {
    Range.SYSTEM: gettext_lazy("ports that only root opens"),
    Range.REGISTERED: gettext_lazy("from 1024, but for the ephemeral ones"),
    Range.EPHEMERAL: gettext_lazy("those that the host's kernel gives to connections by itself"),
}
SWITCHES: Final = {
    Switch.NEW: gettext_lazy("new port"),
    Switch.DOWN: gettext_lazy("port down"),
    Switch.HOLDER: gettext_lazy("holder changed"),
}
LISTS: Final = {
    "allowed": gettext_lazy("Allowed"),
    "excluded": gettext_lazy("Excluded"),
    "expected": gettext_lazy("Expected"),
}
LIST_HINTS: Final = {
    "allowed": gettext_lazy(
        "Ports that may come and be there without an alert. Once there is an entry, any other new "
        "port raises one."
    ),
    "excluded": gettext_lazy(
        "Listeners that are not watched at all: ports, ranges, program:name, loopback, ephemeral."
    ),
    "expected": gettext_lazy(
        "Ports that have to be there, such as 22, 80-90, 443/tcp nginx; an alert as long as one is "
        "absent."
    ),
}

_PROBLEMS: Final = {
    Problem.NOT_UNDERSTOOD: gettext_lazy(
        "give a port, a range, program:name, loopback or ephemeral"
    ),
    Problem.PORT: gettext_lazy("ports are from 1 to 65535"),
    Problem.ORDER: gettext_lazy("a range goes from the lower to the higher port"),
    Problem.PROTOCOL: gettext_lazy("give one protocol: tcp, udp, sctp or dccp"),
    Problem.PROGRAM: gettext_lazy("give a program's name of at most 200 printable characters"),
    Problem.QUOTE: gettext_lazy('a name with , # or " in it stands between quotation marks'),
    Problem.NO_PORT: gettext_lazy("an expected port needs a number"),
}


def problem(error: ListError) -> str:
    """What is wrong with a list, naming line and entry."""
    if error.problem is Problem.TOO_MANY:
        return _(
            "Line %(line)s, “%(entry)s”: give at most %(entries)s entries and %(ports)s expected "
            "ports."
        ) % {
            "line": error.line,
            "entry": visible(error.entry),
            "entries": port_list.MOST_ENTRIES,
            "ports": port_list.MOST_EXPECTED,
        }
    return _("Line %(line)s, “%(entry)s”: %(reason)s.") % {
        "line": error.line,
        "entry": visible(error.entry),
        "reason": _PROBLEMS[error.problem],
    }
