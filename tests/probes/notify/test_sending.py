"""Deliveries that are sent: at least once, tried again, within limits, over real servers."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connections
from django.utils import timezone

from netadmin import env
from probes.models import Channel, Delivery
from probes.notify import messages, outbox, sending, team_chat, webhook
from tests.databases import both_databases_committed
from tests.probes.mail_sink import Sink
from tests.probes.notify.told import NOON, back, channel, deliveries, down, later, new_host
from tests.web_answers import Answer, WebServer, web_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[WebServer]:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])
    settings.ALERT_QUIET_S = 0
    with web_server() as running:
        running.say("/hook", b"")
        yield running


def told_now(channel_: Channel, name: str = "web1") -> Delivery:
    """A delivery that is due, of one host's port that is down."""
    down(new_host(name=name), NOON)
    outbox.announce(now=timezone.now() - dt.timedelta(seconds=30))
    delivery = Delivery.objects.filter(channel=channel_).latest("pk")
    Delivery.objects.filter(pk=delivery.pk).update(try_after=timezone.now())
    return delivery


def due_again(delivery: Delivery) -> Delivery:
    Delivery.objects.filter(pk=delivery.pk).update(try_after=timezone.now())
    delivery.refresh_from_db()
    return delivery


def test_a_webhook_gets_json_that_is_signed_and_named(server: WebServer) -> None:
    delivery = told_now(channel(address=server.url("/hook"), signing_key="k" * 32))
    assert sending.send_due().sent == 1

    (asked,) = server.asked
    said = json.loads(asked.body)
    assert (said["uid"], asked.headers["x-netadmin-delivery"]) == (str(delivery.uid),) * 2
    assert (said["version"], said["active"], said["over"]) == (1, 1, 0)
    assert said["hosts"] == ["web1"]
    assert said["items"][0]["title"] == "Port tcp/8080 (nginx) is down"
    assert said["subject"] == "[netadmin] web1: Port tcp/8080 (nginx) is down"
    signed = asked.headers["x-netadmin-timestamp"].encode() + b"." + asked.body
    right = hmac.new(b"k" * 32, signed, hashlib.sha256).hexdigest()
    assert asked.headers["x-netadmin-signature"] == f"sha256={right}"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.error) == ("sent", 1, "")
    assert sending.send_due() == sending.Sent()


def test_what_is_refused_is_tried_again_under_the_same_uid(server: WebServer) -> None:
    delivery = told_now(channel(address=server.url("/hook")))
    server.answers["/hook"] = Answer(status=500)
    before = timezone.now()
    assert sending.send_due().failed == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error, delivery.tries) == ("waiting", "status: 500", 1)
    assert delivery.try_after is not None
    assert delivery.try_after >= before + sending.BACK_OFF[0]
    assert sending.send_due() == sending.Sent(), "not before its time"

    server.say("/hook", b"")
    due_again(delivery)
    assert sending.send_due().sent == 1
    assert len({asked.headers["x-netadmin-delivery"] for asked in server.asked}) == 1
    assert len({asked.body for asked in server.asked}) == 1


def test_after_the_last_try_it_is_given_up_and_shown_and_may_be_tried_by_hand(
    server: WebServer,
) -> None:
    delivery = told_now(channel(address=server.url("/hook")))
    server.answers["/hook"] = Answer(status=404)
    for _try in range(sending.TRIES):
        due_again(delivery)
        sending.send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.try_after) == ("failed", 8, None)
    assert sending.send_due() == sending.Sent()
    server.say("/hook", b"")
    assert sending.retry(delivery)
    assert sending.send_due().sent == 1
    assert not sending.retry(delivery), "what was sent is not sent again"


def test_the_tries_go_over_about_a_day() -> None:
    assert dt.timedelta(hours=20) < sum(sending.BACK_OFF, dt.timedelta()) < dt.timedelta(hours=28)


