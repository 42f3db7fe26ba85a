"""What happened on a host in words: sentences of alerts and changes, their numbers, what to do.

Place in the data's way: after the rows of ``Alert`` and ``Change``, whose facts are codes and
values; before pages, JSON, CSV, mails and webhooks, in the language that is active when it is
asked. What a host printed (programs, addresses) becomes plain text of one line here, and within a
sentence a program's name that is no plain word is quoted: its owner chose it, and some read like
words of ours. Templates escape it, ``netadmin.csvfile`` makes it inert. Knows no pages, asks no
database but for the rule of an alert that is not loaded. Group names are never said: a reader may
see a host and not each group it is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from probes import mail
from probes.models import Alert, AlertKind, Change, Metric, Refusal
from probes.observation import EXPLANATIONS, Code
from probes.wording import recovery
from probes.wording.names import quoted

LONGEST_NAME: Final = 60
LONGEST_LINE: Final = 300
MOST_NAMED: Final = 3
"""Programs that a sentence names; lines name all that are kept."""

ARROW: Final = " \N{RIGHTWARDS ARROW} "
DASH: Final = "\N{EM DASH}"

Kind = Change.Kind

_TITLES: Final[dict[str, str]] = {
    Kind.PORT_NEW: gettext_noop("New port %(port)s%(held)s"),
    Kind.PORT_DOWN: gettext_noop("Port %(port)s%(held)s is down"),
    Kind.PORT_RECOVERED: gettext_noop("Port %(port)s%(held)s is back"),
    Kind.EXPECTED_MISSING: gettext_noop("Expected port %(port)s%(held)s is missing"),
    Kind.EXPECTED_BACK: gettext_noop("Expected port %(port)s%(held)s is there"),
    Kind.CLEARED: gettext_noop("No longer above its threshold: %(subject)s"),
    Kind.TROUBLE_OVER: gettext_noop("Over: %(subject)s"),
    Kind.PEER_NEW: gettext_noop("%(program)s talks to %(network)s, which is new"),
    Kind.SERVICE_BACK: gettext_noop("Service %(subject)s is back"),
}
_METRICS: Final[dict[str, str]] = {
    Metric.STATE: gettext_noop("%(value)s in %(state)s, the threshold is %(threshold)s"),
    Metric.SOCKETS: gettext_noop("%(value)s sockets, the threshold is %(threshold)s"),
    Metric.LISTENERS: gettext_noop("%(value)s listeners, the threshold is %(threshold)s"),
    Metric.PORT: gettext_noop(
        "%(value)s %(state)s of local port %(about)s, the threshold is %(threshold)s"
    ),
    Metric.REMOTE_IP: gettext_noop(
        "%(value)s %(state)s with %(about)s, the threshold is %(threshold)s"
    ),
    Metric.RATIO: gettext_noop(
        "%(state)s is %(value)s %% of %(of_state)s, the threshold is %(threshold)s %%"
    ),
    Metric.RISE: gettext_noop(
        "%(state)s rose by %(value)s %% in %(minutes)s min, the threshold is %(threshold)s %%"
    ),
    Metric.SLOW: gettext_noop("A probe takes %(value)s s, the threshold is %(threshold)s s"),
}
_TROUBLES: Final[dict[str, str]] = {
    Metric.UNREACHABLE: gettext_noop("The host is not reached"),
    Metric.LOGIN_FAILED: gettext_noop("The login fails"),
    Metric.KEY_CHANGED: gettext_noop("The host key changed"),
    Metric.INCOMPLETE: gettext_noop("The output is incomplete"),
    Metric.STALE: gettext_noop("No probe for too long"),
    Metric.SLOW: gettext_noop("Probes are slow"),
}
_ADVICE: Final[dict[str, str]] = {
    Kind.PORT_NEW: gettext_noop(
        "Find out who started the program and whether it belongs there. If so, put the port on the "
        "allow list and acknowledge."
    ),
    Kind.PORT_DOWN: gettext_noop(
        "Look at the service and its log on the host. Those who were connected are in the evidence."
    ),
    Kind.EXPECTED_MISSING: gettext_noop(
        "Start the service that should listen there, or take the port off the expected ones."
    ),
    Kind.HOLDER: gettext_noop(
        "Find out whether the service was replaced on purpose; if not, look at the program that "
        "has the port now."
    ),
    Kind.PEER_NEW: gettext_noop(
        "Find out whether the program should talk to that network, then approve or snooze it under "
        "New peers."
    ),
    Kind.HUNT_HIT: gettext_noop(
        "Look at the rows and at the host at that time. Acknowledge once it is dealt with: what "
        "comes later opens another alert."
    ),
    Kind.GAVE_UP: gettext_noop(
        "Restarting did not help: look at the output of the command and at the log of the service."
    ),
    Metric.STATE: gettext_noop(
        "Look at which addresses and programs have most of them, and whether the program closes "
        "its connections."
    ),
    Metric.SOCKETS: gettext_noop("Look at which addresses and programs have most of them."),
    Metric.LISTENERS: gettext_noop("Look at the ports of the host, and at what is new of them."),
    Metric.PORT: gettext_noop("Look at who is connected, and whether the service keeps up."),
    Metric.REMOTE_IP: gettext_noop(
        "Look at what the address does here; block it where it does not belong."
    ),
    Metric.RATIO: gettext_noop("Look at the programs that have most connections in this state."),
    Metric.RISE: gettext_noop("Compare the host now with before the rise, and look for what came."),
    Metric.UNREACHABLE: gettext_noop("Check that the host is up, and the network between."),
    Metric.LOGIN_FAILED: gettext_noop("Check the user name, password or key of its credential."),
    Metric.KEY_CHANGED: gettext_noop(
        "Find out why before you approve the new key: the host was set up again, or somebody "
        "stands between."
    ),
    Metric.INCOMPLETE: gettext_noop("Look at the raw output of the probe."),
    Metric.STALE: gettext_noop("Check that worker and scheduler run, and the host's schedule."),
    Metric.SLOW: gettext_noop("Look at the load of the host and at the network between."),
}


def title(alert: Alert) -> str:
    """What is wrong, in one line of plain text without the host's name."""
    facts = _mapping(alert.facts)
    event = str(facts.get("event") or _EVENTS.get(alert.kind, ""))
    about = _About(event, facts, alert.subject, hits=alert.hits)
    return _line(_sentence(about))


