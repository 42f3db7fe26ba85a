"""How often one caller may ask: counted together, told in each answer, and no fault of Redis."""

from __future__ import annotations

import datetime as dt
import logging
import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from netadmin.access import rates, tokens
from netadmin.access.models import Scope
from netadmin.access.rates import Counter
from netadmin.envelope import Refused
from tests.people import browser_of
from tests.servers import Redis

PATH = "/api/v1/hosts/"
NOW = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
"""Half way through a window: those of a process begin with the minute."""


@pytest.fixture(autouse=True)
def _counted_from_nothing() -> Iterator[None]:
    rates._counter.cache_clear()
    yield
    rates._counter.cache_clear()


def token_of(user: User, name: str = "script") -> dict[str, str]:
    _row, text = tokens.create(user=user, name=name, scope=Scope.READ)
    return {"Authorization": f"Bearer {text}"}


def ask(headers: dict[str, str] | None = None, *, address: str = "192.0.2.7", **more: Any) -> Any:
    client: Client = more.get("client") or browser_of(None)
    path = more.get("path", PATH)
    return client.get(path, headers=headers or {}, REMOTE_ADDR=address)  # type: ignore[arg-type]


def told(response: HttpResponse) -> tuple[int, int]:
    """Limit and what remains of it, as an answer says."""
    assert 0 < int(response["RateLimit-Reset"]) <= rates.WINDOW_S
    return int(response["RateLimit-Limit"]), int(response["RateLimit-Remaining"])


class TestAnswers:
    @pytest.fixture(autouse=True)
    def _three_a_minute(self, settings: Any) -> None:
        settings.API_PER_MINUTE = 3

    def test_each_says_where_its_caller_stands_until_it_is_refused(self, viewer: User) -> None:
        token = token_of(viewer)
        answers = [ask(token) for _ in range(4)]

        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert [told(each) for each in answers] == [(3, 2), (3, 1), (3, 0), (3, 0)]
        refused = answers[-1]
        assert refused.json()["error"]["code"] == "rate_limited"
        assert 0 < int(refused["Retry-After"]) <= rates.WINDOW_S + 1
        assert refused["Retry-After"] in refused.json()["error"]["hint"]
        assert all("Retry-After" not in each.headers for each in answers[:3])

    def test_tokens_users_and_addresses_are_counted_apart(
        self, viewer: User, operator: User
    ) -> None:
        first, second = token_of(viewer), token_of(viewer, "other")
        session, elsewhere = browser_of(viewer), browser_of(viewer)
        for _ in range(3):
            assert ask(first).status_code == 200
            assert ask(client=session).status_code == 200
            assert ask().status_code == 401
        assert ask(first, address="192.0.2.99").status_code == 429
        assert ask(client=elsewhere).status_code == 429
        assert ask().status_code == 429
        assert ask(second).status_code == 200
        assert ask(client=browser_of(operator)).status_code == 200
        assert ask(address="192.0.2.8").status_code == 401

    def test_guessing_tokens_costs_the_address_and_not_the_owner(self, viewer: User) -> None:
        token = token_of(viewer)
        guess = {"Authorization": f"Bearer nad_00000000_{'x' * 43}"}

        assert [ask(guess).status_code for _ in range(4)] == [401, 401, 401, 429]
        assert [ask(guess, client=browser_of(viewer)).status_code] == [429]
        assert told(ask(token)) == (3, 2)

    def test_a_token_used_from_elsewhere_costs_that_address(self, viewer: User) -> None:
        _row, text = tokens.create(
            user=viewer, name="x", scope=Scope.READ, from_networks=["192.0.2.0/24"]
        )
        token = {"Authorization": f"Bearer {text}"}

        stolen = [ask(token, address="203.0.113.9").status_code for _ in range(4)]
        assert stolen == [403, 403, 403, 429]
        assert told(ask(token)) == (3, 2)

    def test_neighbours_of_one_ipv6_network_are_one_caller(self, db: None) -> None:
        for last in "123":
            assert ask(address=f"2001:db8::{last}").status_code == 401
        assert ask(address="2001:db8::4").status_code == 429
        assert ask(address="2001:db8:0:1::4").status_code == 401

    @pytest.mark.parametrize("path", ["/metrics", "/mcp", "/api/v1/absent"])
    def test_all_that_programs_call_is_counted(self, db: None, path: str) -> None:
        assert [ask(path=path).status_code == 429 for _ in range(4)] == [False] * 3 + [True]

    def test_below_a_path_of_a_proxy_s_it_is_counted_and_judged_alike(self, viewer: User) -> None:
        client = Client(raise_request_exception=False)
        by_token = client.get(PATH, headers=token_of(viewer), SCRIPT_NAME="/below")
        by_nobody = client.get(PATH, SCRIPT_NAME="/below")

        assert (by_token.status_code, told(by_token)) == (200, (3, 2))
        assert (by_nobody.status_code, told(by_nobody)) == (401, (3, 2))

    def test_pages_are_not(self, viewer: User) -> None:
        client = browser_of(viewer)
        answers = [ask(client=client, path=reverse("tokens")) for _ in range(4)]
        assert {each.status_code for each in answers} == {200}
        assert "RateLimit-Limit" not in answers[0].headers

    def test_a_live_query_has_a_limit_of_its_own_which_the_answer_tells(
        self, viewer: User, rf: RequestFactory, settings: Any
    ) -> None:
        settings.LIVE_PER_MINUTE = 1
        request = rf.get(PATH)
        request.user = viewer
        rates.spend(request, "api")
        rates.spend(request, "live")
        assert request.rate.limit == 1  # type: ignore[attr-defined]
        with pytest.raises(Refused) as refused:
            rates.spend(request, "live")
        assert (refused.value.status, refused.value.code) == (429, "rate_limited")
        assert int(refused.value.headers["Retry-After"]) > 0
        rates.spend(request, "api")
        assert request.rate.remaining == 1  # type: ignore[attr-defined]

    def test_without_a_limit_nothing_is_counted_or_told(self, db: None, settings: Any) -> None:
        settings.API_PER_MINUTE = 0
        answers = [ask() for _ in range(5)]
        assert {each.status_code for each in answers} == {401}
        assert "RateLimit-Limit" not in answers[0].headers

    def test_a_caller_without_an_address_is_counted_too(self, db: None, rf: RequestFactory) -> None:
        request = rf.get(PATH, REMOTE_ADDR="")
        request.user = AnonymousUser()
        assert rates.caller(request) == "from:-"


