"""The map in a real browser: it is drawn, read, walked, and says what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from hosts.models import Host

SignIn = Callable[..., None]
Open = Callable[[str], "Page"]

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
BOXES = """selector => Array.from(document.querySelectorAll(selector))
  .filter(each => getComputedStyle(each).visibility !== 'hidden')
  .map(each => { const b = each.getBoundingClientRect();
                 return [each.textContent, b.left, b.top, b.right, b.bottom]; })"""
EDGES = """() => {
  const { nodes, edges } = JSON.parse(document.getElementById('map-data').textContent);
  return edges.map(e => [nodes[e[0]].name, nodes[e[1]].name, String(e[3]), String(e[4])]); }"""
WIDTH = "document.querySelector('.na-node .na-shape').getBoundingClientRect().width"
NAMES = ".na-map-svg .na-label, .na-map-svg .na-hull-name"


@pytest.fixture
def shop(live_server: Any) -> dict[str, Host]:
    """web-1 and web-2 in front of db-1, one stranger, and what was there five minutes ago."""
    from hosts.models import Host, HostGroup
    from tests.probes.history.played import LISTENER, line
    from tests.probes.views import fleet

    groups = {name: HostGroup.objects.create(name=name) for name in ("web", "data")}
    hosts = {}
    for name, address, group in (
        ("web-1", "10.7.0.1", "web"), ("web-2", "10.7.0.2", "web"), ("db-1", "10.7.1.1", "data"),
    ):  # fmt: skip
        hosts[name] = Host.objects.create(name=name, address=address)
        hosts[name].groups.add(groups[group])
    query = line("10.7.0.1:41000", "10.7.1.1:5432", "ESTABLISHED", "7/gunicorn")
    other = line("10.7.0.2:41000", "10.7.1.1:5432", "ESTABLISHED", "7/celery")
    stranger = line("10.7.0.1:80", "203.0.113.9:4000", holder="9/nginx")
    http = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx")
    postgres = line("10.7.1.1:5432", "0.0.0.0:*", "LISTEN", "8/postgres")
    answer = line("10.7.1.1:5432", "10.7.0.1:41000", "ESTABLISHED", "8/postgres")
    fleet.seen(hosts["web-1"], 300, LISTENER, query)
    fleet.seen(hosts["db-1"], 300, postgres)
    fleet.seen(hosts["web-1"], 30, LISTENER, http, query, stranger)
    fleet.seen(hosts["web-2"], 30, LISTENER, other)
    fleet.seen(hosts["db-1"], 30, postgres, answer)
    return hosts


@pytest.fixture
def at(page: Page, live_server: Any, sign_in: SignIn) -> Open:
    """``at(address)``: the page there, its map drawn."""
    sign_in(page)
    page.set_viewport_size({"width": 1360, "height": 860})

    def open_page(address: str) -> Page:
        page.goto(f"{live_server.url}{address}")
        page.wait_for_selector("[data-map][data-drawn]", timeout=PATIENCE_S * 1000)
        return page

    return open_page


def node(page: Page, name: str) -> Locator:
    return page.locator(f'.na-node[aria-label^="{name}, "]')


def shown_names(page: Page) -> set[str]:
    return {text for text, *_box in page.evaluate(BOXES, NAMES)}


def overlaps(boxes: list[list[Any]]) -> list[tuple[str, str]]:
    """Pairs of names of which one lies over the other by more than a hair."""
    found = []
    for place, (one, left, top, right, bottom) in enumerate(boxes):
        for other, far_left, far_top, far_right, far_bottom in boxes[place + 1 :]:
            wide = min(right, far_right) - max(left, far_left)
            high = min(bottom, far_bottom) - max(top, far_top)
            if wide > 1.5 and high > 1.5:
                found.append((one, other))
    return found


def test_the_picture_has_the_edges_of_the_table(
    at: Open, shop: dict[str, Host], complaints: list[str]
) -> None:
    page = at("/map/")
    drawn = page.evaluate(EDGES)
    cells = "row => ['th a', 'td:nth-child(2) a', 'td:nth-child(3) a', 'td:nth-child(5)']"
    listed = page.locator("[data-map-table] tbody tr").evaluate_all(
        f"rows => rows.map({cells}.map(each => row.querySelector(each).textContent.trim()))"
    )
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, listed))
    assert {tuple(edge[:2]) for edge in drawn} == {
        ("web-1", "db-1"), ("web-2", "db-1"), ("203.0.113.9", "web-1"),
    }  # fmt: skip
    assert page.locator(".na-node").count() == 4
    assert page.locator(".na-link").count() == 3
    # db-1 was probed when web-2 was, and had no connection of it.
    assert page.locator(".na-link-one").count() == 1
    assert {"web-1", "web-2", "db-1", "203.0.113.9", "web", "data"} <= shown_names(page)
    assert not complaints


def test_a_node_is_chosen_looked_at_and_let_go(at: Open, shop: dict[str, Host]) -> None:
    from playwright.sync_api import expect

    page = at("/map/")
    panel = page.locator("[data-map-panel]")
    node(page, "web-1").click()
    expect(panel.locator("h2")).to_have_text("web-1")
    expect(panel.locator("li")).to_have_count(2)
    expect(panel).to_contain_text("5432 tcp · gunicorn → postgres")
    expect(page).to_have_url(re.compile(rf"/map/#h{shop['web-1'].pk}$"))
    expect(page.locator(".na-link.na-near")).to_have_count(2)
    expect(node(page, "web-2")).not_to_have_class(re.compile("na-near"))
    panel.get_by_role("button", name="db-1").click()
    expect(panel.locator("h2")).to_have_text("db-1")
    page.reload()
    page.wait_for_selector("[data-map][data-drawn]")
    expect(panel.locator("h2")).to_have_text("db-1")
    page.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    node(page, "web-1").click()
    panel.get_by_role("link", name="Host page").click()
    expect(page.locator("h1")).to_contain_text("web-1")


def test_a_count_leads_to_the_connections_it_counts(at: Open, shop: dict[str, Host]) -> None:
    from playwright.sync_api import expect

    page = at("/map/")
    node(page, "203.0.113.9").click()
    page.locator("[data-map-panel] .na-map-count a").click()
    expect(page).to_have_url(re.compile(rf"/hosts/{shop['web-1'].pk}/\?"))
    listed = page.get_by_role("group", name="Table of connections").locator("tbody tr")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("203.0.113.9")


def test_filters_and_a_past_time_draw_another_map(at: Open, shop: dict[str, Host]) -> None:
    from playwright.sync_api import expect

    page = at("/map/")
    page.fill("#program", "celery")
    page.press("#program", "Enter")
    expect(page).to_have_url(re.compile(r"\?nodes=hosts&program=celery$"))
    page.wait_for_selector("[data-map][data-drawn]")
    expect(page.locator(".na-node")).to_have_count(2)
    page.wait_for_load_state()
    page.select_option("#nodes", "groups")
    expect(page).to_have_url(re.compile("nodes=groups"))
    page.wait_for_selector("[data-map][data-drawn='2']")
    expect(node(page, "web")).to_have_count(1)
    then = page.evaluate("new Date(Date.now() - 200000).toISOString()")
    page = at(f"/map/?at={then}")
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(page.locator(".na-link")).to_have_count(1)
    expect(page.locator(".na-node-unknown")).to_have_count(1)
    node(page, "web-1").click()
    page.get_by_role("link", name="Host page").click()
    expect(page.locator(".na-banner-time")).to_be_visible()


def test_the_keyboard_reaches_walks_chooses_and_zooms(at: Open, shop: dict[str, Host]) -> None:
    from playwright.sync_api import expect

    page = at("/map/")
    page.locator("[data-map-zoom=fit]").focus()
    page.keyboard.press("Tab")
    focused = page.locator(".na-node:focus")
    expect(focused).to_have_count(1)
    met = set()
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown") * 4:
        page.keyboard.press(key)
        expect(focused).to_have_count(1)
        met.add(focused.get_attribute("aria-label"))
    assert len(met) > 1
    page.keyboard.press("Enter")
    expect(page.locator("[data-map-panel] h2")).to_be_visible()
    expect(focused).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.locator("[data-map-panel]")).to_be_hidden()
    page.keyboard.press("0")
    width = page.evaluate(WIDTH)
    page.keyboard.press("+")
    page.wait_for_function(f"width => {WIDTH} > width + 0.5", arg=width)
    page.keyboard.press("-")
    page.wait_for_function(f"width => Math.abs({WIDTH} - width) < 0.1", arg=width)


def test_a_node_is_found_dragged_and_the_map_moved(at: Open, shop: dict[str, Host]) -> None:
    from playwright.sync_api import expect

    page = at("/map/")
    page.fill("[data-map-find]", "web")
    expect(page.locator("[data-map-found]")).to_have_text("2 found")
    expect(page.locator(".na-node-found")).to_have_count(2)
    page.press("[data-map-find]", "Enter")
    expect(page.locator("[data-map-panel] h2")).to_have_text("web-1")
    page.press("[data-map-find]", "Escape")
    expect(page.locator(".na-node-found")).to_have_count(0)

    def centre(name: str) -> tuple[float, float]:
        box = node(page, name).locator(".na-shape").last.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    (x, y), (far_x, _far_y) = centre("db-1"), centre("web-2")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 30, steps=4)
    page.mouse.up()
    page.wait_for_function(
        "([name, x]) => Math.abs(document.querySelector(`.na-node[aria-label^='${name}, ']`)"
        ".getBoundingClientRect().left - x) > 20",
        arg=["db-1", x],
    )
    assert abs(centre("db-1")[0] - x - 40) < 3
    assert abs(centre("web-2")[0] - far_x) < 1
    # Nothing was chosen by dragging.
    expect(page.locator("[data-map-panel] h2")).to_have_text("web-1")


def test_the_table_is_all_without_scripts(
    scriptless: Page, live_server: Any, sign_in: SignIn, shop: dict[str, Host]
) -> None:
    from playwright.sync_api import expect

    sign_in(scriptless)
    scriptless.goto(f"{live_server.url}/map/")
    expect(scriptless.locator("[data-map-table] tbody tr")).to_have_count(3)
    expect(scriptless.locator("[data-map]")).to_be_hidden()
    assert "The picture needs JavaScript." in scriptless.content()


def test_three_hundred_hosts_are_readable(
    at: Open, live_server: Any, complaints: list[str]
) -> None:
    from django.utils import timezone

    from bench import map_fleet

    map_fleet.build(300, sockets_each=25, until=timezone.now(), probes=1)
    page = at("/map/")
    assert page.locator(".na-node").count() > 300
    boxes = page.evaluate(BOXES, NAMES)
    assert not overlaps(boxes)
    names = {text for text, *_box in boxes}
    assert {"app", "cache", "data", "edge", "search", "web"} <= names
    assert len(names) > 40

    stage = page.locator("[data-map-stage]").bounding_box()
    assert stage is not None
    right, bottom = stage["x"] + stage["width"], stage["y"] + stage["height"]
    dots = page.evaluate(BOXES, ".na-node .na-shape")
    for name, left, top, far, low in (*boxes, *dots):
        assert stage["x"] <= left <= far <= right, name
        assert stage["y"] <= top <= low <= bottom, name

    page.fill("[data-map-find]", "app-31")
    page.press("[data-map-find]", "Enter")
    page.wait_for_selector(".na-chosen-node")
    chosen = page.evaluate(BOXES, NAMES)
    assert "app-31" in {text for text, *_box in chosen}
    assert not overlaps(chosen)

    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    barriers = [each["id"] for each in found["violations"]
                if each["impact"] in ("serious", "critical")]  # fmt: skip
    assert not barriers
    assert not complaints
