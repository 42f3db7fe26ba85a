"""The page "Paste netstat output": what it shows of any text, and what it saves, for whom."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes import pasted, schedule
from probes.models import OpenSocket, Outcome, RawOutput, Schedule, Snapshot, TableStatus
from probes.observation import Code
from probes.views import sent_text
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line, table
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db

HOSTILE = line("10.0.0.5:8080", "0.0.0.0:*", "LISTEN", "66/<script>alert(1)</script>")
ODD = "tcp <img src=x onerror=alert(2)> odd"
ROUTES = (
    "Kernel IP routing table\n"
    "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
    "0.0.0.0         192.0.2.1       0.0.0.0         UG        0 0          0 eth0\n"
    "192.0.2.0       0.0.0.0         255.255.255.0   U         0 0          0 eth0\n"
)
TEXT = table(LISTENER, HOSTILE)


def show(client: Client, status: int = 200, **fields: Any) -> str:
    """The page for what is posted."""
    return _text(client.post("/paste/", fields), status)


def save(client: Client, host: Host, status: int = 302, **fields: Any) -> HttpResponse:
    """Save a text for a host as of two minutes ago, by default."""
    given = {"host": host.pk, "text": TEXT, "taken_at": stamp(120), "privilege": "root"} | fields
    response = client.post("/paste/save/", given)
    assert response.status_code == status, response.content.decode()[:3000]
    return response


def stamp(seconds_ago: float) -> str:
    """A time as the page's field gives it."""
    return f"{timezone.now() - dt.timedelta(seconds=seconds_ago):%Y-%m-%dT%H:%M:%S}"


