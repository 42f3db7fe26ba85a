"""The plan: who wins over a field, what counts as removed, and when a person must look."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.cmdb.plan import Came, Other, Plan, make
from hosts.cmdb.rows import Listed, Problem, Row


def row(name: str, address: str = "", *, key: str = "", **more: Any) -> Row:
    return Row(key or name, "1", {"name": name, "address": address or f"{name}.example", **more})


def came(number: int, given: Row, *, removed: bool = False, **stored: Any) -> Came:
    full = {"port": 22, "platform": "auto", "notes": "", **given.fields, **stored}
    return Came(number, given.key, given.fields, full, removed)


def plan(rows: list[Row], before: list[Came], *, others: list[Other] | None = None,
         problems: list[Problem] | None = None) -> Plan:  # fmt: skip
    return make(Listed(rows, problems or []), before, others or [])


def names(found: list[Any]) -> list[str]:
    return [each.stored["name"] if isinstance(each, Came) else each.fields["name"]
            for each in found]  # fmt: skip


def test_new_ones_are_added_gone_ones_removed_and_the_rest_kept() -> None:
    made = plan([row("b"), row("c")], [came(1, row("a")), came(2, row("b"))])
    assert (names(made.add), names(made.remove), made.keep) == (["c"], ["a"], 1)
    assert not made.change
    assert not made.remember


def test_what_a_source_repeats_does_not_undo_what_a_person_wrote() -> None:
    made = plan([row("a", notes="old")], [came(1, row("a", notes="old"), notes="mine", port=2222)])
    assert (made.change, made.remember, made.keep) == ([], [], 1)


def test_what_a_source_says_anew_wins() -> None:
    made = plan([row("a", notes="new")], [came(1, row("a", notes="old"), notes="mine")])
    assert [change.fields for change in made.change] == [{"notes": ["mine", "new"]}]


def test_a_source_that_says_what_a_person_wrote_already_is_only_remembered() -> None:
    made = plan([row("a", notes="mine")], [came(1, row("a"), notes="mine")])
    assert not made.change
    assert [change.row.fields["notes"] for change in made.remember] == ["mine"]


def test_a_field_that_a_source_stops_giving_stays_and_may_be_given_again() -> None:
    made = plan([row("a")], [came(1, row("a", port=2222))])
    assert not made.change
    assert len(made.remember) == 1


def test_a_host_is_found_again_by_name_where_its_id_is_new() -> None:
    made = plan([row("a", "10.0.0.2", key="77")], [came(1, row("a", "10.0.0.1"))])
    assert not made.add
    assert not made.remove
    assert made.change[0].fields == {"address": ["10.0.0.1", "10.0.0.2"]}
    assert made.change[0].row.key == "77"


@pytest.mark.parametrize(
    "other", [Other(9, "a", "elsewhere", 22), Other(9, "else", "a.example", 22)]
)
def test_a_host_of_somebody_else_is_a_problem_and_not_taken(other: Other) -> None:
    made = plan([row("a")], [], others=[other, Other(8, "far", "a.example", 2222)])
    assert not made.add
    assert [(problem.code, host) for problem, host in made.problems] == [("exists", 9)]


def test_a_host_that_a_person_removed_stays_removed() -> None:
    made = plan([row("a")], [came(1, row("a"), removed=True)])
    assert (made.add, made.remove, made.known, names(made.ignored)) == ([], [], 0, ["a"])


@pytest.mark.parametrize(
    "problem", [Problem("invalid", "2", "x", "a"), Problem("invalid", "2", "a", "")]
)
def test_a_row_with_a_problem_keeps_its_host(problem: Problem) -> None:
    made = plan([row("b")], [came(1, row("a")), came(2, row("b"))], problems=[problem])
    assert not made.remove
    assert made.keep == 2


@pytest.mark.parametrize(
    ("known", "gone", "waits"),
    [
        (100, 10, ""),
        (100, 11, "many_removed"),
        (10, 1, ""),
        (9, 1, "many_removed"),
        (1, 1, "many_removed"),
        (1, 0, ""),
    ],
)
def test_more_than_a_tenth_removed_waits(known: int, gone: int, waits: str) -> None:
    rows = [row(f"h{n}") for n in range(known)]
    before = [came(n, each) for n, each in enumerate(rows)]
    assert plan([*rows[gone:], row("new")], before).waits == waits


@pytest.mark.parametrize(
    ("gone", "lately", "waits"),
    [(5, 0, ""), (5, 5, ""), (5, 6, "many_lately"), (0, 50, ""), (11, 50, "many_removed")],
)
def test_a_list_that_crumbles_away_asks_too(gone: int, lately: int, waits: str) -> None:
    rows = [row(f"h{n}") for n in range(100 - lately)]
    before = [came(n, each) for n, each in enumerate(rows)]
    assert make(Listed(rows[gone:], []), before, [], lately=lately).waits == waits


def test_a_nameless_row_lets_no_host_be_removed_unseen() -> None:
    rows = [row(f"h{n}") for n in range(20)]
    before = [came(n, each) for n, each in enumerate(rows)]
    nameless = [Problem("missing", "20")]
    assert plan(rows[1:], before, problems=nameless).waits == "unclear"
    assert plan(rows, before, problems=nameless).waits == ""


def test_a_new_address_takes_a_credential_off_that_is_not_the_sources() -> None:
    before = Came(1, "a", {}, {"name": "a", "address": "a.example", "port": 22, "notes": ""},
                  foreign_credential="root")  # fmt: skip
    moved = plan([row("a", "b.example")], [before]).change[0].fields
    assert moved == {"address": ["a.example", "b.example"], "credential": ["root", None]}
    noted = plan([row("a", notes="x")], [before]).change[0].fields
    assert noted == {"notes": ["", "x"]}
