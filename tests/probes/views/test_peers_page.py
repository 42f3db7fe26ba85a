"""The page of peers: what is new, who may decide, and the watches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import Alert, Change, DriftWatch, Peer
from probes.watch import drift
from tests.people import browser_of, person
from tests.probes.test_drift import World, dialling

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(db: None) -> World:
    """A host of the group "web" that began to talk to two networks."""
    made = World("default")
    made.sees(made.hosts[0], 1, *dialling("203.0.113.9:443", "198.51.100.1:443"))
    made.run()
    return made


def test_one_click_approves_snoozes_or_expires_and_ends_the_alert(
    world: World, operator: Client, page: Page
) -> None:
    html = page(operator, "/peers/")
    assert html.count("203.0.113.0/24</a>") == 1
    assert "2 peers" in html
    for peer, action, state in zip(
        Peer.objects.order_by("pk"), ("approve", "snooze"), ("approved", "snoozed"), strict=True
    ):
        answer = operator.post(
            "/peers/decide/", {"one": f"{action}:{peer.pk}", "query": "sort=program"}
        )
        assert (answer.status_code, answer["Location"]) == (302, "/peers/?sort=program")
        peer.refresh_from_db()
        assert (peer.state, peer.decided_by) == (state, "operator")
        assert peer.alert is not None
        assert peer.alert.resolved_by == "operator"
    approved, snoozed = Peer.objects.order_by("pk")
    assert approved.until is None
    assert snoozed.until is not None
    assert snoozed.until > timezone.now() + dt.timedelta(days=6)
    operator.post("/peers/decide/", {"one": f"expire:{approved.pk}"})
    approved.refresh_from_db()
    assert (approved.state, approved.until) == ("expired", None)
    actions = AuditEntry.objects.filter(action__startswith="peer.").order_by("pk")
    assert [entry.action for entry in actions] == ["peer.approve", "peer.snooze", "peer.expire"]


def test_many_are_decided_by_a_tick_or_by_the_filter_and_an_approval_may_end(
    world: World, operator: Client
) -> None:
    many = dialling(*(f"203.0.{n}.1:443" for n in range(20)), holder="7/wget")
    world.sees(world.hosts[0], 2, *many)
    drift.run()
    grouped = Alert.objects.get(subject__startswith="wget")
    one, *others = grouped.peers.order_by("pk")
    operator.post("/peers/decide/", {"action": "approve", "peer": [one.pk], "days": "3"})
    one.refresh_from_db()
    assert one.until is not None
    grouped.refresh_from_db()
    assert grouped.resolved_at is None, "the others are new still"
    operator.post("/peers/decide/", {"action": "snooze", "every": "1", "query": "program=wget"})
    grouped.refresh_from_db()
    assert grouped.resolved_at is not None
    assert set(Peer.objects.filter(program="wget").values_list("state", flat=True)) == {"snoozed"}
    assert set(Peer.objects.filter(program="curl").values_list("state", flat=True)) == {"new"}
    assert len(others) == 19


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?state=new", 2),
        ("?state=learned", 0),
        ("?group=web&program=CUR", 2),
        ("?ip=203.0.113.200", 1),
        ("?ip=::ffff:203.0.113.200", 1),
        ("?ip=2001:db8::1", 0),
        ("?sort=-network", 2),
    ],
)
def test_peers_are_filtered_and_sorted(
    world: World, viewer: Client, page: Page, query: str, found: int
) -> None:
    assert page(viewer, f"/peers/{query}").count("/24</a>") == found


def test_pages_of_a_long_list_hold_each_peer_once(
    world: World, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    for n in range(5):
        Peer.objects.create(group=world.group, program=f"p{n // 2}", network=f"10.0.{n}.0/24",
                            state="learned", first_seen=now, last_seen=now)  # fmt: skip
    monkeypatch.setattr("probes.views.peers.ROWS_A_PAGE", 2)
    for sort in ("-first_seen", "program", "-network", "last_seen"):
        seen, address = [], f"/peers/?sort={sort}"
        while address:
            context = viewer.get(address).context
            seen += [row["peer"].pk for row in context["rows"]]
            address = f"/peers/{context['next_url']}" if context["next_url"] else ""
        assert sorted(seen) == sorted(Peer.objects.values_list("pk", flat=True))


def test_groups_of_others_are_absent_and_so_are_their_peers(world: World, page: Page) -> None:
    other = HostGroup.objects.create(name="secret group")
    DriftWatch.objects.create(group=other, learn_until=timezone.now())
    hidden = Peer.objects.create(group=other, program="ssh", network="192.0.2.0/24", state="new",
                                 first_seen=timezone.now(), last_seen=timezone.now())  # fmt: skip
    lars = browser_of(person("lars", Role.ADMIN, groups=[world.group]))
    html = page(lars, "/peers/")
    assert "secret group" not in html + page(lars, "/peers/watch/")
    assert "192.0.2.0/24" not in html
    page(lars, "/peers/?group=secret+group", 400)
    page(lars, "/peers/watch/?group=secret+group", 400)
    assert lars.post("/peers/decide/", {"one": f"approve:{hidden.pk}"}).status_code == 404
    lars.post("/peers/decide/", {"action": "approve", "peer": [hidden.pk]})
    hidden.refresh_from_db()
    assert hidden.state == "new"


def test_a_viewer_decides_nothing(world: World, viewer: Client, page: Page) -> None:
    assert 'name="one"' not in page(viewer, "/peers/")
    assert viewer.post("/peers/decide/", {"one": "approve:1"}).status_code == 403


def test_an_administrator_watches_a_group_changes_it_and_stops(
    host: Host, admin: Client, page: Page
) -> None:
    group = HostGroup.objects.create(name="db & co")
    host.groups.add(group)
    assert "No group is watched yet" in page(admin, "/peers/")
    form = {"enabled": "on", "learn_days": "7", "ipv4_prefix": "24", "ipv6_prefix": "64",
            "forget_days": "90", "ignored": "10.0.0.0/8"}  # fmt: skip
    assert admin.post("/peers/watch/", form).status_code == 400
    bad = admin.post("/peers/watch/", form | {"in_group": group.pk, "ignored": "here"})
    assert "Line 1: " in bad.content.decode()
    assert admin.post("/peers/watch/", form | {"in_group": group.pk}).status_code == 302
    watch = DriftWatch.objects.get()
    assert watch.learn_until > timezone.now() + dt.timedelta(days=6)
    assert "db &amp; co" in page(admin, "/peers/")

    edit = "/peers/watch/?group=db+%26+co"
    until = watch.learn_until
    changed = form | {"learn_days": "", "forget_days": "30"}
    assert admin.post(edit, changed).status_code == 302
    watch.refresh_from_db()
    assert (watch.forget_days, watch.learn_until) == (30, until)
    Peer.objects.create(group=group, program="x", network="192.0.2.0/24", state="learned",
                        first_seen=until, last_seen=until)  # fmt: skip
    admin.post(edit, changed | {"ipv4_prefix": "16"})
    assert not Peer.objects.exists(), "networks of another size are others"
    assert admin.post(edit, {"remove": "1"}).status_code == 302
    assert not DriftWatch.objects.exists()


def test_the_alert_and_the_change_read_as_sentences(world: World, viewer: Client) -> None:
    from probes.wording import alerts as wording

    alert = Alert.objects.get(subject="curl 203.0.113.0/24")
    assert wording.title(alert) == "curl talks to 203.0.113.0/24, which is new"
    change = Change.objects.get(alert=alert)
    assert "203.0.113.0/24" in wording.change_title(change)


# --- the rule set ---------------------------------------------------------------------------------


def test_the_rules_are_downloaded_changed_looked_at_and_imported(admin: Client, page: Page) -> None:
    answer = admin.get("/rules/export/")
    assert answer["Content-Disposition"].endswith('.yaml"')
    text = answer.content.decode().replace("threshold: 200.0", "threshold: 250")
    shown = admin.post("/rules/import/", {"text": text})
    assert shown.status_code == 200
    assert "<code>200.0</code> → <code>250.0</code>" in shown.content.decode()
    digest = shown.context["outcome"].digest
    stale = admin.post("/rules/import/", {"text": text, "confirm": "another"})
    assert stale.status_code == 400
    assert admin.post("/rules/import/", {"text": text, "confirm": digest}).status_code == 302
    again = admin.post("/rules/import/", {"text": text})
    assert "Nothing would change" in again.content.decode()


def test_what_would_be_added_is_shown_as_a_file_has_it(admin: Client) -> None:
    text = 'version: 1\nrestart_commands: [{name: x, argv: [service, "no", "<b>"]}]\n'
    html = admin.post("/rules/import/", {"text": text}).content.decode()
    assert "<code>[service, &#x27;no&#x27;, &lt;b&gt;]</code>" in html


def test_a_wrong_file_is_refused_with_its_positions_and_kept_in_the_form(admin: Client) -> None:
    text = "version: 1\nrules:\n- {name: <script>x, metric: nothing}\n"
    answer = admin.post("/rules/import/", {"text": text})
    html = answer.content.decode()
    assert answer.status_code == 400
    assert "<code>rules[0].metric</code>" in html
    assert "- {name: &lt;script&gt;x" in html
    assert admin.post("/rules/import/", {"text": ""}).status_code == 400


def test_an_administrator_of_some_groups_has_nothing_to_do_with_the_rule_set(
    world: World,
) -> None:
    lars = browser_of(person("lars", Role.ADMIN, groups=[world.group]))
    assert lars.get("/rules/export/").status_code == 403
    assert lars.post("/rules/import/", {"text": "version: 1"}).status_code == 403
    assert lars.get("/api/v1/rule-set").status_code == 403
