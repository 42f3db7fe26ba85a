"""Sockets in CLOSE_WAIT by program and peer, each with how many there were at each probe.

Place in the data's way: between ``trouble_counts``, which reads the intervals, and the rule of
``probes.analysis.leaks``, which judges the groups. Asks no database.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from probes.analysis import leaks
from probes.analysis.findings import Point, Share
from probes.history.queries.trouble_counts import Left

PEERS: Final = 5
"""Peers that a finding about many of them names, and PIDs."""


def groups(
    found: Sequence[Left], times: Sequence[dt.datetime], thresholds: leaks.Thresholds
) -> list[leaks.Group]:
    """By program, port and peer; peers of one program and port too few to judge alone together."""
    by_peer: dict[tuple[object, ...], list[Left]] = defaultdict(list)
    by_program: dict[tuple[object, ...], dict[str, list[Left]]] = defaultdict(dict)
    for each in found:
        by_peer[each.protocol, each.program, each.outgoing, each.port, each.peer].append(each)
    groups = []
    for (*rest, peer), members in by_peer.items():
        if _there(members, times[-1]) >= thresholds.fewest:
            groups.append(_group(members, times, peer=members[0].peer))
        else:
            by_program[tuple(rest)][str(peer)] = members
    for peers in by_program.values():
        members = [each for some in peers.values() for each in some]
        if _there(members, times[-1]) < thresholds.fewest:
            continue
        shares = [Share(peer, _there(some, times[-1])) for peer, some in peers.items()]
        shares.sort(key=lambda share: (-share.count, share.name))
        named = tuple(share for share in shares[:PEERS] if share.count)
        groups.append(_group(members, times, peer=None, peers=named))
    return groups


def _group(
    members: list[Left],
    times: Sequence[dt.datetime],
    *,
    peer: str | None,
    peers: tuple[Share, ...] = (),
) -> leaks.Group:
    first = members[0]
    ages: dict[float, int] = defaultdict(int)
    for each in members:
        if each.last_seen is None or each.last_seen >= times[-1]:
            ages[(times[-1] - each.first_seen).total_seconds()] += each.copies
    pids = sorted({pid for each in members for pid in each.pids})
    return leaks.Group(
        protocol=first.protocol,
        program=first.program,
        pids=tuple(pids[:PEERS]),
        local_port=None if first.outgoing else first.port,
        remote_ip=peer,
        remote_port=first.port if first.outgoing else None,
        series=_series(members, times),
        ages_s=tuple(sorted(ages.items())),
        peers=peers,
    )


def _there(members: Iterable[Left], at: dt.datetime) -> int:
    """How many were there at the last probe."""
    return sum(
        each.copies
        for each in members
        if each.first_seen <= at and (each.last_seen is None or each.last_seen >= at)
    )


def _series(members: Iterable[Left], times: Sequence[dt.datetime]) -> tuple[Point, ...]:
    """How many were there at each time: intervals that begin and end at probes, added up."""
    begins: dict[dt.datetime, int] = defaultdict(int)
    ends: dict[dt.datetime, int] = defaultdict(int)
    for each in members:
        begins[each.first_seen] += each.copies
        if each.last_seen is not None:
            ends[each.last_seen] += each.copies
    events = sorted({*begins, *ends, *times})
    wanted = set(times)
    number, points = 0, []
    for when in events:
        number += begins.get(when, 0)
        if when in wanted:
            points.append((when, number))
        number -= ends.get(when, 0)
    return tuple(points)