def change_title(change: Change) -> str:
    """What happened, in one line of plain text without the host's name."""
    facts = _mapping(change.detail)
    subject = ""
    if change.alert_id is not None and change.alert is not None:
        # What is over is told by what it was: the change that ends it need not say it again.
        subject = change.alert.subject
        facts = {**_mapping(change.alert.facts), **facts}
    port = {"protocol": change.protocol, "port": change.port} if change.port is not None else {}
    facts = {**facts, **port, "event": change.kind}
    if change.program:
        facts.setdefault("programs", [change.program])
    return _line(_sentence(_About(change.kind, facts, subject)))


def lines(alert: Alert, *, tops: bool = True) -> list[tuple[str, str]]:
    """Label and value of what shows it: before and after, numbers; with ``tops`` also the largest
    addresses, programs and ports."""
    facts = _mapping(alert.facts)
    return [*_lines(facts), *(_tops(facts) if tops else ())]


def change_lines(change: Change) -> list[tuple[str, str]]:
    """The same of a change."""
    facts = _mapping(change.detail)
    return [*_lines(facts), *_tops(facts)]


def advice(alert: Alert) -> str:
    """What to do: in the words of the rule where it has some, else netadmin's own."""
    if alert.rule_id is not None and alert.rule is not None and alert.rule.advice:
        return mail.one_line(alert.rule.advice, 500)
    facts = _mapping(alert.facts)
    code = str(facts.get("code") or "")
    if alert.kind == AlertKind.PROBE and code in _CODES:
        return _(EXPLANATIONS[Code(code)][1])
    if not facts.get("restarts") and (why := _why_not(facts)):
        return why[1]
    for key in (facts.get("metric"), facts.get("event"), _EVENTS.get(alert.kind)):
        if str(key) in _ADVICE:
            return _(_ADVICE[str(key)])
    return ""


_CODES: Final = frozenset(code.value for code in EXPLANATIONS)
_EVENTS: Final[dict[str, str]] = {
    AlertKind.HUNT: Kind.HUNT_HIT,
    AlertKind.RULE: Kind.RAISED,
    AlertKind.PROBE: Kind.TROUBLE,
    AlertKind.PEER: Kind.PEER_NEW,
    AlertKind.SERVICE: Kind.GAVE_UP,
}
"""What an alert tells of whose facts do not say."""


@dataclass(frozen=True, slots=True)
class _About:
    """What a sentence is made of."""

    event: str
    facts: Mapping[str, Any]
    subject: str
    hits: int | None = None


