"""Rates out of counters: never a spike, never below zero, nothing where nothing can be known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.analysis import rates

NAMES = st.sampled_from(["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"])
VALUES = st.one_of(st.none(), st.integers(0, 2**63 - 1))
SAMPLES = st.dictionaries(NAMES, VALUES)


def test_a_counter_grows_by_so_much_a_second() -> None:
    before = {"rx_bytes": 1_000, "rx_packets": 10}
    after = {"rx_bytes": 4_000, "rx_packets": 10}

    assert rates.per_second(before, after, seconds=600) == {"rx_bytes": 5.0, "rx_packets": 0.0}


def test_one_counter_that_went_back_silences_the_others_of_its_interface() -> None:
    before = {"eth0": {"rx_bytes": 9_000, "tx_bytes": 5}, "eth1": {"rx_bytes": 0}}
    after = {"eth0": {"rx_bytes": 100, "tx_bytes": 7_000_000}, "eth1": {"rx_bytes": 60}}

    assert rates.of_interfaces(before, after, seconds=60) == {
        "eth0": {"rx_bytes": None, "tx_bytes": None},
        "eth1": {"rx_bytes": 1.0},
    }


def test_a_wrap_of_32_bits_is_no_spike() -> None:
    before, after = {"rx_bytes": 2**32 - 10}, {"rx_bytes": 10}

    assert rates.per_second(before, after, seconds=1) == {"rx_bytes": None}


def test_an_interface_that_was_not_there_has_no_rate() -> None:
    after = {"tun0": {"rx_bytes": 5_000_000}}

    assert rates.of_interfaces({}, after, seconds=60) == {"tun0": {"rx_bytes": None}}


def test_what_is_not_known_has_no_rate_and_spoils_no_other() -> None:
    before = {"rx_bytes": None, "rx_packets": 1, "tx_bytes": 3}
    after = {"rx_bytes": 5, "rx_packets": 3, "tx_bytes": None, "tx_packets": 9}

    assert rates.per_second(before, after, seconds=2) == {
        "rx_bytes": None,
        "rx_packets": 1.0,
        "tx_bytes": None,
        "tx_packets": None,
    }


@pytest.mark.parametrize("seconds", [0, -1, -0.0, math.nan, math.inf])
def test_no_time_gives_no_rate(seconds: float) -> None:
    assert rates.per_second({"a": 1}, {"a": 2}, seconds=seconds) == {"a": None}


def test_the_number_of_connections_now_is_no_counter() -> None:
    before = {"tcp": {"CurrEstab": 90, "InSegs": 100}, "udp": {"InDatagrams": 50}}
    after = {"tcp": {"CurrEstab": 10, "InSegs": 160}, "udp": {"InDatagrams": 20}}

    assert rates.of_protocols(before, after, seconds=60) == {
        "tcp": {"CurrEstab": None, "InSegs": 1.0},
        "udp": {"InDatagrams": None},
    }


@given(SAMPLES, SAMPLES, st.floats(allow_nan=True))
def test_a_rate_is_never_below_zero_and_only_there_where_all_grew(
    before: dict[str, int | None], after: dict[str, int | None], seconds: float
) -> None:
    found = rates.per_second(before, after, seconds=seconds)

    assert found.keys() == after.keys()
    assert all(rate is None or rate >= 0 for rate in found.values())
    both = [(before[name], value) for name, value in after.items() if name in before]
    went_back = any(old is not None and new is not None and new < old for old, new in both)
    if went_back or not (0 < seconds < math.inf):
        assert set(found.values()) <= {None}


@given(SAMPLES, st.dictionaries(NAMES, st.integers(0, 2**40)), st.integers(1, 10**6))
def test_what_grew_is_told_exactly(
    before: dict[str, int | None], growth: dict[str, int], seconds: int
) -> None:
    after = {
        name: None if value is None else value + growth.get(name, 0)
        for name, value in before.items()
    }

    found = rates.per_second(before, after, seconds=seconds)

    for name, value in before.items():
        expected = None if value is None else growth.get(name, 0) / seconds
        assert found[name] == expected


@given(SAMPLES)
def test_the_same_sample_stands_still(sample: dict[str, int | None]) -> None:
    found = rates.per_second(sample, sample, seconds=1)

    assert all(found[name] == (None if value is None else 0) for name, value in sample.items())
