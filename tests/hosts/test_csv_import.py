"""Hosts from CSV: each row's fate, all or nothing, and a clear line and field for what is wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from hosts import csv_import, inventory
from hosts.csv_import import Kind, Outcome, UnreadableError
from hosts.models import Credential, Host, HostGroup
from netadmin import csvfile
from netadmin.access.models import AuditEntry

HEADER = "name,address,port,platform,credential,groups,jump_host,interval_s,enabled,notes"


def run(text: str, *, request: HttpRequest | None = None, store: bool = True) -> Outcome:
    return csv_import.run(csv_import.read(text), request=request, store=store)


def kinds(outcome: Outcome) -> list[str]:
    return [fate.kind.value for fate in outcome.fates]


# --- reading, without a database ---


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_common_separators_and_line_ends_are_read(separator: str, ending: str) -> None:
    text = ending.join(["name,address,port", "", "a,192.0.2.1,22", ",,", "b,192.0.2.2", ""])
    rows = csv_import.read(text.replace(",", separator))
    assert [(row.line, row.cells) for row in rows] == [
        (3, {"name": "a", "address": "192.0.2.1", "port": "22"}),
        (5, {"name": "b", "address": "192.0.2.2", "port": ""}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_what_spreadsheets_write_is_decoded(encoding: str) -> None:
    text = "name,address,notes\n服务器,192.0.2.1,机房甲\n"
    assert csv_import.decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("name,adress\na,b", "Line 1: there is no column “adress”"),
        ("name,name,address\n", "Line 1: the column “name” is there twice"),
        ("name,port\n", "Line 1: the column “address” is missing"),
        ("name,address\na,b,c", "Line 2 has 3 cells, the header 2"),
        ('name,address\nok,b\n"open,b', "Line 3: "),
        ("name,address\na\x00,b", "zero bytes"),
        ("name,address\n" + "a,b\n" * 2001, "More than 2000 rows"),
        ('name,address\na,"' + "x" * 140_000 + '"', "Line 2: "),
    ],
)
def test_what_is_no_table_of_hosts_says_why_and_where(text: str, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        csv_import.read(text)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x81", b"x" * 1_048_577])
def test_bytes_that_are_no_text_or_too_many_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        csv_import.decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_one_error(data: bytes) -> None:
    for body in (data, b"name,address\n" + data):
        try:
            rows = csv_import.read(csv_import.decode(body))
        except UnreadableError as error:
            assert str(error)  # noqa: PT017 - either end is right
        else:
            assert all(set(row.cells) <= set(csv_import.COLUMNS) for row in rows)


def test_a_quoted_cell_may_hold_lines_and_the_next_row_keeps_its_number() -> None:
    rows = csv_import.read('name,address,notes\na,192.0.2.1,"one\ntwo"\nb,192.0.2.2,\n')
    assert [(row.line, row.cells["notes"]) for row in rows] == [(2, "one\ntwo"), (4, "")]


# --- fates ---


@pytest.mark.django_db
def test_new_changed_and_unchanged_rows_are_told_apart(deploy: Credential) -> None:
    run(f"{HEADER}\na,192.0.2.1,22,linux,deploy,web;db,,60,yes,hello\nb,192.0.2.2,,,,,,,,\n")
    outcome = run(
        f"{HEADER}\na,192.0.2.1,22,linux,deploy,db;web,,60,yes,hello\n"
        "b,192.0.2.2,,,deploy,,,,no,\nc,192.0.2.3,,,,,,,,\n",
        store=False,
    )
    assert kinds(outcome) == ["unchanged", "changed", "new"]
    assert outcome.fates[1].changes == {"credential": [None, "deploy"], "enabled": [True, False]}
    assert not outcome.stored


@pytest.mark.django_db
def test_a_dry_run_stores_nothing_and_says_what_the_import_then_does(deploy: Credential) -> None:
    text = f"{HEADER}\na,192.0.2.1,2222,,deploy,new group,,,,\n"
    dry = run(text, store=False)
    assert not Host.objects.exists()
    assert not HostGroup.objects.exists()
    assert not AuditEntry.objects.filter(action__in=["host.add", "hostgroup.add"]).exists()
    stored = run(text)
    assert stored.stored
    assert stored.digest == dry.digest
    host = Host.objects.get()
    assert (host.port, host.credential, host.groups.get().name) == (2222, deploy, "new group")
    assert AuditEntry.objects.get(action="host.import").detail == {"new": 1, "changed": 0}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("$(id),192.0.2.9,,,,,,,,", "name"),
        (",192.0.2.9,,,,,,,,", "name"),
        ("x,,,,,,,,,", "address"),
        ("x,not an address,,,,,,,,", "address"),
        ("x,192.0.2.9,70000,,,,,,,", "port"),
        ("x,192.0.2.9,ssh,,,,,,,", "port"),
        ("x,192.0.2.9,２２,,,,,,,", "port"),
        ("x,192.0.2.9,,plan9,,,,,,", "platform"),
        ("x,192.0.2.9,,,absent,,,,,", "credential"),
        ("x,192.0.2.9,,,,,absent,,,", "jump_host"),
        ("x,192.0.2.9,,,,,x,,,", "jump_host"),
        ("x,192.0.2.9,,,,,,1,,", "interval_s"),
        ("x,192.0.2.9,,,,,,,maybe,", "enabled"),
        (f"x,192.0.2.9,,,,{'g' * 101},,,,", "groups"),
        (f"x,192.0.2.9,,,,,,,,{'n' * 10_001}", "notes"),
        ("good,192.0.2.9,,,,,,,,", "name"),
    ],
)
def test_one_wrong_row_names_its_line_and_field_and_nothing_is_stored(row: str, field: str) -> None:
    outcome = run(f"{HEADER}\ngood,192.0.2.1,,,,web,,,,\n{row}\n")
    assert not outcome.stored
    assert not Host.objects.exists()
    assert not HostGroup.objects.exists()
    assert not AuditEntry.objects.exists()
    (wrong,) = (fate for fate in outcome.fates if fate.kind is Kind.ERROR)
    assert wrong.line == 3
    assert [column for column, _message in wrong.problems] == [field]


@pytest.mark.django_db
def test_every_field_of_a_row_is_judged_at_once() -> None:
    outcome = run(f"{HEADER}\nx,192.0.2.9,ssh,,,,,soon,maybe,\n")
    found = {column for column, _message in outcome.fates[0].problems}
    assert found == {"port", "interval_s", "enabled"}


@pytest.mark.django_db
def test_a_jump_host_may_stand_below_the_hosts_that_use_it() -> None:
    outcome = run(f"{HEADER}\nc,192.0.2.3,,,,,b,,,\nb,192.0.2.2,,,,,a,,,\na,192.0.2.1,,,,,,,,\n")
    assert kinds(outcome) == ["new"] * 3
    assert [fate.line for fate in outcome.fates] == [2, 3, 4]
    assert Host.objects.get(name="c").jump_host == Host.objects.get(name="b")


@pytest.mark.django_db
def test_jump_hosts_that_go_round_are_an_error() -> None:
    outcome = run(f"{HEADER}\na,192.0.2.1,,,,,b,,,\nb,192.0.2.2,,,,,a,,,\n")
    assert "error" in kinds(outcome)
    assert not Host.objects.exists()


@pytest.mark.django_db
def test_a_missing_column_keeps_and_an_empty_cell_resets() -> None:
    run(f"{HEADER}\na,192.0.2.1,2222,linux,,web,,60,no,note\n")
    assert kinds(run("name,address\na,192.0.2.1\n")) == ["unchanged"]
    outcome = run("name,address,groups,notes\na,192.0.2.1,,\n")
    assert outcome.fates[0].changes == {"groups": [["web"], []], "notes": ["note", ""]}
    host = Host.objects.get()
    assert (host.port, host.interval_s, host.enabled) == (2222, 60, False)


@pytest.mark.django_db
def test_a_new_address_of_a_host_with_a_secret_is_not_for_csv(
    deploy: Credential, by_admin: HttpRequest
) -> None:
    text = f"{HEADER}\na,192.0.2.1,,,deploy,,,,,\n"
    assert run(text, request=by_admin).stored
    outcome = run(text.replace("192.0.2.1", "192.0.2.66"), request=by_admin)
    assert [column for column, _ in outcome.fates[0].problems] == ["address"]
    assert Host.objects.get().address == "192.0.2.1"
    # On the server's own shell the key ring is at hand anyway.
    assert run(text.replace("192.0.2.1", "192.0.2.66")).stored


@pytest.mark.django_db
def test_what_is_exported_comes_back_unchanged(deploy: Credential) -> None:
    web = HostGroup.objects.create(name="web")
    bastion = inventory.create_host({"name": "bastion", "address": "fe80::1%eth0"}, request=None)
    data: dict[str, Any] = {"name": "a b", "address": "192.0.2.1", "credential": deploy}
    data |= {"groups": [web], "jump_host": bastion, "notes": "=1+1", "interval_s": 30}
    inventory.create_host(data, request=None)
    rows = [csv_import.cells_of(host) for host in Host.objects.order_by("-name")]
    text = "".join(csvfile.lines(csv_import.COLUMNS, rows))
    assert "'=1+1" in text
    assert kinds(run(text)) == ["unchanged", "unchanged"]


# --- the command ---


@pytest.mark.django_db
def test_the_command_prints_each_fate_and_stores(tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(f"{HEADER}\na,192.0.2.1,,,,,,,,\n")
    out = io.StringIO()
    call_command("import_hosts", str(path), "--dry-run", stdout=out)
    assert not Host.objects.exists()
    assert "line 2: 'a' new" in out.getvalue()
    assert "Dry run, nothing stored: 1 new" in out.getvalue()
    call_command("import_hosts", str(path), stdout=io.StringIO())
    assert Host.objects.get().name == "a"


@pytest.mark.django_db
def test_the_command_fails_on_a_wrong_row_after_naming_it(tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(f"{HEADER}\na,192.0.2.1,99999,,,,,,,\n")
    out = io.StringIO()
    with pytest.raises(CommandError, match="Nothing was stored"):
        call_command("import_hosts", str(path), stdout=out)
    assert "line 2: 'a' error: port: " in out.getvalue()
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_hosts", str(tmp_path / "absent.csv"))
