"""What a listener is bound to, which families it takes, and since when it is there."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.analysis import exposure
from probes.analysis.exposure import Because, Bound, Families, Span, Stack
from probes.parsers.records import Flag

START = dt.datetime(2026, 1, 31, 3, 0, tzinfo=dt.UTC)


def at(minute: int) -> dt.datetime:
    return START + dt.timedelta(minutes=minute)


@pytest.mark.parametrize(
    ("ip", "kind"),
    [
        ("0.0.0.0", Bound.ANY),
        ("::", Bound.ANY),
        ("0.0.0.0%eth0", Bound.ANY),
        ("127.0.0.1", Bound.LOOPBACK),
        ("127.0.0.53", Bound.LOOPBACK),
        ("127.0.0.53%lo", Bound.LOOPBACK),
        ("::1", Bound.LOOPBACK),
        ("10.1.2.3", Bound.PRIVATE),
        ("100.64.0.9", Bound.PRIVATE),
        ("fd00::1", Bound.PRIVATE),
        ("169.254.9.9", Bound.LINK_LOCAL),
        ("fe80::1%eth0", Bound.LINK_LOCAL),
        ("224.0.0.251", Bound.MULTICAST),
        ("ff02::fb", Bound.MULTICAST),
        ("192.0.2.1", Bound.PUBLIC),
        ("2001:db8::1", Bound.PUBLIC),
        ("0.1.2.3", Bound.PRIVATE),
    ],
)
def test_each_kind_of_address_has_its_word(ip: str, kind: Bound) -> None:
    assert exposure.bound(ip, 0) is kind


@pytest.mark.parametrize("flag", [Flag.LOCAL_TRUNCATED, Flag.LOCAL_NAME])
def test_an_address_that_is_not_whole_is_of_no_known_kind(flag: int) -> None:
    assert exposure.bound("2001:db8:1234:567", flag) is Bound.UNKNOWN


def families(ip: str, *, star: bool = False, beside: bool = False, ipv4: bool = False) -> Families:
    found = exposure.families(ip, star=star, ipv4_beside=beside, ipv4_connections=ipv4)
    assert found is not None
    return found


def test_dual_stack_is_concluded_from_what_is_seen() -> None:
    assert families("0.0.0.0") == (Stack.IPV4, Because.ADDRESS)
    assert families("::", star=True, beside=True) == (Stack.BOTH, Because.STAR)
    assert families("::", ipv4=True, beside=True) == (Stack.BOTH, Because.CONNECTIONS)
    assert families("::", beside=True) == (Stack.IPV6, Because.BESIDE)
    assert families("::") == (Stack.PROBABLY_BOTH, Because.NOTHING)
    single = exposure.families("192.0.2.1", star=False, ipv4_beside=True, ipv4_connections=True)
    assert single is None


def test_a_restart_between_two_probes_breaks_no_chain_and_a_missed_probe_does() -> None:
    spans = exposure.runs(
        [Span(at(0), at(4)), Span(at(7), at(9)), Span(at(10), at(12)), Span(at(13), None)]
    )
    assert exposure.gaps(spans) == [(at(12), at(13)), (at(9), at(10)), (at(4), at(7))]
    assert exposure.since(spans, {(at(4), at(7))}) == at(7)
    assert exposure.since(spans, set()) == at(0)
    assert exposure.since(spans, {(at(12), at(13))}) == at(13)


def test_processes_that_overlap_are_one_run() -> None:
    assert exposure.runs([Span(at(5), None), Span(at(0), at(6)), Span(at(1), at(2))]) == [
        Span(at(0), None)
    ]


SEEN = st.lists(st.frozensets(st.integers(1, 3), max_size=3), min_size=1, max_size=25)
"""Which processes each probe saw; those of no process saw no listener."""


@given(SEEN.map(lambda probes: [*probes, frozenset({9})]))
def test_the_chain_is_what_reading_every_probe_backwards_gives(
    probes: list[frozenset[int]],
) -> None:
    spans: list[Span] = []
    for pid in {1, 2, 3, 9}:
        began = None
        for minute, seen in enumerate([*probes, frozenset()]):
            if pid in seen and began is None:
                began = minute
            elif pid not in seen and began is not None:
                ended = None if minute == len(probes) else at(minute - 1)
                spans.append(Span(at(began), ended))
                began = None
    first = len(probes) - 1
    while first and probes[first - 1]:
        first -= 1

    found = exposure.runs(spans)
    real = {
        gap
        for gap in exposure.gaps(found)
        if any(gap[0] < at(minute) < gap[1] for minute in range(len(probes)))
    }

    assert exposure.since(found, real) == at(first)


def test_the_worst_come_first() -> None:
    ordered = sorted(
        ((kind, external) for kind in Bound for external in (0, 3)),
        key=lambda one: exposure.severity(*one),
    )
    assert {kind for kind, _n in ordered[:2]} == {Bound.ANY, Bound.PUBLIC}
    assert [external for _kind, external in ordered[:4]] == [3, 3, 0, 0]
    assert ordered[-1][0] is Bound.LOOPBACK
