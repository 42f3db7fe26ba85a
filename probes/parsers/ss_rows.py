"""One row of ss' table of IP sockets, read with care.

Place in the data's way: behind the fast and the sectional reader of ``ss``, which hold the
table's layout. Pure. A line is read by itself, its cells by what they look like, because cells of
one line may touch (``TIME-WAIT0``, ``*:*users:``). ss leaves out a column that says the same in
all rows: Netid where one protocol alone was asked for, State where one state was. In full::

    tcp   ESTAB  0      0    [::ffff:10.0.0.1]:80 [::ffff:10.0.0.2]:51022  users:(("x",pid=7,fd=4))
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from probes.parsers import service_names, ss_details
from probes.parsers.endpoints import Host, host
from probes.parsers.lines import MAX_LINE_CHARS, PORTS, OddLine, queue
from probes.parsers.records import STATE_ALIASES, TCP_STATES, Details, Flag
from probes.parsers.words import gettext_noop

WORDS = (
    "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN",
    "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "UNDEF", "UNKNOWN", "BOUND-INACTIVE",
)  # fmt: skip
ASSOCIATION_WORDS = (
    "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTAB", "SHUTDOWN_PENDING", "SHUTDOWN_SENT",
    "SHUTDOWN_RECEIVED", "ACK_SENT",
)  # fmt: skip

States = dict[str, str | None]


def _our_word(word: str) -> str:
    plain = word.replace("-", "_")
    plain = STATE_ALIASES.get(plain, plain)
    return plain if plain in TCP_STATES else "UNKNOWN"


_TCP: States = {word: _our_word(word) for word in (*WORDS, *ASSOCIATION_WORDS)}
_UDP: States = {word: None if word == "UNCONN" else _our_word(word) for word in WORDS}
_RAW: States = dict.fromkeys(WORDS)

PROTOCOLS: dict[str, tuple[str, str, States]] = {
    "tcp": ("tcp", "tcp6", _TCP),
    "udp": ("udp", "udp6", _UDP),
    "udplite": ("udplite", "udplite6", _UDP),
    "sctp": ("sctp", "sctp6", _TCP),
    "raw": ("raw", "raw6", _RAW),
    "dccp": ("dccp", "dccp6", _TCP),
    "mptcp": ("mptcp", "mptcp6", _TCP),
    "icmp": ("icmp", "icmp6", _UDP),
    "icmp6": ("icmp6", "icmp6", _UDP),
}
"""By Netid: our word for IPv4 and for IPv6, and the states."""

OTHER_FAMILIES = {
    **dict.fromkeys(
        ("u_str", "u_seq", "u_dgr", "u_raw"), gettext_noop("a UNIX socket, not an IP socket")
    ),
    "nl": gettext_noop("a netlink socket, not an IP socket"),
    **dict.fromkeys(("p_raw", "p_dgr"), gettext_noop("a packet socket, not an IP socket")),
    **dict.fromkeys(("v_str", "v_dgr"), gettext_noop("a vsock socket, not an IP socket")),
    "xdp": gettext_noop("an XDP socket, not an IP socket"),
    **dict.fromkeys(
        ("ti_st", "ti_sq", "ti_rd", "ti_dg"), gettext_noop("a TIPC socket, not an IP socket")
    ),
}
"""Netids whose rows have no IP addresses, and the reason that rejects them."""

A_NAME = gettext_noop("a host name where the address belongs")
"""Reason for a row that history cannot hold, while the table as such can be read."""

_NETID = rf"(?P<netid>{'|'.join(PROTOCOLS)})"
_STATE = rf"(?P<state>{'|'.join(WORDS)})"
_ASSOCIATION = rf"`- (?P<association>{'|'.join(ASSOCIATION_WORDS)})"
_REST = r"\s*(?P<recv>[0-9]+)\s+(?P<send>[0-9]+)\s+(?P<ends>\S.*)"
_ROWS = {
    (True, True): re.compile(rf"\s*(?:{_NETID}\s*{_STATE}|{_ASSOCIATION}){_REST}", re.DOTALL),
    (False, True): re.compile(rf"\s*(?:{_STATE}|{_ASSOCIATION}){_REST}", re.DOTALL),
    (True, False): re.compile(rf"\s*{_NETID}{_REST}", re.DOTALL),
    (False, False): re.compile(_REST, re.DOTALL),
}
_OTHER = re.compile("|".join(sorted(OTHER_FAMILIES, key=len, reverse=True)))
_STATE_FIRST = re.compile(rf"\s*(?:{'|'.join(WORDS)})\s*[0-9]")
_TOUCHING = re.compile(r"[^\s\[\]]*+(?:\[[^\s\[\]]*+\](?:%[^\s\[\]:]*+)?:(?:[0-9]{1,5}|\*))(?=\[)")
"""A local end in brackets, as wide as its column, with the other end's bracket behind it."""
_NAME = re.compile(r"(?=[0-9_.-]*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_.-]{0,253}")


