"""The outbound guard against a real server: no spelling, name, redirect or library gets past."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import apprise
import pytest
import requests

from netadmin import env, outbound
from netadmin.outbound import Blocked, Failed, check, guarded, request
from tests.waiting import wait_until
from tests.web_answers import Answer, WebServer, cut, drip, flood, silence, web_server

BLOCKED = [
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "240.0.0.1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "100::1",
    "4000::1",
]


@pytest.fixture(scope="module")
def _server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def server(_server: WebServer) -> WebServer:
    _server.answers.clear()
    _server.asked.clear()
    _server.say("/", b"here")
    return _server


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])


def ask(url: str, **options: Any) -> outbound.Response:
    options = {"deadline_s": 30.0, "max_bytes": 100_000} | options
    return request(options.pop("method", "GET"), url, **options)


class TestTheTable:
    @pytest.mark.parametrize("address", BLOCKED)
    def test_addresses_that_are_not_public_are_refused(self, address: str) -> None:
        assert check(address)

    @pytest.mark.parametrize(
        "address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:200::1"]
    )
    def test_public_addresses_are_not(self, address: str) -> None:
        assert check(address) is None

    @pytest.mark.parametrize("text", ["", "localhost", "0x7f000001", "2130706433", "127.1"])
    def test_what_is_no_written_address_is_refused(self, text: str) -> None:
        assert check(text) == "not an address"

    def test_a_network_can_be_opened_and_nothing_beside_it(self, settings: Any) -> None:
        settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["10.2.0.0/16", " fd00:1::/32"])
        assert check("10.2.9.9") is None
        assert check("::ffff:10.2.9.9") is None
        assert check("fd00:1::5") is None
        assert check("10.3.0.1") == "private"
        assert check("64:ff9b::a02:1")

    @pytest.mark.parametrize("text", ["10.2.0.1/16", "everything", "10.0.0.0/33"])
    def test_a_setting_that_is_no_network_is_named(self, text: str) -> None:
        with pytest.raises(env.ImproperlyConfigured, match="OUTBOUND_ALLOWED_NETWORKS"):
            env.networks([text])


class TestRefused:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "10.0.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "0",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "localhost",
            "LOCALHOST",
        ],
    )
    def test_every_spelling_of_an_address_inside(self, server: WebServer, host: str) -> None:
        with pytest.raises(Blocked):
            ask(server.url(host=host))
        with guarded(deadline_s=30.0) as guard, pytest.raises(requests.ConnectionError):
            requests.post(server.url(host=host), data=b"x", timeout=30)
        assert guard.refused is not None
        assert not server.asked

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd",
            "ftp://example.com/",
            "gopher://example.com/",
            "//example.com/",
            "example.com",
            "",
            "http://",
            "http://user@example.com/",
            "http://user:s3cret@example.com/",
            "http://example.com:99999/",
            "http://example.com/\r\nHost: x",
            "http://exa mple.com/",
            "http://example.com\\@127.0.0.1/",
            "http://[::1/",
            "http://" + "a" * 64 + ".example/",
            "https://example.com/" + "a" * 3000,
        ],
    )
    def test_what_is_no_plain_web_address(self, url: str) -> None:
        with pytest.raises(Failed) as told:
            ask(url)
        assert told.value.code == "url"
        assert "s3cret" not in str(told.value)

    def test_a_name_that_means_loopback(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, [["127.0.0.1"], ["127.0.0.1"]])
        with pytest.raises(Blocked, match=r"127\.0\.0\.1"):
            ask(server.url(host="cmdb.example.com"))
        assert not server.asked

    def test_a_name_that_changes_its_mind(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever looks first and connects later asks twice; here the second answer is other."""
        resolve(monkeypatch, [["93.184.215.14"], ["127.0.0.1"]])
        first = socket.getaddrinfo("cmdb.example.com", server.port)
        assert check(first[0][4][0]) is None
        with guarded(deadline_s=30.0) as guard, pytest.raises(requests.ConnectionError):
            requests.get(server.url(host="cmdb.example.com"), timeout=30)
        assert guard.refused is not None
        assert not server.asked

    def test_a_redirect_to_an_address_inside(
        self, server: WebServer, allowed: None, settings: Any
    ) -> None:
        settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.1/32"])
        server.answers["/go"] = Answer(
            status=302, headers={"Location": server.url("/", host="127.0.0.2")}
        )
        with pytest.raises(Blocked, match=r"127\.0\.0\.2"):
            ask(server.url("/go"))
        with guarded(deadline_s=30.0) as guard, pytest.raises(requests.ConnectionError):
            requests.get(server.url("/go"), timeout=30)
        assert guard.refused is not None
        server.answers["/file"] = Answer(status=302, headers={"Location": "file:///etc/passwd"})
        with pytest.raises(Failed) as told:
            ask(server.url("/file"))
        assert told.value.code == "url"

    def test_what_apprise_sends(self, server: WebServer) -> None:
        plugin = apprise.Apprise.instantiate(f"json://127.0.0.1:{server.port}/")
        assert plugin is not None
        with guarded(deadline_s=30.0) as guard:
            assert not plugin.notify(body="hello")
        assert guard.refused is not None
        assert not server.asked

    def test_a_unix_socket_and_a_datagram(self) -> None:
        with guarded(deadline_s=30.0):
            with socket.socket(socket.AF_UNIX) as sock, pytest.raises(Blocked):
                sock.connect("/run/docker.sock")
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
                pytest.raises(Blocked),
            ):
                sock.sendto(b"x", ("127.0.0.1", 514))

    def test_a_proxy_of_the_environment_is_not_asked(
        self, server: WebServer, allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with guarded(deadline_s=30.0):
            monkeypatch.setenv("HTTP_PROXY", server.url())
            monkeypatch.setenv("http_proxy", server.url())
            with pytest.raises(requests.ConnectionError):
                requests.get("http://10.0.0.1/", timeout=30)
        assert not server.asked


class TestLetThrough:
    def test_an_allowed_network_answers(self, server: WebServer, allowed: None) -> None:
        assert ask(server.url()).body == b"here"
        plugin = apprise.Apprise.instantiate(f"json://127.0.0.1:{server.port}/")
        assert plugin is not None
        with guarded(deadline_s=30.0) as guard:
            plugin.notify(body="hello")
        assert guard.refused is None
        assert [asked.method for asked in server.asked] == ["GET", "POST"]

    def test_an_error_status_is_an_answer(self, server: WebServer, allowed: None) -> None:
        server.say("/broken", b"oops", status=500)
        assert ask(server.url("/broken")).status == 500

    def test_other_threads_and_what_comes_after_are_not_guarded(self, server: WebServer) -> None:
        answers: list[int] = []

        def outside() -> None:
            answers.append(requests.get(server.url(), timeout=30).status_code)

        with guarded(deadline_s=30.0):
            thread = threading.Thread(target=outside)
            thread.start()
            thread.join()
        outside()
        assert answers == [200, 200]

    def test_headers_stay_at_their_origin(self, server: WebServer, allowed: None) -> None:
        secret = {"Authorization": "Token abc", "X-Key": "abc", "Accept": "application/json"}
        server.answers["/near"] = Answer(status=302, headers={"Location": "/"})
        server.answers["/far"] = Answer(
            status=302, headers={"Location": server.url("/", host="localhost")}
        )
        ask(server.url("/near"), headers=secret)
        assert server.asked[-1].headers["authorization"] == "Token abc"
        ask(server.url("/far"), headers=secret)
        assert server.asked[-1].path == "/"
        assert not {"authorization", "x-key"} & set(server.asked[-1].headers)
        assert server.asked[-1].headers["accept"] == "application/json"

    def test_a_body_goes_to_its_server_only(self, server: WebServer, allowed: None) -> None:
        far = server.url("/", host="localhost")
        server.answers["/keep"] = Answer(status=307, headers={"Location": far})
        with pytest.raises(Failed) as told:
            ask(server.url("/keep"), method="POST", body=b"alert")
        assert told.value.code == "redirect"
        assert len(server.asked) == 1
        server.answers["/see"] = Answer(status=303, headers={"Location": far})
        assert ask(server.url("/see"), method="POST", body=b"alert").body == b"here"
        assert (server.asked[-1].method, server.asked[-1].body) == ("GET", b"")

    def test_a_circle_of_redirects_ends(self, server: WebServer, allowed: None) -> None:
        server.answers["/round"] = Answer(status=302, headers={"Location": "/round"})
        with pytest.raises(Failed) as told:
            ask(server.url("/round"))
        assert told.value.code == "redirect"
        assert len(server.asked) == 4


class TestBounds:
    @pytest.mark.parametrize("odd", [drip, silence])
    def test_no_answer_lasts_beyond_the_deadline(
        self, server: WebServer, allowed: None, odd: Any
    ) -> None:
        server.answers["/slow"] = Answer(odd=odd)
        with pytest.raises(Failed) as told:
            ask(server.url("/slow"), deadline_s=0.3)
        assert told.value.code == "timeout"

    def test_a_library_that_waits_is_cut_too(self, server: WebServer, allowed: None) -> None:
        server.answers["/slow"] = Answer(odd=drip)
        with guarded(deadline_s=0.3) as guard:
            assert set(requests.get(server.url("/slow"), timeout=60).text) <= {"x"}
            assert guard.expired
            with pytest.raises(requests.RequestException):
                requests.get(server.url(), timeout=60)

    def test_a_name_server_that_is_silent_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: free.wait(30) and [])
        try:
            with pytest.raises(Failed) as told:
                ask("http://slow.example.com/", deadline_s=0.2)
            assert told.value.code == "timeout"
        finally:
            free.set()

    def test_a_body_without_end_is_refused(self, server: WebServer, allowed: None) -> None:
        server.answers["/flood"] = flood(100_000_000)
        with pytest.raises(Failed) as told:
            ask(server.url("/flood"))
        assert told.value.code == "too_large"

    def test_a_body_that_unpacks_without_end_too(self, server: WebServer, allowed: None) -> None:
        bomb = gzip.compress(b"0" * 20_000_000)
        server.say("/bomb", bomb, headers={"Content-Encoding": "gzip"})
        with pytest.raises(Failed) as told:
            ask(server.url("/bomb"))
        assert told.value.code == "too_large"

    def test_a_packed_body_is_unpacked_or_named(self, server: WebServer, allowed: None) -> None:
        packed = gzip.compress(b"hello " * 1000)
        for path, body, coding in (
            ("/whole", packed, "gzip"),
            ("/half", packed[:-9], "gzip"),
            ("/wrong", b"plain", "gzip"),
            ("/other", packed, "br"),
        ):
            server.say(path, body, headers={"Content-Encoding": coding})
        assert ask(server.url("/whole")).body == b"hello " * 1000
        codes = []
        for path in ("/half", "/wrong", "/other"):
            with pytest.raises(Failed) as told:
                ask(server.url(path))
            codes.append(told.value.code)
        assert codes == ["truncated", "encoding", "encoding"]

    def test_half_an_answer_is_no_answer(self, server: WebServer, allowed: None) -> None:
        server.answers["/cut"] = Answer(odd=cut)
        with pytest.raises(Failed) as told:
            ask(server.url("/cut"))
        assert told.value.code == "truncated"

    def test_failures_have_their_codes_and_no_secrets(
        self, server: WebServer, allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(Failed) as told:
                ask(f"http://127.0.0.1:{bound.getsockname()[1]}/?token=hunter2")
        assert told.value.code == "connect"
        assert "hunter2" not in str(told.value)
        with pytest.raises(Failed) as told:
            ask(server.url("/?token=hunter2").replace("http:", "https:"))
        assert told.value.code == "tls"
        with pytest.raises(Failed) as told:
            ask(server.url(), headers={"Authorization": "hunter2\r\nX: y"})
        assert "hunter2" not in str(told.value)

        def unknown(*_arguments: Any, **_named: Any) -> Any:
            raise socket.gaierror("unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(Failed) as told:
            ask("http://nowhere.example.com/?token=hunter2")
        assert told.value.code == "dns"

    def test_nothing_stays_open(self, server: WebServer, allowed: None) -> None:
        server.answers["/slow"] = Answer(odd=drip)
        with pytest.raises(Failed):
            ask(server.url("/slow"), deadline_s=0.2)
        ask(server.url())
        wait_until(lambda: not [t for t in threading.enumerate() if t.name == "outbound-lookup"])


def resolve(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> None:
    """Each look-up gets the next of ``answers``."""
    queue = list(answers)

    def answer(_host: str, port: int, *_arguments: Any, **_named: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in queue.pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
