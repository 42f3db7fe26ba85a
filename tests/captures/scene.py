"""Sockets in every state, made on the near host, and the truth of each.

Every connection has an address of the far host for itself, so that one can be cut off (its frames
go to a machine that does not exist) without touching another. A socket cut off at the right moment
stays in its state for a minute and longer: the kernel sends again and again and hears nothing.
"""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

from tests.captures.namespaces import NEAR_MAC, REDIRECTED_PORT, Hosts, ip
from tests.captures.packets import send_syn
from tests.captures.programs import Program, Programs
from tests.captures.sockets import (
    FAMILIES,
    NUMBERS,
    PEER_PORT,
    STATES,
    Endpoint,
    as_user,
    bound,
    peer,
    state_of,
    wait_for,
)
from tests.waiting import wait_until

NEAR = {4: "10.9.1.1", 6: "2001:db8:9:1::1"}
FAR = {4: "10.9.1.2", 6: "2001:db8:9:1::2"}
LONG = "2001:db8:9:1:a:b:c:1d"
"""Too long for the columns of netstat without -W."""
ANY = {4: "0.0.0.0", 6: "::"}
SUFFIX = {4: "", 6: "6"}
UDPLITE = 136
GROUPS = {4: "239.9.1.5", 6: "ff15::9:5"}
WWW_DATA = 33
WEB_PORT, HTTPS_PORT, ZONE_PORT = 80, 8443, 5000

UNANSWERED = ("SYN_SENT", "SYN_RECV")
CUT_OFF = ("FIN_WAIT1", "LAST_ACK", "CLOSING")

NEWLINE = b"new\nline"
ODD_PORT = 2500
"""Of the first of these; each has the next."""
ODD_NAMES: tuple[tuple[str, bytes], ...] = (
    ("udp", b"LISTEN"),
    ("udp", b"wd ESTABLISHED x"),
    ("tcp", b"kworker/u4:2"),
    ("tcp", b"two  blanks"),
    ("tcp", b"odd) (name"),
    ("tcp", b'quo"te,pid=1'),
    ("tcp", b"[::]:22"),
    ("tcp", b"12/34"),
    ("tcp", b"-"),
    ("tcp", b"caf\xc3\xa9"),
    ("tcp", b"\xff\xfe"),
    ("tcp", b"esc\x1b[31m"),
    ("tcp", NEWLINE),
)
TITLES = {"app": b"app", "master": b"nginx: master pr", "worker": b"nginx: worker pr"}
NAMES = """\
127.0.0.1 localhost
::1 ip6-localhost
10.9.1.1 near.example near
10.9.1.2 far.example
10.9.1.11 database-primary.internal.example
2001:db8:9:1::1 near6.example
"""


class Truth(NamedTuple):
    """How a socket was made, in the words of ``probes.parsers.records``, without zones."""

    protocol: str
    local_ip: str
    local_port: int
    foreign_ip: str
    foreign_port: int | None
    state: str | None
    recv_queue: int
    inode: int
    """0 where no process has it."""
    uid: int
    holders: tuple[str, ...]
    """Keys into the programs; empty where it belongs to the kernel alone."""


