"""What Prometheus gets: all of it readable, by its conventions, and what the caller may see."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from hosts.models import Host, HostGroup
from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes import health
from probes.history import store
from probes.metrics import declared, exposition, scraping
from probes.models import (
    Alert,
    Change,
    Channel,
    Delivery,
    FeedEnd,
    Heartbeat,
    Schedule,
    Snapshot,
)
from probes.observation import Code, Failure, Observation, Privilege
from tests.people import browser_of, person
from tests.probes.history.played import line, table

pytestmark = pytest.mark.django_db

TEXT = table(
    line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd"),
    line("10.0.0.5:22", "10.0.0.9:51000", "ESTABLISHED", "811/sshd"),
    line("10.0.0.5:40000", "198.51.100.7:443", "ESTABLISHED", "-"),
    line("10.0.0.5:40001", "198.51.100.7:443", "FIN_WAIT2", "-"),
    line("0.0.0.0:68", "0.0.0.0:*", "", "600/dhclient", protocol="udp"),
)
UNREADABLE = "what no netstat says\n"

# https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/testutil/promlint
ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
NO_BASE_UNITS = {"minutes", "hours", "days", "weeks", "milliseconds", "kilobytes", "megabytes"}
KINDS = {"gauge", "counter", "summary", "histogram"}


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    scraping.kept.clear()
    yield
    scraping.kept.clear()


def observed(text: str = TEXT, *, ago_s: float = 0, **fields: Any) -> Observation:
    given = {
        "duration_s": 0.25,
        "tool": "netstat",
        "command": "netstat -antup",
        "privilege": Privilege.ROOT,
        "text": text,
        "raw": text.encode(),
    }
    return Observation(taken_at=timezone.now() - dt.timedelta(seconds=ago_s), **{**given, **fields})


def host_with(name: str, *observations: Observation, **fields: Any) -> Host:
    host = Host.objects.create(name=name, address="192.0.2.1", **fields)
    Schedule.objects.create(host=host, next_probe_at=timezone.now() + dt.timedelta(hours=1))
    for observation in observations:
        store.save(host, observation)
    return host


def scraped(client: Client | None = None, **headers: str) -> dict[str, Metric]:
    """Families by name, as Prometheus' own parser reads them."""
    caller = client or browser_of(person("root", superuser=True))
    answer: HttpResponse = caller.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    scraping.kept.clear()
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(answer.content.decode())
    }


