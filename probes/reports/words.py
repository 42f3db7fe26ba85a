"""Words of the report that belong to values: thresholds, scopes, reach, changes, privileges.

Place in the data's way: read by ``probes.reports.tables``, which translates them. English msgids.
"""

from __future__ import annotations

from typing import Final

from probes.observation import gettext_noop

CHECKS: Final[dict[str, tuple[str, str]]] = {
    "ESTABLISHED": (
        gettext_noop("ESTABLISHED on one host"),
        gettext_noop("Busier than usual, or connections that nobody closes."),
    ),
    "SYN_RECV": (
        gettext_noop("SYN_RECV on one host"),
        gettext_noop(
            "A SYN flood, or peers that never answer. See their addresses below, and that SYN "
            "cookies are on (net.ipv4.tcp_syncookies)."
        ),
    ),
    "TIME_WAIT": (
        gettext_noop("TIME_WAIT on one host"),
        gettext_noop(
            "Many short connections. It is harmless as long as local ports to one destination do "
            "not run short; keeping connections open needs fewer."
        ),
    ),
    "CLOSE_WAIT": (
        gettext_noop("CLOSE_WAIT on one host"),
        gettext_noop(
            "A program that does not close its connections. See which one below; only it can."
        ),
    ),
    "ip": (
        gettext_noop("ESTABLISHED with one remote IP"),
        gettext_noop("A proxy, a pool of connections, or somebody who opens too many."),
    ),
    "port": (
        gettext_noop("ESTABLISHED to one common port"),
        gettext_noop("Busier than usual, or an attack on that service."),
    ),
}
"""(what is counted, what it may mean) by ``thresholds.Check.what``."""

SCOPE_WORDS: Final[dict[str, str]] = {
    "external": gettext_noop("external"),
    "private": gettext_noop("private"),
    "loopback": gettext_noop("loopback"),
}
BOUND: Final[dict[str, str]] = {
    "all": gettext_noop("every network"),
    "external": gettext_noop("a public address"),
    "private": gettext_noop("a private network"),
    "loopback": gettext_noop("this machine only"),
}
"""By ``PortRow.bound``."""
CHANGES: Final[dict[str, str]] = {
    "opened": gettext_noop("opened"),
    "closed": gettext_noop("closed"),
    "holder": gettext_noop("other program"),
}
PRIVILEGES: Final[dict[str, str]] = {
    "root": gettext_noop("as root"),
    "sudo": gettext_noop("with sudo"),
    "user": gettext_noop("as an ordinary user"),
    "unknown": gettext_noop("unknown"),
}
"""By ``Snapshot.privilege``."""
