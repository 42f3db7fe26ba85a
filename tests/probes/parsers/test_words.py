"""What parsers say to people is constant, and the pages can say it in Chinese.

That the catalogues hold each text is in tests/netadmin/test_catalogues.py; here, that nothing else
is ever said.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import polib
import pytest

from probes.management.commands.makemessages import KEYWORDS

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted((ROOT / "probes/parsers").glob("*.py"))
GOLDEN = sorted((ROOT / "tests/fixtures").glob("*/*--*.json"))
MADE_OF_PIECES = (ast.JoinedStr, ast.BinOp, ast.IfExp, ast.BoolOp)
"""xgettext sees none of a text that is put together, and one branch of a choice."""


def said(path: Path) -> list[tuple[str, ast.expr]]:
    """Where in the module something is said, and the expression that says it."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        (f"{path.name}:{call.lineno}", call.args[0])
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in (*KEYWORDS, "gettext_noop")
    ]


@pytest.fixture(scope="module", params=["zh_Hans", "zh_Hant"])
def translated(request: pytest.FixtureRequest) -> dict[str, str]:
    path = ROOT / "netadmin/locale" / request.param / "LC_MESSAGES/django.mo"
    return {entry.msgid: entry.msgstr for entry in polib.mofile(str(path))}


def test_no_reason_and_no_remark_is_put_together() -> None:
    everything = [saying for path in MODULES for saying in said(path)]
    assert len(everything) > 150
    wrong = [
        place
        for place, text in everything
        if any(isinstance(part, MADE_OF_PIECES) for part in ast.walk(text))
    ]
    assert not wrong, f"write the texts out and mark them with gettext_noop: {wrong}"


def test_each_text_that_is_written_out_has_a_translation(translated: dict[str, str]) -> None:
    written = {
        text.value
        for path in MODULES
        for _place, text in said(path)
        if isinstance(text, ast.Constant)
    }
    assert len(written) > 100
    assert not {text for text in written if not translated.get(str(text))}


def test_what_the_reviewed_results_say_has_a_translation(translated: dict[str, str]) -> None:
    """Texts that are kept under a name before they are said come by here."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in GOLDEN]
    reasons = {line["reason"] for result in results for line in result["rejected"]}
    remarks = {remark for result in results for remark in result["remarks"]}
    assert len(reasons) > 5
    assert len(remarks) > 3
    assert not {text for text in reasons | remarks if not translated.get(text)}
