"""Changing and removing policies of ports: looked at before, checked, and recorded.

Place in the data's way: between the pages and JSON routes and the rows of ``PortPolicy``. Each
write is one transaction with its audit entry; a refusal is a ValidationError by field. What was
changed counts from each host's next whole probe on.

The row of the site belongs to administrators of all hosts; an administrator of some groups changes
the rows of those groups and of the hosts in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts import reach
from hosts.models import Host, HostGroup, visible_groups
from netadmin.access import audit, permissions
from netadmin.access.models import Role
from probes.filters import unstorable
from probes.models import PortPolicy
from probes.watch import policies, port_list, port_watch, ports
from probes.watch.port_list import ListError, Range
from probes.watch.ports import Key, Switch
from probes.wording import ports as wording

FIELDS: Final = ("enabled", *policies.LISTS, "raises")
LONGEST_LIST: Final = 20_000
MOST_NAMED: Final = 50
"""Ports that a preview names."""


def visible(request: HttpRequest) -> QuerySet[PortPolicy]:
    """The policies the caller may know of: the site's, and those of groups and hosts it sees."""
    user = cast("User", request.user)
    return PortPolicy.objects.select_related("group", "host").filter(
        Q(group=None, host=None)
        | Q(group__in=visible_groups(user).order_by())
        | Q(host__in=Host.objects.kept().visible_to(user).order_by())
    )


def administers(request: HttpRequest) -> bool:
    """Whether the caller changes policies at all."""
    role = permissions.request_role(request)
    return role is not None and role >= Role.ADMIN


def may_change(request: HttpRequest, policy: PortPolicy) -> bool:
    """Whether the caller may change or remove ``policy``, stored or not."""
    if not administers(request):
        return False
    reached = reach.of(request)
    if policy.group is not None:
        return reached.has_group(policy.group)
    if policy.host is not None:
        return reached.hosts().filter(pk=policy.host.pk).exists()
    return reached.everything


def of_scope(group: HostGroup | None, host: Host | None) -> PortPolicy:
    """The policy of a group, of a host or, of neither, of the site; a new one where there is none
    yet, which says nothing."""
    stored = PortPolicy.objects.select_related("group", "host").filter(group=group, host=host)
    return stored.first() or PortPolicy(group=group, host=host)


def draft(policy: PortPolicy, data: Mapping[str, Any]) -> PortPolicy:
    """A copy of ``policy`` with the values of ``data``, checked and not saved.

    ``raises`` is by range a list of switches; a range that is absent says nothing. Raises
    ValidationError by field.
    """
    made = PortPolicy(
        pk=policy.pk,
        group=policy.group,
        host=policy.host,
        **{name: data.get(name, getattr(policy, name)) for name in FIELDS},
    )
    wrong: dict[str, list[str]] = {}
    for name in policies.LISTS:
        text = str(getattr(made, name) or "").replace("\r\n", "\n").strip()
        try:
            if len(text) > LONGEST_LIST:
                raise ValidationError(
                    _("Give at most %(most)s characters.") % {"most": LONGEST_LIST}
                )
            if unstorable(text):
                raise ValidationError(_("This holds a character that no database keeps."))
            port_list.parse(text, expected=name == "expected")
        except ListError as error:
            wrong[name] = [wording.problem(error)]
        except ValidationError as error:
            wrong[name] = error.messages
        setattr(made, name, text)
    if problem := _wrong_switches(made.raises):
        wrong["raises"] = [problem]
    if wrong:
        raise ValidationError(wrong)
    made.raises = policies.switches(made.raises)
    return made


def save(policy: PortPolicy, data: Mapping[str, Any], *, request: HttpRequest) -> PortPolicy:
    """Store what ``data`` names and return the policy fresh."""
    with transaction.atomic():
        stored = _locked(policy)
        before = described(stored) if stored is not None else {}
        made = draft(stored or of_scope(policy.group, policy.host), data)
        if stored is not None:
            made.pk = stored.pk
        try:
            with transaction.atomic():
                made.save(force_insert=stored is None, force_update=stored is not None)
        except IntegrityError:
            raise ValidationError(_("Somebody else changed it meanwhile. Try again.")) from None
        audit.record(
            "port_policy.change" if stored is not None else "port_policy.add",
            request=request,
            target=made,
            detail={"of": scope(made), **audit.changes(before, described(made))},
        )
    return made


def remove(policy: PortPolicy, *, request: HttpRequest) -> None:
    """Delete the policy of a group or host; what is wider counts from then on."""
    with transaction.atomic():
        stored = _locked(policy)
        if stored is None:
            return
        if scope(stored) == "site":
            raise ValidationError(_("The rules of the site are changed, not removed."))
        detail = {"of": scope(stored), **described(stored)}
        audit.record("port_policy.remove", request=request, target=stored, detail=detail)
        stored.delete()