class Scene:
    """Build with ``build``; then run whatever shall look at it."""

    def __init__(self) -> None:
        self.hosts = Hosts(NAMES)
        self.truths: list[Truth] = []
        self.unix: list[dict[str, Any]] = []
        self.programs: dict[str, Program] = {}
        self._far: list[socket.socket] = []
        self._given: dict[str, list[socket.socket]] = {}
        self._titles = dict(TITLES)

    def build(self) -> None:
        """All of it; ends when every socket is in its state and every program has its name."""
        answering = [NUMBERS[state] for state in STATES if state not in UNANSWERED]
        self.hosts.add_peers([peer(family, number) for number in answering for family in (4, 6)])
        self.hosts.add_routes()
        ip(f"address add {LONG}/64 dev near0 nodad")
        self._cut(UNANSWERED)
        self._listeners()
        pairs = {}
        for family in (4, 6):
            self._answered_states(family)
            pairs.update({(family, state): self._connect(family, state) for state in CUT_OFF})
            pairs[family, "LAST_ACK"][1].close()
            wait_for(family, NUMBERS["LAST_ACK"], "CLOSE_WAIT")
        self._cut(CUT_OFF)
        for family in (4, 6):
            self._fin_wait1(family, *pairs[family, "FIN_WAIT1"])
            self._last_ack(family, *pairs[family, "LAST_ACK"])
            self._closing(family, *pairs[family, "CLOSING"])
            self._syn_sent(family)
            self._syn_recv(family)
            self._datagrams(family)
        self._odd_names()
        self._unix_sockets()
        self._give_away()

    def connect_to_redirected(self) -> None:
        """A connection whose port the near host's kernel rewrites; see ``track_connections``."""
        self._from_far(4, (NEAR[4], REDIRECTED_PORT), port=50_081)

    def as_json(self) -> dict[str, Any]:
        """The truth as plain data; names of programs as hexadecimal bytes."""
        return {
            "sockets": [truth._asdict() for truth in self.truths],
            "unix": self.unix,
            "programs": {
                key: {"pid": program.pid, "title": program.title.hex(), "comm": program.comm.hex()}
                for key, program in self.programs.items()
            },
        }

    # ---- TCP

    def _listeners(self) -> None:
        for family in (4, 6):
            protocol = "tcp" + SUFFIX[family]
            with as_user(WWW_DATA):
                web = bound(family, socket.SOCK_STREAM, (ANY[family], WEB_PORT))
            web.listen(16)
            # One that nobody accepts waits in the listener's queue and belongs to nobody.
            waiting = self._from_far(family, (NEAR[family], WEB_PORT), port=50_080)
            self._know(web, protocol, (ANY[family], None), "LISTEN", ("master", "worker"), recv=1)
            self.truths.append(
                Truth(protocol, NEAR[family], WEB_PORT, *waiting, "ESTABLISHED", 0, 0, WWW_DATA, ())
            )
        both = socket.create_server(
            ("::", HTTPS_PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=16
        )
        self._know(both, "tcp6", (ANY[6], None), "LISTEN")
        mapped_from = self._from_far(4, (NEAR[4], HTTPS_PORT), port=50_443)
        mapped, _ = both.accept()
        self._know(mapped, "tcp6", mapped_from, "ESTABLISHED", local=(NEAR[4], HTTPS_PORT))
        zone = bound(6, socket.SOCK_STREAM, ("fe80::1%near0", ZONE_PORT))
        zone.listen(16)
        self._know(zone, "tcp6", (ANY[6], None), "LISTEN", local=("fe80::1", ZONE_PORT))
        self._from_far(6, ("fe80::1%far0", ZONE_PORT), port=50_500)
        linked, _ = zone.accept()
        self._know(linked, "tcp6", ("fe80::2", 50_500), "ESTABLISHED", local=("fe80::1", ZONE_PORT))
        long = bound(6, socket.SOCK_STREAM, (LONG, 443))
        long.listen(16)
        self._know(long, "tcp6", (ANY[6], None), "LISTEN")
        inner = bound(4, socket.SOCK_STREAM, ("127.0.0.1", 6379))
        inner.listen(16)
        self._know(inner, "tcp", (ANY[4], None), "LISTEN")
        device = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        device.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"near0")
        device.bind((ANY[4], 5001))
        device.listen(16)
        self._know(device, "tcp", (ANY[4], None), "LISTEN")

    def _answered_states(self, family: int) -> None:
        """States that last because nobody has anything to say."""
        near, far = self._connect(family, "ESTABLISHED")
        near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        far.sendall(b"x" * 100)
        wait_until(lambda: len(near.recv(1000, socket.MSG_PEEK)) == 100)
        self._know_peer(near, family, "ESTABLISHED", recv=100)

        near, _ = self._connect(family, "FIN_WAIT2")
        near.shutdown(socket.SHUT_WR)
        self._know_peer(near, family, "FIN_WAIT2")

        near, far = self._connect(family, "CLOSE_WAIT")
        far.close()
        self._know_peer(near, family, "CLOSE_WAIT", recv=1)

        near, far = self._connect(family, "TIME_WAIT")
        near.close()
        far.close()
        self._know_orphan(family, "TIME_WAIT")

    def _fin_wait1(self, family: int, near: socket.socket, far: socket.socket) -> None:
        near.shutdown(socket.SHUT_WR)
        self._know_peer(near, family, "FIN_WAIT1")

    def _last_ack(self, family: int, near: socket.socket, far: socket.socket) -> None:
        near.close()
        self._know_orphan(family, "LAST_ACK", recv=1)

    def _closing(self, family: int, near: socket.socket, far: socket.socket) -> None:
        near.shutdown(socket.SHUT_WR)
        wait_for(family, NUMBERS["CLOSING"], "FIN_WAIT1")
        far.close()
        self._know_peer(near, family, "CLOSING", recv=1)

    def _syn_sent(self, family: int) -> None:
        number = NUMBERS["SYN_SENT"]
        near = bound(family, socket.SOCK_STREAM, (NEAR[family], 40_000 + number))
        near.setblocking(False)
        near.connect_ex((peer(family, number), PEER_PORT))
        self._know_peer(near, family, "SYN_SENT")

    def _syn_recv(self, family: int) -> None:
        number = NUMBERS["SYN_RECV"]
        source = peer(family, number), 50_000 + number
        near = NEAR[family], WEB_PORT
        with self.hosts.far():
            send_syn("far0", to_mac=NEAR_MAC, source=source, target=near)
        wait_until(lambda: state_of(family, near[1], source[1]) == "SYN_RECV")
        self.truths.append(
            Truth("tcp" + SUFFIX[family], *near, *source, "SYN_RECV", 0, 0, WWW_DATA, ())
        )

    def _connect(self, family: int, state: str) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection that the near host makes to the address for ``state``."""
        number = NUMBERS[state]
        with self.hosts.far():
            listener = bound(family, socket.SOCK_STREAM, (peer(family, number), PEER_PORT))
        listener.listen(1)
        near = bound(family, socket.SOCK_STREAM, (NEAR[family], 40_000 + number))
        near.connect((peer(family, number), PEER_PORT))
        far, _ = listener.accept()
        listener.close()
        self._far.append(far)
        return near, far

    def _from_far(self, family: int, to: Endpoint, *, port: int) -> Endpoint:
        """A connection made by the far host; where it comes from."""
        own = "fe80::2%far0" if "%" in to[0] else FAR[family]
        with self.hosts.far():
            far = bound(family, socket.SOCK_STREAM, (own, port))
            far.connect(socket.getaddrinfo(*to)[0][4])
        self._far.append(far)
        return own, port

    # ---- the rest

    def _datagrams(self, family: int) -> None:
        udp, lite, raw = (f"{name}{SUFFIX[family]}" for name in ("udp", "udplite", "raw"))
        anyone = ANY[family], None
        for kind, protocol, name in ((0, udp, 5300), (UDPLITE, lite, 5400)):
            taking = bound(family, socket.SOCK_DGRAM, (ANY[family], name), kind)
            self._know(taking, protocol, anyone, None, local=(ANY[family], name))
            talking = bound(family, socket.SOCK_DGRAM, (NEAR[family], name + 1), kind)
            talking.connect((FAR[family], 53))
            talking.send(b"x")
            self._know(talking, protocol, (FAR[family], 53), "ESTABLISHED")
        member = bound(family, socket.SOCK_DGRAM, (GROUPS[family], 5500))
        index = socket.if_nametoindex("near0")
        if family == 4:
            request = socket.inet_aton(GROUPS[4]) + socket.inet_aton(NEAR[4])
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        else:
            group = socket.inet_pton(socket.AF_INET6, GROUPS[6]) + index.to_bytes(4, "little")
            member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
            both = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            both.bind(("::", 5600))
            self._know(both, udp, anyone, None)
        self._know(member, udp, anyone, None)
        number = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
        listening = socket.socket(FAMILIES[family], socket.SOCK_RAW, number)
        self._know(listening, raw, anyone, None, local=(ANY[family], number))

    def _odd_names(self) -> None:
        for index, (protocol, title) in enumerate(ODD_NAMES):
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            held = bound(4, kind, ("127.0.0.1", ODD_PORT + index))
            if protocol == "tcp":
                held.listen(16)
            key = f"odd{index}"
            self._titles[key] = title
            state = "LISTEN" if protocol == "tcp" else None
            self._know(held, protocol, (ANY[4], None), state, (key,))

    def _unix_sockets(self) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind("/run/app.sock")
        server.listen(8)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect("/run/app.sock")
        accepted, _ = server.accept()
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind("/run/two words.sock")
        packets = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        packets.bind(b"\0app/control")
        packets.listen(8)
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for made, kind, state, path in (
            (server, "stream", "LISTEN", "/run/app.sock"),
            (client, "stream", "ESTABLISHED", None),
            (accepted, "stream", "ESTABLISHED", "/run/app.sock"),
            (log, "dgram", None, "/run/two words.sock"),
            (packets, "seqpacket", "LISTEN", "@app/control"),
            (one, "stream", "ESTABLISHED", None),
            (other, "stream", "ESTABLISHED", None),
        ):
            inode = os.fstat(made.fileno()).st_ino
            self.unix.append({"type": kind, "state": state, "path": path, "inode": inode})
            self._given.setdefault("app", []).append(made)

    # ---- the account

    def _know(
        self,
        made: socket.socket,
        protocol: str,
        foreign: tuple[str, int | None],
        state: str | None,
        holders: tuple[str, ...] = ("app",),
        *,
        local: Endpoint | None = None,
        recv: int = 0,
    ) -> None:
        """Note the truth of a socket, and who shall have it."""
        about = os.fstat(made.fileno())
        ip, port = made.getsockname()[:2] if local is None else local
        self.truths.append(
            Truth(protocol, ip, port, *foreign, state, recv, about.st_ino, about.st_uid, holders)
        )
        for holder in holders:
            self._given.setdefault(holder, []).append(made)

    def _know_peer(self, made: socket.socket, family: int, state: str, *, recv: int = 0) -> None:
        number = NUMBERS[state]
        wait_for(family, number, state)
        self._know(
            made, "tcp" + SUFFIX[family], (peer(family, number), PEER_PORT), state, recv=recv
        )

    def _know_orphan(self, family: int, state: str, *, recv: int = 0) -> None:
        number = NUMBERS[state]
        wait_for(family, number, state)
        near, far = (NEAR[family], 40_000 + number), (peer(family, number), PEER_PORT)
        self.truths.append(Truth("tcp" + SUFFIX[family], *near, *far, state, recv, 0, 0, ()))

    def _cut(self, states: tuple[str, ...]) -> None:
        self.hosts.cut([peer(family, NUMBERS[state]) for state in states for family in (4, 6)])

    def _give_away(self) -> None:
        """Start the programs with their sockets; this process keeps none of the near host's."""
        programs = Programs()
        for key, made in self._given.items():
            self.programs[key] = programs.hold(self._titles[key], [each.fileno() for each in made])
        programs.wait()
        for made in self._given.values():
            for each in made:
                each.close()
