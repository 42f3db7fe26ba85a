"""What the sections of the rule set have in common: the methods each has, and one import's context.

Place in the data's way: below ``sections``, which says for each list of the file what its rows are.
Hosts and groups go by their names; a name that nobody has is a problem with its position.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host, HostGroup
from probes.rule_set.schema import Item

Key = tuple[Any, ...]
I = TypeVar("I", bound=Item)  # noqa: E741
R = TypeVar("R", bound=models.Model)


@dataclass
class Context:
    """What all sections of one import share."""

    hosts: dict[str, Host]
    groups: dict[str, HostGroup]
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What a person has to know or do: pairs of the item and words."""
    request: HttpRequest = field(default_factory=HttpRequest)
    """Whose import it is."""

    @classmethod
    def now(cls, request: HttpRequest | None) -> Context:
        """The hosts and groups there are."""
        if request is None:
            request = HttpRequest()
            request.user = AnonymousUser()
        hosts = {host.name: host for host in Host.objects.kept().order_by()}
        groups = {group.name: group for group in HostGroup.objects.order_by()}
        return cls(hosts, groups, request=request)

    def host(self, name: str | None, where: str) -> Host | None:
        """The host of that name."""
        if name is not None and name not in self.hosts:
            self.problems.append((f"{where}.host", _("There is no such host.")))
        return None if name is None else self.hosts.get(name)

    def group(self, name: str | None, where: str) -> HostGroup | None:
        """The group of that name."""
        if name is not None and name not in self.groups:
            self.problems.append((f"{where}.group", _("There is no such host group.")))
        return None if name is None else self.groups.get(name)

    @contextlib.contextmanager
    def refusals_at(self, where: str) -> Iterator[None]:
        """Book a refusal of what is done inside; what it wrote is undone."""
        try:
            with transaction.atomic():
                yield
        except ValidationError as invalid:
            self.refused(invalid, where)

    def cleaned(self, row: models.Model, where: str, *, but: Iterable[str] = ()) -> bool:
        """Whether a row passes its model's own checks; what does not is a problem."""
        unset = {
            each.name
            for each in row._meta.concrete_fields
            if each.null and getattr(row, each.attname) is None
        }
        try:
            row.full_clean(exclude=unset | set(but))
        except ValidationError as invalid:
            self.refused(invalid, where)
            return False
        return True

    def refused(self, invalid: ValidationError, where: str) -> None:
        """Book the messages of a refusal at their fields."""
        if not hasattr(invalid, "error_dict"):
            self.problems.append((where, " ".join(invalid.messages)))
            return
        for name, said in invalid.message_dict.items():
            place = where if name == NON_FIELD_ERRORS else f"{where}.{name}"
            self.problems.append((place, " ".join(said)))


class Section(ABC, Generic[I, R]):
    """One list of the file."""

    name: ClassVar[str]
    item: ClassVar[type[Item]]

    @abstractmethod
    def rows(self) -> Iterator[tuple[R, I]]:
        """The rows there are, in the order of the file, each as its item."""

    @abstractmethod
    def key(self, item: I) -> Key:
        """What makes an item the same as a row."""

    def label(self, item: I) -> str:
        """How a person knows it."""
        return " ".join(str(part) for part in self.key(item) if part)

    @abstractmethod
    def write(self, item: I, row: R | None, where: str, context: Context) -> None:
        """Write an item to its row, or to a new one; what is wrong becomes a problem."""

    def remove(self, row: R, context: Context) -> None:
        """Remove a row that the file does not have."""
        row.delete()

    def is_over(self, item: I, now: dt.datetime) -> bool:
        """Whether an item of the file means nothing any more."""
        return False


def put(row: models.Model, item: Item, names: Iterable[str]) -> None:
    """Set the fields of those names on a row as the item has them."""
    for name in names:
        setattr(row, name, getattr(item, name))


def lines(value: Any) -> Any:
    """Text with the line ends that YAML gives back; other values as they are."""
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value