def described(policy: PortPolicy) -> dict[str, Any]:
    """The fields as the audit log keeps them."""
    said = {name: getattr(policy, name) for name in FIELDS}
    return said | {name: said[name][:2_000] for name in policies.LISTS}


def scope(policy: PortPolicy) -> str:
    """``site``, ``group`` or ``host``."""
    return "host" if policy.host_id else "group" if policy.group_id else "site"


# --- what a change would do -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """What a policy would do to a host as it is now."""

    host: Host
    leaves: tuple[Key, ...] = ()
    """Watched now, no longer then."""
    joins: tuple[Key, ...] = ()
    """Watched then: remembered, without an alert."""
    missing: tuple[Key, ...] = ()
    """Expected then and absent, which is an alert; not those that are told already."""
    settled: tuple[Key, ...] = ()
    """Expected and absent now, no longer then."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do to the listeners as they are now."""

    effects: tuple[Effect, ...] = ()
    """Of hosts to which it does anything, by name."""
    hosts: int = 0
    """Hosts it applies to that were ever seen whole, of those the caller sees."""
    totals: Mapping[str, int] = field(default_factory=dict)
    """leaves, joins, missing and settled over all hosts."""

    @property
    def does_nothing(self) -> bool:
        """Whether all would stay."""
        return not self.effects


def preview(request: HttpRequest, changed: PortPolicy, *, removed: bool = False) -> Preview:
    """What storing ``changed`` (or removing it) would do to the hosts that the caller sees.

    A constant number of queries.
    """
    hosts = list(_affected(request, changed).order_by("name"))
    ids = [host.pk for host in hosts]
    before = policies.of_hosts(ids)
    if removed:
        after = policies.of_hosts(ids, without=changed.pk)
    else:
        after = policies.of_hosts(ids, instead=changed)
    listening = port_watch.listeners_of(ids)
    ranges = port_watch.ephemeral_ranges(ids)
    effects = []
    for host in hosts:
        now, then = before[host.pk].policy, after[host.pk].policy
        effect = _effect(host, listening.get(host.pk, {}), now, then, ranges[host.pk])
        if effect is not None:
            effects.append(effect)
    names = ("leaves", "joins", "missing", "settled")
    totals = {name: sum(len(getattr(each, name)) for each in effects) for name in names}
    return Preview(tuple(effects), len(hosts), totals)


def _affected(request: HttpRequest, policy: PortPolicy) -> QuerySet[Host]:
    hosts = Host.objects.kept().visible_to(request.user)
    # Of a host without a whole probe nothing is known, so nothing is missing there.
    hosts = hosts.filter(schedule__latest_whole__isnull=False)
    if policy.host is not None:
        return hosts.filter(pk=policy.host.pk)
    return hosts if policy.group is None else hosts.filter(groups=policy.group)


def _effect(
    host: Host,
    listening: Mapping[Key, ports.Holding],
    now: ports.Policy,
    then: ports.Policy,
    ephemeral: tuple[int, int],
) -> Effect | None:
    was = {key for key, held in listening.items() if ports.watches(key, held, now, ephemeral)}
    will = {key for key, held in listening.items() if ports.watches(key, held, then, ephemeral)}
    absent_now = {key for key, _programs, _held in ports.missing(listening, now)}
    absent_then = {key for key, _programs, _held in ports.missing(listening, then)}
    effect = Effect(
        host,
        leaves=_named(was - will),
        joins=_named(will - was),
        missing=_named(absent_then - absent_now),
        settled=_named(absent_now - absent_then),
    )
    return effect if effect != Effect(host) else None


def _named(keys: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys))


def _locked(policy: PortPolicy) -> PortPolicy | None:
    """The stored row of this scope, locked."""
    rows = PortPolicy.objects.select_for_update(of=("self",))
    return rows.filter(group=policy.group_id, host=policy.host_id).first()


def _wrong_switches(given: Any) -> str:
    if not isinstance(given, Mapping):
        return _("Give an object.")
    ranges = [of.value for of in Range]
    names = [switch.value for switch in Switch]
    for of, listed in given.items():
        if of not in ranges:
            return _("Give one of: %(words)s.") % {"words": ", ".join(ranges)}
        if not isinstance(listed, list | tuple):
            return _("Give a list.")
        if not set(map(str, listed)) <= set(names):
            return _("Give one of: %(words)s.") % {"words": ", ".join(names)}
    return ""
