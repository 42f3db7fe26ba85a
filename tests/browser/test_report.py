"""The report in a browser: a real PDF of it, and what stands on its paper."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host

SignIn = Callable[..., None]
A4_PT = (594.96, 841.92)
"""What Chromium makes of 210 by 297 mm."""


@pytest.fixture
def report(page: Page, live_server: Any, fleet: dict[str, Host], sign_in: SignIn) -> Page:
    """The report of web1, which has more peers than a sheet has lines."""
    from tests.probes.history.played import LISTENER, line
    from tests.probes.views import fleet as played

    peers = [line("192.0.2.1:80", f"198.51.100.{n}:{20_000 + n}") for n in range(1, 90)]
    long = line("192.0.2.1:80", "2001:db8:1234:5678:9abc:def0:1234:5678:40000", protocol="tcp6")
    played.seen(fleet["web1"], 5, LISTENER, long, *peers)
    sign_in(page)
    page.goto(f"{live_server.url}/report/?host={fleet['web1'].pk}&limit=100")
    return page


def pages_of(pdf: bytes) -> list[tuple[float, float]]:
    """Width and height of each page, in points."""
    objects = pdf + b"".join(_inflated(pdf))
    boxes = re.findall(
        rb"/Type\s*/Page\b(?!s).*?/MediaBox\s*\[0 0 ([0-9.]+) ([0-9.]+)\]", objects, re.DOTALL
    )
    return [(float(width), float(height)) for width, height in boxes]


def _inflated(pdf: bytes) -> list[bytes]:
    found = []
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(packed))
        except zlib.error:
            continue  # a font or a picture
    return found


def outline_of(page: Page) -> list[str]:
    """The titles of the sections that are drawn on paper."""
    titles: list[str] = page.eval_on_selector_all(
        ".na-chapter h2, .na-chapter h3",
        "all => all.filter(one => one.getClientRects().length).map(one => one.textContent)",
    )
    return titles


def test_a_pdf_has_every_section_on_sheets_of_a4(report: Page) -> None:
    from hosts.models import Host
    from probes.reports import composition as reports
    from probes.reports import layout

    web = Host.objects.get(name="web1")
    chapters = layout.lay_out(reports.compose(Host.objects.filter(pk=web.pk), host=web, limit=100))
    expected = [
        title
        for chapter in chapters
        for title in (chapter.title, *(table.title for table in chapter.tables))
    ]

    pdf = report.pdf(prefer_css_page_size=True, outline=True, tagged=True)

    sheets = pages_of(pdf)
    # Each chapter begins one, and 90 peers need more than one.
    assert len(sheets) > len(chapters)
    for width, height in sheets:
        assert (width, height) == pytest.approx(A4_PT, abs=1)
    # Its outline is made of the headings that were really printed.
    printed = pdf + b"".join(_inflated(pdf))
    missing = [
        title
        for title in expected
        if title.encode() not in printed and title.encode("utf-16-be") not in printed
    ]
    assert not missing
    report.emulate_media(media="print")
    assert outline_of(report) == expected


def test_what_is_printed_is_black_on_white_without_navigation(report: Page) -> None:
    report.emulate_media(media="print", color_scheme="dark")

    for selector in (".na-top", ".na-actions", ".na-report-place", ".na-report-contents"):
        assert not report.locator(selector).first.is_visible(), selector
    assert report.locator("h1").is_visible()
    assert report.get_by_text("made", exact=False).first.is_visible()
    colours = report.evaluate(
        """() => {
          const parts = [".card", ".table", "td", "th", "a"].map((part) => `.na-chapter ${part}`);
          const all = [document.body, ...document.querySelectorAll(parts.join(","))];
          const styles = all.map((one) => getComputedStyle(one));
          return [...new Set(styles.flatMap((one) => [one.color, one.backgroundColor]))];
        }"""
    )
    assert set(colours) <= {"rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}


def test_nothing_is_cut_at_the_edge_of_the_paper_and_headings_repeat(report: Page) -> None:
    report.emulate_media(media="print")
    report.set_viewport_size({"width": 710, "height": 1000})  # A4 less its margins, at 96 dpi

    cut = report.eval_on_selector_all(
        ".na-chapter *",
        """all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1
          || (getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth))
          .map(one => one.outerHTML.slice(0, 200))""",
    )
    heads = report.eval_on_selector_all(
        ".na-chapter thead", "all => [...new Set(all.map(one => getComputedStyle(one).display))]"
    )
    begins = report.eval_on_selector_all(
        ".na-chapter", "all => all.map(one => getComputedStyle(one).breakBefore)"
    )

    assert not cut
    assert heads == ["table-header-group"]
    assert set(begins[1:]) == {"page"}
    assert "2001:db8:1234:5678:9abc:def0:1234:5678" in report.content()


def test_the_button_prints_and_nothing_complains(report: Page, complaints: list[str]) -> None:
    report.evaluate("() => { window.printed = 0; window.print = () => { window.printed += 1; }; }")

    report.get_by_role("button", name="Print or save as PDF").click()

    assert report.evaluate("window.printed") == 1
    assert not complaints


def test_without_a_script_the_report_is_whole_and_offers_no_dead_button(
    scriptless: Page, live_server: Any, fleet: dict[str, Host], sign_in: SignIn
) -> None:
    sign_in(scriptless)
    scriptless.goto(f"{live_server.url}/report/?host={fleet['web1'].pk}")

    assert not scriptless.get_by_role("button", name="Print or save as PDF").is_visible()
    assert "203.0.113.9" in scriptless.locator("#remote_ips").inner_text()
    scriptless.locator("nav a[href='#listeners']").click()
    assert scriptless.url.endswith("#listeners")
