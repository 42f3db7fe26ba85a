"""What became of a host's ports from one whole snapshot to the next.

Place in the data's way: asked by ``probes.watch.port_watch`` with the listeners of a whole snapshot
and the watched ports as it wrote them last. Pure: knows no database, no alert and no time but the
ones it is given.

A port is a base protocol and a number. Of each there is at most one row and, for each snapshot, one
event a transition: it appeared, went, came back, or other programs hold it. Where a port has to be
there (``expected``), its absence is the event, and its holder counts as far as the list names one.

========================  ===========================  ========================================
before                    now                          event
========================  ===========================  ========================================
(none)                    up                           new; nothing where it is remembered
up                        up, other programs           holder
up                        not there                    down, or missing where it is expected
down                      up                           recovered (and holder, where that is new)
(anything)                absent or another's, and     missing, once
                          expected
missing                   there as expected            back
(anything)                excluded, or not watched     none: row and alerts go quietly
========================  ===========================  ========================================

Remembered without an event: everything at first sight, and whatever was there before at the first
snapshot after the policy, or the range of ephemeral ports, became another one.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from probes.watch.port_list import Listening, PortList, Range, is_called, range_of


class Key(NamedTuple):
    """One port of a host."""

    protocol: str
    """Base protocol: tcp, udp, sctp or dccp."""
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}"


class Kind(enum.StrEnum):
    """A transition; the values are those of ``Change.Kind``."""

    NEW = "port_new"
    DOWN = "port_down"
    RECOVERED = "port_recovered"
    HOLDER = "holder"
    MISSING = "expected_missing"
    BACK = "expected_back"


class Switch(enum.StrEnum):
    """What may raise an alert, range by range."""

    NEW = "new"
    DOWN = "down"
    HOLDER = "holder"


class Alarm(enum.StrEnum):
    """What an alert of ports is about; the first part of its fingerprint."""

    NEW = "port_new"
    DOWN = "port_down"
    HOLDER = "holder"
    EXPECTED = "expected"

    def of(self, key: Key) -> str:
        """The fingerprint: ``port_down:tcp/8080``."""
        return f"{self.value}:{key}"


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a port, sorted; what is not known is absent."""

    addresses: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    named: bool = True
    """Whether the program of every one of its sockets is known. Where not, nothing is concluded
    from the names. Of a watched port: whether any is."""


NOBODY: Final = Holding(named=False)


@dataclass(frozen=True, slots=True)
class Watched:
    """A port as it was written last."""

    is_up: bool
    holding: Holding
    """As long as it is up the present one, else the last."""
    told: bool = False
    """It is expected, absent (or another's), and that was told."""
    seen: bool = True
    """False for an expected port that was never there."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is watched of a host, with the lists of all that applies to it."""

    enabled: bool = True
    allowed: PortList = field(default_factory=PortList)
    excluded: PortList = field(default_factory=PortList)
    expected: PortList = field(default_factory=PortList)
    raises: Mapping[Range, Collection[Switch]] = field(default_factory=dict)


