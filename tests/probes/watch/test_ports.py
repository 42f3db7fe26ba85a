"""What becomes of ports from snapshot to snapshot, decided without a database."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probes.watch import ports
from probes.watch.port_list import PortList, Range, parse
from probes.watch.ports import Alarm, Holding, Key, Kind, Policy, Switch, Verdict, Watched

EPHEMERAL = (32768, 60999)
ALL = frozenset(Switch)
EVERYWHERE = {Range.SYSTEM: ALL, Range.REGISTERED: ALL, Range.EPHEMERAL: frozenset[Switch]()}

SSH, WEB, DNS = Key("tcp", 22), Key("tcp", 80), Key("udp", 53)


def held(*programs: str, pid: int = 1, named: bool = True, at: str = "0.0.0.0") -> Holding:
    return Holding((at,), tuple(sorted(programs)), (pid,), named)


def policy(**lists: Any) -> Policy:
    listed = {
        name: parse(text, expected=name == "expected") if isinstance(text, str) else text
        for name, text in lists.items()
    }
    return Policy(**({"raises": EVERYWHERE} | listed))


class Host:
    """Remembers what was decided, as the database does."""

    def __init__(self, *listening: Key, policy: Policy | None = None) -> None:
        self.watched: dict[Key, Watched] = {}
        self.policy = policy or Policy(raises=EVERYWHERE)
        self.alerts: set[str] = set()
        first = {key: held("a") for key in listening}
        self.first = self.sees(first, first=True)

    def sees(self, listeners: dict[Key, Holding], **how: Any) -> Verdict:
        verdict = ports.decide(listeners, self.watched, self.policy, ephemeral=EPHEMERAL, **how)
        self.watched |= verdict.changed
        for key in verdict.gone:
            del self.watched[key]
        self.alerts -= set(verdict.quiet)
        for event in verdict.events:
            self.alerts -= {alarm.of(event.key) for alarm in event.resolves}
            if event.raises is not None:
                self.alerts.add(event.raises.of(event.key))
        return verdict


def kinds(verdict: Verdict) -> list[tuple[Kind, str]]:
    return [(event.kind, str(event.key)) for event in verdict.events]


def test_first_sight_is_a_baseline() -> None:
    host = Host(SSH, WEB, DNS)
    assert host.first.events == ()
    assert host.watched.keys() == {SSH, WEB, DNS}
    assert not host.alerts


def test_a_reboot_is_nothing() -> None:
    host = Host(SSH, WEB)
    verdict = host.sees({key: held("a", pid=4711) for key in (SSH, WEB)})
    assert verdict.events == ()
    assert host.watched[SSH].holding.pids == (4711,)


def test_a_new_port_raises_and_its_going_ends_that() -> None:
    host = Host(SSH)
    assert kinds(host.sees({SSH: held("a"), WEB: held("nc")})) == [(Kind.NEW, "tcp/80")]
    assert host.alerts == {"port_new:tcp/80"}
    assert kinds(host.sees({SSH: held("a")})) == [(Kind.DOWN, "tcp/80")]
    assert host.alerts == {"port_down:tcp/80"}
    assert kinds(host.sees({SSH: held("a"), WEB: held("nc")})) == [(Kind.RECOVERED, "tcp/80")]
    assert not host.alerts


def test_another_holder_is_a_change_and_after_a_gap_too() -> None:
    host = Host(SSH)
    verdict = host.sees({SSH: held("evil")})
    assert kinds(verdict) == [(Kind.HOLDER, "tcp/22")]
    (event,) = verdict.events
    assert event.before == held("a")
    assert event.after == held("evil")
    host.sees({})
    found = kinds(host.sees({SSH: held("other")}))
    assert found == [(Kind.RECOVERED, "tcp/22"), (Kind.HOLDER, "tcp/22")]


def test_a_holder_that_is_not_visible_is_never_another() -> None:
    host = Host(SSH)
    hidden = Holding(("0.0.0.0",), (), (), named=False)
    assert host.sees({SSH: hidden}).is_empty
    assert host.sees({SSH: held("sub", named=False)}).events == ()
    assert host.sees({SSH: held("a")}).events == ()
    assert kinds(host.sees({SSH: held("b")})) == [(Kind.HOLDER, "tcp/22")]


def test_a_holder_that_was_partly_known_is_learned_quietly() -> None:
    host = Host()
    host.sees({SSH: held("a", named=False)}, first=True)
    assert host.sees({SSH: held("a", "b")}).events == ()
    assert host.watched[SSH].holding.programs == ("a", "b")


def test_ports_of_the_ephemeral_range_do_not_storm() -> None:
    host = Host(SSH, policy=policy(excluded="ephemeral"))
    for port in range(40000, 40200):
        assert host.sees({SSH: held("a"), Key("udp", port): held("chrome")}).is_empty


def test_a_switched_off_range_is_recorded_without_an_alert() -> None:
    host = Host(SSH)
    high = Key("tcp", 50000)
    verdict = host.sees({SSH: held("a"), high: held("b")})
    assert kinds(verdict) == [(Kind.NEW, "tcp/50000")]
    assert not host.alerts
    host.sees({SSH: held("a")})
    assert not host.alerts


def test_allowed_ports_come_without_an_alert_and_others_raise_whatever_the_switch() -> None:
    host = Host(SSH, policy=policy(allowed="22, 80 nginx, 8000-8100", raises={}))
    base = {SSH: held("a")}
    assert kinds(host.sees(base | {Key("tcp", 8080): held("x")})) == [(Kind.NEW, "tcp/8080")]
    assert not host.alerts
    host.sees(base | {Key("tcp", 8080): held("x"), WEB: held("nc")})
    assert host.alerts == {"port_new:tcp/80"}


def test_an_allowed_port_of_another_program_raises() -> None:
    host = Host(policy=policy(allowed="80 nginx", raises={}))
    host.sees({WEB: held("nginx")})
    assert not host.alerts
    host.sees({WEB: held("nc")})
    assert host.alerts == {"holder:tcp/80"}


def test_an_allowed_port_that_goes_is_down() -> None:
    host = Host(WEB, policy=policy(allowed="80"))
    host.sees({})
    assert host.alerts == {"port_down:tcp/80"}


def test_an_expected_port_that_is_absent_is_told_at_first_sight_and_once() -> None:
    host = Host(SSH, policy=policy(expected="22, 80"))
    assert kinds(host.first) == [(Kind.MISSING, "tcp/80")]
    assert host.alerts == {"expected:tcp/80"}
    assert host.sees({SSH: held("a")}).is_empty
    assert kinds(host.sees({SSH: held("a"), WEB: held("b")})) == [(Kind.BACK, "tcp/80")]
    assert not host.alerts
    assert kinds(host.sees({SSH: held("a")})) == [(Kind.MISSING, "tcp/80")]
    assert host.alerts == {"expected:tcp/80"}


def test_an_expected_port_held_by_another_program_is_missing() -> None:
    host = Host(policy=policy(expected="80 nginx"))
    host.sees({WEB: held("nginx")})
    assert kinds(host.sees({WEB: held("nc")})) == [(Kind.MISSING, "tcp/80")]
    assert host.watched[WEB].is_up
    assert kinds(host.sees({})) == [(Kind.DOWN, "tcp/80")]
    assert host.alerts == {"expected:tcp/80"}
    assert kinds(host.sees({WEB: held("nginx", "x")})) == [(Kind.BACK, "tcp/80")]
    assert not host.alerts


def test_expecting_a_port_that_is_down_takes_over_its_alert() -> None:
    host = Host(WEB)
    host.sees({})
    host.policy = policy(expected="80")
    assert kinds(host.sees({})) == [(Kind.MISSING, "tcp/80")]
    assert host.alerts == {"expected:tcp/80"}


def test_a_port_that_is_no_longer_expected_ends_its_alert_without_a_word() -> None:
    host = Host(policy=policy(expected="80"))
    host.policy = policy()
    verdict = host.sees({})
    assert verdict.events == ()
    assert not host.watched
    assert not host.alerts


def test_excluding_a_port_takes_row_and_alerts_quietly() -> None:
    host = Host(SSH)
    host.sees({SSH: held("a"), WEB: held("nc")})
    host.sees({WEB: held("nc")})
    assert host.alerts == {"port_new:tcp/80", "port_down:tcp/22"}
    host.policy = policy(excluded="22, 80")
    assert host.sees({WEB: held("nc")}).events == ()
    assert not host.watched
    assert not host.alerts


def test_no_longer_watching_a_host_takes_all_quietly() -> None:
    host = Host(SSH, WEB)
    host.sees({})
    host.policy = policy(enabled=False)
    assert host.sees({}).events == ()
    assert not host.watched
    assert not host.alerts


def test_what_is_watched_only_now_is_remembered() -> None:
    host = Host(SSH, policy=policy(excluded="80"))
    host.policy = policy()
    both = {SSH: held("a"), WEB: held("b"), DNS: held("c")}
    assert kinds(host.sees(both, remembered={WEB})) == [(Kind.NEW, "udp/53")]
    assert host.watched.keys() == {SSH, WEB, DNS}


def test_other_rights_are_a_baseline_of_their_own() -> None:
    host = Host(SSH, WEB)
    verdict = host.sees({SSH: Holding(("0.0.0.0",), named=False)}, other_view=True)
    assert verdict.events == ()
    assert host.watched.keys() == {SSH}
    assert host.sees({SSH: held("a"), WEB: held("a")}, other_view=True).events == ()
    assert not host.alerts


def test_another_tool_may_call_the_holder_otherwise() -> None:
    host = Host(SSH, WEB)
    other = {SSH: held("sshd: listener")}
    assert kinds(host.sees(other, other_names=True)) == [(Kind.DOWN, "tcp/80")]
    assert host.watched[SSH].holding.programs == ("sshd: listener",)


def test_expected_wins_over_excluded() -> None:
    host = Host(policy=policy(expected="127", excluded="1-1000"))
    assert kinds(host.first) == [(Kind.MISSING, "tcp/127")]
    assert ports.watches(Key("tcp", 127), held("x"), host.policy, EPHEMERAL)
    assert not ports.watches(Key("udp", 127), held("x"), host.policy, EPHEMERAL)


keys = st.sampled_from([SSH, WEB, DNS, Key("tcp", 8080), Key("tcp", 40000)])
holdings = st.builds(
    lambda programs, pid, named: held(*programs, pid=pid, named=named and bool(programs)),
    st.sets(st.sampled_from(["a", "b", "c"]), max_size=2),
    st.integers(1, 3),
    st.booleans(),
)
snapshots = st.lists(st.dictionaries(keys, holdings), min_size=1, max_size=8)
lists = st.sampled_from(["", "22", "80 a", "udp/53, 8080", "80 b, 40000"])
policies = st.builds(
    lambda allowed, excluded, expected: policy(
        allowed=allowed, excluded=excluded, expected=expected
    ),
    lists,
    st.sampled_from(["", "ephemeral", "8080", "program:c"]),
    lists,
)


@given(policies, snapshots)
def test_replaying_the_events_gives_what_listens(asked: Policy, played: list[Any]) -> None:
    host = Host(policy=asked)
    host.watched.clear()
    up: set[Key] = set()
    for number, listeners in enumerate(played):
        verdict = host.sees(listeners, first=number == 0)
        if number == 0:
            up = {key for key, row in host.watched.items() if row.is_up}
        seen: set[tuple[Kind, Key]] = set()
        for event in verdict.events:
            assert (event.kind, event.key) not in seen, "one row a transition"
            seen.add((event.kind, event.key))
            (up.add if event.after is not None else up.discard)(event.key)
        # What the lists leave out goes without an event.
        up -= set(verdict.gone)
        watched = {
            key for key, now in listeners.items() if ports.watches(key, now, asked, EPHEMERAL)
        }
        assert up == watched == {key for key, row in host.watched.items() if row.is_up}


@given(policies, snapshots)
def test_the_same_again_is_nothing(asked: Policy, played: list[Any]) -> None:
    host = Host(policy=asked)
    for number, listeners in enumerate(played):
        host.sees(listeners, first=number == 0)
        assert host.sees(listeners).is_empty


@given(policies, policies, snapshots, snapshots)
def test_no_alert_outlives_its_reason(
    before: Policy, after: Policy, played: list[Any], then: list[Any]
) -> None:
    host = Host(policy=before)
    for listeners in played:
        host.sees(listeners)
    host.policy = after
    for listeners in then:
        host.sees(listeners)
        for fingerprint in host.alerts:
            alarm, _colon, name = fingerprint.partition(":")
            key = next(key for key in host.watched if str(key) == name)
            row = host.watched[key]
            if alarm == Alarm.DOWN:
                assert (row.is_up, row.told) == (False, False)
            elif alarm == Alarm.EXPECTED:
                assert row.told
            else:
                assert row.is_up


def test_an_empty_list_is_no_list() -> None:
    assert not PortList()
    assert not parse("# nothing")
