"""Stores observations: one transaction each, exact whatever comes, in whatever order.

Place in the data's way: the end of a probe. Takes an Observation, finds by ``history.diff`` what
changed since the host's last text, and writes snapshot, opened and closed sockets, last text and
the schedule's newest snapshots together or not at all. Knows no transport, no page, no rule.

The invariant all of history rests on: the open sockets of a host are those of its newest whole
snapshot, ``LastText`` is that snapshot's text, and a closed socket's ``last_seen`` is the newest
whole snapshot that had it. So the sockets at a whole snapshot S are the open ones with
``first_seen <= S`` and the closed ones with ``first_seen <= S <= last_seen``.

Parsing happens before the transaction, against the text read then; under the lock the text's time
tells whether another writer was faster, and then it is done again. Workers whose lease ran out are
harmless: what is not newer than the newest whole snapshot is kept as late and changes nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.utils import IntegrityError

from hosts.models import Host
from probes import parsers
from probes.history import (
    backlogs,
    changes,
    diff,
    engines,
    outputs,
    packing,
    partitions,
    records,
    state,
    texts,
)
from probes.history.outputs import notes, raw
from probes.history.records import Last
from probes.history.state import State
from probes.history.tally import Counts
from probes.models import Outcome, Snapshot
from probes.observation import Code, Observation, Privilege
from probes.parsers.lines import collector_paused
from probes.parsers.records import ParseError

__all__ = ["Stored", "notes", "raw", "save"]

logger = logging.getLogger(__name__)

PARTIAL_CODES = frozenset({Code.TRUNCATED, Code.OUTPUT_TOO_LARGE, Code.TIMED_OUT})
"""Failures that may come with a part of the table."""

PRIVILEGED = frozenset({Privilege.ROOT.value, Privilege.SUDO.value})

MAX_DETAIL_CHARS = 2_000

LARGE_CHARS = 1_000_000
"""Texts from here on are stored with the garbage collector paused: half the time."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A probe as it was just stored, for those who judge it in the same transaction."""

    host_id: int
    using: str
    snapshot: Snapshot
    before_at: dt.datetime | None
    """Of the newest whole snapshot before it; None where there was none."""
    cause: Code | None = None
    """The jump host's own code, where that failed."""
    changed: changes.Changes | None = None
    """Of a whole probe: what it changed of the open sockets."""


Judge = Callable[[Stored], None]


def save(
    host: Host,
    observation: Observation,
    *,
    login_version: str = "",
    using: str = "default",
    judge: Judge | None = None,
) -> Snapshot:
    """Store ``observation`` of ``host`` and return its snapshot; the only writer of history.

    ``judge`` is called once in the same transaction after everything is written, and not for a
    probe that was stored before.

    ``login_version`` is the host's at the time of the probe: a probe that sees less than the one
    before under the same login is limited, under another login it is a new baseline. Stored twice
    (same host, same ``taken_at``), the first snapshot is returned and nothing changes. No text a
    host can print makes it raise; a database that fails does, and leaves nothing behind.
    """
    probe = _Probe(
        host.pk,
        replace(observation, taken_at=observation.taken_at.astimezone(dt.UTC)),
        login_version[:16],
        using,
        judge,
    )
    if not observation.whole:
        with transaction.atomic(using=using):
            return _save_failed(probe, state.lock(probe.using, probe.host_id))
    # Of the many rows of a large text none is garbage before the end.
    with collector_paused() if len(observation.text) > LARGE_CHARS else nullcontext():
        return _compare_and_save(probe)


class _Overtaken(Exception):
    """The text compared with is no longer the newest."""


class _Unsure(Exception):
    """The difference alone does not tell what the text is."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """What is to be stored, for which host, in which database."""

    host_id: int
    observation: Observation
    login_version: str
    using: str
    judge: Judge | None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A whole text as understood before the transaction."""

    base: Last | None
    """What it was compared with; its text unpacked is not kept."""
    delta: diff.Delta | None = None
    whole: diff.Whole | None = None
    error: str = ""
    """Where both are None: why it is no table."""
    packed: bytes | None = None
    """The text packed; None where it is the base's to the letter."""
    may_wait: bool = False
    """Whether some listener may have connections waiting (``history.backlogs``)."""


@dataclass(slots=True)
class _Result:
    """Fields of the snapshot to be written."""

    outcome: Outcome
    code: str = ""
    detail: str = ""
    counts: Counts = field(default_factory=Counts)
    opened: int = 0
    closed: int = 0
    changed: changes.Changes | None = None


