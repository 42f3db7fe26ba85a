"""The real tools, live: what they print of sockets in every state is read as those were made.

``tests.captures`` makes two hosts in namespaces of their own and writes down how each socket was
made; here netstat, ss, busybox and the kernel's own tables are read and held against that.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from probes import parsers
from probes.parsers import Parsed, Socket
from probes.parsers.encoding import decode
from probes.parsers.lines import program_name
from probes.parsers.records import Details
from tests import captures
from tests.captures.commands import COMMANDS
from tests.captures.scene import NEWLINE, ODD_NAMES, ODD_PORT
from tests.captures.sockets import STATES
from tests.servers import find_program
from tests.waiting import wait_until

NETSTAT_COLUMN = 19
"""PID, slash and name are cut to this in netstat's last column (PROGNAME_WIDTH)."""

NEWLINE_PORT = ODD_PORT + [title for _, title in ODD_NAMES].index(NEWLINE)

Key = tuple[str, str, int | None, str, int | None, str | None]


class Taken:
    """The outputs, read, and the truth."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wide = {command.name: command.wide for command in COMMANDS}
        truth = captures.take(folder, COMMANDS)
        self.sockets: list[dict[str, Any]] = truth["sockets"]
        self.unix: list[dict[str, Any]] = truth["unix"]
        self.programs: dict[str, dict[str, Any]] = truth["programs"]

    def text(self, name: str) -> str:
        """An output as the transport would hand it on."""
        return decode((self._folder / f"{name}.out").read_bytes())

    def read(self, name: str) -> Parsed:
        """An output, parsed."""
        return parsers.parse(self.text(name), wide=self._wide[name])

    def expected(self, *, without: Iterable[str] = ()) -> dict[Key, dict[str, Any]]:
        """How the sockets were made, but for those of some protocols."""
        left_out = set(without)
        return {
            (
                truth["protocol"],
                truth["local_ip"],
                truth["local_port"],
                truth["foreign_ip"],
                truth["foreign_port"],
                truth["state"],
            ): truth
            for truth in self.sockets
            if truth["protocol"] not in left_out
        }


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return Taken(tmp_path_factory.mktemp("captures"))


def rows(parsed: Parsed) -> dict[Key, Socket]:
    """Rows by what identifies a socket, less the zones, which only ss tells."""
    keyed = {}
    for row in parsed.sockets:
        near, far = row.local_ip.partition("%")[0], row.foreign_ip.partition("%")[0]
        keyed[row.protocol, near, row.local_port, far, row.foreign_port, row.state] = row
    assert len(keyed) == len(parsed.sockets)
    return keyed


UDPLITE = ("udplite", "udplite6")
READERS = [
    ("netstat--captured_states", ()),
    ("netstat--captured_extended", ()),
    ("ss--captured_states", UDPLITE),
    ("ss--captured_details", UDPLITE),
    ("ss--captured_no_header", UDPLITE),
    ("busybox--captured_sockets", UDPLITE),
    ("proc--captured", ()),
]
WITH_PROGRAMS = [reader for reader in READERS if reader[0][:2] in ("ne", "ss")]


def test_every_state_of_the_kernel_is_there_in_both_families(taken: Taken) -> None:
    # A TCP socket in CLOSE is in no table: it has no port yet, or none any more.
    made = {(truth["protocol"], truth["state"]) for truth in taken.sockets}
    assert made >= {
        (protocol, state) for protocol in ("tcp", "tcp6") for state in STATES if state != "CLOSE"
    }
    assert {protocol for protocol, _ in made} == {
        "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "without"), READERS)
def test_rows_are_the_sockets_as_they_were_made(
    taken: Taken, name: str, without: tuple[str, ...]
) -> None:
    parsed = taken.read(name)
    found, expected = rows(parsed), taken.expected(without=without)
    assert found.keys() == expected.keys()
    for key, truth in expected.items():
        assert found[key].recv_queue == truth["recv_queue"], key


@pytest.mark.parametrize(("name", "without"), WITH_PROGRAMS)
def test_programs_are_those_that_hold_the_sockets(
    taken: Taken, name: str, without: tuple[str, ...]
) -> None:
    found = rows(taken.read(name))
    shown = ss_name if name.startswith("ss") else netstat_name
    compared = 0
    for key, truth in taken.expected(without=without).items():
        holders = [taken.programs[holder] for holder in truth["holders"]]
        row = found[key]
        allowed = [(holder["pid"], shown(holder)) for holder in holders] or [(None, None)]
        if name.startswith("ss") and truth["local_port"] == NEWLINE_PORT:
            allowed = [(None, allowed[0][1])]  # its PID is on the next line, behind the newline
        assert (row.pid, row.program) in allowed
        compared += bool(holders)
    assert compared >= 40


@pytest.mark.parametrize(("name", "without"), READERS)
def test_nothing_is_rejected_but_the_rest_of_a_name_with_a_newline(
    taken: Taken, name: str, without: tuple[str, ...]
) -> None:
    rejected = [line.text for line in taken.read(name).rejected]
    rest = NEWLINE.partition(b"\n")[2].decode()
    if name == "ss--captured_details":
        assert rejected.pop().strip("\\x09 ").startswith("skmem:")  # of the socket before
    assert [text.startswith(rest) for text in rejected] == [True] * name.startswith(("ne", "ss"))


def test_all_tools_agree_on_queues(taken: Taken) -> None:
    tables = [rows(taken.read(name)) for name, _ in READERS]
    for key in taken.expected(without=UDPLITE):
        recv = {table[key].recv_queue for table in tables}
        send = {table[key].send_queue for table in tables}
        # For a listener ss alone tells how long its queue of connections may grow.
        assert (len(recv), len(send)) == (1, 2 if key[5] == "LISTEN" else 1), key


def test_addresses_are_told_as_what_they_are(taken: Taken) -> None:
    zones = {row.local_ip.partition("%")[2] for row in taken.read("ss--captured_states").sockets}
    assert zones == {"", "near0"}
    mapped = [row for row in taken.read("ss--captured_states").sockets if row.flags & 3 == 3]
    assert [(row.protocol, row.local_ip, row.foreign_ip) for row in mapped] == [
        ("tcp6", "10.9.1.1", "10.9.1.2")
    ]
    cut = {row.local_port for row in taken.read("netstat--captured_cut").sockets if row.flags & 4}
    whole = [row for row in taken.read("netstat--captured_states").sockets if row.flags & 4]
    assert (cut, whole) == ({443}, [])


@pytest.mark.parametrize(
    "name", ["netstat--captured_extended", "ss--captured_details", "proc--captured"]
)
def test_users_and_inodes_are_those_of_the_sockets(taken: Taken, name: str) -> None:
    parsed = taken.read(name)
    expected = taken.expected()
    compared = 0
    for index, key in enumerate(rows(parsed)):
        details = parsed.tables.details.get(index, Details())
        truth = expected[key]
        if name.startswith("ss") and (truth["protocol"][:3] == "raw" or key[2] == NEWLINE_PORT):
            continue  # of raw ones ss tells no more, and of that one on the next line
        if truth["inode"]:
            assert details.inode == truth["inode"]
            compared += 1
        if truth["inode"] and details.user is not None:
            assert details.user in (("33", "www-data") if truth["uid"] else ("0", "root"))
    assert compared >= 40


@pytest.mark.parametrize("name", ["netstat--captured_extended", "ss--captured_details"])
def test_timers_are_those_of_the_states(taken: Taken, name: str) -> None:
    parsed = taken.read(name)
    kinds: dict[str | None, set[str]] = {}
    for index, row in enumerate(parsed.sockets):
        timer = parsed.tables.details.get(index, Details()).timer
        if row.protocol.startswith("tcp") and timer is not None and timer.kind != "off":
            kinds.setdefault(row.state, set()).add(timer.kind)
    assert (
        kinds["SYN_SENT"] == kinds["FIN_WAIT1"] == kinds["CLOSING"] == kinds["LAST_ACK"] == {"on"}
    )
    assert kinds["ESTABLISHED"] == {"keepalive"}
    assert kinds["TIME_WAIT"] == {"timewait"}


@pytest.mark.parametrize(
    "name",
    [
        "netstat--captured_unix",
        "netstat--captured_both_tables",
        "busybox--captured_every_family",
        "ss--captured_unix",
        "ss--captured_everything",
        "proc--captured",
    ],
)
def test_unix_sockets_are_read_as_they_were_made(taken: Taken, name: str) -> None:
    found = {row.inode: row for row in taken.read(name).tables.unix}
    for truth in taken.unix:
        row = found[truth["inode"]]
        assert row.type == truth["type"]
        path = truth["path"]
        if path and " " in path and name.startswith("netstat"):
            path = path.partition(" ")[0]  # all that netstat reads of /proc/net/unix
        assert row.path == path
        if truth["state"] == "LISTEN":
            assert row.state == "LISTEN"
        elif truth["state"] is not None:
            assert row.state in ("CONNECTED", "ESTABLISHED")
    if name != "ss--captured_everything":
        assert len(found) == len(taken.unix)


KNOWN_ROUTES = {
    ("0.0.0.0/0", "10.9.1.2"),
    ("10.9.1.0/24", None),
    ("10.20.0.0/16", "10.9.1.2"),
    ("10.30.1.7/32", "10.9.1.2"),
    ("10.40.0.0/16", "10.9.1.2"),
    ("10.50.0.0/16", None),
    ("10.66.0.0/16", None),
    ("10.67.0.0/16", None),
    ("10.68.0.0/16", None),
}
KNOWN_ROUTES_V6 = {
    ("::/0", "fe80::2"),
    ("2001:db8:9:1::/64", None),
    ("2001:db8:20::/48", "2001:db8:9:1::2"),
    ("2001:db8:66::/48", None),
}


@pytest.mark.parametrize(
    "name",
    [
        "netstat--captured_routes",
        "netstat--captured_routes_extended",
        "route--captured",
        "busybox--captured_routes",
        "ip--captured_routes",
        "proc--captured",
    ],
)
def test_routes_are_read_as_they_were_made(taken: Taken, name: str) -> None:
    routes = [route for route in taken.read(name).tables.routes if route.family == "inet"]
    assert {(route.destination, route.gateway) for route in routes} == KNOWN_ROUTES


@pytest.mark.parametrize(
    "name",
    [
        "netstat--captured_routes_ipv6",
        "route--captured_ipv6",
        "busybox--captured_routes_ipv6",
        "ip--captured_routes",
        "proc--captured",
    ],
)
def test_routes_of_ipv6_are_read_as_they_were_made(taken: Taken, name: str) -> None:
    routes = [route for route in taken.read(name).tables.routes if route.family == "inet6"]
    assert {(route.destination, route.gateway) for route in routes} >= KNOWN_ROUTES_V6


@pytest.mark.parametrize(
    "name",
    [
        "netstat--captured_interfaces",
        "netstat--captured_interfaces_extended",
        "ifconfig--captured",
        "busybox--captured_ifconfig",
        "ip--captured_links",
        "ip--captured_addresses",
        "proc--captured",
    ],
)
def test_interfaces_are_read_as_they_are(taken: Taken, name: str) -> None:
    interfaces = {row.name: row for row in taken.read(name).tables.interfaces}
    assert interfaces.keys() == {"lo", "near0"}
    near = interfaces["near0"]
    assert near.mtu == 1500 or name == "proc--captured"
    assert near.hardware in (None, "02:00:00:00:09:01")
    assert near.rx_packets is not None
    assert near.rx_packets > 20


@pytest.mark.parametrize(
    "name", ["netstat--captured_groups", "ip--captured_groups", "proc--captured"]
)
def test_groups_are_read_as_they_were_joined(taken: Taken, name: str) -> None:
    groups = {(row.interface, row.group) for row in taken.read(name).tables.multicast}
    assert groups >= {("near0", "239.9.1.5"), ("near0", "ff15::9:5"), ("lo", "224.0.0.1")}


@pytest.mark.parametrize(
    "name", ["netstat--captured_statistics", "nstat--captured", "proc--captured"]
)
def test_counters_have_one_name_and_one_value_whoever_tells_them(taken: Taken, name: str) -> None:
    counters = taken.read(name).tables.protocols
    accepted = {"PassiveOpens": 4, "ActiveOpens": 16}
    assert {key: counters["tcp"][key] for key in accepted} == accepted
    assert counters["udp"]["OutDatagrams"] >= 1
    assert counters["ip"]["InReceives"] >= 20


def test_output_of_many_commands_in_one_text_is_read_table_by_table(taken: Taken) -> None:
    parsed = taken.read("netstat--captured_every_table")
    assert set(parsed.found) >= {"sockets", "routes", "interfaces", "protocols", "multicast"}
    assert [rejected.text.strip() for rejected in parsed.rejected] == ["line"]


TAKE = "import sys, pathlib; from tests import captures; captures.take(pathlib.Path(sys.argv[1]))"


def test_without_the_right_to_make_namespaces_one_line_says_what_is_needed(tmp_path: Path) -> None:
    setpriv = find_program("setpriv", package="util-linux")
    without = subprocess.run(
        [setpriv, "--bounding-set", "-sys_admin", sys.executable, "-c", TAKE, str(tmp_path)],
        cwd=captures.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert without.returncode != 0
    assert without.stderr.splitlines()[-1] == f"AssertionError: {captures.NEEDED}"


def test_whoever_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    taking = subprocess.Popen([sys.executable, "-c", TAKE, str(tmp_path)], cwd=captures.ROOT)
    try:
        unshare = wait_until(lambda: children(taking.pid), what="unshare")[0]
        first = wait_until(lambda: children(unshare), what="the first process inside")[0]
        wait_until(lambda: children(first), what="a program")
    finally:
        taking.kill()
        taking.wait()
    wait_until(lambda: not children(first) and not alive(first), what="the end of all of them")


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def ss_name(program: dict[str, Any]) -> str | None:
    comm = bytes.fromhex(program["comm"])
    # ss reads /proc/PID/stat up to the first closing bracket, and a newline ends its line.
    return shown_name(comm.partition(b")")[0])


def netstat_name(program: dict[str, Any]) -> str | None:
    room = NETSTAT_COLUMN - len(f"{program['pid']}/")
    return shown_name(bytes.fromhex(program["title"])[:room])


def shown_name(name: bytes) -> str | None:
    return program_name(decode(name.partition(b"\n")[0]))
