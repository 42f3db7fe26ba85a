"""The pages of changes, of a host's watch and of port rules."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import Alert, Change, PortPolicy, RestartCommand, Service
from probes.observation import Code
from tests.people import browser_of, person
from tests.probes.history.played import failed, line
from tests.probes.watch.test_port_watch import SSH, WEB, World, listening

pytestmark = pytest.mark.django_db
Page = Callable[..., str]


@pytest.fixture
def world() -> World:
    made = World("default")
    made.sees(SSH, WEB)
    made.sees(SSH, WEB, listening(8080, "77/<b>evil</b>"))
    made.sees(SSH, listening(8080, "77/<b>evil</b>"))
    return made


@pytest.fixture
def others(world: World) -> Host:
    """A host in a group that the limited see, beside web1 in one that they do not."""
    inside = HostGroup.objects.create(name="inside")
    secret = HostGroup.objects.create(name="secret")
    world.host.groups.add(inside, secret)
    hidden = World.__new__(World)
    hidden.using, hidden.minute = "default", 0.0
    hidden.host = Host.objects.create(name="hidden9", address="192.0.2.9")
    hidden.host.groups.add(secret)
    hidden.sees(SSH)
    hidden.sees(SSH, listening(7777, "5/stealth"))
    return hidden.host


def limited(role: Role) -> Client:
    return browser_of(person("lim", role, groups=HostGroup.objects.filter(name="inside")))


class TestChanges:
    def test_each_change_leads_to_that_time_and_to_its_alert(
        self, world: World, viewer: Client, page: Page
    ) -> None:
        html = page(viewer, "/changes/")
        listed = html.partition("<tbody>")[2]
        assert listed.index("Port down") < listed.index("New port")
        assert "&lt;b&gt;evil&lt;/b&gt;" in html
        assert "<b>evil</b>" not in html
        assert f"/hosts/{world.host.pk}/?at=2026-03-29T00%3A01%3A00Z" in html
        alert = Alert.objects.get(fingerprint="port_down:tcp/80")
        assert f'href="/alerts/{alert.pk}/"' in html

    @pytest.mark.parametrize(
        ("query", "kinds"),
        [
            ("port=80", ["port_down"]),
            ("port=1-79,8000-9000", ["port_new"]),
            ("kind=port_new", ["port_new"]),
            ("kind=port_new,port_down&sort=at", ["port_new", "port_down"]),
            ("program=NGINX", ["port_down"]),
            ("range=registered", ["port_new"]),
            ("range=ephemeral", []),
            ("protocol=udp", []),
            ("since=2026-03-29T00:01:00", ["port_down"]),
            ("until=2026-03-29T00:00:30", ["port_new"]),
            ("sort=port", ["port_down", "port_new"]),
        ],
    )
    def test_filters_and_orders(
        self, world: World, viewer: Client, query: str, kinds: list[str]
    ) -> None:
        answer = viewer.get(f"/changes/?{query}")
        assert [row["change"].kind for row in answer.context["rows"]] == kinds
        api = viewer.get(f"/api/v1/changes?{query}").json()
        assert [row["kind"] for row in api["data"]["changes"]] == kinds

    @pytest.mark.parametrize(
        ("query", "field"),
        [("port=0", "port"), ("kind=x", "kind"), ("sort=x", "sort"), ("range=low", "range"),
         ("host=99999", "host"), ("group=none", "group"), ("since=x", "since"),
         ("since=2026-02-02&until=2026-02-01", "since"), ("cursor=x", "cursor")],
    )  # fmt: skip
    def test_a_wrong_filter_is_named(
        self, world: World, viewer: Client, query: str, field: str
    ) -> None:
        answer = viewer.get(f"/changes/?{query}")
        assert answer.status_code == 400
        assert answer.context["problem"].field == field

    @pytest.mark.parametrize("sort", ["-at", "at", "host", "-port", "kind"])
    def test_pages_together_are_the_list(self, world: World, viewer: Client, sort: str) -> None:
        for minute in range(3):
            world.sees(SSH, *(listening(9000 + minute + n) for n in range(3)))
        seen: list[int] = []
        cursor = ""
        while True:
            data = viewer.get(
                "/api/v1/changes",
                {"sort": sort, "limit": "4"} | ({"cursor": cursor} if cursor else {}),
            ).json()["data"]
            seen += [row["id"] for row in data["changes"]]
            if data["next"] is None:
                break
            cursor = data["next"]
        assert len(seen) == len(set(seen)) == Change.objects.count()

    def test_what_is_outside_ones_groups_is_absent(self, others: Host, page: Page) -> None:
        client = limited(Role.VIEWER)
        html = page(client, "/changes/")
        assert "hidden9" not in html
        assert "secret" not in html
        assert "stealth" not in html
        assert page(client, f"/changes/?host={others.pk}", 400)
        assert client.get(f"/hosts/{others.pk}/watch/").status_code == 404

    def test_nothing_yet_says_what_to_do(self, viewer: Client, page: Page) -> None:
        assert "Port rules" in page(viewer, "/changes/")


class TestWatch:
    def test_the_worst_come_first_with_their_lists(
        self, world: World, viewer: Client, page: Page
    ) -> None:
        world.policy(host=world.host, expected="443/tcp nginx", allowed="22")
        world.sees(SSH, listening(8080))
        answer = viewer.get(f"/hosts/{world.host.pk}/watch/")
        states = [(row.state, row.row.port) for row in answer.context["rows"]]
        assert states == [("missing", 443), ("down", 80), ("up", 22), ("up", 8080)]
        html = answer.content.decode()
        assert "443/tcp nginx" in html
        assert re.search(r"<td class=\"na-mono\">ephemeral</td><td>site</td>", html)
        assert re.search(r"<td class=\"na-mono\">22</td><td>this host</td>", html)

    def test_a_group_outside_ones_reach_has_no_name(self, others: Host, page: Page) -> None:
        world = Host.objects.get(name="web1")
        PortPolicy.objects.create(group=HostGroup.objects.get(name="secret"), expected="4433")
        PortPolicy.objects.create(group=HostGroup.objects.get(name="inside"), expected="22")
        html = page(limited(Role.VIEWER), f"/hosts/{world.pk}/watch/")
        assert "4433" in html
        assert "a group" in html
        assert "group inside" in html
        assert "secret" not in html
        api = limited_api(world)
        assert {row["group"] for row in api["lists"]["expected"][0]["from"]} <= {None, "inside"}
        assert "secret" not in str(api)

    def test_a_port_that_was_taken_away_on_purpose_is_forgotten(
        self, world: World, operator: Client, viewer: Client, page: Page
    ) -> None:
        alert = Alert.objects.get(fingerprint="port_down:tcp/80")
        address = f"/hosts/{world.host.pk}/watch/forget/"
        fields = {"protocol": "tcp", "port": "80", "next": f"/alerts/{alert.pk}/"}
        assert address not in page(viewer, f"/hosts/{world.host.pk}/watch/")
        assert page(operator, f"/hosts/{world.host.pk}/watch/").count(address) == 1
        assert f'action="{address}"' in page(operator, f"/alerts/{alert.pk}/")
        assert viewer.post(address, fields).status_code == 403
        answer = operator.post(address, fields)
        assert answer.headers["Location"] == fields["next"]
        alert.refresh_from_db()
        assert alert.resolved_at is not None
        assert alert.resolved_by
        assert "tcp/80" not in world.ports
        assert AuditEntry.objects.get(action="port.forget").detail["programs"] == ["nginx"]
        assert address not in page(operator, f"/alerts/{alert.pk}/")
        assert world.sees(SSH, listening(8080, "77/<b>evil</b>")) == []
        assert world.sees(SSH, WEB, listening(8080, "77/<b>evil</b>")) == ["port_new tcp/80 nginx"]

    def test_a_port_that_is_there_or_expected_or_of_a_service_is_not_forgotten(
        self, world: World, operator: Client, others: Host
    ) -> None:
        world.policy(host=world.host, expected="443")
        world.sees(SSH, listening(8080, "77/<b>evil</b>"))
        command = RestartCommand.objects.create(name="nginx", argv=["true"], use_sudo=False)
        Service.objects.create(name="shop", host=world.host, port=80, command=command)
        address = f"/api/v1/hosts/{world.host.pk}/watch/forget"
        before = world.ports
        for port, why in (
            (22, "tcp/22 is listened on."),
            (443, "tcp/443 is expected: take it off the list of expected ports instead."),
            (80, "The service shop is on tcp/80: remove it, or switch it off, first."),
            (9, "There is no such watched port."),
        ):
            body = {"protocol": "tcp", "port": port}
            answer = operator.post(address, body, content_type="application/json")
            assert answer.status_code == 400
            assert why in answer.content.decode()
            page_answer = operator.post(address.removeprefix("/api/v1") + "/", body, follow=True)
            assert why in page_answer.content.decode()
        assert world.ports == before
        assert not AuditEntry.objects.filter(action="port.forget").exists()
        hidden = limited(Role.OPERATOR).post(f"/hosts/{others.pk}/watch/forget/", {"port": "7777"})
        assert hidden.status_code == 404

    def test_trouble_with_probes_is_wrong_or_in_order_and_no_number(
        self, world: World, viewer: Client, page: Page
    ) -> None:
        world.stores(failed(0, Code.LOGIN_FAILED))
        html = page(viewer, f"/hosts/{world.host.pk}/watch/").partition('id="thresholds"')[2]
        rows = {
            row.partition("<span")[0]: re.findall(r"<span>([a-z ]+)</span>", row)
            for row in html.split('<th scope="row" class="na-wide na-plain">')[1:]
        }
        assert rows["Login failed"] == ["wrong"]
        assert rows["Host not reached"] == ["in order"]
        assert rows["ESTABLISHED"] == ["below"]

    def test_no_baseline_yet(self, viewer: Client, page: Page) -> None:
        host = Host.objects.create(name="new", address="192.0.2.3")
        assert "No baseline yet" in page(viewer, f"/hosts/{host.pk}/watch/")


def limited_api(host: Host) -> dict[str, dict[str, list[dict[str, list[dict[str, str]]]]]]:
    user = browser_of(person("lim2", Role.VIEWER, groups=HostGroup.objects.filter(name="inside")))
    policy: dict[str, dict[str, list[dict[str, list[dict[str, str]]]]]]
    policy = user.get(f"/api/v1/hosts/{host.pk}/watch").json()["data"]["policy"]
    return policy


SWITCHES = {"says_system": "yes", "raises_system": ["down"]}


class TestRules:
    def test_a_look_at_what_it_would_do_saves_nothing(self, world: World, admin: Client) -> None:
        world.sees(SSH, WEB, listening(8080))
        before = PortPolicy.objects.count()
        answer = admin.post(
            f"/rules/ports/edit/?host={world.host.pk}",
            {"excluded": "22, 80", "expected": "443", "preview": ""},
        )
        assert answer.context["preview"].totals == {
            "leaves": 2, "joins": 0, "missing": 1, "settled": 0,
        }  # fmt: skip
        assert "2 ports would no longer be watched" in answer.content.decode()
        assert PortPolicy.objects.count() == before

    def test_saving_is_recorded_and_counts_from_the_next_probe_on(
        self, world: World, admin: Client
    ) -> None:
        address = f"/rules/ports/edit/?host={world.host.pk}"
        answer = admin.post(address, {"excluded": "80", "enabled": "", **SWITCHES})
        assert answer.status_code == 302
        row = PortPolicy.objects.get(host=world.host)
        assert (row.excluded, row.enabled, row.raises) == ("80", None, {"system": ["down"]})
        assert AuditEntry.objects.get(action="port_policy.add").detail["of"] == "host"
        assert "port_down:tcp/80" in world.active
        world.sees(SSH)
        assert "port_down:tcp/80" not in world.active

    def test_a_wrong_list_is_said_at_its_field_and_kept(self, world: World, admin: Client) -> None:
        answer = admin.post(
            "/rules/ports/edit/", {"excluded": "22\n90-80 x", "expected": "loopback"}
        )
        html = answer.content.decode()
        assert answer.status_code == 400
        assert "Line 2, “90-80 x”: a range goes from the lower to the higher port." in html
        assert "an expected port needs a number" in html
        assert "90-80 x</textarea>" in html

    def test_an_administrator_of_some_groups_keeps_to_them(self, others: Host, page: Page) -> None:
        client = limited(Role.ADMIN)
        inside = HostGroup.objects.get(name="inside")
        secret = HostGroup.objects.get(name="secret")
        PortPolicy.objects.create(group=secret, expected="4433")
        assert "4433" not in page(client, "/rules/ports/")
        assert client.get("/rules/ports/edit/").context["problem"].field == "group"
        assert client.post("/rules/ports/edit/", {"expected": "1"}).status_code == 400
        assert PortPolicy.objects.get(group=None, host=None).expected == ""
        for name, foreign in (("group", secret.pk), ("host", others.pk)):
            said = [
                str(client.get(f"/rules/ports/edit/?{name}={pk}").context["problem"])
                for pk in (foreign, 99_999)
            ]
            assert said[0] == said[1]
        saved = client.post(f"/rules/ports/edit/?group={inside.pk}", {"expected": "22"})
        assert saved.status_code == 302
        site = PortPolicy.objects.get(group=None, host=None)
        assert client.post(f"/rules/ports/{site.pk}/remove/").status_code == 403
        hidden = PortPolicy.objects.get(group=secret)
        assert client.post(f"/rules/ports/{hidden.pk}/remove/").status_code == 404
        own = PortPolicy.objects.get(group=inside)
        assert client.post(f"/rules/ports/{own.pk}/remove/").status_code == 302
        assert not PortPolicy.objects.filter(pk=own.pk).exists()

    def test_the_rules_of_the_site_are_not_removed(self, admin: Client) -> None:
        site = PortPolicy.objects.get(group=None, host=None)
        admin.post(f"/rules/ports/{site.pk}/remove/")
        assert PortPolicy.objects.filter(pk=site.pk).exists()
        assert admin.delete(f"/api/v1/port-policies/{site.pk}").status_code == 400


class TestJson:
    def test_a_policy_is_tried_saved_changed_and_removed(self, world: World, admin: Client) -> None:
        def call(method: str, path: str, body: object = None) -> dict[str, dict[str, object]]:
            send = getattr(admin, method)
            extra = {} if body is None else {"data": body, "content_type": "application/json"}
            answer: dict[str, dict[str, object]] = send(f"/api/v1/{path}", **extra).json()
            return answer

        tried = call("post", "port-policies?dry_run=true", {"host": world.host.pk, "expected": "9"})
        assert tried["data"]["preview"]["totals"]["missing"] == 1  # type: ignore[index]
        made = call("post", "port-policies", {"host": world.host.pk, "expected": "9"})
        policy = made["data"]["policy"]
        assert policy["scope"] == "host"  # type: ignore[index]
        again = call("post", "port-policies", {"host": world.host.pk})
        assert again["error"]["field"] == "host"
        path = f"port-policies/{policy['id']}"  # type: ignore[index]
        wrong = call("patch", path, {"raises": {"system": ["up"]}})
        assert wrong["error"]["field"] == "raises"
        changed = call("patch", path, {"allowed": "22", "raises": {"system": ["new"]}})
        assert changed["data"]["policy"]["expected"] == "9"  # type: ignore[index]
        assert call("delete", path)["success"]
        assert call("get", path)["error"]["code"] == "not_found"

    def test_csv_has_exactly_the_filtered_rows(self, world: World, viewer: Client) -> None:
        answer = viewer.get("/api/v1/changes?port=80&format=csv")
        text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
        assert len(text.strip().splitlines()) == 2
        watch = viewer.get(f"/api/v1/hosts/{world.host.pk}/watch?format=csv")
        assert b"tcp,80,down" in b"".join(watch.streaming_content)  # type: ignore[attr-defined]


def test_clients_are_counted_in_the_evidence(viewer: Client, page: Page) -> None:
    world = World("default")
    world.sees(SSH, WEB, line("10.0.0.5:80", "203.0.113.5:999", holder="900/nginx"))
    world.sees(SSH)
    alert = Alert.objects.get()
    assert "203.0.113.5" in page(viewer, f"/alerts/{alert.pk}/")
