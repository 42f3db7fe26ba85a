"""What a tool is: its name, what it takes, what it answers, and who may call it.

Place in the data's way: the vocabulary of this package. Arguments are read by the same models as
query strings (``probes.filters.read``), so that an assistant is refused what a script is refused.
Descriptions are written for models and are always in English; what a tool answers is in the
caller's language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from django.http import HttpRequest
from mcp_types import Tool as Listed
from mcp_types import ToolAnnotations
from pydantic import ConfigDict, Field

from netadmin.access.models import Role
from probes.filters import Cursor, Query, number
from probes.payloads import shapes

USUAL_ROWS: Final = 50
MOST_ROWS: Final = 200

Word = Annotated[str, Field(max_length=255)]
"""A host as people say it."""
Group = Annotated[str, Field(max_length=100)]
Rows = Annotated[int, number(1, MOST_ROWS)]

SHARED: Final = {
    "proto": "all, tcp, udp, raw or sctp, each with its IPv6 form; or exactly tcp6, udp6, ...",
    "state": "One or more TCP states, comma separated, such as ESTABLISHED,CLOSE_WAIT.",
    "local_ip": "An address or a network of the host's own end, such as 10.0.0.0/8.",
    "local_port": "Ports and ranges of the host's own end, such as 80,8000-8100.",
    "remote_ip": "An address or a network of the far end.",
    "remote_port": "Ports and ranges of the far end.",
    "program": "Part of a program's name, whatever its case.",
    "pid": "A process id, or none for rows whose process is not known.",
    "direction": "in: opened by the far end; out: by the host; listen: listeners; local: both ends"
    " are the host's.",
    "family": "4 or 6, of the local address as it is shown.",
    "hide": "loopback, listen or both, comma separated: rows to leave out.",
    "ip": "An address of the far end.",
    "cidr": "A network of the far end, such as 198.51.100.0/24.",
    "port": "A port.",
    "ssh_port": "SSH port in place of the configured one: for operators (scope operate) only, and"
    " its server must prove a trusted key. Leave it out otherwise.",
    "host": "Name, address or id of a host; localhost is the machine netadmin runs on.",
}
"""What a model is told of arguments whose models are shared with pages and routes."""

Handler = Callable[[HttpRequest, Any], tuple[dict[str, Any], str]]
"""Called with who asks and the valid arguments; gives the data and the message of the envelope, or
raises netadmin.envelope.Refused or probes.filters.FilterError."""


class Arguments(Query):
    """Arguments of a tool; the line below a field is what a model is told of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Paged(Arguments):
    """Of a tool that answers with rows, a page at a time."""

    limit: Rows = USUAL_ROWS
    """Rows to answer with; fewer come where they would be too much text."""
    cursor: Cursor | None = None
    """`next` of the answer before, with the other arguments as they were."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    name: str
    title: str
    description: str
    handler: Handler
    query: type[Query]
    data: Any
    """Shape of ``data`` in an answer that succeeds."""
    role: Role = Role.VIEWER
    reads_only: bool = True
    live: bool = False
    """Whether it logs in to hosts, rather than reading what is stored."""
    rows: str = ""
    """The list in ``data`` that may be cut where the whole would be too much text and the tool has
    no pages."""

    def listed(self) -> Listed:
        """As the protocol lists it."""
        return Listed(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=input_schema(self.query),
            output_schema=output_schema(self.data),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=self.reads_only,
                destructive_hint=False,
                idempotent_hint=self.reads_only,
                open_world_hint=self.live,
            ),
        )


def input_schema(query: type[Query]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments in its plainest form, which costs a model least: an
    argument that may be left out is of its type, and not of that or null."""
    made = query.model_json_schema()
    made.pop("description", None)
    plain: dict[str, Any] = _plain(made)
    # What a model of arguments takes away from its base may only be null.
    taken = {
        name: argument
        for name, argument in plain.get("properties", {}).items()
        if argument.get("type") != "null"
    }
    plain["properties"] = taken
    for name, argument in taken.items():
        either = argument.get("anyOf", ())
        known = [each for each in either if each != {"type": "null"}]
        if len(known) == 1 and len(either) == 2:
            argument = {key: value for key, value in argument.items() if key != "anyOf"} | known[0]
        if argument.get("default", ...) in (None, ""):
            del argument["default"]
        if "description" not in argument and name in SHARED:
            argument["description"] = SHARED[name]
        taken[name] = argument
    return {"type": "object", "additionalProperties": False} | plain


def output_schema(data: Any) -> dict[str, Any]:
    """The JSON schema of the envelope around ``data``, as it is where the tool succeeds; short,
    since clients load those of all tools before anybody asks anything."""
    inner = shapes.schema(data)
    definitions = inner.pop("$defs", None)
    made = {
        "type": "object",
        "properties": {
            "success": {"const": True, "type": "boolean"},
            "message": {"type": "string"},
            "data": inner,
        },
        "required": ["success", "message", "data"],
        "additionalProperties": False,
    }
    if definitions:
        made["$defs"] = definitions
    short: dict[str, Any] = _nullable(_plain(made, without=_TO_SPARE))
    return short


_TO_SPARE: Final = frozenset({"title", "description", "minimum", "maximum"})
"""Of answers, whose fields have telling names and whose values netadmin itself makes."""


def _plain(
    schema: Any, *, without: frozenset[str] = frozenset({"title"}), names: bool = False
) -> Any:
    """Without titles, which only repeat the names, or what else is to spare. ``names`` says that
    the keys of ``schema`` are names of fields, one of which may be title."""
    if isinstance(schema, list):
        return [_plain(each, without=without) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value, without=without, names=key in ("properties", "$defs") and not names)
        for key, value in schema.items()
        if names or key not in without
    }


def _nullable(schema: Any) -> Any:
    """A plain value or null said by its types, in half the text: JSON Schema's words about texts
    and numbers hold for those alone."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"anyOf": [{"type": str(kind)} as known, {"type": "null"}]} if "enum" not in known:
            return known | {"type": [kind, "null"]}
    return {key: _nullable(value) for key, value in schema.items()}
