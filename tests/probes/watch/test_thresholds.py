"""Thresholds over stored probes: what opens and ends alerts, and what that costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from bench.netstat_text import churn, generate
from hosts import keys
from hosts.models import Host, HostGroup, HostKey
from probes.analysis import thresholds as usual
from probes.history import store
from probes.models import Alert, Change, OpenSocket, Rule, RuleOverride, RuleState, Snapshot
from probes.notify import follow_up, outbox
from probes.observation import Code, Failure, Observation, OfferedKey
from probes.watch import measures, thresholds
from probes.wording.alerts import change_title
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, failed, line, observed, table
from tests.probes.notify import told


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Two tests may have hosts of one number at one time."""
    measures.forget()
    yield
    measures.forget()


class Watched:
    """A host whose probes are judged, one a minute."""

    def __init__(self, using: str = "default", name: str = "web1") -> None:
        self.using = using
        self.host = Host.objects.using(using).create(name=name, address="192.0.2.1")
        self.minute = 0

    def only(self, name: str, **fields: Any) -> Rule:
        """Leave one rule switched on, with some fields changed."""
        rules = Rule.objects.using(self.using)
        rules.exclude(name=name).delete()
        rule = rules.get(name=name)
        for field, value in (fields | {"enabled": True}).items():
            setattr(rule, field, value)
        rule.save(using=self.using)
        return rule

    def judged(self, observation: Observation) -> Snapshot:
        self.minute += 1
        return store.save(self.host, observation, using=self.using, judge=thresholds.judge)

    def sees(self, *lines: str, **fields: Any) -> Snapshot:
        """A whole probe with these rows."""
        return self.judged(observed(self.minute, table(LISTENER, *lines), **fields))

    def fails(self, code: Code = Code.UNREACHABLE, **fields: Any) -> Snapshot:
        return self.judged(failed(self.minute, code, **fields))

    def alerts(self) -> list[Alert]:
        return list(Alert.objects.using(self.using).filter(host=self.host).order_by("pk"))

    def alert(self) -> Alert:
        (only,) = self.alerts()
        return only

    def kinds(self) -> list[str]:
        changes = Change.objects.using(self.using).filter(host=self.host)
        return list(changes.order_by("pk").values_list("kind", flat=True))

    def states(self) -> list[RuleState]:
        return list(RuleState.objects.using(self.using).filter(host=self.host).order_by("about"))


def peers(number: int, *, ip: str = "", state: str = "ESTABLISHED", port: int = 22) -> list[str]:
    """Connections of sshd with as many addresses, or one."""
    return [
        line(f"192.0.2.1:{port}", f"{ip or f'198.51.100.{n % 250}'}:{20_000 + n}", state)
        for n in range(number)
    ]


# --- numbers ------------------------------------------------------------------------------------


@both_databases
def test_too_many_connections_open_one_alert_with_its_evidence_and_their_end_ends_it(
    using: str,
) -> None:
    web = Watched(using)
    rule = web.only("ESTABLISHED", threshold=10)
    web.sees(*peers(5))
    web.sees(*peers(30))
    assert web.alerts() == []
    web.sees(*peers(31))
    alert = web.alert()
    assert (alert.kind, alert.fingerprint, alert.rule) == ("rule", f"rule:{rule.pk}", rule)
    assert alert.resolved_at is None
    facts = alert.facts
    assert (facts["event"], facts["metric"], facts["state"]) == ("raised", "state", "ESTABLISHED")
    assert (facts["value"], facts["threshold"], facts["clear_at"]) == (31, 10, 9)
    assert facts["before"]["value"] == 5
    assert facts["after"] == {"value": 31}
    assert facts["top_programs"] == [["sshd", 31]]
    assert facts["top_ports"] == [[22, 31]]
    assert len(facts["top_ips"]) == 5
    assert len(alert.evidence) == 10
    assert alert.evidence[0]["state"] == "ESTABLISHED"
    web.sees(*peers(10))  # above nine tenths: not over yet
    assert web.alert().resolved_at is None
    web.sees(*peers(9))
    assert web.alert().resolved_at is not None
    assert web.kinds() == ["raised", "cleared"]
    over = Change.objects.using(using).get(host=web.host, kind="cleared").detail
    assert (over["value"], over["threshold"]) == (9, 10)
    assert (over["before"], over["after"]) == ({"value": 10}, {"value": 9})
    assert web.states() == []


