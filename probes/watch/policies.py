"""Which policy of ports applies to a host: of the site, of its groups and of the host together.

Place in the data's way: between the rows of ``PortPolicy`` and ``probes.watch.ports``, which judges
by the result; asked while a snapshot is stored, and by the pages that explain it.

Lists of all rows that apply add up. Of switches the nearest row that says something counts: the
host's before those of its groups, those before the site's. Of several groups one that watches is
enough, and what any of them raises is raised.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from django.db.models import Q

from hosts.models import Host
from probes.models import PortPolicy
from probes.watch import port_list
from probes.watch.port_list import Entry, Listening, ListError, PortList, Range
from probes.watch.ports import Policy, Switch

logger = logging.getLogger(__name__)

LISTS: Final = ("allowed", "excluded", "expected")


@dataclass(frozen=True, slots=True)
class Effective:
    """What applies to one host, and the rows it is made of, the site's first."""

    policy: Policy
    digest: str
    """Another one where anything that is judged by is another."""
    rows: tuple[PortPolicy, ...]

    def sources(self, name: str) -> list[tuple[Entry, list[PortPolicy]]]:
        """Each entry of the list called ``name`` with the rows that have it."""
        found: dict[Entry, list[PortPolicy]] = defaultdict(list)
        for row in self.rows:
            for entry in _list(row, name).entries:
                found[entry].append(row)
        return list(found.items())

    def naming(
        self,
        protocol: str,
        port: int,
        of: Range,
        addresses: Collection[str],
        programs: Collection[str],
    ) -> tuple[str, str]:
        """The entries of the expected and of the allowed ports that name a port; "" for none."""
        listener = Listening(protocol, port, of, addresses, programs)
        expected = (
            entry
            for entry in self.policy.expected.entries
            if entry.covers(protocol, port) and (entry.protocol or protocol == "tcp")
        )
        allowed = (entry for entry in self.policy.allowed.entries if entry.matches(listener))
        return ", ".join(map(str, expected)), ", ".join(map(str, allowed))

    @property
    def enabled_by(self) -> list[PortPolicy]:
        """The rows that say whether ports are watched; none where nobody does."""
        return _nearest(self.rows, lambda row: row.enabled is not None)

    def raised_by(self, of: Range) -> list[PortPolicy]:
        """The rows that say what raises an alert in a range; none where nobody does."""
        return _nearest(self.rows, lambda row: of.value in _switches(row))


def of_host(host_id: int, *, using: str = "default") -> Effective:
    """The policy of one host. One query."""
    memberships = Host.groups.through.objects.using(using).filter(host_id=host_id)
    rows = PortPolicy.objects.using(using).filter(
        Q(group=None, host=None)
        | Q(host_id=host_id)
        | Q(group__in=memberships.values("hostgroup_id"))
    )
    return combined(rows.order_by("pk"))


def of_hosts(
    host_ids: Collection[int],
    *,
    instead: PortPolicy | None = None,
    without: int | None = None,
    using: str = "default",
) -> dict[int, Effective]:
    """The policy of each host. Two queries, however many.

    As it would be with ``instead`` in the place of the row of its scope, and without the row of the
    id ``without``: that is how a change is looked at before it is made.
    """
    everything = PortPolicy.objects.using(using).select_related("group", "host").order_by("pk")
    rows = [row for row in everything if row.pk != without]
    if instead is not None:
        rows = [row for row in rows if scope(row) != scope(instead)] + [instead]
    by_group = {row.group_id: row for row in rows if row.group_id is not None}
    by_host = {row.host_id: row for row in rows if row.host_id is not None}
    site = [row for row in rows if scope(row) == (None, None)]
    groups: dict[int, list[PortPolicy]] = defaultdict(list)
    if by_group:
        pairs = Host.groups.through.objects.using(using).filter(hostgroup__in=list(by_group))
        for host_id, group_id in pairs.order_by("pk").values_list("host_id", "hostgroup_id"):
            groups[host_id].append(by_group[group_id])
    made: dict[tuple[int, ...], Effective] = {}
    found = {}
    for host_id in host_ids:
        own = [by_host[host_id]] if host_id in by_host else []
        applying = [*site, *groups.get(host_id, ()), *own]
        which = tuple(map(id, applying))
        if which not in made:
            made[which] = combined(applying)
        found[host_id] = made[which]
    return found


def scope(row: PortPolicy) -> tuple[int | None, int | None]:
    """What a row is of: (group, host); both None for the site."""
    return row.group_id, row.host_id


def combined(rows: Iterable[PortPolicy]) -> Effective:
    """What rows that apply to one host say together."""
    ordered = tuple(sorted(rows, key=lambda row: (_nearness(row), row.pk or 0)))
    lists = {name: sum((_list(row, name) for row in ordered), start=PortList()) for name in LISTS}
    saying = _nearest(ordered, lambda row: row.enabled is not None)
    raises = {
        of: frozenset(
            switch
            for row in _nearest(ordered, lambda row, of=of: of.value in _switches(row))
            for switch in _switches(row)[of.value]
        )
        for of in Range
    }
    policy = Policy(
        enabled=not saying or any(row.enabled for row in saying),
        allowed=lists["allowed"],
        excluded=lists["excluded"],
        expected=lists["expected"],
        raises=raises,
    )
    return Effective(policy, _digest(policy), ordered)


def switches(given: Any) -> dict[str, list[str]]:
    """The column ``raises`` with all that is no range or switch left out."""
    if not isinstance(given, Mapping):
        return {}
    return {
        of.value: [switch.value for switch in Switch if switch.value in given[of.value]]
        for of in Range
        if isinstance(given.get(of.value), list)
    }


def _switches(row: PortPolicy) -> dict[str, list[Switch]]:
    return {of: [Switch(name) for name in names] for of, names in switches(row.raises).items()}


def _nearness(row: PortPolicy) -> int:
    return 2 if row.host_id is not None else 1 if row.group_id is not None else 0


def _nearest(rows: Sequence[PortPolicy], says: Any) -> list[PortPolicy]:
    """The rows of the nearest kind of which any says something."""
    saying = [row for row in rows if says(row)]
    nearest = max(map(_nearness, saying), default=0)
    return [row for row in saying if _nearness(row) == nearest]


def _list(row: PortPolicy, name: str) -> PortList:
    """One list of a row. What no form let in is left out and logged, so that the others count."""
    try:
        return _parsed(getattr(row, name), name == "expected")
    except ListError as error:
        logger.warning("port policy %s: %s: %s", row.pk, name, error.problem)
        return PortList()


@lru_cache(maxsize=256)
def _parsed(text: str, expected: bool) -> PortList:
    return port_list.parse(text, expected=expected)


def _digest(policy: Policy) -> str:
    said = [
        policy.enabled,
        *(sorted(map(str, getattr(policy, name).entries)) for name in LISTS),
        {of.value: sorted(policy.raises.get(of, ())) for of in Range},
    ]
    return blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