def _compare_and_save(probe: _Probe) -> Snapshot:
    """Read the text against the last one and store what that says, until nobody was faster."""
    reparse = False
    while True:
        reading = _read(probe, reparse=reparse)
        if reading.base is not None:
            partitions.ensure(probe.using, reading.base.taken_at)
        try:
            with transaction.atomic(using=probe.using):
                return _save_whole(probe, reading, state.lock(probe.using, probe.host_id))
        except _Overtaken:
            # Another probe of this host was stored meanwhile: this one is compared with it, or
            # is late now. Every turn means another one's success, so it ends.
            continue
        except _Unsure:
            reparse = True
        except engines.Inconsistent as error:
            if reading.whole is not None:
                raise  # compared with the open sockets themselves under the lock
            logger.warning("history of host %s is rebuilt: %s", probe.host_id, error)
            reparse = True
        except IntegrityError as error:
            if not partitions.is_missing(error):
                raise
            partitions.forget(probe.using)


def _read(probe: _Probe, *, reparse: bool) -> _Reading:
    """Understand the text against the last one; with ``reparse`` from end to end."""
    observation, text = probe.observation, probe.observation.text
    base = records.last_text(probe.using, probe.host_id)
    if not reparse and base is not None and _follows(probe, base):
        old_text = texts.unpack(base.text_zstd).decode()
        delta = diff.compare(old_text, text, base.dialect, wide=base.wide)
        if delta is not None:
            packed = None if text == old_text else _packed_text(text)
            waits = backlogs.may_wait(text, base.dialect)
            return _Reading(base, delta=delta, packed=packed, may_wait=waits)
    try:
        whole = diff.whole(text, wide=observation.wide)
    except ParseError as error:
        return _Reading(base, error=str(error))
    if _mostly_rubbish(whole.counts) or not (whole.sockets or whole.counts.header_lines):
        return _Reading(base, error="most lines of the output are no socket")
    waits = backlogs.may_wait(text, whole.dialect)
    return _Reading(base, whole=whole, packed=_packed_text(text), may_wait=waits)


def _mostly_rubbish(counts: Counts) -> bool:
    """True where so little was understood that what is missing says nothing of the host."""
    return counts.rejected > counts.sockets


def _follows(probe: _Probe, base: Last) -> bool:
    """True where lines of both texts mean the same, and this one is to be merged."""
    observation = probe.observation
    return (
        base.taken_at < observation.taken_at
        and base.wide == observation.wide
        and not _sees_less(probe, base)
        and parsers.identify(observation.text) == base.dialect
    )


def _packed_text(text: str) -> bytes:
    return texts.pack(text.encode("utf-8", "backslashreplace"))


def _save_failed(probe: _Probe, now: State) -> Snapshot:
    """Store a probe without a whole table: evidence, which closes nothing."""
    existing = _existing(probe, now)
    if existing is not None:
        return existing
    observation = probe.observation
    failure = observation.failure
    assert failure is not None
    partial = failure.code in PARTIAL_CODES and bool(observation.raw or observation.text)
    return _write(
        probe,
        now,
        _Result(
            Outcome.PARTIAL if partial else Outcome.FAILED,
            code=failure.code.value,
            detail=failure.detail,
        ),
    )


def _save_whole(probe: _Probe, reading: _Reading, now: State) -> Snapshot:
    """Store a probe with a whole table; raises _Overtaken or engines.Inconsistent."""
    existing = _existing(probe, now)
    if existing is not None:
        return existing
    observation, baseline_at = probe.observation, now.baseline_at
    if baseline_at is not None and observation.taken_at <= baseline_at:
        return _write(probe, now, _aside(Outcome.LATE, Code.LATE, reading))
    if now.text_at != (reading.base and reading.base.taken_at):
        raise _Overtaken
    if reading.delta is None and reading.whole is None:
        return _write(
            probe,
            now,
            _Result(Outcome.FAILED, code=Code.NOT_UNDERSTOOD.value, detail=reading.error),
        )
    if _sees_less(probe, reading.base):
        return _write(probe, now, _aside(Outcome.LIMITED, Code.PERMISSION_LIMITED, reading))
    result = _merge(probe, reading, now)
    if result.counts.without_pid > 0 and _is_blind(observation, result.counts):
        result.code = Code.PERMISSION_LIMITED.value
    return _write(probe, now, result, reading)


def _is_blind(observation: Observation, counts: Counts) -> bool:
    """Whether rows lack a PID for want of rights, or because the tool names no process to anybody:
    the kernel by itself, or a netstat that was not told to and of whose rows none has one."""
    if observation.privilege == Privilege.USER or observation.tool == "proc":
        return True
    return not observation.asked_for_processes and counts.none_has_pid


def _existing(probe: _Probe, now: State) -> Snapshot | None:
    """This very probe, where it was stored before."""
    taken_at = probe.observation.taken_at
    if now.latest_at is not None and taken_at > now.latest_at:
        return None
    return (
        Snapshot.objects.using(probe.using).filter(host_id=probe.host_id, taken_at=taken_at).first()
    )


