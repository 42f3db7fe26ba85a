"""Who asks the tools, and hosts on loopback servers that they may ask about."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from hosts import keys
from hosts.models import Credential, Host, HostKey
from netadmin.access.models import Role
from netadmin.envelope import Refused
from probes.filters import read
from probes.tools import live
from tests.hostile_ssh import ScriptedServer
from tests.people import person
from tests.servers import find_program
from tests.sshd import Sshd

PASSWORD = "a-secret-of-the-tests"


def asking(user: User | None = None) -> HttpRequest:
    """A request of ``user``, as a command or a tool over standard input makes it."""
    request = HttpRequest()
    request.user = (
        user or User.objects.filter(username="vera").first() or person("vera", Role.VIEWER)
    )
    request.token = None  # type: ignore[attr-defined]
    return request


def connections(request: HttpRequest, **asked: Any) -> tuple[dict[str, Any], str]:
    """The answer of ``query_network_connections``, asked as a tool is."""
    return live.query_network_connections(request, read(live.LiveConnections, asked))


def check(request: HttpRequest, **asked: Any) -> tuple[dict[str, Any], str]:
    """The answer of ``check_port_occupation``."""
    return live.check_port_occupation(request, read(live.LivePort, asked))


def refused(request: HttpRequest, **asked: Any) -> Refused:
    """Why ``query_network_connections`` refuses."""
    try:
        data, message = connections(request, **asked)
    except Refused as refusal:
        return refusal
    raise AssertionError(f"not refused: {message} {data}")


def scripted_host(server: ScriptedServer, name: str = "web1", **fields: Any) -> Host:
    """A host that is a scripted server, its key trusted, with the right password."""
    credential = Credential(name=f"password of {name}", user="ops")
    credential.set_secret("password", fields.pop("password", server.password))
    credential.save()
    trust(server.port, server.key.get_name(), server.key.get_base64())
    fields = {"address": "127.0.0.1", "port": server.port, "credential": credential, **fields}
    return Host.objects.create(name=name, **fields)


def ssh_host(server: Sshd, name: str = "real", **fields: Any) -> Host:
    """A host that is a real OpenSSH server, its keys trusted, with the right key."""
    credential = Credential(name=f"key of {name}", user=server.user, method=Credential.Method.KEY)
    credential.set_secret("private_key", server.client_key)
    credential.save()
    for pin in server.pins:
        trust(server.port, pin.key_type, pin.key_base64)
    fields = {"address": "127.0.0.1", "port": server.port, "credential": credential, **fields}
    return Host.objects.create(name=name, **fields)


def trust(port: int, key_type: str, key_base64: str) -> HostKey:
    """What an administrator does of a host key."""
    return HostKey.objects.create(
        address="127.0.0.1",
        port=port,
        key_type=key_type,
        key_base64=key_base64,
        fingerprint=keys.fingerprint(key_base64),
        trust=HostKey.TrustChoice.TRUSTED,
    )


def listed_by_netstat(*ports: int) -> list[tuple[Any, ...]]:
    """Rows of this machine's own netstat with one of these local ports, read column by column."""
    netstat = find_program("netstat", package="net-tools")
    done = subprocess.run([netstat, "-antupW"], capture_output=True, text=True, check=True)
    rows = []
    for protocol, *columns in map(str.split, done.stdout.splitlines()):
        if protocol not in ("tcp", "tcp6", "udp", "udp6"):
            continue
        recv, send, local, foreign = columns[:4]
        state = columns[4] if columns[4].isupper() else None
        pid, _slash, program = columns[5 if state else 4].partition("/")
        address, _colon, port = local.rpartition(":")
        far, _colon, far_port = foreign.rpartition(":")
        if int(port) in ports:
            row = (protocol, int(recv), int(send), address, int(port), far)
            row += (None if far_port == "*" else int(far_port), state)
            rows.append((*row, None if pid == "-" else int(pid), program or None))
    return sorted(rows, key=repr)


@contextlib.contextmanager
def held_ports() -> Iterator[tuple[int, int, int, int]]:
    """Sockets of this process that stay as they are: the ports of a listener over IPv4 with a
    connection on it, of one over IPv6, of a datagram socket, and of one that is connected."""
    with contextlib.ExitStack() as stack:
        four = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        port: int = four.getsockname()[1]
        near = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        far, _address = four.accept()
        stack.enter_context(far)
        near.sendall(b"unread")
        free = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        free.bind(("0.0.0.0", 0))
        tied = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        tied.connect(("127.0.0.1", free.getsockname()[1]))
        yield port, six.getsockname()[1], free.getsockname()[1], tied.getsockname()[1]
