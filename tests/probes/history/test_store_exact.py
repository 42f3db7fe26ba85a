"""Whatever is played in, in whatever order, history gives back to the row."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.models import Host
from probes import parsers
from probes.history import diff, store
from probes.models import LastText, Outcome, Schedule, Snapshot
from probes.observation import Code, Privilege
from probes.parsers.records import Socket
from tests.databases import POSTGRESQL, SQLITE
from tests.probes.history.played import (
    at,
    counts_of,
    failed,
    line,
    observed,
    open_rows,
    queues,
    rows_at,
    rows_of,
    ss_table,
    table,
)

PORTS = st.sampled_from([22, 80, 40000])
ROWS = st.builds(
    lambda port, peer, state, holder, queues: line(
        f"10.0.0.5:{port}",
        "0.0.0.0:*" if state == "LISTEN" else f"10.0.0.{peer}:{50000 + peer}",
        state,
        holder,
        queues=queues,
    ),
    PORTS,
    st.integers(1, 3),
    st.sampled_from(["LISTEN", "ESTABLISHED", "CLOSE_WAIT", "TIME_WAIT"]),
    st.sampled_from(["800/sshd", "801/a b", "-"]),
    st.sampled_from([(0, 0), (0, 0), (5, 0), (2**63 - 1, 1)]),
)
OTHERS = st.sampled_from(
    [
        line("0.0.0.0:5353", "0.0.0.0:*", "", "7/avahi", protocol="udp"),
        line("10.0.0.5:5353", "10.0.0.9:1", "ESTABLISHED", "7/avahi", protocol="udp"),
        line("fe80::1%eth0:546", ":::*", "", "8/dhcp", protocol="udp6"),
        line("::ffff:10.0.0.5:80", "::ffff:10.0.0.9:9", holder="9/nginx", protocol="tcp6"),
        line("2001:db8:1234:5678:9:22", ":::*", "LISTEN", "8/cut", protocol="tcp6"),
        line("0.0.0.0:1", "0.0.0.0:*", "7", "-", protocol="raw"),
        "tcp 0 0 rubbish",
        "",
    ]
)
TABLES = st.lists(ROWS | OTHERS, max_size=12).map(lambda lines: table(*lines))
SS_ROWS = st.builds(
    lambda peer, state, user: ("tcp", state, "0", "0", f"[fe80::{peer}]:22", f"1.2.3.{peer}:9",
                               f'users:(("{user}",pid=1,fd=2))'),
    st.sampled_from(["1", "1:2:3:4"]).map(str),
    st.sampled_from(["ESTAB", "LISTEN"]),
    st.sampled_from(["a b", "a  b"]),
)  # fmt: skip
SS_TABLES = st.lists(SS_ROWS, max_size=5).map(lambda rows: ss_table(*rows))
TEXTS = TABLES | TABLES | TABLES | SS_TABLES


@dataclass(frozen=True)
class Step:
    """One thing that happens to a host."""

    kind: str
    text: str = ""
    back: int = 0
    """How many minutes late it arrives."""


STEPS = st.one_of(
    st.builds(Step, st.just("whole"), TEXTS),
    st.builds(Step, st.just("whole"), TEXTS),
    st.builds(Step, st.just("edited"), st.text("abcd", max_size=4)),
    st.builds(Step, st.just("late"), TEXTS, st.integers(1, 4)),
    st.builds(Step, st.sampled_from(["failed", "cut", "again", "reboot", "forgot", "less"])),
)


@dataclass
class Player:
    """Plays steps on one host and remembers what every whole snapshot must show."""

    host: Host
    using: str
    minute: int = 0
    text: str = table()
    known: dict[int, Counter[Socket]] = field(default_factory=dict)
    """Rows by the minute of each whole snapshot."""

    def play(self, step: Step) -> None:
        self.minute += 1
        match step.kind:
            case "whole":
                self._whole(step.text)
            case "edited":  # most lines stay: the way of the unseen lines
                lines = self.text.splitlines()[2:]
                for letter in step.text:
                    if letter in "ab" and lines:
                        lines.pop(ord(letter) % len(lines))
                    else:
                        lines.append(line(f"10.0.0.5:{ord(letter)}"))
                self._whole(table(*lines))
            case "late":
                when = self.minute - step.back - 0.5
                newest = max(self.known, default=-1)
                if not self.known or when > newest:
                    return
                snapshot = self._save(when, step.text)
                assert snapshot.outcome == Outcome.LATE
            case "failed":
                store.save(self.host, failed(self.minute), using=self.using)
            case "cut":
                cut = failed(self.minute, Code.TRUNCATED, raw=self.text[:-40].encode())
                store.save(self.host, cut, using=self.using)
            case "again":
                if self.known:
                    again = max(self.known)
                    before = Snapshot.objects.using(self.using).count()
                    self._save(again, table(line(holder="1/never")))
                    assert Snapshot.objects.using(self.using).count() == before
            case "reboot":
                self._whole(self.text.replace("800/", "900/").replace("801/", "901/"))
            case "forgot":
                LastText.objects.using(self.using).filter(host_id=self.host.pk).delete()
            case "less":
                if LastText.objects.using(self.using).filter(host_id=self.host.pk).exists():
                    snapshot = store.save(
                        self.host,
                        observed(self.minute, table(line()), privilege=Privilege.USER),
                        login_version="v1",
                        using=self.using,
                    )
                    assert snapshot.outcome == Outcome.LIMITED

    def _whole(self, text: str) -> None:
        snapshot = self._save(self.minute, text)
        parsed = parsers.parse_sockets(text)
        if len(parsed.rejected) <= len(parsed.sockets):
            assert snapshot.outcome == Outcome.OK
            self.known[self.minute], self.text = rows_of(text), text
            expected = diff.whole(text).counts
            assert counts_of(snapshot) == _stored(expected)
        else:
            assert snapshot.outcome == Outcome.FAILED

    def _save(self, minute: float, text: str) -> Snapshot:
        return store.save(self.host, observed(minute, text), login_version="v1", using=self.using)

    def check(self) -> None:
        """Every whole snapshot is given back; text, open set and newest snapshot agree."""
        for minute, rows in self.known.items():
            assert rows_at(self.host, at(minute), self.using) == rows
        if not self.known:
            assert not open_rows(self.host, self.using)
            return
        newest = max(self.known)
        assert open_rows(self.host, self.using) == self.known[newest]
        whole = Schedule.objects.using(self.using).get(host_id=self.host.pk).latest_whole
        assert whole is not None
        assert whole.taken_at == at(newest)
        kept = LastText.objects.using(self.using).filter(host_id=self.host.pk).first()
        if kept is not None:
            assert kept.taken_at == whole.taken_at
            assert store.raw(whole, using=self.using) == self.text.encode()
        expected = {
            (socket._replace(recv_queue=None, send_queue=None), *held)
            for socket, held in diff.whole(self.text).sockets.values()
        }
        assert set(queues(self.host, self.using)) == expected


def _stored(counts: diff.Counts) -> diff.Counts:
    """Without what a snapshot does not carry."""
    return counts + diff.Counts(header_lines=-counts.header_lines, blank_lines=-counts.blank_lines)


_names = (f"web{number}" for number in itertools.count())


def _play(steps: list[Step], using: str) -> None:
    host = Host.objects.using(using).create(name=next(_names), address="192.0.2.1")
    player = Player(host, using)
    for step in steps:
        player.play(step)
        player.check()


@pytest.mark.django_db(databases=[SQLITE])
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=10))
def test_every_whole_snapshot_is_given_back_on_sqlite(steps: list[Step]) -> None:
    _play(steps, SQLITE)


@pytest.mark.django_db(databases=[POSTGRESQL])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=10))
def test_every_whole_snapshot_is_given_back_on_postgresql(steps: list[Step]) -> None:
    _play(steps, POSTGRESQL)


@pytest.mark.parametrize(
    "using",
    [
        pytest.param(SQLITE, marks=pytest.mark.django_db(databases=[SQLITE])),
        pytest.param(POSTGRESQL, marks=pytest.mark.django_db(databases=[POSTGRESQL])),
    ],
)
def test_a_large_host_is_exact_over_small_and_large_changes(host: Host, using: str) -> None:
    from bench.netstat_text import churn, generate

    player = Player(host, using)
    text = generate(2_000, 1)
    for seed, fraction in enumerate([0.0, 0.01, 0.1, 0.3, 0.9, 0.0, 0.05]):
        text = churn(text, fraction, seed)
        player.play(Step("whole", text))
    player.check()
