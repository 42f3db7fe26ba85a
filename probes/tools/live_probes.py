"""Asks one host at this moment, for somebody who waits: whether it may be, and what it said.

Place in the data's way: between the live tools and ``probes.work``. A live probe is one like any
other: under the host's lease, stored, judged and booked, so that a question gives what history
shows. Two are not stored: of this machine where it is no configured host, and over another SSH
port than the configured one, of which nobody knows whether it is the same host's view for good.
Shapes and words are others' task.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host, HostKey
from hosts.target import Target
from netadmin.access import audit, rates
from netadmin.envelope import Refused
from probes import filters as sockets_asked
from probes import parsers, runner, schedule, work
from probes.filters import SocketFilter
from probes.history import packing, queries, tally
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code, Failure, Observation, Privilege
from probes.parsers.records import Socket
from probes.tools import live_places, turns
from probes.tools.live_places import LOCALHOST, Place

_POLL_S: Final = 0.2
_TIMED_OUT: Final = frozenset({Code.TIMED_OUT, Code.STILL_RUNNING})
_TO_BE_MENDED: Final = frozenset({Code.LOGIN_PAUSED, Code.CREDENTIAL_MISSING})
_HOST_KEY: Final = frozenset({Code.HOST_KEY_UNKNOWN, Code.HOST_KEY_CHANGED, Code.HOST_KEY_REFUSED})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host said."""

    sockets: list[Socket]
    """Those that were asked for."""
    tool: str
    """``netstat``, ``ss`` or ``proc`` (``Observation.tool``)."""
    privilege: Privilege
    is_limited: bool
    """Whether rows lack a PID for want of rights, or since the tool tells none to anybody."""


def look(
    request: HttpRequest,
    place: Place,
    wanted: SocketFilter,
    *,
    action: str,
    asked: dict[str, str],
) -> Seen:
    """Probe the place now and give the sockets that are wanted.

    Counted against the caller's live questions and recorded as ``action`` before anything is
    connected to. Raises Refused where it may not be probed now, or the probe fails.
    """
    host, asked_at = place.host, timezone.now()
    if host is not None:
        _check(host, place)
    with turns.turn(request.user.pk):
        rates.spend(request, "live")
        with transaction.atomic():
            audit.record(action, request=request, target=host, detail=dict(asked))
        if host is None:
            return _of_text(place, _observe_this_machine(), wanted)
        if place.port is not None:
            return _look_over_port(host, place, place.port, wanted)
        return _look(host, place, wanted, asked_at=asked_at)


# --- whether it may be probed ---------------------------------------------------------------------


def _check(host: Host, place: Place) -> None:
    """Raise Refused where the host is not to be probed, or not in this way."""
    if host.removed_at is not None:
        raise live_places.not_configured()
    if not host.enabled:
        raise Refused(
            409, "disabled", _("This host is disabled."), hint=_("Enable it, then probe it.")
        )
    now = schedule.ensure_one(host)
    if schedule.is_paused(now, host):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        raise Refused(409, Code.LOGIN_PAUSED.value, _(title), hint=_(hint))
    rest_s = 0 if place.port is None else schedule.other_ports_rest_s(now, host)
    if rest_s:
        raise Refused(
            409,
            "other_port_refused",
            _("The login was refused over another SSH port of this host."),
            field=place.field,
            hint=_other_ports_rest(),
            headers={"Retry-After": str(rest_s)},
        )


def _other_ports_rest() -> str:
    return _(
        "Leave out the SSH port. Others are not tried for an hour, or until the login is edited: "
        "more tries could lock the account."
    )


def _check_again(host: Host, place: Place) -> None:
    """The same of a host that was waited for: it may have been edited, or refused a login."""
    host.refresh_from_db()
    _check(host, place)


# --- the probe ------------------------------------------------------------------------------------


def _look(host: Host, place: Place, wanted: SocketFilter, *, asked_at: dt.datetime) -> Seen:
    """By a stored probe: one that somebody else began after the question, or one's own."""
    leased = _lease(host, or_newer_than=asked_at)
    if isinstance(leased, Snapshot):
        return _of_snapshot(host, place, leased, wanted)
    try:
        _check_again(host, place)
        observation = work.observe_one(host, keep=False)
        snapshot = work.save(host, leased, observation)
    finally:
        schedule.release(host.pk, leased)  # does nothing where the probe was booked
    if snapshot.outcome in (Outcome.LIMITED, Outcome.LATE):
        return _of_text(place, observation, wanted)
    return _of_snapshot(host, place, snapshot, wanted)


def _look_over_port(host: Host, place: Place, port: int, wanted: SocketFilter) -> Seen:
    """Over another SSH port: only towards a listener that has a key trusted for this host."""
    trusted = HostKey.objects.filter(
        address=host.address, port=host.port, trust=HostKey.TrustChoice.TRUSTED
    )
    if not trusted.exists():
        raise _untrusted(place, port)
    token = _lease(host)
    assert isinstance(token, str)
    try:
        _check_again(host, place)
        observation = work.observe_one(host, keep=False, port=port)
        failure = observation.failure
        if failure is not None:
            if failure.code in _HOST_KEY:
                raise _untrusted(place, port)
            if schedule.rest_other_ports(host, failure.code, cause=failure.cause):
                raise _failed(place, failure.code, hint=_other_ports_rest())
    finally:
        schedule.release(host.pk, token)
    return _of_text(place, observation, wanted)


