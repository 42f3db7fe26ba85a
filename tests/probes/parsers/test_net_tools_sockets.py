"""Tables of sockets of net-tools, read in full: what a line alone does not tell, or history does
not hold. Rows by themselves are in test_net_tools_rows, whole outputs in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Parsed, Socket
from probes.parsers.records import Details, Timer

TITLE = "Active Internet connections (servers and established)\n"
COLUMNS = "Proto Recv-Q Send-Q Local Address           Foreign Address         State      \n"
PLAIN = "tcp        0      0 10.0.0.5:22             0.0.0.0:*               LISTEN     \n"
EXTENDED = "tcp        0      0 10.0.0.5:22             0.0.0.0:*               LISTEN      "


def read(text: str, *, wide: bool = False) -> Parsed:
    parsed = parsers.parse(text, wide=wide)
    assert parsed.lines == (
        parsed.row_lines + parsed.header_lines + parsed.blank_lines + len(parsed.rejected)
    )
    return parsed


def one(line: str, *, wide: bool = False) -> tuple[Socket, Details]:
    parsed = read(TITLE + COLUMNS + line, wide=wide)
    assert not parsed.rejected, parsed.rejected
    (socket,) = parsed.sockets
    return socket, parsed.tables.details.get(0, Details())


def tail(text: str) -> tuple[int | None, str | None, Details]:
    socket, details = one(EXTENDED + text)
    return socket.pid, socket.program, details


class TestUserInodeAndTimer:
    OFF = Timer("off", 0.0, 0, 0)

    def test_all_columns_together(self) -> None:
        told = tail("www-data   16791      17/my prog 3        keepalive (7187.42/3/9)")
        timer = Timer("keepalive", 7187.42, 3, 9)
        assert told == (17, "my prog 3", Details(user="www-data", inode=16791, timer=timer))

    def test_each_by_itself(self) -> None:
        assert tail("1000       16791     ") == (None, None, Details(user="1000", inode=16791))
        assert tail(" off (0.00/0/0)") == (None, None, Details(timer=self.OFF))
        assert tail("17/sshd              off (0.00/0/0)") == (
            17, "sshd", Details(timer=self.OFF),
        )  # fmt: skip
        assert tail("17/sshd")[2] == Details()

    def test_a_user_longer_than_its_column(self) -> None:
        assert tail("a-very-long-user 16791      -") == (
            None, None, Details(user="a-very-long-user", inode=16791),
        )  # fmt: skip

    def test_a_program_without_pid_that_ends_in_a_number_is_no_user(self) -> None:
        assert tail("worker 3") == (None, "worker 3", Details())

    def test_an_inode_of_zero_is_no_inode_and_time_wait_has_no_user(self) -> None:
        line = EXTENDED.replace("LISTEN   ", "TIME_WAIT") + "0          0          -"
        assert one(line)[1] == Details()
        assert one(line.replace("TIME_WAIT", "SYN_RECV "))[1] == Details(user="0")

    @pytest.mark.parametrize(
        ("text", "timer"),
        [
            ("on (0.20/2/0)", Timer("on", 0.2, 2, 0)),
            ("timewait (59.66/0/0)", Timer("timewait", 59.66, 0, 0)),
            ("probe (1.50/0/4)", Timer("probe", 1.5, 0, 4)),
            ("on2 (1.00/0/-1)", Timer("on", 1.0, 0, None)),
            ("unkn-5 (1.00/0/0)", Timer("unknown", 1.0, 0, 0)),
            ("on (0,20/2/0)", Timer("on", 0.2, 2, 0)),
            ("aus (0.00/0/0)", OFF),
            ("オフ (0.00/0/0)", OFF),
            ("キープアライブ (7.00/0/0)", Timer("keepalive", 7.0, 0, 0)),
            ("temps d'espera (7.00/0/0)", Timer("timewait", 7.0, 0, 0)),
            ("eikäi ((0.00/0/0)", OFF),
            ("desconh.-7 (1.00/0)", None),
        ],
    )
    def test_kinds_of_timers(self, text: str, timer: Timer | None) -> None:
        details = tail(f"17/x                 {text}")[2]
        assert details.timer == timer

    def test_a_program_that_ends_like_a_timer_keeps_its_end(self) -> None:
        assert tail("17/x (1.00/0/0)")[1] == "x (1.00/0/0)"

    def test_the_context_of_selinux_is_told_apart(self) -> None:
        context = "system_u:system_r:sshd_t:s0-s0:c0.c1023"
        assert tail(f"17/sshd              {context:<50} off (0.00/0/0)") == (
            17, "sshd", Details(timer=self.OFF, more=(("context", context),)),
        )  # fmt: skip

    def test_plain_lines_among_them_have_no_details(self) -> None:
        parsed = read(TITLE + COLUMNS + PLAIN + EXTENDED + "0          5          -\n" + PLAIN)
        assert len(parsed.sockets) == 3
        assert parsed.tables.details == {1: Details(user="0", inode=5)}

    def test_an_inode_no_system_has_is_a_reason(self) -> None:
        ((_, _, why),) = read(TITLE + PLAIN + EXTENDED + f"0          {2**63} -").rejected
        assert "inode" in why


class TestNamesInsteadOfNumbers:
    def test_host_names_stay_names_and_services_become_ports(self) -> None:
        line = "tcp        0      0 localhost:ipp           host.example.org:https  ESTABLISHED"
        socket, _ = one(line, wide=True)
        assert socket[3:8] == ("localhost", 631, "host.example.org", 443, "ESTABLISHED")
        assert socket.flags == Flag.LOCAL_NAME | Flag.FOREIGN_NAME

    def test_a_name_that_fills_its_column_counts_as_cut(self) -> None:
        line = "tcp        0      0 localhost:ipp           host.example.or:https   ESTABLISHED"
        assert one(line)[0].flags == Flag.LOCAL_NAME | Flag.FOREIGN_NAME
        cut = line.replace("host.example.or:https  ", "shop4.example.org:https")
        assert one(cut)[0].flags & Flag.FOREIGN_TRUNCATED
        assert not one(cut, wide=True)[0].flags & Flag.FOREIGN_TRUNCATED

    def test_an_ipv4_address_is_cut_where_a_service_needs_the_room(self) -> None:
        # 198.51.100.123:postgresql and 198.51.100.9:postgresql without -W
        for shown in ("198.51.100.1:postgresql", "198.51.100.9:postgresql"):
            socket, _ = one(f"tcp        0      0 {shown} 0.0.0.0:*               LISTEN")
            assert (socket.local_ip, socket.local_port) == (shown.partition(":")[0], 5432)
            assert socket.flags == Flag.LOCAL_TRUNCATED
        # 203.0.113.77:ms-wbt-server, whose last octet is lost
        socket, _ = one(
            "tcp        0      0 203.0.113:ms-wbt-server 0.0.0.0:*               LISTEN"
        )
        assert socket[3:5] == ("203.0.113", 3389)
        assert socket.flags == Flag.LOCAL_TRUNCATED

    @pytest.mark.parametrize("any_address", ["*:ssh", "0.0.0.0:ssh", "[::]:ssh", ":::ssh"])
    def test_any_address_in_all_its_forms(self, any_address: str) -> None:
        v6 = ":::" in any_address or "[" in any_address
        word = "tcp6" if v6 else "tcp"
        foreign = "[::]:*" if v6 else "*:*"
        socket, _ = one(f"{word:<5}      0      0 {any_address:<23} {foreign:<23} LISTEN")
        any_ip = "::" if v6 else "0.0.0.0"
        assert socket[:7] == (word, 0, 0, any_ip, 22, any_ip, None)
        assert socket.flags == 0

    def test_raw_sockets_have_protocols_for_ports(self) -> None:
        line = "raw6       0      0 [::]:ipv6-icmp          [::]:*                  7"
        assert one(line)[0][:6] == ("raw6", 0, 0, "::", 58, "::")

    def test_a_service_nobody_knows_is_a_reason(self) -> None:
        line = "tcp        0      0 localhost:frobnicate    0.0.0.0:*               LISTEN"
        ((_, _, why),) = read(TITLE + PLAIN + line).rejected
        assert "service" in why

    def test_history_reads_services_and_refuses_host_names(self) -> None:
        lines = [
            "tcp        0      0 10.0.0.5:ssh            0.0.0.0:*               LISTEN",
            "tcp        0      0 localhost:ssh           0.0.0.0:*               LISTEN",
        ]
        result = parsers.parse_lines(lines, "net-tools")
        assert [socket.local_ip for socket in result.sockets] == ["10.0.0.5"]
        assert [why for _, why in result.rejected] == ["a host name where the address belongs"]

    def test_names_keep_their_place_among_the_rows(self) -> None:
        named = PLAIN.replace("10.0.0.5:22 ", "localhost:22")
        parsed = read(TITLE + COLUMNS + PLAIN + named + PLAIN)
        assert [socket.local_ip for socket in parsed.sockets] == [
            "10.0.0.5", "localhost", "10.0.0.5",
        ]  # fmt: skip


class TestSctp:
    ROW = "sctp       0      0 10.0.0.5:3868           10.0.0.9:40000          ESTABLISHED\n"
    MORE = " " * 20

    def test_further_addresses_belong_to_the_row_before(self) -> None:
        text = (
            f"{TITLE}{self.ROW}"
            f"{self.MORE}{'10.1.0.5':<23} {'10.1.0.9':<23}\n"
            f"{self.MORE}{'':<23} {'10.2.0.9':<23}             77/diameter\n"
        )
        parsed = read(text)
        assert (parsed.row_lines, parsed.rejected) == (3, [])
        (socket,) = parsed.sockets
        assert (socket.pid, socket.program) == (77, "diameter")
        assert dict(parsed.tables.details[0].more) == {
            "local_addresses": "10.1.0.5",
            "foreign_addresses": "10.1.0.9, 10.2.0.9",
        }

    def test_an_endpoint_has_ports_with_its_addresses(self) -> None:
        text = (
            f"{TITLE}sctp                {'2001:db8::5:2905':<47} LISTEN\n"
            f"{self.MORE}{'2001:db8::6:2905':<47}\n"
        )
        parsed = read(text)
        assert parsed.sockets[0].local_ip == "2001:db8::5"
        assert parsed.tables.details[0].more == (("local_addresses", "2001:db8::6"),)

    @pytest.mark.parametrize("line", ["nothing here", "1.2.3", ""])
    def test_what_holds_no_address_is_rejected_and_changes_nothing(self, line: str) -> None:
        parsed = read(f"{TITLE}{self.ROW}{self.MORE}{line}\n{PLAIN}")
        assert len(parsed.sockets) == 2
        assert parsed.tables.details == {}
        assert len(parsed.rejected) == bool(line)

    def test_below_another_row_there_is_nothing_to_add_to(self) -> None:
        parsed = read(f"{TITLE}{PLAIN}{self.MORE}10.1.0.5                10.1.0.9\n")
        assert len(parsed.rejected) == 1

    def test_a_hundred_thousand_addresses_are_too_many(self) -> None:
        more = f"{self.MORE}{'10.1.0.5':<23} {'10.1.0.9':<23}\n" * 1000
        parsed = read(TITLE + self.ROW + more)
        assert len(parsed.rejected) > 100
        assert all(len(value) <= 4096 for _, value in parsed.tables.details[0].more)


class TestHeadings:
    def test_tables_of_repeated_output_follow_each_other(self) -> None:
        parsed = read((TITLE + COLUMNS + PLAIN) * 3)
        assert (len(parsed.sockets), parsed.header_lines) == (3, 6)

    def test_there_need_be_none(self) -> None:
        parsed = read(PLAIN * 2)
        assert (len(parsed.sockets), parsed.header_lines) == (2, 0)

    def test_those_of_an_unknown_language_are_told_by_what_follows(self) -> None:
        text = "Aktive blabla (x)\nProto Foo Bar Lokal Fjern Tilstand\n" + PLAIN
        parsed = read("\n" + text)
        assert (len(parsed.sockets), parsed.header_lines, parsed.rejected) == (1, 2, [])

    def test_a_third_line_before_is_no_heading(self) -> None:
        parsed = read("$ netstat\nAktive blabla (x)\nProto Foo Bar Lokal Fjern\n" + PLAIN)
        assert [(line, text) for line, text, _ in parsed.rejected] == [(1, "$ netstat")]

    def test_a_prompt_above_a_known_heading_stays_rejected(self) -> None:
        parsed = read("$ netstat -ant\n" + TITLE + COLUMNS + PLAIN)
        assert (parsed.header_lines, len(parsed.rejected)) == (2, 1)

    def test_empty_tables_of_families_nobody_has_end_the_one_before(self) -> None:
        text = (
            TITLE + COLUMNS + PLAIN + "Active Bluetooth connections (servers and established)\n"
            "Proto  Destination       Source            State         PSM DCID   SCID      IMTU"
            "    OMTU Security\n"
            "Proto  Destination       Source            State     Channel\n"
            "Active IPX sockets\n"
        )
        parsed = read(text)
        assert (len(parsed.sockets), parsed.rejected, parsed.found) == (1, [], ("sockets",))

    def test_busybox_is_told_by_a_blank_more(self) -> None:
        assert read(TITLE + COLUMNS + PLAIN).dialect == "net-tools"
        assert read(TITLE + COLUMNS.replace("\n", " \n") + PLAIN).dialect == "busybox"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("VERBUNDEN", "ESTABLISHED"),
        ("OUÇA", "LISTEN"),
        ("POSLEDNÍ ACK", "LAST_ACK"),
        ("ESPERANDO_FECHAR", "CLOSE_WAIT"),
        ("LYSSNAR", "LISTEN"),
    ],
)
def test_states_of_other_languages_are_ours(word: str, state: str) -> None:
    socket, _ = one(f"tcp        0      0 1.2.3.4:5 1.2.3.4:6 {word} 17/x")
    assert (socket.state, socket.pid, socket.program) == (state, 17, "x")


def test_a_udp_program_named_like_a_state_of_another_language_is_a_program() -> None:
    line = "udp        0      0 0.0.0.0:53              0.0.0.0:*                 17/VERBUNDEN"
    assert one(line)[0][7:10] == (None, 17, "VERBUNDEN")
