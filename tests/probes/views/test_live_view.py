"""The live view: who may begin it, what its beats answer, and when it ends by itself."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from hosts.models import Host
from netadmin.access.models import AuditEntry
from probes import live, schedule
from probes.history import store
from probes.models import Schedule
from probes.observation import Code
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often a dispatch was rung for."""
    rung: list[bool] = []
    monkeypatch.setattr("probes.bell.ring", lambda: rung.append(True) or True)
    return rung


def rows(html: str) -> list[str]:
    """The text of each row of sockets."""
    found = re.findall(r'<tr data-key="-?[0-9]+"[^>]*>(.*?)</tr>', html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in found]


def beat(client: Client, host: Host, query: str = "", **fields: Any) -> dict[str, Any]:
    response = client.post(f"/hosts/{host.pk}/live/beat/{query}", fields)
    assert response.status_code == 200, response.content[:500]
    answer: dict[str, Any] = response.json()
    return answer


def settle(host: Host) -> None:
    """Nothing is due or under way, and the newest probe is not of this moment."""
    later = timezone.now() + dt.timedelta(minutes=1)
    Schedule.objects.filter(host=host).update(next_probe_at=later, lease_until=None)


def known(host: Host) -> int:
    newest = Schedule.objects.get(host=host).latest_whole_id
    assert newest is not None
    return newest


def test_the_page_shows_the_newest_sockets_first_and_probes_nothing(
    operator: Client, page: Page, host: Host, rings: list[bool]
) -> None:
    html = page(operator, f"/hosts/{host.pk}/live/")
    assert len(rows(html)) == 5
    newest, oldest = rows(html)[:3], rows(html)[3:]
    assert any("203.0.113.9" in row for row in newest)
    assert any("nginx" in row and "LISTEN" in row for row in oldest)
    assert f'data-beat="/hosts/{host.pk}/live/beat/"' in html
    assert f'data-known="{known(host)}"' in html
    assert not rings
    assert not AuditEntry.objects.filter(action="live.start").exists()


def test_operators_find_it_on_the_host_and_viewers_do_not(
    operator: Client, viewer: Client, page: Page, host: Host
) -> None:
    link = f'href="/hosts/{host.pk}/live/"'
    assert link in page(operator, f"/hosts/{host.pk}/")
    assert link not in page(viewer, f"/hosts/{host.pk}/")
    page(viewer, f"/hosts/{host.pk}/live/", 403)
    assert viewer.post(f"/hosts/{host.pk}/live/beat/").status_code == 403


def test_a_session_is_recorded_once_and_each_beat_has_the_host_probed(
    operator: Client, host: Host, rings: list[bool]
) -> None:
    settle(host)
    first = beat(operator, host, known=known(host))
    assert first["waiting"] is True
    assert first["snapshot"] == known(host)
    assert "totals" not in first
    row = Schedule.objects.get(host=host)
    assert row.next_probe_at <= timezone.now()
    assert row.requested_at is None
    assert (row.live_by, len(rings)) == ("operator", 1)
    assert row.live_until is not None
    assert row.live_began_at is not None

    again = beat(operator, host, known=known(host), session=first["session"])
    assert again["session"] == first["session"]
    assert len(rings) == 1  # a probe is due already
    (entry,) = AuditEntry.objects.filter(action="live.start")
    assert (entry.actor, entry.object_id, entry.detail) == (
        "operator", str(host.pk), {"every_s": 5}
    )  # fmt: skip


def test_the_other_tables_are_not_asked_for_each_time(operator: Client, host: Host) -> None:
    Schedule.objects.filter(host=host).update(tables_at=timezone.now())
    settle(host)
    beat(operator, host, "?every=1")
    row = Schedule.objects.get(host=host)
    assert row.next_probe_at <= timezone.now()
    assert schedule.tables_due(host, row) is False
    schedule.request_probe(host, "operator")
    row.refresh_from_db()
    assert schedule.tables_due(host, row) is True


def test_what_came_and_what_went_is_told_since_the_snapshot_the_page_shows(
    operator: Client, host: Host
) -> None:
    before = known(host)
    fresh = line("192.0.2.1:80", "203.0.113.77:5555", "SYN_RECV", "-")
    fleet.seen(host, 1, LISTENER, fleet.WEB, fleet.DATABASE, fleet.NEW_PEER, fresh)

    answer = beat(operator, host, known=before)

    assert answer["snapshot"] == known(host) != before
    assert answer["came"] == 1
    assert answer["rows"].count("<tr") == 1
    assert "203.0.113.77" in answer["rows"]
    assert "new" in answer["rows"]
    gone = store_key(host, "203.0.113.9", 41001)
    assert answer["went"] == [str(gone)]
    assert "SYN_RECV <b>1</b>" in answer["totals"]
    assert "reset" not in answer


