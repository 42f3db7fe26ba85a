"""A real DNS server on loopback, over UDP and TCP, that answers as a test tells it to.

``Server(answers)`` maps a question's name (``4.113.0.203.in-addr.arpa.``) to what to do about it:
a function from the query to the wire messages to send, in order; none for silence. Every question
is kept in ``asked``.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

Behaviour = Callable[[dns.message.Message], Iterable[bytes]]


class Server:
    """Listens from entry to exit; ``address`` is (host, port)."""

    def __init__(self, answers: dict[str, Behaviour] | None = None) -> None:
        self.answers = self.by_name(answers or {})
        self.asked: list[str] = []
        self.over_tcp = 0
        self._udp, self._tcp = _bound(self._handler())
        self.address: tuple[str, int] = self._udp.getsockname()
        self._threads = [
            threading.Thread(target=self._serve_udp, daemon=True),
            threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True),
        ]

    @staticmethod
    def by_name(answers: dict[str, Behaviour]) -> dict[str, Behaviour]:
        """By the name that is asked for, not by the address it stands for."""
        return {
            dns.reversename.from_address(ip).to_text(): behaviour
            for ip, behaviour in answers.items()
        }

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._udp.sendto(b"", self.address)  # an empty datagram ends the loop
        self._tcp.shutdown()
        self._tcp.server_close()
        for thread in self._threads:
            thread.join(20)
        self._udp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(65_535)
            if not wire:
                return
            for reply in self._replies(wire):
                self._udp.sendto(reply, client)

    def _replies(self, wire: bytes) -> Iterable[bytes]:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text()
        self.asked.append(name)
        return self.answers.get(name, nameless())(query)

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                length = self.request.recv(2)
                wire = self.request.recv(struct.unpack("!H", length)[0])
                server.over_tcp += 1
                query = dns.message.from_wire(wire)
                name = query.question[0].name.to_text()
                for reply in server.answers[f"tcp {name}"](query):
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)

        return Handler

    def by_tcp(self, ip: str, behaviour: Behaviour) -> None:
        """What to answer to a question that comes by TCP."""
        self.answers[f"tcp {dns.reversename.from_address(ip).to_text()}"] = behaviour


def _bound(
    handler: type[socketserver.BaseRequestHandler],
) -> tuple[socket.socket, socketserver.ThreadingTCPServer]:
    """UDP and TCP on one port; of a port whose TCP side somebody has, another is tried."""
    for _attempt in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            tcp = socketserver.ThreadingTCPServer(udp.getsockname(), handler)
        except OSError:
            udp.close()
            continue
        tcp.daemon_threads = True
        return udp, tcp
    raise AssertionError("no port is free for both UDP and TCP")


def named(*names: str, ttl_s: int = 7200) -> Behaviour:
    """Answers PTR records."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.answer.append(_records(query.question[0].name, "PTR", names, ttl_s))
        return [reply.to_wire()]

    return answer


def alias(to: str, name: str, *, ttl_s: int = 7200) -> Behaviour:
    """Answers a CNAME and the PTR it leads to (RFC 2317)."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.answer.append(_records(query.question[0].name, "CNAME", [to], 86_400))
        reply.answer.append(_records(dns.name.from_text(to), "PTR", [name], ttl_s))
        return [reply.to_wire()]

    return answer


def alias_loop() -> Behaviour:
    """A CNAME that leads back to itself."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        there, back = query.question[0].name, dns.name.from_text("loop.example.")
        reply.answer.append(_records(there, "CNAME", ["loop.example."], 60))
        reply.answer.append(_records(back, "CNAME", [there.to_text()], 60))
        return [reply.to_wire()]

    return answer


def nameless(*, minimum_s: int = 3000) -> Behaviour:
    """NXDOMAIN with the SOA that says for how long."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.example. hostmaster.example. 1 7200 900 1209600 {minimum_s}"
        reply.authority.append(_records(dns.name.from_text("in-addr.arpa."), "SOA", [soa], 86_400))
        return [reply.to_wire()]

    return answer


def empty() -> Behaviour:
    """The name is there and has no PTR."""
    return lambda query: [dns.message.make_response(query).to_wire()]


def refusing(code: int = dns.rcode.SERVFAIL) -> Behaviour:
    """An error of the server's."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.Rcode(code))
        return [reply.to_wire()]

    return answer


def silent() -> Behaviour:
    """Nothing at all."""
    return lambda _query: []


def lying_first(lie: str, truth: str) -> Behaviour:
    """Replies with another id, to another question and of no sense, then the true one."""

    def answer(query: dns.message.Message) -> list[bytes]:
        wrong_id = dns.message.from_wire(next(iter(named(lie)(query))))
        wrong_id.id = (query.id + 1) % 65_536
        other = dns.message.make_query("elsewhere.example.", "PTR")
        other.id = query.id
        other_reply = dns.message.make_response(other)
        other_reply.answer.append(_records(other.question[0].name, "PTR", [lie], 60))
        return [
            wrong_id.to_wire(),
            other_reply.to_wire(),
            b"\x00\x01nonsense",
            *named(truth)(query),
        ]

    return answer


def truncated() -> Behaviour:
    """An answer that says: ask by TCP."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    return answer


def _records(name: Any, kind: str, texts: Iterable[str], ttl_s: int) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, ttl_s, "IN", kind, list(texts))