def upload(data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("netstat.txt", data)


def carried(html: str) -> str:
    """The packed text a page hands on."""
    found = re.search(r'name="carried" value="([^"]*)"', html)
    assert found is not None
    return unescape(found[1])


def offered(html: str) -> list[str]:
    """Names of the hosts one may choose."""
    select = re.search(r'<select[^>]*name="host".*?</select>', html, re.DOTALL)
    return re.findall(r'<option value="\d+"[^>]*>([^<]*)<', select[0]) if select else []


def _text(response: HttpResponse, status: int) -> str:
    html = response.content.decode()
    assert response.status_code == status, html[:3000]
    return html


@pytest.fixture
def dead(db: None) -> Host:
    """A host that netadmin probed an hour ago and does not reach any more."""
    host = Host.objects.create(name="dead", address="192.0.2.9")
    fleet.seen(host, 3600, LISTENER)
    fleet.failed(host, 300, Code.UNREACHABLE)
    Schedule.objects.filter(host=host).update(failures=3, failing_since=timezone.now())
    return host


# --- showing ---


def test_the_empty_page_says_what_to_run_on_each_system(viewer: Client, page: Page) -> None:
    html = page(viewer, "/paste/")
    for words in ("netstat -antuwpW", "ss -antuwp", "netstat -ano", "/proc/net/tcp6", "sockstat"):
        assert words in html
    assert "macOS" in html
    assert "Save as a snapshot" not in html
    assert 'href="/paste/"' in page(viewer, "/")


def test_a_pasted_text_is_shown_as_tables_with_counts_and_dialect(viewer: Client) -> None:
    html = show(viewer, text=table(LISTENER, line()).replace("\n", "\r\n"))
    assert "<dd>net-tools</dd>" in html
    assert 'Sockets<span class="na-tabcount">2</span>' in html
    assert "10.0.0.9:51000" in html
    assert "Lines not understood" in html
    assert '<section class="card np-table" id="rejected"' not in html


def test_rejected_lines_are_shown_with_number_text_and_reason(viewer: Client) -> None:
    html = show(viewer, text=table(LISTENER, ODD, "second odd line"))
    rejected = html.partition('id="rejected"')[2]
    assert '<th scope="row" class="na-num">4</th>' in rejected
    assert "tcp &lt;img src=x onerror=alert(2)&gt; odd" in rejected
    assert "second odd line" in rejected


def test_hostile_names_are_escaped_wherever_they_are_shown(viewer: Client) -> None:
    html = show(viewer, text=table(HOSTILE, ODD, "</textarea><script>alert(3)</script>"))
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "66" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_text_without_a_table_is_shown_line_by_line_with_what_to_do(viewer: Client) -> None:
    html = show(viewer, text="dear colleague,\n\nit is slow")
    assert "No table that netadmin knows was found" in html
    assert "dear colleague," in html
    assert "Save as a snapshot" not in html


@pytest.mark.parametrize("fields", [{}, {"text": " \n "}, {"carried": "!"}, {"carried": "AAAA"}])
def test_nothing_to_read_is_said(viewer: Client, fields: dict[str, str]) -> None:
    html = show(viewer, 400, **fields)
    assert 'role="alert"' in html


def test_a_file_is_read_in_the_encoding_it_is_in(viewer: Client) -> None:
    text = table(LISTENER, line(holder="9/数据库"))
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        html = show(viewer, file=upload(text.encode(encoding)))
        assert 'Sockets<span class="na-tabcount">2</span>' in html, encoding
        assert "数据库" in html, encoding


def test_a_file_of_a_chinese_windows_is_read_in_its_code_page(viewer: Client) -> None:
    text = (
        "\r\n活动连接\r\n\r\n"
        "  协议  本地地址          外部地址        状态           PID\r\n"
        "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1044\r\n"
        "  TCP    192.0.2.7:49702        198.51.100.9:443       ESTABLISHED     4412\r\n"
        "第三行不是表格\r\n"
    )
    html = show(viewer, file=upload(text.encode("cp936")))
    assert "<dd>windows</dd>" in html
    assert 'Sockets<span class="na-tabcount">2</span>' in html
    assert "第三行不是表格" in html.partition('id="rejected"')[2]


def test_a_file_comes_before_what_stands_in_the_field(viewer: Client) -> None:
    html = show(viewer, text="something older", file=upload(TEXT.encode()))
    assert 'Sockets<span class="na-tabcount">2</span>' in html
    assert "something older" not in html


def test_of_a_long_table_the_first_rows_are_shown_and_how_many_there_are(viewer: Client) -> None:
    text = table(*(line(f"10.0.0.5:{port}") for port in range(10_000, 45_000)))
    assert len(text) > 3_000_000
    html = show(viewer, file=upload(text.encode()))
    assert html.count("10.0.0.9:51000") == 200
    assert "The first 200 of 35\u202f000 rows" in html
    assert len(html) < 1_500_000
    got = viewer.post("/paste/download/", {"carried": carried(html), "as": "sockets"})
    assert len(got.getvalue().splitlines()) == 35_001  # type: ignore[attr-defined]


def test_a_text_too_long_for_the_field_is_told_and_not_an_error_page(viewer: Client) -> None:
    text = table(*(line(f"10.0.0.5:{port}") for port in range(10_000, 45_000)))
    html = show(viewer, 413, text=text)
    assert "Save it as a file and choose that file" in html
    assert 'name="csrfmiddlewaretoken"' in html


def test_a_file_that_is_too_large_is_told(viewer: Client) -> None:
    html = show(viewer, 413, file=upload(b"x" * (16 * 1024 * 1024 + 1)))
    assert "larger than 16.0\xa0MB" in html


def test_a_request_that_is_far_too_large_is_dropped_unread(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_text, "MAX_REQUEST_BYTES", 5_000)
    html = show(viewer, 413, file=upload(TEXT.encode() + b"\n" * 5_000))
    assert "too long" in html


def test_a_text_of_too_many_lines_is_told(viewer: Client) -> None:
    html = show(viewer, 413, file=upload(TEXT.encode() + b"\n" * 400_001))
    assert "400\u202f000 lines" in html


def test_a_bomb_in_the_carried_text_does_not_go_off(viewer: Client) -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"\n" * (64 * 1024 * 1024))).decode()
    assert "did not come back whole" in show(viewer, 400, carried=bomb)


def test_what_is_shown_can_be_downloaded_as_json_and_as_inert_csv(viewer: Client) -> None:
    html = show(viewer, text=table(LISTENER, line(holder="9/=cmd|x"), ODD))
    response = viewer.post("/paste/download/", {"carried": carried(html), "as": "json"})
    assert response["Content-Disposition"] == 'attachment; filename="netstat.json"'
    told = json.loads(response.getvalue())  # type: ignore[attr-defined]
    assert told["dialect"] == "net-tools"
    assert [row["pid"] for row in told["tables"]["sockets"]] == [800, 9]
    assert [row["line"] for row in told["rejected"]] == [5]
    response = viewer.post("/paste/download/", {"carried": carried(html), "as": "sockets"})
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))  # type: ignore[attr-defined]
    assert [row["program"] for row in rows] == ["sshd", "'=cmd|x"]


