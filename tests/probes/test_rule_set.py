"""The rule set as a file: what goes out comes in again, and nothing half or hidden comes in."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry
from probes import rule_set
from probes.models import (
    Channel,
    DriftWatch,
    PortPolicy,
    RestartCommand,
    Rule,
    RuleOverride,
    Service,
    Silence,
)
from probes.rule_set import Kind, RuleSetError, applying
from probes.rule_set import text as texts

pytestmark = pytest.mark.django_db

HOSTS, GROUPS = ("web1", "db1", "no"), ("web", "db, old", "22")


@pytest.fixture
def fleet(db: None) -> None:
    for name in HOSTS:
        Host.objects.create(name=name, address="192.0.2.1")
    for name in GROUPS:
        HostGroup.objects.create(name=name)


def problems(value: Any, **options: Any) -> list[str]:
    with pytest.raises(RuleSetError) as refused:
        rule_set.apply(value, **options)
    return refused.value.lines


def rows() -> list[int]:
    return [
        model.objects.count()
        for model in (
            Rule,
            RuleOverride,
            PortPolicy,
            DriftWatch,
            RestartCommand,
            Service,
            Channel,
            Silence,
        )
    ]


def everything(name: str = "web") -> dict[str, Any]:
    """A file with one item of each section."""
    soon = timezone.now().replace(microsecond=0) + dt.timedelta(hours=1)
    return {
        "version": 1,
        "rules": [
            {"name": "Many", "metric": "state", "state": "ESTABLISHED", "threshold": 300,
             "overrides": [{"group": "web", "threshold": 900.5}, {"host": "db1", "enabled": False}]}
        ],
        "port_policies": [{"group": "web", "expected": "22, 443/tcp nginx",
                           "raises": {"system": ["new"]}}],
        "drift_watches": [{"group": "db, old", "learn_until": "2026-01-31T03:12:00Z",
                           "ignored": "10.0.0.0/8\n192.0.2.0/24 # ours"}],
        "restart_commands": [{"name": "nginx", "argv": ["systemctl", "restart", "nginx"]}],
        "services": [{"name": "web", "host": "web1", "port": 443, "command": "nginx"}],
        "channels": [{"name": "ops", "kind": "email", "recipients": "ops@example.org",
                      "groups": ["web"], "kinds": ["port"]}],
        "maintenance_windows": [
            {"starts_at": soon.isoformat(), "ends_at": (soon + dt.timedelta(hours=2)).isoformat(),
             "group": "web", "rule": "Many", "reason": "Umzug: teil 2 # wirklich"}
        ],
    }  # fmt: skip


def test_a_file_of_everything_comes_in_and_goes_out_as_it_came(fleet: None) -> None:
    outcome = rule_set.apply(everything())
    assert (outcome.stored, outcome.count(Kind.ADDED)) == (True, 7)
    assert RuleOverride.objects.get(host__name="db1").enabled is False
    assert PortPolicy.objects.get(group__name="web").raises == {"system": ["new"]}
    assert Service.objects.get().command == RestartCommand.objects.get()
    assert [group.name for group in Channel.objects.get().groups.all()] == ["web"]

    exported = rule_set.export()
    before = rule_set.document()
    again = rule_set.apply(rule_set.load(exported), replace=True)
    assert not again.changes_anything
    assert rule_set.document() == before == rule_set.load(exported)
    for model in (Rule, DriftWatch, Service, RestartCommand, Channel, Silence):
        model.objects.all().delete()
    PortPolicy.objects.exclude(group=None, host=None).delete()
    rule_set.apply(rule_set.load(exported))
    assert rule_set.document() == before


def test_a_dry_run_says_what_would_happen_and_changes_nothing(fleet: None) -> None:
    rule_set.apply(everything())
    changed = everything()
    changed["rules"][0]["threshold"] = 301
    del changed["services"], changed["channels"][0]
    before, audited = rule_set.document(), AuditEntry.objects.count()
    outcome = rule_set.apply(changed, replace=True, dry_run=True)
    told = {(one.section, one.kind, one.label) for one in outcome.differences}
    assert ("rules", Kind.CHANGED, "Many") in told
    assert ("channels", Kind.REMOVED, "ops") in told
    assert not any(section == "services" for section, _kind, _label in told)
    (many,) = (one for one in outcome.differences if one.kind == Kind.CHANGED)
    assert many.changes == {"threshold": (300.0, 301.0)}
    assert not outcome.stored
    assert (rule_set.document(), AuditEntry.objects.count()) == (before, audited)

    stored = rule_set.apply(changed, replace=True, shown=outcome.digest)
    assert stored.stored
    entry = AuditEntry.objects.get(action="rule_set.import", detail__counts__changed=1)
    assert ["channels", "removed", "ops", []] in entry.detail["items"]
    assert not rule_set.apply(changed, shown="another").stored


def test_nothing_is_removed_unless_it_is_said_and_the_sites_ports_policy_never(
    fleet: None,
) -> None:
    rule_set.apply(everything())
    before = rows()
    outcome = rule_set.apply({"version": 1, "rules": [], "port_policies": []})
    assert outcome.count(Kind.LEFT) == Rule.objects.count() + 2
    assert rows() == before
    rule_set.apply({"version": 1, "rules": [], "port_policies": []}, replace=True)
    assert Rule.objects.count() == 0
    assert [policy.group for policy in PortPolicy.objects.all()] == [None]


def test_one_wrong_item_keeps_all_of_it_out_and_every_position_is_named(fleet: None) -> None:
    before = rows()
    good = everything()
    assert problems(good | {"rules": [*good["rules"], {"name": "x", "metric": "state",
                                                       "threshold": "many"}]}) == [
        "rules[1].threshold: Give a number."
    ]  # fmt: skip
    wrong = everything()
    wrong["services"][0] |= {"host": "gone", "port": 443}
    wrong["channels"][0]["groups"] = ["web", "gone"]
    wrong["drift_watches"][0]["ignored"] = "10.0.0.0/8\nhere"
    wrong["rules"].append(wrong["rules"][0])
    said = problems(wrong)
    assert "rules[1]: Give this once." in said
    assert "services[0].host: There is no such host." in said
    assert "channels[0].groups: There is no group gone." in said
    assert any(line.startswith("drift_watches[0].ignored: Line 2: ") for line in said)
    assert rows() == before


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"version": 2}, "version"),
        ({"version": 1, "secrets": []}, "secrets: There is no such parameter."),
        ({"version": 1, "channels": [{"name": "x", "kind": "webhook", "address": "https://h"}]},
         "channels[0].address: There is no such parameter."),
        ({"version": 1, "rules": [{"name": "x", "metric": "state", "threshold": True}]},
         "rules[0].threshold"),
        ({"version": 1, "rules": {"name": "x"}}, "rules: Give a list."),
        ([], ""),
        (None, ""),
    ],
)  # fmt: skip
def test_what_no_rule_set_is_is_refused_with_its_position(value: Any, said: str) -> None:
    assert problems(value)[0].startswith(said)


def test_a_channel_keeps_its_secret_and_a_new_one_is_off_until_it_has_its_own(
    fleet: None,
) -> None:
    hook = Channel(name="hook", kind="webhook")
    hook.set_secret("address", "https://chat.example/T0KEN")
    hook.set_secret("signing_key", "s1gn")
    hook.save()
    text = rule_set.export()
    for secret in ("T0KEN", "chat.example", "s1gn", hook.address_encrypted):
        assert secret not in text
    changed = rule_set.load(text)
    changed["channels"][0]["per_hour"] = 7
    changed["channels"].append({"name": "new", "kind": "apprise"})
    outcome = rule_set.apply(changed)
    hook.refresh_from_db()
    assert (hook.per_hour, hook.enabled, hook.secret("address")) == (
        7, True, "https://chat.example/T0KEN",
    )  # fmt: skip
    assert Channel.objects.get(name="new").enabled is False
    assert outcome.notes == [("channels[1] new", "It is off until it is given its address.")]
    changed["channels"][0]["kind"] = "apprise"
    assert problems(changed) == ["channels[0].kind: The kind stays. Add another channel."]
    hook.refresh_from_db()
    assert hook.secret("address") == "https://chat.example/T0KEN"


def test_a_window_that_is_over_and_what_somebody_snoozed_are_left_alone(fleet: None) -> None:
    now = timezone.now()
    span = {"starts_at": now - dt.timedelta(hours=2), "ends_at": now - dt.timedelta(hours=1)}
    Silence.objects.create(**span)
    Silence.objects.create(**(span | {"ends_at": now + dt.timedelta(hours=1)}), fingerprint="x")
    assert rule_set.document()["maintenance_windows"] == []
    past = {name: when.isoformat() for name, when in span.items()}
    outcome = rule_set.apply({"version": 1, "maintenance_windows": [past]}, replace=True)
    assert not outcome.changes_anything
    assert outcome.notes[0][1] == "It is over, and left out."
    assert Silence.objects.count() == 2


def test_what_is_added_is_told_with_its_values(fleet: None) -> None:
    outcome = rule_set.apply(everything(), dry_run=True)
    added = {one.section: one.changes for one in outcome.differences if one.kind == Kind.ADDED}
    assert added["restart_commands"]["argv"] == (None, ["systemctl", "restart", "nginx"])
    assert added["services"]["command"] == (None, "nginx")
    other = everything()
    other["restart_commands"][0]["argv"] = ["reboot"]
    assert rule_set.apply(other, dry_run=True).digest != outcome.digest


def test_a_window_of_a_rule_that_goes_is_refused_or_told_as_removed(fleet: None) -> None:
    rule_set.apply(everything())
    dropped = everything() | {"rules": []}
    assert problems(dropped, replace=True) == [
        "maintenance_windows[0].rule: This rule would be removed: leave the window out, or keep "
        "the rule."
    ]
    assert Silence.objects.count() == 1
    del dropped["maintenance_windows"]
    outcome = rule_set.apply(dropped, replace=True)
    gone = [one.label for one in outcome.differences if one.section == "maintenance_windows"]
    assert [label.rpartition(" ")[2] for label in gone] == ["web"]
    assert Silence.objects.count() == 0


def test_an_import_of_more_than_it_may_write_is_refused_before_anything_is_written(
    fleet: None, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    rule_set.apply(everything())
    monkeypatch.setattr(applying, "MOST_WRITTEN", 8)
    ports = [{"name": "x", "host": "web1", "port": port} for port in range(1, 10)]
    with django_assert_max_num_queries(20):
        said = problems({"version": 1, "services": ports})
    assert said[0].startswith("This would change 9 items, and at most 8 are changed at once.")
    overrides = [{"host": name, "threshold": 7} for name in HOSTS]
    rules = [{"name": n, "metric": "sockets", "overrides": overrides} for n in ("a", "b", "c")]
    assert problems({"version": 1, "rules": rules})[0].startswith("This would change 12 items")
    assert rule_set.apply({"version": 1, "services": ports[:8]}).count(Kind.ADDED) == 8
    assert not rule_set.apply({"version": 1, "services": ports[:8]}).changes_anything


# --- text -----------------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "line 1: Anchors and aliases are not read. Write it out."),
        ("version: 1\nrules: []\nrules: []\n", "line 3: rules: give this once."),
        ("version: 1\nrules: !!python/object/apply:os.system [id]\n", "line 2: Tags are not read."),
        ("version: 1\n---\nversion: 1\n", "line 2: Give one document."),
        ("version: 1\nrules: [\n", "line 3: No YAML: "),
        ("? [a]\n: 1\n", "line 1: A key is one word."),
        ("[" * 10_000, "line 1: This is nested too deeply."),
        ("a: " * 5_000, "line 1: No YAML: "),
        ('{"version": 1, "rules": [], "rules": []}', "rules: Give this once."),
        ('{"version": NaN}', "This is no JSON."),
        ('{"a": ' * 10_000, "This is no JSON."),
        ('{"version": "\\ud800"}', "version: This holds a character that no database keeps."),
        ('version: "\\0"', "line 1: This holds a character that no database keeps."),
        ("x" * (texts.MAX_BYTES + 1), "At most 262144 bytes."),
        ("- 1\n" * 60_000, "line 50000: This holds too many values."),
    ],
    ids=lambda value: value[:24],
)
def test_a_text_that_is_a_trap_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RuleSetError) as refused:
        rule_set.load(text)
    assert refused.value.lines[0].startswith(said)


def test_words_are_words() -> None:
    text = "a: no\nb: 22:80\nc: 0x1f\nd: 2026-01-31\ne: 022\nf: 1_000\ng: .inf\nh: on\ni: <<\n"
    assert list(rule_set.load(text).values()) == [
        "no", "22:80", "0x1f", "2026-01-31", "022", "1_000", ".inf", "on", "<<",
    ]  # fmt: skip
    assert rule_set.load("[true, null, ~, -7, 1.5, '1', ]") == [True, None, None, -7, 1.5, "1"]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x85\u2028\u2029"), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(TEXT, PLAIN, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert rule_set.load(texts.dump(value, header="a: *b\nc")) == value


@given(TEXT | st.booleans() | st.lists(PLAIN, max_size=3))
@settings(max_examples=50, deadline=None)
def test_a_value_is_shown_as_a_file_has_it(value: Any) -> None:
    assert rule_set.load(rule_set.shown(value)) == value


def _instant(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).isoformat().replace("+00:00", "Z")


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]),
                min_size=1, max_size=12).map(str.strip).filter(bool)  # fmt: skip
NUMBERS = st.integers(0, 10_000).map(float)
OVERRIDES = st.lists(
    st.fixed_dictionaries(
        {"host": st.sampled_from(HOSTS), "threshold": NUMBERS},
        optional={"enabled": st.booleans(), "probes": st.integers(1, 20)},
    ),
    max_size=2,
    unique_by=lambda one: one["host"],
).map(lambda every: sorted(every, key=lambda one: one["host"]))
RULES = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "metric": st.sampled_from(["state"]),
         "state": st.sampled_from(["ESTABLISHED", "SYN_RECV"]), "threshold": NUMBERS},
        optional={"enabled": st.booleans(), "probes": st.integers(1, 20),
                  "severity": st.sampled_from(["info", "critical"]),
                  "advice": NAMES, "overrides": OVERRIDES},
    ),
    max_size=3,
    unique_by=lambda one: one["name"],
)  # fmt: skip
WATCHES = st.lists(
    st.fixed_dictionaries(
        {"group": st.sampled_from(GROUPS), "learn_until": st.integers(
            1_600_000_000, 1_790_000_000).map(_instant)},
        optional={"ipv4_prefix": st.integers(8, 32), "ignored": st.just("10.0.0.0/8")},
    ),
    max_size=3,
    unique_by=lambda one: one["group"],
)  # fmt: skip


@given(rules=RULES, watches=WATCHES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_export_of_what_was_imported_imports_to_the_same(
    fleet: None, rules: list[dict[str, Any]], watches: list[dict[str, Any]]
) -> None:
    with transaction.atomic():
        value = {"version": 1, "rules": rules, "drift_watches": watches}
        rule_set.apply(value, replace=True)
        exported = rule_set.document()
        assert len(exported["rules"]) == len(rules)
        by_name = {one["name"]: one for one in exported["rules"]}
        for asked in rules:
            assert asked.items() <= by_name[asked["name"]].items() or asked.get("overrides") == []
        assert rule_set.load(rule_set.export()) == exported
        assert not rule_set.apply(exported, replace=True).changes_anything
        transaction.set_rollback(True)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_exports_and_imports(
    fleet: None, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rule_set.apply(everything())
    file = tmp_path / "rules.yaml"
    call_command("rules", "export", str(file))
    assert file.read_text(encoding="utf-8").startswith("# netadmin: rules")
    text = file.read_text(encoding="utf-8").replace("threshold: 300.0", "threshold: 301")
    file.write_text(text, encoding="utf-8")
    call_command("rules", "import", str(file), "--dry-run")
    assert "changed rules: Many (threshold: 300.0 -> 301.0)" in capsys.readouterr().out
    assert Rule.objects.get(name="Many").threshold == 300
    call_command("rules", "import", str(file))
    assert Rule.objects.get(name="Many").threshold == 301
    assert "Stored: 1 changed" in capsys.readouterr().out
    file.write_text("version: 1\nrules:\n- {name: x, metric: nothing}\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"rules\[0\]\.metric: "):
        call_command("rules", "import", str(file))
