"""The feed of the activity as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend.
"""

from __future__ import annotations

from typing import Any, Final

from probes import payloads
from probes.history.queries import activity
from probes.history.queries.activity import Entry
from probes.payloads.shapes import alerts as shapes
from probes.payloads.shapes import names
from probes.wording import activity as wording

ENTRY: Final = names(shapes.ActivityEntry)


def entry(row: Entry) -> dict[str, Any]:
    """One thing that happened or was done; ``id`` is of its own list, by ``kind``."""
    alert = None
    if row.kind == activity.CHANGE:
        alert = row.row.alert_id
    elif row.kind == activity.ACKNOWLEDGED:
        alert = row.pk
    state = None
    if row.kind == activity.CHANGE:
        state = row.row.kind
    elif row.kind in (activity.RESTART, activity.SYNC):
        state = row.row.state
    return {
        "kind": row.kind,
        "id": row.pk,
        "at": payloads.time(row.at),
        "title": wording.title(row),
        "more": wording.second(row) or None,
        "host": None if row.host is None else payloads.host_name(row.host),
        "person": row.person or None,
        "alert": alert,
        "state": state,
    }
