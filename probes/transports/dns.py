"""One question to DNS: what an address is called.

Place in the data's way: under ``probes.names``, which decides what to ask and when. Knows no Django
and no database. What comes back is a stranger's text: only what could be a host name is a name.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import dns.exception
import dns.nameserver
import dns.resolver
import dns.reversename

LONGEST: Final = 253
"""Characters of a host name (RFC 1035, 2.3.4, without the root's dot)."""

_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


class Outcome(enum.Enum):
    """How a question ended."""

    NAMED = enum.auto()
    NAMELESS = enum.auto()
    """It has no name, or one that could be no host's."""
    FAILED = enum.auto()
    """No server answered, or none could."""


class Answer(NamedTuple):
    """What DNS said; ``ttl_s`` is how long it may be kept, 0 where nothing was said."""

    outcome: Outcome
    name: str
    ttl_s: int


def resolver(servers: Sequence[tuple[str, int]], *, lifetime_s: float) -> dns.resolver.Resolver:
    """Asks these (address, port), or the servers of this machine for none; each question may take
    ``lifetime_s`` at most. May be used by several threads at once."""
    made = dns.resolver.Resolver(configure=not servers)
    if servers:
        made.nameservers = [
            dns.nameserver.Do53Nameserver(address, port) for address, port in servers
        ]
    made.lifetime = lifetime_s
    made.timeout = lifetime_s / 2  # so that a second server, or a lost packet, has its turn
    return made


def name_of(address: str, by: dns.resolver.Resolver) -> Answer:
    """The PTR record of an address, aliases followed. Never raises for what DNS does.

    Answers from elsewhere, or to another question, are waited past; a truncated one is asked for
    by TCP.
    """
    question = dns.reversename.from_address(str(ipaddress.ip_address(address)))
    try:
        found = by.resolve(question, "PTR", search=False)
    except dns.resolver.NXDOMAIN as error:
        return Answer(
            Outcome.NAMELESS, "", _negative_ttl(error.kwargs.get("responses", {}).values())
        )
    except dns.resolver.NoAnswer as error:
        return Answer(Outcome.NAMELESS, "", _negative_ttl([error.kwargs.get("response")]))
    except (dns.exception.DNSException, OSError, ValueError):
        return Answer(Outcome.FAILED, "", 0)
    ttl_s = int(found.chaining_result.minimum_ttl)
    for record in found:
        name = host_name(record.target.to_text(omit_final_dot=True))
        if name:
            return Answer(Outcome.NAMED, name, ttl_s)
    return Answer(Outcome.NAMELESS, "", ttl_s)


def host_name(text: str) -> str:
    """``text`` in lower case where it is made like a host name, else nothing.

    A name whose last label is a number is none (RFC 3696, 2): it would read as an address.
    """
    labels = text.split(".")
    if len(text) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        return ""
    return "" if labels[-1].isdigit() else text.lower()


def _negative_ttl(responses: Iterable[Any]) -> int:
    """How long "there is none" holds: the SOA's minimum (RFC 2308); 0 where none came along."""
    for response in responses:
        for rrset in getattr(response, "authority", None) or ():
            for record in rrset:
                if hasattr(record, "minimum"):
                    return int(min(rrset.ttl, record.minimum))
    return 0
