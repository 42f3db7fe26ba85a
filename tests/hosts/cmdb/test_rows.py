"""Each kind of source, read from bytes: what is a host, what is a problem, what is no list."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.cmdb import ansible, csv_rows, json_rows, netbox
from hosts.cmdb.rows import MAX_ROWS, Listed, Unreadable


def hosts(listed: Listed) -> dict[str, dict[str, Any]]:
    return {row.key: row.fields for row in listed.rows}


def codes(listed: Listed) -> list[tuple[str, str]]:
    return [(problem.where, problem.code) for problem in listed.problems]


def refused(read: Callable[[], Listed]) -> Unreadable:
    with pytest.raises(Unreadable) as told:
        read()
    return told.value


def csv(text: str | bytes, **columns: str) -> Listed:
    data = text if isinstance(text, bytes) else text.encode()
    return csv_rows.read(data, columns=columns, whole=False)


class TestCSV:
    def test_columns_are_mapped_and_values_checked(self) -> None:
        text = (
            "Asset;Hostname;IP;SSH;Other\r\n"
            "1;web-1;10.0.0.11;2222;x\r\n"
            "2;web-2;web-2.example.com.;;y\r\n"
            "\r\n"
            "3;;10.0.0.3;;\r\n"
            "4;web-4;10.0.0.300;;\r\n"
            "5;web-5;10.0.0.5;70000;\r\n"
            "6;-x;10.0.0.6;;\r\n"
            "7;web-7;{{ ip }};;\r\n"
        )
        listed = csv(text, id="asset", name="hostname", address="ip", port="ssh")
        assert hosts(listed) == {
            "1": {"name": "web-1", "address": "10.0.0.11", "port": 2222},
            "2": {"name": "web-2", "address": "web-2.example.com"},
        }
        assert codes(listed) == [
            ("5", "missing"),
            ("6", "invalid"),
            ("7", "invalid"),
            ("8", "invalid"),
            ("9", "template"),
        ]
        assert [problem.key for problem in listed.problems] == ["3", "4", "5", "6", "7"]

    def test_twins_are_problems_and_neither_is_a_host(self) -> None:
        listed = csv(
            "name,address,port\na,10.0.0.1,\na,10.0.0.2,\nb,10.0.0.3,22\nc,10.0.0.3,\nd,10.0.0.4,\n"
        )
        assert hosts(listed) == {"d": {"name": "d", "address": "10.0.0.4"}}
        assert codes(listed) == [(line, "twice") for line in ("2", "3", "4", "5")]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "empty"),
            ("\n\n", "empty"),
            ("name,address\n", "empty"),
            ("name,address\na,10.0.0.1\nb,10.0.", "truncated"),
            ("name,address\na,10.0.0.1\nb\n", "cells"),
            ("name,address\na,10.0.0.1,x\n", "cells"),
            ('name,address\na,"10.0.0.1\n', "broken"),
            ("<!DOCTYPE html>\n<html></html>\n", "missing_column"),
            ("name,ip\na,10.0.0.1\n", "missing_column"),
            ("name,address,name\na,10.0.0.1,b\n", "column_twice"),
            (b"\xff\x00\xfe,\x81", "encoding"),
            (b"name,address\na\x00,10.0.0.1\n", "encoding"),
        ],
    )
    def test_what_is_no_table_is_refused_whole(self, text: str | bytes, code: str) -> None:
        assert refused(lambda: csv(text)).code == code

    def test_an_end_proved_by_http_needs_no_line_break(self) -> None:
        data = b"name,address\na,10.0.0.1"
        assert hosts(csv_rows.read(data, columns={}, whole=True)) == {
            "a": {"name": "a", "address": "10.0.0.1"}
        }

    def test_more_hosts_than_one_transaction_holds_are_refused(self) -> None:
        rows = "".join(f"h{n},h{n}.example\n" for n in range(MAX_ROWS + 1))
        assert refused(lambda: csv("name,address\n" + rows)).code == "too_many"

    def test_chinese_spreadsheets_are_read(self) -> None:
        listed = csv("name,address,notes\n网关,10.0.0.1,机房\n".encode("gb18030"))
        assert hosts(listed)["网关"]["notes"] == "机房"


class TestJSON:
    def test_a_path_leads_to_the_list_and_fields_lie_deeper(self) -> None:
        document = {
            "data": {
                "servers": [
                    {"hostname": "web-1", "net": {"ip": "10.0.0.1"}, "port": 22},
                    {"hostname": "web-2", "net": None},
                    {"hostname": ["web-3"], "net": {"ip": "10.0.0.3"}},
                    "web-4",
                    {"hostname": "web-5", "net": {"ip": "10.0.0.5"}, "port": True},
                ]
            }
        }
        fields = {"rows": "data.servers", "name": "hostname", "address": "net.ip"}
        listed = json_rows.read(json.dumps(document).encode(), fields=fields)
        assert hosts(listed) == {"web-1": {"name": "web-1", "address": "10.0.0.1", "port": 22}}
        assert codes(listed) == [
            ("2", "missing"),
            ("3", "not_text"),
            ("4", "not_an_object"),
            ("5", "not_text"),
        ]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "empty"),
            ("[]", "empty"),
            ("{}", "no_list"),
            ('{"hosts": []}', "no_list"),
            ("null", "no_list"),
            ('[{"name": "a", "address": "10.0.', "truncated"),
            ('[{"name": "a", "address": "10.0.0.1"},', "truncated"),
            ("[1,,2]", "broken"),
            ("[NaN]", "broken"),
            ("[" * 100_000, "broken"),
            ("9" * 5000, "broken"),
            ("<html>", "broken"),
        ],
    )
    def test_what_is_no_list_is_refused_whole(self, text: str, code: str) -> None:
        assert refused(lambda: json_rows.read(text.encode(), fields={})).code == code

    def test_every_beginning_of_a_document_is_refused(self) -> None:
        rows = [{"name": f"h{n}", "address": f"10.0.0.{n}"} for n in range(5)]
        text = json.dumps({"hosts": rows}).encode()
        for length in range(len(text)):
            refused(lambda cut=text[:length]: json_rows.read(cut, fields={"rows": "hosts"}))


class TestAnsible:
    def test_ini_with_groups_ranges_ports_and_variables(self) -> None:
        listed = ansible.read(
            b"""\