def test_several_tables_of_one_text_are_shown_each(viewer: Client) -> None:
    html = show(viewer, text=f"{TEXT}\n{ROUTES}")
    assert 'href="#table-sockets"' in html
    assert 'href="#table-routes"' in html
    assert "0.0.0.0/0" in html


def test_nothing_is_stored_by_showing(operator: Client, dead: Host) -> None:
    before = Snapshot.objects.count()
    show(operator, text=TEXT)
    assert Snapshot.objects.count() == before
    assert not AuditEntry.objects.filter(action="snapshot.paste").exists()


def test_the_form_is_not_taken_from_another_site() -> None:
    client = browser_of(person("anna", Role.ADMIN), csrf=True)
    for path in ("/paste/", "/paste/download/", "/paste/save/"):
        assert client.post(path, {"text": TEXT}).status_code == 403


# --- saving ---


def test_only_those_who_may_operate_are_offered_to_save(
    viewer: Client, operator: Client, dead: Host
) -> None:
    assert "Save as a snapshot" not in show(viewer, text=TEXT)
    html = show(operator, text=TEXT)
    assert offered(html) == ["dead"]
    assert "Taken at (UTC)" in html
    assert viewer.post("/paste/save/", {"host": dead.pk, "text": TEXT}).status_code == 403


def test_hosts_that_are_not_probed_well_are_offered_and_no_others(
    operator: Client, host: Host, dead: Host
) -> None:
    Host.objects.create(name="never probed", address="192.0.2.30")
    off = Host.objects.create(name="off", address="192.0.2.31", enabled=False)
    fleet.seen(off, 60, LISTENER)
    truncated = Host.objects.create(name="cut off", address="192.0.2.32")
    fleet.seen(truncated, 60, LISTENER)
    fleet.failed(truncated, 30, Code.TRUNCATED)
    assert offered(show(operator, text=TEXT)) == ["cut off", "dead", "never probed", "off"]


def test_a_text_becomes_a_snapshot_of_the_host(operator: Client, page: Page, dead: Host) -> None:
    html = show(operator, text=TEXT, host=dead.pk)
    assert f'<option value="{dead.pk}" selected>' in html
    response = save(operator, dead, text="", carried=carried(html), taken_at=stamp(60))
    stored = Snapshot.objects.filter(host=dead).latest("taken_at")
    assert response["Location"] == f"/snapshots/{stored.pk}/"
    assert (stored.tool, stored.outcome, stored.privilege) == ("pasted", "ok", "root")
    assert (stored.sockets, stored.opened, stored.rejected) == (2, 1, 0)
    assert stored.taken_at.microsecond == 0
    assert OpenSocket.objects.filter(host=dead).count() == 2
    shown = page(operator, response["Location"])
    assert "Saved as a snapshot of the host." in shown
    assert "pasted by hand, not probed" in shown
    assert "<script>alert" not in shown
    assert "pasted by hand" in page(operator, f"/hosts/{dead.pk}/probes/")


def test_it_is_recorded_who_saved_what_for_which_host(operator: Client, dead: Host) -> None:
    save(operator, dead)
    entry = AuditEntry.objects.get(action="snapshot.paste")
    assert (entry.actor, entry.object_id, entry.object_name) == ("operator", str(dead.pk), "dead")
    assert entry.detail["tables"] == ["sockets"]
    assert entry.detail["privilege"] == "root"
    assert "script" not in json.dumps(entry.detail)


def test_a_form_sent_twice_is_stored_and_recorded_once(
    operator: Client, page: Page, dead: Host
) -> None:
    when = stamp(90)
    first = save(operator, dead, taken_at=when)
    second = save(operator, dead, taken_at=when)
    assert first["Location"] == second["Location"]
    assert Snapshot.objects.filter(host=dead, tool="pasted").count() == 1
    assert AuditEntry.objects.filter(action="snapshot.paste").count() == 1
    assert "There is a snapshot of that very time." in page(operator, second["Location"])