def test_the_bar_alone_says_when_it_was_probed_since_beats_renew_it(
    operator: Client, page: Page, host: Host
) -> None:
    heading, _live, rest = page(operator, f"/hosts/{host.pk}/live/").partition("data-live-view")
    assert f'href="/snapshots/{known(host)}/"' not in heading
    assert f'href="/snapshots/{known(host)}/"' in rest
    assert f'href="/snapshots/{known(host)}/"' in beat(operator, host, known=known(host))["status"]
    assert f'href="/snapshots/{known(host)}/"' in page(operator, f"/hosts/{host.pk}/")


def test_ports_of_live_rows_lead_on(operator: Client, page: Page, host: Host) -> None:
    before = known(host)
    html = page(operator, f"/hosts/{host.pk}/live/?every=2")
    fleet.seen(host, 1, LISTENER, line("192.0.2.1:80", "203.0.113.77:5555"))
    fresh = beat(operator, host, "?every=2", known=before)["rows"]
    for text, remote in ((html, 41001), (fresh, 5555)):
        assert 'href="/ports/?port=80"' in text
        assert f'href="?every=2&amp;remote_port={remote}"' in text


def test_filters_narrow_what_came(operator: Client, host: Host) -> None:
    before = known(host)
    fresh = [line("192.0.2.1:80", f"203.0.113.{n}:5555") for n in (70, 71)]
    fleet.seen(host, 1, LISTENER, *fresh)
    answer = beat(operator, host, "?remote_ip=203.0.113.71", known=before)
    assert answer["came"] == 1
    assert "203.0.113.71" in answer["rows"]
    assert "203.0.113.70" not in answer["rows"]
    assert "1 row<" in answer["totals"]


def test_a_row_that_only_changed_its_number_of_copies_did_not_go(
    operator: Client, host: Host
) -> None:
    before = known(host)
    lines = (LISTENER, fleet.WEB, fleet.DATABASE, fleet.NEW_PEER, fleet.WAITING)
    fleet.seen(host, 3, *lines, LISTENER)
    answer = beat(operator, host, known=before)
    assert (answer["came"], answer["went"]) == (1, [])
    assert "×2" in answer["rows"]
    fleet.seen(host, 1, *lines)
    answer = beat(operator, host, known=answer["snapshot"])
    assert (answer["came"], answer["went"]) == (1, [])


@pytest.mark.parametrize("text", ["", "0", "987654321", "9" * 40, "x", "-1", "２２"])
def test_a_page_that_knows_no_snapshot_gets_all_rows(
    operator: Client, host: Host, text: str
) -> None:
    answer = beat(operator, host, known=text)
    assert answer["reset"] is True
    assert answer["rows"].count("<tr") == 5
    assert "na-came" not in answer["rows"]


def test_queues_are_of_the_newest_probe(operator: Client, host: Host) -> None:
    before = known(host)
    waiting = line(foreign="203.0.113.5:9", queues=(7, 300))
    fleet.seen(host, 1, LISTENER, waiting)
    answer = beat(operator, host, known=before)
    assert answer["queues"] == [[str(store_key(host, "203.0.113.5", 9)), 7, 300]]


def test_two_viewers_share_the_probes_and_each_is_recorded(
    operator: Client, admin: Client, host: Host
) -> None:
    settle(host)
    beat(operator, host)
    due_at = Schedule.objects.get(host=host).next_probe_at
    beat(admin, host)
    assert Schedule.objects.get(host=host).next_probe_at == due_at
    assert set(AuditEntry.objects.filter(action="live.start").values_list("actor", flat=True)) == {
        "operator", "admin"
    }  # fmt: skip


def test_a_host_is_not_probed_more_often_than_asked(
    operator: Client, host: Host, rings: list[bool]
) -> None:
    fleet.seen(host, 3, LISTENER)
    settle(host)
    answer = beat(operator, host, "?every=10")
    assert answer["waiting"] is False
    assert len(rings) == 1  # the first beat rings in any case
    answer = beat(operator, host, "?every=10", session=answer["session"])
    assert answer["waiting"] is False
    assert len(rings) == 1
    assert beat(operator, host, "?every=2", session=answer["session"])["waiting"] is True
    assert len(rings) == 2


def test_a_failing_host_says_why_and_is_asked_less_and_less(operator: Client, host: Host) -> None:
    fleet.failed(host, 4, Code.UNREACHABLE, "no route")
    settle(host)
    Schedule.objects.filter(host=host).update(failures=4)
    answer = beat(operator, host, "?every=1")
    assert "Host unreachable" in answer["status"]
    assert answer["waiting"] is False
    Schedule.objects.filter(host=host).update(failures=1)
    assert beat(operator, host, "?every=1")["waiting"] is True