@pytest.mark.django_db
def test_what_goes_on_adds_to_the_alert_without_a_change() -> None:
    web = Watched()
    web.only("ESTABLISHED", threshold=3, probes=1)
    for number in (5, 6, 7):
        web.sees(*peers(number))
    alert = web.alert()
    assert (alert.hits, web.kinds()) == (3, ["raised"])
    assert thresholds.newest_value(alert) == 7


@pytest.mark.django_db
def test_a_failed_late_or_limited_probe_neither_raises_nor_ends_a_number() -> None:
    web = Watched()
    web.only("ESTABLISHED", threshold=3)
    web.sees(*peers(5))
    web.fails()
    web.judged(observed(-1, table(LISTENER)))  # late: older than the newest whole one
    assert web.states()[0].streak == 1
    web.sees(*peers(5))
    assert web.alert().resolved_at is None
    web.fails(Code.TRUNCATED)
    assert web.alert().resolved_at is None


@both_databases
def test_each_watched_port_and_each_address_has_a_streak_and_an_alert_of_its_own(
    using: str,
) -> None:
    web = Watched(using)
    Rule.objects.using(using).filter(metric="port").update(ports="22, 443")
    Rule.objects.using(using).exclude(metric__in=("port", "remote_ip")).delete()
    Rule.objects.using(using).update(threshold=4, probes=2)
    many = [*peers(6, ip="203.0.113.9", port=443), *peers(5, ip="2001:db8::7")]
    web.sees(*many)
    web.sees(*many, *peers(3, ip="198.51.100.1"))
    assert sorted(alert.subject.partition(": ")[2] for alert in web.alerts()) == [
        *("2001:db8::7", "203.0.113.9", "22", "443"),
    ]
    port = next(alert for alert in web.alerts() if alert.facts["about"] == "443")
    assert port.fingerprint == f"rule:{port.rule_id}:443"
    assert port.facts["top_ips"] == [["203.0.113.9", 6]]
    assert {row["local_port"] for row in port.evidence} == {443}
    web.sees(*peers(6, ip="203.0.113.9", port=443))
    still = {alert.facts["about"] for alert in web.alerts() if alert.resolved_at is None}
    assert still == {"443", "203.0.113.9"}
    web.sees()
    assert all(alert.resolved_at for alert in web.alerts())


@pytest.mark.django_db
def test_an_attack_from_very_many_addresses_is_told_of_the_largest() -> None:
    web = Watched()
    web.only("Connections of a remote IP", threshold=1, probes=1)
    web.sees(
        *(
            line("192.0.2.1:80", f"198.51.{n // 250}.{n % 250}:{2_000 + copy}")
            for n in range(measures.MOST_ABOUT + 40)
            for copy in range(3 if n == 120 else 2)
        )
    )
    abouts = {state.about for state in web.states()}
    assert len(abouts) == measures.MOST_ABOUT
    assert "198.51.0.120" in abouts
    assert sum(bool(alert.evidence) for alert in web.alerts()) == thresholds.MOST_SHOWN


@pytest.mark.django_db
def test_a_share_of_one_state_in_another() -> None:
    web = Watched()
    web.only("CLOSE_WAIT in proportion to ESTABLISHED", probes=1)
    web.sees(*peers(30), *peers(19, state="CLOSE_WAIT", port=80))
    assert web.alerts() == []
    web.sees(*peers(30), *peers(24, state="CLOSE_WAIT", port=80))
    assert web.alert().facts["value"] == 80