def test_a_host_that_is_probed_well_is_refused(operator: Client, host: Host) -> None:
    before = Snapshot.objects.count()
    html = save(operator, host, 400).content.decode()
    assert "web1 itself and its newest probe was good" in html
    assert Snapshot.objects.count() == before


def test_what_was_pasted_before_does_not_make_a_host_one_that_is_probed_well(
    operator: Client, dead: Host
) -> None:
    save(operator, dead, taken_at=stamp(120))
    save(operator, dead, taken_at=stamp(60))
    assert Snapshot.objects.filter(host=dead, tool="pasted").count() == 2


@pytest.mark.parametrize("who", [Role.OPERATOR, Role.ADMIN])
def test_a_host_outside_ones_groups_is_absent(who: Role, dead: Host) -> None:
    inside = HostGroup.objects.create(name="inside")
    client = browser_of(person("olga", who, groups=[inside]))
    assert offered(show(client, text=TEXT)) == []
    outside = client.post("/paste/save/", {"host": dead.pk, "text": TEXT})
    absent = client.post("/paste/save/", {"host": 987654, "text": TEXT})
    assert (outside.status_code, absent.status_code) == (404, 404)
    assert not Snapshot.objects.filter(tool="pasted").exists()
    dead.groups.add(inside)
    assert offered(show(client, text=TEXT)) == ["dead"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"taken_at": "2199-01-01T00:00:00"}, "in the future"),
        ({"taken_at": "2001-01-01T00:00:00"}, "more than 90 days ago"),
        ({"taken_at": "yesterday"}, "Give a time like"),
        ({"text": "hello"}, "No table that netadmin knows"),
        ({"text": table(LISTENER, *["odd line"] * 5)}, "Most lines of the text"),
    ],
)
def test_what_cannot_be_is_refused_and_said(
    operator: Client, dead: Host, fields: dict[str, str], words: str
) -> None:
    before = Snapshot.objects.count()
    html = save(operator, dead, 400, **fields).content.decode()
    assert words in unescape(html)
    assert "Not saved." in html
    assert Snapshot.objects.count() == before
    assert not AuditEntry.objects.filter(action="snapshot.paste").exists()


def test_a_host_must_be_chosen(operator: Client, dead: Host) -> None:
    html = operator.post("/paste/save/", {"host": "", "text": TEXT}).content.decode()
    assert "Choose a host." in html
    assert offered(html) == ["dead"]


def test_what_is_older_than_the_newest_snapshot_is_kept_as_late(
    operator: Client, page: Page, dead: Host
) -> None:
    response = save(operator, dead, taken_at=stamp(7200))
    stored = Snapshot.objects.get(tool="pasted")
    assert stored.outcome == Outcome.LATE
    assert "Kept as late" in page(operator, response["Location"])
    assert OpenSocket.objects.filter(host=dead).count() == 1


def test_an_ordinary_users_output_follows_roots_as_it_is(operator: Client, dead: Host) -> None:
    save(operator, dead, taken_at=stamp(120), privilege="root")
    bare = TEXT.replace("800/sshd", "-")
    save(operator, dead, taken_at=stamp(60), privilege="user", text=bare)
    newest = Snapshot.objects.filter(host=dead).latest("taken_at")
    assert (newest.outcome, newest.code) == ("ok", "permission_limited")
    assert newest.without_pid == 1


def test_lines_of_other_tables_do_not_count_against_the_sockets(
    operator: Client, page: Page, dead: Host
) -> None:
    response = save(operator, dead, text=f"{TEXT}{ODD}\n{ROUTES}")
    stored = Snapshot.objects.get(tool="pasted")
    assert (stored.sockets, stored.rejected) == (2, 1)
    status = TableStatus.objects.get(host=dead)
    assert (status.table, status.rows, status.tool, status.code) == ("routes", 2, "pasted", "")
    raw = RawOutput.objects.get(snapshot=stored)
    assert raw.size_bytes == len(f"{TEXT}{ODD}\n{ROUTES}")
    assert "Saved too: routes." in page(operator, response["Location"])


def quoted(text: str) -> str:
    return "".join(f"> {one}\n" for one in text.splitlines())


