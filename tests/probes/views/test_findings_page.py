"""The page of findings: what it shows, filters, links to and lets nobody else see."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.history import limits
from probes.models import Snapshot
from probes.observation import Observation
from probes.views import moment
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

Page = Callable[..., str]
HOSTILE = "900/<script>alert(1)</script>"


@pytest.fixture
def leaking(host: Host) -> Host:
    """web1 with a leak of a program of hostile name, and a queue that is full."""
    for step in range(6):
        rows = [
            line(f"192.0.2.1:{40_000 + n}", "203.0.113.77:5432", "CLOSE_WAIT", HOSTILE)
            for n in range(4 * step)
        ]
        queue = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "700/nginx", queues=(130 * (step > 4), 0))
        taken = fleet.seen(host, 20 - step, LISTENER, queue, *rows)
    told = {"kernel.ostype": "Linux", "net.core.somaxconn": "128"}
    limits.save(host, Observation(taken.taken_at, 0.1, limits=told))
    return host


def test_a_finding_is_explained_with_rows_advice_and_links(
    viewer: Client, leaking: Host, page: Page
) -> None:
    html = page(viewer, "/findings/")
    assert "from 0" in html
    assert "Only the program can end CLOSE_WAIT" in html
    assert html.count("<td>CLOSE_WAIT</td>") == 5
    assert f"/hosts/{leaking.pk}/?state=CLOSE_WAIT" in html
    assert f"/hosts/{leaking.pk}/states/" in html
    assert "<polyline" in html
    assert "is full</h2>" in html
    assert "128 here" in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert html.index("is full") < html.index("Only the program can end")


def test_a_queue_at_its_limit_is_not_called_full(viewer: Client, host: Host, page: Page) -> None:
    queue = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "700/nginx", queues=(128, 0))
    taken = fleet.seen(host, 1, LISTENER, queue)
    told = {"kernel.ostype": "Linux", "net.core.somaxconn": "128"}
    limits.save(host, Observation(taken.taken_at, 0.1, limits=told))
    html = page(viewer, "/findings/")
    assert "is at its limit</h2>" in html
    assert "is full</h2>" not in html


def test_the_link_of_a_finding_shows_exactly_its_rows(
    viewer: Client, leaking: Host, page: Page
) -> None:
    html = page(viewer, "/findings/?kind=leak")
    start = html.index(f'"/hosts/{leaking.pk}/?state=CLOSE_WAIT') + 1
    address = html[start : html.index('"', start)].replace("&amp;", "&")
    assert "20 of 20 rows" in page(viewer, address)


@pytest.mark.parametrize(
    ("query", "leak", "queue"),
    [
        ("", True, True),
        ("?kind=leak", True, False),
        ("?kind=backlog", False, True),
        ("?kind=flood", False, False),
        ("?severity=bad", False, True),
        ("?severity=warn", True, False),
        ("?q=203.0.113.77", True, False),
        ("?q=NGINX", False, True),
        ("?q=web1", True, True),
        ("?q=nobody", False, False),
    ],
)
def test_filters_choose_among_findings(
    viewer: Client, leaking: Host, page: Page, query: str, leak: bool, queue: bool
) -> None:
    html = page(viewer, f"/findings/{query}")
    assert ("unclosed</h2>" in html) == leak
    assert ("is full</h2>" in html) == queue


def test_a_past_time_shows_the_findings_of_then(viewer: Client, leaking: Host, page: Page) -> None:
    newest, before = Snapshot.objects.filter(host=leaking).order_by("-taken_at")[:2]
    assert "is full</h2>" in page(viewer, f"/findings/?at={moment.stamp(newest.taken_at)}")
    html = page(viewer, f"/findings/?at={moment.stamp(before.taken_at)}")
    assert "is full</h2>" not in html
    assert "16 in CLOSE_WAIT" in html
    assert "at=" in html[html.index(f'"/hosts/{leaking.pk}/?state=CLOSE_WAIT') :][:200]
    assert "Nothing known yet" in page(viewer, "/findings/?at=2020-01-01T00:00:00Z")


def test_the_download_has_exactly_the_findings_that_pass(viewer: Client, leaking: Host) -> None:
    answer = viewer.get("/findings/?kind=leak&format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))
    assert (row["kind"], row["count"], row["host"]) == ("leak", "20", "web1")
    assert row["remote_ip"] == "203.0.113.77"


def test_what_is_looked_for_is_said_where_nothing_is_wrong(
    viewer: Client, host: Host, page: Page
) -> None:
    html = page(viewer, "/findings/")
    assert "Nothing is wrong" in html
    assert "from 10 on, that rise by 5 or more over 3 probes" in html
    assert "Nothing of this kind" in page(viewer, "/findings/?kind=leak")


@pytest.mark.parametrize(
    "query", ["kind=moon", "severity=worst", "q=%00", "host=0", "group=nobody", "at=then"]
)
def test_a_value_that_is_none_is_named(
    viewer: Client, leaking: Host, page: Page, query: str
) -> None:
    html = page(viewer, f"/findings/?{query}", status=400)
    assert f"<code>{query.partition('=')[0]}</code>" in html
    assert "is full</h2>" not in html


def test_nobody_sees_findings_of_hosts_outside_their_groups(leaking: Host, page: Page) -> None:
    group = HostGroup.objects.create(name="others")
    lina = browser_of(person("lina", Role.VIEWER, groups=[group]))
    html = page(lina, "/findings/")
    assert "unclosed" not in html
    assert "web1" not in html


def test_the_page_of_a_host_leads_to_its_findings(
    viewer: Client, leaking: Host, page: Page
) -> None:
    html = page(viewer, f"/hosts/{leaking.pk}/")
    assert "20 × CLOSE_WAIT" in html
    assert f"/findings/?host={leaking.pk}" in html