@both_databases
def test_a_rise_is_held_against_the_window_before_and_a_restart_is_none(using: str) -> None:
    web = Watched(using)
    web.only("Sudden rise of connections", probes=1, at_least=10, within_minutes=3, threshold=100)
    for number in (20, 20, 0, 0, 20):  # down for two minutes, and back
        web.sees(*peers(number))
    assert web.alerts() == []
    for number in (20, 20, 45):
        web.sees(*peers(number))
    assert web.alert().facts["value"] == 125
    assert web.alert().facts["before"]["value"] == 20
    for _minute in range(7):
        web.sees(*peers(45))  # what it rose to is the usual after a while
    assert web.alert().resolved_at is not None


@pytest.mark.django_db
def test_without_a_past_nothing_has_risen() -> None:
    web = Watched()
    web.only("Sudden rise of connections", probes=1, at_least=1)
    web.sees(*peers(500))
    assert web.states() == []


@pytest.mark.django_db
def test_a_slow_probe_is_trouble_without_evidence() -> None:
    web = Watched()
    web.only("Probe slow", probes=1, threshold=2)
    web.sees(duration_s=2.5)
    alert = web.alert()
    assert (alert.kind, alert.fingerprint, alert.facts["value"]) == ("probe", "probe:slow", 2.5)
    web.fails()
    assert web.alert().resolved_at is None
    web.sees(duration_s=1.0)
    assert web.alert().resolved_at is not None


# --- probes themselves --------------------------------------------------------------------------


@both_databases
def test_a_host_that_is_not_reached_is_unknown_and_no_number_of_it_ends(using: str) -> None:
    web = Watched(using)
    Rule.objects.using(using).exclude(metric__in=("unreachable", "state")).delete()
    Rule.objects.using(using).filter(name="ESTABLISHED").update(threshold=3, probes=1)
    web.sees(*peers(5))
    web.fails(Code.CONNECTION_REFUSED)
    web.fails(Code.TIMED_OUT)
    number, trouble = web.alerts()
    assert trouble.fingerprint == "probe:unreachable"
    assert trouble.kind == "probe"
    assert trouble.severity == "critical"
    assert (trouble.facts["code"], trouble.facts["probes"]) == ("timed_out", 2)
    assert number.resolved_at is None
    web.fails(Code.LOGIN_FAILED)  # it was reached
    assert web.alerts()[1].resolved_at is not None
    assert web.kinds() == ["raised", "trouble", "trouble_over"]
    over = Change.objects.using(using).get(host=web.host, kind="trouble_over")
    assert not {"value", "threshold", "after"} & over.detail.keys()
    assert change_title(over) == "Over: The host is not reached: Timed out"


@pytest.mark.django_db
def test_a_changed_host_key_shows_both_fingerprints() -> None:
    web = Watched()
    web.only("Host key changed")
    trusted, other = ("AAAA" + letter * 40 for letter in "Bc")
    HostKey.objects.create(
        address="192.0.2.1",
        port=22,
        key_type="ssh-ed25519",
        key_base64=trusted,
        fingerprint=keys.fingerprint(trusted),
        trust="trusted",
    )
    mark = keys.fingerprint(other)
    keys.offered(OfferedKey("192.0.2.1", 22, "ssh-ed25519", other, mark))
    web.fails(Code.HOST_KEY_CHANGED)
    alert = web.alert()
    assert alert.severity == "critical"
    assert alert.facts["offered"] == mark
    assert alert.facts["trusted"] == keys.fingerprint(trusted)


@pytest.mark.django_db
def test_the_unknown_key_of_a_new_host_is_a_warning_only() -> None:
    web = Watched()
    web.only("Host key changed")
    web.fails(Code.HOST_KEY_UNKNOWN)
    assert web.alert().severity == "warning"


