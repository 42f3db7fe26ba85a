"""A socket printed as a tool prints it is read back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes import parsers
from probes.parsers import Flag, Socket
from probes.parsers.records import TCP_STATES

QUEUES = st.integers(0, 2**63 - 1) | st.integers(0, 999_999)
PORTS = st.integers(0, 65535)
PIDS = st.integers(0, 2**31 - 1)
NAMES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_categories=("C", "Z")),
    min_size=1,
).map(lambda name: name[:100]) | st.sampled_from(["LISTEN", "a b", "x/y: z 1", "nginx: master"])


@st.composite
def sockets(draw: st.DrawFn) -> Socket:
    """A row net-tools prints whole with -W, whose program has no blank at its end."""
    base = draw(st.sampled_from(["tcp", "udp", "udplite", "raw"]))
    is_v6 = draw(st.booleans())
    ips = st.ip_addresses(v=6 if is_v6 else 4).map(str)
    if is_v6:
        ips = ips.filter(lambda ip: not ip.startswith("::ffff:"))
    states = {
        "tcp": st.sampled_from(TCP_STATES),
        "udp": st.sampled_from([None, "ESTABLISHED", "UNKNOWN"]),
        "udplite": st.sampled_from([None, "ESTABLISHED"]),
        "raw": st.none(),
    }
    pid = draw(st.none() | PIDS)
    return Socket(
        protocol=base + ("6" if is_v6 else ""),
        recv_queue=draw(QUEUES),
        send_queue=draw(QUEUES),
        local_ip=draw(ips),
        local_port=draw(PORTS),
        foreign_ip=draw(ips),
        foreign_port=draw(st.none() | PORTS),
        state=draw(states[base]),
        pid=pid,
        program=None if pid is None else draw(st.none() | NAMES),
    )


def as_net_tools(socket: Socket) -> str:
    """The line that net-tools prints with -antupwW (tcp_do_one and its like in netstat.c)."""
    word = socket.protocol.replace("udplite", "udpl")
    state = "7" if word.startswith("raw") else socket.state or ""
    far = "*" if socket.foreign_port is None else socket.foreign_port
    program = "-" if socket.pid is None else f"{socket.pid}/{socket.program or ''}"
    return (
        f"{word:<5} {socket.recv_queue:>6} {socket.send_queue:>6} "
        f"{socket.local_ip + ':' + str(socket.local_port):<23} "
        f"{socket.foreign_ip + ':' + str(far):<23} {state:<11} {program:<20}"
    )


def as_ss(socket: Socket) -> str:
    """The line that ss prints with -antupw, in columns as narrow as they get."""
    v6 = socket.protocol.endswith("6")
    near, far = (f"[{ip}]" if v6 else ip for ip in (socket.local_ip, socket.foreign_ip))
    words = {"ESTABLISHED": "ESTAB", None: "UNCONN", "CLOSE": "UNCONN"}
    state = words.get(socket.state, (socket.state or "").replace("_", "-"))
    state = {"FIN-WAIT1": "FIN-WAIT-1", "FIN-WAIT2": "FIN-WAIT-2"}.get(state, state)
    port = "*" if socket.foreign_port is None else socket.foreign_port
    users = "" if socket.pid is None else f' users:(("{socket.program}",pid={socket.pid},fd=3))'
    return (
        f"{socket.protocol.rstrip('6')} {state} {socket.recv_queue} {socket.send_queue} "
        f"{near}:{socket.local_port} {far}:{port}{users}"
    )


@given(sockets())
def test_a_socket_printed_as_net_tools_prints_it_is_read_back(socket: Socket) -> None:
    line = as_net_tools(socket)
    # Moved by a blank, a line does not fit the columns and is read by the careful way.
    result = parsers.parse_lines([line, " " + line], "net-tools", wide=True)
    assert result.rejected == []
    assert result.sockets == [socket, socket]


@given(sockets().filter(lambda socket: (socket.pid is None) == (socket.program is None)))
def test_a_socket_printed_as_ss_prints_it_is_read_back(socket: Socket) -> None:
    line = as_ss(socket)
    result = parsers.parse_lines([line, line, " " + line], "ss")  # the first shows the columns
    assert result.rejected == []
    assert result.sockets == [socket, socket, socket]


@given(sockets().filter(lambda socket: socket.protocol.endswith("6")))
def test_what_is_cut_without_w_is_flagged_and_what_is_not_flagged_is_right(socket: Socket) -> None:
    def cut(ip: str, port: str) -> str:
        return f"{ip[: 22 - len(port)]}:{port}" if len(ip) + len(port) > 22 else f"{ip}:{port}"

    far_port = "*" if socket.foreign_port is None else str(socket.foreign_port)
    near, far = cut(socket.local_ip, str(socket.local_port)), cut(socket.foreign_ip, far_port)
    whole = socket._replace(local_ip="::", foreign_ip="::", local_port=1, foreign_port=1)
    line = as_net_tools(whole).replace(f"{':::1':<23} {':::1':<23}", f"{near:<23} {far:<23}")
    (read_back,) = parsers.parse_lines([line], "net-tools").sockets
    if not read_back.flags & Flag.LOCAL_TRUNCATED:
        assert read_back.local_ip == socket.local_ip
    if not read_back.flags & Flag.FOREIGN_TRUNCATED:
        assert read_back.foreign_ip == socket.foreign_ip
    # Cut or not, it is what was printed.
    assert read_back.local_ip == near.rpartition(":")[0]
    assert read_back.foreign_ip == far.rpartition(":")[0]
