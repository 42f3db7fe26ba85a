"""Asks a host with a shell for its tables, and judges what it answers.

Place in the data's way: between ``probes.runner`` and a transport: a framed Command goes out over a
Talk, its output comes back as an Observation. Knows no connection, no pool and no database, and
does not parse: it only sees whether a table came.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hosts.target import Sudo, Target
from probes import commands, parsers, replies
from probes.observation import Code, Failure, Observation, Privilege, Table, TableOutput
from probes.parsers import sysctl
from probes.replies import Attempt, Reply
from probes.transports.base import (
    Command,
    CommandResult,
    ConnectionBroken,
    Talk,
    TransportError,
    visible,
)

NOTES_MAX_CHARS = 4000

EVIDENCE_MAX_BYTES = 256 * 1024
"""Of the output of a table that is not whole."""

_SUDO_SAYS = re.compile(r"(?i)\bsudo|\bsorry\b|not allowed|password")
"""How sudo words a refusal in the C locale; netstat and ss use none of these."""

_NOT_FOUND = 127
"""A shell's exit status where there is no such program."""

_ENDED = frozenset({124, 137, 142})
"""Exit statuses of what took too long: of timeout itself, by SIGKILL, by SIGALRM."""

_PLATE = {Sudo.NONE: "", Sudo.NOPASSWD: "sudo -n ", Sudo.PASSWORD: "sudo "}


def ask(talk: Talk, command: Command) -> tuple[CommandResult, Failure | None]:
    """Run a framed command; where it was cut off, what had arrived and why.

    Raises ConnectionBroken, and TransportError where nothing was run.
    """
    try:
        return talk.run(command), None
    except ConnectionBroken:
        raise
    except TransportError as error:
        if error.partial is None:
            raise
        return error.partial, error.failure


def is_no_shell(command: Command, result: CommandResult) -> bool:
    """Whether the host ended the line without so much as beginning it: no ``sh`` read it."""
    return bool(result.exit_status) and replies.token(command) + b" begin" not in result.stdout


def read(
    target: Target,
    command: Command,
    result: CommandResult,
    cut: Failure | None = None,
    *,
    tables: bool = False,
) -> Observation:
    """The observation of an output. ``cut`` says why it is not all there, where it is not.

    The sockets are whole where their own end arrived, whatever became of the other tables.
    """
    reply = replies.read(command, result.stdout)
    if cut is None and not result.complete:
        cut = _unfinished(result)
    observation = Observation(
        taken_at=result.started_at,
        duration_s=result.duration_s,
        command=command.line,
        notes=_notes(command, result),
    )
    if reply is None:
        raw = replies.unframed(command, result.stdout)
        observation = replace(observation, raw=raw, failure=cut or _unfinished(result))
    else:
        observation = _judge(target, reply, observation)
    if tables:
        tried = replies.attempts(command, result.stdout)
        others = tuple(_table(table, tried, cut) for table in Table)
        told = sysctl.read(parsers.decode(replies.limits(command, result.stdout)))
        observation = replace(observation, tables=others, limits=told)
    return observation


def _judge(target: Target, reply: Reply, observation: Observation) -> Observation:
    known = reply.tool in ("netstat", "ss", "proc")
    observation = replace(
        observation,
        tool=reply.tool if known else "",
        command=_ran(target, reply) if known else observation.command,
        wide=reply.wide,
        privilege=_privilege(target, reply),
        raw=reply.table,
    )
    if reply.tool == "running":
        return replace(observation, failure=Failure(Code.STILL_RUNNING))
    if reply.tool == "none":
        return replace(observation, failure=Failure(Code.NETSTAT_MISSING))
    if reply.exit_status != 0:
        return _tool_failed(target, reply, observation)
    text = parsers.decode(reply.table)
    if parsers.identify(text) is None:
        seen = visible(reply.table) or "no output"
        return replace(observation, failure=Failure(Code.NOT_UNDERSTOOD, seen))
    return replace(observation, text=text)


def _ran(target: Target, reply: Reply) -> str:
    """What ran, as a person would type it."""
    if reply.tool == "proc":
        return " ".join(["cat", *(f"/proc/net/{name}" for name in commands.PROC_SOCKETS.split())])
    plate = _PLATE[target.login.sudo if target.login is not None else Sudo.NONE]
    return visible(f"{plate}{reply.path} {reply.options}")


def _notes(command: Command, result: CommandResult) -> str:
    said = result.stderr
    if command.prompt:
        said = said.replace(command.prompt, b"")
    return parsers.decode(said)[:NOTES_MAX_CHARS]


def _unfinished(result: CommandResult) -> Failure:
    if result.exit_status:
        said = visible(result.stderr or result.stdout)
        return Failure(Code.COMMAND_FAILED, f"status {result.exit_status}: {said}")
    return Failure(Code.TRUNCATED, f"the output ended after {len(result.stdout)} bytes")


def _privilege(target: Target, reply: Reply) -> Privilege:
    if reply.uid == 0:
        return Privilege.ROOT
    if target.login is not None and target.login.sudo is not Sudo.NONE and reply.tool != "proc":
        return Privilege.SUDO
    return Privilege.UNKNOWN if reply.uid is None else Privilege.USER


def _tool_failed(target: Target, reply: Reply, observation: Observation) -> Observation:
    """A tool that ends badly leaves out protocols, so its table is never taken for whole."""
    by_sudo = target.login is not None and target.login.sudo is not Sudo.NONE
    said = visible(observation.notes)
    if by_sudo and not reply.table.strip() and _SUDO_SAYS.search(observation.notes):
        refused = Failure(Code.SUDO_REFUSED, said)
        return replace(observation, privilege=Privilege.USER, failure=refused)
    detail = f"{reply.tool}: status {reply.exit_status}: {said}"
    return replace(observation, failure=Failure(Code.COMMAND_FAILED, detail))


def _table(table: Table, tried: list[Attempt], cut: Failure | None) -> TableOutput:
    """One of the other tables: the last tool that was tried decides."""
    mine = [attempt for attempt in tried if attempt.table is table]
    if not mine:
        cut = cut or Failure(Code.TRUNCATED)
        return TableOutput(table, failure=Failure(cut.code, f"not reached: {cut.detail}"))
    last = mine[-1]
    if last.exit_status == 0:
        return TableOutput(table, tool=last.tool, text=parsers.decode(last.output))
    if last.exit_status is None:
        cut = cut or Failure(Code.TRUNCATED)
        failure = Failure(cut.code, f"{last.tool}: {cut.detail}")
        return TableOutput(table, last.tool, _evidence(last), failure)
    statuses = {attempt.exit_status for attempt in mine if attempt.exit_status is not None}
    if statuses & _ENDED:
        code = Code.TIMED_OUT
    elif statuses == {_NOT_FOUND}:
        code = Code.NETSTAT_MISSING
    else:
        code = Code.COMMAND_FAILED
    ends = ", ".join(f"{attempt.tool} {_end(attempt)}" for attempt in mine)
    printed = next((attempt for attempt in reversed(mine) if attempt.output.strip()), last)
    return TableOutput(table, last.tool, _evidence(printed), Failure(code, ends))


def _evidence(attempt: Attempt) -> str:
    """The beginning of what a tool printed that did not end well."""
    return parsers.decode(attempt.output[:EVIDENCE_MAX_BYTES])


def _end(attempt: Attempt) -> str:
    if attempt.exit_status == _NOT_FOUND:
        return "is missing"
    if attempt.exit_status in _ENDED:
        return f"was ended after {commands.TABLE_LIMIT_S} s"
    return f"ended with status {attempt.exit_status}"
