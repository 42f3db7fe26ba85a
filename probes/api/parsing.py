"""``parse``: the tables of any text that is sent, as the page "Paste netstat output" shows them.

Place in the data's way: ``probes.brought`` and ``probes.parsed_tables``; asks no host and no
database, and stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from netadmin import csvfile, envelope
from netadmin.access.models import Role
from probes import brought, parsed_tables, parsers
from probes.api.routing import route
from probes.api.shared import Format, absent
from probes.filters import FilterError, Query
from probes.parsers.records import Parsed, ParseError
from probes.payloads.shapes.parsed import ParsedText
from probes.templatetags import ui

MAX_BYTES: Final = 16 * 1024 * 1024

TableName = Literal[
    "sockets",
    "unix",
    "routes",
    "interfaces",
    "protocols",
    "multicast",
    "masquerade",
    "processes",
]


class Parse(Query):
    """How the text was made, and in which form its tables are wanted."""

    wide: Literal["true", "false"] = "false"
    """netstat ran with ``-W``: it cut no address."""
    format: Format = "json"
    table: TableName | None = None
    """Which one, with ``format=csv``; the first of the text where not given."""


@route("POST", Role.VIEWER, query=Parse, text_bytes=MAX_BYTES, data=ParsedText, also=(422,))
def parse(request: HttpRequest, *, query: Parse, body: bytes) -> HttpResponseBase:
    """The tables of a text of netstat, ss or their like, and the lines not understood."""
    if query.table is not None and query.format != "csv":
        raise FilterError("table", _("Give this with format=csv; JSON has all tables."))
    text = parsers.decode(body)
    if text.count("\n") >= parsers.MAX_LINES:
        most = ui.count(parsers.MAX_LINES)
        told = _("There are more than %(most)s lines in it.") % {"most": most}
        return envelope.error(422, "not_understood", told, field="body")
    try:
        parsed = brought.understand(text, wide=query.wide == "true").parsed
    except ParseError:
        return envelope.error(
            422,
            "not_understood",
            _("No table that netadmin knows was found in the text."),
            field="body",
            hint=_("Send all of the output, its headings too."),
        )
    if query.format == "json":
        return StreamingHttpResponse(_enveloped(parsed), content_type="application/json")
    found = parsed_tables.found(parsed)
    name = query.table or found[0]
    if name not in found:
        raise absent("table", _("The text has no such table."))
    return csvfile.answer(name, parsed_tables.header(name), parsed_tables.csv_rows(parsed, name))


def _enveloped(parsed: Parsed) -> Iterator[str]:
    yield '{"success": true, "message": "", "data": '
    yield from parsed_tables.json_pieces(parsed)
    yield "}"
