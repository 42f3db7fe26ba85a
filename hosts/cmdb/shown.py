"""What a synchronisation's row keeps of a plan and of problems, for people to look at.

Place in the data's way: between ``hosts.cmdb.plan`` and the ``plan`` of a SyncRun. Pure. It is
JSON that every database stores, and short, as runs are kept as long as the history.
"""

from __future__ import annotations

from typing import Any

from hosts.cmdb.plan import Came, Change, Plan
from hosts.cmdb.rows import Problem, Row
from hosts.values import fit_text

SHOWN = 1_000
"""Rows of each kind that a run keeps; removals are kept whole, to compare with."""
LONGEST_SHOWN = 200


def whole(planned: Plan) -> dict[str, Any]:
    """A plan as the run's row keeps it."""
    return {
        "add": [addition(row) for row in planned.add[:SHOWN]],
        "change": [changed(change) for change in planned.change[:SHOWN]],
        "remove": [removal(came) for came in planned.remove],
        "keep": planned.keep,
        "ignored": [
            {"host": one.host_id, "name": one.stored["name"], "key": one.key}
            for one in planned.ignored[:SHOWN]
        ],
        "problems": [problem(found, host) for found, host in planned.problems[:SHOWN]],
    }


def addition(row: Row) -> dict[str, Any]:
    """A host that is added."""
    return {"key": row.key, "port": 22, **{name: _cut(row.fields[name]) for name in row.fields}}


def changed(change: Change) -> dict[str, Any]:
    """A host that is changed, each field before and after."""
    name = change.came.stored["name"]
    fields = {field: [_cut(each) for each in pair] for field, pair in change.fields.items()}
    return {"host": change.came.host_id, "name": name, "fields": fields}


def _cut(value: Any) -> Any:
    """A value as a run shows it: notes may be long, and the run is kept as long as the history."""
    if not isinstance(value, str) or len(value) <= LONGEST_SHOWN:
        return value
    return value[: LONGEST_SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"


def removal(came: Came) -> dict[str, Any]:
    """A host that is removed."""
    stored = came.stored
    return {"host": came.host_id, "name": stored["name"], "address": stored["address"],
            "port": stored["port"]}  # fmt: skip


def problem(found: Problem, host: int | None) -> dict[str, Any]:
    """A problem as the run's row keeps it; what no database stores is replaced in it."""
    values = found.values.items()
    return {
        "code": found.code,
        "where": fit_text(found.where),
        "name": fit_text(found.name),
        "key": fit_text(found.key),
        "values": {name: fit_text(v) if isinstance(v, str) else v for name, v in values},
        "host": host,
    }
