"""``rule-set``: rules, policies, watches, windows, services and channels as one document."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from pydantic import BeforeValidator

from netadmin import envelope
from netadmin.access.models import Role
from probes import rule_set
from probes.api.routing import TEXT_TYPES, Refusal, route
from probes.filters import Invalid, Query
from probes.payloads.shapes import rule_set as shapes
from probes.rule_set import Kind, RuleSetError


def _yes(text: Any) -> Any:
    if text != "1":
        raise Invalid(_("Give 1, or leave it out."))
    return True


TYPES: Final = TEXT_TYPES | {"application/json", "application/yaml"}

Yes = Annotated[bool, BeforeValidator(_yes)]


class Export(Query):
    """As what."""

    format: Literal["json", "yaml"] = "json"


class Import(Query):
    """How."""

    dry_run: Yes = False
    replace: Yes = False
    """Also remove what the document does not have, of the sections that it has."""


@route("GET", Role.ADMIN, query=Export, site_wide=True, data=shapes.RuleSetExport)
def show(request: HttpRequest, query: Export) -> HttpResponse:
    """The whole rule set, without secrets."""
    if query.format == "yaml":
        return HttpResponse(
            rule_set.export(),
            content_type="application/yaml; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="netadmin-rules.yaml"'},
        )
    return envelope.answer({"rule_set": rule_set.document()})


@route(
    "PUT",
    Role.ADMIN,
    query=Import,
    text_bytes=rule_set.MAX_BYTES,
    text_types=TYPES,
    site_wide=True,
    data=shapes.RuleSetImport,
)
def take(request: HttpRequest, query: Import, body: bytes) -> HttpResponse:
    """Import a rule set, YAML or JSON: all of it or nothing."""
    try:
        outcome = rule_set.apply(
            rule_set.load(rule_set.decode(body)),
            replace=query.replace,
            dry_run=query.dry_run,
            request=request,
        )
    except RuleSetError as error:
        where, _said = error.problems[0]
        raise Refusal(
            envelope.error(
                400, "invalid", error.lines[0], field=where or "body",
                hint="; ".join(error.lines[1:10]),
            )
        ) from None  # fmt: skip
    return envelope.answer(
        {
            "stored": outcome.stored,
            "counts": {kind.value: outcome.count(kind) for kind in Kind},
            "differences": [
                {
                    "section": one.section,
                    "kind": one.kind.value,
                    "label": one.label,
                    "changes": {name: list(pair) for name, pair in one.changes.items()},
                }
                for one in outcome.differences
                if one.kind not in (Kind.UNCHANGED, Kind.LEFT)
            ],
            "notes": [{"about": name, "note": said} for name, said in outcome.notes],
        }
    )
