"""What a message says: items frozen when it is decided, and their text when it is sent.

Place in the data's way: ``deciding`` freezes an item for each alert, in the channel's language, so
that a message says what was known then, whatever becomes of the alert; ``mailing``, ``webhook`` and
``team_chat`` send :func:`compose` of them. Knows no channel but its language. An item is JSON::

    {"key": "7:port_down:tcp/8080", "alert": 31, "host": {"id": 7, "name": "web1"},
     "kind": "port", "fingerprint": "port_down:tcp/8080", "severity": "critical",
     "active": true, "title": "Port tcp/8080 (nginx) is down", "opened_at": "...Z",
     "resolved_at": null, "lines": [["Programs", "nginx"]], "advice": "...", "facts": {...},
     "evidence": [...], "url": "https://netadmin.example.com/alerts/31/", "changes": [102],
     "quiet_until": null}

Names and rows come from hosts: one line each, no control characters, of bounded length.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from probes import mail
from probes.models import Alert, Delivery, Severity
from probes.notify.routing import RANKS
from probes.payloads import alerts as payloads
from probes.wording import alerts as wording

logger = logging.getLogger(__name__)

Item = dict[str, Any]

LONGEST_SUBJECT: Final = 200
LONGEST_VALUE: Final = 300
MOST_LINES: Final = 12
EVIDENCE_ROWS: Final = 3
MOST_FACTS_BYTES: Final = 4_000
"""Of the facts of one item as JSON: a message holds hundreds of items."""
DETAILED: Final = 10
"""Items that are told with all their lines; of more than that each is a name in a list."""
NAMED: Final = 30
"""Hosts that are named below a title that several share."""
TITLES: Final = 40
"""Different titles of one message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery in words."""

    uid: str
    kind: str
    subject: str
    text: str
    items: Sequence[Item]
    channel: str
    created_at: str

    @property
    def active(self) -> int:
        """How many of its items are wrong."""
        return sum(bool(item["active"]) for item in self.items)

    @property
    def over(self) -> int:
        """How many of its items are over."""
        return len(self.items) - self.active

    @property
    def severity(self) -> str:
        """The worst of what is wrong; ``info`` where nothing is."""
        held = [item["severity"] for item in self.items if item["active"]]
        return max(held, key=lambda name: RANKS.get(name, 0), default=Severity.INFO.value)

    @property
    def hosts(self) -> list[str]:
        """Names of the hosts it tells of, each once."""
        return list(dict.fromkeys(str(item["host"]["name"]) for item in self.items))


def key(host_id: int, fingerprint: str) -> str:
    """What makes two items tell of the same thing."""
    return f"{host_id}:{fingerprint}"


def freeze(
    alert: Alert,
    *,
    active: bool,
    language: str,
    changes: Iterable[int] = (),
    quiet_until: dt.datetime | None = None,
) -> Item:
    """The item of an alert, whose host and rule are loaded. Never raises for what its facts hold:
    an alert that no sentence can be made of is told by its subject."""
    with translation.override(language or settings.LANGUAGE_CODE):
        try:
            title = wording.title(alert)
            lines = [[_plain(label), _plain(value)] for label, value in wording.lines(alert)]
            advice = _plain(wording.advice(alert))
        except Exception:
            logger.exception("alert %s has no words", alert.pk)
            title, lines, advice = alert.subject or alert.fingerprint, [], ""
    facts = payloads.told(alert.facts)
    return {
        "key": key(alert.host_id, alert.fingerprint),
        "alert": alert.pk,
        "host": {"id": alert.host_id, "name": mail.one_line(alert.host.name, 100)},
        "kind": alert.kind,
        "fingerprint": alert.fingerprint,
        "severity": alert.severity,
        "active": active,
        "title": _plain(title),
        "opened_at": _time(alert.opened_at),
        "resolved_at": None if active else _time(alert.resolved_at),
        "lines": lines[:MOST_LINES],
        "advice": advice,
        "facts": facts if len(json.dumps(facts, default=str)) <= MOST_FACTS_BYTES else {},
        "evidence": alert.evidence[:EVIDENCE_ROWS],
        "url": alert_url(alert.pk),
        "changes": sorted(set(changes)),
        "quiet_until": _time(quiet_until),
    }


def alert_url(pk: int) -> str:
    """The page of an alert."""
    try:
        return f"{settings.SITE_URL.rstrip('/')}{reverse('alert', args=[pk])}"
    except NoReverseMatch:
        return f"{settings.SITE_URL.rstrip('/')}{reverse('alerts')}"


def compose(delivery: Delivery) -> Message:
    """A delivery in its channel's language; the same for each try."""
    channel = delivery.channel
    items: list[Item] = delivery.items
    with translation.override(channel.language or settings.LANGUAGE_CODE):
        if delivery.kind == Delivery.Kind.TEST:
            subject = _("Test of the channel %(name)s") % {"name": mail.one_line(channel.name, 100)}
            text = _("If you can read this, netadmin reaches you here.")
            text = f"{text}\n\n{settings.SITE_URL}"
        else:
            subject = _subject(delivery.kind, items)
            text = "\n".join(_text(delivery, items))
    return Message(
        uid=str(delivery.uid),
        kind=delivery.kind,
        subject=mail.one_line(f"[netadmin] {subject}", LONGEST_SUBJECT),
        text=text,
        items=items,
        channel=channel.name,
        created_at=_time(delivery.created_at) or "",
    )


