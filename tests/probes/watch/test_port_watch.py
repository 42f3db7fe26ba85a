"""A host's ports against their history, judged in the transaction that stores a probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host, HostGroup
from probes.history import limits, store
from probes.models import (
    Alert,
    Change,
    PortPolicy,
    PortWatch,
    Restart,
    RestartCommand,
    Service,
    Snapshot,
    WatchedPort,
)
from probes.observation import Code, Observation, Privilege
from probes.watch import judging, port_watch
from tests.databases import SQLITE, both_databases
from tests.probes.history.played import failed, line, observed, table

SSH = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")
WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx")
WEB6 = line(":::80", ":::*", "LISTEN", "900/nginx", protocol="tcp6")


def listening(port: int, holder: str = "77/x", *, udp: bool = False, at: str = "0.0.0.0") -> str:
    if udp:
        return line(f"{at}:{port}", "0.0.0.0:*", "", holder, protocol="udp")
    return line(f"{at}:{port}", "0.0.0.0:*", "LISTEN", holder)


class World:
    """One host whose probes are stored and judged, a minute apart."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
        self.minute = 0.0

    def sees(self, *lines: str, **fields: Any) -> list[str]:
        """Store a whole probe; what changed by it, as "kind protocol/port program"."""
        return self.stores(observed(0, table(*lines), **fields))

    def stores(self, observation: Observation) -> list[str]:
        self.minute += 1
        before = observed(self.minute, "").taken_at
        self.save(replace(observation, taken_at=before))
        return [
            f"{row.kind} {row.protocol}/{row.port} {row.program}".strip()
            for row in Change.objects.using(self.using).filter(at=before).order_by("pk")
            if row.protocol
        ]

    def save(self, observation: Observation) -> Snapshot:
        return store.save(self.host, observation, using=self.using, judge=judging.judge)

    def policy(self, **fields: Any) -> None:
        scope = {name: fields.pop(name, None) for name in ("group", "host")}
        PortPolicy.objects.using(self.using).update_or_create(**scope, defaults=fields)

    @property
    def active(self) -> set[str]:
        rows = Alert.objects.using(self.using).filter(resolved_at=None)
        return set(rows.values_list("fingerprint", flat=True))

    @property
    def ports(self) -> dict[str, bool]:
        rows = WatchedPort.objects.using(self.using).filter(host=self.host)
        return {f"{row.protocol}/{row.port}": row.is_up for row in rows}


@pytest.fixture
def world(using: str) -> World:
    return World(using)


