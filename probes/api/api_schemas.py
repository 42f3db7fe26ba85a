"""The JSON schemas of the API's answers and bodies, as the description refers to them.

Place in the data's way: read by ``probes.api.openapi`` alone. pydantic writes them from the shapes
of ``probes.payloads.shapes`` and the models of bodies; names and notes are made fit here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from probes.api.field_notes import notes_of
from probes.api.routing import Endpoint, Operation, Text
from probes.payloads import shapes

REF: Final = "#/components/schemas/{model}"

Key = tuple[str, str, str]


def enveloped(data: Any) -> dict[str, Any]:
    """The schema of an answer that succeeds with this data."""
    return {
        "type": "object",
        "properties": {
            "success": {"const": True},
            "message": {"type": "string"},
            "data": data,
        },
        "required": ["success", "message", "data"],
        "additionalProperties": False,
    }


def schemas_of(
    operations: Iterable[tuple[Endpoint, Operation]],
) -> tuple[dict[Key, dict[str, Any]], dict[str, Any]]:
    """The schema of each answer and body by what it is of, and all that they refer to."""
    wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        (("answer", "", ""), "serialization", shapes.adapter(shapes.Failure))
    ]
    bodies: list[type[BaseModel]] = []
    for endpoint, operation in operations:
        key = (endpoint.name, operation.method)
        if operation.data is not None and not isinstance(operation.data, Text):
            wanted.append((("answer", *key), "serialization", shapes.adapter(operation.data)))
        if operation.body is not None:
            wanted.append((("body", *key), "validation", TypeAdapter(operation.body)))
            bodies.append(operation.body)
    made, common = TypeAdapter.json_schemas(wanted, ref_template=REF)
    made, definitions = _plainly_named(made, common["$defs"])
    for model in bodies:
        _describe(model, definitions)
    for name, shape in _shapes().items():
        for field, note in notes_of(shape).items():
            if field in definitions.get(name, {}).get("properties", {}):
                _note(definitions[name]["properties"], field, note)
    by_key = {
        key: schema["additionalProperties"] if mode == "serialization" else schema
        for (key, mode), schema in made.items()
    }
    for schema in definitions.values():
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
            if "default" in field and not _may_be(field["default"], field):
                del field["default"]  # what stands for a field that was left out
    return by_key, definitions


def _may_be(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a default is a value that may be given as well."""
    if "anyOf" in schema:
        return any(_may_be(value, each) for each in schema["anyOf"])
    kind = schema.get("type")
    if isinstance(value, str):
        return kind in (None, "string") and len(value) >= schema.get("minLength", 0)
    if isinstance(value, list):
        return kind in (None, "array") and len(value) >= schema.get("minItems", 0)
    if isinstance(value, int) and not isinstance(value, bool):
        return kind in (None, "integer", "number") and value >= schema.get("minimum", value)
    return True


def _note(properties: dict[str, Any], name: str, note: str) -> None:
    if "$ref" in properties[name] or "description" not in properties[name]:
        properties[name]["description"] = note


def _shapes() -> dict[str, type]:
    """Every shape by its name."""
    return {
        name: shape
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith(shapes.__name__)
        for name, shape in vars(module).items()
        if is_typeddict(shape)
    }


def _plainly_named(made: Any, definitions: Any) -> tuple[Any, dict[str, Any]]:
    """The same, where two classes are called alike after module and class: ``CmdbDecision``."""
    keys = list(made)
    text = json.dumps([[made[key] for key in keys], definitions])
    for name in definitions:
        *modules, own = name.split("__")
        if modules:
            text = text.replace(f'{name}"', f'{modules[-1].title().replace("_", "")}{own}"')
    schemas, named = json.loads(text)
    return dict(zip(keys, schemas, strict=True)), named


def _describe(model: type[BaseModel], definitions: dict[str, Any]) -> None:
    """Give the fields of a body the words that stand below them."""
    properties = definitions.get(model.__name__, {}).get("properties", {})
    for name, note in notes_of(model).items():
        if name in properties:
            _note(properties, name, note)
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                _describe(inner, definitions)
