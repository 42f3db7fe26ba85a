"""How alerts and changes look on a page: their icons, rows of evidence, links and pivots.

Place in the data's way: between the rows and the templates of alerts, activity, overview and the
host's own page.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import request_role
from probes import recovery
from probes.history.queries import alerts
from probes.models import Alert, AlertKind, Change, Severity
from probes.views import moment as moments
from probes.wording import alerts as wording

ICONS: Final[dict[str, str]] = {
    Severity.CRITICAL: "bad",
    Severity.WARNING: "warn",
    Severity.INFO: "info",
}
"""A shape for each severity, so that none rests on its colour alone."""

CHANGE_ICONS: Final[dict[str, str]] = {
    Change.Kind.PORT_NEW: "plug",
    Change.Kind.PORT_DOWN: "bad",
    Change.Kind.PORT_RECOVERED: "ok",
    Change.Kind.HOLDER: "user",
    Change.Kind.EXPECTED_MISSING: "bad",
    Change.Kind.EXPECTED_BACK: "ok",
    Change.Kind.RAISED: "warn",
    Change.Kind.CLEARED: "ok",
    Change.Kind.TROUBLE: "warn",
    Change.Kind.TROUBLE_OVER: "ok",
    Change.Kind.PEER_NEW: "globe",
    Change.Kind.HUNT_HIT: "search",
    Change.Kind.GAVE_UP: "bad",
    Change.Kind.SERVICE_BACK: "ok",
}
SEVERITIES: Final = dict(Severity.choices)
MOST_OF_A_HOST: Final = 3
"""Alerts that a host's page names; the rest are a link."""
LEVELS: Final = frozenset({"bad", "warn", "ok", "off"})
ROUND: Final = dt.timedelta(minutes=10)
"""How far on either side of it the diff of its host goes where nothing else says it."""


def colour(icon: str) -> str:
    """The class that colours an icon: a level has its own, whatever else is only pointed out."""
    return f"na-{icon}" if icon in LEVELS else "na-new"


def badges(host_ids: Iterable[int]) -> dict[int, list[tuple[str, str, int]]]:
    """By host that has active alerts: (icon, severity in words, number), the worst first. One
    query."""
    return {
        host_id: [
            (ICONS.get(severity, "warn"), str(SEVERITIES.get(severity, severity)), number)
            for severity, number in counted.items()
        ]
        for host_id, counted in alerts.active_by_severity(host_ids).items()
    }


def host_alerts(host: Host) -> dict[str, Any]:
    """What ``probes/_host_alerts.html`` needs: a host's active alerts, and how many of them are
    shown. One query."""
    active = alerts.active_of(host)
    return {
        "active_alerts": [
            {
                "alert": alert,
                "title": wording.title(alert),
                "icon": ICONS.get(alert.severity, "warn"),
            }
            for alert in active[:MOST_OF_A_HOST]
        ],
        "more_alerts": max(0, len(active) - MOST_OF_A_HOST),
        "active_total": len(active),
    }


def evidence_rows(alert: Alert) -> list[dict[str, Any]]:
    """Its rows, each with its time read and a link to that very time of the host."""
    here = reverse("host", args=[alert.host_id])
    return [row | _times(row, here) for row in alert.evidence if isinstance(row, dict)]


def _times(row: dict[str, Any], host_url: str) -> dict[str, Any]:
    try:
        first = dt.datetime.fromisoformat(row["first_seen"])
    except (KeyError, TypeError, ValueError):
        return {"first_seen": None, "then_url": ""}
    return {"first_seen": first, "then_url": at_url(host_url, first)}


def at_url(address: str, when: dt.datetime) -> str:
    """A page of a host as it was then."""
    return f"{address}?{urlencode({'at': moments.stamp(when)})}"


def change_row(change: Change) -> dict[str, Any]:
    """A change with its sentence, icon and a link to that time of its host."""
    return {
        "change": change,
        "title": wording.change_title(change),
        "icon": CHANGE_ICONS.get(change.kind, "info"),
        "css": colour(CHANGE_ICONS.get(change.kind, "info")),
        "then_url": at_url(reverse("host", args=[change.host_id]), change.at),
    }


def alert_links(request: HttpRequest, alert: Alert) -> list[tuple[str, str, str]]:
    """(icon, label, address) of where one looks on: the host then, what changed, what raised it."""
    host = reverse("host", args=[alert.host_id])
    links = [("history", _("The host as it was then"), at_url(host, alert.opened_at))]
    ends = {
        "from": moments.stamp(_before(alert)),
        "to": moments.stamp(alert.opened_at),
    }
    diff = f"{reverse('host_diff', args=[alert.host_id])}?{urlencode(ends)}"
    links.append(("refresh", _("What changed on it then"), diff))
    role = request_role(request)
    administers = role is not None and role >= Role.ADMIN
    links += [link for link in _raised_by(alert, administers=administers) if link[2]]
    if alert.kind in (AlertKind.PORT, AlertKind.SERVICE) and alert.host.removed_at is None:
        protocol, port = alert.facts.get("protocol"), alert.facts.get("port")
        service = recovery.service_of(alert.host_id, str(protocol), port)
        if service is not None:
            links.append(("server", service.name, reverse("service", args=[service.pk])))
    return links


def _before(alert: Alert) -> dt.datetime:
    """The probe before the one that opened it, as far as its facts say."""
    before = alert.facts.get("before") if isinstance(alert.facts, dict) else None
    at = before.get("at") if isinstance(before, dict) else None
    try:
        when = dt.datetime.fromisoformat(str(at))
    except ValueError:
        return alert.opened_at - ROUND
    return when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)


def _raised_by(alert: Alert, *, administers: bool) -> list[tuple[str, str, str]]:
    facts = alert.facts if isinstance(alert.facts, dict) else {}
    if alert.rule_id is not None:
        if administers:
            return [("edit", _("Its rule"), _url("rule_edit", alert.rule_id))]
        return [("edit", _("Its rule"), _url("rules"))]
    if alert.kind == AlertKind.HUNT and alert.hunt_id is not None:
        return [("search", _("Saved hunts"), _url("hunts"))]
    if alert.kind == AlertKind.PORT:
        links = [("plug", _("What is watched here"), _url("host_watch", alert.host_id))]
        if facts.get("port"):
            links.append(
                ("plug", _("This port on all hosts"), f"{_url('ports')}?port={facts['port']}")
            )
        return links
    if alert.kind == AlertKind.PEER:
        return [("globe", _("New peers"), _url("peers"))]
    if alert.kind == AlertKind.SERVICE:
        number = alert.fingerprint.rpartition(":")[2]
        if number.isascii() and number.isdigit():
            return [("server", _("The service"), _url("service", int(number)))]
    return []


def _url(name: str, *arguments: int) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""


def pivots(alert: Alert) -> list[dict[str, Any]]:
    """Small tables of the largest addresses, programs and ports, with links to their rows then."""
    facts = alert.facts if isinstance(alert.facts, dict) else {}
    host = reverse("host", args=[alert.host_id])
    at = moments.stamp(alert.opened_at)
    tables = []
    for key, title, parameter in (
        ("top_ips", _("Addresses"), "remote_ip"),
        ("top_programs", _("Programs"), "program"),
        ("top_ports", _("Ports"), "local_port"),
    ):
        pairs = wording.top(facts, key)
        if pairs:
            most = max(number for _name, number in pairs)
            rows = [
                (name, number, f"{host}?{urlencode({parameter: name, 'at': at})}", most)
                for name, number in pairs
            ]
            tables.append({"title": title, "rows": rows})
    return tables
