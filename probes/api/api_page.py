"""The page that shows the description of the API to people: its index, and one operation whole.

Place in the data's way: :func:`context` is called by ``probes.api.openapi`` with the whole
description and turns it into what ``probes/api_docs.html`` walks. Knows no route and no data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

DEEPEST: Final = 6
"""Shapes inside one another that are still unfolded."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index."""

    id: str
    method: str
    address: str
    summary: str
    role: str

    @property
    def words(self) -> str:
        """What a search looks in."""
        return f"{self.method} {self.address} {self.summary} {self.id}".lower()


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body or an answer."""

    name: str
    kind: str
    note: str = ""
    required: bool = False
    depth: int = 0
    example: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    where: str = ""

    @property
    def said(self) -> SafeString:
        """Its note with what is code marked as such."""
        return marked(self.note)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status it may answer."""

    status: str
    note: SafeString
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """One operation, whole."""

    entry: Entry
    subject: str
    notes: list[SafeString]
    parameters: list[Field]
    body_types: tuple[str, ...]
    body: list[Field]
    body_example: str
    answers: list[Answer]
    types: tuple[str, ...]
    data: list[Field]
    example: str
    curl: str
    siblings: list[Entry] = field(default_factory=list)
    """The other methods of its address."""


def context(document: dict[str, Any], *, wanted: str | None, q: str) -> dict[str, Any] | None:
    """What the template shows; None where there is no operation ``wanted``."""
    subjects: dict[str, list[Entry]] = {tag["name"]: [] for tag in document["tags"]}
    for entry, said in _entries(document):
        if all(word in entry.words for word in q.lower().split()):
            subjects[said["tags"][0]].append(entry)
    detail = None
    if wanted is not None:
        detail = _detail(document, wanted)
        if detail is None:
            return None
    return {
        "subjects": [(name, entries) for name, entries in subjects.items() if entries],
        "found": sum(map(len, subjects.values())),
        "operations": sum(len(methods) for methods in document["paths"].values()),
        "addresses": len(document["paths"]),
        "detail": detail,
        "about": [marked(part) for part in document["info"]["description"].split("\n\n")],
        "base": document["servers"][0]["url"],
        "q": q,
    }


def _entries(document: dict[str, Any]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    for address, methods in document["paths"].items():
        for method, said in methods.items():
            yield _entry(address, method, said), said


def _entry(address: str, method: str, said: dict[str, Any]) -> Entry:
    return Entry(said["operationId"], method.upper(), address, said["summary"], said["x-role"])


def _detail(document: dict[str, Any], wanted: str) -> Detail | None:
    definitions = document["components"]["schemas"]
    for entry, said in _entries(document):
        if entry.id != wanted:
            continue
        body = said.get("requestBody", {}).get("content", {})
        sent: dict[str, Any] = next(iter(body.values()), {})
        good = next(answer for answer in said["responses"].values() if "content" in answer)
        answer = good["content"].get("application/json", {})
        shape = answer.get("schema", {}).get("properties", {}).get("data", {})
        methods = document["paths"][entry.address]
        return Detail(
            entry=entry,
            subject=said["tags"][0],
            notes=[marked(part) for part in said["description"].split("\n\n") if part],
            # Headers are told under the answers: nobody types a tag into a page.
            parameters=[_parameter(each) for each in said["parameters"] if "$ref" not in each],
            body_types=tuple(body),
            body=list(_fields(sent.get("schema", {}), definitions)),
            body_example=_json(body.get("application/json", {}).get("example")),
            answers=[_answer(status, each, document) for status, each in said["responses"].items()],
            types=tuple(good["content"]),
            data=list(_fields(shape, definitions)),
            example=_json(answer.get("example")),
            curl=_curl(document, entry, said),
            siblings=[
                _entry(entry.address, method, other)
                for method, other in methods.items()
                if other["operationId"] != wanted
            ],
        )
    return None


def marked(text: str) -> SafeString:
    """Text whose words between backticks are code, as HTML."""
    parts = text.replace("``", "`").split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if at % 2 else part,)
                   for at, part in enumerate(parts))
    )  # fmt: skip


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