@both_databases
class TestTransitions:
    def test_first_sight_is_a_baseline_and_no_storm(self, world: World) -> None:
        many = [listening(port) for port in range(1000, 1050)]
        assert world.sees(SSH, WEB, WEB6, *many) == []
        assert len(world.ports) == 52
        assert not world.active

    def test_a_port_comes_goes_and_comes_back(self, world: World) -> None:
        world.sees(SSH)
        assert world.sees(SSH, WEB, WEB6) == ["port_new tcp/80 nginx"]
        assert world.active == {"port_new:tcp/80"}
        assert world.sees(SSH) == ["port_down tcp/80 nginx"]
        assert world.active == {"port_down:tcp/80"}
        assert world.sees(SSH, WEB) == ["port_recovered tcp/80 nginx"]
        assert not world.active
        row = WatchedPort.objects.using(world.using).get(port=80)
        assert (row.addresses, row.programs, row.pids) == (["0.0.0.0"], ["nginx"], [900])

    def test_a_reboot_with_other_pids_is_nothing(self, world: World) -> None:
        world.sees(SSH, WEB, listening(53, "1/dnsmasq", udp=True))
        assert (
            world.sees(
                listening(22, "5001/sshd"),
                listening(80, "5002/nginx"),
                listening(53, "5003/dnsmasq", udp=True),
            )
            == []
        )
        assert not world.active
        assert WatchedPort.objects.using(world.using).get(port=22).pids == [5001]

    def test_another_holder_is_told_with_before_and_after(self, world: World) -> None:
        world.sees(SSH, WEB)
        assert world.sees(SSH, listening(80, "66/nc")) == ["holder tcp/80 nc"]
        alert = Alert.objects.using(world.using).get()
        assert alert.fingerprint == "holder:tcp/80"
        assert alert.facts["before"]["programs"] == ["nginx"]
        assert alert.facts["before"]["pids"] == [900]
        assert alert.facts["after"]["programs"] == ["nc"]
        assert [row["program"] for row in alert.evidence] == ["nc"]

    def test_a_master_seen_as_a_worker_is_no_other_holder(self, world: World) -> None:
        world.sees(SSH, listening(80, "900/nginx: master"))
        assert world.sees(SSH, listening(80, "901/nginx: worker")) == []
        assert not world.active
        assert world.sees(SSH, listening(80, "902/haproxy: worker")) == [
            "holder tcp/80 haproxy: worker"
        ]

    def test_who_was_connected_is_kept_when_a_port_goes(self, world: World) -> None:
        clients = [
            line("10.0.0.5:80", f"203.0.113.{number % 3}:{5000 + number}", holder="900/nginx")
            for number in range(9)
        ]
        world.sees(SSH, WEB, *clients)
        world.sees(SSH, line("10.0.0.5:80", "203.0.113.7:6000", "FIN_WAIT2", "-"))
        alert = Alert.objects.using(world.using).get()
        assert sorted(alert.facts["top_ips"])[:3] == [
            ["203.0.113.0", 3],
            ["203.0.113.1", 3],
            ["203.0.113.2", 3],
        ]
        assert alert.facts["top_programs"] == [["nginx", 9]]
        assert alert.facts["before"]["addresses"] == ["0.0.0.0"]
        assert alert.evidence[0]["direction"] == "listen"
        assert {row["direction"] for row in alert.evidence[1:]} == {"in"}

    def test_expected_ports(self, world: World) -> None:
        world.policy(host=world.host, expected="22, 443/tcp nginx")
        assert world.sees(SSH) == ["expected_missing tcp/443"]
        assert world.sees(SSH) == []
        alert = Alert.objects.using(world.using).get()
        assert (alert.severity, alert.ends_by_word) == ("critical", False)
        assert world.sees(SSH, listening(443, "9/nginx")) == ["expected_back tcp/443 nginx"]
        assert not world.active
        row = WatchedPort.objects.using(world.using).get(port=443)
        assert row.first_seen == row.since
        world.policy(host=world.host, expected="22, 443/tcp nginx, 8443")
        assert world.sees(SSH, listening(443, "9/nginx")) == ["expected_missing tcp/8443"]
        world.policy(host=world.host, expected="")
        assert world.sees(SSH, listening(443, "9/nginx")) == []
        assert not world.active

    def test_a_policy_that_watches_more_is_no_storm(self, world: World) -> None:
        world.policy(host=world.host, excluded="1-65535")
        world.sees(SSH, WEB, listening(9000, "1/x"))
        assert not world.ports
        world.policy(host=world.host, excluded="")
        # Restarted and new in the very snapshot after the edit: only the new one is new.
        assert world.sees(SSH, WEB, listening(9000, "2/x"), listening(9001)) == [
            "port_new tcp/9001 x"
        ]
        assert len(world.ports) == 4

    def test_a_policy_that_watches_less_ends_alerts_quietly(self, world: World) -> None:
        world.sees(SSH)
        world.sees(SSH, WEB)
        assert world.active == {"port_new:tcp/80"}
        world.policy(host=world.host, excluded="80")
        assert world.sees(SSH, WEB) == []
        assert not world.active
        assert world.ports == {"tcp/22": True}
        world.policy(host=world.host, enabled=False)
        world.sees(SSH)
        assert not world.ports
        assert not PortWatch.objects.using(world.using).exists()

    def test_udp_clients_do_not_storm(self, world: World) -> None:
        world.sees(SSH)
        for port in range(33000, 33005):
            assert world.sees(SSH, listening(port, "1/firefox", udp=True)) == []
        assert world.sees(SSH, listening(514, "2/rsyslogd", udp=True)) == [
            "port_new udp/514 rsyslogd"
        ]

    def test_the_range_of_the_host_counts(self, world: World) -> None:
        world.sees(SSH, listening(40000))
        told = observed(0, "", limits={"net.ipv4.ip_local_port_range": "10000 20000"})
        limits.save(world.host, told, using=world.using)
        assert world.sees(SSH, listening(15000), listening(40000)) == []
        assert world.sees(SSH, listening(15001), listening(40001)) == [
            "port_down tcp/40000 x",
            "port_new tcp/40001 x",
        ]


