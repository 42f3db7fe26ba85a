"""Windows over SSH, by a server that answers the lines as cmd.exe does, bytes and all.

No Windows is at hand: the outputs are written from the documentation of the tools, in the code
page they come in; the refusal of the line for ``sh`` is cmd.exe's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from hosts.target import Platform
from probes import commands, connection_test, parsers, runner
from probes.observation import Code, Observation, Privilege, Table
from probes.transports.base import Command, Deadline, TransportError
from probes.transports.pool import Pool
from probes.transports.ssh import connect
from tests.hostile_ssh import FOREVER_S, ScriptedServer, Session, answer
from tests.probes.transports.conftest import Probe

pytestmark = pytest.mark.usefixtures("leaves_nothing")

GREETING = "SSH-2.0-OpenSSH_for_Windows_9.5"
ENGLISH = """
Active Connections

  Proto  Local Address          Foreign Address        State           PID
  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064
  TCP    [::]:445               [::]:0                 LISTENING       4
  TCP    192.0.2.7:49702        198.51.100.9:443       ESTABLISHED     2468
  UDP    0.0.0.0:5353           *:*                                    2044
"""
CHINESE = """
活动连接

  协议  本地地址          外部地址        状态           PID
  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064
  TCP    [::]:445               [::]:0                 LISTENING       4
  TCP    192.0.2.7:49702        198.51.100.9:443       ESTABLISHED     2468
  UDP    0.0.0.0:5353           *:*                                    2044
"""
PROCESSES = """\
"System","4","Services","0","2,340 K"
"svchost.exe","1064","Services","0","14,212 K"
"{}.exe","2468","Console","1","312,480 K"
"""
ROUTES = """\
===========================================================================
Interface List
  7...02 00 5e 10 00 01 ......Virtual Ethernet Adapter
  1...........................Software Loopback Interface 1
===========================================================================

IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0        192.0.2.1        192.0.2.7     25
===========================================================================
Persistent Routes:
  None
"""
INTERFACES = """\
Interface Statistics

                           Received            Sent

Bytes                     123456789        98765432
Unicast packets              345678          234567
Non-unicast packets             123              45
Discards                          0               0
Errors                            0               0
Unknown protocols                 0
"""
STATISTICS = """
TCP Statistics for IPv4

  Active Opens                        = 1234
  Passive Opens                       = 56