@both_databases
def test_a_key_that_was_unknown_and_is_another_one_now_is_told_as_what_it_is(using: str) -> None:
    web = Watched(using)
    web.only("Host key changed", probes=1)
    web.fails(Code.HOST_KEY_UNKNOWN)
    web.fails(Code.HOST_KEY_CHANGED)
    web.fails(Code.HOST_KEY_CHANGED)
    web.fails(Code.HOST_KEY_UNKNOWN)
    unknown, changed = web.alerts()
    assert (unknown.severity, unknown.resolved_at is None) == ("warning", False)
    assert (changed.severity, changed.resolved_at) == ("critical", None)
    assert changed.facts["code"] == "host_key_changed"
    assert changed.hits == 3
    turns = Change.objects.using(using).filter(announced_at=None).order_by("pk")
    assert [change.turn for change in turns] == ["opened", "opened"]


@pytest.mark.django_db
def test_what_became_worse_is_told_once_more_and_to_who_hears_of_the_worst_only() -> None:
    for name in ("warning", "critical"):
        told.channel(name=name, min_severity=name)
    web = Watched()
    web.only("Host key changed", probes=1)
    for minutes, code in enumerate((Code.HOST_KEY_UNKNOWN, *[Code.HOST_KEY_CHANGED] * 2)):
        web.fails(code)
        outbox.announce(now=told.later(minutes))
        follow_up.run(now=told.later(minutes))
        told.sent(at=told.later(1000))
    assert [
        (delivery.channel.name, item["severity"], item["active"])
        for delivery in told.deliveries()
        for item in delivery.items
    ] == [
        ("warning", "warning", True),
        ("warning", "critical", True),
        ("critical", "critical", True),
    ]


@pytest.mark.django_db
def test_the_code_of_a_jump_host_is_told() -> None:
    web = Watched()
    web.only("Host not reached", probes=1)
    web.judged(
        observed(
            web.minute,
            "",
            failure=Failure(Code.JUMP_FAILED, "gate", cause=Code.LOGIN_FAILED),
        )
    )
    assert web.alert().facts["cause"] == "login_failed"


@pytest.mark.django_db
def test_what_a_person_pasted_says_nothing_of_reaching_the_host() -> None:
    web = Watched()
    web.only("Host not reached", probes=1)
    web.fails()
    web.sees(tool="pasted")
    assert web.alert().resolved_at is None


# --- what is other for groups and hosts, and rules that change ----------------------------------


@both_databases
def test_groups_and_hosts_have_thresholds_of_their_own(using: str) -> None:
    calm, busy = Watched(using, "calm"), Watched(using, "busy")
    rule = calm.only("ESTABLISHED", threshold=3, probes=1)
    group = HostGroup.objects.using(using).create(name="busy ones")
    busy.host.groups.add(group)
    override = RuleOverride.objects.using(using).create(rule=rule, group=group, threshold=20)
    for web in (calm, busy):
        web.sees(*peers(10))
    assert (len(calm.alerts()), len(busy.alerts())) == (1, 0)
    override.threshold = 5
    override.save(using=using)
    busy.sees(*peers(10))
    assert busy.alert().facts["threshold"] == 5
    own = RuleOverride(rule=rule, host=busy.host, enabled=False)
    own.save(using=using)
    busy.sees(*peers(10))
    assert busy.alert().resolved_at is not None
    assert busy.kinds() == ["raised"]  # nobody is told that it is over: it may not be
    assert busy.states() == []


@pytest.mark.django_db
def test_a_rule_that_became_worse_is_told_once_more_and_one_that_became_milder_is_not() -> None:
    web = Watched()
    rule = web.only("ESTABLISHED", threshold=3, probes=1, severity="warning")
    web.sees(*peers(5))
    for severity in ("critical", "critical", "info"):
        rule.severity = severity
        rule.save()
        web.sees(*peers(6))
    first, second = web.alerts()
    assert (first.severity, first.resolved_at is None) == ("warning", False)
    assert (second.severity, second.resolved_at, second.hits) == ("critical", None, 3)
    assert second.opened_at == first.resolved_at
    told = Change.objects.filter(announced_at=None).order_by("pk")
    assert [(change.alert, change.turn) for change in told] == [
        (first, "opened"),
        (second, "opened"),
    ]