def test_a_session_ends_after_ten_minutes_and_going_on_is_recorded_anew(
    operator: Client, host: Host, rings: list[bool]
) -> None:
    session = beat(operator, host)["session"]
    settle(host)
    del rings[:]
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=live.LIVE_S + 2)):
        answer = beat(operator, host, session=session)
        assert answer == {"stopped": "Stopped after 10 minutes.", "again": True}
        assert not rings
        beat(operator, host, session="")
    assert AuditEntry.objects.filter(action="live.start").count() == 2


def test_a_session_is_good_for_its_host_and_person_only(
    operator: Client, admin: Client, host: Host
) -> None:
    other = Host.objects.create(name="other", address="192.0.2.2")
    session = beat(operator, host)["session"]
    for client, where, text in (
        (operator, other, session),
        (admin, host, session),
        (operator, host, f"{session}x"),
        (operator, host, "x" * 9000),
    ):
        assert live.is_over(beat(client, where, session=text)["session"], where, "anna") is None
    assert AuditEntry.objects.filter(action="live.start").count() == 5


def test_a_disabled_host_and_a_paused_login_stop_it_unrecorded(
    operator: Client, page: Page, host: Host, rings: list[bool]
) -> None:
    Schedule.objects.filter(host=host).update(
        paused_code="login_failed", paused_login_version=host.login_version
    )
    stopped = beat(operator, host)
    assert "login" in stopped["stopped"].lower()
    assert stopped["stopped"] in page(operator, f"/hosts/{host.pk}/live/")
    Host.objects.update(enabled=False)
    assert beat(operator, host) == {"stopped": "web1 is disabled.", "again": False}
    assert not rings
    assert not AuditEntry.objects.filter(action="live.start").exists()


def test_a_removed_or_foreign_host_is_absent(host: Host) -> None:
    from hosts.models import HostGroup
    from netadmin.access.models import Role

    own = HostGroup.objects.create(name="own")
    limited = browser_of(person("lars", Role.OPERATOR, groups=[own]))
    assert limited.post(f"/hosts/{host.pk}/live/beat/").status_code == 404
    Host.objects.update(removed_at=timezone.now())
    anna = browser_of(person("anna", Role.OPERATOR))
    assert anna.post(f"/hosts/{host.pk}/live/beat/").status_code == 404


@pytest.mark.parametrize("every", ["0", "61", "x", "1.5", "-1"])
def test_a_bad_interval_is_named(operator: Client, page: Page, host: Host, every: str) -> None:
    assert "<code>every</code>" in page(operator, f"/hosts/{host.pk}/live/?every={every}", 400)
    response = operator.post(f"/hosts/{host.pk}/live/beat/?every={every}")
    assert response.status_code == 400
    assert response.json()["stopped"].startswith("every: ")


def test_a_host_never_probed_says_what_comes(operator: Client, page: Page) -> None:
    fresh = Host.objects.create(name="fresh", address="192.0.2.3")
    assert "not probed yet" in page(operator, f"/hosts/{fresh.pk}/live/")
    answer = beat(operator, fresh, known=0)
    assert answer["snapshot"] == 0
    assert "rows" not in answer


def test_the_newest_rows_are_shown_where_there_are_too_many(
    operator: Client, page: Page, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.views import live as views

    monkeypatch.setattr(views, "LIVE_ROWS", 3)
    html = page(operator, f"/hosts/{host.pk}/live/")
    assert len(rows(html)) == 3
    assert "the newest 3 of 5 rows" in html
    before = known(host)
    fleet.seen(host, 1, LISTENER, *(line(foreign=f"203.0.113.5:{n}") for n in range(1, 8)))
    answer = beat(operator, host, known=before)
    assert (answer["rows"].count("<tr"), answer["came"]) == (3, 7)


def store_key(host: Host, ip: str, port: int) -> int:
    """The key of a socket in either table."""
    from probes import filters
    from probes.models import ClosedSocket, OpenSocket

    packed = filters.address_range(ip).low
    for model in (OpenSocket, ClosedSocket):
        found = model.objects.filter(host_id=host.pk, remote_ip=packed, remote_port=port).first()
        if found is not None:
            return int(found.key)
    raise AssertionError(f"{ip}:{port} was never stored")


def test_stored_while_live_is_stored_as_always(operator: Client, host: Host) -> None:
    token = schedule.claim_one(host)
    assert token is not None
    beat(operator, host, "?every=1")
    row = Schedule.objects.get(host=host)
    assert row.lease_token == token
    snapshot = store.save(host, fleet.observed(0, fleet.table(LISTENER)))
    schedule.finish(host, token, snapshot)
    row.refresh_from_db()
    half = dt.timedelta(seconds=host.effective_interval_s / 2 - 1)
    assert row.next_probe_at > timezone.now() + half