class TestWindow:
    def test_who_waits_as_long_as_told_is_taken_and_no_sooner(self) -> None:
        counter = Counter("memory://")
        with time_machine.travel(NOW, tick=False) as clock:
            assert [counter.hit("a", 10)[0] for _ in range(11)] == [True] * 10 + [False]
            for _ in range(3):
                taken, rate = counter.hit("a", 10)
                assert (taken, rate.remaining) == (False, 0)
                clock.shift(rate.retry_s - 2)  # what is told is rounded up to a second
                assert not counter.hit("a", 10)[0]
                clock.shift(2)
                assert counter.hit("a", 10)[0]

    def test_a_pause_of_two_windows_forgives_all(self) -> None:
        counter = Counter("memory://")
        with time_machine.travel(NOW, tick=False) as clock:
            for _ in range(10):
                counter.hit("a", 10)
            clock.shift(2 * rates.WINDOW_S)
            assert counter.hit("a", 10)[1].remaining == 9


class TestRedis:
    def test_processes_count_together(self, redis_url: str) -> None:
        counter = Counter(redis_url)
        assert counter.hit("a", 50)[0]  # the connection is there before the processes part
        fork = multiprocessing.get_context("fork")
        taken = fork.SimpleQueue()
        processes = [fork.Process(target=_take, args=(counter, 40, taken)) for _ in range(2)]
        for process in processes:
            process.start()
        assert taken.get() + taken.get() == 49
        for process in processes:
            process.join()
        assert not counter.hit("a", 50)[0]

    @pytest.mark.parametrize(
        ("celery", "ours"),
        [
            ("redis://:p@host:6380/3", "redis://:p@host:6380/3"),
            ("redis+socket:///run/broker.sock", "redis+unix:///run/broker.sock"),
            ("redis+socket:///b.sock?virtual_host=2", "redis+unix:///b.sock?db=2"),
            ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://h/0?ssl_cert_reqs=required"),
        ],
    )
    def test_addresses_are_written_as_celery_writes_them(self, celery: str, ours: str) -> None:
        assert rates._redis_address(celery) == ours

    @pytest.mark.parametrize(
        "url", ["memory://", "amqp://guest@mq//", "sentinel://a:1;sentinel://b:2", "", "redis"]
    )
    def test_a_broker_that_is_no_redis_leaves_each_process_to_itself(self, url: str) -> None:
        assert rates._redis_address(url) == ""
        assert [Counter(url).hit("a", 1)[0] for _ in range(2)] == [True, True]

    def test_what_redis_counts_is_told_alike(self, redis_url: str) -> None:
        counter = Counter(redis_url)
        assert [counter.hit("a", 3)[1].remaining for _ in range(3)] == [2, 1, 0]
        assert [Counter(redis_url).hit("a", 3)[0]] == [False]
        taken, rate = counter.hit("a", 3)
        assert not taken
        assert 0 < rate.reset_s <= rates.WINDOW_S
        assert 0 < rate.retry_s <= rates.WINDOW_S + 1

    def test_killed_it_costs_nobody_a_request_and_back_it_counts_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rates, "PAUSE_S", 0.0)
        caplog.set_level(logging.INFO, logger="netadmin.access.rates")
        server = Redis(tmp_path)
        with server:
            counter = Counter(server.url.replace("//", "//:hidden-word@"))
            bare = Counter(server.url)
            assert bare.hit("a", 2)[1].remaining == 1
            server.kill()
            assert [bare.hit("a", 2)[0] for _ in range(3)] == [True, True, False]
            assert counter.hit("a", 2)[0]
            server.start()
            assert [bare.hit("a", 2)[0] for _ in range(3)] == [True, True, False]
            client = server.client()
            assert client.keys("netadmin:rate*")
            client.close()
        lines = [record.getMessage() for record in caplog.records]
        assert [line.partition(":")[0] for line in lines] == [
            "rate limits are counted per process",
            "rate limits are counted per process",  # of the other counter
            "rate limits are counted in Redis again",
        ]
        assert "hidden-word" not in caplog.text

    def test_one_that_never_answers_is_asked_by_one_caller_after_each_pause(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rates, "TIMEOUT_S", 0.05)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(20)
            silent.settimeout(10)
            counter = Counter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            assert [counter.hit("a", 4)[0] for _ in range(5)] == [True] * 4 + [False]
            silent.accept()[0].close()
            silent.setblocking(False)
            with pytest.raises(BlockingIOError):
                silent.accept()

    def test_an_address_that_is_none_is_no_fault_of_the_caller(self) -> None:
        assert Counter("redis://127.0.0.1:no-port/0").hit("a", 1)[0]


def _take(counter: Counter, times: int, taken: Any) -> None:
    taken.put(sum(counter.hit("a", 50)[0] for _ in range(times)))
