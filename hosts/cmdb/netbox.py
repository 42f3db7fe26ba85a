"""Devices and virtual machines of NetBox 3 and 4, page by page.

Place in the data's way: under ``hosts.cmdb.reading``, which hands in how to ask. Pure. The form
is that of NetBox's REST API (its documentation, "REST API: Pagination"; serializers of ``dcim``
and ``virtualization``):

    {"count": 2, "next": "https://netbox.example/api/dcim/devices/?limit=200&offset=200",
     "previous": null, "results": [{"id": 7, "name": "web-1",
      "primary_ip": {"address": "10.0.0.11/24"}, ...}]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from hosts.cmdb.json_rows import document
from hosts.cmdb.rows import LONGEST, MAX_ROWS, Listed, Problem, Unreadable, collect, shown

ENDPOINTS = (("device", "/api/dcim/devices/"), ("vm", "/api/virtualization/virtual-machines/"))
PAGE_ROWS = 200
PORTS = {"http": 80, "https": 443}


def read(location: str, ask: Callable[[str], bytes]) -> Listed:
    """All devices and virtual machines; ``ask`` gets a URL and returns the body of a 200.

    ``location`` is NetBox's address, with a query where only some are wanted
    (``https://netbox.example/?tag=ssh``). A page elsewhere, and a count that is not the number of
    rows seen, make it :class:`Unreadable`: half a list would remove the other half.
    """
    rows: list[tuple[str, dict[str, Any] | Problem]] = []
    for kind, path in ENDPOINTS:
        rows += _all_of(kind, first_page(location, path), ask, so_far=len(rows))
    return collect(rows)


def authorization(token: str) -> str:
    """The header for a token: as it is where it names its scheme, else as NetBox wants it.

    Tokens of version 2 begin with ``nbt_`` and are bearer tokens (NetBox 4.5); older ones are not.
    """
    if " " in token.strip():
        return token.strip()
    return f"{'Bearer' if token.startswith('nbt_') else 'Token'} {token.strip()}"


def first_page(location: str, path: str) -> str:
    """Where a list of NetBox begins."""
    parts = urlsplit(location)
    base = parts.path.rstrip("/").removesuffix("/api")
    query = "&".join(filter(None, (parts.query, f"limit={PAGE_ROWS}")))
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))


def _all_of(
    kind: str, first: str, ask: Callable[[str], bytes], *, so_far: int
) -> list[tuple[str, dict[str, Any] | Problem]]:
    found: list[tuple[str, dict[str, Any] | Problem]] = []
    url: str | None = first
    count = 0
    asked: set[str] = set()
    while url is not None:
        if url in asked:
            raise Unreadable("count", count=count, seen=len(found))
        asked.add(url)
        page = document(ask(url))
        if not isinstance(page, dict) or not isinstance(page.get("results"), list):
            raise Unreadable("no_list", path="results")
        if not isinstance(page.get("count"), int):
            raise Unreadable("no_list", path="count")
        count = page["count"]
        found += _rows(kind, page["results"])
        if so_far + len(found) > MAX_ROWS or so_far + count > MAX_ROWS:
            raise Unreadable("too_many", most=MAX_ROWS)
        url = _next(page.get("next"), first)
    if count != len(found):
        raise Unreadable("count", count=count, seen=len(found))
    return found


def _next(given: Any, first: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or _place(given) != _place(first):
        raise Unreadable("elsewhere", server=_server(given))
    return given


def _place(url: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return ("",)
    return parts.scheme, parts.hostname, port, parts.path, parts.username


def _server(given: Any) -> str:
    try:
        return urlsplit(given).netloc.rpartition("@")[2] if isinstance(given, str) else "?"
    except ValueError:
        return "?"


def _rows(kind: str, results: list[Any]) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
    for row in results:
        if not isinstance(row, dict) or not isinstance(row.get("id"), int):
            yield kind, Problem("not_an_object", kind, values={"value": shown(row)})
            continue
        number = str(row["id"])[: LONGEST["id"]]
        where = str(shown(f"{kind} {number}"))
        ip = row.get("primary_ip")
        address = ip.get("address") if isinstance(ip, dict) else None
        yield (
            where,
            {
                "id": f"{kind}:{number}",
                # A device may be nameless; NetBox then shows what it is of what.
                "name": _short(row.get("name") or row.get("display"), "name"),
                "address": _short(address, "address").partition("/")[0]
                if isinstance(address, str)
                else None,
            },
        )


def _short(value: Any, name: str) -> Any:
    # Too long stays too long; the rows of all pages are held together.
    return value[: LONGEST[name] + 1] if isinstance(value, str) else value
