"""Peers, new-peer watches and the rule set as scripts have them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from netadmin.access.models import Scope
from probes.models import Alert, DriftWatch, Peer, Rule
from tests.probes.api.site import Caller, Site, error_of

PEERS, WATCHES, RULES = "/api/v1/peers", "/api/v1/drift-watches", "/api/v1/rule-set"


@pytest.fixture
def peer(site: Site) -> Peer:
    """A new one of the group "inside"; one of "others" is hidden from the limited."""
    now = timezone.now()
    alert = Alert.objects.create(
        kind="peer", fingerprint="x", host=site.host, subject="curl", opened_at=now, newest_at=now
    )
    for group, host in ((site.group, site.host), (site.others, site.hidden)):
        DriftWatch.objects.create(group=group, learn_until=now)
        made = Peer.objects.create(
            group=group, program="curl", network="203.0.113.0/24", state="new", host=host,
            first_seen=now, last_seen=now, alert=alert if host == site.host else None,
        )  # fmt: skip
    return Peer.objects.exclude(pk=made.pk).get()


def sent(caller: Caller, body: bytes, kind: str, query: str = "") -> Any:
    return caller.client.generic(
        "PUT", f"{RULES}{query}", body, content_type=kind, headers=caller.headers
    )


def test_peers_are_listed_filtered_and_decided(site: Site, peer: Peer) -> None:
    caller = site.token("operator", Scope.OPERATE)
    data = caller.get(PEERS, state="new", ip="203.0.113.7", program="cur")
    assert data["total"] == len(data["peers"])
    row = next(row for row in data["peers"] if row["id"] == peer.pk)
    assert row["group"] == {"id": site.group.pk, "name": "inside"}
    assert (row["network"], row["host"]["name"]) == ("203.0.113.0/24", site.host.name)
    assert caller.csv(PEERS).startswith("id,state,group,program,network,")

    body = {"action": "approve", "days": 3}
    decided = json.loads(caller.call("POST", f"{PEERS}/{peer.pk}/decide", body).content)["data"]
    assert (decided["peer"]["state"], decided["peer"]["decided_by"]) == ("approved", "otto")
    assert decided["peer"]["until"] > (timezone.now() + dt.timedelta(days=2)).isoformat()
    assert Alert.objects.get(fingerprint="x").resolved_at is not None
    snooze = caller.call("POST", f"{PEERS}/{peer.pk}/decide", {"action": "snooze"})
    assert error_of(snooze, 400)["field"] == "days"


def test_a_watch_is_made_changed_and_removed(site: Site) -> None:
    caller = site.token("admin", Scope.ADMIN)
    address = f"{WATCHES}/{site.group.pk}"
    assert caller.call("PUT", address, {"ignored": ["10.0.0.0/8"]}).status_code == 200
    learn = "2026-01-31T03:12:00Z"
    changed = caller.call("PUT", address, {"learn_until": learn, "ipv4_prefix": 32})
    watch = json.loads(changed.content)["data"]["drift_watch"]
    assert (watch["ipv4_prefix"], watch["ignored"]) == (32, ["10.0.0.0/8"])
    assert watch["learn_until"] == "2026-01-31T03:12:00+00:00"
    assert [row["id"] for row in caller.get(WATCHES)["drift_watches"]] == [site.group.pk]
    assert caller.csv(WATCHES).startswith("id,group,enabled,")
    assert error_of(caller.call("PUT", address, {"ipv4_prefix": 33}), 400)["field"] == "ipv4_prefix"
    assert caller.call("DELETE", address).status_code == 200
    assert error_of(caller.call("DELETE", address), 404)["field"] == "group"


def test_the_rule_set_goes_out_and_comes_in(site: Site) -> None:
    caller = site.token("admin", Scope.ADMIN)
    document = caller.get(RULES)["rule_set"]
    document["rules"].append({"name": "new", "metric": "sockets", "threshold": 9})
    body = json.dumps(document).encode()
    dry = json.loads(sent(caller, body, "application/json", "?dry_run=1").content)["data"]
    assert (dry["stored"], dry["counts"]["added"]) == (False, 1)
    assert not Rule.objects.filter(name="new").exists()
    done = json.loads(sent(caller, body, "application/json").content)["data"]
    (added,) = done["differences"]
    assert (added["section"], added["kind"], added["label"]) == ("rules", "added", "new")
    assert added["changes"]["threshold"] == [None, 9.0]
    text = caller.client.get(RULES, {"format": "yaml"}, headers=caller.headers).content
    assert b"- name: new\n" in text
    text = text.replace(b"threshold: 9.0", b"threshold: 10")
    assert sent(caller, text, "application/yaml").status_code == 200
    assert Rule.objects.get(name="new").threshold == 10
    only = b"version: 1\nrules: [{name: new, metric: sockets}]\n"
    assert sent(caller, only, "text/plain", "?replace=1").status_code == 200
    assert [rule.name for rule in Rule.objects.all()] == ["new"]
    wrong = error_of(sent(caller, b"version: 1\nrules: [{name: x}]\n", "text/plain"), 400)
    assert wrong["field"] == "rules[0].metric"
    assert error_of(sent(caller, b"version: 1", "text/html"), 415)
    assert error_of(sent(caller, b"version: 1", "text/plain", "?replace=yes"), 400)