def _sentence(about: _About) -> str:
    facts, event = about.facts, about.event
    named = {
        "port": _port(facts) or _name(about.subject),
        "held": _held(facts),
        "subject": _name(about.subject or facts.get("rule") or facts.get("service") or ""),
        "program": _program(facts.get("program") or "") or _("An unknown program"),
        "network": _name(facts.get("network") or ""),
    }
    if event == Kind.HOLDER:
        return _holder(facts, named["port"])
    if event == Kind.RAISED:
        return _raised(facts, named["subject"])
    if event in (Kind.TROUBLE, Kind.TROUBLE_OVER):
        said = _trouble(facts, named["subject"])
        return said if event == Kind.TROUBLE else _(_TITLES[event]) % {"subject": said}
    if event == Kind.GAVE_UP:
        return _gave_up(facts, named["subject"])
    if event == Kind.CLEARED and str(facts.get("about") or "") not in named["subject"]:
        named["subject"] = f"{named['subject']} ({_name(facts['about'])})"
    if event == Kind.HUNT_HIT:
        return _hit(about, named["subject"])
    if event == Kind.PEER_NEW and _count(facts.get("of_programs")) > 1:
        words = _(
            "%(n)s programs talk to networks that are new, %(program)s to %(network)s among them"
        )
        return words % (named | {"n": number(facts["of_programs"])})
    if event == Kind.PEER_NEW and isinstance(facts.get("count"), int) and facts["count"] > 1:
        words = _("%(program)s talks to %(n)s networks that are new, %(network)s among them")
        return words % (named | {"n": number(facts["count"])})
    if event in _TITLES:
        return _(_TITLES[event]) % named
    return named["subject"]


def _raised(facts: Mapping[str, Any], subject: str) -> str:
    words = _METRICS.get(str(facts.get("metric") or ""))
    if words is None:
        return subject
    return _(words) % {
        "value": number(facts.get("value")),
        "threshold": number(facts.get("threshold")),
        "state": _name(facts.get("state") or "") or _("Connections"),
        "of_state": _name(facts.get("of_state") or ""),
        "about": _name(facts.get("about") or ""),
        "minutes": number(facts.get("minutes")),
    }


def _trouble(facts: Mapping[str, Any], subject: str) -> str:
    metric, code = str(facts.get("metric") or ""), str(facts.get("code") or "")
    said = _(_TROUBLES[metric]) if metric in _TROUBLES else subject
    if code not in _CODES:
        return said
    why = _(EXPLANATIONS[Code(code)][0])
    # Most codes say the whole of it; that a host is not reached has many reasons.
    whole = metric not in (Metric.UNREACHABLE, Metric.STALE) or code == Code.UNREACHABLE
    return why if whole or not said else f"{said}: {why}"


def _holder(facts: Mapping[str, Any], port: str) -> str:
    before = _named(_mapping(facts.get("before")).get("programs"))
    after = _named(_mapping(facts.get("after")).get("programs") or facts.get("programs"))
    return _("Port %(port)s is held by %(after)s, before by %(before)s") % {
        "port": port,
        "before": before or _("an unknown program"),
        "after": after or _("an unknown program"),
    }


def _gave_up(facts: Mapping[str, Any], subject: str) -> str:
    n = _count(facts.get("restarts"))
    name = _name(facts.get("service") or "") or subject
    if not n and facts.get("reason") == Refusal.BUDGET:
        return _(
            "Service %(name)s is down and was not restarted: its budget of %(most)s in "
            "%(seconds)s s is used up"
        ) % {
            "name": name,
            "most": number(facts.get("budget")),
            "seconds": number(facts.get("within_s")),
        }
    if not n and (why := _why_not(facts)):
        words = _("Service %(name)s is down and was not restarted: %(why)s")
        return words % {"name": name, "why": why[0]}
    return ngettext(
        "Service %(name)s is down and %(n)s restart did not help",
        "Service %(name)s is down and %(n)s restarts did not help",
        n,
    ) % {"name": name, "n": n}


def _why_not(facts: Mapping[str, Any]) -> tuple[str, str] | None:
    """Title and hint of why a service is not restarted any more; None of anything else."""
    if facts.get("event") != Kind.GAVE_UP or not facts.get("reason"):
        return None
    return recovery.reason(str(facts["reason"]))


def _hit(about: _About, subject: str) -> str:
    n = about.hits if about.hits is not None else _count(about.facts.get("hits"))
    return ngettext(
        "The hunt “%(name)s” found %(n)s row", "The hunt “%(name)s” found %(n)s rows", n
    ) % {"name": subject, "n": number(n)}


