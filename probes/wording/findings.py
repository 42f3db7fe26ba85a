"""Findings in words, as JSON and as CSV; in the reader's language when it is asked for.

Place in the data's way: after ``probes.history.queries.trouble``, shared by the page and the JSON
routes. What a host printed (names of programs, addresses) is put into these texts as it is:
templates escape it, ``netadmin.csvfile`` makes it inert.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.utils.translation import gettext, gettext_lazy, gettext_noop

from probes import payloads
from probes.analysis import advice
from probes.analysis.findings import Code, Finding, Kind, Limit, Severity
from probes.history.queries import trouble
from probes.history.queries.trouble import Found
from probes.payloads.shapes import findings as shapes
from probes.payloads.shapes import names

KINDS: Final = {
    Kind.LEAK: gettext_lazy("CLOSE_WAIT leaks"),
    Kind.HEADROOM: gettext_lazy("Local ports running short"),
    Kind.BACKLOG: gettext_lazy("Full accept queues"),
    Kind.FLOOD: gettext_lazy("SYN floods"),
    Kind.WAITS: gettext_lazy("Many in TIME_WAIT"),
}
SEVERITIES: Final = {
    Severity.BAD: gettext_lazy("Bad"),
    Severity.WARN: gettext_lazy("Warning"),
    Severity.INFO: gettext_lazy("Information"),
}
FINDING: Final = names(shapes.Finding)

_TITLES: Final = {
    Code.CLOSE_WAIT_RISING: gettext_noop("%(program)s leaves connections %(with)s unclosed"),
    Code.CLOSE_WAIT_HELD: gettext_noop("%(program)s has left connections %(with)s unclosed"),
    Code.PORTS_SHORT: gettext_noop("Local ports run short %(with)s"),
    Code.QUEUE_FULL: gettext_noop("The accept queue of %(program)s on %(here)s is full"),
    Code.QUEUE_WAITING: gettext_noop("Connections wait for %(program)s on %(here)s"),
    Code.SYN_FLOOD: gettext_noop("Half-open connections pile up on %(here)s"),
    Code.TIME_WAIT_OUTGOING: gettext_noop("Many connections %(with)s in TIME_WAIT"),
    Code.TIME_WAIT_INCOMING: gettext_noop("Many connections into port %(port)s in TIME_WAIT"),
    Code.TIME_WAIT_TABLE: gettext_noop("The kernel's table of TIME_WAIT is nearly full"),
}
_AT_LIMIT: Final = gettext_noop("The accept queue of %(program)s on %(here)s is at its limit")
_WAS_AT_LIMIT: Final = gettext_noop("The accept queue of %(program)s on %(here)s was at its limit")
_WAS_FULL: Final = gettext_noop("The accept queue of %(program)s on %(here)s was full")
_SUMMARIES: Final = {
    Code.CLOSE_WAIT_RISING: gettext_noop(
        "%(count)s in CLOSE_WAIT, up from %(before)s: about %(per_hour)s more an hour at this "
        "pace. The other end has closed each of them; the program has not."
    ),
    Code.CLOSE_WAIT_HELD: gettext_noop(
        "%(count)s in CLOSE_WAIT, no more than before; %(held)s of them have been there for over "
        "%(hours)s h. The other end has closed each of them; the program has not."
    ),
    Code.PORTS_SHORT: gettext_noop(
        "%(count)s of %(limit)s ports (%(low)s to %(high)s) are taken, %(left)s are left; "
        "%(time_wait)s of the connections are in TIME_WAIT. Without a free port a new connection "
        "fails (EADDRNOTAVAIL)."
    ),
    Code.SYN_FLOOD: gettext_noop(
        "%(count)s connections in SYN_RECV from %(addresses)s addresses in %(networks)s networks; "
        "the kernel keeps at most %(limit)s at a listener, and fewer where the program asked for "
        "less."
    ),
    Code.TIME_WAIT_OUTGOING: gettext_noop(
        "%(count)s in TIME_WAIT, of %(limit)s local ports (%(low)s to %(high)s) towards one "
        "destination."
    ),
    Code.TIME_WAIT_INCOMING: gettext_noop("%(count)s in TIME_WAIT."),
    Code.TIME_WAIT_TABLE: gettext_noop("%(count)s in TIME_WAIT of at most %(limit)s."),
}
_WAITING: Final = gettext_noop(
    "%(count)s wait to be accepted; the limit of the queue is %(limit)s."
)
_WAITED: Final = gettext_noop(
    "Nobody waits now; at the worst of the probes of the last hour %(count)s did, and the limit of "
    "the queue is %(limit)s."
)
_WAITING_UNTOLD: Final = gettext_noop(
    "%(count)s wait to be accepted. How many the queue holds is not shown by this tool; the kernel "
    "allows %(limit)s at most."
)
_WAITED_UNTOLD: Final = gettext_noop(
    "Nobody waits now; at the worst of the probes of the last hour %(count)s did. How many the "
    "queue holds is not shown by this tool; the kernel allows %(limit)s at most."
)
_ONE_MORE_FITS: Final = gettext_noop("One more fits; what comes after it is dropped.")
_STUCK: Final = gettext_noop(
    "The number has been the same from probe to probe, so most likely that is all it holds."
)
_ASSUMED: Final = gettext_noop(
    "The host did not tell this limit; the usual one of its system is assumed."
)
_ASSUMED_OF: Final = gettext_noop(
    "The host did not tell %(name)s; the usual value of its system is assumed."
)


def title(found: Found) -> str:
    """One line that says what is wrong and where."""
    finding = found.finding
    return gettext(_title(finding)) % {
        "program": finding.program or gettext("a program that is not visible"),
        "with": _with(finding),
        "here": _here(finding),
        "port": _unknown(finding.local_port),
    }


def summary(found: Found) -> str:
    """The numbers, and what they mean."""
    finding = found.finding
    values: dict[str, Any] = {
        **finding.facts,
        "count": finding.count,
        "limit": _unknown(finding.limit.value if finding.limit else None),
    }
    text = gettext(_summary(finding)) % values
    if _at_limit(finding) and finding.facts["now"] and finding.facts["told"]:
        text = f"{text} {gettext(_ONE_MORE_FITS)}"
    if finding.kind is Kind.BACKLOG and finding.facts["stuck"]:
        text = f"{text} {gettext(_STUCK)}"
    if finding.limit is not None and finding.limit.assumed:
        text = f"{text} {_assumed(finding.limit)}"
    return text


def what_to_do(found: Found) -> list[str]:
    """Advice, the most useful first."""
    return [
        gettext(each.text) % each.values for each in advice.of(found.finding, found.host.kernel)
    ]


def looked_for(thresholds: trouble.Thresholds = trouble.DEFAULT) -> list[dict[str, Any]]:
    """What is looked for, kind by kind, and from which number on."""
    leaks, floods, waits = thresholds.leaks, thresholds.floods, thresholds.waits
    return [
        _looked_for(
            Kind.LEAK,
            gettext(
                "Connections in CLOSE_WAIT of one program with one peer, or with many: from "
                "%(fewest)s on, that rise by %(rise)s or more over %(probes)s probes or more; bad "
                "from %(bad)s on. Those that stay for %(hours)s h without rising are told for "
                "information."
            )
            % {
                "fewest": leaks.fewest,
                "rise": leaks.rise,
                "probes": leaks.probes,
                "bad": leaks.bad,
                "hours": leaks.held_s // 3600,
            },
        ),
        _looked_for(
            Kind.HEADROOM,
            gettext(
                "Local ports of the host's own range that connections from one address to one "
                "destination take, and UDP sockets of one address: a warning from %(warn)s %% on, "
                "bad from %(bad)s %% on."
            )
            % {
                "warn": round(thresholds.headroom.warn * 100),
                "bad": round(thresholds.headroom.bad * 100),
            },
        ),
        _looked_for(
            Kind.BACKLOG,
            gettext(
                "Connections that wait at a listener to be accepted, at the newest probe or within "
                "%(minutes)s min before it: a warning from %(warn)s %% of its limit on, or where "
                "%(probes)s probes in a row saw some; bad where the queue is full: more "
                "wait than its limit."
            )
            % {
                "minutes": thresholds.backlog.window_s // 60,
                "warn": round(thresholds.backlog.warn * 100),
                "probes": thresholds.backlog.probes,
            },
        ),
        _looked_for(
            Kind.FLOOD,
            gettext(
                "Half-open connections (SYN_RECV) at one listener: a warning from %(fewest)s on, "
                "bad from %(bad)s or %(share)s %% of its limit on."
            )
            % {
                "fewest": floods.fewest,
                "bad": floods.bad,
                "share": round(floods.bad_share * 100),
            },
        ),
        _looked_for(
            Kind.WAITS,
            gettext(
                "Connections in TIME_WAIT: to one destination from %(outgoing)s on, a warning from "
                "%(warn)s %% of the local ports on; into one port from %(incoming)s on, for "
                "information; a warning from %(table)s %% of the kernel's table on."
            )
            % {
                "outgoing": waits.outgoing,
                "warn": round(waits.warn * 100),
                "incoming": waits.incoming,
                "table": round(waits.table * 100),
            },
        ),
    ]


def matching(
    found: Iterable[Found], *, severity: Severity | None = None, text: str = ""
) -> list[Found]:
    """Those of a severity whose host, program, addresses, ports or title hold ``text``."""
    wanted = text.strip().casefold()
    return [
        each
        for each in found
        if (severity is None or each.finding.severity is severity)
        and (not wanted or wanted in _searched(each))
    ]


def _searched(found: Found) -> str:
    it = found.finding
    parts = (it.program, it.local_ip, it.local_port, it.remote_ip, it.remote_port, it.code)
    named = " ".join(str(part) for part in parts if part is not None)
    shares = " ".join(part.name for part in it.parts)
    return f"{found.host.name} {named} {title(found)} {shares}".casefold()


def payload(found: Found) -> dict[str, Any]:
    """A finding as JSON, in the order of FINDING."""
    finding, limit = found.finding, found.finding.limit
    return {
        "kind": finding.kind.value,
        "code": finding.code.value,
        "severity": finding.severity.name.lower(),
        "host": {"id": found.host.host_id, "name": found.host.name},
        "at": payloads.time(found.at),
        "protocol": finding.protocol,
        "program": finding.program,
        "pids": list(finding.pids),
        "local_ip": finding.local_ip,
        "local_port": finding.local_port,
        "remote_ip": finding.remote_ip,
        "remote_port": finding.remote_port,
        "count": finding.count,
        "limit": None if limit is None else limit.value,
        "limit_name": (limit.name or None) if limit else None,
        "limit_assumed": limit.assumed if limit else None,
        "since": payloads.time(finding.since),
        "title": title(found),
        "summary": summary(found),
        "advice": what_to_do(found),
        "facts": dict(finding.facts),
        "parts": [{"name": part.name, "count": part.count} for part in finding.parts],
        "filters": dict(found.filters),
        "trend": [[int(when.timestamp()), count] for when, count in finding.trend],
    }


def endpoint(ip: str | None, port: int | None) -> str:
    """``10.0.0.1:80``, ``[2001:db8::1]:80``, ``:80`` or ``10.0.0.1``; empty for neither."""
    address = f"[{ip}]" if ip and ":" in ip and port is not None else ip or ""
    return address if port is None else f"{address}:{port}"


def _summary(finding: Finding) -> str:
    if finding.kind is not Kind.BACKLOG:
        return _SUMMARIES[finding.code]
    if finding.facts["told"]:
        return _WAITING if finding.facts["now"] else _WAITED
    return _WAITING_UNTOLD if finding.facts["now"] else _WAITED_UNTOLD


def _title(finding: Finding) -> str:
    now = finding.facts.get("now", 1)
    if _at_limit(finding):
        return _AT_LIMIT if now else _WAS_AT_LIMIT
    if finding.code is Code.QUEUE_FULL and not now:
        return _WAS_FULL
    return _TITLES[finding.code]


def _at_limit(finding: Finding) -> bool:
    """Whether as many wait as the limit says: the queue takes one more before it is full."""
    return finding.code is Code.QUEUE_WAITING and bool(finding.facts["at_limit"])


def _with(finding: Finding) -> str:
    """With whom, from where to where."""
    if finding.kind is Kind.LEAK and finding.remote_ip is None:
        if finding.local_port is not None:
            return gettext("from many peers to port %(port)s") % {"port": finding.local_port}
        return gettext("with many peers on port %(port)s") % {"port": _unknown(finding.remote_port)}
    if finding.kind is Kind.LEAK and finding.local_port is not None:
        return gettext("from %(peer)s to port %(port)s") % {
            "peer": finding.remote_ip,
            "port": finding.local_port,
        }
    if finding.kind is Kind.LEAK:
        return gettext("with %(peer)s") % {"peer": endpoint(finding.remote_ip, finding.remote_port)}
    if finding.remote_ip is None:
        return gettext("for %(protocol)s from %(source)s") % {
            "protocol": finding.protocol.upper(),
            "source": finding.local_ip,
        }
    return gettext("from %(source)s to %(peer)s") % {
        "source": finding.local_ip,
        "peer": endpoint(finding.remote_ip, finding.remote_port),
    }


def _here(finding: Finding) -> str:
    return endpoint(finding.local_ip, finding.local_port)


def _assumed(limit: Limit) -> str:
    if limit.name:
        return gettext(_ASSUMED_OF) % {"name": limit.name}
    return gettext(_ASSUMED)


def _unknown(value: int | None) -> int | str:
    return "?" if value is None else value


def _looked_for(kind: Kind, text: str) -> dict[str, Any]:
    return {"kind": kind.value, "label": KINDS[kind], "text": text}
