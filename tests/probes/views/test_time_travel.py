"""The slider, the timeline under it, and the tabs Diff and History, and Compare."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.models import Alert, Snapshot
from probes.observation import Code
from probes.views import moment as moments
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

Fetch = Callable[..., str]


def slider(text: str) -> dict[str, Any]:
    """What the script of the slider is given."""
    found = re.search(r'<script id="time-points" type="application/json">(.*?)</script>', text)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def marks(text: str) -> list[str]:
    """The words of the timeline's marks."""
    found = re.search(r'<script id="chart-marks" type="application/json">(.*?)</script>', text)
    return [mark[1] for mark in json.loads(found[1])] if found else []


def stamps(host: Host) -> list[str]:
    whole = Snapshot.objects.filter(host=host, outcome="ok").order_by("taken_at")
    return [moments.stamp(taken_at) for taken_at in whole.values_list("taken_at", flat=True)]


def hours(host: Host, count: int) -> None:
    """A whole probe an hour, the oldest ``count`` hours ago."""
    for ago in range(count, 0, -1):
        fleet.seen(host, ago * 3600, LISTENER, line(f"10.0.0.5:{4000 + ago}"))


def test_the_slider_goes_as_far_as_it_is_told(viewer: Client, page: Fetch) -> None:
    host = Host.objects.create(name="long", address="192.0.2.7")
    hours(host, 30)
    known = stamps(host)

    def points(query: str) -> list[str]:
        return [
            stamp for _label, stamp in slider(page(viewer, f"/hosts/{host.pk}/{query}"))["points"]
        ]

    assert points("?span=all") == [*known[:-1], ""]
    assert points("?span=21600") == [*known[-5:-1], ""]
    # The neighbours are exact whatever the span.
    assert points("?span=3600")[-2:] == [known[-2], ""]


def test_the_past_is_walked_probe_by_probe_in_any_span(viewer: Client, page: Fetch) -> None:
    host = Host.objects.create(name="long", address="192.0.2.7")
    hours(host, 30)
    known = stamps(host)

    text = page(viewer, f"/hosts/{host.pk}/?at={known[10]}&span=3600")

    shown = slider(text)
    assert shown["points"][shown["current"]][1] == known[10]
    assert f"at={quote(known[9])}" in text
    assert f"at={quote(known[11])}" in text
    assert "span=3600" in shown["base"]


def test_a_long_time_is_thinned_evenly(
    viewer: Client, page: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "SLIDER_POINTS", 8)
    host = Host.objects.create(name="long", address="192.0.2.7")
    hours(host, 30)

    points = slider(page(viewer, f"/hosts/{host.pk}/?span=all"))["points"]

    assert 8 <= len(points) <= 11
    assert points[-1][1] == ""


def test_the_span_stays_from_tab_to_tab(viewer: Client, host: Host, page: Fetch) -> None:
    text = html.unescape(page(viewer, f"/hosts/{host.pk}/?span=604800"))

    for tab in ("ports", "peers", "states", "history", "diff"):
        assert f"/hosts/{host.pk}/{tab}/?span=604800" in text
        page(viewer, f"/hosts/{host.pk}/{tab}/?span=all")


def test_a_span_that_is_none_is_named(viewer: Client, host: Host, page: Fetch) -> None:
    for tab in ("", "ports/", "peers/", "history/"):
        assert "<code>span</code>" in page(viewer, f"/hosts/{host.pk}/{tab}?span=moon", 400)
    assert "<code>by</code>" in page(viewer, f"/hosts/{host.pk}/?by=moon", 400)


def test_the_timeline_spans_what_the_slider_does(viewer: Client, host: Host, page: Fetch) -> None:
    text = page(viewer, f"/hosts/{host.pk}/?span=86400")
    assert 'data-span="86400"' in text
    assert 'data-until=""' in text
    first = stamps(host)[0]
    text = page(viewer, f"/hosts/{host.pk}/?span=86400&at={first}")
    assert 'data-at-url="?span=86400"' in text
    assert re.search(r'data-until="\d+"', text)
    assert "You look at this time" in marks(text)


def test_the_timeline_marks_what_happened(viewer: Client, host: Host, page: Fetch) -> None:
    fleet.failed(host, 20, Code.TIMED_OUT)
    fleet.failed(host, 15, Code.TIMED_OUT)
    ago = timezone.now() - dt.timedelta(seconds=10)
    Alert.objects.create(kind="hunt", host=host, subject="<botnet>", opened_at=ago, newest_at=ago)
    fleet.seen(host, 5, LISTENER)

    found = marks(page(viewer, f"/hosts/{host.pk}/"))

    assert "New listener: tcp 5432 (postgres)" in found
    assert "Listener gone: tcp 80 (nginx)" in found
    assert "Alert: <botnet>" in found
    assert [mark for mark in found if "(timed_out)" in mark and mark.endswith("×2")]


