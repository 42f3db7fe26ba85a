"""What the exposure ledger is asked and answers: filters, listeners, and their order.

Place in the data's way: the values of ``probes.history.queries.exposure``. Knows no SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field

from hosts.models import Host
from probes import filters as asked
from probes.analysis import exposure as rules
from probes.analysis.exposure import Bound, Families
from probes.filters import Invalid, Moment, Ports, Proto, Query, one_or_more
from probes.history.queries.sql import Scope
from probes.models import Reach


def _bounds(text: str) -> str:
    words = dict.fromkeys(part.strip() for part in text.split(","))
    if not words.keys() <= set(Bound):
        raise Invalid(_("Give one or more of: %(words)s.") % {"words": ", ".join(Bound)})
    return ",".join(words)


class ExposureFilter(Query):
    """Which listeners; what is None filters nothing."""

    proto: Proto | None = None
    port: Ports | None = None
    bound: Annotated[str, AfterValidator(_bounds), one_or_more(Bound)] | None = None
    """One or more of analysis.exposure.Bound, comma separated."""
    program: Annotated[str, Field(max_length=200)] | None = None
    """Part of the program's name, whatever its case."""
    q: Annotated[str, Field(max_length=100)] | None = None
    """Part of a port, program, address, protocol or host name."""
    reach: Literal["open", "refused", "filtered", "unreachable", "untried"] | None = None
    show: Literal["listening", "gone"] = "listening"
    since: Moment | None = None
    """Only listeners that came since then; with ``show=gone`` those that went, within a day where
    it is not given."""
    sort: Literal["worst", "host", "port", "connections", "newest"] | None = None


Key = tuple[int, int, bytes, str | None, int | None]
"""Host, protocol number, packed address, zone, port: what makes a listener one."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the listener."""

    pid: int | None
    program: str | None
    first_seen: dt.datetime
    """Since when this very process has it."""
    copies: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote address that connects to a listener."""

    ip: str
    external: bool
    connections: int


@dataclass(frozen=True, slots=True)
class Listener:
    """One protocol, address and port that a host listens on."""

    key: Key
    host: Host
    protocol: str
    local_ip: str
    """With its zone; as printed where ``cut``."""
    local_port: int | None
    cut: bool
    bound: Bound
    families: Families | None
    """Of a listener on every address."""
    holders: tuple[Holder, ...]
    """By process number; those that cannot be seen have neither PID nor program."""
    connections: int | None
    """Into it at that time, whichever process has them; None where its address is not known."""
    external: int
    """Of these, from addresses that are neither private nor loopback."""
    last_seen: dt.datetime | None = None
    """Of one that went: the last whole snapshot that showed it."""
    since: dt.datetime | None = None
    """Start of the unbroken chain, where it was asked for; see :func:`detailed`."""
    counted: bool = True
    """False where older intervals than were read may belong to the chain."""

    @property
    def severity(self) -> int:
        """0 is the worst."""
        return rules.severity(self.bound, self.external)

    @property
    def first_seen(self) -> dt.datetime:
        """Since when the oldest of its present processes has it."""
        return min(holder.first_seen for holder in self.holders)

    @property
    def programs(self) -> list[str]:
        """Names of its programs, each once."""
        return sorted({holder.program for holder in self.holders if holder.program})


@dataclass(frozen=True, slots=True)
class Exposed:
    """A listener with all that a row says of it."""

    listener: Listener
    since: dt.datetime
    """Start of the unbroken chain of processes on this protocol, address and port."""
    from_the_first: bool
    """Whether the host's first whole snapshot that is kept shows it already: it may be older."""
    remote_ips: int | None
    """Different remote addresses connected to it."""
    external_ips: int
    peers: tuple[Peer, ...]
    """Those with most connections, at most exposure.TOP_PEERS."""
    peers_counted: bool
    """False where more pairs were there than are read: the numbers are at least so high."""
    reach: Reach | None
    """How the controller's newest attempt ended."""


@dataclass(frozen=True, slots=True)
class Found:
    """What :func:`find` found."""

    scope: Scope | None
    rows: list[Listener]
    by_bound: dict[Bound, int]
    """Of the listeners that pass every filter but ``bound``."""
    new_hosts: int = 0
    """With ``since``: hosts first probed after it. Of their listeners none is called new."""
    counted: bool = True
    """False where more came or went than exposure.MOST_CHANGED: the newest are looked at."""


def order(filters: ExposureFilter) -> Callable[[Listener], list[Any]]:
    """The key that sorts listeners as asked; JSON, unique, the same for the same listener as long
    as what it is sorted by stays."""
    word = filters.sort or ("newest" if filters.show == "gone" else "worst")

    def place(row: Listener) -> list[Any]:
        return [row.host.name, row.host.pk, row.local_port or 0, row.protocol, row.local_ip]

    def port(row: Listener) -> list[Any]:
        return [row.local_port or 0, row.protocol, *place(row)]

    def newest(row: Listener) -> list[Any]:
        return [-(row.last_seen or row.since or row.first_seen).timestamp(), *place(row)]

    return {
        "worst": lambda row: [row.severity, *place(row)],
        "host": place,
        "port": port,
        "connections": lambda row: [-(row.connections or 0), *place(row)],
        "newest": newest,
    }[word]


def passes(row: Listener, filters: ExposureFilter) -> bool:
    """Whether a listener passes what is not asked of the database."""
    if filters.proto and filters.proto != "all" and (
        row.protocol not in asked.PROTOCOLS[filters.proto]
    ):  # fmt: skip
        return False
    if filters.program:
        wanted = filters.program.casefold()
        if not any(wanted in name.casefold() for name in row.programs):
            return False
    if filters.q:
        text = f"{row.local_port} {' '.join(row.programs)} {row.local_ip} {row.protocol}"
        return filters.q.strip().casefold() in f"{text} {row.host.name}".casefold()
    return True
