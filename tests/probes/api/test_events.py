"""The stream of events: what it tells, to whom, how it ends, and what it holds meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes.api import events
from probes.models import Change
from tests.people import browser_of, person
from tests.probes.api.site import error_of
from tests.probes.history.played import at
from tests.waiting import PATIENCE_S, wait_until

PATH = "/api/v1/events"

pytestmark = pytest.mark.django_db(transaction=True)


class Told:
    """A stream as its reader has it."""

    def __init__(self, response: HttpResponse) -> None:
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "text/event-stream"
        self._response = response
        self._pieces = iter(response)
        self.over = False

    def next(self) -> list[dict[str, Any]]:
        """The events of the next piece; none where the stream is over, or it is a sign of life."""
        piece = next(self._pieces, None)
        if piece is None:
            self.over = True
            return []
        text = piece.decode() if isinstance(piece, bytes) else str(piece)
        assert text.endswith("\n\n")
        found = []
        for block in text.removesuffix("\n\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in fields:
                fields["data"] = json.loads(fields["data"])
                found.append(fields)
        return found

    def titles(self) -> list[str]:
        """Of the changes of the next piece."""
        return [each["data"]["title"] for each in self.next() if each["event"] == "change"]

    def close(self) -> None:
        """As the web server does it when the reader has gone."""
        self._response.close()


@pytest.fixture(autouse=True)
def _streams(settings: Any) -> Iterator[None]:
    settings.EVENT_STREAMS = 4
    yield
    assert events.SEATS.taken == 0
    wait_until(lambda: not events.LOOKOUT.looks, what="the look-out ended with the last stream")


@pytest.fixture
def host() -> Host:
    made = Host.objects.create(name="web1", address="192.0.2.7")
    made.groups.add(HostGroup.objects.create(name="inside"))
    return made


@pytest.fixture
def listen() -> Iterator[Callable[..., Told]]:
    """``listen(client, **query)``: a stream that is closed at the end; its begin is read."""
    streams: list[Told] = []

    def begin(client: Client, *, headers: dict[str, str] | None = None, **query: Any) -> Told:
        stream = Told(client.get(PATH, query, headers=headers or {}))
        streams.append(stream)
        (first,) = stream.next()
        assert (first["event"], first["retry"]) == ("begin", "3000")
        return stream

    yield begin
    for stream in streams:
        stream.close()


@pytest.fixture
def viewer(host: Host) -> User:
    return person("viewer", Role.VIEWER, groups=list(host.groups.all()))


def changed(host: Host, port: int) -> Change:
    return Change.objects.create(
        host=host,
        kind="port_new",
        at=at(0),
        announced_at=at(0),
        protocol="tcp",
        port=port,
        program="nginx",
        detail={"event": "port_new", "protocol": "tcp", "port": port, "programs": ["nginx"]},
    )


def test_a_change_is_told_as_the_route_of_changes_shows_it(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    client = browser_of(viewer)
    stream = listen(client)
    told = changed(host, 80)

    (event,) = stream.next()

    told.refresh_from_db()
    assert (event["event"], event["id"]) == ("change", str(told.feed))
    assert [event["data"]] == client.get("/api/v1/changes").json()["data"]["changes"]


def test_whoever_comes_back_gets_what_came_meanwhile(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    client = browser_of(viewer)
    stream = listen(client)
    changed(host, 80)
    (last,) = stream.next()
    stream.close()
    changed(host, 81)
    changed(host, 82)

    again = listen(client, headers={"Last-Event-ID": last["id"]})

    assert [each["data"]["port"] for each in again.next()] == [81, 82]


def test_a_stream_from_a_place_and_a_filter(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    for port in (80, 443, 8080):
        changed(host, port)

    stream = listen(browser_of(viewer), after=0, port="443,8080")

    assert [each["data"]["port"] for each in stream.next()] == [443, 8080]


def test_what_lies_outside_the_groups_is_not_told(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    hidden = Host.objects.create(name="hidden", address="192.0.2.8")
    stream = listen(browser_of(viewer))
    changed(hidden, 22)
    changed(host, 80)

    while not (told := stream.next()):
        assert not stream.over
    assert [each["data"]["host"]["name"] for each in told] == ["web1"]


def test_each_reader_is_told_in_its_language(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    stream = listen(browser_of(viewer), headers={"Accept-Language": "zh-hans"})
    english = listen(browser_of(viewer))
    changed(host, 80)

    (chinese,) = stream.titles()

    assert not chinese.isascii()
    assert english.titles()[0].isascii()


@pytest.mark.parametrize("lost", ["token", "person", "role"])
def test_a_stream_ends_when_its_reader_may_ask_no_more(
    host: Host, viewer: User, listen: Callable[..., Told], lost: str
) -> None:
    row, text = tokens.create(user=viewer, name="script", scope=Scope.READ)
    stream = listen(Client(), headers={"Authorization": f"Bearer {text}"})
    if lost == "token":
        row.delete()
    elif lost == "person":
        User.objects.filter(pk=viewer.pk).update(is_active=False)
    else:
        viewer.access.delete()  # type: ignore[attr-defined]
    changed(host, 80)

    assert stream.next() == []
    assert stream.over


def test_a_stream_ends_with_its_session(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    client = browser_of(viewer)
    stream = listen(client)
    client.logout()
    changed(host, 80)

    assert stream.next() == []
    assert stream.over


def test_a_group_that_is_taken_away_is_told_no_more(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    stream = listen(browser_of(viewer), seconds=1)
    host.groups.clear()
    changed(host, 80)

    assert stream.next() == []


def test_a_quiet_stream_shows_signs_of_life_and_ends_when_the_session_does(
    viewer: User, listen: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SIGN_OF_LIFE_S", 0.01)
    monkeypatch.setattr(events, "LOOK_ROUND_S", 0.01)
    client = browser_of(viewer)
    stream = listen(client)

    assert stream.next() == []
    assert not stream.over
    client.logout()
    while not stream.over:
        assert stream.next() == []


def test_a_stream_lasts_no_longer_than_asked(viewer: User, listen: Callable[..., Told]) -> None:
    stream = listen(browser_of(viewer), seconds=1)

    assert stream.next() == []
    assert stream.over


def test_there_are_so_many_streams_and_half_of_them_for_one_person(
    viewer: User, listen: Callable[..., Told]
) -> None:
    client = browser_of(viewer)
    first, _second = listen(client), listen(client)

    response = client.get(PATH)
    assert error_of(response, 503)["code"] == "too_many_streams"
    assert int(response["Retry-After"]) > 0

    other = browser_of(person("other", Role.VIEWER))
    listen(other), listen(other)
    assert browser_of(person("third", Role.VIEWER)).get(PATH).status_code == 503

    first.close()
    listen(client)


def test_a_head_and_a_forgotten_answer_take_no_seat(viewer: User) -> None:
    client = browser_of(viewer)

    response = client.head(PATH)

    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    assert events.SEATS.taken == 0


def test_no_stream_is_open_where_none_is_allowed(viewer: User, settings: Any) -> None:
    settings.EVENT_STREAMS = 0
    error_of(browser_of(viewer).get(PATH), 503)


def test_a_waiting_stream_holds_no_database_connection(
    host: Host, viewer: User, listen: Callable[..., Told]
) -> None:
    stream = listen(browser_of(viewer))
    assert connection.connection is None

    changed(host, 80)
    assert stream.titles()

    assert connection.connection is None


def test_a_reader_who_left_is_noticed_where_the_server_shows_its_socket(viewer: User) -> None:
    here, there = socket.socketpair()
    with here, there:
        stream = Told(browser_of(viewer).get(PATH, **{"gunicorn.socket": here}))
        assert stream.next()
        there.close()

        assert stream.next() == []
        assert stream.over
        stream.close()


def test_a_backlog_is_told_piece_by_piece_to_a_reader_who_is_there(
    host: Host, viewer: User, listen: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "ROWS_A_LOOK", 2)
    for port in range(5):
        changed(host, port + 1)

    stream = listen(browser_of(viewer), after=0)
    assert [len(stream.titles()) for _piece in range(3)] == [2, 2, 1]

    here, there = socket.socketpair()
    with here, there:
        left = Told(browser_of(viewer).get(PATH, {"after": 0}, **{"gunicorn.socket": here}))
        assert left.next()
        assert len(left.titles()) == 2
        there.close()
        assert left.next() == []
        assert left.over
        left.close()


def test_a_reader_who_takes_nothing_keeps_no_thread(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STALLED_S", 0.01)
    here, there = socket.socketpair()
    with here, there:
        stream = Told(browser_of(viewer).get(PATH, **{"gunicorn.socket": here}))
        assert here.gettimeout() is not None
        with pytest.raises(TimeoutError):
            here.sendall(b"x" * 10_000_000)
        stream.close()


def test_a_reader_who_is_there_is_not_taken_for_gone(host: Host, viewer: User) -> None:
    here, there = socket.socketpair()
    with here, there:
        stream = Told(browser_of(viewer).get(PATH, **{"gunicorn.socket": here}))
        stream.next()
        there.send(b"GET / HTTP/1.1\r\n")
        changed(host, 80)

        assert stream.titles()
        stream.close()


@pytest.mark.parametrize("wrong", ["x", "-1", "1.5", "٣", "9" * 19])
def test_an_id_that_is_none_is_refused(viewer: User, wrong: str) -> None:
    response = browser_of(viewer).get(PATH, headers={"Last-Event-ID": wrong})
    assert error_of(response, 400)["field"] == "Last-Event-ID"


@pytest.mark.parametrize(
    ("name", "value"), [("sort", "at"), ("after", "old"), ("seconds", "0"), ("seconds", "301")]
)
def test_a_wrong_parameter_is_named(viewer: User, name: str, value: str) -> None:
    assert error_of(browser_of(viewer).get(PATH, {name: value}), 400)["field"] == name


def test_a_feed_that_cannot_be_read_is_tried_again(
    host: Host, viewer: User, listen: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from probes.watch import feed

    failed: list[bool] = []
    end = feed.end

    def fail_once(using: str = "default") -> int:
        if len(failed) == 1:
            failed.append(True)
            raise OperationalError("the server closed the connection")
        failed.append(False)
        return end(using)

    monkeypatch.setattr(feed, "end", fail_once)
    stream = listen(browser_of(viewer))
    wait_until(lambda: any(failed), PATIENCE_S, what="the feed could not be read once")
    changed(host, 80)

    assert stream.titles()
