"""What a file of the rule set may hold, and what is wrong with one that does not.

Place in the data's way: between ``text``, which gives plain values, and ``sections``, which knows
the rows. Pure: types, lengths and choices; what only rows can tell (that a host exists, that a list
of ports is one) is asked there. Messages name their position: ``rules[3].threshold``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from probes import filters
from probes.models import AlertKind, Channel, Metric, Severity

VERSION: Final = 1
MOST: Final = 5_000
"""Items of one section."""


class RuleSetError(ValueError):
    """Why a file cannot be taken: pairs of a position and what is wrong there."""

    def __init__(self, problems: Iterable[tuple[str, Any]]) -> None:
        self.problems = [(where, str(said)) for where, said in problems]
        super().__init__("; ".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """``rules[3].threshold: Give a number.``"""
        return [f"{where}: {said}" if where else said for where, said in self.problems]


def _text(value: Any) -> Any:
    """``ports: 22`` is meant as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _moment(value: Any) -> Any:
    return value if isinstance(value, dt.datetime) else filters.moment(value)


def _words(enum: Any) -> Any:
    return Literal[tuple(str(value) for value in enum.values)]


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=100)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Small = Annotated[int, Field(ge=0, le=32_767)]
Count = Annotated[int, Field(ge=0, le=2_147_483_647)]
Time = Annotated[dt.datetime, BeforeValidator(_moment)]


def _up_to(most: int) -> Any:
    return Annotated[str, BeforeValidator(_text), Field(max_length=most)]


class Item(BaseModel):
    """One row of a section. Everything has its default: what is left out is that."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OverrideItem(Item):
    """What is other about a rule for a group or a host."""

    group: Name | None = None
    host: Name | None = None
    enabled: bool | None = None
    threshold: Number | None = None
    clear_at: Number | None = None
    probes: Small | None = None
    severity: _words(Severity) | Literal[""] = ""  # type: ignore[valid-type]


class RuleItem(Item):
    """A threshold."""

    name: Name
    enabled: bool = True
    metric: _words(Metric)  # type: ignore[valid-type]
    state: _up_to(20) = ""  # type: ignore[valid-type]
    of_state: _up_to(20) = ""  # type: ignore[valid-type]
    ports: _up_to(500) = ""  # type: ignore[valid-type]
    threshold: Number = 0.0
    clear_at: Number | None = None
    at_least: Number = 0.0
    within_minutes: Count = 10
    probes: Small = 2
    severity: _words(Severity) = "warning"  # type: ignore[valid-type]
    advice: _up_to(500) = ""  # type: ignore[valid-type]
    overrides: Annotated[list[OverrideItem], Field(max_length=MOST)] = []


class RaisesItem(Item):
    """What of each range of ports raises alerts."""

    system: list[Literal["new", "down", "holder"]] | None = None
    registered: list[Literal["new", "down", "holder"]] | None = None
    ephemeral: list[Literal["new", "down", "holder"]] | None = None


class PolicyItem(Item):
    """A port policy: of a group, of a host, or with neither of the whole site."""

    group: Name | None = None
    host: Name | None = None
    enabled: bool | None = None
    allowed: _up_to(20_000) = ""  # type: ignore[valid-type]
    excluded: _up_to(20_000) = ""  # type: ignore[valid-type]
    expected: _up_to(20_000) = ""  # type: ignore[valid-type]
    raises: RaisesItem = RaisesItem()


class DriftItem(Item):
    """A new-peer watch."""

    group: Name
    enabled: bool = True
    learn_until: Time
    ipv4_prefix: int = 24
    ipv6_prefix: int = 64
    forget_days: Count = 90
    ignored: _up_to(10_000) = ""  # type: ignore[valid-type]


class WindowItem(Item):
    """A maintenance window that is not over."""

    starts_at: Time
    ends_at: Time
    host: Name | None = None
    group: Name | None = None
    rule: Name | None = None
    kind: _words(AlertKind) | Literal[""] = ""  # type: ignore[valid-type]
    reason: _up_to(200) = ""  # type: ignore[valid-type]


class CommandItem(Item):
    """A restart command."""

    name: Name
    argv: Annotated[
        list[Annotated[str, Field(max_length=1_000)]], Field(min_length=1, max_length=50)
    ]
    use_sudo: bool = True


class ServiceItem(Item):
    """A service."""

    name: Name
    host: Name
    protocol: Literal["tcp", "udp"] = "tcp"
    port: Annotated[int, Field(ge=1, le=65_535)]
    command: Name | None = None
    automatic: bool = False
    enabled: bool = True
    budget: Small = 3
    budget_s: Count = 300
    notes: _up_to(10_000) = ""  # type: ignore[valid-type]


class ChannelItem(Item):
    """A channel without its secrets."""

    name: Name
    kind: _words(Channel.Kind)  # type: ignore[valid-type]
    enabled: bool = True
    recipients: _up_to(10_000) = ""  # type: ignore[valid-type]
    template: _up_to(20_000) = ""  # type: ignore[valid-type]
    language: _up_to(10) = ""  # type: ignore[valid-type]
    groups: Annotated[list[Name], Field(max_length=MOST)] = []
    kinds: list[_words(AlertKind)] = []  # type: ignore[valid-type]
    min_severity: _words(Severity) = "warning"  # type: ignore[valid-type]
    send_resolved: bool = True
    per_hour: Count = 60
    repeat_minutes: Count | None = None
    escalate_minutes: Count | None = None


class RuleSet(Item):
    """A file. A section that is left out is not touched."""

    version: Literal[1]
    rules: Annotated[list[RuleItem], Field(max_length=MOST)] | None = None
    port_policies: Annotated[list[PolicyItem], Field(max_length=MOST)] | None = None
    drift_watches: Annotated[list[DriftItem], Field(max_length=MOST)] | None = None
    restart_commands: Annotated[list[CommandItem], Field(max_length=MOST)] | None = None
    services: Annotated[list[ServiceItem], Field(max_length=MOST)] | None = None
    channels: Annotated[list[ChannelItem], Field(max_length=MOST)] | None = None
    maintenance_windows: Annotated[list[WindowItem], Field(max_length=MOST)] | None = None


def read(value: Any) -> RuleSet:
    """``value`` as a rule set; RuleSetError with everything that is wrong."""
    try:
        return RuleSet.model_validate(value)
    except ValidationError as error:
        raise RuleSetError(
            (position(error_found["loc"]), problem.message)
            for error_found, problem in zip(
                error.errors(include_url=False, include_input=False),
                filters.problems(error),
                strict=True,
            )
        ) from None


def position(place: Iterable[int | str]) -> str:
    """``("rules", 3, "threshold")`` as ``rules[3].threshold``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{filters.visible(part)}" if text else filters.visible(part)
    return text