# comment
bastion.example.com:2222
[web]
web[01:03].example.com
10.0.0.9 ansible_user=root ; a comment is not this
[db]
db-a ansible_host=10.0.1.1 ansible_port=22 note="two words"  # comment
[db:vars]
ansible_port=5022
[prod:children]
web
db
[prod:vars]
ansible_port=2200
[letters]
n[a:c:2]
[2001:db8::1]:23
""".replace(b" ; a comment is not this", b"")
        )
        assert hosts(listed) == {
            "bastion.example.com": {
                "name": "bastion.example.com",
                "address": "bastion.example.com",
                "port": 2222,
            },
            **{
                f"web0{n}.example.com": {
                    "name": f"web0{n}.example.com",
                    "address": f"web0{n}.example.com",
                    "port": 2200,
                }
                for n in (1, 2, 3)
            },
            "10.0.0.9": {"name": "10.0.0.9", "address": "10.0.0.9", "port": 2200},
            "db-a": {"name": "db-a", "address": "10.0.1.1", "port": 22},
            "na": {"name": "na", "address": "na"},
            "nc": {"name": "nc", "address": "nc"},
            "2001:db8::1": {"name": "2001:db8::1", "address": "2001:db8::1", "port": 23},
        }
        assert not listed.problems

    def test_yaml_and_the_nearer_group_wins(self) -> None:
        listed = ansible.read(
            b"""\
all:
  vars: {ansible_port: 1}
  children:
    prod:
      vars: {ansible_port: 2}
      children:
        web:
          vars: {ansible_port: 3}
          hosts:
            web[1:2]: {ansible_host: 10.0.0.1}
            web9:
              ansible_host: 10.0.0.9
              ansible_port: 4
              ansible_password: !vault |
                $ANSIBLE_VAULT;1.1;AES256
                6162
    other:
      hosts: {alone: {ansible_ssh_host: 10.0.0.5}}