def _untrusted(place: Place, port: int) -> Refused:
    return Refused(
        502,
        "host_key_untrusted",
        _("On port %(port)s no host key was shown that is trusted for %(host)s.")
        % {"port": port, "host": place.name},
        field=place.field,
        hint=_(
            "Nothing secret was sent. Leave out the SSH port, or change the host's port on the "
            "Hosts page and approve the key that it shows there."
        ),
    )


def _lease(host: Host, *, or_newer_than: dt.datetime | None = None) -> str | Snapshot:
    """The lease of the host; or, where that will do, what another's newer probe gave.

    Waits for a probe that is under way as long as that may take.
    """
    give_up_at = time.monotonic() + settings.PROBE_DEADLINE_S + schedule.STORE_MARGIN_S
    while True:
        token = schedule.claim_one(host)
        # With the lease as well: the other may have ended since it was last looked at.
        newest = None if or_newer_than is None else _newest(host)
        if newest is not None and or_newer_than is not None and newest.taken_at >= or_newer_than:
            if token is not None:
                schedule.release(host.pk, token)
            return newest
        if token is not None:
            return token
        if time.monotonic() > give_up_at:
            raise turns.busy(_("Another probe of this host does not end."))
        time.sleep(_POLL_S)


def _newest(host: Host) -> Snapshot | None:
    """The host's newest snapshot, where it says what the host has or why that is not known."""
    now = Schedule.objects.select_related("latest").get(pk=host.pk)
    aside = now.latest is not None and now.latest.outcome in (Outcome.LIMITED, Outcome.LATE)
    return None if aside else now.latest


def _observe_this_machine() -> Observation:
    return runner.observe(
        Target(
            LOCALHOST,
            login_version="local",
            deadline_s=float(settings.PROBE_DEADLINE_S),
            max_bytes=settings.PROBE_MAX_BYTES,
        )
    )


def _failed(place: Place, code: Code, *, hint: str = "") -> Refused:
    """Why the probe gave no table. What the host itself said stays in its stored probe."""
    title, usual = EXPLANATIONS[code]
    status = 504 if code in _TIMED_OUT else 409 if code in _TO_BE_MENDED else 502
    return Refused(
        status,
        code.value,
        _("%(host)s: %(problem)s") % {"host": place.name, "problem": _(title)},
        hint=hint or _(usual),
    )


# --- what it said ---------------------------------------------------------------------------------


def _of_snapshot(host: Host, place: Place, snapshot: Snapshot, wanted: SocketFilter) -> Seen:
    """A stored whole probe, each row as often as the tool printed it."""
    if snapshot.outcome != Outcome.OK:
        raise _failed(place, Code(snapshot.code))
    sockets: list[Socket] = []
    for row in queries.iter_connections(host, snapshot=snapshot, filters=wanted):
        socket = Socket(
            row.protocol,
            _each(row.recv_queue, row.copies),
            _each(row.send_queue, row.copies),
            row.local_ip,
            row.local_port,
            row.foreign_ip,
            row.foreign_port,
            row.state,
            row.pid,
            row.program,
            row.flags,
        )
        sockets += [socket] * row.copies
    return Seen(
        sockets,
        snapshot.tool,
        Privilege(snapshot.privilege),
        snapshot.code == Code.PERMISSION_LIMITED,
    )


def _each(queue: int | None, copies: int) -> int | None:
    """The queue of one of several rows, whose sum is stored; unknown where some have one."""
    return queue if copies == 1 or not queue else None


def _of_text(place: Place, observation: Observation, wanted: SocketFilter) -> Seen:
    """A probe that is not stored, read as storing would read it."""
    failure = observation.failure or Failure(Code.NOT_UNDERSTOOD)
    if observation.failure is not None:
        raise _failed(place, failure.code)
    try:
        parsed = parsers.parse_sockets(observation.text, wide=observation.wide)
    except parsers.ParseError:
        raise _failed(place, Code.NOT_UNDERSTOOD) from None
    if len(parsed.rejected) > len(parsed.sockets):
        raise _failed(place, Code.NOT_UNDERSTOOD)
    owned = [row for row in parsed.sockets if row.state not in tally.OWNERLESS_STATES]
    blind = observation.privilege == Privilege.USER or observation.tool == "proc"
    tells_none = not observation.asked_for_processes and all(row.pid is None for row in owned)
    return Seen(
        [_storable(row) for row in _matching(parsed.sockets, wanted)],
        observation.tool,
        observation.privilege,
        blind or tells_none,
    )


def _matching(sockets: Iterable[Socket], wanted: SocketFilter) -> Iterator[Socket]:
    """Those that pass ``proto``, ``state`` and ``local_port``: what the live tools ask for."""
    protocols = sockets_asked.PROTOCOLS[wanted.proto] if wanted.proto else None
    states = sockets_asked.state_names(wanted.state) if wanted.state else None
    ranges = sockets_asked.port_ranges(wanted.local_port) if wanted.local_port else None
    for row in sockets:
        if protocols is not None and row.protocol not in protocols:
            continue
        if states is not None and row.state not in states:
            continue
        port = row.local_port
        if ranges is None or (port is not None and any(a <= port <= b for a, b in ranges)):
            yield row


def _storable(row: Socket) -> Socket:
    """The row as it would come out of the database."""
    return row if row.program is None else row._replace(program=packing.storable(row.program))
