"""Looking at the past: any whole snapshot, its neighbours, and a clear way back to now."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host
from probes.filters import FilterError
from probes.models import Snapshot
from probes.observation import Code
from probes.views import moment
from tests.probes.history.played import LISTENER
from tests.probes.views import fleet
from tests.probes.views.test_host_page import rows

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def stamp(snapshot: Snapshot) -> str:
    return moment.stamp(snapshot.taken_at)


@pytest.fixture
def snapshots(host: Host) -> list[Snapshot]:
    """The two of web1, oldest first."""
    return list(Snapshot.objects.filter(host=host).order_by("taken_at"))


def test_a_past_moment_shows_what_was_there_and_says_so(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?at={stamp(snapshots[0])}")
    assert len(rows(html)) == 3
    assert "198.51.100.3" in html
    assert "203.0.113.9" not in html
    assert "You look at" in html
    assert "Back to now" in html
    assert "data-live" not in html


def test_now_has_no_banner(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, f"/hosts/{host.pk}/")
    assert "You look at" not in html
    assert "data-live" in html


def test_neighbours_and_the_way_back_keep_the_filters(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?state=LISTEN")
    back = re.search(r'href="([^"]+)" rel="prev"', html)
    assert back is not None
    html = page(viewer, f"/hosts/{host.pk}/{unescape(back[1])}")
    assert len(rows(html)) == 2
    assert 'href="?state=LISTEN">Back to now' in html
    assert re.search(r'href="\?state=LISTEN" rel="next"', html), "the newest snapshot is now"


def test_the_field_finds_the_snapshot_it_shows(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?at={stamp(snapshots[0])}")
    field = re.search(r'type="datetime-local" id="at" name="at" step="1" value="([^"]+)"', html)
    assert field is not None
    again = page(viewer, f"/hosts/{host.pk}/?at={field[1]}")
    assert rows(again) == rows(html)


def test_a_time_between_two_snapshots_shows_the_earlier(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    between = snapshots[0].taken_at + (snapshots[1].taken_at - snapshots[0].taken_at) / 2
    html = page(viewer, f"/hosts/{host.pk}/?at={moment.stamp(between)}")
    assert len(rows(html)) == 3


def test_a_time_before_the_first_snapshot_shows_nothing_and_leads_to_the_first(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?at=2001-01-01T00:00")
    assert rows(html) == []
    assert "Nothing is known of that time." in html
    assert f"?at={stamp(snapshots[0]).replace(':', '%3A')}" in html


def test_failed_probes_are_no_moments(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    failed = fleet.failed(host, 100, Code.TIMED_OUT)
    html = page(viewer, f"/hosts/{host.pk}/?at={stamp(failed)}")
    assert len(rows(html)) == 3
    points = re.search(r'"points": \[(.*?)\]\]', html)
    assert points is not None
    assert points[1].count("[") == 2


def test_every_tab_travels(
    viewer: Client, page: Page, host: Host, snapshots: list[Snapshot]
) -> None:
    at = f"at={stamp(snapshots[0])}"
    ports = page(viewer, f"/hosts/{host.pk}/ports/?{at}")
    assert len(rows(ports)) == 2
    assert "postgres" not in ports
    peers = page(viewer, f"/hosts/{host.pk}/peers/?{at}")
    assert "198.51.100.3" in peers
    assert "203.0.113.9" not in peers
    states = page(viewer, f"/hosts/{host.pk}/states/?{at}")
    assert "TIME_WAIT" not in states
    for html in (ports, peers, states):
        assert f'href="/hosts/{host.pk}/?{at.replace(":", "%3A")}"' in html


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-13-01", "1", "0001-01-01T00:00:00+14:00", "\0", "9999-12-31T23:59-09"],
)
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(FilterError) as refused:
        moment.parse(text)
    assert refused.value.field == "at"


def test_no_time_is_now(host: Host) -> None:
    assert moment.parse("") is None
    assert moment.parse("  ") is None


def test_whole_seconds_mean_their_end_and_fractions_are_exact() -> None:
    assert moment.parse("2026-01-31T03:12:05Z") == moment.parse("2026-01-31T03:12:05.999999Z")
    exact = timezone.now().replace(microsecond=1)
    assert moment.parse(moment.stamp(exact)) == exact


def test_the_slider_is_bounded_however_long_the_history(
    viewer: Client, page: Page, host: Host
) -> None:
    newest = fleet.seen(host, 1, LISTENER)
    Snapshot.objects.bulk_create(
        Snapshot(
            host=host,
            taken_at=newest.taken_at - dt.timedelta(hours=2, seconds=number),
            outcome="ok",
        )
        for number in range(3 * moment.SLIDER_POINTS)
    )
    html = page(viewer, f"/hosts/{host.pk}/")
    points = re.search(r'"points": \[(.*?)\]\]', html)
    assert points is not None
    assert points[1].count("[") == moment.SLIDER_POINTS + 1
