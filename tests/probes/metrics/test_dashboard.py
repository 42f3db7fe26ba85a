"""docs/metrics.md and the dashboard speak of metrics that there are, and of all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from probes.metrics import declared
from probes.models import Delivery, Outcome
from probes.status import Level

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = (DOCS / "metrics.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "netadmin.json").read_text("utf-8"))
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
BY_NAME = {family.name: family for family in declared.FAMILIES}
ROWS = dict(re.findall(r"^\| `(netadmin_\w+)` \|(.*)\|$", TEXT, re.MULTILINE))
SCRAPER_LABELS = {"job", "instance"}
"""Prometheus adds them."""


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Every question that is asked of Prometheus, in the dashboard and in the rules."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
    for group in BLOCKS[1]["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def test_every_metric_that_is_asked_for_is_given() -> None:
    asked = {name for asked in expressions() for name in re.findall(r"netadmin_\w+", asked)}

    assert len(asked) > 20
    assert asked <= BY_NAME.keys()


def test_what_is_asked_for_filters_and_sums_by_labels_that_there_are() -> None:
    for asked in expressions():
        labels = SCRAPER_LABELS.union(
            *(BY_NAME[name].labels for name in re.findall(r"netadmin_\w+", asked))
        )
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", asked))
        for listed in re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", asked):
            named |= {word.strip() for word in listed.split(",") if word.strip()}
        assert named <= labels, asked


def test_legends_use_labels_that_the_answer_still_has() -> None:
    for panel in panels():
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            summed = re.search(r"sum by \(([^)]*)\)", target["expr"])
            names = re.findall(r"netadmin_\w+", target["expr"])
            left = (
                {word.strip() for word in summed[1].split(",")}
                if summed
                else set(BY_NAME[names[0]].labels)
            )
            assert shown <= left, panel["title"]


def test_what_a_rule_compares_by_value_is_a_value_there_is() -> None:
    values = {*Outcome.values, *Delivery.State.values, *(level.name.lower() for level in Level)}
    values |= {"CLOSE_WAIT", "netadmin", "$host"}

    for asked in expressions():
        assert set(re.findall(r"=~?\s*\"([^\"]*)\"", asked)) <= values, asked


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _y in own) < 24
        assert not cells & own, panel["title"]
        cells |= own
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_panel_asks_the_chosen_prometheus() -> None:
    for panel in panels():
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_the_description_names_every_metric_with_its_labels_and_no_other() -> None:
    assert ROWS.keys() == BY_NAME.keys()
    for name, family in BY_NAME.items():
        further = [label for label in family.labels if label not in declared.HOST]
        assert [label for label in further if f"`{label}`" not in ROWS[name]] == [], name


def test_what_only_the_whole_site_gets_is_in_its_own_table() -> None:
    section = TEXT.partition("## Of the site")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(netadmin_\w+)`", section, re.MULTILINE)) == {
        family.name for family in declared.FAMILIES if family.whole_site
    }


def test_the_scrape_configuration_sends_a_token() -> None:
    (job,) = BLOCKS[0]["scrape_configs"]

    assert job["authorization"]["credentials_file"]
    assert "metrics_path" not in job, "Prometheus asks for /metrics by itself"
