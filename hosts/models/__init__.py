"""What is stored of hosts, how to log in to them, and the lists they come from.

Place in the data's way: the start. Knows nothing of probes or history. All times are UTC.
"""

from __future__ import annotations

from hosts.models.hosts import (
    Credential,
    Host,
    HostGroup,
    HostKey,
    HostQuerySet,
    JumpLoop,
    MissingCredential,
    PlatformChoice,
    visible_groups,
)
from hosts.models.sources import Source, SourcedHost, SyncRun

__all__ = [
    "Credential",
    "Host",
    "HostGroup",
    "HostKey",
    "HostQuerySet",
    "JumpLoop",
    "MissingCredential",
    "PlatformChoice",
    "Source",
    "SourcedHost",
    "SyncRun",
    "visible_groups",
]