class Row(NamedTuple):
    """A row: the fields of a Socket, in their order, and what else is known."""

    fields: tuple[Any, ...]
    details: Details | None
    netid: str | None
    """What the row itself says of its protocol; None where that column is missing."""
    word: str | None
    """The state as printed; None where that column is missing."""


def columns(heading: str | None) -> tuple[bool, bool]:
    """Whether a table with this heading has the columns Netid and State. Without: both."""
    if heading is None:
        return True, True
    return "Netid" in heading, "State" in heading


def row(
    line: str, *, has: tuple[bool, bool] = (True, True), otherwise: str = "tcp", names: bool
) -> Row:
    """Any row of the table with the columns that ``has`` says; OddLine with the reason otherwise.

    ``otherwise`` is the Netid where there is no such column. With ``names``, a host name may stand
    for an address; without, that is an OddLine of the reason A_NAME.
    """
    if len(line) > MAX_LINE_CHARS:
        raise OddLine("line too long")
    cells = _ROWS[has].match(line)
    if cells is None:
        raise OddLine(_why_not(line))
    known = cells.groupdict()
    netid = known.get("netid")
    association = known.get("association")
    word = known.get("state") or association
    protocol, protocol6, states = PROTOCOLS[netid or ("sctp" if association else otherwise)]
    recv_queue, send_queue = queue(cells["recv"]), queue(cells["send"])
    # The peer's port and the process may touch; no address holds the word users.
    ends, users, after = cells["ends"].partition(ss_details.USERS)
    touching = _TOUCHING.match(ends)
    if touching:
        ends = f"{touching[0]} {ends[touching.end() :]}"
    fields = ends.split(None, 2)
    if len(fields) < 2:
        raise OddLine("columns are missing")
    local, peer, *rest = fields
    if rest and not ss_details.are_details(rest[0]):
        raise OddLine("unexpected text after the addresses")
    near, local_port = _end(local, protocol, other=peer, names=names)
    far, peer_port = _end(peer, protocol, other=local, names=names)
    holders, text = ss_details.holders(users + after) if users else ((), "")
    pid, program = ss_details.lowest(holders) if holders else (None, None)
    return Row(
        (
            protocol6 if near.is_v6 or far.is_v6 else protocol,
            recv_queue,
            send_queue,
            near.ip,
            local_port,
            far.ip,
            peer_port,
            None if word is None else states[word],
            pid,
            program,
            near.flags | far.flags << 1,
        ),
        ss_details.details(" ".join((*rest, text)).strip(), holders),
        netid or ("sctp" if association else None),
        word,
    )


def _end(endpoint: str, protocol: str, *, other: str, names: bool) -> tuple[Host, int | None]:
    """Address and port of one end; ``other`` is the other end, for which family a ``*`` is of."""
    text, _, port_text = endpoint.rpartition(":")
    number = _port(port_text, protocol)
    bare, percent, zone = text.partition("%")
    if bare == "*":
        other_host = other.rpartition(":")[0].partition("%")[0]
        is_v6 = other_host == "*" or (not _is_name(other_host) and host(other_host).is_v6)
        any_address = host(("::" if is_v6 else "0.0.0.0") + percent + zone)
        return any_address._replace(flags=Flag.LOCAL_STAR), number
    if _is_name(bare):
        if not names:
            raise OddLine(A_NAME)
        return Host(bare, Flag.LOCAL_NAME, False), number
    return host(text), number


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _port(text: str, protocol: str) -> int | None:
    try:
        return PORTS[text]
    except KeyError:
        known = service_names.number(text, protocol)
    if known is None:
        raise OddLine("port is neither a number from 0 to 65535 nor a service that is known")
    return known


def _why_not(line: str) -> str:
    """The reason for a line of no known form."""
    other = _OTHER.match(line.lstrip())
    if other:
        return OTHER_FAMILIES[other[0]]
    if ss_details.is_continued(line):
        return gettext_noop("goes on with a socket that was not read")
    if _STATE_FIRST.match(line):
        return gettext_noop(
            "the Netid column is missing: ss leaves it out when asked for one protocol alone"
        )
    return gettext_noop("not a row of a socket table")