def test_a_text_quoted_in_a_ticket_is_shown_as_it_was(viewer: Client) -> None:
    html = show(viewer, text=quoted(f"{TEXT}{ODD}\n"))
    assert "the lines began with &gt;, as quoted mail does, which was taken off" in html
    assert re.search(r'<th scope="row" class="na-num">5</th>', html)
    assert "\n&gt; tcp" in html  # the field has what was typed
    again = show(viewer, carried=carried(html))
    assert "which was taken off" in again


def test_a_text_quoted_in_a_ticket_is_saved_as_it_was(operator: Client, dead: Host) -> None:
    save(operator, dead, text=quoted(f"{TEXT}{ROUTES}"))
    stored = Snapshot.objects.get(tool="pasted")
    assert (stored.outcome, stored.sockets, stored.rejected) == ("ok", 2, 0)
    assert TableStatus.objects.get(host=dead).rows == 2


def test_of_several_outputs_the_last_is_saved_and_that_is_said_before(
    operator: Client, dead: Host
) -> None:
    text = table(LISTENER, line(), HOSTILE) + "\n" + ROUTES + "\n" + TEXT
    html = show(operator, text=text)
    assert "the text holds several socket tables" in html
    assert "only the last of them is saved" in html
    save(operator, dead, text=text)
    stored = Snapshot.objects.get(tool="pasted")
    assert (stored.outcome, stored.sockets, stored.rejected) == ("ok", 2, 0)
    # What stood between them is not lost.
    assert (
        TableStatus.objects.get(host=dead).rows,
        TableStatus.objects.get(host=dead).rejected,
    ) == (2, 0)


def test_nothing_is_said_of_the_last_where_there_is_one(operator: Client, dead: Host) -> None:
    assert "only the last of them is saved" not in show(operator, text=f"{TEXT}{ROUTES}")


def test_a_text_without_sockets_leaves_the_snapshots_alone(
    operator: Client, page: Page, dead: Host
) -> None:
    before = Snapshot.objects.count()
    html = show(operator, text=ROUTES)
    assert "Save its tables" in html
    response = save(operator, dead, text=ROUTES)
    assert response["Location"] == f"/hosts/{dead.pk}/"
    assert Snapshot.objects.count() == before
    assert TableStatus.objects.get(host=dead).rows == 2
    again = save(operator, dead, text=ROUTES, taken_at=stamp(600))
    assert "Not saved, since newer ones are known" in page(operator, again["Location"])


def test_an_upload_can_be_saved_at_once(operator: Client, dead: Host) -> None:
    save(operator, dead, text="", file=upload(TEXT.encode("utf-16")))
    assert Snapshot.objects.get(tool="pasted").sockets == 2


def test_netadmins_own_probe_takes_over_again(operator: Client, dead: Host) -> None:
    save(operator, dead, taken_at=stamp(60))
    probed = fleet.seen(dead, 1, LISTENER)
    assert (probed.outcome, probed.closed) == ("ok", 1)
    assert not pasted.may_be_told(dead)


def test_a_host_that_fails_says_so_and_leads_here(operator: Client, page: Page, dead: Host) -> None:
    link = f"/paste/?host={dead.pk}"
    assert link in page(operator, f"/hosts/{dead.pk}/")
    save(operator, dead, taken_at=stamp(10))
    html = page(operator, f"/hosts/{dead.pk}/")
    assert "Not reached" in html
    assert "was pasted by hand" in html
    assert link in html
    assert f'name="host" value="{dead.pk}"' in page(operator, link)


def test_a_disabled_host_leads_here(
    operator: Client, viewer: Client, page: Page, host: Host
) -> None:
    address = f"/hosts/{host.pk}/"
    link = f"/paste/?host={host.pk}"
    assert link not in page(operator, address)
    Host.objects.filter(pk=host.pk).update(enabled=False)
    assert link in page(operator, address)
    assert link not in page(viewer, address)


def test_the_next_probe_of_a_host_is_not_put_off(operator: Client, dead: Host) -> None:
    before = Schedule.objects.get(host=dead)
    save(operator, dead, taken_at=stamp(10))
    after = schedule.ensure_one(dead)
    assert (after.next_probe_at, after.failures) == (before.next_probe_at, before.failures)