def value(families: dict[str, Metric], name: str, **labels: str) -> float | None:
    """Of the one series of that name with these labels; None where there is none."""
    found = [
        sample.value
        for sample in families[name].samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_a_scrape_says_of_a_host_what_its_newest_probes_found() -> None:
    host = host_with("web1", observed(TEXT + UNREADABLE, ago_s=90), interval_s=45)

    said = scraped()

    of = {"host": "web1", "id": str(host.pk)}
    snapshot = Snapshot.objects.get()
    assert value(said, "netadmin_host_sockets", **of) == 5
    assert value(said, "netadmin_host_listeners", **of) == snapshot.listeners == 2
    assert value(said, "netadmin_host_sockets_without_pid", **of) == snapshot.without_pid == 1
    assert value(said, "netadmin_host_unparsed_lines", **of) == 1
    assert value(said, "netadmin_host_sockets_by_state", **of, state="ESTABLISHED") == 2
    assert value(said, "netadmin_host_sockets_by_state", **of, state="FIN_WAIT2") == 1
    assert value(said, "netadmin_host_sockets_by_state", **of, state="CLOSE_WAIT") == 0
    assert value(said, "netadmin_host_sockets_by_protocol", **of, protocol="udp") == 1
    assert value(said, "netadmin_host_probe_duration_seconds", **of) == 0.25
    assert value(said, "netadmin_host_probe_interval_seconds", **of) == 45
    age_s = value(said, "netadmin_host_probe_age_seconds", **of)
    assert age_s is not None
    assert 90 <= age_s < 3600
    assert value(said, "netadmin_host_whole_probe_age_seconds", **of) == age_s


def test_outcome_and_status_are_sets_of_states_of_which_one_holds() -> None:
    down = host_with(
        "down",
        observed(ago_s=600),
        observed("", failure=Failure(Code.UNREACHABLE, "no route"), ago_s=5),
    )
    Schedule.objects.filter(host=down).update(failures=3)

    said = scraped()

    outcomes = {
        sample.labels["outcome"]: sample.value
        for sample in said["netadmin_host_probe_outcome"].samples
    }
    assert outcomes == {"ok": 0, "limited": 0, "partial": 0, "late": 0, "failed": 1}
    assert value(said, "netadmin_host_status", host="down", status="bad") == 1
    assert sum(sample.value for sample in said["netadmin_host_status"].samples) == 1
    assert value(said, "netadmin_host_probe_failure", host="down", code="unreachable") == 1
    assert value(said, "netadmin_host_consecutive_failures", host="down") == 3
    assert value(said, "netadmin_host_sockets", host="down") == 5, "of its newest whole probe"
    whole_age_s = value(said, "netadmin_host_whole_probe_age_seconds", host="down")
    assert whole_age_s is not None
    assert whole_age_s >= 600
    assert value(said, "netadmin_hosts", status="bad") == 1
    assert value(said, "netadmin_hosts", status="ok") == 0


def test_a_refused_login_is_said_by_its_code_and_as_paused() -> None:
    for name in ("locked", "mended"):
        host = host_with(name)
        Schedule.objects.filter(host=host).update(
            paused_code="login_failed", paused_login_version=host.login_version, failures=1
        )
    Host.objects.filter(name="mended").update(port=2222)  # another login, which is tried

    said = scraped()

    assert value(said, "netadmin_host_paused", host="locked") == 1
    assert value(said, "netadmin_host_probe_failure", host="locked", code="login_failed") == 1
    assert value(said, "netadmin_host_paused", host="mended") == 0
    assert value(said, "netadmin_host_probe_failure", host="mended", code="login_failed") is None


def test_another_method_is_refused_as_programs_read_it() -> None:
    answer = browser_of(person("root", superuser=True)).post("/metrics")

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_a_host_that_is_switched_off_has_a_status_and_no_numbers() -> None:
    host_with("old", observed(ago_s=9000), enabled=False)

    said = scraped()

    assert value(said, "netadmin_host_status", host="old", status="off") == 1
    assert value(said, "netadmin_host_probe_age_seconds", host="old") is None
    assert value(said, "netadmin_host_sockets", host="old") is None


def test_removed_hosts_are_in_no_number() -> None:
    host = host_with("gone", observed())
    Alert.objects.create(
        kind="port", host=host, opened_at=timezone.now(), newest_at=timezone.now(), subject="x"
    )
    Host.objects.update(removed_at=timezone.now())

    said = scraped()

    assert not said["netadmin_host_status"].samples
    assert value(said, "netadmin_hosts", status="ok") == 0
    assert value(said, "netadmin_alerts_active", kind="port", severity="warning") == 0


def test_the_schedule_says_how_many_wait_and_for_how_long() -> None:
    now = timezone.now()
    late, leased, early = (host_with(name) for name in ("late", "leased", "early"))
    off = host_with("off", enabled=False)
    for host in (late, leased, off):
        Schedule.objects.filter(host=host).update(next_probe_at=now - dt.timedelta(seconds=70))
    Schedule.objects.filter(host=leased).update(lease_until=now + dt.timedelta(hours=1))
    assert Schedule.objects.get(host=early).next_probe_at > now

    said = scraped()

    assert value(said, "netadmin_hosts_due") == 1
    assert value(said, "netadmin_hosts_leased") == 1
    lag_s = value(said, "netadmin_schedule_lag_seconds")
    assert lag_s is not None
    assert 70 <= lag_s < 3600


def test_alerts_changes_and_messages_are_counted_by_what_they_are() -> None:
    host, now = host_with("web1"), timezone.now()
    fields = {"host": host, "opened_at": now, "newest_at": now, "severity": "critical"}
    Alert.objects.create(kind="port", fingerprint="a", acknowledged_at=now, **fields)
    Alert.objects.create(kind="port", fingerprint="b", **fields)
    Alert.objects.create(kind="port", fingerprint="c", resolved_at=now, **fields)
    Change.objects.create(host=host, kind="port_new", at=now)
    Change.objects.create(host=host, kind="port_new", at=now - dt.timedelta(hours=2))
    FeedEnd.objects.update_or_create(pk=1, defaults={"last": 41})
    channel = Channel.objects.create(name="ops", kind="webhook")
    Delivery.objects.create(channel=channel, kind="alerts", state="failed")
    Delivery.objects.create(channel=channel, kind="alerts", state="waiting", try_after=now)

    said = scraped()

    assert value(said, "netadmin_alerts_active", kind="port", severity="critical") == 2
    assert value(said, "netadmin_alerts_unacknowledged", kind="port", severity="critical") == 1
    assert value(said, "netadmin_alerts_active", kind="hunt", severity="critical") == 0
    assert value(said, "netadmin_changes_last_hour", kind="port_new") == 1
    assert value(said, "netadmin_changes_total") == 41
    assert value(said, "netadmin_deliveries_last_hour", channel_kind="webhook", state="failed") == 1
    assert value(said, "netadmin_deliveries_last_hour", channel_kind="email", state="sent") == 0
    assert value(said, "netadmin_deliveries_waiting", channel_kind="webhook") == 1


def test_workers_scheduler_broker_and_database_are_said_of(settings: Any, redis_url: str) -> None:
    settings.CELERY_BROKER_URL = redis_url
    health.beat("here@one", connections=7)
    health.beat("gone@two", connections=9)
    Heartbeat.objects.filter(node="gone@two").update(at=timezone.now() - dt.timedelta(hours=1))

    said = scraped()

    assert value(said, "netadmin_workers") == 1
    assert value(said, "netadmin_worker_connections", worker="here@one") == 7
    assert value(said, "netadmin_worker_connections", worker="gone@two") is None
    assert value(said, "netadmin_scheduler_late") == 0
    assert (value(said, "netadmin_scheduler_heartbeat_age_seconds") or 0) < 3600
    assert value(said, "netadmin_broker_up") == 1
    assert value(said, "netadmin_queue_messages", queue="celery") == 0
    assert (value(said, "netadmin_database_size_bytes") or 0) > 4096


def test_messages_that_wait_in_the_broker_are_counted(
    settings: Any, redis_url: str, redis_server: Any
) -> None:
    settings.CELERY_BROKER_URL = redis_url
    client = redis_server.client()
    client.rpush("celery", "one", "two")
    client.close()

    assert value(scraped(), "netadmin_queue_messages", queue="celery") == 2


def test_a_broker_that_is_away_leaves_the_scrape_whole(settings: Any, free_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port}/0"

    said = scraped()

    assert value(said, "netadmin_broker_up") == 0
    assert value(said, "netadmin_queue_messages") is None
    assert value(said, "netadmin_scheduler_late") == 1
    assert value(said, "netadmin_scheduler_heartbeat_age_seconds") is None


@pytest.mark.parametrize(
    "name",
    [
        'x"} 1\nnetadmin_evil 1',
        "back\\slash",
        "\\",
        '"',
        "a\r\nb",
        "汉字",
        "\x00\x1b[31m",
        "\u2028",
        "{",
    ],
)
def test_a_hostile_name_stays_inside_its_label(name: str) -> None:
    host_with(name.replace("\x00", ""), observed())

    said = scraped()

    (status,) = (s for s in said["netadmin_host_status"].samples if s.value == 1)
    assert "netadmin_evil" not in said
    assert status.labels["host"] == exposition.label(name.replace("\x00", ""))
    assert set(status.labels) == {"host", "id", "status"}


def test_a_label_is_cut_and_has_nothing_that_does_not_print() -> None:
    assert exposition.label("a" * 999) == "a" * exposition.LABEL_CHARACTERS
    assert exposition.label("a\x00\x1b\ud800\u202eb") == "a\N{REPLACEMENT CHARACTER}" * 1 + (
        "\N{REPLACEMENT CHARACTER}" * 3 + "b"
    )


def test_every_declared_family_is_there_and_keeps_the_conventions_of_prometheus() -> None:
    host_with("web1", observed())
    health.beat("here@one")

    said = scraped()

    assert list(said) == [family.name for family in declared.FAMILIES]
    for name, family in said.items():
        words = name.split("_")
        assert re.fullmatch(r"netadmin_[a-z]+(_[a-z]+)*", name), name
        assert family.documentation, name
        assert family.type in {"gauge", "counter"}, name
        assert (family.type == "counter") == name.endswith("_total"), name
        assert not ABBREVIATED.intersection(words), name
        assert not NO_BASE_UNITS.intersection(words), name
        assert not KINDS.intersection(words), name
        assert not name.endswith(("_count", "_sum", "_bucket")), name
        labels = {label for sample in family.samples for label in sample.labels}
        assert not labels & {"le", "quantile"}, name
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in labels), name
        series = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(series) == len(set(series)), f"{name} says a series twice"


