"""Whatever comes in, every line is a socket, a header, a blank or a rejected line."""

from __future__ import annotations

import gc
import json
import threading
import unicodedata
from pathlib import Path

import jc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.netstat_text import Tool, churn, generate
from probes import parsers
from probes.parsers import Flag, Parsed, ParseError, Socket, addresses
from probes.parsers.records import TCP_STATES

FOLDER = Path(__file__).parents[2] / "fixtures" / "linux"
TEXTS = [parsers.decode(path.read_bytes()) for path in sorted(FOLDER.glob("*--*.out"))]
REAL_LINES = sorted({line for text in TEXTS for line in text.split("\n")})
HEADERS = {
    "net-tools": "Active Internet connections (servers and established)\n",
    "ss": "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n",
}
PROTOCOLS = {
    "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "sctp", "sctp6", "raw", "raw6",
}  # fmt: skip


def check(result: Parsed, text: str) -> None:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    assert result.lines == len(lines)
    assert result.lines == (
        result.row_lines + len(result.rejected) + result.header_lines + result.blank_lines
    )
    for number, shown, reason in result.rejected:
        assert lines[number - 1].strip()
        assert len(shown) <= 500
        assert shown.isprintable()
        assert reason
    for socket in result.sockets:
        check_socket(socket)


def check_socket(socket: Socket) -> None:
    assert type(socket) is Socket
    assert socket.protocol in PROTOCOLS
    assert socket.state is None or socket.state in TCP_STATES
    for queue in (socket.recv_queue, socket.send_queue):
        assert queue is None or 0 <= queue < 2**63
    for port in (socket.local_port, socket.foreign_port):
        assert port is None or 0 <= port <= 65535
    for ip in (socket.local_ip, socket.foreign_ip):
        assert len(addresses.pack(ip)) == 16
        assert addresses.unpack(addresses.pack(ip)) == ip.partition("%")[0]
        assert ip.isprintable()
    assert socket.pid is None or 0 <= socket.pid < 2**31
    assert socket.program is None or 0 < len(socket.program) <= 255
    assert socket.program is None or socket.program.isprintable()
    assert 0 <= socket.flags < 64


def read(text: str) -> None:
    try:
        result = parsers.parse(text)
    except ParseError:
        return
    check(result, text)


@given(st.text())
def test_any_text_is_read_or_refused_as_a_whole(text: str) -> None:
    read(text)


@given(st.sampled_from(sorted(HEADERS.values())), st.text())
def test_any_text_under_a_header_is_accounted_for(header: str, text: str) -> None:
    check(parsers.parse(header + text), header + text)


@given(st.binary())
def test_any_bytes_become_text_that_can_be_stored(raw: bytes) -> None:
    text = parsers.decode(raw)
    assert "\x00" not in text
    kept = text.replace("\t", "").replace("\n", "")
    assert not {unicodedata.category(char) for char in kept} & {"Cc", "Cs"}
    text.encode()
    read(text)


@given(
    st.sampled_from(REAL_LINES),
    st.integers(0, 120),
    st.integers(0, 30),
    st.text(alphabet=st.sampled_from(' \t:.*/-%[]()"0123456789abfLISTENudp6\x00\x1b\u2028\u202eü'))
    | st.text(max_size=5),
    st.sampled_from(sorted(HEADERS)),
)
def test_real_lines_with_something_changed_are_accounted_for(
    line: str, at: int, cut: int, put: str, dialect: str
) -> None:
    changed = line[:at] + put + line[at + cut :]
    check(parsers.parse(HEADERS[dialect] + changed), HEADERS[dialect] + changed)
    changed_lines = changed.split("\n")
    alone = parsers.parse_lines(changed_lines, dialect)
    backwards = parsers.parse_lines(changed_lines[::-1], dialect)
    assert sorted(map(repr, alone.sockets)) == sorted(map(repr, backwards.sockets))
    assert sorted(alone.rejected) == sorted(backwards.rejected)


