"""What may be asked of the lists of alerts, of what happened, and of maintenance windows.

Place in the data's way: as ``probes.filters``, for the pages and JSON routes of watching.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from django.utils.translation import gettext_lazy as _
from pydantic import Field, model_validator

from probes.filters import FilterError, Identifier, Moment, PortNumber, Query

AlertKindName = Literal["hunt", "port", "rule", "probe", "peer", "service"]
SeverityName = Literal["info", "warning", "critical"]
Name = Annotated[str, Field(max_length=100)]
Text = Annotated[str, Field(max_length=200)]
Person = Annotated[str, Field(max_length=150)]


class Spanned(Query):
    """From when to when."""

    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise FilterError("since", _("Give a time before until."))
        return self


class AlertFilter(Spanned):
    """Which alerts, in which order."""

    state: Literal["all", "active", "open", "acknowledged", "silenced", "resolved"] | None = None
    """``active``: not over; of these ``open``: nobody knows of it, ``acknowledged``: somebody
    does, ``silenced``: a maintenance window holds it."""
    kind: AlertKindName | None = None
    severity: SeverityName | None = None
    rule: Identifier | None = None
    hunt: Identifier | None = None
    host: Identifier | None = None
    group: Name | None = None
    """Name of a host group."""
    port: PortNumber | None = None
    """Of an alert about a port."""
    q: Text | None = None
    """Part of its subject, or of an address, program or value in what shows it."""
    sort: Literal["newest", "opened", "oldest", "severity", "host"] | None = None


class ActivityFilter(Spanned):
    """Which of what happened and was done."""

    kind: Literal["change", "acknowledged", "snooze", "window", "restart", "sync"] | None = None
    host: Identifier | None = None
    group: Name | None = None
    person: Person | None = None
    """User name of whoever did it."""


class SilenceFilter(Query):
    """Which maintenance windows."""

    state: Literal["current", "planned", "running", "over"] | None = None
    """``current``: planned or running."""
    host: Identifier | None = None
    group: Name | None = None
