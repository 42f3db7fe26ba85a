"""What ``-p``, ``-e``, ``-o``, ``-i`` and ``-m`` make ss print after the addresses.

Place in the data's way: behind ``ss_rows`` and ``ss``, which find the text. Pure; knows no
columns. Formats from misc/ss.c of iproute2 (proc_ctx_print, tcp_timer_print, sock_details_print,
print_skmeminfo, tcp_stats_print). On the line itself, in this order::

    users:(("nginx",pid=14,fd=5),("nginx",pid=13,fd=5)) timer:(keepalive,1min59sec,0) uid:33
    ino:912770 sk:34b cgroup:/ v6only:0 <->

and on lines after it that begin with a tab, or with ``-O`` on the line as well::

    skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0) ts sack cubic wscale:7,7 rto:204
    rtt:0.024/0.012 cwnd:10 send 4826666667bps busy:12ms

iproute2 before 4 printed ``users:(("sshd",1071,3))``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from probes.parsers.lines import MAX_QUEUE, OddLine, process_id, program_name, visible
from probes.parsers.records import Details, Holder, Timer

USERS = "users:(("

_HOLDER = re.compile(
    r'\("(.{0,255}?)",(?:pid=)?([0-9]+),(?:tid=[0-9]+,)?(?:proc_ctx=[^,]{0,255},)?'
    r"(?:fd=)?([0-9]+)[,)]",
    re.DOTALL,
)
_CUT_NAME = re.compile(r'users:\(\("([^"]{0,255})\Z')
"""A name with a newline in it, of which this line has the beginning."""
_TIMER = re.compile(r"\(([a-z]{1,16}),([0-9a-z.]{0,20}),([0-9]{1,9})\)")
_SPAN = re.compile(
    r"(?:([0-9]{1,9})min)?(?:([0-9]{1,2})sec|([0-9])\.([0-9]{3})ms|([0-9]{3})ms)?",
)
_KINDS = {"persist": "probe"}
_COUNT_PROBES = frozenset({"keepalive", "probe"})
_IN_TWO_WORDS = frozenset({"send", "pacing_rate", "delivery_rate", "max_pacing_rate"})
_DIRECTIONS = frozenset({"<->", "-->", "<--", "---"})
_BEGINNING = re.compile(
    r"(?:[a-z][a-z0-9_-]*:|<->|-->|<--|---"
    r"|(?:ts|usec_ts|sack|ecn|ecnseen|fastopen|cubic|reno|bbr|bbr2|dctcp|vegas|westwood|htcp|bic"
    r"|illinois|cdg|nv|lp|yeah|veno|scalable|highspeed|hybla|tcp-ulp-[a-z]+|mptcp|backup)(?:\s|\Z))"
)
_CONTINUED = re.compile(r"\t\s*[a-z<-]")

_MAX_PAIRS = 128
_MAX_NAME = 64
_MAX_VALUE = 255
_MAX_TIMER = 64


def are_details(text: str) -> bool:
    """Whether ``text``, which has no ``users:`` before it, can be what this module reads."""
    return _BEGINNING.match(text) is not None


def is_continued(line: str) -> bool:
    """Whether a line goes on with the socket above it."""
    return _CONTINUED.match(line) is not None


def holders(users: str) -> tuple[tuple[Holder, ...], str]:
    """All holders out of ``users:(("nginx",pid=8,fd=6),...)`` in the order of the text, and what
    follows them. OddLine where there is none, or a PID is out of range.

    Of a program with a newline in its name the line has the name's beginning and no PID: a
    process must not hide a socket by what it calls itself.
    """
    known = []
    end = 0
    for found in _HOLDER.finditer(users):
        fd = int(found[3]) if len(found[3]) <= 10 else None
        known.append(Holder(process_id(found[2]), program_name(found[1]), fd))
        end = found.end()
    if not known:
        cut = _CUT_NAME.match(users)
        if cut is not None:
            return (Holder(None, program_name(cut[1]), None),), ""
        raise OddLine("process column not understood")
    after = users[end:].lstrip()
    if users[end - 1] != ")":  # after the descriptor comes its security context
        after = after.partition(")")[2]
    elif after.startswith(","):  # the next name is cut by a newline in it
        after = ""
    return tuple(known), after.lstrip(")").strip()


def lowest(known: tuple[Holder, ...]) -> tuple[int | None, str | None]:
    """PID and program of the holder with the lowest PID: the one that netstat names, the oldest
    of a family that inherited the socket, and the same in whatever order ss lists them."""
    first = min(known, key=lambda holder: (holder.pid or 0, holder.program or ""))
    return first.pid, first.program


def details(text: str, known: tuple[Holder, ...]) -> Details | None:
    """What ``text``, all after the holders, tells; None where that and they tell nothing."""
    several = known if len(known) > 1 else ()
    if not text:
        return Details(holders=several) if several else None
    return added(Details(holders=several), text)


def added(before: Details, text: str) -> Details:
    """``before`` and what ``text`` tells; of a name told twice, both are kept."""
    user, inode, timer = before.user, before.inode, before.timer
    more = list(before.more)
    owned = False
    words = iter(text.split())
    for word in words:
        name, _, value = word.partition(":")
        if not value or value[0] == "(":
            name, value = _pair(word, words)
        if name == "uid" and value.isascii() and value.isdigit():
            user = visible(value[:_MAX_NAME])
        elif name == "ino" and value.isascii() and value.isdigit() and len(value) <= 19:
            owned = True
            inode = int(value) or None
            if inode is not None and inode > MAX_QUEUE:
                inode = None
        elif name == "timer":
            timer = _timer(value) if len(value) <= _MAX_TIMER else None
        elif len(more) < _MAX_PAIRS:
            if len(name) > _MAX_NAME or len(value) > _MAX_VALUE or not word.isprintable():
                name, value = visible(name[:_MAX_NAME]), visible(value[:_MAX_VALUE])[:_MAX_VALUE]
            more.append((name, value))
    if owned and inode is not None and user is None:
        user = "0"  # ss leaves out the user where it is root (sock_details_print)
    return Details(user, inode, timer, before.holders, tuple(more))


def _pair(word: str, words: Iterator[str]) -> tuple[str, str]:
    """Name and value of ``word`` and, as far as they belong to it, those after it: ``rto:204``,
    ``skmem:(r0,t0)``, ``send 12bps``, ``cubic``, ``<->``. A word alone has the value ``yes``; the
    directions that are open are named so."""
    if word in _DIRECTIONS:
        return "directions", word
    if word in _IN_TWO_WORDS:
        return word, next(words, "")
    name, colon, value = word.partition(":")
    if not colon:
        name, bracket, value = word.partition("(")
        value = bracket + value
    if colon and not value:
        value = next(words, "")
    if value.startswith("(") and ")" not in value:
        parts = [value]
        for part in words:
            parts.append(part)
            if ")" in part:
                break
        value = " ".join(parts)
    return name, value or "yes"


@lru_cache(maxsize=1024)
def _timer(text: str) -> Timer | None:
    """``(keepalive,1min59sec,0)``: kind, time left, and what the kernel counts meanwhile: probes
    of keepalive and of a closed window, retransmits of the others (inet_diag.c)."""
    timer = _TIMER.fullmatch(text)
    if timer is None:
        return None
    kind = _KINDS.get(timer[1], timer[1])
    count = int(timer[3])
    return Timer(
        kind,
        _seconds(timer[2]),
        None if kind in _COUNT_PROBES else count,
        count if kind in _COUNT_PROBES else None,
    )


def _seconds(text: str) -> float | None:
    """``119min``, ``1min59sec``, ``58sec``, ``3.264ms`` (which is 3 s and 264 ms, print_ms_timer),
    ``340ms`` or nothing, which is 0; None for what is not of this form."""
    span = _SPAN.fullmatch(text)
    if span is None:
        return None
    minutes, whole, seconds, thousandths, milliseconds = span.groups("0")
    whole_s = int(minutes) * 60 + int(whole) + int(seconds)
    return (whole_s * 1000 + int(thousandths) + int(milliseconds)) / 1000