def test_a_diff_shows_what_opened_closed_and_changed(
    viewer: Client, host: Host, page: Fetch
) -> None:
    fleet.seen(host, 5, LISTENER, fleet.WEB.replace("900/", "950/"), fleet.NEW_PEER)

    text = page(viewer, f"/hosts/{host.pk}/diff/")

    assert text.count('class="nt-kind') == 3  # the database and a waiting one went, nginx restarted
    assert "Changed" in text
    assert re.search(r"900</span>.*?<strong>950</strong>", text, re.DOTALL)
    only = page(viewer, f"/hosts/{host.pk}/diff/?what=listeners&kind=closed")
    assert only.count('class="nt-kind') == 1
    assert "postgres" in only


def test_a_diff_of_any_two_times_links_to_both(viewer: Client, host: Host, page: Fetch) -> None:
    first, second = stamps(host)

    text = page(viewer, f"/hosts/{host.pk}/diff/?from={first}&to={second}&remote_ip=203.0.113.9")

    assert f"/hosts/{host.pk}/?at={quote(first)}" in text
    assert f"/hosts/{host.pk}/?at={quote(second)}" in text
    assert text.count('class="nt-kind') == 2
    assert "198.51.100.3" not in text
    turned = page(viewer, f"/hosts/{host.pk}/diff/?from={second}&to={first}")
    assert "Backwards" in turned


def test_a_diff_needs_two_probes(viewer: Client, host: Host, page: Fetch) -> None:
    fresh = Host.objects.create(name="fresh", address="192.0.2.9")
    assert "needs two whole probes" in page(viewer, f"/hosts/{fresh.pk}/diff/")
    fleet.seen(fresh, 5, LISTENER)
    assert "Nothing is known of the first time" in page(viewer, f"/hosts/{fresh.pk}/diff/")
    same = stamps(host)[0]
    text = page(viewer, f"/hosts/{host.pk}/diff/?from={same}&to={same}")
    assert "Both are the same probe" in text
    assert "<code>from</code>" in page(viewer, f"/hosts/{host.pk}/diff/?from=moon", 400)


def test_history_tells_states_and_processes(viewer: Client, host: Host, page: Fetch) -> None:
    fleet.seen(host, 5, LISTENER, fleet.WEB, fleet.WAITING.replace("41001", "41000"))

    text = page(viewer, f"/hosts/{host.pk}/history/?remote_ip=203.0.113.9&remote_port=41000")

    assert re.search(r"ESTABLISHED.*?→.*?TIME_WAIT", text, re.DOTALL)
    assert "still there" in text
    assert "1 of 1 connection" in text
    assert "No connection matches" in page(viewer, f"/hosts/{host.pk}/history/?local_port=1")
    listeners = page(viewer, f"/hosts/{host.pk}/history/?what=listeners")
    assert "203.0.113.9" not in listeners
    assert "nginx" in listeners


def test_history_says_when_it_was_cut(
    viewer: Client, host: Host, page: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.history.queries import interval_sql

    monkeypatch.setattr(interval_sql, "MOST_INTERVALS", 5)

    text = page(viewer, f"/hosts/{host.pk}/history/")

    assert "So much changes on this host" in text


def test_a_filter_of_history_and_diff_keeps_the_times(
    viewer: Client, host: Host, page: Fetch
) -> None:
    first, second = stamps(host)
    for tab, query in (
        ("diff", f"from={first}&to={second}&kind=opened"),
        ("history", f"since={first}&until={second}&what=listeners"),
    ):
        text = page(viewer, f"/hosts/{host.pk}/{tab}/?{query}")
        form = text[text.index('role="search" aria-label="Filter') :].partition("</form>")[0]
        for name in re.findall(r"(\w+)=", query):
            assert f'type="hidden" name="{name}"' in form


def test_two_hosts_are_compared_and_chosen(viewer: Client, host: Host, page: Fetch) -> None:
    other = Host.objects.create(name="web2", address="192.0.2.2")
    fleet.seen(other, 5, LISTENER, fleet.WEB, line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "7/java"))
    assert f"/compare/?a={host.pk}" in page(viewer, f"/hosts/{host.pk}/")
    assert "Choose two hosts" in page(viewer, f"/compare/?a={host.pk}")

    text = page(viewer, f"/compare/?a={host.pk}&b={other.pk}&what=listeners")

    assert "8080" in text
    assert "5432" in text
    assert "1 to 2 of 2" in text
    assert "<code>b</code>" in page(viewer, f"/compare/?a={host.pk}&b={host.pk}", 400)
    assert "<code>a</code>" in page(viewer, "/compare/?a=987654321", 400)


def test_nobody_compares_what_they_do_not_see(host: Host, page: Fetch) -> None:
    group = HostGroup.objects.create(name="inside")
    mine = Host.objects.create(name="mine", address="192.0.2.2")
    mine.groups.add(group)
    limited = browser_of(person("lina", Role.VIEWER, groups=[group]))

    text = page(limited, f"/compare/?a={mine.pk}&b={host.pk}", 400)

    assert "There is no such host." in text
    assert "web1" not in text
