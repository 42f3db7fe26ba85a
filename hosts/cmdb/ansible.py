"""Hosts of an Ansible inventory: INI, YAML, or what ``ansible-inventory --list`` prints.

Place in the data's way: under ``hosts.cmdb.reading``. Pure: no plugin, script, template or vault
is ever run or opened; a template as a name, address or port is a problem of that host. Source of
the forms: Ansible's guide "How to build your inventory" and the plugins ``ini`` and ``yaml``.

    [web]                                     web:
    web[01:20].example.com ansible_port=2222    hosts:
    [prod:children]                               web-1: {ansible_host: 10.0.0.11}
    web

Host variables win over group variables, those of a child group over its parents'. Read are
``ansible_host``, ``ansible_port`` (and their old names with ``ssh``) and ``ansible_connection``;
the user and all else are left alone: how to log in is the credential's matter here.

Whatever an inventory says, time and memory stay bounded: of variables only those are kept that are
read, what is named and what merge keys copy is counted, and nothing recurses over the text.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from hosts.cmdb import json_rows
from hosts.cmdb.rows import MAX_ROWS, Listed, Problem, Unreadable, collect, decode, shown

YAML_MAX_BYTES = 1024 * 1024
"""PyYAML reads about 150 KB a second; larger inventories come as ``ansible-inventory --list``."""
INI_MAX_BYTES = 4 * 1024 * 1024
LONGEST_LINE = 10_000
"""Of INI, in characters: the time to take a line apart grows with the square of its length."""
LONGEST_PATTERN = 500
MAX_RANGES = 10
"""Of one pattern of hosts."""
MAX_NAMED = 100_000
"""Groups, and hosts and groups in groups, each time one is named: 20 a host."""
MAX_MERGED = 100_000
"""Keys of YAML that merge keys (``<<``) copy; eight lines of anchors can ask for 10 to the 8."""
MAX_DEPTH = 50
OVER_SSH = frozenset({"", "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"})
WANTED = {
    "ansible_host": "address",
    "ansible_ssh_host": "address",
    "ansible_port": "port",
    "ansible_ssh_port": "port",
    "ansible_connection": "connection",
}
_SECTION = re.compile(r"\[([^\[\]:]{1,200})(?::(vars|children|hosts))?\]\s*(?:[#;].*)?")
_RANGE = re.compile(r"\[([0-9A-Za-z]{1,9}):([0-9A-Za-z]{1,9})(?::([0-9]{1,4}))?\]")
_YAML_KEY = re.compile(r"[^\s=#;\[][^\s=]*:(?:\s.*)?")
_PORT = re.compile(r"(\[[0-9A-Fa-f:.%\w]{2,60}\]|[^\[\]:]+):([0-9]{1,5})")


@dataclass
class _Group:
    """One group while it is read."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    """Only those of WANTED, as everywhere here."""


class _Groups(dict[str, _Group]):
    """All groups by name; refuses more than :data:`MAX_NAMED` namings."""

    def __init__(self) -> None:
        super().__init__(all=_Group())
        self._named = 0

    def group(self, name: str) -> _Group:
        """The group of that name, made where it is new."""
        self.count()
        return self.setdefault(name, _Group())

    def put(self, group: _Group, hosts: Iterable[str], variables: dict[str, Any]) -> None:
        """Put hosts into a group, each with these variables."""
        wanted = _wanted(variables)
        for host in hosts:
            self.count()
            group.hosts[host] = group.hosts.get(host, {}) | wanted

    def under(self, group: _Group, child: str) -> None:
        """Put a group under another."""
        self.count()
        group.children.append(child)

    def count(self) -> None:
        """Count one naming."""
        self._named += 1
        if self._named > MAX_NAMED:
            raise Unreadable("too_much", most=MAX_NAMED)


def read(data: bytes) -> Listed:
    """Every host of the inventory, once; raises :class:`Unreadable`."""
    text = decode(data)
    first = next((s for line in _lines(text) if (s := line.strip()) and s[0] not in "#;"), "")
    if not first:
        raise Unreadable("empty")
    if first.startswith("{"):
        return collect(_rows(_from_json(json_rows.document(data))))
    if first == "---" or _YAML_KEY.fullmatch(first):
        return collect(_rows(_from_yaml(text)))
    return collect(_rows(_from_ini(text)))


def _lines(text: str) -> Iterator[str]:
    # Not all at once: a list of millions of short lines is many times their text.
    return (found[0] for found in re.finditer(r"[^\r\n]+|\r\n?|\n", text))


def _rows(groups: _Groups) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
    order = _depths(groups)
    variables: dict[str, dict[str, Any]] = {}
    inherited: dict[str, dict[str, Any]] = {}
    # From the outermost group to the innermost, so that the nearer one wins.
    for name in sorted(groups, key=lambda name: (order[name], name)):
        mine = inherited.setdefault(name, {}) | groups[name].variables
        for child in groups[name].children:
            if child in groups:
                inherited[child] = inherited.get(child, {}) | mine
        for host, own in groups[name].hosts.items():
            known = variables.setdefault(host, {})
            known |= {"group": known.get("group", {}) | mine}
            known |= {"own": known.get("own", {}) | own}
    for host, found in variables.items():
        where = str(shown(host))
        yield where, _fields(host, _chosen(found["group"]) | _chosen(found["own"]))


def _depths(groups: _Groups) -> dict[str, int]:
    """How far each group lies below the outermost; Unreadable where groups contain themselves."""
    depths = dict.fromkeys(groups, 0)
    if "all" in depths:
        depths["all"] = -1
    for _round in range(MAX_DEPTH + 1):
        moved = False
        for name, group in groups.items():
            for child in group.children:
                if child in depths and depths[child] <= depths[name]:
                    depths[child] = depths[name] + 1
                    moved = True
        if not moved:
            return depths
    raise Unreadable("loop")


def _wanted(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: variables[name] for name in WANTED if name in variables}


def _chosen(variables: dict[str, Any]) -> dict[str, Any]:
    # The old names first: the new one wins where both are there.
    ordered = sorted(WANTED, key=lambda name: "_ssh_" not in name)
    return {WANTED[name]: variables[name] for name in ordered if variables.get(name) is not None}


def _fields(host: str, found: dict[str, Any]) -> dict[str, Any] | Problem:
    connection = str(shown(found.pop("connection", ""))).strip()
    if connection not in OVER_SSH:
        values = {"field": "ansible_connection", "value": shown(connection)}
        label = str(shown(host))
        return Problem("not_ssh", label, label, host[:200], values)
    return {"name": host, "address": host} | found


# --- INI ----------------------------------------------------------------------------------------


def _from_ini(text: str) -> _Groups:
    if len(text) > INI_MAX_BYTES:
        raise Unreadable("too_large", size=INI_MAX_BYTES // 1024)
    groups = _Groups()
    name, part = "ungrouped", "hosts"
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if len(line) > LONGEST_LINE:
            raise Unreadable("broken", line=number, problem="too long")
        section = _SECTION.fullmatch(line)
        if section is not None:
            name, part = section[1].strip(), section[2] or "hosts"
            groups.group(name)
            continue
        if line.startswith("[") and not _PORT.match(line) and not _RANGE.match(line):
            raise Unreadable("broken", line=number, problem="section")
        group = groups[name] if name in groups else groups.group(name)
        if part == "children":
            groups.under(group, line.split("#")[0].strip())
        elif part == "vars":
            key, _equals, value = line.partition("=")
            if key.strip() in WANTED:
                group.variables[key.strip()] = _ini_value(value, number)
        else:
            groups.put(group, *_ini_hosts(line, number))
    return _under_all(groups)


def _ini_hosts(line: str, number: int) -> tuple[Iterable[str], dict[str, Any]]:
    words = _words(line, number)
    variables: dict[str, Any] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise Unreadable("broken", line=number, problem=word)
        variables[key] = value
    pattern = words[0] if words else ""
    port = _PORT.fullmatch(pattern)
    if port is not None:
        pattern = port[1].strip("[]")
        variables.setdefault("ansible_port", port[2])
    return _expand(pattern, number), variables


def _ini_value(text: str, number: int) -> str:
    words = _words(text, number)
    return words[0] if len(words) == 1 else " ".join(words)


def _words(text: str, number: int) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError as error:
        raise Unreadable("broken", line=number, problem=error) from None


def _expand(pattern: str, number: int) -> Iterable[str]:
    """``web[01:03]`` as web01, web02, web03; letters too, and steps (``[0:10:2]``)."""
    parts: list[Sequence[str]] = []
    made, last = 1, 0
    for count, found in enumerate(_RANGE.finditer(pattern), start=1):
        begin, end, step = found[1], found[2], int(found[3] or 1)
        letters = len(begin) == len(end) == 1 and not (begin.isdigit() and end.isdigit())
        span = range(0)
        if step and letters:
            span = range(ord(begin), ord(end) + 1, step)
        elif step and begin.isdigit() and end.isdigit():
            span = range(int(begin), int(end) + 1, step)
        # A range of nothing would let a pattern cost much and come to no host.
        if not span or count > MAX_RANGES or len(pattern) > LONGEST_PATTERN:
            raise Unreadable("broken", line=number, problem=found[0])
        made *= len(span)
        if made > MAX_ROWS:
            raise Unreadable("too_many", most=MAX_ROWS)
        width = len(begin) if begin.startswith("0") else 0
        each = [chr(code) if letters else str(code).zfill(width) for code in span]
        parts += [(pattern[last : found.start()],), each]
        last = found.end()
    return map("".join, itertools.product(*parts, (pattern[last:],)))


# --- YAML ---------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """The safe loader, for which every scalar is text and merge keys have an end."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what merge keys name before the node's own pairs, at most MAX_MERGED in all.

        As the safe loader does (YAML's type "merge"): of several mappings the first one wins.
        """
        given, node.value = node.value, []  # empty for the time: it may name itself
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        own: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in given:
            if key.tag != "tag:yaml.org,2002:merge":
                own.append((key, value))
                continue
            named = value.value[::-1] if isinstance(value, yaml.SequenceNode) else [value]
            for each in named:
                if not isinstance(each, yaml.MappingNode):
                    raise yaml.MarkedYAMLError(problem="<<", problem_mark=each.start_mark)
                self.flatten_mapping(each)
                self.merged += 1 + len(each.value)
                if self.merged > MAX_MERGED:
                    raise yaml.MarkedYAMLError(problem="<<", problem_mark=key.start_mark)
                merged += each.value
        node.value = merged + own


def _opaque(_loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return str(node.value) if node.tag == "!unsafe" and isinstance(node.value, str) else ""


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    """What stands there: 1:30:00 is no number here, and a number may have a million digits."""
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem=node.tag, problem_mark=node.start_mark)
    return str(loader.construct_scalar(node))


for _tag in ("!vault", "!vault-encrypted", "!unsafe"):
    _Loader.add_constructor(_tag, _opaque)
for _tag in ("bool", "int", "float", "timestamp", "value"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _text)


def _from_yaml(text: str) -> _Groups:
    if len(text) > YAML_MAX_BYTES:
        raise Unreadable("yaml_too_large", size=YAML_MAX_BYTES // 1024)
    try:
        found = yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise Unreadable("broken", line=1, problem="nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: base64 that is none
        mark = getattr(error, "problem_mark", None)
        told = getattr(error, "problem", None) or type(error).__name__
        raise Unreadable("broken", line=mark.line + 1 if mark else 1, problem=told) from None
    if not isinstance(found, dict):
        raise Unreadable("no_list", path="/")
    groups = _Groups()
    for name, body in found.items():
        _yaml_group(str(name), body, groups, depth=0)
    return _under_all(groups)


def _yaml_group(name: str, body: Any, groups: _Groups, *, depth: int) -> None:
    """Add a group and those in it. Anchors can make a small file say a lot, or go in circles."""
    if depth > MAX_DEPTH:
        raise Unreadable("loop")
    group = groups.group(name)
    if body is None:
        return
    if not isinstance(body, dict):
        raise Unreadable("no_list", path=name)
    for part in ("hosts", "children", "vars"):
        if not isinstance(body.get(part) or {}, dict):
            raise Unreadable("no_list", path=f"{name}.{part}")
    group.variables |= _wanted(body.get("vars") or {})
    for pattern, variables in (body.get("hosts") or {}).items():
        own = variables if isinstance(variables, dict) else {}
        groups.put(group, _expand(str(pattern), 1), own)
    for child, inner in (body.get("children") or {}).items():
        groups.under(group, str(child))
        _yaml_group(str(child), inner, groups, depth=depth + 1)


# --- JSON of ansible-inventory --list -------------------------------------------------------------


def _from_json(found: Any) -> _Groups:
    """Groups as that command and dynamic inventories print them; ``_meta`` has the variables."""
    if not isinstance(found, dict):
        raise Unreadable("no_list", path="/")
    groups = _Groups()
    for name, body in found.items():
        if name == "_meta":
            continue
        body = {"hosts": body} if isinstance(body, list) else body
        if not isinstance(body, dict):
            raise Unreadable("no_list", path=name)
        variables = body.get("vars") or {}
        if not isinstance(variables, dict):
            raise Unreadable("no_list", path=f"{name}.vars")
        group = groups.group(name)
        group.variables |= _wanted(variables)
        groups.put(group, _names(body, "hosts", name), {})
        for child in _names(body, "children", name):
            groups.under(group, child)
    values = json_rows.at(found, "_meta.hostvars") or {}
    if not isinstance(values, dict):
        raise Unreadable("no_list", path="_meta.hostvars")
    for host, variables in values.items():
        groups.put(groups["all"], [host], variables if isinstance(variables, dict) else {})
    return _under_all(groups)


def _names(body: dict[str, Any], part: str, name: str) -> list[str]:
    listed = body.get(part) or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise Unreadable("no_list", path=f"{name}.{part}")
    return listed


def _under_all(groups: _Groups) -> _Groups:
    """Every group is a child of ``all``, named or not."""
    groups["all"].children += [name for name in groups if name != "all"]
    return groups
