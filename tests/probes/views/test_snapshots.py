"""The page of one probe: its facts, rejected lines and raw output, however hostile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host
from probes.models import RawOutput, Snapshot
from probes.observation import Code
from tests.probes.history.played import LISTENER, observed, table
from tests.probes.views import fleet
from tests.probes.views.test_host_page import rows

Page = Callable[..., str]

pytestmark = pytest.mark.django_db

ODD = "tcp <script>alert(1)</script> odd"


def test_what_ran_and_what_came(viewer: Client, page: Page, host: Host) -> None:
    snapshot = Snapshot.objects.filter(host=host).latest("taken_at")
    html = page(viewer, f"/snapshots/{snapshot.pk}/")
    assert "netstat -antup" in html
    assert "as root" in html
    assert "250 ms" in html
    assert "0.0.0.0:80" in html, "the raw output of the newest probe"
    assert "The connections of that time" in html


def test_rejected_lines_are_shown_with_number_reason_and_text(
    viewer: Client, page: Page, host: Host
) -> None:
    snapshot = fleet.seen(host, 1, LISTENER, ODD)
    html = page(viewer, f"/snapshots/{snapshot.pk}/")
    assert rows(html) == [f"4 columns are missing {ODD}"]
    assert "<script>alert" not in html


def test_a_failure_says_its_fix_and_what_the_host_said(
    viewer: Client, page: Page, host: Host
) -> None:
    raw = b"bash: netstat: <b>not</b> found\x1b[31m\xff\n"
    snapshot = fleet.save(
        host,
        1,
        observed(
            0,
            "",
            failure=fleet.Failure(Code.NOT_UNDERSTOOD, "no <table>"),
            raw=raw,
            notes="warning: <i>x</i>",
        ),
    )
    html = page(viewer, f"/snapshots/{snapshot.pk}/")
    assert "See the raw output." in html
    assert "no &lt;table&gt;" in html
    assert "bash: netstat: &lt;b&gt;not&lt;/b&gt; found" in html
    assert "\x1b" not in html
    assert "warning: &lt;i&gt;x&lt;/i&gt;" in html


def test_the_download_is_the_very_bytes_and_nothing_a_browser_runs(
    viewer: Client, host: Host
) -> None:
    raw = b"<script>alert(1)</script>\x00\xff\r\n"
    snapshot = fleet.save(
        host, 1, observed(0, "", failure=fleet.Failure(Code.NOT_UNDERSTOOD), raw=raw)
    )
    response = viewer.get(f"/snapshots/{snapshot.pk}/raw/")
    assert response.content == raw
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_what_is_no_longer_kept_is_said(viewer: Client, page: Page, host: Host) -> None:
    snapshot = fleet.seen(host, 20, LISTENER, ODD)
    fleet.seen(host, 1, LISTENER)
    RawOutput.objects.all().delete()
    html = page(viewer, f"/snapshots/{snapshot.pk}/")
    assert "no longer kept, so the lines cannot be shown" in html
    assert viewer.get(f"/snapshots/{snapshot.pk}/raw/").status_code == 404


def test_a_long_output_is_cut_on_the_page_only(viewer: Client, page: Page, host: Host) -> None:
    text = table(*[LISTENER] * 6000)
    snapshot = fleet.save(host, 1, observed(0, text))
    html = page(viewer, f"/snapshots/{snapshot.pk}/")
    assert len(html) < 400_000
    assert "Cut here; the download has all of it." in html
    response = viewer.get(f"/snapshots/{snapshot.pk}/raw/")
    assert response.content.decode() == text


def test_neighbours_are_linked(viewer: Client, page: Page, host: Host) -> None:
    first, last = Snapshot.objects.filter(host=host).order_by("taken_at")
    assert f'href="/snapshots/{last.pk}/" rel="next"' in page(viewer, f"/snapshots/{first.pk}/")
    assert f'href="/snapshots/{first.pk}/" rel="prev"' in page(viewer, f"/snapshots/{last.pk}/")