def _curl(document: dict[str, Any], entry: Entry, said: dict[str, Any]) -> str:
    """A command that calls it, with the parameters it must have."""
    address = "$NETADMIN" + entry.address.replace("{id}", "1")
    asked = {
        each["name"]: each.get("example") or _some(each["schema"])
        for each in said["parameters"]
        if each.get("in") == "query" and each.get("required")
    }
    if asked:
        address += f"?{urlencode(asked, safe=',:/')}"
    lines = ['curl -s -H "Authorization: Bearer $TOKEN"']
    if entry.method != "GET":
        lines[0] += f" -X {entry.method}"
    body = said.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        example = json.dumps(body["application/json"].get("example", {}), ensure_ascii=False)
        quoted = example.replace("'", "'\\''")
        lines += ["  -H 'Content-Type: application/json'", f"  -d '{quoted}'"]
    elif body:
        lines += [f"  -H 'Content-Type: {next(iter(body))}'", "  --data-binary @file"]
    return " \\\n".join([*lines, f'  "{address}"'])


def _some(schema: dict[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    return schema.get("minimum", 1) if schema.get("type") == "integer" else "text"


def _parameter(said: dict[str, Any]) -> Field:
    schema = said["schema"]
    default = schema.get("default")
    return Field(
        name=said["name"],
        kind=kind_of(schema),
        note=said.get("description", ""),
        required=bool(said.get("required")),
        example=str(said.get("example", "")),
        choices=_words(schema),
        default="" if default is None else str(default),
        where=said["in"],
    )


def _answer(status: str, said: dict[str, Any], document: dict[str, Any]) -> Answer:
    if "$ref" in said:
        said = document["components"]["responses"][status]
    return Answer(status, marked(said["description"]), tuple(said.get("content", ())))


def _fields(
    schema: dict[str, Any],
    definitions: dict[str, Any],
    *,
    depth: int = 0,
    seen: tuple[str, ...] = (),
) -> Iterator[Field]:
    """The fields of an object, those of objects inside it below them."""
    for choice in _objects(schema, definitions, seen):
        name, properties, required, described = choice
        if depth == 0 and len(_choices(schema)) > 1:
            yield Field(name="", kind=name, note=described)
        for key, inner in properties.items():
            yield Field(
                name=key,
                kind=kind_of(inner),
                note=inner.get("description", ""),
                required=key in required,
                depth=depth,
                choices=_words(inner),
            )
            if depth < DEEPEST:
                yield from _fields(inner, definitions, depth=depth + 1, seen=(*seen, name))


Shape = tuple[str, dict[str, Any], list[str], str]


def _objects(
    schema: dict[str, Any], definitions: dict[str, Any], seen: tuple[str, ...]
) -> Iterator[Shape]:
    for choice in _choices(schema):
        if "items" in choice:
            yield from _objects(choice["items"], definitions, seen)
        elif "$ref" in choice:
            name = choice["$ref"].rpartition("/")[2]
            found = definitions[name]
            if name not in seen:
                properties, required = found.get("properties", {}), found.get("required", [])
                yield name, properties, required, found.get("description", "")
        elif isinstance(choice.get("additionalProperties"), dict):
            yield from _objects(choice["additionalProperties"], definitions, seen)


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]


def _words(schema: dict[str, Any]) -> tuple[str, ...]:
    """The values it may have, where they are few enough to be listed."""
    return tuple(str(word) for each in _choices(schema) for word in each.get("enum", ()))


def kind_of(schema: dict[str, Any]) -> str:
    """What a value may be, in a few words: ``integer 1 to 1000``, ``list of Named or null``."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(kind_of, schema["anyOf"])))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return "one of"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        parts = schema.get("prefixItems")
        inside = ", ".join(map(kind_of, parts)) if parts else kind_of(schema.get("items", {}))
        return f"list of {inside}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {kind_of(values)}" if isinstance(values, dict) else "object"
    if kind == "string":
        words = str(schema.get("format", "text")).replace("-", " ")
        most = schema.get("maxLength")
        return f"{words}, at most {most}" if most and "format" not in schema else words
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**62:
        return f"{kind} {low} to {high}"
    return f"{kind} from {low}" if low else kind
