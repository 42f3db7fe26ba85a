"""The whole rule set as one file: rules, port policies, watches, windows, services, channels.

Place in the data's way: between the pages, the JSON route and ``manage.py rules`` and the rows of
``probes.models``. ``text`` reads and writes YAML, ``schema`` says what a file may hold,
``sections`` knows the rows, ``applying`` compares and writes. No secret is ever in a file.
"""

from __future__ import annotations

from probes.rule_set.applying import Difference, Kind, Outcome, apply
from probes.rule_set.exporting import document, export
from probes.rule_set.schema import RuleSetError
from probes.rule_set.text import MAX_BYTES, decode, load, shown

__all__ = [
    "MAX_BYTES",
    "Difference",
    "Kind",
    "Outcome",
    "RuleSetError",
    "apply",
    "decode",
    "document",
    "export",
    "load",
    "shown",
]
