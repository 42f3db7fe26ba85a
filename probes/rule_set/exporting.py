"""The rule set as it is, as one document or as YAML.

Place in the data's way: reads what ``sections`` gives; the last step of an export.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel

from probes.rule_set import text
from probes.rule_set.schema import VERSION
from probes.rule_set.sections import SECTIONS

HEADER = """\
netadmin: rules, port policies, new-peer watches, restart commands, services, channels and
maintenance windows. Import it under Thresholds, or with: manage.py rules import FILE --dry-run
What is left out of an item has its default; a section that is left out is not touched; items are
removed by an import with "replace" only. Channels are without their addresses and keys: one that
exists keeps them, a new one is off until it is given them.
"""


def document() -> dict[str, Any]:
    """Everything, as plain values in a stable order; what is empty is left out of items."""
    return {"version": VERSION} | {
        section.name: [plain(item) for _row, item in section.rows()] for section in SECTIONS
    }


def export() -> str:
    """The same as YAML."""
    return text.dump(document(), header=HEADER)


def plain(value: Any) -> Any:
    """An item as plain values: no empty fields that are empty where they are left out."""
    if isinstance(value, BaseModel):
        fields = {}
        for name, field in type(value).model_fields.items():
            inside = plain(getattr(value, name))
            empty = inside in ("", None, [], {}) and inside is not False and inside != 0
            if not (empty and plain(field.get_default(call_default_factory=True)) == inside):
                fields[name] = inside
        return fields
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, str):
        return str(value)
    return value