class Event(NamedTuple):
    """One transition of one port."""

    kind: Kind
    key: Key
    range: Range
    before: Holding | None
    after: Holding | None
    raises: Alarm | None
    """The alert that it opens; None where it is history only."""
    resolves: tuple[Alarm, ...]
    """Alerts of the port that it ends, where they are active."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written."""

    events: tuple[Event, ...] = ()
    changed: Mapping[Key, Watched] = field(default_factory=dict)
    """Rows to insert or to bring up to date."""
    gone: tuple[Key, ...] = ()
    """Rows to remove without a word."""
    quiet: tuple[str, ...] = ()
    """Fingerprints of alerts to end without a word."""

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it was."""
        return not (self.changed or self.gone or self.events or self.quiet)


OF_A_PORT: Final = tuple(Alarm)


def decide(
    listeners: Mapping[Key, Holding],
    watched: Mapping[Key, Watched],
    policy: Policy,
    *,
    ephemeral: tuple[int, int],
    first: bool = False,
    other_view: bool = False,
    other_names: bool = False,
    remembered: Collection[Key] = (),
) -> Verdict:
    """Compare the listeners of a whole snapshot with the ports as they were written last.

    ``first``: the host has no baseline yet, so all ports are remembered. ``remembered``: ports that
    were there before and are watched only now, so that they are remembered too. ``other_view``: the
    snapshot was taken with other rights than the one before, which may show more or less of the
    same listeners: nothing is new, down or missing by that. ``other_names``: it was taken by
    another tool, which may call the same program otherwise: no holder is another one by that.
    Decided again with what it changed, it finds nothing to do.
    """
    if not policy.enabled:
        return _quietly(watched)
    expected = _expected(policy.expected)
    events: list[Event] = []
    changed: dict[Key, Watched] = {}
    gone: list[Key] = []
    quiet: list[str] = []
    for key in sorted({*listeners, *watched, *expected}):
        now, was = listeners.get(key), watched.get(key)
        programs = expected.get(key)
        of = range_of(key.port, ephemeral)
        if programs is None and _excluded(
            key, now or (None if was is None else was.holding), of, policy
        ):
            if was is not None:
                gone.append(key)
                quiet += [alarm.of(key) for alarm in OF_A_PORT]
            continue
        if was is not None and was.told and programs is None:
            quiet.append(Alarm.EXPECTED.of(key))
            if not was.seen and now is None:
                gone.append(key)
                continue
        if other_view and now is None and was is not None and was.is_up:
            if programs is None:
                gone.append(key)
                quiet += [alarm.of(key) for alarm in OF_A_PORT]
            continue
        new = first or other_view or key in remembered
        judged = _Port(
            key, of, now, was, programs, policy, remembered=new, renamed=other_view or other_names
        )
        found = tuple(judged.events())
        events += found
        row = judged.row(found)
        if row is not None and row != was:
            changed[key] = row
    return Verdict(tuple(events), changed, tuple(gone), tuple(quiet))


def watches(key: Key, holding: Holding, policy: Policy, ephemeral: tuple[int, int]) -> bool:
    """Whether a listener is watched at all."""
    if not policy.enabled:
        return False
    return key in _expected(policy.expected) or not _excluded(
        key, holding, range_of(key.port, ephemeral), policy
    )


def missing(
    listeners: Mapping[Key, Holding], policy: Policy
) -> list[tuple[Key, tuple[str, ...], Holding | None]]:
    """The expected ports that are absent or held by others: (port, programs wanted, holder)."""
    if not policy.enabled:
        return []
    return [
        (key, programs, listeners.get(key))
        for key, programs in sorted(_expected(policy.expected).items())
        if not _is_there(listeners.get(key), programs)
    ]


def _quietly(watched: Mapping[Key, Watched]) -> Verdict:
    keys = tuple(sorted(watched))
    quiet = tuple(alarm.of(key) for key in keys for alarm in OF_A_PORT)
    return Verdict(gone=keys, quiet=quiet)


def _expected(listed: PortList) -> dict[Key, tuple[str, ...]]:
    """The programs that may hold each expected port; none named: whichever does."""
    found: dict[Key, set[str]] = {}
    anybody: set[Key] = set()
    for protocol, port, program in listed.each_expected():
        key = Key(protocol, port)
        found.setdefault(key, set()).add(program)
        if not program:
            anybody.add(key)
    return {key: () if key in anybody else tuple(sorted(names)) for key, names in found.items()}


def _is_there(now: Holding | None, programs: tuple[str, ...]) -> bool:
    """Whether an expected port is held as it should be; nothing is held against what is unknown."""
    if now is None:
        return False
    if not programs or not now.named:
        return True
    return any(is_called(name, held) for name in programs for held in now.programs)


def _called(programs: Iterable[str]) -> set[str]:
    """What programs are called before the colon: ``nginx: master`` may be seen as ``nginx: worker``
    at the next probe, and is the same one."""
    return {name.partition(":")[0].strip() or name for name in programs}


def _listening(key: Key, holding: Holding | None, of: Range) -> Listening:
    held = holding or Holding()
    return Listening(key.protocol, key.port, of, held.addresses, held.programs)


def _excluded(key: Key, holding: Holding | None, of: Range, policy: Policy) -> bool:
    return policy.excluded.matches(_listening(key, holding, of))


@dataclass(frozen=True, slots=True)
class _Port:
    """One watched port, before and now."""

    key: Key
    of: Range
    now: Holding | None
    was: Watched | None
    wanted: tuple[str, ...] | None
    """Programs that may hold it where it is expected; None where it is not."""
    policy: Policy
    remembered: bool
    renamed: bool
    """Its programs may have other names than before without being others."""

    @property
    def _was_up(self) -> bool:
        return self.was is not None and self.was.is_up

    @property
    def _was_told(self) -> bool:
        return self.was is not None and self.was.told and self.wanted is not None

    @property
    def _is_missing(self) -> bool:
        return self.wanted is not None and not _is_there(self.now, self.wanted)

    @property
    def _before(self) -> Holding | None:
        return self.was.holding if self.was is not None and self.was.seen else None

    def events(self) -> Iterator[Event]:
        """What happened to it."""
        if self._is_missing and not self._was_told:
            yield self._event(
                Kind.MISSING,
                Alarm.EXPECTED,
                (Alarm.DOWN, Alarm.NEW, Alarm.HOLDER) if self.now is None else (Alarm.DOWN,),
            )
        elif self._was_told and not self._is_missing:
            yield self._event(Kind.BACK, None, (Alarm.EXPECTED, Alarm.DOWN))
        elif self.now is None and self._was_up:
            # Told to be missing before, it is only history that it went altogether.
            raises = None if self._was_told else self._if_on(Switch.DOWN, Alarm.DOWN)
            yield self._event(Kind.DOWN, raises, (Alarm.NEW, Alarm.HOLDER))
        elif self.now is not None and self.was is None:
            if not self.remembered:
                yield self._event(Kind.NEW, self._if_not_allowed(Switch.NEW, Alarm.NEW), ())
        elif self.now is not None and self.was is not None:
            if not self.was.is_up:
                if self.was.seen:
                    yield self._event(Kind.RECOVERED, None, (Alarm.DOWN,))
                else:
                    yield self._event(Kind.NEW, self._if_not_allowed(Switch.NEW, Alarm.NEW), ())
            if self._is_another:
                yield self._event(
                    Kind.HOLDER, self._if_not_allowed(Switch.HOLDER, Alarm.HOLDER), ()
                )

    def row(self, found: tuple[Event, ...]) -> Watched | None:
        """What is to be remembered of it; None where it is nothing."""
        told = self._is_missing
        if self.now is not None:
            return Watched(is_up=True, holding=self._held, told=told)
        if self.was is None:
            return Watched(False, NOBODY, told, seen=False) if found else None
        return Watched(False, self.was.holding, told, seen=self.was.seen)

    @property
    def _is_another(self) -> bool:
        """Whether other programs hold it, which only whole knowledge of both times can tell."""
        if self.now is None or self.was is None or not self.was.seen or self.renamed:
            return False
        before = self.was.holding
        known = self.now.named and bool(self.now.programs and before.programs)
        return known and _called(self.now.programs) != _called(before.programs)

    @property
    def _held(self) -> Holding:
        """The present holder. Names that are hidden now are kept as they were known; where only
        some were ever known, none is: they could not be compared with all."""
        assert self.now is not None
        now, before = self.now, self._before or Holding()
        programs = now.programs if now.named else before.programs
        return Holding(now.addresses, programs, now.pids or before.pids, named=bool(programs))

    def _event(self, kind: Kind, raises: Alarm | None, resolves: tuple[Alarm, ...]) -> Event:
        return Event(kind, self.key, self.of, self._before, self.now, raises, resolves)

    def _if_on(self, switch: Switch, alarm: Alarm) -> Alarm | None:
        return alarm if switch in self.policy.raises.get(self.of, ()) else None

    def _if_not_allowed(self, switch: Switch, alarm: Alarm) -> Alarm | None:
        """An alert unless the port is allowed. A list of allowed ports that does not hold a new
        one, or that names another holder, raises whatever the switch says."""
        if self.wanted is not None and not self._is_missing and switch is Switch.NEW:
            return None
        allowed = self.policy.allowed
        if allowed.matches(_listening(self.key, self.now, self.of)):
            return None
        if allowed and (switch is Switch.NEW or allowed.covers(*self.key)):
            return alarm
        return self._if_on(switch, alarm)