"""


def windows(encoding: str = "utf-8", page: str = "Active code page: 65001") -> dict[str, str]:
    """What a good host prints to each line."""
    chinese = encoding == "cp936"
    return {
        "netstat -ano": CHINESE if chinese else ENGLISH,
        "tasklist -fo csv -nh": PROCESSES.format("微信" if chinese else "browser"),
        "chcp.com": f"{page}\n",
        "netstat -rn": ROUTES,
        "netstat -e": INTERFACES,
        "netstat -s": STATISTICS,
    }


def host(
    outputs: Mapping[str, str], *, encoding: str = "utf-8", status: Mapping[str, int] | None = None
) -> Callable[[Session], None]:
    """A script that prints ``outputs``, and to every other line what cmd.exe says."""
    statuses = status or {}

    def play(session: Session) -> None:
        line = session.command.decode()
        if line not in outputs:
            first = line.split(" ")[0]
            said = f"'{first}' is not recognized as an internal or external command,\r\n"
            session.channel.sendall_stderr(said.encode())
            session.finish(1)
            return
        session.channel.sendall(outputs[line].replace("\n", "\r\n").encode(encoding))
        session.finish(statuses.get(line, 0))

    return play


def pids(observation: Observation) -> dict[int | None, tuple[int | None, str | None]]:
    """PID and program by local port."""
    rows = parsers.parse_sockets(observation.text).sockets
    return {row.local_port: (row.pid, row.program) for row in rows}


def test_the_sockets_come_with_the_names_of_their_processes(probe: Probe) -> None:
    with ScriptedServer(host(windows()), greeting=GREETING) as server:
        observation = probe(server.target())
        assert server.commands == [b"netstat -ano", b"tasklist -fo csv -nh", b"chcp.com"]
        assert server.accepted == 1
    assert observation.failure is None
    assert (observation.tool, observation.command) == ("netstat", "netstat -ano")
    assert (observation.privilege, observation.notes) == (Privilege.UNKNOWN, "")
    assert pids(observation) == {
        135: (1064, "svchost.exe"),
        445: (4, "System"),
        49702: (2468, "browser.exe"),
        5353: (2044, None),
    }
    assert observation.tables == ()


@pytest.mark.parametrize(
    ("encoding", "page"), [("utf-8", "活动代码页: 65001"), ("cp936", "活动代码页: 936")]
)
def test_everything_is_read_in_the_code_page_it_comes_in(
    probe: Probe, encoding: str, page: str
) -> None:
    outputs = windows("cp936", page)
    with ScriptedServer(host(outputs, encoding=encoding), greeting=GREETING) as server:
        observation = probe(server.target())
    assert observation.failure is None
    assert "活动连接" in observation.text
    assert pids(observation)[49702] == (2468, "微信.exe")


def test_the_other_tables_come_in_the_same_session() -> None:
    with ScriptedServer(host(windows()), greeting=GREETING) as server:
        observation = runner.observe(server.target(), tables=True)
        assert set(server.commands) == {
            line.encode() for name, line in commands.LINES.items() if name.startswith("windows")
        }
        assert (server.accepted, len(server.logins)) == (1, 1)
    assert observation.failure is None
    by_table = {each.table: each for each in observation.tables}
    assert list(by_table) == list(Table)
    for table in (Table.ROUTES, Table.INTERFACES, Table.PROTOCOLS):
        assert by_table[table].failure is None
        assert table.value in parsers.parse(by_table[table].text).found
    groups = by_table[Table.MULTICAST].failure
    assert groups is not None
    assert groups.code is Code.UNSUPPORTED


@pytest.mark.parametrize(
    "greeting", [GREETING, "SSH-2.0-9.31 FlowSsh: Bitvise SSH Server (WinSSHD)"]
)
def test_a_server_that_says_windows_is_never_sent_the_line_for_a_shell(
    probe: Probe, greeting: str
) -> None:
    with ScriptedServer(host(windows()), greeting=greeting) as server:
        assert probe(server.target()).failure is None
        assert not [line for line in server.commands if b"/bin/sh" in line]


def test_a_host_said_to_be_windows_is_never_sent_the_line_for_a_shell(probe: Probe) -> None:
    with ScriptedServer(host(windows())) as server:
        assert probe(server.target(platform=Platform.WINDOWS)).failure is None
        assert not [line for line in server.commands if b"/bin/sh" in line]


def test_a_host_that_refuses_the_line_for_a_shell_is_tried_as_windows(probe: Probe) -> None:
    with ScriptedServer(host(windows())) as server:
        observation = probe(server.target())
        assert server.commands[0] == commands.LINES["sockets"].encode()
        assert server.accepted == 1
    assert observation.failure is None
    assert pids(observation)[135] == (1064, "svchost.exe")


def test_a_host_without_any_shell_is_told_by_its_own_words(probe: Probe) -> None:
    def nologin(session: Session) -> None:
        session.channel.sendall(b"This account is currently not available.\n")
        session.finish(1)

    with ScriptedServer(nologin) as server:
        failure = probe(server.target()).failure
        assert len(server.commands) > 1
    assert failure is not None
    assert failure.code is Code.COMMAND_FAILED
    assert failure.detail == "status 1: This account is currently not available."


def test_a_linux_that_takes_the_words_of_windows_is_not_taken_for_it(probe: Probe) -> None:
    linux = "tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN      812/sshd\n"
    with ScriptedServer(host({"netstat -ano": linux})) as server:
        failure = probe(server.target()).failure
    assert failure is not None
    assert failure.code is Code.COMMAND_FAILED
    assert "not recognized" in failure.detail


def test_a_host_said_to_be_linux_is_not_tried_as_windows(probe: Probe) -> None:
    with ScriptedServer(host(windows())) as server:
        assert probe(server.target(platform=Platform.LINUX)).failure is not None
        assert len(server.commands) == 1


def test_a_linux_server_is_asked_once(probe: Probe) -> None:
    with ScriptedServer(answer, greeting="SSH-2.0-OpenSSH_9.2p1 Debian-2") as server:
        assert probe(server.target()).failure is None
        assert server.commands == [commands.LINES["sockets"].encode()]


def test_a_missing_tasklist_costs_the_names_alone(probe: Probe) -> None:
    outputs = windows()
    del outputs["tasklist -fo csv -nh"]
    with ScriptedServer(host(outputs), greeting=GREETING) as server:
        observation = probe(server.target())
    assert observation.failure is None
    assert pids(observation)[135] == (1064, None)
    assert "'tasklist' is not recognized" in observation.notes
    assert "tasklist -fo csv -nh: status 1" in observation.notes


def test_a_failed_netstat_is_no_whole_table(probe: Probe) -> None:
    script = host(windows(), status={"netstat -ano": 1})
    with ScriptedServer(script, greeting=GREETING) as server:
        observation = probe(server.target())
    assert observation.failure is not None
    assert observation.failure.code is Code.COMMAND_FAILED
    assert observation.failure.detail.startswith("netstat -ano: status 1: ")
    assert observation.text == ""
    assert b"LISTENING" in observation.raw


def test_rubbish_is_not_understood_and_kept(probe: Probe) -> None:
    rubbish = {**windows(), "netstat -ano": "no table\n"}
    with ScriptedServer(host(rubbish), greeting=GREETING) as server:
        observation = probe(server.target())
    assert observation.failure is not None
    assert observation.failure.code is Code.NOT_UNDERSTOOD
    assert observation.raw == b"no table\r\n"


def test_a_table_that_fails_fails_alone() -> None:
    script = host(windows(), status={"netstat -s": 1})
    with ScriptedServer(script, greeting=GREETING) as server:
        observation = runner.observe(server.target(), tables=True)
    assert observation.failure is None
    failed = {each.table: each.failure.code for each in observation.tables if each.failure}
    assert failed == {Table.PROTOCOLS: Code.COMMAND_FAILED, Table.MULTICAST: Code.UNSUPPORTED}


def test_an_output_cut_at_any_byte_is_never_whole(probe: Probe) -> None:
    output = ENGLISH.replace("\n", "\r\n").encode()
    cut_at = 0

    def cut(session: Session) -> None:
        session.channel.sendall(output[:cut_at])
        session.server.drop_all()

    with ScriptedServer(cut, greeting=GREETING) as server:
        for cut_at in (0, 1, 100, 300, len(output)):
            observation = probe(server.target())
            assert observation.failure is not None, cut_at
            assert observation.text == ""


@pytest.mark.parametrize("how", ["no status", "no end"])
def test_an_end_without_its_status_or_a_status_without_its_end_is_not_whole(
    probe: Probe, how: str
) -> None:
    def ends_oddly(session: Session) -> None:
        session.channel.sendall(ENGLISH.replace("\n", "\r\n").encode())
        if how == "no status":
            session.channel.shutdown_write()
            session.channel.close()
        else:
            session.channel.send_exit_status(0)
            session.server.drop_all()

    with ScriptedServer(ends_oddly, greeting=GREETING) as server:
        observation = probe(server.target())
    assert observation.failure is not None
    assert observation.failure.code is Code.TRUNCATED
    assert observation.text == ""
    assert b"LISTENING" in observation.raw


def test_a_tasklist_that_hangs_ends_with_the_deadline_of_the_whole_probe(
    probe_until: Callable[..., Observation],
) -> None:
    good = host(windows())

    def hangs(session: Session) -> None:
        if session.command.startswith(b"tasklist"):
            session.server.stopping.wait(FOREVER_S)
        good(session)

    with ScriptedServer(hangs, greeting=GREETING) as server, Pool() as pool:
        observation = probe_until(
            lambda seen: seen.failure is None,
            lambda deadline_s: server.target(deadline_s=deadline_s),
            pool,
        )
        assert len(pool) == 0
        assert server.commands[-2:] == [b"netstat -ano", b"tasklist -fo csv -nh"]
    assert observation.failure is None
    assert pids(observation)[135] == (1064, None)
    assert "tasklist -fo csv -nh: the command gave 0 bytes" in observation.notes
    assert "chcp.com: no time was left" in observation.notes


def test_the_cap_holds_for_all_the_lines_together(probe: Probe) -> None:
    size = len(ENGLISH.replace("\n", "\r\n"))
    with ScriptedServer(host(windows()), greeting=GREETING) as server:
        observation = probe(server.target(max_bytes=size + 20))
        assert observation.failure is None
        assert "tasklist -fo csv -nh: more than 20 bytes" in observation.notes
        observation = probe(server.target(max_bytes=size - 1))
        assert observation.failure is not None
        assert observation.failure.code is Code.OUTPUT_TOO_LARGE


def test_a_netstat_that_hangs_times_out(probe_until: Callable[..., Observation]) -> None:
    def hangs(session: Session) -> None:
        session.channel.sendall(b"\r\nActive Connections\r\n")
        session.server.stopping.wait(FOREVER_S)

    with ScriptedServer(hangs, greeting=GREETING) as server:
        observation = probe_until(
            lambda seen: seen.raw, lambda deadline_s: server.target(deadline_s=deadline_s)
        )
    assert observation.failure is not None
    assert observation.failure.code is Code.TIMED_OUT
    assert observation.raw.startswith(b"\r\nActive Connections")


def test_a_kept_connection_is_used_again_and_replaced_once_it_broke(probe: Probe) -> None:
    with ScriptedServer(host(windows()), greeting=GREETING) as server, Pool() as pool:
        for _probe in range(2):
            assert probe(server.target(), pool).failure is None
        assert server.accepted == 1
        server.drop_all()
        assert probe(server.target(), pool).failure is None
        assert server.accepted == 2


def test_a_test_of_the_connection_sees_what_a_probe_sees() -> None:
    with ScriptedServer(host(windows()), greeting=GREETING) as server:
        tested = connection_test.test_connection(server.target())
    assert tested.usable
    assert [(step.name.value, step.status.value) for step in tested.steps][3:] == [
        ("tool", "ok"),
        ("pids", "ok"),
    ]
    assert tested.steps[3].detail == "netstat -ano"


def test_probes_that_meet_do_not_mix_their_lines(probe: Probe) -> None:
    seen: list[Observation] = []
    with ScriptedServer(host(windows()), greeting=GREETING) as server, Pool() as pool:
        target = server.target(deadline_s=60.0)
        threads = [
            threading.Thread(target=lambda: seen.append(probe(target, pool))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.accepted == 1
        assert len(server.commands) == 12
        assert server.commands[:3] * 4 == server.commands
    assert [observation.failure for observation in seen] == [None] * 4


def test_a_line_without_a_marker_is_whole_by_its_status_alone() -> None:
    def fails(session: Session) -> None:
        session.channel.sendall(b"half")
        session.finish(3)

    with ScriptedServer(fails) as server:
        connection = connect(server.target(), deadline=Deadline.after(60))
        try:
            result = connection.run(Command("x"), deadline=Deadline.after(60), max_bytes=100)
            assert (result.stdout, result.exit_status, result.complete) == (b"half", 3, True)
            with pytest.raises(TransportError) as refused:
                connection.run(Command("x"), deadline=Deadline.after(60), max_bytes=3)
            assert refused.value.failure.code is Code.OUTPUT_TOO_LARGE
        finally:
            connection.close()
