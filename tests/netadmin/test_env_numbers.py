"""Whole numbers among the settings: what is none, or means nothing, is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from netadmin.env import VARIABLES, Reader, Variable

NUMBERS = [variable for variable in VARIABLES if variable.kind == "int"]


@pytest.mark.parametrize("name", [variable.name for variable in NUMBERS])
@pytest.mark.parametrize(
    "text", ["abc", "", " ", "1.5", "1e3", "0x10", "1_0", "١", "--1", "9" * 99]
)
def test_what_is_no_whole_number_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured, match=f"^{name} is not a whole number: ") as refused:
        Reader()(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("one", NUMBERS, ids=[variable.name for variable in NUMBERS])
def test_a_number_out_of_bounds_is_refused_and_its_bounds_are_told(
    monkeypatch: pytest.MonkeyPatch, one: Variable
) -> None:
    for number in (one.least - 1, one.most + 1, -(10**20), 10**20):
        monkeypatch.setenv(one.name, str(number))
        told = f"^{one.name} must be a whole number from {one.least} to {one.most}, not {number}"
        with pytest.raises(ImproperlyConfigured, match=told):
            Reader()(one.name)
    for number in (one.least, one.most):
        monkeypatch.setenv(one.name, f" {number}\n")
        assert Reader()(one.name) == number


def test_no_tables_may_be_taken_but_not_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_TABLES_MINUTES", "0")
    assert Reader()("PROBE_TABLES_MINUTES") == 0
    monkeypatch.setenv("PROBE_TABLES_MINUTES", "-1")
    with pytest.raises(ImproperlyConfigured, match="must be a whole number from 0 to"):
        Reader()("PROBE_TABLES_MINUTES")


def test_every_default_is_within_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in NUMBERS:
        monkeypatch.delenv(variable.name, raising=False)
        assert Reader()(variable.name) == variable.default
        assert variable.least <= variable.default <= variable.most


def test_a_number_may_come_out_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "minutes").write_text("25\n")
    monkeypatch.delenv("PROBE_TABLES_MINUTES", raising=False)
    monkeypatch.setenv("PROBE_TABLES_MINUTES_FILE", str(tmp_path / "minutes"))
    assert Reader()("PROBE_TABLES_MINUTES") == 25