def _subject(kind: str, items: Sequence[Item]) -> str:
    wrong = [item for item in items if item["active"]]
    if kind == Delivery.Kind.WINDOW_OVER:
        return ngettext(
            "Maintenance is over: %(n)d alert is active",
            "Maintenance is over: %(n)d alerts are active",
            len(wrong),
        ) % {"n": len(wrong)}
    if len(items) == 1:
        (item,) = items
        told = f"{item['host']['name']}: {item['title']}"
        if kind == Delivery.Kind.REMINDER:
            return _("Still: %(what)s") % {"what": told}
        if kind == Delivery.Kind.ESCALATION:
            return _("Nobody acknowledged: %(what)s") % {"what": told}
        return told if item["active"] else _("Over: %(what)s") % {"what": told}
    hosts = len({item["host"]["id"] for item in items})
    titles = {(item["title"], item["active"]) for item in items}
    if len(titles) == 1:
        said = items[0]["title"] if wrong else _("Over: %(what)s") % {"what": items[0]["title"]}
        on = ngettext("%(n)d host: %(what)s", "%(n)d hosts: %(what)s", hosts)
        return on % {"n": hosts, "what": said}
    over = len(items) - len(wrong)
    if not over:
        said = ngettext("%(n)d alert", "%(n)d alerts", len(wrong)) % {"n": len(wrong)}
    elif wrong:
        said = _("%(wrong)d wrong and %(over)d over") % {"wrong": len(wrong), "over": over}
    else:
        said = ngettext("%(n)d alert is over", "%(n)d alerts are over", over) % {"n": over}
    return ngettext("%(what)s on %(n)d host", "%(what)s on %(n)d hosts", hosts) % {
        "n": hosts, "what": said
    }  # fmt: skip


def _text(delivery: Delivery, items: Sequence[Item]) -> Iterator[str]:
    yield from _opening(delivery)
    wrong = [item for item in items if item["active"]]
    wrong.sort(key=lambda item: -RANKS.get(item["severity"], 0))
    over = [item for item in items if not item["active"]]
    if wrong and over:
        yield _("Wrong")
    yield from _listed(wrong)
    if over:
        yield _("Over")
        yield from _listed(over)
    yield f"{settings.SITE_URL.rstrip('/')}{reverse('alerts')}"


def _opening(delivery: Delivery) -> Iterator[str]:
    said = {
        Delivery.Kind.REMINDER: _("Still wrong, and nobody acknowledged it:"),
        Delivery.Kind.ESCALATION: _("Nobody acknowledged this in time:"),
        Delivery.Kind.WINDOW_OVER: _("A maintenance window is over. This is how it stands:"),
    }.get(Delivery.Kind(delivery.kind))
    if said:
        yield said
        yield ""


def _listed(items: Sequence[Item]) -> Iterator[str]:
    if len(items) <= DETAILED:
        for item in items:
            yield from _detailed(item)
        return
    by_title: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_title.setdefault((item["severity"], item["title"]), []).append(item)
    groups = list(by_title.items())
    for (severity, title), members in groups[:TITLES]:
        hosts = list(dict.fromkeys(str(item["host"]["name"]) for item in members))
        count = ngettext("%(n)d host", "%(n)d hosts", len(hosts)) % {"n": len(hosts)}
        yield f"{_severity(severity)}: {title} ({count})"
        more = len(hosts) - NAMED
        named = ", ".join(hosts[:NAMED])
        yield f"  {named}" + (f" {_('and %(n)s more') % {'n': more}}" if more > 0 else "")
        yield ""
    if len(groups) > TITLES:
        yield _("and %(n)s more") % {"n": len(groups) - TITLES}
        yield ""


def _detailed(item: Item) -> Iterator[str]:
    yield f"{_severity(item['severity'])}: {item['host']['name']}: {item['title']}"
    since = _shown(item["opened_at"])
    if item["active"]:
        yield "  " + _("since %(when)s") % {"when": since}
    else:
        yield "  " + _("from %(since)s until %(until)s") % {
            "since": since, "until": _shown(item["resolved_at"]) or "?"
        }  # fmt: skip
    for label, value in item["lines"]:
        yield f"  {label}: {value}"
    if item["active"] and item["advice"]:
        yield f"  {item['advice']}"
    if item["quiet_until"]:
        yield "  " + _(
            "It changes often: nothing more is told of it before %(when)s, and then how it ended."
        ) % {"when": _shown(item["quiet_until"])}
    yield f"  {item['url']}"
    yield ""


def _severity(name: str) -> str:
    return str(Severity(name).label) if name in Severity.values else pgettext("severity", "Alert")


def _plain(text: Any) -> str:
    return mail.one_line(str(text), LONGEST_VALUE)


def _time(when: dt.datetime | None) -> str | None:
    if when is None:
        return None
    return when.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _shown(iso: str | None) -> str:
    """``2026-05-01 12:00:00 UTC``"""
    return "" if iso is None else f"{iso[:10]} {iso[11:19]} UTC"
