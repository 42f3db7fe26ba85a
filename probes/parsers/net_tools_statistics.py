"""Counters of protocols as ``netstat -s`` tells them in sentences.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
statistics.c of net-tools: a protocol a heading, a counter a line, whose words
``net_tools_mib`` turns back into the names that the kernel has for them; a counter that the
tool has no words for stands there by its name::

    Tcp:
        16 active connection openings
    Icmp:
        ICMP input histogram:
            destination unreachable: 2
    TcpExt:
        Quick ack mode was activated 2 times
        TCPLossProbes: 6

What is in neither form is kept under its own words: ``5 things done`` as ``things_done``.
"""

from __future__ import annotations

import re

from probes.parsers import mib, sections
from probes.parsers.lines import OddLine, counter, visible
from probes.parsers.net_tools_mib import HISTOGRAMS, SENTENCES
from probes.parsers.netstat_linux import NAME
from probes.parsers.records import Tables

_PROTOCOLS = {**mib.PROTOCOLS, "Tcp6": "tcp"}
"""Tcp6 is a heading of some versions over the counters both families share."""
_PREFIXED = ("Icmp6", "UdpLite6", "Udp6", "Ip6", "Sctp")
"""/proc/net/snmp6 and /proc/net/sctp/snmp name the protocol in front of each counter."""
_OTHER_PROTOCOL = re.compile(r"([A-Z][A-Za-z0-9]{1,30}):\s*\Z")
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,63}) ?: ([0-9]{1,20})")
_COUNT = re.compile(r"[0-9]+")
_BLANKS = re.compile(r"\s+")
_OTHER_CHARS = re.compile(r"[\W_]+")
_SETTINGS = ("forwarding is ", "rto algorithm is ", "default ttl is ")
_MAX_LINE_CHARS = 300
_MAX_NAME_CHARS = 64
_MAX_OTHER_PROTOCOLS = 100


class Statistics(sections.Reader):
    """The lines of one protocol, and of protocols we do not know by name after it."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._direction = ""
        self._protocol = _PROTOCOLS[(heading or "").strip().rstrip(":")]
        tables.protocols.setdefault(self._protocol, {})

    def read(self, line: str) -> bool:
        """Add the counter, or note whose are those that follow."""
        if len(line) > _MAX_LINE_CHARS:
            raise OddLine("line too long for a counter")
        text = line.strip()
        if not line.startswith((" ", "\t")):
            return self._other_protocol(text)
        if text.endswith(":"):
            # Those received come first, in whatever language.
            self._direction = "out" if self._direction or " output " in text else "in"
            return False
        name, value = self._counter(text)
        if name:
            self.tables.protocols[self._protocol][name] = value
        return True

    def _other_protocol(self, text: str) -> bool:
        found = _OTHER_PROTOCOL.fullmatch(text)
        if found is None or len(self.tables.protocols) > _MAX_OTHER_PROTOCOLS:
            raise OddLine("not a counter of a protocol")
        self._protocol, self._direction = found[1].lower(), ""
        self.tables.protocols.setdefault(self._protocol, {})
        return False

    def _counter(self, text: str) -> tuple[str, int]:
        named = _NAMED.fullmatch(text)
        words = _BLANKS.sub(" ", text.lower()).rstrip(". ")
        if named is None and words.startswith(_SETTINGS):
            return "", 0
        counts = list(_COUNT.finditer(words))
        for count in counts:
            sentence = f"{words[: count.start()]}#{words[count.end() :]}"
            known = self._known(sentence)
            if known is not None:
                return known, _value(count[0])
        if named is not None:
            return self._without_prefix(named[1]), _value(named[2])
        return _own_words(words, counts)

    def _known(self, sentence: str) -> str | None:
        if self._direction:
            known = HISTOGRAMS.get((self._protocol, self._direction), {}).get(sentence)
            if known is not None:
                return known
        return SENTENCES.get(self._protocol, {}).get(sentence)

    def _without_prefix(self, name: str) -> str:
        prefix = next((prefix for prefix in _PREFIXED if name.startswith(prefix)), "")
        if prefix and _PROTOCOLS[prefix] == self._protocol:
            return name[len(prefix) :] or name
        return name


def _own_words(words: str, counts: list[re.Match[str]]) -> tuple[str, int]:
    """A counter no list knows, under its own words. The count comes first or last, or it is the
    only number."""
    if not counts:
        raise OddLine("there is no number in it")
    if counts[0].start() == 0:
        count = counts[0]
    elif words.endswith(f": {counts[-1][0]}") or len(counts) == 1:
        count = counts[-1]
    else:
        raise OddLine("which number counts is not clear")
    name = _OTHER_CHARS.sub("_", words[: count.start()] + words[count.end() :]).strip("_")
    name = visible(name)[:_MAX_NAME_CHARS].rstrip("_")
    if not name:
        raise OddLine("a number without words")
    return name, _value(count[0])


def _value(text: str) -> int:
    return counter(text.lstrip("0") or "0")


OPENINGS = (
    sections.Opening(
        NAME,
        "protocols",
        Statistics,
        heading=f"(?:{'|'.join(_PROTOCOLS)}):[ \\t\\r]*\\Z",
    ),
)
