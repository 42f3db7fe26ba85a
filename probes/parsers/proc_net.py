"""The kernel's own tables of sockets: /proc/net/{tcp,udp,udplite,raw}, each with a 6, and unix.

Place in the data's way: tables of the dialect ``proc``, behind ``probes.parsers.parse``, for hosts
with neither netstat nor ss. Pure. Layout: proc(5), tcp4_seq_show and udp4_format_sock of the
kernel. Each file is introduced as head(1) and tail(1) do it::

    ==> /proc/net/tcp <==
     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt  uid  timeout inode
      1: 0100007F:18EB 00000000:0000 0A 00000000:00000001 00:00000000 00000000   33        0 912768
    ==> /proc/net/unix <==
    Num       RefCount Protocol Flags    Type St Inode Path
    000000000bc7a4a3: 00000002 00000000 00010000 0001 01 913580 /run/app.sock

Without that line a TCP table is told from a UDP one by its title or its states, while raw and
UDP-Lite look like UDP to the letter. Which process holds a socket is nowhere in these files.

Addresses are printed as 32-bit numbers in the byte order of the host (``%08X`` of a ``__be32``),
of which the text tells nothing. It is taken for little-endian, as x86, ARM and all common machines
are; on s390x the bytes of each number would come out reversed. Timers count in USER_HZ, which is
100 a second on every architecture but Alpha and IA-64.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, MAX_QUEUE, OddLine, visible
from probes.parsers.records import Details, Flag, Socket, Tables, Timer, UnixSocket
from probes.parsers.words import gettext_noop

NAME = "proc"

NO_PIDS = gettext_noop("/proc/net shows no PIDs and no programs")
LIKE_UDP = gettext_noop(
    "a raw or UDP-Lite table of /proc/net looks like one of UDP: without the name of its file it "
    "is taken for UDP"
)

TAKEN_FOR_RAW = gettext_noop(
    "the second table of /proc/net that looks like one of UDP is taken for raw: without the names "
    "of the files their order tells"
)

FOLDER = r"==> +(?:\./|/proc/(?:[a-z0-9-]{1,20}/)?net/)?"
"""What stands before a file's name, from inside the folder nothing."""
_FILE = re.compile(rf"{FOLDER}(tcp|udp|udplite|raw)6? +<==")
_TITLE = re.compile(r"\s*sl\s+local_address\s+rem")
_ROW_SHAPE = r"\s*[0-9]+: (?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4} [0-9A-F]{8,32}:[0-9A-F]{4} [01]"
_ROW = re.compile(
    r"\s*[0-9]+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})"
    r" ([0-9A-F]{2}) ([0-9A-F]{8,16}):([0-9A-F]{8,16}) ([0-9A-F]{2}):([0-9A-F]{8,16})"
    r" ([0-9A-F]{8}) +([0-9]{1,10}) +([0-9]{1,10}) +([0-9]{1,19})((?: .*)?)"
)
_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
    "0C": "SYN_RECV",
}
"""include/net/tcp_states.h; 0C is a SYN_RECV of newer kernels before it has a socket."""
_TIMERS = {"01": "on", "02": "keepalive", "03": "timewait", "04": "probe"}
_CLOSED = "07"
_MAX_IP_PROTOCOL = 255
_USER_HZ = 100

_UNIX_TITLE = r"Num +RefCount +Protocol +Flags +Type +St +Inode"
_UNIX_ROW = re.compile(
    r"[0-9A-Fa-f]{1,16}: ([0-9A-F]{8}) [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +"
    r"([0-9]{1,19})((?: .*)?)"
)
_UNIX_TYPES = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket"}
_UNIX_STATES = {"00": "FREE", "01": None, "02": "CONNECTING", "03": "CONNECTED"}
_UNIX_STATES["04"] = "DISCONNECTING"
_UNIX_FLAGS = ((0x10000, "ACC"), (0x20000, "W"), (0x40000, "N"))
_ACCEPTING = 0x10000
_MAX_PATH = 255


