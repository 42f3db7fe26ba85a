"""What netstat of macOS and the BSDs counts, in the names of the MIBs.

Place in the data's way: the vocabulary of ``bsd_counters``. Pure. Which counter is which object
of the MIB (RFC 4293, 4022, 4113) is taken as FreeBSD's own SNMP agent takes it (bsnmpd,
mibII_ip.c, mibII_tcp.c, mibII_udp.c). Where an object is the sum of several counters, each keeps
its own name and adds to the object as well.

A text is looked up as :func:`key` makes it: numbers and brackets gone, all nouns singular.
"""

from __future__ import annotations

import re

PROTOCOLS = {
    "local (UNIX)": "unix",
}
"""Our name of a protocol, where it is not the tool's."""

_IP = {
    "total packet received": "InReceives",
    "packet for this host": "InDelivers",
    "packet forwarded": "ForwDatagrams",
    "packet not forwardable": "InAddrErrors",
    "packet sent from this host": "OutRequests",
    "output packet dropped due to no bufs, etc.": "OutDiscards",
    "output packet discarded due to no route": "OutNoRoutes",
    "output datagram fragmented": "FragOKs",
    "datagram that can't be fragmented": "FragFails",
    "fragment created": "FragCreates",
    "fragment received": "ReasmReqds",
    "reassembled ok": "ReasmOKs",
    "packet reassembled ok": "ReasmOKs",
    "dropped after timeout": "ReasmTimeout",
    "fragment dropped after timeout": "ReasmTimeout",
    "packet for unknown/unsupported protocol": "InUnknownProtos",
}

NAMES: dict[str, dict[str, str]] = {
    "ip": _IP,
    "ip6": {
        **_IP,
        "fragment that exceeded limit": "ReasmFails",
    },
    "tcp": {
        "connection request": "ActiveOpens",
        "connection accept": "PassiveOpens",
        "embryonic connection dropped": "AttemptFails",
        "packet received": "InSegs",
        "packet sent": "OutSegs",
        "data packet retransmitted": "RetransSegs",
        "discarded for bad checksum": "InCsumErrors",
    },
    "udp": {
        "delivered": "InDatagrams",
        "dropped due to no socket": "NoPorts",
        "datagram output": "OutDatagrams",
        "with bad checksum": "InCsumErrors",
        "dropped due to full socket buffer": "RcvbufErrors",
    },
    "icmp": {
        "bad checksum": "InCsumErrors",
    },
}
"""Object of the MIB by the key of the text."""

EXTENSIONS: dict[str, dict[str, str]] = {
    "tcp": {
        "listen queue overflow": "ListenOverflows",
        "retransmit timeout": "TCPTimeouts",
        "cookie sent": "SyncookiesSent",
        "SYN cookie sent": "SyncookiesSent",
        "cookie received": "SyncookiesRecv",
        "SYN cookie received": "SyncookiesRecv",
    },
}
"""What no MIB has but Linux counts too, under ``tcpext`` as it does, by the key of the text."""

SUMS: dict[str, dict[str, str]] = {
    "ip": {
        "bad header checksum": "InHdrErrors",
        "with size smaller than minimum": "InHdrErrors",
        "with data size < data length": "InHdrErrors",
        "with header length < data size": "InHdrErrors",
        "with data length < header length": "InHdrErrors",
        "with incorrect version number": "InHdrErrors",
        "with ip length > max ip packet size": "InHdrErrors",
        "with length > max ip packet size": "InHdrErrors",
        "packet with ip length > max ip packet size": "InHdrErrors",
    },
    "tcp": {
        "discarded for bad checksum": "InErrs",
        "discarded for bad header offset field": "InErrs",
        "discarded because packet too short": "InErrs",
        "discarded due to memory problem": "InErrs",
        "discarded due to memory shortage": "InErrs",
        "connection in ESTABLISHED state": "CurrEstab",
        "connection in CLOSE_WAIT state": "CurrEstab",
    },
    "udp": {
        "with incomplete header": "InErrors",
        "with bad data length field": "InErrors",
        "with bad checksum": "InErrors",
        "dropped due to full socket buffer": "InErrors",
    },
    "icmp": {
        "message with bad code field": "InErrors",
        "message < minimum length": "InErrors",
        "bad checksum": "InErrors",
        "message with bad length": "InErrors",
    },
}
"""Object of the MIB that a counter adds to, by the key of the text."""

