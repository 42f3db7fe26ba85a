"""What sockstat and tasklist know goes to the sockets that netstat has shown."""

from __future__ import annotations

from probes import parsers
from probes.parsers import Flag, Socket, joins
from probes.parsers.records import Details, Held, Holder, Tables, UnixSocket


def socket(
    local: str = "10.0.0.1", port: int | None = 22, pid: int | None = None, flags: int = 0
) -> Socket:
    return Socket(
        "tcp", 0, 0, local, port, "0.0.0.0", None, "LISTEN", pid, pid and f"p{pid}", flags
    )


def held(local: str = "10.0.0.1", port: int | None = 22, *, pid: int, fd: int = 3) -> Held:
    return Held(socket(local, port, pid)._replace(recv_queue=None, send_queue=None), "root", fd)


def joined(sockets: list[Socket], rows: list[Held]) -> Tables:
    tables = Tables(sockets=list(sockets), held=list(rows))
    joins.complete(tables)
    assert tables.held == []
    return tables


def test_a_socket_gets_its_process_and_keeps_its_queues() -> None:
    tables = joined([socket()], [held(pid=7)])
    assert tables.sockets == [socket(pid=7)]
    assert tables.details == {0: Details(user="root")}


def test_several_processes_on_one_socket_are_all_told() -> None:
    tables = joined([socket()], [held(pid=7), held(pid=8)])
    assert len(tables.sockets) == 1
    assert tables.details[0].holders == (Holder(7, "p7", 3), Holder(8, "p8", 3))


def test_sockets_with_the_same_ends_get_a_process_each() -> None:
    tables = joined([socket(), socket()], [held(pid=7), held(pid=7, fd=4), held(pid=8)])
    assert [row.pid for row in tables.sockets] == [7, 8]
    assert tables.details[0].holders == (Holder(7, "p7", 3), Holder(7, "p7", 4))


def test_more_sockets_than_processes_leave_some_without() -> None:
    tables = joined([socket(), socket()], [held(pid=7)])
    assert [row.pid for row in tables.sockets] == [7, None]


def test_what_no_socket_matches_is_one_of_its_own() -> None:
    tables = joined([socket()], [held(port=80, pid=9)])
    assert [(row.local_port, row.pid) for row in tables.sockets] == [(22, None), (80, 9)]


def test_details_that_are_there_already_stay() -> None:
    tables = Tables(sockets=[socket(pid=5)], held=[held(pid=7)])
    tables.details[0] = Details(user="mina", more=(("pcb", "ff"),))
    joins.complete(tables)
    assert tables.sockets[0].pid == 5
    assert tables.details[0] == Details(user="mina", more=(("pcb", "ff"),))


def test_a_cut_address_is_matched_by_its_ports_where_only_one_is_left() -> None:
    cut = socket("2001:db8:10:20:3::", flags=Flag.LOCAL_TRUNCATED)
    whole = "2001:db8:10:20:30::5"
    tables = joined([cut], [held(whole, pid=7)])
    assert [(row.local_ip, row.pid) for row in tables.sockets] == [("2001:db8:10:20:3::", 7)]
    two = joined([cut], [held(whole, pid=7), held("2001:db8:10:20:31::5", pid=8)])
    assert [row.pid for row in two.sockets] == [None, 7, 8]


def test_unix_sockets_get_the_process_of_their_path() -> None:
    tables = Tables(
        unix=[UnixSocket("dgram", None, "/log", address="ff"), UnixSocket("dgram", None, None)],
        held_unix=[
            UnixSocket("dgram", None, "/log", pid=7, program="syslogd"),
            UnixSocket("dgram", None, "/log", pid=8, program="syslogd"),
            UnixSocket("dgram", "CONNECTED", None, pid=9, program="cron"),
            UnixSocket("stream", None, "/new", pid=10, program="x"),
        ],
    )
    joins.complete(tables)
    assert tables.unix == [
        UnixSocket("dgram", None, "/log", pid=7, program="syslogd", address="ff"),
        UnixSocket("dgram", None, None),
        UnixSocket("stream", None, "/new", pid=10, program="x"),
    ]


def test_a_list_of_processes_names_the_programs() -> None:
    tables = Tables(sockets=[socket()._replace(pid=4), socket()], processes={4: "System"})
    joins.complete(tables)
    assert [row.program for row in tables.sockets] == ["System", None]


def test_which_bsd_it_is_one_table_tells_for_all() -> None:
    assert joins.settled(["bsd", "freebsd"]) == ["freebsd"]
    assert joins.settled(["bsd"]) == ["bsd"]
    assert joins.settled(["net-tools", "bsd"]) == ["net-tools", "bsd"]


def test_where_one_table_is_surely_of_busybox_all_that_look_like_net_tools_are() -> None:
    assert joins.settled(["net-tools", "busybox"]) == ["busybox"]
    assert joins.settled(["net-tools", "ss"]) == ["net-tools", "ss"]
    assert joins.settled(["busybox", "net-tools", "iproute2"]) == ["busybox", "iproute2"]


def test_netstat_and_sockstat_in_one_text_are_one_table() -> None:
    text = (
        "Active Internet connections (including servers)\n"
        "Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n"
        "tcp46      0      5 *.8080                 *.*                    LISTEN\n"
        "USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n"
        "build    java       977   88 tcp46  *:8080                *:*\n"
    )
    for ordered in (
        text,
        "".join(sorted(text.splitlines(True), key=lambda line: line[0] in "APt")),
    ):
        parsed = parsers.parse(ordered)
        assert [(row.send_queue, row.pid) for row in parsed.tables.sockets] == [(5, 977)]
        assert parsed.dialect == "freebsd"
        assert parsed.row_lines == 2
