"""Reading of query strings: what fits, in its plainest form; what does not, by name."""

from __future__ import annotations

import datetime as dt

import pytest
from django.http import QueryDict
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from probes import filters
from probes.filters import FilterError, Invalid, SocketFilter
from probes.parsers.records import STATE_ALIASES, TCP_STATES


def read(query: str, **options: bool) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(query), **options)


def refused(query: str, **options: bool) -> FilterError:
    with pytest.raises(FilterError) as caught:
        read(query, **options)
    return caught.value


@pytest.mark.parametrize("name", [*TCP_STATES, *STATE_ALIASES])
def test_every_spelling_of_a_state_is_read_in_any_case(name: str) -> None:
    expected = STATE_ALIASES.get(name, name)
    for spelling in (name, name.lower(), name.title(), name.replace("_", "-")):
        assert read(f"state={spelling}").state == expected


def test_several_states_are_read_once_each_in_their_order() -> None:
    assert read("state=syn_rcvd,LISTENING, SYN_REC").state == "SYN_RECV,LISTEN"


def test_a_filter_writes_itself_back_in_its_plainest_form() -> None:
    query = "proto=TCP&state=listening&local_port=80, 8000-8000,1-9&hide=listen,loopback,listen"
    model = read(query + "&pid=007&remote_ip=10.0.0.0/8")

    assert model.parameters() == {
        "proto": "tcp",
        "state": "LISTEN",
        "local_port": "80,8000,1-9",
        "hide": "listen,loopback",
        "pid": "7",
        "remote_ip": "10.0.0.0/8",
    }
    assert filters.parse(SocketFilter, as_query(model.parameters())) == model


def as_query(parameters: dict[str, str]) -> QueryDict:
    query = QueryDict(mutable=True)
    query.update(parameters)
    return query


def test_an_empty_parameter_is_absent_on_a_page_and_wrong_in_the_api() -> None:
    assert read("proto=&state=%20&program=ssh").parameters() == {"program": "ssh"}
    for query in ("proto=", "state=%20", "program=", "hide=%E3%80%80"):
        assert refused(query, blank_is_absent=False).field == query.partition("=")[0]


def test_parameters_of_others_are_left_alone_where_named() -> None:
    query = QueryDict("state=LISTEN&at=now&at=then&page=-1")

    model = filters.parse(SocketFilter, query, ignore=("at", "page"))

    assert model.state == "LISTEN"
    assert refused("state=LISTEN&at=now").field == "at"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("local_port=0", "local_port"),
        ("local_port=65536", "local_port"),
        ("local_port=90-80", "local_port"),
        ("local_port=80-", "local_port"),
        ("local_port=-80", "local_port"),
        ("local_port=80,,81", "local_port"),
        ("local_port=80-90-100", "local_port"),
        ("remote_port=" + ",".join(["1"] * 51), "remote_port"),
        ("pid=0", "pid"),
        ("pid=4294967296", "pid"),
        ("pid=NONE", "pid"),
        ("remote_ip=10.0.0.0/33", "remote_ip"),
        ("remote_ip=010.0.0.1", "remote_ip"),
        ("remote_ip=10.0.0", "remote_ip"),
        ("remote_ip=10.0.0.0/255.0.255.0", "remote_ip"),
        ("remote_ip=fe80::/10%25eth0", "remote_ip"),
        ("remote_ip=localhost", "remote_ip"),
        ("local_ip=::1%25", "local_ip"),
        ("state=UNKNOWN_STATE", "state"),
        ("state=%EF%AC%81n_wait1", "state"),
        ("state=LISTEN,", "state"),
        ("proto=udp&state=LISTEN", "state"),
        ("proto=udplite&state=LISTEN", "state"),
        ("proto=icmp", "proto"),
        ("direction=IN", "direction"),
        ("family=5", "family"),
        ("hide=everything", "hide"),
        ("program=%00", "program"),
        ("program=" + "x" * 201, "program"),
        ("program=a&program=b", "program"),
        ("Program=a", "Program"),
    ],
)
def test_what_does_not_fit_is_named(query: str, field: str) -> None:
    error = refused(query)

    assert error.field == field
    assert str(error.message)


def test_a_name_nobody_knows_is_said_without_its_control_characters() -> None:
    assert refused("%1b%5b2J" + "x" * 500 + "=1").field == "\ufffd[2J" + "x" * 96


def test_all_and_states_go_together() -> None:
    assert read("proto=all&state=LISTEN").state == "LISTEN"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10.1.2.3", "0a010203", "0a010203"),
        ("10.1.2.3/8", "0a000000", "0affffff"),
        ("0.0.0.0/0", "00000000", "ffffffff"),
        ("::ffff:10.0.0.0/104", "0a000000", "0affffff"),
    ],
)
def test_ipv4_is_a_range_within_its_place_in_ipv6(text: str, low: str, high: str) -> None:
    found = filters.address_range(text)

    prefix = bytes(10) + b"\xff\xff"
    assert (found.low, found.high) == (prefix + bytes.fromhex(low), prefix + bytes.fromhex(high))
    assert not found.without_ipv4


def test_only_an_ipv6_network_around_ipv4s_place_leaves_it_out() -> None:
    around = {text: filters.address_range(text).without_ipv4 for text in NETWORKS}

    assert around == NETWORKS


NETWORKS = {"::/0": True, "::/8": True, "::/80": True, "::/95": False, "2001:db8::/32": False,
            "::fffe:0:0/95": True, "::ffff:0:0/96": False, "::1": False}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", (2026, 1, 31)),
        ("2026-01-31T03:12", (2026, 1, 31, 3, 12)),
        ("2026-01-31 03:12:05", (2026, 1, 31, 3, 12, 5)),
        ("2026-01-31T03:12:05.5Z", (2026, 1, 31, 3, 12, 5, 500_000)),
        ("2026-01-31T03:12:05.123456+01:00", (2026, 1, 31, 2, 12, 5, 123_456)),
        ("2026-01-31T03:12:05-0800", (2026, 1, 31, 11, 12, 5)),
        ("2026-01-31T03:12:05 08:00", (2026, 1, 30, 19, 12, 5)),
    ],
)
def test_times_are_read_as_utc(text: str, expected: tuple[int, ...]) -> None:
    assert filters.moment(text) == dt.datetime(*expected, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    "text",
    ["", "now", "0", "1769829125", "2026-1-31", "2026-02-30", "2026-01-31T24:00", "２０２６-01-31",
     "2026-01-31T03:12:05.1234567", "2026-01-31T03:12.5", "2026-01-31T03:12:05+99:00",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z",
     "2200-01-01", "2026-01-31T", "2026-W05-6", "2026-01-31T03:12:05Z\n"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        filters.moment(text)


def test_messages_are_in_the_readers_language_when_shown() -> None:
    with translation.override("zh-hans"):
        error = refused("local_port=0")
    with translation.override("en"):
        assert str(error.message) == "Give a number from 1 to 65535."


@given(st.dictionaries(st.sampled_from([*SocketFilter.model_fields, "x"]), st.text(max_size=40)))
def test_any_text_is_read_or_refused_by_name(parameters: dict[str, str]) -> None:
    query = as_query(parameters)
    named: str | None
    try:
        model = filters.parse(SocketFilter, query, blank_is_absent=False)
    except FilterError as error:
        named = error.field
    else:
        named = None
        assert filters.parse(SocketFilter, as_query(model.parameters())) == model
    assert named in {None, *parameters}
