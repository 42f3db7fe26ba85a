"""The sections of the rule set: rows as items of the file, and items written as rows.

Place in the data's way: between ``schema``'s items and the models. One class a section, all with
the methods of :class:`~probes.rule_set.section.Section`, in the order in which they are written;
they are removed in the reverse one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from probes.models import (
    Channel,
    DriftWatch,
    PortPolicy,
    RestartCommand,
    Rule,
    RuleOverride,
    Service,
    Silence,
)
from probes.notify import channels
from probes.recovery import defined
from probes.rule_set.schema import (
    ChannelItem,
    CommandItem,
    DriftItem,
    OverrideItem,
    PolicyItem,
    RaisesItem,
    RuleItem,
    ServiceItem,
    WindowItem,
)
from probes.rule_set.section import Context, Key, Section, lines, put
from probes.watch import peer_decisions, policy_book, rule_book, windows


class Rules(Section[RuleItem, Rule]):
    """Thresholds with their overrides."""

    name = "rules"
    item = RuleItem
    FIELDS: Final = (
        "name", "enabled", "metric", "state", "of_state", "ports", "threshold", "clear_at",
        "at_least", "within_minutes", "probes", "severity", "advice",
    )  # fmt: skip
    OTHER: Final = ("enabled", "threshold", "clear_at", "probes", "severity")

    def rows(self) -> Iterator[tuple[Rule, RuleItem]]:
        kept = RuleOverride.objects.filter(Q(host=None) | Q(host__removed_at=None))
        overrides = models.Prefetch("overrides", kept.select_related("group", "host"), "listed")
        for rule in Rule.objects.prefetch_related(overrides).order_by("name"):
            others = [
                OverrideItem.model_construct(
                    group=None if one.group is None else one.group.name,
                    host=None if one.host is None else one.host.name,
                    **{name: getattr(one, name) for name in self.OTHER},
                )
                for one in rule.listed
            ]
            # What means nothing to a metric is what it is in a new rule.
            counted = rule_book.fields_of(rule.metric)
            fields = {
                name: getattr(rule, name) if name in counted else getattr(Rule(), name)
                for name in self.FIELDS
            }
            yield rule, RuleItem.model_construct(overrides=self._sorted(others), **fields)

    def key(self, item: RuleItem) -> Key:
        return (item.name,)

    def write(self, item: RuleItem, row: Rule | None, where: str, context: Context) -> None:
        rule = row or Rule()
        before = len(context.problems)
        with context.refusals_at(where):
            rule_book.fill(rule, {name: getattr(item, name) for name in self.FIELDS})
            rule.validate_unique()
            rule.save()
        if len(context.problems) > before:
            return
        kept = rule.overrides.filter(Q(host=None) | Q(host__removed_at=None))
        stored = {(one.group_id, one.host_id): one for one in kept}
        seen = set()
        for place, other in enumerate(item.overrides):
            here = f"{where}.overrides[{place}]"
            group, host = context.group(other.group, here), context.host(other.host, here)
            if (other.group is None) == (other.host is None):
                context.problems.append((here, _("Give a group or a host.")))
                continue
            key = (group.pk if group else None, host.pk if host else None)
            if key == (None, None):
                continue
            if key in seen:
                context.problems.append((here, _("Give this once.")))
                continue
            seen.add(key)
            one = stored.get(key) or RuleOverride(rule=rule, group=group, host=host)
            if not one._state.adding and self._same(one, other):
                continue
            with context.refusals_at(here):
                data = {name: getattr(other, name) for name in self.OTHER}
                rule_book.fill_override(one, rule, data)
                one.save()
        for key, one in stored.items():
            if key not in seen:
                one.delete()

    def _same(self, one: RuleOverride, other: OverrideItem) -> bool:
        return all(getattr(one, name) == getattr(other, name) for name in self.OTHER)

    @staticmethod
    def _sorted(others: Iterable[OverrideItem]) -> list[OverrideItem]:
        return sorted(others, key=lambda one: (one.group or "", one.host or ""))


class Policies(Section[PolicyItem, PortPolicy]):
    """Port policies; that of the site comes first, and is never removed."""

    name = "port_policies"
    item = PolicyItem
    FIELDS: Final = ("enabled", "allowed", "excluded", "expected")

    def rows(self) -> Iterator[tuple[PortPolicy, PolicyItem]]:
        kept = PortPolicy.objects.filter(Q(host=None) | Q(host__removed_at=None))
        listed = [
            (
                row,
                PolicyItem.model_construct(
                    group=None if row.group is None else row.group.name,
                    host=None if row.host is None else row.host.name,
                    raises=RaisesItem.model_construct(
                        **{name: row.raises.get(name) for name in RaisesItem.model_fields}
                    ),
                    **{name: lines(getattr(row, name)) for name in self.FIELDS},
                ),
            )
            for row in kept.select_related("group", "host")
        ]
        yield from sorted(listed, key=lambda pair: (pair[1].host or "", pair[1].group or ""))

    def key(self, item: PolicyItem) -> Key:
        return item.group, item.host

    def label(self, item: PolicyItem) -> str:
        return item.host or item.group or _("the whole site")

    def write(self, item: PolicyItem, row: PortPolicy | None, where: str, context: Context) -> None:
        if item.group is not None and item.host is not None:
            context.problems.append((where, _("Give a group or a host, not both.")))
            return
        group, host = context.group(item.group, where), context.host(item.host, where)
        if (group is None, host is None) != (item.group is None, item.host is None):
            return
        data = {name: getattr(item, name) for name in self.FIELDS}
        data["raises"] = item.raises.model_dump(exclude_none=True)
        with context.refusals_at(where):
            policy_book.draft(row or PortPolicy(group=group, host=host), data).save()

    def remove(self, row: PortPolicy, context: Context) -> None:
        if row.group_id is not None or row.host_id is not None:
            row.delete()


class Drift(Section[DriftItem, DriftWatch]):
    """New-peer watches. What they learned is no rule, and is in no file."""

    name = "drift_watches"
    item = DriftItem

    def rows(self) -> Iterator[tuple[DriftWatch, DriftItem]]:
        for watch in DriftWatch.objects.select_related("group").order_by("group__name"):
            yield (
                watch,
                DriftItem.model_construct(
                    group=watch.group.name,
                    enabled=watch.enabled,
                    learn_until=watch.learn_until,
                    ipv4_prefix=watch.ipv4_prefix,
                    ipv6_prefix=watch.ipv6_prefix,
                    forget_days=watch.forget_days,
                    ignored=lines(watch.ignored),
                ),
            )

    def key(self, item: DriftItem) -> Key:
        return (item.group,)

    def write(self, item: DriftItem, row: DriftWatch | None, where: str, context: Context) -> None:
        group = context.group(item.group, where)
        if group is None:
            return
        data = {name: getattr(item, name) for name in peer_decisions.WATCH_FIELDS}
        with context.refusals_at(where):
            peer_decisions.save_watch(group, data, request=context.request)

    def remove(self, row: DriftWatch, context: Context) -> None:
        peer_decisions.remove_watch(row, request=context.request)


class Commands(Section[CommandItem, RestartCommand]):
    """Restart commands."""

    name = "restart_commands"
    item = CommandItem

    def rows(self) -> Iterator[tuple[RestartCommand, CommandItem]]:
        for row in RestartCommand.objects.order_by("name"):
            yield (
                row,
                CommandItem.model_construct(
                    name=row.name, argv=list(row.argv), use_sudo=row.use_sudo
                ),
            )

    def key(self, item: CommandItem) -> Key:
        return (item.name,)

    def write(
        self, item: CommandItem, row: RestartCommand | None, where: str, context: Context
    ) -> None:
        data = item.model_dump()
        with context.refusals_at(where):
            if row is None:
                defined.create_command(data, request=context.request)
            else:
                defined.change_command(row, data, request=context.request)

    def remove(self, row: RestartCommand, context: Context) -> None:
        with context.refusals_at(f"{self.name} {row.name}"):
            defined.remove_command(row, request=context.request)


class Services(Section[ServiceItem, Service]):
    """Services with the names of their restart commands."""

    name = "services"
    item = ServiceItem
    FIELDS: Final = (
        "name", "protocol", "port", "automatic", "enabled", "budget", "budget_s", "notes",
    )  # fmt: skip

    def rows(self) -> Iterator[tuple[Service, ServiceItem]]:
        kept = Service.objects.filter(host__removed_at=None).select_related("host", "command")
        for row in kept.order_by("name", "host__name", "protocol", "port"):
            yield (
                row,
                ServiceItem.model_construct(
                    host=row.host.name,
                    command=None if row.command is None else row.command.name,
                    **{name: lines(getattr(row, name)) for name in self.FIELDS},
                ),
            )

    def key(self, item: ServiceItem) -> Key:
        return item.host, item.protocol, item.port

    def label(self, item: ServiceItem) -> str:
        return f"{item.name} ({item.host} {item.protocol}/{item.port})"

    def write(self, item: ServiceItem, row: Service | None, where: str, context: Context) -> None:
        host = context.host(item.host, where)
        command = None
        if item.command is not None:
            command = RestartCommand.objects.filter(name=item.command).first()
            if command is None:
                context.problems.append(
                    (f"{where}.command", _("There is no such restart command."))
                )
                return
        if host is None:
            return
        data: dict[str, Any] = {name: getattr(item, name) for name in self.FIELDS}
        data |= {"host": host.pk, "command": command}
        hosts = Host.objects.kept()
        with context.refusals_at(where):
            if row is None:
                defined.create(data, hosts=hosts, request=context.request)
            else:
                defined.change(row, data, hosts=hosts, request=context.request)

    def remove(self, row: Service, context: Context) -> None:
        defined.remove(row, request=context.request)


class Channels(Section[ChannelItem, Channel]):
    """Channels. Their addresses and keys are never in a file: one that exists keeps them."""

    name = "channels"
    item = ChannelItem
    FIELDS: Final = (
        "name", "kind", "enabled", "recipients", "template", "language", "kinds", "min_severity",
        "send_resolved", "per_hour", "repeat_minutes", "escalate_minutes",
    )  # fmt: skip

    def rows(self) -> Iterator[tuple[Channel, ChannelItem]]:
        for row in Channel.objects.prefetch_related("groups").order_by("name"):
            yield (
                row,
                ChannelItem.model_construct(
                    groups=sorted(group.name for group in row.groups.all()),
                    **{name: lines(getattr(row, name)) for name in self.FIELDS},
                ),
            )

    def key(self, item: ChannelItem) -> Key:
        return (item.name,)

    def write(self, item: ChannelItem, row: Channel | None, where: str, context: Context) -> None:
        if row is not None and row.kind != item.kind:
            said = _("The kind stays. Add another channel.")
            context.problems.append((f"{where}.kind", said))
            return
        data = item.model_dump(exclude={"kind"})
        for name, kind in (
            ("recipients", Channel.Kind.EMAIL),
            ("template", Channel.Kind.WEBHOOK),
        ):
            if item.kind != kind and not data[name]:
                del data[name]
        channel = row or Channel(name=item.name, kind=item.kind, enabled=False)
        if item.kind != Channel.Kind.EMAIL and not channel.has_secret("address"):
            data["enabled"] = False
            if item.enabled:
                said = _("It is off until it is given its address.")
                context.notes.append((f"{where} {item.name}", said))
        with context.refusals_at(where):
            if row is None:
                channel.save()
            channels.change(channel, data, request=context.request)

    def remove(self, row: Channel, context: Context) -> None:
        channels.remove(row, request=context.request)


class Windows(Section[WindowItem, Silence]):
    """Maintenance windows that are not over. What somebody snoozed is no rule."""

    name = "maintenance_windows"
    item = WindowItem
    FIELDS: Final = ("starts_at", "ends_at", "kind", "reason")

    def rows(self) -> Iterator[tuple[Silence, WindowItem]]:
        coming = Silence.objects.filter(ends_at__gt=timezone.now(), fingerprint="")
        kept = coming.filter(Q(host=None) | Q(host__removed_at=None))
        for row in kept.select_related("host", "group", "rule").order_by("starts_at", "pk"):
            yield (
                row,
                WindowItem.model_construct(
                    host=None if row.host is None else row.host.name,
                    group=None if row.group is None else row.group.name,
                    rule=None if row.rule is None else row.rule.name,
                    **{name: getattr(row, name) for name in self.FIELDS},
                ),
            )

    def key(self, item: WindowItem) -> Key:
        return tuple(getattr(item, name) for name in (*self.FIELDS, "host", "group", "rule"))

    def label(self, item: WindowItem) -> str:
        about = item.host or item.group or item.rule or item.kind or _("everything")
        return f"{item.starts_at:%Y-%m-%d %H:%M} - {item.ends_at:%Y-%m-%d %H:%M} {about}"

    def write(self, item: WindowItem, row: Silence | None, where: str, context: Context) -> None:
        if item.ends_at <= item.starts_at:
            context.problems.append((f"{where}.ends_at", _("Give a time after its start.")))
        if item.ends_at - item.starts_at > windows.LONGEST:
            context.problems.append((f"{where}.ends_at", _("This is too long.")))
        rule = None
        if item.rule is not None:
            rule = Rule.objects.filter(name=item.rule).first()
            if rule is None:
                context.problems.append((f"{where}.rule", _("There is no such rule.")))
        silence = row or Silence(created_by=context.request.user.get_username()[:150])
        put(silence, item, self.FIELDS)
        silence.host, silence.group = (
            context.host(item.host, where),
            context.group(item.group, where),
        )
        silence.rule = rule
        if context.cleaned(silence, where):
            silence.save()

    def is_over(self, item: WindowItem, now: dt.datetime) -> bool:
        return item.ends_at <= now


WINDOWS: Final = Windows()
SECTIONS: Final[tuple[Section[Any, Any], ...]] = (
    Rules(), Policies(), Drift(), Commands(), Services(), Channels(), WINDOWS,
)  # fmt: skip