def test_a_sender_that_died_leaves_it_to_the_next_after_its_lease(server: WebServer) -> None:
    delivery = told_now(channel(address=server.url("/hook")))
    now = timezone.now()
    assert sending.claim(delivery.pk, now) is not None
    assert sending.claim(delivery.pk, now) is None
    down(new_host(name="web2"), NOON)
    outbox.announce()
    assert len(deliveries()) == 2, "nothing is added to what is being sent"
    after = now + dt.timedelta(seconds=sending.LEASE_S + 1)
    claimed = sending.claim(delivery.pk, after)
    assert claimed is not None
    assert sending.send(claimed)
    assert [asked.headers["x-netadmin-delivery"] for asked in server.asked] == [str(delivery.uid)]


@both_databases_committed
def test_of_two_senders_one_gets_a_delivery(using: str) -> None:
    channel(using)
    down(new_host(using), NOON)
    outbox.announce(using, now=later(0))
    (delivery,) = deliveries(using)
    at, gate, won = later(1), threading.Barrier(4), []

    def claim() -> None:
        try:
            gate.wait(30)
            if sending.claim(delivery.pk, at, using) is not None:
                won.append(threading.get_ident())
        finally:
            connections[using].close()

    threads = [threading.Thread(target=claim) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1


def test_beyond_its_messages_an_hour_a_channel_gets_the_rest_in_one(server: WebServer) -> None:
    told_now(channel(address=server.url("/hook"), per_hour=2), "web0")
    sending.send_due()
    told_now(Channel.objects.get(), "web1")
    sending.send_due()
    for number in range(2, 9):
        told_now(Channel.objects.get(), f"web{number}")
        assert sending.send_due() == sending.Sent()
    *_sent, last = deliveries()
    assert (last.tries, len(last.items), last.state) == (0, 7, "waiting")
    assert len(server.asked) == 2
    Delivery.objects.filter(state="sent").update(sent_at=timezone.now() - dt.timedelta(hours=2))
    due_again(last)
    assert sending.send_due().sent == 1
    assert len(json.loads(server.asked[-1].body)["items"]) == 7


def test_what_waits_for_a_channel_that_was_switched_off_is_given_up_visibly(
    server: WebServer,
) -> None:
    delivery = told_now(channel(address=server.url("/hook")))
    Channel.objects.update(enabled=False)
    sending.send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("failed", "switched_off")
    assert not server.asked


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/hook", "http://[::1]:{port}/hook", "http://localhost:{port}/hook",
     "http://169.254.169.254/latest", "http://10.0.0.1/", "http://[::ffff:127.0.0.1]:{port}/hook",
     "http://100.64.0.1/", "http://[64:ff9b::7f00:1]/"],
)  # fmt: skip
def test_inner_addresses_are_not_reached(url: str, server: WebServer, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ()
    delivery = told_now(channel(address=url.format(port=server.port)))
    assert sending.send_due().failed == 1
    delivery.refresh_from_db()
    assert delivery.error.startswith("blocked: ")
    assert not server.asked


def test_a_name_that_turns_inside_between_check_and_connection_is_not_reached(
    server: WebServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: the name's second answer is loopback. What counts is what is connected to."""
    import socket

    settings.OUTBOUND_ALLOWED_NETWORKS = ()
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: Any, **more: Any) -> Any:
        inside = "127.0.0.1" if host == "rebound.example.com" else host
        return real(inside, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    delivery = told_now(channel(address=f"http://rebound.example.com:{server.port}/hook"))
    assert sending.send_due().failed == 1
    delivery.refresh_from_db()
    assert delivery.error.startswith("blocked: 127.0.0.1")
    assert not server.asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, server: WebServer) -> None:
    server.answers["/away"] = Answer(status=status, headers={"Location": server.url("/hook")})
    delivery = told_now(channel(address=server.url("/away")))
    assert sending.send_due().failed == 1
    delivery.refresh_from_db()
    assert delivery.error == "redirect"
    assert [asked.path for asked in server.asked] == ["/away"]


def test_a_template_is_filled_in_and_never_run_or_broken_out_of(server: WebServer) -> None:
    template = json.dumps(
        {
            "msgtype": "text",
            "text": {"content": "{{ subject }}!", "n": "{{ active }}", "all": "{{ items }}"},
            "odd": "{{ subject.__class__ }} {% load x %} ${uid} {uid}",
        }
    )
    evil = 'x"}, "admin": true, {"{{ uid }}'
    host = new_host(name="web1")
    channel(address=server.url("/hook"), template=template)
    down(host, NOON, facts={"protocol": "tcp", "port": 1, "before": {"programs": [evil]}})
    outbox.announce(now=timezone.now() - dt.timedelta(seconds=30))
    assert sending.send_due().sent == 1
    said = json.loads(server.asked[0].body)
    assert set(said) == {"msgtype", "text", "odd"}
    assert said["text"]["n"] == 1
    assert said["text"]["all"][0]["host"]["name"] == "web1"
    assert r"\"admin\": true" in said["text"]["content"]
    assert "{{ uid }}" in said["text"]["content"], "what a host says is no placeholder"
    assert said["odd"] == "{{ subject.__class__ }} {% load x %} ${uid} {uid}"


@pytest.mark.parametrize("template", ["{", '{"a": "{{ password }}"}', "[" * 3_000, "NaN x"])
def test_a_template_that_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(webhook.BadTemplate):
        webhook.check_template(template)


def test_mail_goes_to_each_recipient_once_and_says_which_delivery_it_is(settings: Any) -> None:
    with Sink() as sink:
        for name, value in sink.settings.items():
            setattr(settings, name, value)
        settings.ALERT_QUIET_S = 0
        sink.refused["b@example.com"] = "451 later"
        to = "a@example.com\nb@example.com"
        delivery = told_now(channel(kind=Channel.Kind.EMAIL, recipients=to, language="en"))
        assert sending.send_due().failed == 1
        delivery.refresh_from_db()
        assert (delivery.error, delivery.reached) == ("mail_refused: 451", ["a@example.com"])
        sink.refused.clear()
        due_again(delivery)
        assert sending.send_due().sent == 1
        assert [len(sink.of(f"{name}@example.com")) for name in "ab"] == [1, 1]
        (mail,) = sink.of("a@example.com")
        assert mail.message["Subject"] == "[netadmin] web1: Port tcp/8080 (nginx) is down"
        assert mail.message["X-Netadmin-Delivery"] == str(delivery.uid)
        assert mail.message["Message-ID"] != sink.of("b@example.com")[0].message["Message-ID"]
        assert "/alerts/" in mail.part("text/plain")


def test_without_a_mail_server_mail_waits_and_says_why(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    delivery = told_now(channel(kind=Channel.Kind.EMAIL, recipients="a@example.com"))
    sending.send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("waiting", "no_mail_server")


def test_every_try_of_a_mail_has_the_same_message_id(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def refuse(self: EmailMessage, *_arguments: Any, **_more: Any) -> int:
        seen.append(self.extra_headers["Message-ID"])
        raise OSError("away")

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    monkeypatch.setattr(EmailMessage, "send", refuse)
    delivery = told_now(channel(kind=Channel.Kind.EMAIL, recipients="a@example.com"))
    for _try in range(3):
        due_again(delivery)
        sending.send_due()
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_a_team_chat_is_told_through_apprise_inside_the_guard(
    server: WebServer, settings: Any
) -> None:
    server.say("/message", b'{"id": 1}')
    url = f"gotify://127.0.0.1:{server.port}/token-of-gotify"
    delivery = told_now(channel(kind=Channel.Kind.APPRISE, address=url))
    assert sending.send_due().sent == 1, Delivery.objects.get().error
    (asked,) = server.asked
    assert "Port tcp/8080 (nginx) is down" in asked.body.decode()
    assert str(delivery.uid) in asked.body.decode()

    settings.OUTBOUND_ALLOWED_NETWORKS = ()
    blocked = told_now(Channel.objects.get(), "web2")
    assert sending.send_due().failed == 1
    blocked.refresh_from_db()
    assert blocked.error.startswith("blocked: 127.0.0.1")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "scheme"),
        ("syslog://localhost", "scheme"),
        ("dbus://", "scheme"),
        ("mailto://user:pass@example.com", "scheme"),
        ("json://127.0.0.1/", "scheme"),
        ("windows://", "scheme"),
        ("https://hooks.slack.com/services/T/B/x", "scheme"),
        ("slack", "url"),
        ("gotify://host/token name", "url"),
        ("gotify://host/token?verify=no", "parameter"),
        ("slack://T/B/x?template=/etc/passwd", "parameter"),
        ("slack://T/B/x?TEMPLATE=/etc/passwd", "parameter"),
        ("dingtalk://", "service"),
    ],
)
def test_only_services_that_reach_no_file_or_program_are_taken(url: str, why: str) -> None:
    assert team_chat.problem(url) == why


