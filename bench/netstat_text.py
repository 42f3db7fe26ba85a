"""Socket tables of any size, as netstat and ss print them, the same for the same seed.

For the benchmarks: ``generate(100_000, 1)`` is a busy front server of about 10 MB of text,
``churn(text, 0.1, 2)`` the same server one probe later. The mix follows what such servers show:
most rows are inbound connections of a few programs, some outbound ones to databases, a sixth
TIME_WAIT without a process, a tenth IPv6, a little UDP, some rows with bytes in a queue, and a
few listeners that are the same to the letter because their workers share a port (SO_REUSEPORT).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Tool = Literal["netstat", "ss"]

_NETSTAT_HEADER = (
    "Active Internet connections (servers and established)",
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State       "
    "PID/Program name    ",
)
_SS_STATES = {
    "ESTABLISHED": "ESTAB",
    "SYN_SENT": "SYN-SENT",
    "SYN_RECV": "SYN-RECV",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "TIME_WAIT": "TIME-WAIT",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "LAST_ACK": "LAST-ACK",
    "LISTEN": "LISTEN",
    "": "UNCONN",
}
_LOCAL_V4 = ("10.20.0.5", "10.20.1.5")
_LOCAL_V6 = "2001:db8:20:1::5"
_INBOUND = (  # port, title of the process as netstat shows it, name as ss shows it, processes
    (443, "nginx: worker process", "nginx", 16),
    (80, "nginx: worker process", "nginx", 16),
    (8080, "java", "java", 4),
    (9000, "php-fpm: pool www", "php-fpm8.2", 24),
    (22, "sshd: deploy@pts/0", "sshd", 200),
)
_OUTBOUND = (
    ("10.20.8.11", 5432, "php-fpm: pool www", "php-fpm8.2", 24),
    ("10.20.8.12", 6379, "java", "java", 4),
    ("10.20.8.13", 3306, "java", "java", 4),
    ("10.20.9.40", 9092, "ship", "ship", 1),
)
_LISTENERS = (
    ("tcp", "0.0.0.0", 22, 812, "sshd: /usr/sbin/sshd", "sshd"),
    ("tcp6", "::", 22, 812, "sshd: /usr/sbin/sshd", "sshd"),
    ("tcp", "0.0.0.0", 80, 1201, "nginx: master process", "nginx"),
    ("tcp", "0.0.0.0", 443, 1201, "nginx: master process", "nginx"),
    ("tcp", "0.0.0.0", 443, 1201, "nginx: master process", "nginx"),
    ("tcp6", "::", 8080, 1410, "java", "java"),
    ("tcp", "127.0.0.1", 9000, 1533, "php-fpm: master", "php-fpm8.2"),
    ("tcp", "127.0.0.1", 25, 990, "master", "master"),
    ("udp", "0.0.0.0", 68, 640, "dhclient", "dhclient"),
    ("udp", "127.0.0.1", 323, 655, "chronyd", "chronyd"),
    ("udp6", "::1", 323, 655, "chronyd", "chronyd"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    protocol: str
    recv: int
    send: int
    local: str
    foreign: str
    state: str
    pid: int | None
    title: str
    name: str


class _Maker:
    """Rows never made before, from one seed."""

    def __init__(self, sockets: int, seed: int) -> None:
        self.random = random.Random(f"{sockets}/{seed}")
        self.taken: set[tuple[str, str, str]] = set()
        peers = max(8, sockets // 5)
        self.peers = [self._address() for _ in range(peers)]

    def _address(self) -> str:
        rng = self.random
        first = rng.choice((45, 81, 93, 112, 151, 185, 203, 217))
        return f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"

    def row(self) -> _Row:
        """One connection that no row made or taken so far is."""
        while True:
            row = self._any()
            key = (row.protocol, row.local, row.foreign)
            if key not in self.taken:
                self.taken.add(key)
                return row

    def _any(self) -> _Row:
        rng = self.random
        kind = rng.random()
        ephemeral = rng.randrange(32768, 61000)
        if kind < 0.02:
            far = rng.choice(("10.20.0.2:53", "10.20.0.3:53"))
            near = f"{rng.choice(_LOCAL_V4)}:{ephemeral}"
            resolver = "systemd-resolved"
            return _Row("udp", 0, 0, near, far, "ESTABLISHED", 702, resolver, resolver)
        if kind < 0.27:
            ip, port, title, name, processes = rng.choice(_OUTBOUND)
            protocol, near, far = "tcp", f"{rng.choice(_LOCAL_V4)}:{ephemeral}", f"{ip}:{port}"
        else:
            port, title, name, processes = rng.choices(_INBOUND, (50, 20, 15, 10, 5))[0]
            # A few peers have most connections, as in life.
            peer = self.peers[int(len(self.peers) * rng.random() ** 3)]
            if name == "java":
                protocol, near = "tcp6", f"{rng.choice(_LOCAL_V4)}:{port}"
                far = f"{peer}:{rng.randrange(1024, 65536)}"
            elif rng.random() < 0.1:
                protocol, near = "tcp6", f"{_LOCAL_V6}:{port}"
                far = (
                    f"2001:db8:{rng.randrange(1, 65536):x}:{rng.randrange(1, 64):x}:"
                    f"{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}:"
                    f"fe{rng.randrange(16, 256):x}:{rng.randrange(1, 65536):x}"
                    f":{rng.randrange(1024, 65536)}"
                )
            else:
                protocol, near = "tcp", f"{rng.choice(_LOCAL_V4)}:{port}"
                far = f"{peer}:{rng.randrange(1024, 65536)}"
        state = rng.choices(
            ("ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "FIN_WAIT2", "SYN_RECV", "LAST_ACK"),
            (78, 16, 3, 1.5, 1, 0.5),
        )[0]
        held = state in ("ESTABLISHED", "CLOSE_WAIT")
        pid = 2000 + sum(map(ord, name)) % 500 + rng.randrange(processes) if held else None
        queued = held and rng.random() < 0.03
        return _Row(
            protocol,
            rng.randrange(1, 90_000) if queued and rng.random() < 0.5 else 0,
            rng.randrange(1, 900_000) if queued else 0,
            near,
            far,
            state,
            pid,
            title,
            name,
        )


def generate(n: int, seed: int, *, tool: Tool = "netstat") -> str:
    """A table of ``n`` sockets with its header, each line ended by a newline."""
    return _text(_rows(n, seed), tool)


def detailed(text: str, seed: int) -> str:
    """A text of ``generate`` as the same tool prints it with ``-e`` and ``-o`` as well: user,
    inode and timer. Every connection has an inode of its own, one in three a timer that runs."""
    lines = text.split("\n")
    rng = random.Random(f"detailed/{seed}")
    if lines[0].startswith("Netid"):
        return "\n".join([lines[0], *(_ss_details(line, rng) for line in lines[1:-1]), ""])
    header = [lines[0], f"{lines[1][:-20]}User       Inode      {lines[1][-20:]}Timer"]
    return "\n".join([*header, *(_netstat_details(line, rng) for line in lines[2:-1]), ""])


def _netstat_details(line: str, rng: random.Random) -> str:
    ends, program = line[:-20], line[-20:]
    if program.startswith("-"):
        return f"{ends}{0:<10} {0:<10} {program}timewait ({rng.random() * 60:.2f}/0/0)"
    user, inode = rng.choice((0, 33, 112, 1000)), rng.randrange(10**4, 10**8)
    running = rng.random() < 0.3
    timer = f"keepalive ({rng.random() * 7200:.2f}/0/0)" if running else "off (0.00/0/0)"
    return f"{ends}{user:<10} {inode:<10} {program}{timer}"


def _ss_details(line: str, rng: random.Random) -> str:
    if "users:" not in line:
        return f"{line} timer:(timewait,{rng.randrange(60)}sec,0) ino:0 sk:{rng.randrange(2**20):x}"
    user, inode = rng.choice((0, 33, 112, 1000)), rng.randrange(10**4, 10**8)
    running = rng.random() < 0.3
    timer = f"timer:(keepalive,{rng.randrange(120)}min,0) " if running else ""
    uid = f"uid:{user} " if user else ""
    unit = f"cgroup:/system.slice/unit-{user}.service"
    return f"{line} {timer}{uid}ino:{inode} sk:{rng.randrange(2**20):x} {unit} <->"


def churn(text: str, fraction: float, seed: int) -> str:
    """The table one probe later: ``fraction`` of its lines are other lines now.

    Of those, eight in ten are connections that went, with as many new ones in other places; one
    in ten is in TIME_WAIT now; one in ten has another Recv-Q and nothing else. Listeners and UDP
    stay. Only for texts that ``generate`` or ``churn`` made.
    """
    lines = text.split("\n")
    tool: Tool = "ss" if lines[0].startswith("Netid") else "netstat"
    header = 1 if tool == "ss" else 2
    body = lines[header:-1]
    rng = random.Random(f"churn/{seed}")
    may_change = [
        at for at, line in enumerate(body) if "LISTEN" not in line and not line.startswith("udp")
    ]
    count = min(len(may_change), round(fraction * len(body)))
    chosen = rng.sample(may_change, count)
    maker = _Maker(len(body), seed * 7919 + 1)
    maker.taken = {_key(line, tool) for line in body}
    gone: set[int] = set()
    for position, at in enumerate(chosen):
        turn = position % 10
        if turn < 8 or " ESTAB" not in body[at]:
            gone.add(at)
        elif turn == 8:
            body[at] = _in_time_wait(body[at], tool)
        else:
            body[at] = _with_queue(body[at], tool, rng.randrange(90_000, 900_000))
    kept = [line for at, line in enumerate(body) if at not in gone]
    places = sorted(rng.randrange(len(kept) + 1) for _ in gone)
    merged: list[str] = []
    done = 0
    for place in places:
        merged += kept[done:place]
        merged.append(_line(_new_connection(maker), tool))
        done = place
    merged += kept[done:]
    return "\n".join([*lines[:header], *merged, ""])


def _new_connection(maker: _Maker) -> _Row:
    while True:
        row = maker.row()
        if row.protocol != "udp":
            return row


def _rows(n: int, seed: int) -> list[_Row]:
    listeners = [
        _Row(
            protocol,
            0,
            0,
            f"{ip}:{port}",
            ":::*" if protocol.endswith("6") else "0.0.0.0:*",
            "LISTEN" if protocol.startswith("tcp") else "",
            pid,
            title,
            name,
        )
        for protocol, ip, port, pid, title, name in _LISTENERS
    ][: max(1, n)]
    maker = _Maker(n, seed)
    connections = [maker.row() for _ in range(n - len(listeners))]
    order = {"tcp": 0, "tcp6": 1, "udp": 2, "udp6": 3}
    rows = [*listeners, *connections]
    return sorted(rows[:n], key=lambda row: order[row.protocol])


def _text(rows: list[_Row], tool: Tool) -> str:
    header = _NETSTAT_HEADER if tool == "netstat" else (_ss_line(*_SS_HEADER),)
    return "\n".join([*header, *(_line(row, tool) for row in rows), ""])


def _line(row: _Row, tool: Tool) -> str:
    return _netstat(row) if tool == "netstat" else _ss(row)


def _netstat(row: _Row) -> str:
    program = "-" if row.pid is None else f"{row.pid}/{row.title}"[:19]
    # net-tools pads tcp to four and two blanks, udp to five and one: the same six.
    return (
        f"{row.protocol:<6}{row.recv:>6} {row.send:>6} {row.local:<23} {row.foreign:<23} "
        f"{row.state:<11} {program:<20}"
    )


_SS_HEADER = (
    "Netid", "State", "Recv-Q", "Send-Q",
    "Local Address:", "Port", "Peer Address:", "Port", "Process",
)  # fmt: skip


def _ss_line(
    netid: str, state: str, recv: str, send: str,
    near: str, near_port: str, far: str, far_port: str, process: str,
) -> str:  # fmt: skip
    """One line in columns as wide as an IPv6 address needs, so that churn changes no width."""
    return (
        f"{netid:<5} {state:<10} {recv:<6} {send:<7} {near:>42}{near_port:<5} "
        f"{far:>42}{far_port:<5}{process}"
    )


def _ss(row: _Row) -> str:
    near, far = _ss_end(row.local, row.protocol), _ss_end(row.foreign, row.protocol)
    fd = 5 + sum(map(ord, row.foreign)) * 31 % 4000
    process = "" if row.pid is None else f' users:(("{row.name[:15]}",pid={row.pid},fd={fd}))'
    first = row.protocol.rstrip("6"), _SS_STATES[row.state], str(row.recv), str(row.send)
    return _ss_line(*first, *near, *far, process)


def _ss_end(endpoint: str, protocol: str) -> tuple[str, str]:
    host, _, port = endpoint.rpartition(":")
    if not protocol.endswith("6"):
        return f"{host}:", port
    if host == "::":
        return "*:", port
    return f"[::ffff:{host}]:" if "." in host else f"[{host}]:", port


def _key(line: str, tool: Tool) -> tuple[str, str, str]:
    fields = line.split(None, 6)
    if tool == "netstat":
        return fields[0], fields[3], fields[4]
    v6 = "6" if "[" in line or "*:" in fields[4] else ""
    ends = [end.replace("[::ffff:", "").replace("[", "").replace("]", "") for end in fields[4:6]]
    return fields[0] + v6, ends[0], ends[1]


def _with_queue(line: str, tool: Tool, value: int) -> str:
    """The same connection with ``value`` bytes unread; ``value`` has at most six digits."""
    if tool == "netstat":
        return f"{line[:6]}{value:>6}{line[12:]}"
    return f"{line[:17]}{value:<6}{line[23:]}"


def _in_time_wait(line: str, tool: Tool) -> str:
    """The same connection after it was closed from here: no process has it any more."""
    if tool == "netstat":
        return f"{line[:-32]}{'TIME_WAIT':<11} {'-':<20}"
    return f"{line[:6]}{'TIME-WAIT':<10}{line[16:]}".partition(" users:")[0]