class Sockets(sections.Reader):
    """Rows of one file, or of several that follow one another without a name."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        named = _FILE.match(heading or "")
        self._file = named[1] if named else None
        self._titled: str | None = None
        self._like_udp: set[str] = set()
        """Families of which a table that looks like one of UDP was met."""
        self._known: dict[str, tuple[str, bool]] = {}

    def read(self, line: str) -> bool:
        """Add the row."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        if _TITLE.match(line):
            self._begin(line)
            return False
        row = _ROW.fullmatch(line)
        if row is None:
            raise OddLine("not a row of a table of sockets in /proc/net")
        cells = row.groups()
        base = self._file or self._by_shape(cells[4], cells[13])
        if base == "raw" and self._file is None and int(cells[1], 16) > _MAX_IP_PROTOCOL:
            base = "udp"
        socket, details = self._socket(base, cells)
        self.tables.details[len(self.tables.sockets)] = details
        self.tables.sockets.append(socket)
        self.tables.remark(NO_PIDS)
        if base == "udp" and self._file is None:
            self.tables.remark(LIKE_UDP)
        if base == "raw" and self._file is None:
            self.tables.remark(TAKEN_FOR_RAW)
        return True

    def _begin(self, title: str) -> None:
        """Take the title of a file without a name. Files are read in the order tcp tcp6 udp udp6
        raw raw6, so that the second of a family that looks like UDP is raw."""
        if "drops" not in title:
            self._titled = "tcp"
            self._like_udp.clear()
            return
        family = "inet6" if "remote_address" in title else "inet"
        self._titled = "raw" if family in self._like_udp else "udp"
        self._like_udp.add(family)

    def _by_shape(self, state: str, after: str) -> str:
        """tcp or udp. A closed TCP socket is in no table; one that is established has more
        numbers after the inode than the three of UDP."""
        if self._titled is not None:
            return self._titled
        if state == _CLOSED or (state == "01" and len(after.split()) == 3):
            return "udp"
        return "tcp"

    def _socket(self, base: str, cells: tuple[str, ...]) -> tuple[Socket, Details]:
        (local, local_port, foreign, foreign_port, state, sending, receiving, timer, when, again,
         uid, probes, inode, _) = cells  # fmt: skip
        near, near_mapped = self._address(local)
        far, far_mapped = self._address(foreign)
        socket = Socket(
            protocol=f"{base}6" if len(local) == 32 else base,
            recv_queue=_amount(receiving),
            send_queue=_amount(sending),
            local_ip=near,
            local_port=int(local_port, 16) or None,
            foreign_ip=far,
            foreign_port=int(foreign_port, 16) or None,
            state=_state(base, state),
            pid=None,
            program=None,
            flags=(Flag.LOCAL_MAPPED if near_mapped else 0)
            | (Flag.FOREIGN_MAPPED if far_mapped else 0),
        )
        owned = int(inode) if 0 < int(inode) <= MAX_QUEUE else None
        kind = _TIMERS.get(timer)
        details = Details(
            # Of a socket that only waits for its end the kernel prints 0 for user and inode.
            user=uid if owned is not None or int(uid) else None,
            inode=owned,
            timer=None
            if kind is None
            else Timer(kind, int(when, 16) / _USER_HZ, int(again, 16), int(probes)),
        )
        return socket, details

    def _address(self, text: str) -> tuple[str, bool]:
        """Canonical text, and whether it was a mapped IPv4 address."""
        if text not in self._known:
            self._known[text] = address(text)
        return self._known[text]


def address(text: str) -> tuple[str, bool]:
    """Canonical text of an address of 8 or 32 digits, and whether it was a mapped IPv4 one."""
    number = bytes.fromhex(text)
    packed = b"".join(number[at : at + 4][::-1] for at in range(0, len(number), 4))
    if len(packed) == 4:
        return str(ipaddress.IPv4Address(packed)), False
    whole = ipaddress.IPv6Address(packed)
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped), True
    return str(whole), False


def _amount(digits: str) -> int:
    amount = int(digits, 16)
    if amount > MAX_QUEUE:
        raise OddLine("queue is not a number from 0 to 9223372036854775807")
    return amount


def _state(base: str, number: str) -> str | None:
    if base == "raw" or (base != "tcp" and number == _CLOSED):
        return None
    return _STATES.get(number, "UNKNOWN")


class UnixSockets(sections.Reader):
    """Rows of /proc/net/unix."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the row."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        row = _UNIX_ROW.fullmatch(line)
        if row is None:
            raise OddLine("not a row of /proc/net/unix")
        references, flag_bits, kind, state, inode, path = row.groups()
        bits = int(flag_bits, 16)
        if int(inode) > MAX_QUEUE:
            raise OddLine("inode is too large")
        name = path[1:].rstrip()
        self.tables.unix.append(
            UnixSocket(
                type=_UNIX_TYPES.get(int(kind, 16)),
                state="LISTEN" if bits & _ACCEPTING else _UNIX_STATES.get(state, "UNKNOWN"),
                path=visible(name[:_MAX_PATH])[:_MAX_PATH] or None,
                references=int(references, 16),
                flags=" ".join(word for bit, word in _UNIX_FLAGS if bits & bit) or None,
                inode=int(inode) or None,
            )
        )
        self.tables.remark(NO_PIDS)
        return True


OPENINGS = (
    sections.Opening(NAME, "sockets", Sockets, heading=_FILE.pattern),
    sections.Opening(NAME, "sockets", Sockets, row=rf"{_TITLE.pattern}|{_ROW_SHAPE}"),
    sections.Opening(NAME, "unix", UnixSockets, heading=_UNIX_TITLE),
    sections.Opening(
        NAME, "unix", UnixSockets, row=r"[0-9a-f]{8,16}: [0-9A-F]{8} [0-9A-F]{8} [0-9A-F]{8} 00"
    ),
)
