"""Every page in a real browser: no barrier to anybody, and no wider than the window."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from hosts.models import Credential, Host, HostGroup, HostKey, Source, SyncRun
from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes.history import store, tables
from probes.hunts import running as hunting
from probes.models import (
    Alert,
    Channel,
    Delivery,
    Hunt,
    Restart,
    RestartCommand,
    Rule,
    Schedule,
    Service,
    Silence,
    Snapshot,
)
from probes.observation import Code, Table
from tests.people import browser_of, person
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, failed, line, observed, table
from tests.trust.world import HOSTILE_PLAN
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""What the second scheme can change: the pages are the same but for their colours."""
PAGES = {
    "overview": "/",
    "hosts": "/hosts/",
    "add a host": "/hosts/add/",
    "edit a host": "/hosts/{host}/edit/",
    "import": "/hosts/import/",
    "credentials": "/credentials/",
    "host keys": "/hosts/keys/",
    "sources": "/hosts/sources/",
    "a source": "/hosts/sources/{source}/",
    "add a source": "/hosts/sources/add/",
    "a synchronisation": "/hosts/sources/runs/{run}/",
    "connections": "/hosts/{host}/",
    "filtered connections": "/hosts/{host}/?state=LISTEN&remote_ip=10.0.0.0/8",
    "a bad filter": "/hosts/{host}/?local_port=99999",
    "host ports": "/hosts/{host}/ports/",
    "peers": "/hosts/{host}/peers/",
    "states": "/hosts/{host}/states/",
    "routes": "/hosts/{host}/network/",
    "the way to an address": "/hosts/{host}/network/?ip=10.1.2.3",
    "interfaces": "/hosts/{host}/network/?table=interfaces",
    "protocol counters": "/hosts/{host}/network/?table=protocols&hide=zero",
    "a table that failed": "/hosts/{host}/network/?table=multicast",
    "a bad table": "/hosts/{host}/network/?table=moon",
    "the past": "/hosts/{host}/?at=2026-03-29T00:00:00&span=all&by=changes",
    "history": "/hosts/{host}/history/?span=all",
    "diff": "/hosts/{host}/diff/",
    "compare": "/compare/?a={host}",
    "live": "/hosts/{host}/live/",
    "probes": "/hosts/{host}/probes/",
    "a probe": "/snapshots/{snapshot}/",
    "ports": "/ports/",
    "one port": "/ports/?port=22",
    "statistics": "/statistics/",
    "a statistic of ports": "/statistics/?by=common&host={host}",
    "search": "/search/?q=22",
    "search of an address": "/search/?q=10.0.0.9",
    "hunt": "/hunt/",
    "what a hunt found": "/hunt/?ip=10.0.0.9",
    "a list that was hunted": "/hunt/?indicators=port+22+program%3Asshd+evil.example",
    "saved hunts": "/hunts/",
    "the API": "/api/v1/docs/",
    "an operation of the API": "/api/v1/docs/?operation=get_host_connections",
    "add a hunt": "/hunts/add/",
    "alerts": "/alerts/",
    "an alert": "/alerts/{alert}/",
    "channels": "/channels/",
    "a channel": "/channels/{channel}/",
    "add a webhook": "/channels/add/?kind=webhook",
    "add a mail channel": "/channels/add/?kind=email",
    "maintenance windows": "/silences/",
    "add a maintenance window": "/silences/add/?host={host}",
    "activity": "/activity/",
    "changes": "/changes/",
    "thresholds": "/rules/",
    "what a rule looks at": "/rules/add/",
    "add a rule": "/rules/add/?metric=rise",
    "edit a rule": "/rules/{rule}/edit/",
    "whom a rule is other for": "/rules/{rule}/overrides/add/",
    "a rule that is other for a host": "/rules/{rule}/overrides/add/?host={host}",
    "port rules": "/rules/ports/",
    "edit port rules": "/rules/ports/edit/?host={host}",
    "watch of a host": "/hosts/{host}/watch/",
    "new peers": "/peers/",
    "watch a group": "/peers/watch/",
    "import rules": "/rules/import/",
    "services": "/services/",
    "a service": "/services/{service}/",
    "add a service": "/services/add/?host={host}",
    "restart commands": "/services/commands/",
    "add a restart command": "/services/commands/add/",
    "exposure": "/exposure/",
    "exposure of a host": "/exposure/?host={host}&since=1h",
    "map": "/map/",
    "findings": "/findings/",
    "no findings of a kind": "/findings/?kind=flood&host={host}",
    "paste": "/paste/?host={host}",
    "report": "/report/",
    "report of a host": "/report/?host={host}",
    "a bad report": "/report/?limit=7",
    "mailed reports": "/report/mailings/",
    "mail a report": "/report/mailings/add/?host={host}",
    "tokens": "/tokens/",
    "a token": "/tokens/{token}/edit/",
    "audit": "/audit/",
}
PARTS = [list(PAGES)[part::4] for part in range(4)]
"""In parts: a page that does not open hides what is wrong with no more than its part."""


