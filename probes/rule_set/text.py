"""YAML and JSON as they are typed, to plain values; and values to YAML.

Place in the data's way: the first step of an import, the last of an export. Knows no model.

Of YAML 1.1 only what cannot surprise is read: no anchors and aliases (a few of them make billions
of values), no tags, one document, each key once. Words are text: ``no``, ``on``, ``0x1f``,
``22:80`` and times are what stands there; only ``true``, ``false``, ``null``, ``~`` and decimal
numbers are not. What PyYAML writes plain is read back the same, since it quotes more than this.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml
from django.utils.translation import gettext as _

from probes.filters import unstorable, visible
from probes.rule_set.schema import RuleSetError

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 10
MAX_VALUES: Final = 50_000

_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,30}\.[0-9]{0,30}(?:[eE][-+][0-9]{1,3})?")
_WORDS: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip


def decode(raw: bytes) -> str:
    """The text of a file; RuleSetError where it is too long or no UTF-8."""
    if len(raw) > MAX_BYTES:
        raise RuleSetError([("", _("At most %(most)s bytes.") % {"most": MAX_BYTES})])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RuleSetError([("", _("This is no text in UTF-8."))]) from None


def load(text: str) -> Any:
    """The value of a file, YAML or JSON. RuleSetError with the line where it is neither."""
    decode(text.encode("utf-8", "surrogatepass"))
    if text.lstrip().startswith("{"):
        return _from_json(text)
    try:
        return _from_events(text)
    except RuleSetError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else _("line %(n)s") % {"n": mark.line + 1}
        said = " ".join(filter(None, (error.context, error.problem)))
        raise RuleSetError([(line, _("No YAML: %(problem)s") % {"problem": said[:200]})]) from None
    except (yaml.YAMLError, UnicodeError, ValueError):
        raise RuleSetError([("", _("This is no YAML."))]) from None


def dump(value: Any, *, header: str) -> str:
    """``value`` as YAML, keys in the order they have, below ``header`` as comments."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comments + yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )


def shown(value: Any) -> str:
    """One value as the file would have it, on one line where it is a list of words; "" for none."""
    if value is None:
        return ""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return text.removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, which are not read back, and long texts line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = all(line == line.rstrip() and line.isprintable() for line in value.split("\n"))
    style = "|" if "\n" in value and plain and not value[:1].isspace() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


# --- reading --------------------------------------------------------------------------------------


def _from_json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for name, value in pairs:
            if name in names:
                raise RuleSetError([(visible(name), _("Give this once."))])
            names[name] = value
        return names

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    except RuleSetError:
        raise
    except (ValueError, RecursionError):
        raise RuleSetError([("", _("This is no JSON."))]) from None
    _check(value, where="", depth=0)
    return value


def _check(value: Any, *, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RuleSetError([(where, _("This is nested too deeply."))])
    if isinstance(value, str) and unstorable(value):
        raise RuleSetError([(where, _("This holds a character that no database keeps."))])
    if isinstance(value, dict):
        for name, inside in value.items():
            _check(name, where=visible(name), depth=depth)
            _check(inside, where=f"{where}.{visible(name)}".lstrip("."), depth=depth + 1)
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            _check(inside, where=f"{where}[{place}]", depth=depth + 1)


class _Open:
    """A list or mapping that is being read."""

    def __init__(self, value: list[Any] | dict[str, Any]) -> None:
        self.value = value
        self.key: str | None = None


def _from_events(text: str) -> Any:
    """Built from the parser's events, one after the other: nothing here recurses."""
    stack: list[_Open] = []
    result: Any = None
    documents = values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        line = _("line %(n)s") % {"n": 0 if mark is None else mark.line + 1}
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise RuleSetError([(line, _("Give one document."))])
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise RuleSetError([(line, _("Anchors and aliases are not read. Write it out."))])
        if getattr(event, "tag", None) is not None:
            raise RuleSetError([(line, _("Tags are not read."))])
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            value = {}
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
        else:
            continue
        values += 1
        if values > MAX_VALUES:
            raise RuleSetError([(line, _("This holds too many values."))])
        if not stack:
            result = value
        elif not _put(stack[-1], value, event, line):
            continue  # it was a key
        if isinstance(value, dict | list):
            if len(stack) >= MAX_DEPTH:
                raise RuleSetError([(line, _("This is nested too deeply."))])
            stack.append(_Open(value))
    return result


def _put(inside: _Open, value: Any, event: yaml.Event, line: str) -> bool:
    """Add a value to what is being read; False where it is the key of the next one."""
    if isinstance(inside.value, list):
        inside.value.append(value)
        return True
    if inside.key is None:
        if not isinstance(event, yaml.ScalarEvent):
            raise RuleSetError([(line, _("A key is one word."))])
        key = event.value
        if key in inside.value:
            raise RuleSetError([(line, _("%(name)s: give this once.") % {"name": visible(key)})])
        inside.key = key
        return False
    inside.value[inside.key] = value
    inside.key = None
    return True


def _scalar(event: yaml.ScalarEvent, line: str) -> Any:
    text = event.value
    if unstorable(text):
        raise RuleSetError([(line, _("This holds a character that no database keeps."))])
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