@given(st.lists(st.sampled_from(REAL_LINES)), st.sampled_from(sorted(HEADERS)))
def test_lines_in_any_order_give_what_each_gives_alone(lines: list[str], dialect: str) -> None:
    together = parsers.parse_lines(lines, dialect)
    alone = [parsers.parse_lines([line], dialect) for line in lines]
    assert together.sockets == [socket for one in alone for socket in one.sockets]
    assert together.rejected == [rejected for one in alone for rejected in one.rejected]
    assert together.header_lines == sum(one.header_lines for one in alone)
    assert together.blank_lines == sum(one.blank_lines for one in alone)


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
    family = draw(st.sampled_from([4, 6]))
    ips = st.ip_addresses(v=family).map(str)
    if family == 6:
        ips = ips.filter(lambda ip: not ip.startswith("::ffff:"))
    states = {
        "tcp": st.sampled_from(TCP_STATES),
        "udp": st.sampled_from([None, "ESTABLISHED", "UNKNOWN"]),
        "udplite": st.sampled_from([None, "ESTABLISHED"]),
        "raw": st.none(),
    }
    pid = draw(st.none() | PIDS)
    return Socket(
        protocol=base + ("6" if family == 6 else ""),
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


@pytest.mark.parametrize("tool", ["netstat", "ss"])
def test_jc_reads_the_same_from_what_both_can_read(tool: Tool) -> None:
    text = generate(400, 3, tool=tool)
    rows = jc.parse(tool, text, quiet=True)
    ours = parsers.parse(text).sockets
    assert isinstance(rows, list)
    assert len(rows) == len(ours)
    compared = 0
    for row, socket in zip(rows, ours, strict=True):
        if tool == "netstat":
            assert (row["proto"], row["recv_q"], row["send_q"]) == (
                socket.protocol, socket.recv_queue, socket.send_queue,
            )  # fmt: skip
            assert (row["local_address"], row.get("local_port_num")) == socket[3:5]
            assert (row["foreign_address"], row.get("foreign_port_num")) == socket[5:7]
            assert (row["state"] or None) == socket.state
            assert row.get("pid") == socket.pid
            # jc drops what follows a slash within the name and the blank before it.
            if socket.program is not None and "/" not in socket.program:
                assert row["program_name"] == socket.program
        else:
            assert (row["netid"], row["recv_q"], row["send_q"]) == (
                socket.protocol.rstrip("6"), socket.recv_queue, socket.send_queue,
            )  # fmt: skip
            assert row.get("local_port_num") == socket.local_port
            assert row.get("peer_port_num") == socket.foreign_port
        compared += 1
    assert compared == 400


@pytest.mark.parametrize("tool", ["netstat", "ss"])
def test_generated_tables_are_read_whole_and_change_as_much_as_asked(tool: Tool) -> None:
    text = generate(3000, 7, tool=tool)
    assert text == generate(3000, 7, tool=tool)
    assert text != generate(3000, 8, tool=tool)
    later = churn(text, 0.1, 1)
    assert later == churn(text, 0.1, 1)
    before, after = set(text.split("\n")), set(later.split("\n"))
    assert len(before - after) == len(after - before) == 300
    for each in (text, later, churn(later, 0.5, 2)):
        result = parsers.parse(each)
        check(result, each)
        assert (len(result.sockets), result.rejected) == (3000, [])


def test_the_account_of_a_large_text_is_in_its_order() -> None:
    lines = generate(2000, 1).split("\n")[:-1]
    lines[500:500] = ["rubbish one", "", "rubbish two"]
    lines += ["rubbish at the end"]
    text = "\n".join(lines)
    result = parsers.parse(text)
    check(result, text)
    assert [(line.line, line.text) for line in result.rejected] == [
        (501, "rubbish one"),
        (503, "rubbish two"),
        (len(lines), "rubbish at the end"),
    ]
    assert parsers.parse(text + "\n") == result


def test_lines_end_at_newlines_and_nowhere_else() -> None:
    row = "tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN 1/a\u2028tcp 0 0 1.2.3.4:5 1.2.3.4:7 LISTEN 2/b"
    text = f"{HEADERS['net-tools']}{row}\n\x0c\n\x85\n"
    result = parsers.parse(text)
    assert (result.lines, len(result.sockets), result.blank_lines) == (4, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        "bash: netstat: command not found\n",
        "Active Connections\n",
        "tcp",
        "tcp 1",
    ],
)
def test_what_is_no_socket_table_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ParseError):
        parsers.parse(text)
    assert parsers.identify(text) is None


def test_a_million_lines_are_refused_as_a_whole() -> None:
    with pytest.raises(ParseError, match="too many lines"):
        parsers.parse(HEADERS["ss"] + "x\n" * 1_000_000)


def test_loose_lines_of_an_unknown_dialect_are_refused() -> None:
    with pytest.raises(ParseError):
        parsers.parse_lines(["x"], "windows")


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("tcp        0      0 0.0.0.0:22    0.0.0.0:*    LISTEN      1/sshd", "net-tools"),
        ("udp6       0      0 :::53         :::*                     1/dns", "net-tools"),
        (f"sctp                {'0.0.0.0:3868':<47} LISTEN", "net-tools"),
        ("udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*", "ss"),
        ("tcpFIN-WAIT-20 0 10.0.0.1:68 10.0.0.2:99", "ss"),
        (HEADERS["ss"], "ss"),
        (HEADERS["net-tools"], "net-tools"),
        ("Welcome to host!\n\n" + HEADERS["net-tools"], "net-tools"),
    ],
)
def test_the_dialect_is_told_by_content_with_and_without_a_header(text: str, dialect: str) -> None:
    assert parsers.identify(text) == dialect
    assert parsers.parse(text).dialect == dialect


def test_a_long_banner_does_not_hide_the_table() -> None:
    text = "All access is logged.\n" * 5000 + HEADERS["ss"]
    assert parsers.parse(text).dialect == "ss"


def test_hostile_lines_take_no_time_that_grows_with_their_square() -> None:
    pieces = [
        " ",
        '("',
        "users:((",
        "a 1 ",
        "off (",
        "tcp ",
        "0 ",
        ":",
        "::",
        "[",
        "%",
        "1.",
        "`- ",
    ]
    heads = ["", "tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN ", "tcp ESTAB 0 0 1.2.3.4:5 1.2.3.4:6 "]
    lines = [head + piece * (60_000 // len(piece)) for head in heads for piece in pieces]
    for header in HEADERS.values():
        text = header + "\n".join(lines)
        check(parsers.parse(text), text)
        check(parsers.parse_sockets(text), text)


def test_the_garbage_collector_is_on_again_after_parsing() -> None:
    text = generate(4000, 1)
    assert gc.isenabled()
    parsers.parse(text)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        parsers.parse_lines((str(1 // number) for number in (1, 0)), "ss")
    assert gc.isenabled()
    gc.disable()
    try:
        parsers.parse(text)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_many_threads_parse_at_once_and_leave_the_collector_on() -> None:
    text = generate(4000, 1)
    expected = parsers.parse(text)
    results: list[Parsed] = []
    threads = [
        threading.Thread(target=lambda: results.append(parsers.parse(text))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert gc.isenabled()


def test_rows_can_be_sent_as_json() -> None:
    for text in TEXTS:
        json.dumps(parsers.parse(text).sockets)
