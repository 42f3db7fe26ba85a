"""What the commands answer: the JSON and CSV of the API, the exit status, trouble in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
from typing import Any

import pytest
import time_machine
from django.test import Client

from hosts.models import Host
from probes.filters import SocketFilter
from probes.history import store
from probes.management.commands import top
from probes.observation import Code, Failure, Observation
from tests.people import browser_of, person
from tests.probes.commands.fleet import HOSTILE, WEB, Fleet, options_of, run
from tests.probes.history.played import at, line, observed, table
from tests.servers import free_port


@pytest.fixture
def api(fleet: Fleet) -> Client:
    """The JSON routes, as somebody who sees all."""
    return browser_of(person("root", superuser=True))


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("connections web1", "hosts/1/connections"),
        ("connections web1 --state listening", "hosts/1/connections?state=listening"),
        ("connections web1 --limit 2", "hosts/1/connections?limit=2"),
        ("connections 192.0.2.3 --local-port 5432", "hosts/3/connections?local_port=5432"),
        ("connections web1 --at 2026-03-29", "hosts/1/connections?at=2026-03-29"),
        ("ports", "ports"),
        ("ports --q ng", "ports?q=ng"),
        ("ports 443 --proto tcp --host web2", "ports?port=443&proto=tcp&host=2"),
        ("ports --host web1", "hosts/1/ports"),
        ("top", "statistics/ips"),
        ("top programs --host db1", "statistics/programs?host=3"),
        ("top states --group web", "statistics/states?group=web"),
        ("top ports --direction in --limit 1", "statistics/ports?direction=in&limit=1"),
        ("top ends", "statistics/ends"),
        ("top protocols", "statistics/protocols"),
        ("top scopes", "statistics/scopes"),
        ("diff web1 --kind opened", "hosts/1/diff?kind=opened"),
        ("diff --hosts web1,web2 --show all", "diff?hosts=1,2"),
    ],
)  # fmt: skip
def test_json_is_the_answer_of_the_api(fleet: Fleet, api: Client, words: str, address: str) -> None:
    printed = run(*words.split(), "--json")
    answered = api.get(f"/api/v1/{address}")

    assert answered.status_code == 200, answered.content
    shown, expected = json.loads(printed.out), answered.json()
    assert shown.keys() == expected.keys()
    assert shown["data"] == expected["data"]


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("connections web1", "hosts/1/connections"),
        ("ports 443", "ports?port=443"),
        ("top", "statistics/ips"),
        ("diff web1", "hosts/1/diff"),
        ("hunt 10.0.0.9", "connections/search?indicators=10.0.0.9"),
    ],
)
def test_csv_is_the_csv_of_the_api(fleet: Fleet, api: Client, words: str, address: str) -> None:
    printed = run(*words.split(), "--csv")
    answered: Any = api.get(f"/api/v1/{address}{'&' if '?' in address else '?'}format=csv")

    assert printed.out == b"".join(answered.streaming_content).decode()
    assert len(list(csv.reader(io.StringIO(printed.out)))) > 1


def test_every_filter_of_a_list_of_sockets_is_an_option() -> None:
    for name in ("connections", "top", "diff", "hunt"):
        declared = {option.dest for option in options_of(name)}
        assert declared >= SocketFilter.model_fields.keys(), name


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("ports 443 --host web1", 1),
        ("ports 9999 --host web1", 0),
        ("ports 443 --host web1 --proto udp", 0),
        ("ports 443 --host spare", 2),
        ("ports 8080 --host web1 --at 2026-03-28T23:59:00Z", 0),
        ("ports 8080 --host web1 --at 2026-03-28T23:59:00Z --csv", 0),
        ("ports 443 --host web1 --csv", 1),
        ("ports 443 --host web1 --json", 1),
        ("ports 9999", 2),
        ("ports 38442 --host web1", 1),
        ("ports 38442 --host web1 --proto udp", 0),
        ("ports 38442 --host web1 --at 2026-03-28T23:59:00Z --json", 1),
        ("ports 9999 --group web", 0),
        ("diff web1", 1),
        ("diff web1 --csv", 1),
        ("diff web1 --kind closed", 0),
        ("diff web1 --kind closed --csv", 0),
        ("diff web2", 2),
        ("diff web2 --csv", 2),
        ("diff spare", 2),
        ("diff --hosts web1,web2", 1),
        ("diff --hosts web1,web1", 0),
        ("diff --hosts web1,web1 --show all", 0),
        ("diff --hosts web1,spare", 2),
        ("hunt 198.51.100.7", 0),
        ("hunt 198.51.100.7 --csv", 0),
        ("hunt 198.51.100.7 --json", 0),
        ("hunt 198.51.100.8", 1),
        ("hunt 198.51.100.8 --csv", 1),
        ("hunt 198.51.100.8 --rows", 1),
        ("hunt 198.51.100.7 --host db1", 1),
        ("hunt 198.51.100.7 not-an-ioc!", 2),
        ("connections web1", 0),
        ("connections web1 --program nothing-of-this-name", 0),
        ("connections spare", 2),
        ("connections spare --csv", 2),
        ("connections spare --json", 2),
        ("top --host spare", 0),
    ],
)
def test_the_exit_status_is_an_answer(fleet: Fleet, words: str, status: int) -> None:
    assert run(*words.split()).status == status


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("connections nowhere", "No host is called nowhere."),
        ("connections web1 --local-port 70000", "--local-port: Give a number from 1 to 65535."),
        ("connections web1 --proto udp --state listen", "--state: UDP has no states."),
        ("connections web1 --at yesterday", "--at: Give a time such as"),
        ("connections web1 --at 2020-01-01T00:00:00Z", "--at: No whole snapshot is kept"),
        ("connections web1 --at 99999w", "--at: "),
        ("connections web1 --cursor x", "--cursor: "),
        ("ports 0", "PORT: Give a number from 1 to 65535."),
        ("ports 22 --group nobody", "--group: There is no such host group"),
        ("ports 22 --ssh-port 2222", "--ssh-port goes with --live."),
        ("ports --live", "--live goes with a PORT."),
        ("ports 22 --live --at 2h", "--at asks what is stored"),
        ("ports 22 --live --proto sctp", "--proto: Give one of: tcp or udp."),
        ("top --sort color", "--sort: "),
        ("top states --scope external", "--scope: There is no such parameter."),
        ("diff", "Give HOST, or --hosts A,B."),
        ("diff web1 --hosts web1,web2", "Give HOST, or --hosts A,B."),
        ("diff web1 --at 2h", "--at is of two hosts."),
        ("diff --hosts web1,web2 --from 2h", "--from is of one host at two times."),
        ("diff --hosts web1", "--hosts: give two hosts"),
        ("diff --hosts web1,nowhere", "No host is called nowhere."),
        ("hunt 198.51.100.7 --since 2026-02-02 --until 2026-01-01", "--since: Give a time before"),
        ("hunt nonsense!", "IOC: "),
        ("probe", "Give hosts, or --group NAME, or --all."),
        ("probe web1 --all", "Give hosts, or --group NAME, or --all."),
        ("probe nowhere", "No host is called nowhere."),
        ("probe --group nobody", "There is no enabled host to probe."),
    ],
)
def test_trouble_is_told_with_its_option_and_is_2(fleet: Fleet, words: str, told: str) -> None:
    done = run(*words.split())

    assert done.status == 2
    assert f"CommandError: {told}" in done.told
    assert done.out == ""


def test_trouble_is_json_too_where_json_was_asked_for(fleet: Fleet) -> None:
    done = run("ports", "0", "--json")

    assert done.status == 2
    shown = json.loads(done.out)
    assert (shown["success"], shown["error"]["code"]) == (False, "invalid")
    assert shown["error"]["field"] == "port"


def test_a_site_without_hosts_knows_of_no_port(fleet: Fleet) -> None:
    Host.objects.all().delete()
    done = run("ports", "443")

    assert (done.status, done.out) == (2, "")
    assert "There is no host to ask about." in done.told
    assert run("top").status == 0


def test_a_time_may_be_said_as_so_long_ago(fleet: Fleet) -> None:
    long_ago = run("connections", "web1", "--at", "1s", "--json")

    assert json.loads(long_ago.out)["data"]["snapshot"]["taken_at"].startswith("2026-03-29")
    assert run("connections", "web1", "--at", "5000d").status == 2


def test_quiet_leaves_only_the_table_and_what_is_wrong(fleet: Fleet) -> None:
    assert run("ports", "8080", "--host", "web1", "-q").told == ""
    assert "Not known of 1 of 4 hosts" in run("ports", "9999", "-q").told


def test_a_limit_is_said_and_0_is_all(fleet: Fleet) -> None:
    some, every = (
        run("connections", "web1", "--limit", "2"),
        run("connections", "web1", "--limit", "0"),
    )

    assert len(some.out.splitlines()) == 3
    assert "2 of 7 rows. --limit 0 shows all of them.\n" in some.told
    assert len(every.out.splitlines()) == 8
    assert "rows" not in every.told


def test_pages_follow_one_another_by_the_cursor(fleet: Fleet) -> None:
    first = json.loads(run("connections", "web1", "--limit", "4", "--json").out)["data"]
    second = json.loads(
        run("connections", "web1", "--limit", "4", "--cursor", first["next"], "--json").out
    )["data"]

    rows = [row["local_port"] for row in (*first["connections"], *second["connections"])]
    assert sorted(rows) == [22, 80, 443, 443, 443, 8080, 38442]
    assert second["next"] is None


def test_hunting_reads_a_list_and_says_what_is_no_indicator(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasted = b"# from a mail\n198.51.100[.]7\nhxxp://203.0.113.8/x, what?\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pasted)))
    done = run("hunt", "-")

    assert done.status == 2
    assert done.told.startswith("what?: ")
    assert [row.split()[:2] for row in done.out.splitlines()[1:]] == [
        ["198.51.100.7", "web1"],
        ["203.0.113.8", "web2"],
    ]


def test_history_of_a_removed_host_can_be_asked_for(fleet: Fleet) -> None:
    Host.objects.filter(pk=fleet.db1.pk).update(removed_at="2126-03-29T00:20:00Z")

    assert "postgres" in run("connections", "db1").out
    assert run("ports", "5432").out == ""
    assert run("hunt", "program:postgres").status == 0


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
@pytest.mark.parametrize(
    "command", ["connections evil", "ports 4444", "top programs", "hunt 4444/tcp"]
)
def test_what_a_host_printed_never_reaches_the_terminal_as_it_is(
    db: None, command: str, form: tuple[str, ...]
) -> None:
    host = Host.objects.create(name="evil", address="192.0.2.66")
    store.save(
        host, observed(0, table(line("0.0.0.0:4444", "0.0.0.0:*", "LISTEN", f"9/{HOSTILE}")))
    )
    done = run(*command.split(), *form)

    assert "red" in done.out
    assert [each for each in done.out if not each.isprintable() and each not in "\r\n"] == []


def test_json_keeps_what_a_host_printed(db: None) -> None:
    name = "naïve \N{RIGHT-TO-LEFT OVERRIDE}\x9b \N{SNOWMAN}"
    host = Host.objects.create(name=name[:5] + name[-1], address="192.0.2.66", notes=name)
    store.save(host, observed(0, table(line())))
    shown = json.loads(run("connections", host.name, "--json").out)

    assert shown["data"]["host"]["name"] == host.name


def test_the_local_end_of_a_connection_occupies_a_port_until_it_is_closed(fleet: Fleet) -> None:
    done = run("ports", "38442", "--host", "web1")
    store.save(fleet.web1, observed(20.2, table(*WEB)))
    left = line("10.0.0.5:38442", "10.0.0.9:5432", "TIME_WAIT", "-")
    store.save(fleet.web2, observed(20.2, table(*WEB, left)))
    both = run("ports", "38442", "--group", "web")

    assert "occupied: no listener, but the local end of 1 connection, at" in done.told
    assert (both.status, both.out) == (0, "")
    assert "Port 38442 is free on 2 hosts" in both.told


def test_no_port_is_free_on_a_host_whose_newest_probe_failed(fleet: Fleet) -> None:
    failure = Failure(Code.CONNECTION_REFUSED)
    store.save(fleet.web1, Observation(at(20.4), 1.0, text="", failure=failure))
    done = run("ports", "9999", "--group", "web")

    assert done.status == 2
    assert "Port 9999 is free on 1 host, " in done.told
    assert "Not known of 1 of 2 hosts now: " in done.told
    assert run("ports", "443", "--host", "web1", "-q").status == 1


def test_no_port_is_free_by_a_snapshot_that_is_too_old(fleet: Fleet) -> None:
    with time_machine.travel(at(60)):
        now = run("ports", "9999", "--host", "web1", "--json")
        then = run("ports", "9999", "--host", "web1", "--at", "2026-03-29T00:18:00Z")

    assert (now.status, then.status) == (2, 0)
    assert "free" not in now.told
    assert "Not known of 1 of 1 host now: " in now.told


@pytest.mark.parametrize("words", ["connections {}", "probe {}", "diff --hosts web1,{}"])
def test_a_word_that_is_no_text_names_no_host(fleet: Fleet, words: str) -> None:
    done = run(*(word.format("x\udcff\x00") for word in words.split()))

    assert done.status == 2
    assert done.told.startswith("CommandError: No host is called x\ufffd\ufffd. Give the name")


def test_a_command_that_is_told_to_end_gives_back_what_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back: list[str] = []

    def held(*_args: Any, **_options: Any) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("the signal was not heard")
        finally:
            given_back.append("lease")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(top.Command, "ask", held)

    assert (run("top").status, given_back) == (143, ["lease"])
    assert signal.getsignal(signal.SIGTERM) is before


# --- --live --------------------------------------------------------------------------------------


def test_a_free_port_of_this_machine_is_free_now(db: None) -> None:
    done = run("ports", str(free_port()), "--live", "--json")

    assert done.status == 0, done.told
    shown = json.loads(done.out)
    assert shown["data"]["is_occupied"] is False
    assert "is not occupied" in shown["message"]


def test_an_occupied_port_of_this_machine_is_1(db: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = run("ports", port, "--live")
        as_csv = run("ports", port, "--live", "--csv")

    assert (done.status, as_csv.status) == (1, 1)
    assert "127.0.0.1" in done.out
    assert f"port {port}/TCP" in done.told
    assert as_csv.out.splitlines()[0] == "protocol,local_ip,pid,program,state"


def test_a_host_that_is_not_configured_is_not_looked_at(db: None) -> None:
    done = run("ports", "22", "--live", "--host", "192.0.2.200")

    assert done.status == 2
    assert "No credentials are configured for this remote host. Add the host" in done.told