def _sees_less(probe: _Probe, base: Last | None) -> bool:
    """True where the same login saw every process before and does not now."""
    return (
        base is not None
        and base.privilege in PRIVILEGED
        and probe.observation.privilege == Privilege.USER
        and base.login_version == probe.login_version
    )


def _aside(outcome: Outcome, code: Code, reading: _Reading) -> _Result:
    """A whole table that takes no part in history, with its own counts where they are known."""
    counts = reading.whole.counts if reading.whole is not None else Counts()
    return _Result(outcome, code=code.value, counts=counts)


def _merge(probe: _Probe, reading: _Reading, now: State) -> _Result:
    """Bring the open sockets to what the text shows; the only place that changes them."""
    using, host_id = probe.using, probe.host_id
    last_seen = now.baseline_at
    if reading.delta is not None:
        if now.whole_at != now.text_at:
            raise engines.Inconsistent("the counts of the last whole snapshot are missing")
        counts = now.whole + reading.delta.counts
        if not counts.consistent:
            raise engines.Inconsistent("the counts do not add up")
        if not counts.sockets or _mostly_rubbish(counts):
            raise _Unsure  # an empty table, or rubbish: only a parse of the whole can say
        changed = changes.of_delta(reading.delta)
    else:
        assert reading.whole is not None
        counts = reading.whole.counts
        open_now = engines.held(using, host_id)
        if open_now and last_seen is None:
            last_seen = engines.newest_first_seen(using, host_id)
        changed = changes.of_whole(reading.whole, open_now)
    if last_seen is not None and changed.moved:
        partitions.ensure(using, last_seen)  # known already, but where the last text was missing
    changes.apply(using, host_id, changed, last_seen=last_seen, taken_at=probe.observation.taken_at)
    if reading.may_wait:
        backlogs.note(
            using, host_id, taken_at=probe.observation.taken_at, dialect=_dialect(reading)
        )
    return _Result(
        Outcome.OK, counts=counts, opened=changed.opened, closed=changed.closed, changed=changed
    )


def _dialect(reading: _Reading) -> str:
    if reading.whole is not None:
        return reading.whole.dialect
    return "" if reading.base is None else reading.base.dialect


def _write(
    probe: _Probe, now: State, result: _Result, new_text: _Reading | None = None
) -> Snapshot:
    """Insert the snapshot with what is kept of its output, and point the schedule at it.

    ``new_text`` is what the next probe is to be compared with, where this one is.
    """
    observation, counts = probe.observation, result.counts
    pointers: list[str] = []
    if now.latest_at is None or now.latest_at < observation.taken_at:
        pointers.append("latest_id")
    if result.outcome == Outcome.OK:
        pointers.append("latest_whole_id")
    snapshot = records.write(
        probe.using,
        {
            "host_id": probe.host_id,
            "taken_at": observation.taken_at,
            "duration_ms": max(0, min(int(observation.duration_s * 1000), 2**31 - 1)),
            "outcome": result.outcome.value,
            "code": result.code,
            "detail": packing.storable(result.detail)[:MAX_DETAIL_CHARS],
            "tool": packing.storable(observation.tool)[:20],
            "command": packing.storable(observation.command),
            "privilege": observation.privilege.value,
            "sockets": counts.sockets,
            "listeners": counts.listeners,
            "by_state": dict(counts.by_state),
            "by_protocol": dict(counts.by_protocol),
            "without_pid": counts.without_pid,
            "rejected": counts.rejected,
            "lines": counts.lines,
            "opened": result.opened,
            "closed": result.closed,
        },
        pointers=pointers,
        text=None if new_text is None else _changed_text(probe, new_text),
        first_text=new_text is not None and new_text.base is None,
    )
    if result.outcome != Outcome.OK or counts.rejected:
        outputs.keep(snapshot, observation, using=probe.using)
    if probe.judge is not None:
        cause = None if observation.failure is None else observation.failure.cause
        before_at = now.baseline_at
        probe.judge(Stored(probe.host_id, probe.using, snapshot, before_at, cause, result.changed))
    return snapshot


def _changed_text(probe: _Probe, reading: _Reading) -> dict[str, Any]:
    """Columns of the last text that this probe changes."""
    observation = probe.observation
    columns: dict[str, Any] = {
        "taken_at": observation.taken_at,
        "privilege": observation.privilege.value,
        "login_version": probe.login_version,
        "notes": outputs.notes_of(observation),
    }
    if reading.whole is not None:
        columns["wide"] = observation.wide
        columns["dialect"] = reading.whole.dialect
    if reading.packed is not None:
        columns["text_zstd"] = reading.packed
    return columns
