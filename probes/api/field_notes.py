"""The words that stand below the fields of a query, a body or a shape, and those of a handler.

Place in the data's way: read by ``probes.api.openapi`` alone. pydantic can collect them too, but
then each process reads the source of every model when it starts.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any


def notes_of(model: type) -> dict[str, str]:
    """The text below each field by its name, of the class and of those it derives from."""
    notes: dict[str, str] = {}
    # A TypedDict forgets what it derives from but for this.
    for base in getattr(model, "__orig_bases__", model.__bases__):
        if isinstance(base, type) and base is not object:
            notes |= notes_of(base)
    return notes | _of_module(model.__module__).get(model.__qualname__, {})


def said(handler: Callable[..., Any]) -> tuple[str, str]:
    """First paragraph of its docstring on one line, and the rest."""
    first, _break, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    return " ".join(first.split()), rest.strip()


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Of each class of a module, the notes by field."""
    if not name.startswith(("probes.", "hosts.", "netadmin.")):
        return {}
    module = sys.modules[name]
    tree = ast.parse(inspect.getsource(module))
    return {node.name: _of_class(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    notes = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            notes[field.target.id] = " ".join(below.value.value.split())
    return notes