def test_a_caller_limited_to_groups_gets_its_hosts_and_nothing_of_the_site() -> None:
    group = HostGroup.objects.create(name="inside")
    inside, outside = host_with("inside", observed()), host_with("outside", observed())
    inside.groups.add(group)
    now = timezone.now()
    Alert.objects.create(
        kind="port", host=outside, severity="critical", opened_at=now, newest_at=now
    )
    Change.objects.create(host=outside, kind="port_new", at=now)
    limited = browser_of(person("lina", Role.VIEWER, groups=[group]))
    everything = browser_of(person("vera", Role.VIEWER))

    whole, said = scraped(everything), scraped(limited)

    assert {s.labels["host"] for s in whole["netadmin_host_status"].samples} == {
        "inside",
        "outside",
    }
    assert {s.labels["host"] for s in said["netadmin_host_status"].samples} == {"inside"}
    assert value(whole, "netadmin_alerts_active", kind="port", severity="critical") == 1
    assert value(said, "netadmin_alerts_active", kind="port", severity="critical") == 0
    assert value(said, "netadmin_changes_last_hour", kind="port_new") == 0
    assert value(said, "netadmin_hosts", status="ok") == 1
    of_the_site = {family.name for family in declared.FAMILIES if family.whole_site}
    assert of_the_site <= whole.keys()
    assert not of_the_site & said.keys()