def _lines(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    before, after = _mapping(facts.get("before")), _mapping(facts.get("after"))
    if port := _port(facts):
        yield _("Port"), port
    for key, label in (
        ("programs", _("Programs")),
        ("addresses", _("Addresses")),
        ("pids", _("PIDs")),
    ):
        if value := _step(before, after, facts, key):
            yield label, value
    if facts.get("rule"):
        yield _("Rule"), _name(facts["rule"])
    if facts.get("value") is not None:
        old = before.get("value")
        value = number(facts["value"])
        yield _("Value"), value if old is None else f"{number(old)}{ARROW}{value}"
    if facts.get("threshold") is not None and facts.get("value") is not None:
        yield _("Threshold"), number(facts["threshold"])
    if facts.get("clear_at") is not None:
        yield _("Over at or below"), number(facts["clear_at"])
    if facts.get("probes"):
        yield _("Probes in a row"), number(facts["probes"])
    yield from _of_trouble_and_peers(facts)


def _tops(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, label in (
        ("top_ips", _("Most connections from")),
        ("top_programs", _("Most connections of")),
        ("top_ports", _("Most connections at")),
    ):
        if said := ", ".join(f"{name} ({number(n)})" for name, n in top(facts, key)):
            yield label, mail.one_line(said, LONGEST_LINE)


def _of_trouble_and_peers(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    code = str(facts.get("code") or "")
    if code in _CODES:
        yield _("Why"), _(EXPLANATIONS[Code(code)][0])
    if why := _why_not(facts):
        yield _("Why"), why[0]
    for key, label in (
        ("detail", _("Detail")),
        ("offered", _("Offered key")),
        ("trusted", _("Trusted key")),
        ("service", _("Service")),
        ("program", _("Program")),
        ("network", _("Network")),
    ):
        if facts.get(key):
            yield label, mail.one_line(str(facts[key]), LONGEST_LINE)
    if isinstance(facts.get("ports"), list) and facts["ports"]:
        yield _("Ports"), _joined(facts["ports"])
    if facts.get("netadmin_late") is True:
        yield (
            _("netadmin itself"),
            _("Its scheduler or workers are late: %(hosts)s hosts are not probed.")
            % {"hosts": number(facts.get("hosts"))},
        )
    if facts.get("restarts") is not None:
        yield _("Restarts"), number(facts["restarts"])
    if facts.get("within_s") is not None:
        yield _("Within seconds"), number(facts["within_s"])


def top(facts: Mapping[str, Any], key: str) -> list[tuple[str, int]]:
    """``[[name, count], ...]`` of ``Alert.facts`` with whatever is no such pair left out."""
    listed = facts.get(key)
    if not isinstance(listed, list):
        return []
    return [
        (_name(pair[0]), _count(pair[1]))
        for pair in listed
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], int)
    ]


def number(value: Any) -> str:
    """``1234``, ``62.5``; a dash where there is none. Without separators: mails take no others
    than plain blanks."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DASH if value is None else _name(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else round(value, 1)
    return _name(value)


def _step(
    before: Mapping[str, Any], after: Mapping[str, Any], facts: Mapping[str, Any], key: str
) -> str:
    """``nginx → python3``; one side alone where they are the same or one is not known."""
    old, new = before.get(key), after.get(key, facts.get(key))
    sides = [_joined(side) for side in (old, new)]
    if not sides[0] or not sides[1] or sides[0] == sides[1]:
        return sides[1] or sides[0]
    return f"{sides[0]}{ARROW}{sides[1]}"


def _joined(values: Any) -> str:
    if not isinstance(values, list | tuple):
        return ""
    return mail.one_line(", ".join(_name(value) for value in values), LONGEST_LINE)


def _named(values: Any) -> str:
    """Some program names for a sentence."""
    if not isinstance(values, list | tuple):
        return ""
    shown = ", ".join(_program(value) for value in values[:MOST_NAMED])
    return f"{shown}, …" if len(values) > MOST_NAMED else shown


def _held(facts: Mapping[str, Any]) -> str:
    """`` (nginx)``, or nothing where no program is known."""
    programs = facts.get("programs") or _mapping(facts.get("after")).get("programs")
    programs = programs or _mapping(facts.get("before")).get("programs")
    named = _named(programs)
    return f" ({named})" if named else ""


def _port(facts: Mapping[str, Any]) -> str:
    if facts.get("port") is None:
        return ""
    protocol = facts.get("protocol")
    return f"{_name(protocol)}/{_name(facts['port'])}" if protocol else _name(facts["port"])


def _count(value: Any) -> int:
    """A whole number; 0 for what is none."""
    return value if isinstance(value, int) else 0


def _name(value: Any) -> str:
    return mail.one_line(str(value), LONGEST_NAME)


def _program(value: Any) -> str:
    """A program's name for a sentence."""
    name = _name(value)
    return quoted(name, most=LONGEST_NAME) if name else ""


def _line(text: str) -> str:
    return mail.one_line(text, LONGEST_LINE)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