"""
        )
        found = hosts(listed)
        assert found["web9"] == {"name": "web9", "address": "10.0.0.9", "port": 4}
        assert found["alone"] == {"name": "alone", "address": "10.0.0.5", "port": 1}
        assert codes(listed) == [("web1", "twice"), ("web2", "twice")]

    def test_the_json_that_ansible_prints(self) -> None:
        document = {
            "_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1"}, "b": {}}},
            "all": {"children": ["ungrouped", "web"]},
            "web": {"hosts": ["a", "b"], "vars": {"ansible_port": 2222}},
            "old": ["c"],
        }
        assert hosts(ansible.read(json.dumps(document).encode())) == {
            "a": {"name": "a", "address": "10.0.0.1", "port": 2222},
            "b": {"name": "b", "address": "b", "port": 2222},
            "c": {"name": "c", "address": "c"},
        }

    def test_templates_and_other_connections_are_problems(self) -> None:
        listed = ansible.read(
            b"[a]\n"
            b't ansible_host=\'{{ lookup("pipe", "touch /pwned") }}\'\n'
            b"w ansible_connection=winrm\n"
            b"l ansible_connection=local\n"
            b"p ansible_port=ssh\n"
            b"s ansible_connection=ssh\n"
        )
        assert list(hosts(listed)) == ["s"]
        assert codes(listed) == [
            ("t", "template"),
            ("w", "not_ssh"),
            ("l", "not_ssh"),
            ("p", "invalid"),
        ]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "empty"),
            ("# nothing\n", "empty"),
            ("[web]\n", "empty"),
            ("[web\nhost\n", "broken"),
            ("web[1:99999999]\n", "too_many"),
            ("web[1:99][1:99]\n", "too_many"),
            ("web[1:5:0]\n", "broken"),
            ('web x="y\n', "broken"),
            ("web one two\n", "broken"),
            ("[a:children]\nb\n[b:children]\na\n[a]\nh\n", "loop"),
            ("all:\n  hosts: [a, b]\n", "no_list"),
            ("all:\n  hosts: {a: {x: !!python/object/apply:os.system [id]}}\n", "broken"),
            ("all:\n  hosts: {a: {\n", "broken"),
            ("all: &a\n  hosts: {h: {}}\n  children:\n    x: *a\n", "loop"),
            ("---\n- web\n", "no_list"),
            ("---\n" + "[" * 5_000, "broken"),
            ("---\nx: " + "y" * 1_100_000, "yaml_too_large"),
            ("h\n" * 2_200_000, "too_large"),
            ("h x=" + "y" * 10_000, "broken"),
            ("h" + "[0:0]" * 3_000, "broken"),
            ("h" * 501 + "[1:2]\n", "broken"),
            ("h[1:5000][5:1]\n", "broken"),
            ("all:\n  hosts: {a: {<<: [1]}}\n", "broken"),
            ("all:\n  hosts: {a: {x: !!int [1]}}\n", "broken"),
        ],
    )
    def test_what_is_no_inventory_is_refused_whole(self, text: str, code: str) -> None:
        assert refused(lambda: ansible.read(text.encode())).code == code

    def test_a_few_anchors_do_not_fill_the_memory(self) -> None:
        lines = ["all:", "  vars:", "    a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
        lines += ["  hosts:", "    h: {ansible_host: *a29, ansible_connection: *a29}"]
        listed = ansible.read("\n".join(lines).encode())
        assert codes(listed) == [("h", "not_ssh")]

    def test_merge_keys_are_followed(self) -> None:
        listed = ansible.read(
            b"x: {vars: &x {ansible_port: 22, ansible_host: 10.0.0.1}}\n"
            b"y: {vars: &y {<<: *x, ansible_port: 23}}\n"
            b"all:\n"
            b"  hosts:\n"
            b"    a: {<<: [*y, *x]}\n"
            b"    b: &b {<<: [*x, *y, *b], ansible_host: 10.0.0.2, ansible_port: 24}\n"
        )
        assert hosts(listed) == {
            "a": {"name": "a", "address": "10.0.0.1", "port": 23},
            "b": {"name": "b", "address": "10.0.0.2", "port": 24},
        }

    def test_merge_keys_have_an_end(self) -> None:
        lines = ["all: {hosts: {h: {}}}", "a0: {vars: &a0 {x: 1}}"]
        for n in range(1, 7):
            lines.append(f"a{n}: {{vars: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}}}")
        text = "\n".join(lines)
        assert len(text) < 500
        told = refused(lambda: ansible.read(text.encode()))
        assert (told.code, told.values["problem"]) == ("broken", "<<")

    @pytest.mark.parametrize(
        "text",
        [
            "[a]\nh other=1\n[a:vars]\nother=1\nansible_port=23\n",
            "a: {hosts: {h: {other: 1}}, vars: {other: 1, ansible_port: 23}}\n",
            '{"a": {"hosts": ["h"], "vars": {"other": 1, "ansible_port": 23}},'
            ' "_meta": {"hostvars": {"h": {"other": 1}}}}',
        ],
        ids=["ini", "yaml", "json"],
    )
    def test_only_what_is_read_is_kept_and_what_is_named_is_counted(
        self, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        held: list[ansible._Groups] = []
        depths = ansible._depths

        def seen(groups: ansible._Groups) -> dict[str, int]:
            held.append(groups)
            return depths(groups)

        monkeypatch.setattr(ansible, "_depths", seen)
        listed = ansible.read(text.encode())
        assert hosts(listed) == {"h": {"name": "h", "address": "h", "port": 23}}
        groups = held[0].values()
        variables = [group.variables for group in groups]
        variables += [own for group in groups for own in group.hosts.values()]
        assert {name for each in variables for name in each} == {"ansible_port"}
        monkeypatch.setattr(ansible, "MAX_NAMED", 1)
        assert refused(lambda: ansible.read(text.encode())).code == "too_much"

    def test_values_of_yaml_are_the_text_that_stands_there(self) -> None:
        listed = ansible.read(b"all: {hosts: {1_0: {ansible_port: 1:30:00}, b: {x: !!bool z}}}")
        assert list(hosts(listed)) == ["b"]
        problem = listed.problems[0]
        assert (problem.name, problem.values["value"]) == ("1_0", "1:30:00")

    @pytest.mark.parametrize("unit", ["[", "a", ":", "[a:", "a=", "'", "[1:2]", " "])
    def test_long_hostile_lines_end(self, unit: str) -> None:
        line = unit * (60_000 // len(unit))
        for text in (line, f"[g]\n{line}", f"[g:vars]\n{line}", f"---\n{line}"):
            with contextlib.suppress(Unreadable):
                assert ansible.read(text.encode()).seen


def pages(server: dict[str, Any]) -> Callable[[str], bytes]:
    return lambda url: json.dumps(server[url]).encode()


BASE = "https://netbox.example"
DEVICES = f"{BASE}/api/dcim/devices/?limit=200"
MACHINES = f"{BASE}/api/virtualization/virtual-machines/?limit=200"


def device(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"web-{number}",
        "primary_ip": {"address": f"10.0.0.{number}/24"},
    } | more


class TestNetBox:
    def test_pages_are_followed_and_both_kinds_read(self) -> None:
        second = f"{DEVICES}&offset=2"
        server = {
            DEVICES: {"count": 3, "next": second, "results": [device(1), device(2)]},
            second: {"count": 3, "next": None, "results": [device(3, primary_ip=None)]},
            MACHINES: {
                "count": 1,
                "next": None,
                "results": [device(1, name="vm-1", primary_ip={"address": "2001:db8::5/64"})],
            },
        }
        listed = netbox.read(f"{BASE}/", pages(server))
        assert hosts(listed) == {
            "device:1": {"name": "web-1", "address": "10.0.0.1"},
            "device:2": {"name": "web-2", "address": "10.0.0.2"},
            "vm:1": {"name": "vm-1", "address": "2001:db8::5"},
        }
        assert [(p.key, p.code) for p in listed.problems] == [("device:3", "missing")]

    @pytest.mark.parametrize(
        ("page", "code"),
        [
            ({"count": 2, "next": None, "results": [device(1)]}, "count"),
            ({"count": 1, "next": "https://evil.example/x", "results": []}, "elsewhere"),
            ({"count": 1, "next": DEVICES.replace("https", "http"), "results": []}, "elsewhere"),
            ({"count": 1, "next": DEVICES.replace("//", "//u@"), "results": []}, "elsewhere"),
            ({"count": 1, "next": DEVICES, "results": [device(1)]}, "count"),
            ({"count": 1, "next": 7, "results": []}, "elsewhere"),
            ({"count": 99_999, "next": None, "results": []}, "too_many"),
            ({"detail": "Invalid token"}, "no_list"),
            ([], "no_list"),
            ({"results": []}, "no_list"),
        ],
    )
    def test_half_a_list_is_no_list(self, page: Any, code: str) -> None:
        assert refused(lambda: netbox.read(BASE, pages({DEVICES: page}))).code == code

    def test_long_values_of_many_pages_are_not_held_together(self) -> None:
        long = device(10**300, name="n" * 10_000, primary_ip={"address": "1" * 10_000})
        (row,) = netbox._rows("device", [long])
        assert len(str(row)) < 1_000
        listed = netbox.read(BASE, lambda url: json.dumps(
            {"count": int("dcim" in url), "next": None, "results": [long] * ("dcim" in url)}
        ).encode())  # fmt: skip
        assert [problem.code for problem in listed.problems] == ["invalid"]

    def test_the_query_narrows_and_the_token_has_its_scheme(self) -> None:
        assert netbox.first_page(f"{BASE}/netbox/api/?tag=ssh", "/api/dcim/devices/") == (
            f"{BASE}/netbox/api/dcim/devices/?tag=ssh&limit=200"
        )
        assert netbox.authorization("0123abcd") == "Token 0123abcd"
        assert netbox.authorization("nbt_key.token") == "Bearer nbt_key.token"
        assert netbox.authorization("Bearer own") == "Bearer own"


@given(st.one_of(st.binary(max_size=400), st.text("[]{}:,=#\"' \nabhosts019*&!{%", max_size=300)))
def test_any_bytes_are_rows_or_refused(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    for read in (
        lambda: csv_rows.read(raw, columns={}, whole=False),
        lambda: json_rows.read(raw, fields={}),
        lambda: ansible.read(raw),
        lambda: netbox.read("http://n.example", lambda _url: raw),
    ):
        try:
            listed = read()
        except Unreadable:
            continue
        assert listed.seen
