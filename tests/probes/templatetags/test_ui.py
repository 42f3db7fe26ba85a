"""How values look: ages, numbers, endpoints, icons, bars."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django import forms
from django.template import Context, Template
from django.utils import timezone, translation

from probes.status import Level
from probes.templatetags import bars, icons, ui

NOW = dt.datetime(2026, 3, 29, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-30, "just now"),
        (0, "just now"),
        (4.9, "just now"),
        (5, "5 s ago"),
        (89, "89 s ago"),
        (90, "1 min ago"),
        (5399, "89 min ago"),
        (5400, "1 h ago"),
        (48 * 3600 - 1, "47 h ago"),
        (48 * 3600, "2 d ago"),
        (400 * 86_400, "400 d ago"),
    ],
)
def test_an_age_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert ui.age_text(seconds) == words


def test_an_age_has_the_exact_time_on_hover() -> None:
    with time_machine.travel(NOW, tick=False):
        html = ui.ago(NOW - dt.timedelta(minutes=2, seconds=1))
    assert 'datetime="2026-03-29T11:57:59+00:00"' in html
    assert 'title="2026-03-29 11:57:59 UTC"' in html
    assert ">2 min ago<" in html
    assert ui.ago(None) == "—"


def test_the_exact_time_is_in_the_sites_zone() -> None:
    with timezone.override("Asia/Shanghai"):
        assert ui.exact(NOW) == "2026-03-29 20:00:00 CST"


def test_how_long_something_lasts_is_said() -> None:
    with time_machine.travel(NOW, tick=False):
        assert ">for 8 min<" in ui.lasting(NOW - dt.timedelta(minutes=8))
        assert ">for 0 s<" in ui.lasting(NOW + dt.timedelta(minutes=8))
    assert ui.lasting(None) == ""


def test_the_script_gets_the_words_of_the_page() -> None:
    words = json.loads(ui.ago_words())
    assert words == ["just now", "{n} s ago", "{n} min ago", "{n} h ago", "{n} d ago"]
    with translation.override("zh-hans"):
        assert json.loads(ui.ago_words()) != words


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (0, "0"), (999, "999"), (1234567, "1\u202f234\u202f567")]
)
def test_numbers_are_grouped_and_unknown_is_a_dash(value: int | None, shown: str) -> None:
    assert ui.count(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "—"), (87, "87 ms"), (1949, "1.9 s")])
def test_durations_choose_their_unit(value: int | None, shown: str) -> None:
    assert ui.millis(value) == shown


@pytest.mark.parametrize(
    ("part", "whole", "percent"), [(0, 9, 0), (1, 1000, 1), (5, 10, 50), (9, 9, 100), (3, 0, 0)]
)
def test_a_meter_never_hides_the_smallest_part(part: int, whole: int, percent: int) -> None:
    assert ui.percent_of(part, whole) == percent


def test_dashes_stand_for_unknown_but_not_for_zero() -> None:
    assert [ui.dash(value) for value in (None, "", 0, "x")] == ["—", "—", 0, "x"]


def test_every_status_level_has_a_shape_of_its_own() -> None:
    shapes = [icons.PATHS[level.name.lower()] for level in Level]
    assert len(set(shapes)) == len(Level)


def test_an_icon_is_silent_or_named() -> None:
    assert 'aria-hidden="true"' in ui.icon("search")
    named = ui.icon("search", label='a "b" <c>')
    assert 'role="img" aria-label="a &quot;b&quot; &lt;c&gt;"' in named


class Form(forms.Form):
    name = forms.CharField(help_text="A short name.")
    kind = forms.ChoiceField(choices=[("a", "A")])
    agreed = forms.BooleanField(required=False)
    file = forms.FileField(required=False)


def test_fields_carry_the_classes_of_their_kind_and_their_errors() -> None:
    form = Form({"kind": "a"})
    template = Template("{% for field in form %}{% include 'components/_field.html' %}{% endfor %}")
    html = template.render(Context({"form": form}))
    assert 'class="form-control is-invalid"' in html
    assert 'class="form-select"' in html
    assert 'class="form-check-input"' in html
    assert "This field is required." in html
    assert 'id="id_name_helptext"' in html
    assert 'aria-invalid="true"' in html


# --- bars ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    at: dt.datetime
    outcome: str = "ok"
    code: str = ""


def test_a_bar_has_one_slot_a_probe_newest_right() -> None:
    probes = [Probe(NOW - dt.timedelta(minutes=n), "failed" if n == 0 else "ok") for n in range(45)]
    html = bars.history_bars(probes)
    assert html.count("<rect") == bars.SLOTS
    assert html.count("b-ok") == bars.SLOTS - 1
    assert html.index("b-failed") > html.rindex("b-ok")


def test_missing_probes_are_empty_slots() -> None:
    html = bars.history_bars([Probe(NOW)])
    assert html.count("b-none") == bars.SLOTS - 1
    assert 'aria-label="Last 1 probe: 1 whole"' in html


def test_no_probe_is_said() -> None:
    assert 'aria-label="No probe yet"' in bars.history_bars([])


def test_outcomes_differ_in_height_and_name_their_reason() -> None:
    html = bars.history_bars(
        [Probe(NOW, "failed", "timed_out"), Probe(NOW + dt.timedelta(seconds=1))]
    )
    assert 'class="b-failed" x="168" y="11" width="5" height="9"' in html
    assert 'class="b-ok" x="174" y="0" width="5" height="20"' in html
    assert "Timed out</title>" in html


def test_an_unknown_code_is_escaped() -> None:
    assert "&lt;b&gt;" in bars.history_bars([Probe(NOW, "failed", "<b>")])


def test_a_live_part_listens_only_where_the_site_has_streams(settings: Any) -> None:
    settings.EVENT_STREAMS = 6
    assert ui.events() == ' data-events="/api/v1/events"'

    settings.EVENT_STREAMS = 0
    assert ui.events() == ""
