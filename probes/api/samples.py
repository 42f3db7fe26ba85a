"""Examples of answers and bodies, made from their schemas.

Place in the data's way: read by ``probes.api.openapi`` alone. A field is shown as what its name
says where that is known here and fits its schema; the suite checks each example by its schema.
"""

from __future__ import annotations

from typing import Any, Final

WORDS: Final[dict[str, Any]] = {
    "name": "web1",
    "address": "192.0.2.1",
    "user": "watcher",
    "program": "nginx",
    "programs": "nginx",
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "local_ip": "10.0.0.5",
    "local_port": 443,
    "foreign_ip": "198.51.100.7",
    "foreign_port": 51000,
    "remote_ip": "198.51.100.7",
    "remote_port": 51000,
    "ip": "198.51.100.7",
    "addresses": "10.0.0.5/24",
    "port": 443,
    "pid": 811,
    "pids": 811,
    "interface": "eth0",
    "destination": "10.0.0.0/8",
    "gateway": "10.0.0.1",
    "network": "198.51.100.0/24",
    "cidr": "198.51.100.0/24",
    "group": "web",
    "tool": "netstat",
    "command": "netstat -anp",
    "privilege": "root",
    "code": None,
    "total": 1,
    "next": None,
    "message": "",
    "detail": "",
    "title": "",
    "hint": "",
    "notes": "",
    "cursor": None,
    "dialect": "net-tools",
    "indicators": "198.51.100.7",
    "subject": "tcp 443",
    "requested_by": "anna",
    "created_by": "anna",
    "acknowledged_by": "anna",
    "owner": "anna",
    "person": "anna",
    "recipients": "ops@example.org",
    "mail_to": "ops@example.org",
    "reason": "new disks",
    "location": "https://cmdb.example.org/hosts.json",
    "sockets": 431,
    "listeners": 18,
    "duration_ms": 420,
    "lines": 433,
    "step_s": 60,
    "interval_s": 60,
    "effective_interval_s": 60,
}
KEYS: Final = {"by_state": "ESTABLISHED", "by_protocol": "tcp", "series": "total", "raises": ""}
TIME: Final = "2026-01-31T03:12:05.201442+00:00"
UUID: Final = "5f0c1a52-7a54-4a0e-9a2e-0d4c3c1a7b11"
DEEPEST: Final = 12


def sample(
    schema: dict[str, Any],
    definitions: dict[str, Any],
    *,
    name: str = "",
    required_only: bool = False,
    depth: int = 0,
) -> Any:
    """A value that fits ``schema``, whose references are into ``definitions``."""
    if "$ref" in schema:
        inner = definitions[schema["$ref"].rpartition("/")[2]]
        return sample(inner, definitions, name=name, required_only=required_only, depth=depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _one_of(schema["anyOf"], definitions, name, required_only, depth)
    if schema.get("examples"):
        return schema["examples"][0]
    return _typed(schema, definitions, name, required_only, depth)


def failure(status: int, phrase: str) -> dict[str, Any]:
    """An answer that failed with this status."""
    codes = {400: "invalid", 401: "not_authenticated", 403: "forbidden", 404: "not_found"}
    code = codes.get(status, phrase.lower().replace(" ", "_"))
    field = "limit" if status == 400 else None
    message = "limit: Give a number from 1 to 1000." if field else f"{phrase}."
    error = {"code": code, "field": field, "hint": ""}
    return {"success": False, "message": message, "data": {}, "error": error}


def _one_of(
    choices: list[dict[str, Any]],
    definitions: dict[str, Any],
    name: str,
    required_only: bool,
    depth: int,
) -> Any:
    null = {"type": "null"} in choices
    if null and (depth > DEEPEST or (name in WORDS and WORDS[name] is None)):
        return None
    first = next(each for each in choices if each.get("type") != "null")
    return sample(first, definitions, name=name, required_only=required_only, depth=depth + 1)


def _typed(
    schema: dict[str, Any],
    definitions: dict[str, Any],
    name: str,
    required_only: bool,
    depth: int,
) -> Any:
    kind = schema.get("type")
    inside: dict[str, Any] = {"required_only": required_only, "depth": depth + 1}
    if kind == "object":
        properties = schema.get("properties")
        if properties is None:
            values = schema.get("additionalProperties")
            key = KEYS.get(name, "")
            if not key or not isinstance(values, dict):
                return {}
            return {key: sample(values, definitions, **inside)}
        wanted = schema.get("required", ()) if required_only else properties
        return {each: sample(properties[each], definitions, name=each, **inside) for each in wanted}
    if kind == "array":
        if "prefixItems" in schema:
            return [sample(each, definitions, **inside) for each in schema["prefixItems"]]
        if depth > DEEPEST:
            return []
        one = sample(schema.get("items", {}), definitions, name=name, **inside)
        return [one] * max(1, schema.get("minItems", 1))
    word = WORDS.get(name)
    if kind == "string":
        if schema.get("format") == "date-time":
            return TIME
        if "{36}" in schema.get("pattern", ""):
            return UUID
        return word if isinstance(word, str) else "" if schema.get("minLength", 0) == 0 else "text"
    if kind in ("integer", "number"):
        number = word if isinstance(word, int) else 1
        return max(schema.get("minimum", number), min(schema.get("maximum", number), number))
    if kind == "boolean":
        return True
    return None