BRACKETS: dict[str, dict[str, tuple[str, str]]] = {
    "tcp": {
        "connection closed": ("tcp", "EstabResets"),
        "ack-only packet": ("tcpext", "DelayedACKs"),
    },
}
"""Protocol and object of the MIB for the number in brackets behind a text."""

_ICMP_TYPES = {
    "echo reply": "EchoReps",
    "destination unreachable": "DestUnreachs",
    "source quench": "SrcQuenchs",
    "routing redirect": "Redirects",
    "redirect": "Redirects",
    "echo": "Echos",
    "time exceeded": "TimeExcds",
    "parameter problem": "ParmProbs",
    "time stamp": "Timestamps",
    "time stamp reply": "TimestampReps",
    "timestamp": "Timestamps",
    "timestamp reply": "TimestampReps",
    "address mask request": "AddrMasks",
    "address mask reply": "AddrMaskReps",
}
_ICMPV6_TYPES = {
    "unreach": "DestUnreachs",
    "packet too big": "PktTooBigs",
    "time exceed": "TimeExcds",
    "parameter problem": "ParmProblems",
    "echo": "Echos",
    "echo reply": "EchoReplies",
    "multicast listener query": "GroupMembQueries",
    "multicast listener report": "GroupMembResponses",
    "MLDv1 listener report": "GroupMembResponses",
    "multicast listener done": "GroupMembReductions",
    "MLDv1 listener done": "GroupMembReductions",
    "MLDv2 listener report": "MLDv2Reports",
    "router solicitation": "RouterSolicits",
    "router advertisement": "RouterAdvertisements",
    "neighbor solicitation": "NeighborSolicits",
    "neighbor advertisement": "NeighborAdvertisements",
    "redirect": "Redirects",
}
TYPES = {"icmp": _ICMP_TYPES, "icmp6": _ICMPV6_TYPES}
"""What stands behind In or Out in the name of a counter of messages of one type."""

_IRREGULAR = {"ies": "y", "sses": "ss", "tches": "tch"}
_NOUNS = frozenset(
    {
        "accept", "ack", "advertisement", "announcement", "attempt", "buffer", "byte", "cache",
        "call",
        "change", "checksum", "collision", "connection", "cookie", "datagram", "destination",
        "done", "drop", "duplicate", "entry", "episode", "error", "failure", "field", "flood",
        "fragment", "frame", "free", "gateway", "handshake", "header", "length", "lookup",
        "match", "message", "miss", "offset", "option", "overflow", "packet", "prediction", "probe",
        "problem", "query", "quench", "redirect", "reply", "report", "request", "reset", "resend",
        "response", "retransmission", "retransmit", "rexmit", "route", "segment", "socket",
        "solicitation", "state", "switch", "syn", "timeout", "time", "transmission", "transmit",
        "update", "use",
    }
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_UNCOUNTED = ("with ", "discarded because ", "discarded due ", "dropped due ", "missed ")
"""Texts that are the same for one and for many begin so."""


def key(text: str) -> str:
    """The text of a counter as it is looked up: the same for one and for many."""
    return " ".join(_WORD.sub(lambda found: _singular(found[0]), text).split())


def _singular(word: str) -> str:
    for ending, single in _IRREGULAR.items():
        if word.endswith(ending) and word[: -len(ending)] + single in _NOUNS:
            return word[: -len(ending)] + single
    return word[:-1] if word.endswith("s") and word[:-1].lower() in _NOUNS else word


def own_name(known: str, *, counted: bool = True) -> str:
    """The tool's words as a name: of the first nouns in a row the last in the plural, as the tool
    has it for all numbers but one, the rest as :func:`key` has it, in lower case with ``_``.

    Not ``counted`` is what stands in front of its number: it has no plural."""
    words = re.findall(r"[a-z0-9-]+", known.replace("'", "").lower())
    if counted and not known.startswith(_UNCOUNTED):
        for place, word in enumerate(words):
            following = words[place + 1] if place + 1 < len(words) else ""
            if word in _NOUNS and following not in _NOUNS:
                words[place] = _plural(word)
                break
    return "_".join(words).replace("-", "_")


def _plural(word: str) -> str:
    if word in ("entry", "query", "reply"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "ch")) else "s")