@pytest.mark.parametrize(
    "url",
    [
        "dingtalk://" + "a" * 64,
        "wecombot://12345678-1234-1234-1234-123456789abc",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "ntfys://ntfy.example.com/topic",
        "feishu://" + "a" * 36,
        "pover://" + "u" * 30 + "@" + "t" * 30,
    ],
)
def test_what_teams_use_is_taken(url: str) -> None:
    assert team_chat.problem(url) == ""


def test_every_service_that_is_named_is_one_of_apprises() -> None:
    from apprise import Apprise

    known = {
        scheme
        for schema in Apprise().details()["schemas"]
        for kind in ("protocols", "secure_protocols")
        for scheme in schema.get(kind) or ()
    }
    assert known >= team_chat.SCHEMES


def test_a_message_about_hundreds_of_hosts_names_some_and_counts_all() -> None:
    channel()
    for number in range(40):
        host = new_host(name=f"web{number:02}")
        down(host, NOON)
    outbox.announce(now=NOON)
    (delivery,) = deliveries()
    message = messages.compose(delivery)
    assert message.subject == "[netadmin] 40 hosts: Port tcp/8080 (nginx) is down"
    assert "web29 and 10 more" in message.text
    assert message.text.count("nginx") == 1


def test_what_is_over_is_said_to_be() -> None:
    channel()
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    back(host, later(1))
    outbox.announce(now=later(1))
    message = messages.compose(deliveries()[0])
    assert message.subject.startswith("[netadmin] Over: ")
    assert (message.active, message.over) == (0, 1)


def test_no_secret_of_a_channel_gets_into_a_log_or_an_error(
    server: WebServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret, key = "very-secret-token", "a-signing-key-nobody-may-see"
    addresses = {
        "refused": server.url(f"/{secret}"),
        "unknown": f"http://nowhere.invalid/{secret}",
        "closed": f"http://127.0.0.1:9/{secret}",
    }
    caplog.set_level("DEBUG")
    for name, url in addresses.items():
        channel(name=name, address=url, signing_key=key)
    chat = f"gotify://127.0.0.1:{server.port}/{secret}"
    channel(name="chat", kind=Channel.Kind.APPRISE, address=chat)
    broken = channel(name="broken", address=server.url(f"/{secret}"))
    Channel.objects.filter(pk=broken.pk).update(address_encrypted="v1:t1:" + secret)
    down(new_host(), NOON)
    outbox.announce(now=timezone.now() - dt.timedelta(seconds=30))
    assert sending.send_due().failed == 5
    written = caplog.text + "".join(capfd.readouterr())
    written += repr(list(Delivery.objects.values()))
    assert "was not sent" in caplog.text
    for hidden in (secret, key):
        assert hidden not in written
