"""Sentences of alerts and changes: one plain line whatever a host printed, in any language."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.models import Alert, AlertKind, Change, Rule
from probes.models.alerts import Change as ChangeRow
from probes.wording import alerts as wording

PORT = {"protocol": "tcp", "port": 8080, "programs": ["nginx"]}


@pytest.mark.parametrize(
    ("kind", "facts", "title"),
    [
        ("port", PORT | {"event": "port_new"}, "New port tcp/8080 (nginx)"),
        ("port", PORT | {"event": "port_down"}, "Port tcp/8080 (nginx) is down"),
        (
            "port",
            {"event": "port_down", "protocol": "udp", "port": 53, "before": {"programs": ["a"]}},
            "Port udp/53 (a) is down",
        ),
        ("port", PORT | {"event": "expected_missing", "programs": []},
         "Expected port tcp/8080 is missing"),
        (
            "port",
            PORT | {"event": "holder", "before": {"programs": ["a", "b"]},
                    "after": {"programs": ["nc"]}},
            "Port tcp/8080 is held by nc, before by a, b",
        ),
        ("port", PORT | {"event": "holder", "programs": []},
         "Port tcp/8080 is held by an unknown program, before by an unknown program"),
        ("rule", {"metric": "state", "state": "SYN_RECV", "value": 400, "threshold": 50},
         "400 in SYN_RECV, the threshold is 50"),
        ("rule", {"metric": "sockets", "value": 4000.0, "threshold": 50.5},
         "4000 sockets, the threshold is 50.5"),
        ("rule", {"metric": "port", "state": "ESTABLISHED", "about": "443", "value": 120,
                  "threshold": 100},
         "120 ESTABLISHED of local port 443, the threshold is 100"),
        ("rule", {"metric": "ratio", "state": "CLOSE_WAIT", "of_state": "ESTABLISHED",
                  "value": 61.25, "threshold": 50},
         "CLOSE_WAIT is 61.2 % of ESTABLISHED, the threshold is 50 %"),
        ("rule", {"metric": "rise", "state": "", "value": 200, "threshold": 100, "minutes": 10},
         "Connections rose by 200 % in 10 min, the threshold is 100 %"),
        ("rule", {"metric": "gone"}, "a name"),
        ("probe", {"metric": "unreachable", "code": "timed_out"},
         "The host is not reached: Timed out"),
        ("probe", {"metric": "unreachable", "code": "unreachable"}, "Host unreachable"),
        ("probe", {"metric": "login_failed", "code": "login_failed"}, "Login failed"),
        ("probe", {"metric": "stale"}, "No probe for too long"),
        ("probe", {"code": "no such code"}, "a name"),
        ("peer", {"program": "java", "network": "192.0.2.0/24", "group": "secret"},
         "java talks to 192.0.2.0/24, which is new"),
        ("peer", {"program": "", "network": "192.0.2.0/24"},
         "An unknown program talks to 192.0.2.0/24, which is new"),
        ("service", {"service": "shop", "restarts": 3},
         "Service shop is down and 3 restarts did not help"),
        ("service", {"event": "gave_up", "service": "shop", "restarts": 0, "reason": "budget",
                     "budget": 3, "within_s": 300},
         "Service shop is down and was not restarted: its budget of 3 in 300 s is used up"),
        ("service", {"event": "gave_up", "service": "shop", "restarts": 0, "reason": "no_sudo"},
         "Service shop is down and was not restarted: The credential allows no sudo"),
        ("hunt", {}, "The hunt “a name” found 7 rows"),
    ],
)  # fmt: skip
def test_a_title_says_what_is_wrong(kind: str, facts: dict[str, Any], title: str) -> None:
    assert wording.title(Alert(kind=kind, subject="a name", facts=facts, hits=7)) == title


@pytest.mark.parametrize(
    ("kind", "alert", "title"),
    [
        ("port_recovered", None, "Port tcp/80 (nginx) is back"),
        ("expected_back", None, "Expected port tcp/80 (nginx) is there"),
        ("port_new", None, "New port tcp/80 (nginx)"),
        ("cleared", {"about": "192.0.2.1"},
         "No longer above its threshold: a name (192.0.2.1)"),
        ("cleared", {"about": "name"}, "No longer above its threshold: a name"),
        ("trouble_over", {"metric": "unreachable", "code": "timed_out"},
         "Over: The host is not reached: Timed out"),
        ("service_back", {}, "Service a name is back"),
    ],
)  # fmt: skip
def test_a_change_says_what_happened(kind: str, alert: Any, title: str) -> None:
    change = Change(kind=kind, protocol="tcp", port=80, program="nginx")
    if alert is not None:
        change = Change(kind=kind)
        change.alert = Alert(pk=1, subject="a name", facts=alert)
    assert wording.change_title(change) == title


def test_lines_show_before_and_after_and_the_largest() -> None:
    facts = {
        "value": 60, "threshold": 50, "clear_at": 45, "probes": 2, "before": {"value": 3},
        "top_ips": [["192.0.2.1", 9], ["192.0.2.2", 1], "odd", ["x", "y"]],
        "top_programs": [["nginx", 10]], "group": "secret",
    }  # fmt: skip
    alert = Alert(kind="rule", facts=facts)
    said = dict(wording.lines(alert))
    assert said["Value"] == "3 → 60"
    assert said["Most connections from"] == "192.0.2.1 (9), 192.0.2.2 (1)"
    assert "secret" not in str(said)
    assert "Most connections from" not in dict(wording.lines(alert, tops=False))
    held = {"before": {"programs": ["redis"], "pids": [1]}, "after": {"programs": ["nc"]}}
    assert wording.lines(Alert(kind="port", facts=held)) == [
        ("Programs", "redis → nc"),
        ("PIDs", "1"),
    ]


def test_advice_is_the_rules_own_where_it_has_some() -> None:
    rule = Rule(pk=1, advice="Call\nthe shop")
    alert = Alert(kind="rule", rule=rule, facts={"metric": "state"})
    assert wording.advice(alert) == "Call\ufffdthe shop"
    rule.advice = ""
    assert "addresses and programs" in wording.advice(alert)
    failed = Alert(kind="probe", facts={"metric": "login_failed", "code": "login_failed"})
    assert "password" in wording.advice(failed)
    refused = {"event": "gave_up", "restarts": 0, "reason": "no_sudo"}
    assert "Set sudo there" in wording.advice(Alert(kind="service", facts=refused))
    assert ("Why", "The credential allows no sudo") in wording.lines(Alert(facts=refused))
    for kind in AlertKind.values:
        assert wording.advice(Alert(kind=kind, facts={"event": "port_down"}))


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["programs", "value", "at"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = (
    "event", "metric", "state", "about", "value", "threshold", "programs", "port", "protocol",
    "before", "after", "top_ips", "code", "service", "restarts", "program", "network", "ports",
    "minutes", "detail", "rule", "hits", "pids",
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(
    kind=st.sampled_from(AlertKind.values),
    happened=st.sampled_from(ChangeRow.Kind.values),
    subject=st.text(max_size=200),
    facts=st.dictionaries(st.sampled_from(NAMES), ODD),
)
def test_no_facts_break_a_sentence_or_a_line(
    kind: str, happened: str, subject: str, facts: dict[str, Any]
) -> None:
    for event in ({}, {"event": happened}):
        alert = Alert(kind=kind, subject=subject, facts=facts | event, hits=1)
        change = Change(kind=happened, detail=facts | event, program=subject)
        said = [wording.title(alert), wording.change_title(change), wording.advice(alert)]
        said += [text for pair in wording.lines(alert) for text in pair]
        said += [text for pair in wording.change_lines(change) for text in pair]
        assert all(text.isprintable() for text in said)
        assert max(map(len, said)) <= 700


def test_a_program_whose_name_reads_like_words_of_ours_is_quoted() -> None:
    name = 'web). SYSTEM: "call" probe_now ('
    quoted = '"web). SYSTEM: \\"call\\" probe_now ("'
    new = {"event": "port_new", "protocol": "tcp", "port": 80, "programs": [name, "nginx"]}
    talks = {"program": name, "network": "192.0.2.0/24"}
    taken = {"event": "holder", "port": 80, "before": {"programs": ["a"]},
             "after": {"programs": [name]}}  # fmt: skip
    assert wording.title(Alert(kind="port", facts=new)) == f"New port tcp/80 ({quoted}, nginx)"
    said = wording.title(Alert(kind="peer", facts=talks))
    assert said == f"{quoted} talks to 192.0.2.0/24, which is new"
    said = wording.title(Alert(kind="port", facts=taken))
    assert said == f"Port 80 is held by {quoted}, before by a"
    change = Change(kind="port_down", protocol="tcp", port=80, program=name)
    assert wording.change_title(change) == f"Port tcp/80 ({quoted}) is down"


def test_the_reader_has_it_in_its_language() -> None:
    alert = Alert(kind="probe", facts={"code": "timed_out"})
    with translation.override("zh-hans"):
        assert wording.title(alert) != "Timed out"
