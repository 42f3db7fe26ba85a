"""The exposure ledger's page, its filters, and trying listeners from the controller."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes import connect_back
from probes.models import AddressName, Reach, ReachRun
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line, observed, table
from tests.probes.views import fleet

Page = Callable[..., str]


def rows(html: str) -> list[str]:
    """The main row of each listener as words."""
    found = re.findall(r"<tbody>\s*<tr>(.*?)</tr>", html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in found]


def test_the_most_exposed_come_first_with_their_clients(
    host: Host, viewer: Client, page: Page
) -> None:
    found = rows(page(viewer, "/exposure/"))

    assert [one.split()[:4] for one in found] == [
        ["outside", "clients", "web1", "80"],
        ["open", "to", "all", "web1"],
        ["local", "only", "web1", "5432"],
    ]
    assert "tcp http nginx 900 0.0.0.0 every address · IPv4" in found[0]
    assert found[0].endswith("1 1 2 —")


def test_each_row_unfolds_to_words_peers_and_holders(
    host: Host, viewer: Client, page: Page
) -> None:
    html = page(viewer, "/exposure/?port=80")

    assert "0.0.0.0 takes IPv4 alone. 1 address is connected, 1 of it from outside." in html
    assert "Whether a firewall stands before it was not tried." in html
    assert '<span class="na-ep">' in html
    assert "203.0.113.9" in html
    assert "×2" in html
    assert "PID 900" in html


def test_the_page_looks_at_any_time(host: Host, viewer: Client, page: Page) -> None:
    then = (timezone.now() - dt.timedelta(seconds=100)).isoformat().replace("+00:00", "Z")

    html = page(viewer, f"/exposure/?at={then}")

    assert [one.split()[-2:] for one in rows(html)] == [["1", "1"], ["0", "0"]]
    assert "198.51.100.3" in html
    assert f"/hosts/{host.pk}/ports/?at=" in html
    assert "Try" not in html


def test_new_and_gone_listeners_are_told_apart(host: Host, viewer: Client, page: Page) -> None:
    fleet.seen(host, 10, LISTENER, fleet.WEB)
    fleet.seen(host, 5, LISTENER, fleet.WEB, line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "9/java"))

    def ports(query: str) -> list[str]:
        html = page(viewer, f"/exposure/?{query}")
        return re.findall(r'/ports/\?port=(\d+)"', html)

    assert ports("since=1h") == []
    since = (timezone.now() - dt.timedelta(seconds=100)).isoformat().replace("+00:00", "Z")
    assert ports(f"since={since}") == ["8080"]
    assert ports("show=gone") == ["5432"]
    html = page(viewer, "/exposure/?since=1h")
    assert "1 host was first probed after that time" in html


def test_a_group_a_host_and_a_wrong_filter(host: Host, viewer: Client, page: Page) -> None:
    other = Host.objects.create(name="db1", address="192.0.2.2")
    fleet.seen(other, 30, LISTENER)
    other.groups.add(HostGroup.objects.create(name="data"))

    assert len(rows(page(viewer, "/exposure/"))) == 4
    assert len(rows(page(viewer, "/exposure/?group=data"))) == 1
    assert len(rows(page(viewer, f"/exposure/?host={host.pk}"))) == 3
    for query in ("port=0", "bound=moon", "since=soon", "host=x", "reach=never", "show=all"):
        name = query.partition("=")[0]
        html = page(viewer, f"/exposure/?{query}", 400)
        assert f"<code>{name}</code>" in html


def test_what_is_outside_ones_groups_is_absent(host: Host) -> None:
    group = HostGroup.objects.create(name="data")
    inside = Host.objects.create(name="db1", address="192.0.2.2")
    inside.groups.add(group)
    fleet.seen(inside, 30, LISTENER)
    limited = browser_of(person("lina", Role.OPERATOR, groups=[group]))

    html = limited.get("/exposure/").content.decode()

    assert "db1" in html
    assert "web1" not in html
    assert limited.get(f"/exposure/?host={host.pk}").status_code == 400
    assert limited.post(f"/hosts/{host.pk}/reach/").status_code == 404
    assert limited.get(f"/hosts/{host.pk}/reach/progress/").status_code == 404
    assert not ReachRun.objects.exists()


def test_pages_hold_every_listener_once(host: Host, viewer: Client, page: Page) -> None:
    many = [line(f"0.0.0.0:{n}", "0.0.0.0:*", "LISTEN", "9/x") for n in range(1000, 1230)]
    fleet.seen(host, 1, *many)
    address: str | None = "/exposure/?sort=port"
    ports: list[str] = []
    while address:
        html = page(viewer, address)
        ports += re.findall(r'na-raised"><a href="/ports/\?port=(\d+)"', html)
        following = re.search(r'href="(\?[^"]*cursor=[^"]*)" rel="next"', html)
        address = following and "/exposure/" + following[1].replace("&amp;", "&")
    assert [int(port) for port in ports] == list(range(1000, 1230))


def test_csv_is_exactly_the_filtered_rows(host: Host, viewer: Client) -> None:
    response = viewer.get("/exposure/?bound=loopback&format=csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["host"], row["local_port"], row["bound"]) == ("web1", "5432", "loopback")
    assert row["explanation"].startswith("Bound to loopback:")
    assert (row["service"], row["programs"]) == ("postgresql", '["postgres"]')


def test_hostile_names_stay_text(host: Host, viewer: Client, page: Page) -> None:
    AddressName.objects.create(
        address="203.0.113.9",
        name="<script>alert(1)</script>.example",
        wanted_at=timezone.now(),
        known_at=timezone.now(),
        ask_at=timezone.now() + dt.timedelta(days=1),
    )
    hostile = line("0.0.0.0:81", "0.0.0.0:*", "LISTEN", "9/<script>alert(2)</script>")
    fleet.seen(host, 1, hostile, fleet.WEB, fleet.NEW_PEER)
    for address in ("/exposure/", f"/hosts/{host.pk}/peers/", f"/hosts/{host.pk}/"):
        html = page(viewer, address)
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html


def test_names_and_services_are_hints_that_can_be_switched_off(
    host: Host, viewer: Client, page: Page, settings: Any
) -> None:
    AddressName.objects.create(
        address="203.0.113.9",
        name="client.example",
        wanted_at=timezone.now(),
        known_at=timezone.now(),
        ask_at=timezone.now() + dt.timedelta(days=1),
    )
    hinted = 'title="reverse DNS, a hint: client.example">client.example</span>'
    service = 'title="registered name of the port, a hint">http</span>'
    addresses = ["/exposure/", f"/hosts/{host.pk}/peers/", f"/hosts/{host.pk}/"]
    assert all(hinted in page(viewer, address) for address in addresses)
    listed = ["/exposure/", f"/hosts/{host.pk}/ports/", f"/hosts/{host.pk}/", "/ports/"]
    assert all(service in page(viewer, address) for address in listed)
    settings.REVERSE_DNS = settings.PORT_NAMES = False
    assert not any("client.example" in page(viewer, address) for address in addresses)
    assert not any(service in page(viewer, address) for address in listed)


def test_no_name_is_shown_for_a_port_that_is_chance(host: Host, viewer: Client, page: Page) -> None:
    fleet.seen(
        host,
        1,
        line("192.0.2.1:3306", "203.0.113.9:443", "ESTABLISHED", "9/curl"),
        line("192.0.2.1:80", "203.0.113.9:5432", "ESTABLISHED", "9/nginx"),
        fleet.WEB,
    )
    html = page(viewer, f"/hosts/{host.pk}/")
    shown = re.findall(r'port, a hint">([^<]+)<', html)
    assert sorted(shown) == ["http", "http", "https"]


def test_a_cut_address_is_marked_on_both_lists_of_ports(
    host: Host, viewer: Client, page: Page
) -> None:
    cut = line("2001:db8:1234:5678:9:80", ":::*", "LISTEN", "9/x", protocol="tcp6")
    fleet.save(host, 1, observed(0, table(cut), wide=False))
    for address in (f"/hosts/{host.pk}/ports/", "/ports/?port=80", "/exposure/"):
        assert ">cut</span>" in page(viewer, address)


def test_an_operator_has_listeners_tried_and_sees_how_far_it_is(
    host: Host, operator: Client, page: Page
) -> None:
    address = f"/hosts/{host.pk}/ports/"
    assert "Try from here" in page(operator, address)

    response = operator.post(f"/hosts/{host.pk}/reach/", headers={"Referer": "/exposure/"})

    assert response.status_code == 302
    run = ReachRun.objects.get()
    assert (run.host_id, run.asked_by) == (host.pk, "operator")
    entry = AuditEntry.objects.get(action="host.reach")
    assert (entry.actor, entry.object_name) == ("operator", "web1")
    assert "Waiting for a worker" in page(operator, address)
    progress = f"/hosts/{host.pk}/reach/progress/"
    assert "HX-Refresh" not in operator.get(progress)
    ReachRun.objects.update(started_at=timezone.now(), planned=12, tried=5)
    assert "5 of 12" in page(operator, progress)
    ReachRun.objects.update(finished_at=timezone.now(), tried=12)
    assert operator.get(progress)["HX-Refresh"] == "true"
    again = operator.post(f"/hosts/{host.pk}/reach/", headers={"HX-Request": "true"})
    assert "Waiting for a worker" in again.content.decode()


def test_results_are_shown_with_when_and_what_was_left_out(
    host: Host, viewer: Client, page: Page
) -> None:
    at = timezone.now() - dt.timedelta(minutes=12)
    for port, result in ((80, "open"), (22, "filtered")):
        Reach.objects.create(
            host=host, address="192.0.2.1", port=port, result=result, checked_at=at, asked_by="otto"
        )
    ReachRun.objects.create(
        host=host, asked_at=at, asked_by="otto", started_at=at, finished_at=at,
        planned=2, tried=2, skipped={"loopback": 1},
    )  # fmt: skip

    html = page(viewer, f"/hosts/{host.pk}/ports/")

    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "listening, reached 12 min ago" in words
    assert "listening, filtered 12 min ago" in words
    assert "Tried from here 12 min ago by otto: 2 TCP ports · 1 reached · 1 filtered." in words
    assert "Not tried: 1 bound to loopback." in words
    assert "Try from here" not in words
    html = page(viewer, "/exposure/?reach=filtered")
    assert len(rows(html)) == 1
    assert "listening , filtered" in rows(html)[0] or "listening, filtered" in rows(html)[0]
    assert "the accept queue is full" in html


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_local": True}, "This host is the controller itself."),
        ({"enabled": False}, "This host is disabled."),
    ],
)
def test_a_host_that_is_not_tried_says_why(
    host: Host, operator: Client, page: Page, change: dict[str, bool], words: str
) -> None:
    Host.objects.filter(pk=host.pk).update(**change)

    html = page(operator, f"/hosts/{host.pk}/ports/")
    answer = operator.post(f"/hosts/{host.pk}/reach/", follow=True).content.decode()

    assert words in html
    assert "Try from here" not in html
    assert f"web1: {words}" in answer
    assert not ReachRun.objects.exists()
    assert not AuditEntry.objects.filter(action="host.reach").exists()


def test_switched_off_there_is_no_button_anywhere(
    host: Host, operator: Client, page: Page, settings: Any
) -> None:
    settings.CONNECT_BACK = False
    for address in (f"/hosts/{host.pk}/ports/", "/exposure/", f"/exposure/?host={host.pk}"):
        html = page(operator, address)
        assert "from here" not in html.lower()
    answer = operator.post(f"/hosts/{host.pk}/reach/", follow=True).content.decode()
    assert "switched off" in answer


def test_a_second_run_beside_the_first_is_refused(host: Host, operator: Client) -> None:
    operator.post(f"/hosts/{host.pk}/reach/")
    answer = operator.post(f"/hosts/{host.pk}/reach/", follow=True).content.decode()
    assert "This host is being tried already." in answer


def test_without_a_broker_it_is_said(
    host: Host, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kombu.exceptions import OperationalError

    def nobody(*_arguments: object, **_names: object) -> None:
        raise OperationalError("refused")

    monkeypatch.setattr(connect_back.app, "send_task", nobody)
    answer = operator.post(f"/hosts/{host.pk}/reach/", follow=True).content.decode()
    assert "No worker could be told" in answer
    assert ReachRun.objects.get().finished_at is not None


def test_viewers_may_not_try(host: Host, viewer: Client) -> None:
    assert viewer.post(f"/hosts/{host.pk}/reach/").status_code == 403
    assert "Try the listeners" not in viewer.get("/exposure/").content.decode()


def test_an_empty_site_says_what_comes_next(viewer: Client, page: Page) -> None:
    assert "The first whole probe of a host fills this table." in page(viewer, "/exposure/")
