"""What the planner makes of every statement of a query: none may read a socket table whole.

    plans.fill(using, host_ids)                  # so much history that an index pays
    assert plans.whole_reads(using, lambda: sightings.summary(hosts, sought)) == []

Each statement that runs is explained first, with the values it runs with and the statistics there
are, so it is the plan that a site would get.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from django.db import connections

from probes.history import partitions
from probes.history.queries import sql
from probes.history.queries.sql import CLOSED, OPEN, Scope
from tests.probes.history.played import at

ROWS = 20_000
DAYS = 3
"""Partitions that the closed rows are spread over, evenly: a tiny one is rightly read whole."""
MIDNIGHT = 2.0
"""``played.at`` of it."""

_INSERT = """
INSERT INTO {table} (host_id, key, first_seen, {own} protocol, state, direction, local_ip,
    local_port, remote_ip, remote_port, pid, program, flags, copies)
SELECT {host}, n, {first}, {last} 0, CASE n % 10 WHEN 0 THEN 9 ELSE 0 END,
    CASE n % 10 WHEN 0 THEN 3 WHEN 1 THEN 2 ELSE 1 END, {local},
    CASE n % 10 WHEN 1 THEN 30000 + n % 20000 ELSE n % 1000 END, {remote},
    CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN n % 1000 ELSE 30000 + n % 20000 END,
    n % 5000, {program}, 0, 1
FROM {numbers}
"""


def fill(using: str, host_ids: Sequence[int], *, rows: int = ROWS) -> None:
    """Closed rows of these hosts over DAYS days from ``played.at(MIDNIGHT)``; a tenth as many open.

    Remote addresses are 10.0.x.y, programs p0 to p199, ports as a server and client have them.
    """
    partitions.forget(using)  # another test may have made them and taken them back
    for day in range(DAYS):
        partitions.ensure(using, at(MIDNIGHT) + dt.timedelta(days=day))
    for table, many in ((CLOSED, rows), (OPEN, rows // 10)):
        _insert(using, table, host_ids, many)
    with connections[using].cursor() as cursor:
        cursor.execute(f"ANALYZE {CLOSED}")
        cursor.execute(f"ANALYZE {OPEN}")


def whole_reads(using: str, query: Callable[[], Any]) -> list[str]:
    """Parts of the plans of ``query`` that read all of a table or index of sockets.

    Raises AssertionError where ``query`` asks no table of sockets at all.
    """
    found: list[str] = []
    with explained(using) as plans:
        result = query()
        if isinstance(result, Iterator):
            list(result)
    asked = [plan for plan in plans if CLOSED in plan[0] or OPEN in plan[0]]
    assert asked, "no statement about sockets was run"
    for statement, plan in asked:
        found += _wide(using, statement, plan)
    return found


@contextmanager
def explained(using: str) -> Iterator[list[tuple[str, list[Any]]]]:
    """Every SELECT that is run inside, with its plan: lines on SQLite, JSON on PostgreSQL."""
    plans: list[tuple[str, list[Any]]] = []
    connection = connections[using]

    def explain(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        if statement.lstrip("( \n").upper().startswith(("SELECT", "WITH")):
            if connection.vendor == "postgresql":
                with connection.connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", params)
                    plans.append((statement, cursor.fetchone()[0]))
            else:
                with closing(connection.create_cursor()) as cursor:
                    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", params or ())
                    plans.append((statement, [row[3] for row in cursor.fetchall()]))
        return execute(statement, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


def _wide(using: str, statement: str, plan: list[Any]) -> list[str]:
    if connections[using].vendor == "postgresql":
        return [
            f"{node['Node Type']} of {node['Relation Name']} in {statement[:200]}"
            for node in nodes(plan[0]["Plan"])
            if str(node.get("Relation Name", "")).startswith((CLOSED, OPEN))
            and not _narrowed(node)
            and not _is_empty(using, node["Relation Name"])
        ]
    names = {CLOSED, OPEN}
    for table in (CLOSED, OPEN):
        names |= set(re.findall(rf"\b{table} AS (\w+)", statement))
    return [
        f"{line} in {statement[:200]}"
        for line in plan
        for match in [re.match(r"SCAN (\w+)", line)]
        if match is not None and match[1] in names
    ]


def _is_empty(using: str, table: str) -> bool:
    """A partition that another test left behind: there is no better way to read nothing."""
    with connections[using].connection.cursor() as cursor:
        cursor.execute(f"SELECT NOT EXISTS (SELECT 1 FROM {table})")
        return bool(cursor.fetchone()[0])


def nodes(node: dict[str, Any], limited: bool = False) -> Iterator[dict[str, Any]]:
    """Every node of a plan of PostgreSQL, each with whether it stops after its first row."""
    one_row = limited or (node["Node Type"] == "Limit" and node.get("Plan Rows") == 1)
    yield node | {"one row": one_row}
    for inner in node.get("Plans", ()):
        # What sorts or sums reads all before its first row.
        passes = inner["Node Type"] in ("Index Scan", "Index Only Scan", "Append", "Merge Append",
                                        "Subquery Scan", "Result", "Limit")  # fmt: skip
        yield from nodes(inner, one_row and passes)


def _narrowed(node: dict[str, Any]) -> bool:
    """Whether a scan of a table begins at some place of an index, or ends after one row."""
    if node["Node Type"] == "Seq Scan":
        return False
    return "Index Cond" in node or node["Node Type"] == "Bitmap Heap Scan" or node["one row"]


def _insert(using: str, table: str, host_ids: Sequence[int], rows: int) -> None:
    scope = Scope(using, tuple(host_ids))
    begin = sql.time(scope, at(MIDNIGHT))
    many = len(host_ids)
    if scope.is_postgres:
        host = f"(%s::bigint[])[1 + n % {many}]"
        first = f"%s::timestamptz + n * interval '{DAYS * 86_000_000 // rows} ms'"
        local = "decode('00000000000000000000ffff0a010001', 'hex')"
        remote = "decode('00000000000000000000ffff0a00' || lpad(to_hex(n % 7919), 4, '0'), 'hex')"
        program = "'p' || (n % 200)"
        numbers = f"generate_series(1, {rows}) AS n"
        given: list[Any] = [list(host_ids), begin]
    else:
        host = f"(SELECT value FROM json_each(%s) WHERE json_each.key = n % {many})"
        seconds = DAYS * 86_000 / rows
        first = f"strftime('%%Y-%%m-%%d %%H:%%M:%%S', %s, '+' || (n * {seconds}) || ' seconds')"
        local = "x'00000000000000000000ffff0a010001'"
        remote = "CAST(x'00000000000000000000ffff0a00' || char(n % 90) || char(n % 88) AS blob)"
        program = "'p' || (n % 200)"
        numbers = (
            "(WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted"
            f" WHERE n < {rows}) SELECT n FROM counted)"
        )
        given = [json.dumps(list(host_ids)), begin]
    closed = table == CLOSED
    statement = _INSERT.format(
        table=table,
        own="last_seen," if closed else "",
        host=host,
        first=first,
        last=f"{first}," if closed else "",
        local=local,
        remote=remote,
        program=program,
        numbers=numbers,
    ).replace("n % ", "n %% ")
    with connections[using].cursor() as cursor:
        cursor.execute(statement, [*given, *([begin] if closed else [])])
