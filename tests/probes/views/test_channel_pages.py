"""The pages of channels: each kind's fields alone, no secret ever, what waits and what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from hosts.models import HostGroup
from netadmin import env
from netadmin.access.models import AuditEntry, Role
from probes.models import Channel, Delivery
from probes.notify import outbox, sending
from tests.people import browser_of, person
from tests.probes.notify.told import NOON, channel, down, new_host
from tests.web_answers import Answer, WebServer, web_server

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/services/T0/B0/very-secret-token"
KEY = "a-signing-key-nobody-may-see"


@pytest.fixture
def admin() -> Client:
    return browser_of(person("ada", Role.ADMIN))


@pytest.fixture
def server(settings: Any) -> Iterator[WebServer]:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])
    with web_server() as running:
        running.say("/hook", b"")
        yield running


def fields(**more: Any) -> dict[str, Any]:
    given = {"name": "ops", "min_severity": "warning", "per_hour": "60", "enabled": "on"}
    return given | {"address": URL, "signing_key": KEY} | more


def test_a_channel_is_made_shown_and_changed_and_its_secrets_never_come_out(admin: Client) -> None:
    HostGroup.objects.create(name="dmz")
    made = admin.post("/channels/add/?kind=webhook", fields(groups=["dmz"], kinds=["port"]))
    stored = Channel.objects.get()
    assert made.status_code == 302
    assert (stored.secret("address"), stored.secret("signing_key")) == (URL, KEY)
    assert stored.address_shown == "https://hooks.example.com"
    pages = ("/channels/", f"/channels/{stored.pk}/", f"/channels/{stored.pk}/edit/",
             "/channels/?format=csv", f"/api/v1/channels/{stored.pk}",
             "/api/v1/channels")  # fmt: skip
    for page in pages:
        answer = admin.get(page)
        text = (
            b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        ).decode()
        assert answer.status_code == 200, page
        assert "very-secret" not in text, page
        assert KEY not in text, page
    changed = admin.post(f"/channels/{stored.pk}/edit/", fields(name="team", address="",
                         signing_key="", forget_signing_key="on"))  # fmt: skip
    assert changed.status_code == 302
    stored = Channel.objects.get()
    assert (stored.name, stored.secret("address")) == ("team", URL)
    assert not stored.has_secret("signing_key")
    said = json.dumps(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert "very-secret" not in said
    assert KEY not in said
    assert AuditEntry.objects.filter(action="channel.change").latest("pk").detail["signing_key"]


@pytest.mark.parametrize(
    ("kind", "own"),
    [("email", "recipients"), ("webhook", "template"), ("apprise", "address")],
)
def test_a_form_has_the_fields_of_its_kind_alone(kind: str, own: str, admin: Client) -> None:
    form = admin.get(f"/channels/add/?kind={kind}").context["form"]
    assert own in form.fields
    others = {"email": "address", "webhook": "recipients", "apprise": "template"}
    assert others[kind] not in form.fields


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("webhook", {"address": "http://127.0.0.1/x"}, "address"),
        ("webhook", {"address": "ftp://example.com"}, "address"),
        ("webhook", {"address": "https://user:password@example.com/"}, "address"),
        ("webhook", {"address": ""}, "address"),
        ("webhook", {"signing_key": "short"}, "signing_key"),
        ("webhook", {"template": "{"}, "template"),
        ("webhook", {"template": '{"a": "{{ secret }}"}'}, "template"),
        ("webhook", {"repeat_minutes": "5"}, "repeat_minutes"),
        ("webhook", {"name": "a\x00b"}, "name"),
        ("email", {"recipients": "nobody"}, "recipients"),
        ("apprise", {"address": "file:///etc/passwd"}, "address"),
        ("apprise", {"address": "slack://T/B/x?template=/etc/passwd"}, "address"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    kind: str, given: dict[str, str], field: str, admin: Client
) -> None:
    answer = admin.post(f"/channels/add/?kind={kind}", fields(**given))
    assert answer.status_code == 400
    assert answer.context["form"].errors[field]
    assert not Channel.objects.exists()
    assert "passwd" not in answer.content.decode()


def test_a_test_says_in_words_whether_it_was_taken(admin: Client, server: WebServer) -> None:
    made = channel(address=server.url("/hook"), enabled=False)
    page = admin.post(f"/channels/{made.pk}/test/", follow=True).content.decode()
    assert "The test message was taken." in page
    assert json.loads(server.asked[0].body)["kind"] == "test"
    server.answers["/hook"] = Answer(status=403)
    page = admin.post(f"/channels/{made.pk}/test/", follow=True).content.decode()
    assert "The test message was not sent: The receiver refused it. (403)" in page
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["sent", "failed"]
    assert AuditEntry.objects.filter(action="channel.test").count() == 2


def test_what_failed_is_shown_with_its_reason_and_sent_again_by_hand(
    admin: Client, server: WebServer, settings: Any
) -> None:
    settings.ALERT_QUIET_S = 0
    made = channel(address=server.url("/hook"))
    server.answers["/hook"] = Answer(status=503)
    down(new_host(), NOON)
    outbox.announce()
    sending.send_due()
    page = admin.get(f"/channels/{made.pk}/").content.decode()
    assert "The receiver refused it. (503)" in page
    assert "Port tcp/8080 (nginx) is down" in page
    assert "0 to 0" not in page
    uid = str(Delivery.objects.get().uid)
    server.say("/hook", b"")
    admin.post(f"/channels/{made.pk}/retry/", {"delivery": uid})
    assert sending.send_due().sent == 1
    Delivery.objects.update(state="failed")
    other = channel(name="other")
    for to, wrong in ((made.pk, "x"), (made.pk, ""), (other.pk, uid)):
        answer = admin.post(f"/channels/{to}/retry/", {"delivery": wrong}, follow=True)
        assert "There is no such message any more." in answer.content.decode()
    assert Delivery.objects.get().state == "failed"


def test_switching_off_and_removing_say_what_is_not_sent(admin: Client) -> None:
    made = channel()
    down(new_host(), NOON)
    outbox.announce()
    admin.patch(f"/api/v1/channels/{made.pk}", {"enabled": False}, content_type="application/json")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("failed", "switched_off")
    assert AuditEntry.objects.get(action="channel.change").detail["dropped"] == 1
    Delivery.objects.update(state="waiting")
    answer = admin.delete(f"/api/v1/channels/{made.pk}").json()
    assert answer["data"] == {"dropped": 1}
    assert not Channel.objects.exists()


def test_an_administrator_of_some_groups_may_not_come_here() -> None:
    group = HostGroup.objects.create(name="dmz")
    some = browser_of(person("sam", Role.ADMIN, groups=[group]))
    made = channel()
    for page in ("/channels/", f"/channels/{made.pk}/", "/channels/add/", "/api/v1/channels",
                 f"/api/v1/channels/{made.pk}"):  # fmt: skip
        assert some.get(page).status_code == 403, page


def test_where_no_mail_server_is_set_it_is_said(admin: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    made = channel(kind="email", recipients="a@example.com")
    for page in ("/channels/", f"/channels/{made.pk}/", "/channels/add/?kind=email"):
        assert "No mail server is set." in admin.get(page).content.decode(), page


def test_nobody_is_told_yet_and_the_page_says_what_to_do(admin: Client) -> None:
    assert "Nobody is told yet" in admin.get("/channels/").content.decode()


def test_the_pages_cost_the_same_however_many_channels_and_messages(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    group = HostGroup.objects.create(name="dmz")
    made = [channel(name=f"c{n}", groups=[group]) for n in range(20)]
    for number in range(30):
        Delivery.objects.create(channel=made[number % 3], kind="test", tries=1)
    signed_in = 5  # session, user, access, badges
    with django_assert_max_num_queries(signed_in + 4):  # channels, groups, waiting, newest
        admin.get("/channels/")
    with django_assert_max_num_queries(signed_in + 7):
        admin.get(f"/channels/{made[0].pk}/")