@pytest.mark.django_db
def test_what_is_held_to_be_told_and_has_no_alert_any_more_is_told_again() -> None:
    web = Watched()
    web.only("ESTABLISHED", threshold=3, probes=1)
    web.sees(*peers(5))
    Alert.objects.update(resolved_at=web.alert().opened_at)
    web.sees(*peers(5))
    assert [alert.resolved_at is None for alert in web.alerts()] == [False, True]


@pytest.mark.django_db
def test_a_port_that_is_taken_out_of_a_rule_is_over() -> None:
    web = Watched()
    rule = web.only("Connections of a watched port", ports="22", threshold=3, probes=1)
    web.sees(*peers(5))
    rule.ports = "80"
    rule.save()
    web.sees(*peers(5))
    assert web.alert().resolved_at is not None


@pytest.mark.django_db
def test_the_report_warns_at_the_numbers_of_the_rules_that_a_new_site_has() -> None:
    seeded = {
        rule.state: rule.threshold for rule in Rule.objects.filter(metric="state", enabled=True)
    }
    assert seeded == usual.BY_STATE
    assert Rule.objects.get(metric="remote_ip").threshold == usual.ONE_IP
    assert Rule.objects.get(metric="port").threshold == usual.ONE_PORT


# --- cost ---------------------------------------------------------------------------------------


@both_databases
def test_a_quiet_probe_costs_one_query_and_one_that_goes_on_three(
    using: str,
) -> None:
    web = Watched(using)
    web.minute = 10  # past midnight: all of one day
    lines = peers(20)
    web.sees(*lines)
    web.sees(*lines)

    def more(*seen: str) -> int:
        """Queries of judging alone."""
        counts = []
        for judge in (None, thresholds.judge):
            seen_now = observed(web.minute, table(LISTENER, *seen))
            web.minute += 1
            with CaptureQueriesContext(connections[using]) as asked:
                store.save(web.host, seen_now, using=using, judge=judge)
            counts.append(len(asked))
        return counts[1] - counts[0]

    assert more(*lines) == 1
    group = HostGroup.objects.using(using).create(name="g")
    rule = Rule.objects.using(using).get(name="ESTABLISHED")
    RuleOverride.objects.using(using).create(rule=rule, group=group, threshold=5)
    web.host.groups.add(group)
    web.sees(*lines)
    web.sees(*lines)
    assert len(web.alerts()) == 1
    assert more(*lines) == 3  # the host's groups, and what goes on


@both_databases
def test_counters_that_follow_the_changes_are_those_of_the_sockets(using: str) -> None:
    web = Watched(using)
    Rule.objects.using(using).filter(metric="remote_ip").update(threshold=5, probes=1)
    text = generate(600, 1)
    rng = random.Random(3)
    read: list[int] = []
    for probe in range(8):
        with CaptureQueriesContext(connections[using]) as asked:
            web.judged(observed(web.minute, text))
        read.append(
            sum("GROUP BY state, remote_ip" in query["sql"] for query in asked.captured_queries)
        )
        rows = OpenSocket.objects.using(using).filter(host_id=web.host.pk, state=0)
        truth: Counter[bytes] = Counter()
        for packed, copies in rows.values_list("remote_ip", "copies"):
            truth[bytes(packed)] += copies
        tally = measures._kept[using, web.host.pk]
        assert tally.by_ip["ESTABLISHED"] == truth
        if probe == 5:
            web.fails()  # one that changes nothing
        text = churn(text, rng.choice((0.01, 0.3)), probe)
    assert read == [1, 0, 0, 0, 0, 0, 0, 0]
