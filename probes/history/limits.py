"""Stores the limits of a host's kernel, the newest that were told.

Place in the data's way: beside ``history.tables``, after ``history.store`` took the sockets of the
same observation. What they are used for is known to ``probes.history.queries.trouble``.
"""

from __future__ import annotations

import datetime as dt
import json

from django.db import connections

from hosts.models import Host
from probes.models import KernelLimits
from probes.observation import Observation

_TABLE = KernelLimits._meta.db_table
_KEEP_NEWEST = (
    f"INSERT INTO {_TABLE} (host_id, taken_at, limits) VALUES (%s, %s, %s)"
    " ON CONFLICT (host_id) DO UPDATE SET taken_at = excluded.taken_at, limits = excluded.limits"
    f" WHERE excluded.taken_at > {_TABLE}.taken_at"
)


def save(host: Host, observation: Observation, *, using: str = "default") -> None:
    """Keep ``observation.limits`` of ``host`` where any were told and none newer are known.

    One statement. A host that no longer tells keeps what it told last. Raises what the database
    raises.
    """
    if not observation.limits:
        return
    connection = connections[using]
    taken_at = connection.ops.adapt_datetimefield_value(observation.taken_at.astimezone(dt.UTC))
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_NEWEST, [host.pk, taken_at, json.dumps(dict(observation.limits))])
