"""What a stored observation leaves behind, case by case."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import store
from probes.models import (
    ClosedSocket,
    Direction,
    LastText,
    OpenSocket,
    Outcome,
    RawOutput,
    Schedule,
    Snapshot,
)
from probes.observation import Code, Privilege
from tests.databases import both_databases
from tests.probes.history.played import (
    LISTENER,
    at,
    everything,
    failed,
    line,
    observed,
    open_rows,
    queues,
    rows_at,
    rows_of,
    ss_table,
    table,
)

FIRST = table(LISTENER, line(), line("10.0.0.5:40000", "10.0.0.7:5432", holder="900/app"))


@both_databases
def test_the_first_whole_probe_is_a_baseline(host: Host, using: str) -> None:
    snapshot = store.save(host, observed(0, FIRST), login_version="v1", using=using)

    assert snapshot.outcome == Outcome.OK
    assert snapshot.code == ""
    assert (snapshot.sockets, snapshot.listeners) == (3, 1)
    assert snapshot.by_state == {"LISTEN": 1, "ESTABLISHED": 2}
    assert snapshot.by_protocol == {"tcp": 3}
    assert (snapshot.opened, snapshot.closed, snapshot.lines) == (3, 0, 5)
    assert snapshot.duration_ms == 250
    assert open_rows(host, using) == rows_of(FIRST)
    schedule = Schedule.objects.using(using).get(host_id=host.pk)
    assert schedule.latest_id == schedule.latest_whole_id == snapshot.pk


@both_databases
def test_what_closed_was_last_seen_in_the_whole_probe_before(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    store.save(host, observed(1, FIRST), using=using)
    second = store.save(host, observed(3, table(LISTENER, line())), using=using)

    closed = ClosedSocket.objects.using(using).get()
    assert (closed.first_seen, closed.last_seen) == (at(0), at(1))
    assert closed.local_port == 40000
    assert (second.opened, second.closed) == (0, 1)
    assert open_rows(host, using) == rows_of(table(LISTENER, line()))


@both_databases
def test_nothing_is_written_for_a_socket_that_stays(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    before = everything(host, using)[:2]
    store.save(host, observed(1, FIRST), using=using)

    assert everything(host, using)[:2] == before
    assert set(OpenSocket.objects.using(using).values_list("first_seen", flat=True)) == {at(0)}


@both_databases
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(line(state="CLOSE_WAIT"), id="another state"),
        pytest.param(line(holder="4242/sshd"), id="another process"),
        pytest.param(line(holder="811/other"), id="another program"),
        pytest.param(line(holder="-"), id="no process"),
    ],
)
def test_another_state_or_process_ends_an_interval(host: Host, using: str, after: str) -> None:
    store.save(host, observed(0, table(LISTENER, line())), using=using)
    snapshot = store.save(host, observed(1, table(LISTENER, after)), using=using)

    assert (snapshot.opened, snapshot.closed) == (1, 1)
    assert rows_at(host, at(0), using) == rows_of(table(LISTENER, line()))
    assert rows_at(host, at(1), using) == rows_of(table(LISTENER, after))


@both_databases
def test_queues_change_without_ending_an_interval(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTENER, line(queues=(0, 36)))), using=using)
    snapshot = store.save(host, observed(1, table(LISTENER, line(queues=(7, 0)))), using=using)

    assert (snapshot.opened, snapshot.closed) == (0, 0)
    row = OpenSocket.objects.using(using).get(local_port=22, remote_port=51000)
    assert (row.first_seen, row.recv_queue, row.send_queue) == (at(0), 7, 0)
    assert not ClosedSocket.objects.using(using).exists()


@both_databases
def test_rows_that_are_the_same_are_copies_of_one(host: Host, using: str) -> None:
    twice = line("0.0.0.0:5353", "0.0.0.0:*", "", "700/avahi", protocol="udp")
    history = [
        table(LISTENER, twice),
        table(LISTENER, twice, twice, twice),
        table(LISTENER, twice, twice),
        table(LISTENER),
        table(LISTENER, twice, twice),
    ]
    for minute, text in enumerate(history):
        store.save(host, observed(minute, text), using=using)

    for minute, text in enumerate(history):
        assert rows_at(host, at(minute), using) == rows_of(text)
    assert OpenSocket.objects.using(using).get(local_port=5353).copies == 2


@both_databases
def test_queues_of_copies_are_summed(host: Host, using: str) -> None:
    def text(*sent: int) -> str:
        rows = [line("0.0.0.0:53", "0.0.0.0:*", "", "9/dns", protocol="udp", queues=(q, 1))
                for q in sent]  # fmt: skip
        return table(LISTENER, *rows)

    for minute, sent in enumerate([(5,), (5, 70), (6, 70), (6,)]):
        store.save(host, observed(minute, text(*sent)), using=using)
        row = OpenSocket.objects.using(using).get(local_port=53)
        assert (row.copies, row.recv_queue, row.send_queue) == (len(sent), sum(sent), len(sent))


@both_databases
def test_the_same_probe_stored_twice_is_stored_once(host: Host, using: str) -> None:
    first = store.save(host, observed(0, FIRST), using=using)
    second = store.save(host, observed(1, table(LISTENER)), using=using)
    before = everything(host, using)

    assert store.save(host, observed(1, table(LISTENER)), using=using).pk == second.pk
    assert store.save(host, observed(0, FIRST), using=using).pk == first.pk
    assert store.save(host, failed(1), using=using).pk == second.pk
    assert everything(host, using) == before


@both_databases
def test_a_late_probe_changes_nothing(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    newest = store.save(host, observed(5, table(LISTENER)), using=using)
    before = everything(host, using)[:2]
    late = store.save(host, observed(3, FIRST), using=using)

    assert (late.outcome, late.code) == (Outcome.LATE, Code.LATE)
    assert late.sockets == 3
    assert everything(host, using)[:2] == before
    schedule = Schedule.objects.using(using).get(host_id=host.pk)
    assert schedule.latest_id == schedule.latest_whole_id == newest.pk
    assert store.raw(late, using=using) == FIRST.encode()
    assert LastText.objects.using(using).get().taken_at == at(5)


@both_databases
def test_a_whole_probe_that_a_failed_one_overtook_still_counts(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    failure = store.save(host, failed(3), using=using)
    whole = store.save(host, observed(2, table(LISTENER)), using=using)

    assert whole.outcome == Outcome.OK
    assert open_rows(host, using) == rows_of(table(LISTENER))
    schedule = Schedule.objects.using(using).get(host_id=host.pk)
    assert (schedule.latest_id, schedule.latest_whole_id) == (failure.pk, whole.pk)


@both_databases
@pytest.mark.parametrize("code", list(Code))
def test_a_failed_probe_closes_nothing(host: Host, using: str, code: Code) -> None:
    whole = store.save(host, observed(0, FIRST), using=using)
    before = everything(host, using)[:2]
    cut = FIRST[:-30]
    snapshot = store.save(host, failed(1, code, raw=cut.encode(), notes="oops"), using=using)

    partial = code in {Code.TRUNCATED, Code.OUTPUT_TOO_LARGE, Code.TIMED_OUT}
    assert snapshot.outcome == (Outcome.PARTIAL if partial else Outcome.FAILED)
    assert (snapshot.code, snapshot.detail) == (code, "said so")
    assert everything(host, using)[:2] == before
    assert store.raw(snapshot, using=using) == cut.encode()
    assert store.notes(snapshot, using=using) == "oops"
    schedule = Schedule.objects.using(using).get(host_id=host.pk)
    assert (schedule.latest_id, schedule.latest_whole_id) == (snapshot.pk, whole.pk)


@both_databases
def test_a_timeout_without_output_is_failed_and_keeps_no_raw_output(host: Host, using: str) -> None:
    snapshot = store.save(host, failed(0, Code.TIMED_OUT), using=using)

    assert snapshot.outcome == Outcome.FAILED
    assert store.raw(snapshot, using=using) is None
    assert store.notes(snapshot, using=using) == ""


@both_databases
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "-bash: netstat: command not found\n",
        table("tcp 0 0 nonsense", "udp ?"),
        # One readable row says nothing of those drowned beside it.
        table(LISTENER, "%% 1 %%", "%% 2 %%"),
    ],
)
def test_an_output_that_is_no_table_closes_nothing(host: Host, using: str, text: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    before = everything(host, using)[:2]
    snapshot = store.save(host, observed(1, text), using=using)

    assert (snapshot.outcome, snapshot.code) == (Outcome.FAILED, Code.NOT_UNDERSTOOD)
    assert snapshot.detail
    assert everything(host, using)[:2] == before
    assert (store.raw(snapshot, using=using) or b"") == text.encode()


@both_databases
def test_an_empty_table_with_its_header_closes_everything(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    for minute in (1, 2):
        snapshot = store.save(host, observed(minute, table()), using=using)
        assert (snapshot.outcome, snapshot.sockets, snapshot.by_state) == (Outcome.OK, 0, {})
    assert not OpenSocket.objects.using(using).exists()
    assert rows_at(host, at(0), using) == rows_of(FIRST)


@both_databases
def test_lines_not_understood_are_counted_and_their_output_is_kept(host: Host, using: str) -> None:
    odd = table(LISTENER, "tcp 0 0 what is this", line())
    for minute in (0, 1):
        snapshot = store.save(host, observed(minute, odd), using=using)
        assert (snapshot.outcome, snapshot.sockets, snapshot.rejected) == (Outcome.OK, 2, 1)
        assert RawOutput.objects.using(using).filter(pk=snapshot.pk).exists()
    clean = store.save(host, observed(2, table(LISTENER, line())), using=using)
    assert clean.rejected == 0
    assert store.raw(snapshot, using=using) == odd.encode()


@both_databases
def test_the_newest_whole_output_is_kept_once_and_the_one_before_is_gone(
    host: Host, using: str
) -> None:
    first = store.save(host, observed(0, FIRST, notes="first"), using=using)
    assert store.raw(first, using=using) == FIRST.encode()
    assert store.notes(first, using=using) == "first"
    assert not RawOutput.objects.using(using).exists()

    second = store.save(host, observed(1, table(LISTENER)), using=using)
    assert store.raw(first, using=using) is None
    assert store.notes(first, using=using) == ""
    assert store.raw(second, using=using) == table(LISTENER).encode()


@both_databases
def test_rows_without_a_pid_count_only_where_there_should_be_one(host: Host, using: str) -> None:
    text = table(
        LISTENER,
        line(state="TIME_WAIT", holder="-"),
        line("10.0.0.5:23", state="SYN_RECV", holder="-"),
        line("10.0.0.5:24", state="LAST_ACK", holder="-"),
    )
    clean = store.save(host, observed(0, text, privilege=Privilege.USER), using=using)
    assert (clean.without_pid, clean.code) == (0, "")

    hidden = table(LISTENER, line(holder="-"))
    limited = store.save(host, observed(1, hidden, privilege=Privilege.USER), using=using)
    assert (limited.outcome, limited.without_pid) == (Outcome.OK, 1)
    assert limited.code == Code.PERMISSION_LIMITED

    as_root = store.save(host, observed(2, hidden, privilege=Privilege.ROOT), using=using)
    assert (as_root.without_pid, as_root.code) == (1, "")

    told = replace(observed(3, hidden, privilege=Privilege.ROOT), tool="proc")
    by_the_kernel = store.save(host, told, using=using)
    assert (by_the_kernel.without_pid, by_the_kernel.code) == (1, Code.PERMISSION_LIMITED)


@both_databases
def test_a_netstat_that_names_no_process_is_told_even_to_root(host: Host, using: str) -> None:
    hidden = table(LISTENER.replace("800/sshd", "-"), line(state="TIME_WAIT", holder="-"))
    busybox = {"command": "/bin/netstat -antuw", "privilege": Privilege.ROOT}
    blind = store.save(host, observed(0, hidden, **busybox), using=using)
    assert (blind.outcome, blind.without_pid) == (Outcome.OK, 1)
    assert blind.code == Code.PERMISSION_LIMITED

    again = store.save(host, observed(1, hidden, **busybox), using=using)
    assert again.code == Code.PERMISSION_LIMITED  # from the difference alone

    empty = store.save(host, observed(2, table(), **busybox), using=using)
    assert (empty.outcome, empty.sockets, empty.code) == (Outcome.OK, 0, "")

    waiting = table(line(state="TIME_WAIT", holder="-"))
    assert store.save(host, observed(3, waiting, **busybox), using=using).code == ""

    bsd = {"command": "/usr/bin/netstat -anv", "privilege": Privilege.ROOT}
    some = table(LISTENER, line(holder="-"))  # sockstat told of one of them
    assert store.save(host, observed(4, some, **bsd), using=using).code == ""
    none = store.save(host, observed(5, hidden, **bsd), using=using)
    assert none.code == Code.PERMISSION_LIMITED


@both_databases
def test_sockets_of_the_kernel_are_no_want_of_rights(host: Host, using: str) -> None:
    kernels = table(LISTENER.replace("800/sshd", "-"))
    for minute, command in enumerate(("sudo -n /bin/netstat -antuwpW", "/usr/bin/ss -antuwp")):
        asked = {"command": command, "tool": command.split("/")[-1].split(" ")[0]}
        seen = store.save(host, observed(minute, kernels, **asked), using=using)
        assert (seen.without_pid, seen.code) == (1, "")


@both_databases
def test_a_probe_that_sees_less_under_the_same_login_merges_nothing(host: Host, using: str) -> None:
    whole = store.save(host, observed(0, FIRST), login_version="v1", using=using)
    before = everything(host, using)[:2]
    hidden = table(LISTENER.replace("800/sshd", "-"), line(holder="-"))
    less = store.save(
        host, observed(1, hidden, privilege=Privilege.USER), login_version="v1", using=using
    )

    assert (less.outcome, less.code) == (Outcome.LIMITED, Code.PERMISSION_LIMITED)
    assert (less.sockets, less.without_pid) == (2, 2)
    assert everything(host, using)[:2] == before
    assert store.raw(less, using=using) == hidden.encode()
    schedule = Schedule.objects.using(using).get(host_id=host.pk)
    assert (schedule.latest_id, schedule.latest_whole_id) == (less.pk, whole.pk)

    other_login = store.save(
        host, observed(2, hidden, privilege=Privilege.USER), login_version="v2", using=using
    )
    assert other_login.outcome == Outcome.OK
    assert open_rows(host, using) == rows_of(hidden)
    assert rows_at(host, at(0), using) == rows_of(FIRST)


@both_databases
def test_directions_follow_the_listeners_of_the_same_probe(host: Host, using: str) -> None:
    def directions() -> dict[tuple[int | None, int | None], int]:
        rows = OpenSocket.objects.using(using)
        return {(row.local_port, row.remote_port): row.direction for row in rows}

    store.save(
        host,
        observed(
            0,
            table(
                line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd"),
                line("10.0.0.5:22", "10.0.0.9:51000"),
                line("10.0.0.5:40000", "10.0.0.7:22"),
                line("127.0.0.1:40001", "127.0.0.2:22"),
                line("10.0.0.5:40002", "10.0.0.5:22"),
                line("0.0.0.0:68", "0.0.0.0:*", "", "9/dhclient", protocol="udp"),
                line("10.0.0.5:68", "10.0.0.1:67", "ESTABLISHED", "9/dhclient", protocol="udp"),
                line("0.0.0.0:1", "0.0.0.0:*", "7", "10/ping", protocol="raw"),
            ),
        ),
        using=using,
    )
    assert directions() == {
        (22, None): Direction.LISTEN,
        (22, 51000): Direction.IN,
        (40000, 22): Direction.OUT,
        (40001, 22): Direction.LOCAL,
        (40002, 22): Direction.LOCAL,
        (68, None): Direction.LISTEN,
        (68, 67): Direction.IN,
        (1, None): Direction.LISTEN,
    }
    # A dual-stack listener takes IPv4 too, and one opened by this very probe counts.
    store.save(
        host,
        observed(
            1,
            table(
                line(":::80", ":::*", "LISTEN", "12/nginx", protocol="tcp6"),
                line("10.0.0.5:80", "10.0.0.9:52000", holder="12/nginx"),
                line("10.0.0.5:22", "10.0.0.9:53000"),
            ),
        ),
        using=using,
    )
    assert directions() == {
        (80, None): Direction.LISTEN,
        (80, 52000): Direction.IN,
        (22, 53000): Direction.OUT,
    }


@both_databases
def test_a_missing_last_text_is_rebuilt_from_the_open_sockets(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    LastText.objects.using(using).all().delete()
    after = table(LISTENER, line(), line("10.0.0.5:22", "10.0.0.10:6000"))
    snapshot = store.save(host, observed(1, after), using=using)

    assert (snapshot.opened, snapshot.closed) == (1, 1)
    assert open_rows(host, using) == rows_of(after)
    assert rows_at(host, at(0), using) == rows_of(FIRST)
    kept = OpenSocket.objects.using(using).get(remote_port=51000)
    assert kept.first_seen == at(0)


@both_databases
def test_open_sockets_without_any_record_of_a_probe_are_closed_at_their_newest_sight(
    host: Host, using: str
) -> None:
    store.save(host, observed(0, table(LISTENER)), using=using)
    store.save(host, observed(1, FIRST), using=using)
    LastText.objects.using(using).all().delete()
    Snapshot.objects.using(using).all().delete()
    after = table(LISTENER)
    store.save(host, observed(2, after), using=using)

    assert open_rows(host, using) == rows_of(after)
    assert set(ClosedSocket.objects.using(using).values_list("last_seen", flat=True)) == {at(1)}


@both_databases
def test_open_sockets_that_part_from_the_text_are_mended_by_the_next_probe(
    host: Host, using: str
) -> None:
    store.save(host, observed(0, FIRST), using=using)
    OpenSocket.objects.using(using).filter(local_port=40000).delete()
    after = table(LISTENER, line())  # closes a row that is not there
    snapshot = store.save(host, observed(1, after), using=using)

    assert snapshot.outcome == Outcome.OK
    assert open_rows(host, using) == rows_of(after)
    assert snapshot.sockets == 2


@both_databases
def test_another_tool_is_compared_row_by_row(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    by_ss = ss_table(
        ("tcp", "LISTEN", "0", "128", "0.0.0.0:22", "0.0.0.0:*", 'users:(("sshd",pid=800,fd=3))'),
        ("tcp", "ESTAB", "0", "0", "10.0.0.5:22", "10.0.0.9:51000",
         'users:(("sshd",pid=811,fd=4))'),
    )  # fmt: skip
    snapshot = store.save(host, observed(1, by_ss, tool="ss"), using=using)

    assert (snapshot.opened, snapshot.closed) == (0, 1)
    assert LastText.objects.using(using).get().dialect == "ss"
    assert open_rows(host, using) == rows_of(by_ss)


@both_databases
def test_a_netstat_that_cuts_addresses_no_more_is_compared_row_by_row(
    host: Host, using: str
) -> None:
    # 23 characters: cut, as far as one can know, unless netstat ran with -W.
    text = table(LISTENER, line("2001:db8:1234:56::78:22", ":::*", "LISTEN", protocol="tcp6"))
    store.save(host, observed(0, text), using=using)
    cut = OpenSocket.objects.using(using).get(protocol=1)
    assert bytes(cut.local_ip) == b""

    snapshot = store.save(host, observed(1, text, wide=True), using=using)
    whole = OpenSocket.objects.using(using).get(protocol=1)
    assert (snapshot.opened, snapshot.closed) == (1, 1)
    assert (len(bytes(whole.local_ip)), whole.flags) == (16, 0)
    again = store.save(host, observed(2, text + "\n", wide=True), using=using)
    assert (again.opened, again.closed) == (0, 0)


@both_databases
def test_times_of_any_zone_are_stored_as_utc(host: Host, using: str) -> None:
    east = dt.timezone(dt.timedelta(hours=8))
    snapshot = store.save(host, observed(0, FIRST, taken_at=at(0).astimezone(east)), using=using)
    again = store.save(host, observed(0, FIRST), using=using)
    assert again.pk == snapshot.pk
    assert OpenSocket.objects.using(using).filter(first_seen=at(0)).count() == 3


@both_databases
def test_hosts_do_not_touch_one_another(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    store.save(host, observed(0, FIRST), using=using)
    store.save(other, observed(0, FIRST), using=using)
    before = everything(other, using)
    store.save(host, observed(1, table(LISTENER)), using=using)

    assert everything(other, using) == before
    assert open_rows(host, using) == rows_of(table(LISTENER))


HOSTILE = [
    "tcp 0 0 10.0.0.5:22 10.0.0.9:1 ESTABLISHED 1/a\\x00b",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:2 ESTABLISHED 1/\u2028\u202e\x85name",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:3 ESTABLISHED 1/tab\there\\\\n \\N \\. \\x",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:4 ESTABLISHED 1/'; DROP TABLE probes_opensocket; --",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:5 ESTABLISHED 1/%s %(x)s {}",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:99999 ESTABLISHED 1/port",
    f"tcp {2**70} 0 10.0.0.5:22 10.0.0.9:6 ESTABLISHED 1/queue",
    f"tcp {2**63} 0 10.0.0.5:22 10.0.0.9:7 ESTABLISHED 1/queue",
    f"tcp {2**63 - 1} {2**63 - 1} 10.0.0.5:22 10.0.0.9:8 ESTABLISHED 1/queue",
    f"tcp {2**63 - 1} {2**63 - 1} 10.0.0.5:22 10.0.0.9:8 ESTABLISHED 1/queue",
    f"tcp 0 0 10.0.0.5:22 10.0.0.9:9 ESTABLISHED {2**64}/pid",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:10 ESTABLISHED 1/" + "x" * 1_000_000,
    "tcp 0 0 10.0.0.5:22 10.0.0.9:11 ESTABLISHED 1/\ud800 lone",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:12 ESTABLISHED 1/\U0001f4a9 é 网络",
    "tcp6 0 0 fe80::1%eth0:22 fe80::2%eth0:13 ESTABLISHED 1/zone",
    "tcp6 0 0 ::ffff:10.0.0.5:22 ::ffff:10.0.0.9:14 ESTABLISHED 1/mapped",
    "tcp6 0 0 2001:db8:1234:5678:9:22 2001:db8:1234:5678:9:22 ESTABLISHED 1/cut",
    "tcp 0 0 10.0.0.5:22 10.0.0.9:15 ESTABLISHED 1/nul\x00raw",
    "\x00\x01\x02",
]


@both_databases
def test_hostile_rows_are_stored_or_counted_and_never_an_error(host: Host, using: str) -> None:
    text = table(LISTENER, *HOSTILE)
    first = store.save(host, observed(0, table(LISTENER)), using=using)
    hostile = store.save(
        host,
        observed(1, text, notes="\x00\ud800", tool="net\x00stat" * 9, command="\x00"),
        using=using,
    )
    again = store.save(host, observed(2, text), using=using)
    gone = store.save(host, observed(3, table(LISTENER)), using=using)

    assert {snapshot.outcome for snapshot in (first, hostile, again, gone)} == {Outcome.OK}
    assert hostile.sockets + hostile.rejected + 2 == hostile.lines == len(HOSTILE) + 3
    assert hostile.rejected == again.rejected > 0
    assert (again.opened, again.closed) == (0, 0)
    assert rows_at(host, at(1), using) == rows_of(text)
    assert open_rows(host, using) == rows_of(table(LISTENER))


@both_databases
def test_failures_with_hostile_words_are_never_an_error(host: Host, using: str) -> None:
    from probes.observation import Failure, Observation

    snapshot = store.save(
        host,
        Observation(
            taken_at=at(0),
            duration_s=1e30,
            failure=Failure(Code.COMMAND_FAILED, "\x00\ud800" * 5000),
            notes="\x00" * 100_000,
            raw=bytes(range(256)) * 100,
        ),
        using=using,
    )
    assert snapshot.detail.startswith("\\x00\\ud800")
    assert store.raw(snapshot, using=using) == bytes(range(256)) * 100


@both_databases
def test_large_raw_output_is_cut(host: Host, using: str) -> None:
    import random

    noise = random.Random(1).randbytes(6 * 1024 * 1024)
    snapshot = store.save(host, failed(0, Code.OUTPUT_TOO_LARGE, raw=noise), using=using)
    kept = store.raw(snapshot, using=using)
    assert kept is not None
    assert len(kept) == len(noise) // 4
    assert noise.startswith(kept)
    assert RawOutput.objects.using(using).get().size_bytes == len(noise)


@both_databases
def test_a_small_change_costs_few_statements(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    for minute, port in ((1, 6000), (2, 6001)):  # the first one makes the day's partition
        after = table(LISTENER, line(foreign=f"10.0.0.10:{port}"))
        with CaptureQueriesContext(connections[using]) as captured:
            store.save(host, observed(minute, after), using=using)
    statements = [
        query["sql"] for query in captured.captured_queries if "SAVEPOINT" not in query["sql"]
    ]
    # SQLite cannot move rows in one statement.
    assert len(statements) <= (5 if using == "postgres" else 10), statements


@both_databases
def test_an_unchanged_text_is_not_written_again(host: Host, using: str) -> None:
    store.save(host, observed(0, FIRST), using=using)
    with CaptureQueriesContext(connections[using]) as captured:
        store.save(host, observed(1, FIRST), using=using)
    statements = [query["sql"] for query in captured.captured_queries]
    assert not any('text_zstd" =' in sql for sql in statements)
    assert not any("probes_opensocket" in sql for sql in statements)
    assert LastText.objects.using(using).get().taken_at == at(1)


@both_databases
def test_queues_of_the_open_rows_are_those_of_the_newest_text(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTENER, line(queues=(1, 2)))), using=using)
    LastText.objects.using(using).all().delete()
    store.save(host, observed(1, table(LISTENER, line(queues=(3, 4)))), using=using)
    assert sorted(row[1:] for row in queues(host, using)) == [(1, 0, 0), (1, 3, 4)]