def test_a_token_of_a_group_gets_no_more_than_its_group() -> None:
    group = HostGroup.objects.create(name="inside")
    host_with("inside", observed()).groups.add(group)
    host_with("outside", observed())
    token, text = tokens.create(
        user=person("root", superuser=True), name="p", scope=Scope.READ, groups=[group]
    )
    assert token.pk

    said = scraped(browser_of(None), Authorization=f"Bearer {text}")

    assert {s.labels["host"] for s in said["netadmin_host_status"].samples} == {"inside"}
    assert "netadmin_broker_up" not in said


def test_nobody_and_bad_tokens_are_refused_in_json() -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = browser_of(None).get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["success"] is False


def test_callers_who_see_different_hosts_never_share_a_kept_text() -> None:
    groups = [HostGroup.objects.create(name=name) for name in ("one", "two")]
    for group in groups:
        host_with(f"of {group}", observed()).groups.add(group)
    people = [None, *groups]
    callers = [
        browser_of(person(f"p{n}", Role.VIEWER, groups=None if group is None else [group]))
        for n, group in enumerate(people)
    ]

    texts = [caller.get("/metrics").content.decode() for caller in callers]

    assert [("of one" in text, "of two" in text) for text in texts] == [
        (True, True), (True, False), (False, True)
    ]  # fmt: skip


def test_who_loses_a_group_is_not_served_what_was_kept_for_it() -> None:
    group, other = (HostGroup.objects.create(name=name) for name in ("one", "two"))
    host_with("web1", observed()).groups.add(group)
    lina = person("lina", Role.VIEWER, groups=[group])
    client = browser_of(lina)
    assert b"web1" in client.get("/metrics").content

    lina.access.groups.set([other])

    assert b"web1" not in client.get("/metrics").content


def test_scrapes_of_one_moment_are_worked_out_once(django_assert_num_queries: Any) -> None:
    host_with("web1", observed())
    client = browser_of(person("vera", Role.VIEWER))
    first = client.get("/metrics").content

    Snapshot.objects.all().delete()

    with django_assert_num_queries(3):  # session, user and its access
        assert client.get("/metrics").content == first
    scraping.kept.clear()
    assert client.get("/metrics").content != first


def test_a_scrape_of_more_hosts_costs_no_more_queries(django_assert_num_queries: Any) -> None:
    client = browser_of(person("vera", Role.VIEWER))
    for number in range(3):
        host_with(f"h{number}", observed())
    client.get("/metrics")
    for _turn in range(2):
        scraping.kept.clear()
        with django_assert_num_queries(3 + 4 + 4):
            client.get("/metrics")
        for number in range(20):
            host_with(f"more{_turn}-{number}", observed())


@pytest.mark.django_db(databases=["default", "postgres"])
def test_postgresql_tells_the_size_of_its_database_too() -> None:
    from tests.trust.world import postgresql_as_default

    with postgresql_as_default():
        client = browser_of(person("root", superuser=True))
        host_with("web1", observed())
        said = scraped(client)

    assert (value(said, "netadmin_database_size_bytes") or 0) > 1_000_000
    assert value(said, "netadmin_host_sockets", host="web1") == 5
