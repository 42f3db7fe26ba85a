"""What the exposure ledger says of a listener, in words.

Place in the data's way: between ``probes.analysis.exposure``, which gives reasons as codes, and
pages and routes, which show them in the reader's language.
"""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from probes.analysis.exposure import OUTWARD, Because, Bound, Skip, Stack
from probes.connect_back import Problem
from probes.history.queries.exposure import Exposed
from probes.models import Reach

BOUNDS: Final[dict[Bound, Promise]] = {
    Bound.ANY: _("every address"),
    Bound.PUBLIC: _("a public address"),
    Bound.UNKNOWN: _("an address not shown whole"),
    Bound.PRIVATE: _("a private address"),
    Bound.LINK_LOCAL: _("a link-local address"),
    Bound.MULTICAST: _("a multicast address"),
    Bound.LOOPBACK: _("this machine only"),
}

SEVERITIES: Final[tuple[tuple[str, Promise], ...]] = (
    ("bad", _("outside clients")),
    ("warn", _("open to all")),
    ("warn", _("not known")),
    ("new", _("internal")),
    ("new", _("own link")),
    ("new", _("a group")),
    ("ok", _("local only")),
)
"""Icon and word by severity."""

_BOUND_SENTENCES: Final[dict[Bound, Promise]] = {
    Bound.ANY: _("Bound to every address of the host, those it gets later included."),
    Bound.PUBLIC: _("Bound to a public address: routed from anywhere, unless a firewall says no."),
    Bound.UNKNOWN: _("The tool did not print the address whole, so its kind is not known."),
    Bound.PRIVATE: _("Bound to an address that only private networks route."),
    Bound.LINK_LOCAL: _("Bound to a link-local address: only neighbours on that link reach it."),
    Bound.MULTICAST: _("Bound to a multicast address: it takes what is sent to that group."),
    Bound.LOOPBACK: _("Bound to loopback: only programs on the host itself reach it."),
}

STACKS: Final[dict[Stack, Promise]] = {
    Stack.IPV4: _("IPv4"),
    Stack.IPV6: _("IPv6 only"),
    Stack.BOTH: _("IPv4 and IPv6"),
    Stack.PROBABLY_BOTH: _("probably both"),
}

_FAMILY_SENTENCES: Final[dict[tuple[Stack, Because], Promise]] = {
    (Stack.IPV4, Because.ADDRESS): _("0.0.0.0 takes IPv4 alone."),
    (Stack.BOTH, Because.STAR): _(
        "The host's own tool calls it dual-stack: it takes IPv4 and IPv6."
    ),
    (Stack.BOTH, Because.CONNECTIONS): _(
        "It takes IPv4 too: IPv4 connections came in through this IPv6 listener."
    ),
    (Stack.IPV6, Because.BESIDE): _(
        "It takes IPv6 only: 0.0.0.0 has a listener of its own on this port, so IPV6_V6ONLY is"
        " set here (or both share the port)."
    ),
    (Stack.PROBABLY_BOTH, Because.NOTHING): _(
        "It probably takes IPv4 too, as :: does unless IPV6_V6ONLY is set; no IPv4 connection is"
        " there to prove it."
    ),
}

REACHES: Final[dict[str, tuple[str, Promise, Promise]]] = {
    Reach.Result.OPEN: (
        "ok",
        _("reached"),
        _("A TCP connection from the controller was taken."),
    ),
    Reach.Result.FILTERED: (
        "warn",
        _("filtered"),
        _("No answer to the controller: a firewall drops it, or the accept queue is full."),
    ),
    Reach.Result.REFUSED: (
        "bad",
        _("refused"),
        _("The controller was refused: nothing listens any more, or a firewall rejects."),
    ),
    Reach.Result.UNREACHABLE: (
        "off",
        _("no route"),
        _("The controller has no way there."),
    ),
}
"""By result: icon, word, and what it means."""

SKIPS: Final[dict[str, Promise]] = {
    Skip.UDP: _("UDP, which cannot be tried this way"),
    Skip.LOOPBACK: _("bound to loopback"),
    Skip.LOCAL_ONLY: _("bound to a link-local or multicast address"),
    Skip.UNKNOWN: _("bound to an address not shown whole"),
    Skip.NOT_ITS_OWN: _(
        "bound to an address that its configured address neither is nor resolves to"
    ),
    Skip.CONTROLLER: _("on an address the controller has itself"),
    Skip.NO_ADDRESS: _("in a family the host's name has no address of"),
    Skip.TOO_MANY: _("more than one run tries"),
}

PROBLEMS: Final[dict[str, Promise]] = {
    Problem.NO_ADDRESS: _("The host's name has no address from here."),
    Problem.GONE: _("The host was changed meanwhile, so nothing was tried."),
    Problem.NO_WORKER: _("No worker could be told, so nothing was tried."),
    Problem.BROKE: _("The attempt broke off; the worker's log says why."),
}


def explanation(row: Exposed, *, past: bool = False) -> list[str]:
    """Sentences about one listener, each a fact and what it follows from."""
    listener = row.listener
    sentences = [str(_BOUND_SENTENCES[listener.bound])]
    if listener.families is not None:
        sentences.append(str(_FAMILY_SENTENCES[listener.families]))
    if listener.protocol.startswith(("udp", "raw", "icmp")):
        sentences.append(gettext("Who sends to it cannot be seen: it keeps no connections."))
    elif listener.last_seen is None and row.remote_ips is not None:
        sentences.append(_connected(row))
    if row.from_the_first:
        sentences.append(
            gettext("It is at least so old: the oldest probe that is kept shows it already.")
        )
    elif row.since < listener.first_seen:
        sentences.append(
            gettext("Its process changed since it began, with no probe between that missed it.")
        )
    if listener.last_seen is None and listener.bound in OUTWARD:
        sentences.append(_reached(row, past=past))
    return sentences


def _connected(row: Exposed) -> str:
    if not row.remote_ips:
        return gettext("Nobody is connected.")
    said = ngettext(
        "%(ips)d address is connected, %(external)d of it from outside.",
        "%(ips)d addresses are connected, %(external)d of them from outside.",
        row.remote_ips,
    ) % {"ips": row.remote_ips, "external": row.external_ips}
    if row.peers_counted:
        return said
    more = gettext("There are more than can be counted here.")
    return f"{said} {more}"


def _reached(row: Exposed, *, past: bool) -> str:
    if not row.listener.protocol.startswith("tcp"):
        return gettext("Whether UDP is reached cannot be told by connecting.")
    if row.reach is None:
        return (
            gettext("Whether it was reached at that time is not known.")
            if past
            else gettext("Whether a firewall stands before it was not tried.")
        )
    return str(REACHES[row.reach.result][2])