@pytest.fixture
def opened(page: Page, live_server: Any) -> Page:
    """A browser logged in as an administrator, over a small fleet with some of everything."""
    from probes import health

    anna = person("anna", Role.ADMIN)
    credential = Credential.objects.create(name="deploy everywhere", user="deploy")
    host = Host.objects.create(
        name="web-1.production.example.com", address="web-1.example", credential=credential
    )
    dead = Host.objects.create(name="dead", address="2001:db8:1234:5678:9abc:def0:1234:5678")
    HostKey.objects.create(
        address=dead.address, port=22, key_type="ssh-ed25519", fingerprint="SHA256:" + "x" * 43
    )
    rows = [line(f"10.0.0.5:{port}", f"10.0.0.9:{port}") for port in range(4000, 4040)]
    hostile = line(holder="812/<script>alert(1)</script>")
    for minute in range(3):
        text = table(LISTENER, hostile, "no socket at all", *rows[minute:])
        store.save(host, observed(minute, text))
    for minute in range(3):
        *others, _groups = tabled.usual(1_000_000 * minute)
        tables.save(host, tabled.seen(minute, *others, tabled.missing(Table.MULTICAST)))
    store.save(dead, failed(1, Code.TIMED_OUT))
    Schedule.objects.filter(host=dead).update(failures=1)
    Hunt.objects.create(
        name="botnet",
        owner=anna,
        indicators="10.0.0.9 port 22",
        checked_at=host.created_at - dt.timedelta(days=9999),
    )
    hunting.run()
    now = timezone.now()
    Silence.objects.create(
        starts_at=now, ends_at=now + dt.timedelta(hours=1), host=host, reason="disks " * 20
    )
    command = RestartCommand.objects.create(name="sshd", argv=["systemctl", "restart", "sshd"])
    service = Service.objects.create(name="login", host=host, port=22, command=command)
    Restart.objects.create(
        service=service,
        host=host,
        state="still_down",
        planned_at=host.created_at,
        ended_at=host.created_at,
        exit_status=5,
        output="no such unit\n" + "x" * 300,
        command_line="sudo -n systemctl restart sshd",
    )
    channel = Channel(
        name="chat of the team", kind="webhook", address_shown="https://hooks.example.com"
    )
    channel.save()
    Delivery.objects.create(
        channel=channel, kind="test", state="failed", tries=1, error="status: 503"
    )
    source = Source.objects.create(
        name="assets",
        kind="json",
        location="https://cmdb.example.com/" + "x" * 200,
        group=HostGroup.objects.create(name="production"),
        credential=credential,
    )
    run = SyncRun.objects.create(
        source=source,
        state="waiting",
        started_at=host.created_at,
        code="many_removed",
        plan=HOSTILE_PLAN,
    )
    token, _text = tokens.create(
        user=anna,
        name="nightly report",
        scope=Scope.READ,
        from_networks=[f"2001:db8:{number}::/48" for number in range(5)],
    )
    health.beat("worker@test")
    session = browser_of(anna).cookies["netadmin_session"].value
    page.context.add_cookies(
        [{"name": "netadmin_session", "value": session, "url": live_server.url}]
    )
    page.base = live_server.url  # type: ignore[attr-defined]
    page.names = {  # type: ignore[attr-defined]
        "host": host.pk,
        "alert": Alert.objects.get().pk,
        "service": service.pk,
        "rule": Rule.objects.get_or_create(
            name="ESTABLISHED",
            defaults={"metric": "state", "state": "ESTABLISHED", "threshold": 200},
        )[0].pk,
        "source": source.pk,
        "token": token.pk,
        "channel": channel.pk,
        "run": run.pk,
        "snapshot": Snapshot.objects.filter(host=host).latest("taken_at").pk,
    }
    return page


def visit(page: Page, url: str) -> None:
    page.goto(page.base + url.format(**page.names))  # type: ignore[attr-defined]


@pytest.mark.parametrize("pages", PARTS, ids=lambda names: f"{names[0]} and others")
def test_no_page_has_a_serious_barrier_in_light_or_dark_or_is_wider_than_its_window(
    opened: Page, pages: list[str]
) -> None:
    opened.emulate_media(reduced_motion="reduce")  # colours change at once and not by and by
    axe = AXE.read_text(encoding="utf-8")
    barriers: list[str] = []
    for name in pages:
        opened.emulate_media(color_scheme="light")
        opened.set_viewport_size({"width": 1280, "height": 800})
        visit(opened, PAGES[name])
        # Through the debugger, which the page's Content-Security-Policy does not bind.
        opened.evaluate(axe)
        for scheme, rules in (("light", {}), ("dark", COLOURS)):
            opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            opened.wait_for_function(
                "scheme => document.documentElement.dataset.bsTheme === scheme", arg=scheme
            )
            options = {"resultTypes": ["violations"], **rules}
            found = opened.evaluate("options => axe.run(document, options)", options)
            barriers += [
                f"{name}, {scheme}: {each['id']}: {each['nodes'][0]['html'][:120]}"
                for each in found["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        fits(opened, name)

    assert not barriers, "\n".join(barriers)


def fits(page: Page, name: str) -> None:
    """Fail where the page has to be scrolled sideways in a window of some width."""
    for width in (400, 1280, 2000):
        page.set_viewport_size({"width": width, "height": 800})
        # A chart takes its new width a moment after the window has it.
        wait_until(
            lambda width=width: page.evaluate("document.documentElement.scrollWidth") <= width,
            what=f"{name} fits into {width} px",
        )