@both_databases
class TestWhatChangesNothing:
    @pytest.mark.parametrize(
        "code", [Code.UNREACHABLE, Code.LOGIN_FAILED, Code.HOST_KEY_CHANGED, Code.TRUNCATED]
    )
    def test_a_probe_that_is_not_whole_closes_no_port(self, world: World, code: Code) -> None:
        world.sees(SSH, WEB)
        part = {"text": table(SSH), "raw": b"part"} if code is Code.TRUNCATED else {}
        assert world.stores(failed(0, code, **part)) == []
        assert world.ports == {"tcp/22": True, "tcp/80": True}
        assert not {name for name in world.active if name.startswith(("port", "expected"))}

    def test_a_probe_that_sees_less_closes_no_port(self, world: World) -> None:
        world.sees(SSH, WEB)
        hidden = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "-")
        assert world.sees(hidden, privilege=Privilege.USER) == []
        assert world.ports == {"tcp/22": True, "tcp/80": True}

    def test_a_late_probe_closes_no_port(self, world: World) -> None:
        world.sees(SSH, WEB)
        world.save(observed(0.5, table(SSH)))
        assert not Change.objects.using(world.using).exists()
        assert world.ports == {"tcp/22": True, "tcp/80": True}

    def test_another_login_that_sees_no_process_closes_none_and_changes_no_holder(
        self, world: World
    ) -> None:
        world.sees(SSH, WEB)
        hidden = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "-")
        world.minute += 1
        observation = observed(world.minute, table(hidden), privilege=Privilege.USER)
        snapshot = store.save(
            world.host, observation, login_version="2", using=world.using, judge=judging.judge
        )
        assert (snapshot.outcome, snapshot.code) == ("ok", Code.PERMISSION_LIMITED)
        assert not Change.objects.using(world.using).exists()
        assert not world.active
        assert WatchedPort.objects.using(world.using).get(port=22).programs == ["sshd"]

    def test_a_judgement_that_failed_is_made_up_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.sees(SSH)
        with monkeypatch.context() as broken:
            broken.setattr(judging, "JUDGES", (lambda _stored: 1 / 0,))
            world.sees(SSH, WEB)
        assert world.sees(SSH, WEB, listening(81)) == [
            "port_new tcp/80 nginx",
            "port_new tcp/81 x",
        ]

    def test_a_judgement_that_failed_is_made_up_for_though_nothing_changes_any_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.sees(SSH, listening(81))
        with monkeypatch.context() as broken:
            broken.setattr(judging, "JUDGES", (lambda _stored: 1 / 0,))
            world.sees(SSH, WEB)
        world.stores(failed(0, Code.UNREACHABLE))
        assert world.sees(SSH, WEB) == ["port_new tcp/80 nginx", "port_down tcp/81 x"]
        assert not PortWatch.objects.using(world.using).get().missed
        with monkeypatch.context() as broken:
            broken.setattr(judging, "JUDGES", (lambda _stored: 1 / 0,))
            world.sees(SSH, WEB)
        assert world.sees(SSH, WEB) == []
        assert not PortWatch.objects.using(world.using).get().missed


@both_databases
def test_ports_left_of_an_earlier_watch_are_not_down_at_the_new_baseline(using: str) -> None:
    world = World(using)
    world.sees(SSH, WEB)
    PortWatch.objects.using(using).all().delete()  # a removal that came so far
    assert world.sees(SSH) == []
    assert world.ports == {"tcp/22": True}
    assert world.sees(SSH, WEB) == ["port_new tcp/80 nginx"]


@both_databases
def test_lists_add_up_and_the_nearest_switch_counts(using: str) -> None:
    world = World(using)
    group = HostGroup.objects.using(using).create(name="web")
    world.host.groups.add(group)
    world.policy(group=group, expected="80", raises={"registered": []})
    world.policy(host=world.host, expected="22")
    assert world.sees(listening(1)) == ["expected_missing tcp/22", "expected_missing tcp/80"]
    world.sees(listening(1), listening(8080))
    assert world.active == {"expected:tcp/22", "expected:tcp/80"}
    world.policy(host=world.host, expected="22", raises={"registered": ["new"]})
    world.sees(listening(1), listening(8080), listening(8081))
    assert "port_new:tcp/8081" in world.active


@pytest.mark.django_db(databases=[SQLITE])
def test_a_service_on_an_expected_port_is_restarted_like_any_other() -> None:
    world = World(SQLITE)
    world.policy(host=world.host, expected="80")
    command = RestartCommand.objects.create(name="nginx", argv=["true"], use_sudo=False)
    service = Service.objects.create(
        name="web", host=world.host, port=80, command=command, automatic=True
    )
    world.sees(SSH, WEB)
    assert world.sees(SSH) == ["expected_missing tcp/80 nginx"]
    assert Restart.objects.get(service=service).change == Change.objects.get(port=80)


@pytest.mark.django_db(databases=[SQLITE])
class TestCost:
    def test_a_host_that_stays_costs_two_queries(self) -> None:
        world = World(SQLITE)
        for _probe in range(2):
            world.sees(SSH, WEB)
        assert self.queries(world, SSH, WEB) <= 2

    def test_churn_that_is_no_port_costs_four(self) -> None:
        world = World(SQLITE)
        world.sees(SSH, WEB)
        assert self.queries(world, SSH, WEB, line()) <= 4

    def queries(self, world: World, *lines: str) -> int:
        """Statements of the port watch for one more probe."""
        captured: list[int] = []

        def judge(stored: store.Stored) -> None:
            with CaptureQueriesContext(connections[SQLITE]) as asked:
                port_watch.judge(stored)
            captured.append(len(asked))

        world.minute += 1
        store.save(world.host, observed(world.minute, table(*lines)), judge=judge)
        return captured[0]
