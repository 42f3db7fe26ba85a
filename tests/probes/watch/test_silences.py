"""Which windows hold an alert: the same said of one, in SQL, and where it is shown (trust 42)."""

from __future__ import annotations

import datetime as dt
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Host, HostGroup
from probes.alert_filters import AlertFilter
from probes.history.queries import alerts as queries
from probes.models import Alert, AlertKind, Change, Rule, Silence
from probes.watch import lifecycle, silences
from tests.databases import both_databases

HOUR = dt.timedelta(hours=1)


@both_databases
def test_a_window_holds_what_all_it_names_fits(using: str) -> None:
    now = timezone.now()
    groups = [HostGroup.objects.using(using).create(name=name) for name in ("web", "data")]
    hosts = [
        Host.objects.using(using).create(name=name, address="192.0.2.1") for name in ("a", "b")
    ]
    for host, group in zip(hosts, groups, strict=True):
        host.groups.add(group)
    rules = [Rule.objects.using(using).create(name=name, metric="state") for name in ("r", "s")]
    alerts = [
        Alert.objects.using(using).create(
            host=host,
            rule=rule,
            kind=kind,
            fingerprint=f"{kind}:{number}",
            subject="x",
            opened_at=now,
            newest_at=now,
        )
        for number, (host, rule, kind) in enumerate(
            product(hosts, [None, rules[0]], [AlertKind.PORT, AlertKind.RULE])
        )
    ]
    of_host = silences.groups_of([host.pk for host in hosts], using=using)
    held = set()
    for host, group, rule, kind, fingerprint in product(
        [None, hosts[0]], [None, groups[1]], [None, rules[0]], ["", "port"], ["", "port:0"]
    ):
        window = Silence.objects.using(using).create(
            starts_at=now - HOUR,
            ends_at=now + HOUR,
            host=host,
            group=group,
            rule=rule,
            kind=kind,
            fingerprint=fingerprint,
        )
        fitting = {
            alert.pk for alert in alerts if silences.fits(window, alert, of_host[alert.host_id])
        }
        everything = Host.objects.using(using).all()
        listed = queries.listed(everything, AlertFilter(state="silenced"), now=now)
        assert {alert.pk for alert in listed} == fitting
        assert silences.silenced_now(alerts, now=now, using=using).keys() == fitting
        held.add(len(fitting))
        window.delete()
    assert {0, 1, 8} <= held, "some hold nothing, one alert, and all"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("starts", "ends", "state"),
    [(-1, 1, "running"), (0, 1, "running"), (1, 2, "planned"), (-2, -1, "over"), (-1, 0, "over")],
)
def test_a_window_counts_from_its_start_and_not_at_its_end(
    starts: int, ends: int, state: str
) -> None:
    now = timezone.now()
    window = Silence.objects.create(starts_at=now + starts * HOUR, ends_at=now + ends * HOUR)
    assert silences.state(window, now) == state
    assert (window in silences.running(now)) == (state == "running")


@pytest.mark.django_db
def test_of_several_windows_the_longest_is_told(
    django_assert_num_queries: Any,
) -> None:
    now = timezone.now()
    host = Host.objects.create(name="a", address="192.0.2.1")
    alert = Alert.objects.create(
        host=host, kind="port", fingerprint="x", subject="x", opened_at=now, newest_at=now
    )
    for hours in (1, 3, 2):
        Silence.objects.create(starts_at=now, ends_at=now + hours * HOUR, host=host)
    with django_assert_num_queries(1):
        held = silences.silenced_now([alert], now=now)
    assert held[alert.pk].ends_at == now + 3 * HOUR
    with django_assert_num_queries(0):
        assert silences.silenced_now([], now=now) == {}


@pytest.mark.django_db
def test_a_silenced_alert_opens_is_shown_as_silenced_and_ends(admin_client: Any) -> None:
    host = Host.objects.create(name="a", address="192.0.2.1")
    now = timezone.now()
    window = Silence.objects.create(starts_at=now - HOUR, ends_at=now + HOUR, host=host)

    def happens(kind: Change.Kind, **more: Any) -> Change:
        each = lifecycle.Transition(kind=kind, host_id=host.pk, at=timezone.now(), **more)
        return lifecycle.record([each])[0]

    down = lifecycle.Raise(kind=AlertKind.PORT, fingerprint="port_down:tcp/80", subject="tcp/80")
    opened = happens(Change.Kind.PORT_DOWN, raises=down, protocol="tcp", port=80)
    alert = Alert.objects.get()
    assert (opened.turn, opened.announced_at) == ("opened", None), "the outbox decides, not this"
    for path in ("/alerts/", "/alerts/?state=silenced"):
        html = admin_client.get(path).content.decode()
        assert f'id="alert-{alert.pk}"' in html
        assert "silenced until" in html
    assert "Silenced until" in admin_client.get(f"/alerts/{alert.pk}/").content.decode()
    (row,) = admin_client.get("/api/v1/alerts").json()["data"]["alerts"]
    assert (row["silenced"], row["state"]) == (True, "active")
    assert ",true," in admin_client.get("/api/v1/alerts?format=csv").getvalue().decode()

    ended = happens(Change.Kind.PORT_RECOVERED, resolves=["port_down:tcp/80"])
    assert (ended.turn, ended.alert_id) == ("resolved", alert.pk)
    assert f'id="alert-{alert.pk}"' not in admin_client.get("/alerts/").content.decode()

    happens(Change.Kind.PORT_DOWN, raises=down)
    window.ends_at = timezone.now()
    window.save()
    (row,) = admin_client.get("/api/v1/alerts?state=active").json()["data"]["alerts"]
    assert row["silenced"] is False
