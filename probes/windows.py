"""Asks a Windows host over OpenSSH for its tables, and judges what it answers.

Place in the data's way: as ``probes.posix``, for hosts without ``sh``. Each line of the
conversation is a command of its own on the same connection: first the sockets, then the names of
processes and the code page everything is printed in, then the other tables. Each fails alone; only
the sockets decide whether the observation is whole.

There is no marker around an output. It is whole where it came to its end and the exit status 0
arrived: a connection that breaks gives neither.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from probes import commands, parsers
from probes.observation import Code, Failure, Observation, Privilege, Table, TableOutput
from probes.parsers import code_pages
from probes.transports.base import CommandResult, ConnectionBroken, Talk, TransportError, visible

NOTES_MAX_CHARS = 4000

_TABLES = {
    Table.INTERFACES: "interfaces",
    Table.PROTOCOLS: "protocols",
    Table.ROUTES: "routes",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of one line."""

    raw: bytes = b""
    stderr: bytes = b""
    failure: Failure | None = None


def is_windows(server: str) -> bool:
    """Whether an SSH server's own identification says that it runs on Windows.

    Microsoft's OpenSSH greets as ``SSH-2.0-OpenSSH_for_Windows_9.5``, Bitvise's server as
    ``SSH-2.0-9.31 FlowSsh: Bitvise SSH Server (WinSSHD) 9.31``.
    """
    told = server.lower()
    return "windows" in told or "winsshd" in told


def is_understood(observation: Observation) -> bool:
    """Whether a whole table of Windows came: another netstat may take the same words."""
    return observation.whole and (parsers.identify(observation.text) or "") == "windows"


def observe(talk: Talk, *, tables: bool = False) -> Observation:
    """Hold the whole conversation. Raises ConnectionBroken, and TransportError where nothing was
    run; what fails after the sockets came is said in the notes.

    The privilege is not known and not needed: netstat shows every PID to everybody.
    """
    started = time.monotonic()
    result, cut = _first(talk)
    sockets = _answer("sockets", result, cut)
    processes = _ask(talk, "processes")
    page_told = _ask(talk, "code page")
    page = code_pages.of_chcp(page_told.raw) if page_told.failure is None else None
    others = tuple(_table(talk, table, page) for table in Table) if tables else ()
    raw, text, failure = sockets.raw, "", sockets.failure
    if failure is None:
        text = parsers.decode(sockets.raw, code_page=page)
        if parsers.identify(text) is None:
            seen = visible(text) or "no output"
            text, failure = "", Failure(Code.NOT_UNDERSTOOD, seen)
        elif processes.failure is None:
            raw += (b"" if raw.endswith(b"\n") else b"\r\n") + processes.raw
            text += "" if text.endswith("\n") else "\n"
            text += parsers.decode(processes.raw, code_page=page)
    return Observation(
        taken_at=result.started_at,
        duration_s=time.monotonic() - started,
        tool="netstat",
        command=commands.LINES["windows sockets"],
        privilege=Privilege.UNKNOWN,
        text=text,
        notes=_notes(page, sockets, processes, page_told),
        raw=raw,
        failure=failure,
        tables=others,
    )


def _first(talk: Talk) -> tuple[CommandResult, Failure | None]:
    try:
        return talk.run(commands.windows("sockets")), None
    except ConnectionBroken:
        raise
    except TransportError as error:
        if error.partial is None:
            raise
        return error.partial, error.failure


def _ask(talk: Talk, what: str) -> _Answer:
    if talk.deadline.expired:
        line = commands.LINES[f"windows {what}"]
        return _Answer(failure=Failure(Code.TIMED_OUT, f"{line}: no time was left"))
    try:
        return _answer(what, talk.run(commands.windows(what)), None)
    except TransportError as error:
        return _answer(what, error.partial, error.failure)


def _answer(what: str, result: CommandResult | None, failure: Failure | None) -> _Answer:
    """Judge one output by its end, not by its content."""
    line = commands.LINES[f"windows {what}"]
    raw, stderr = (result.stdout, result.stderr) if result is not None else (b"", b"")
    if failure is not None:
        failure = Failure(failure.code, f"{line}: {failure.detail}")
    elif result is None or not result.complete:
        failure = Failure(Code.TRUNCATED, f"{line}: the output ended after {len(raw)} bytes")
    elif result.exit_status != 0:
        said = visible(stderr or raw)
        failure = Failure(Code.COMMAND_FAILED, f"{line}: status {result.exit_status}: {said}")
    return _Answer(raw, stderr, failure)


def _table(talk: Talk, table: Table, page: str | None) -> TableOutput:
    if table not in _TABLES:
        failure = Failure(Code.UNSUPPORTED, "netstat of Windows does not show it")
        return TableOutput(table, failure=failure)
    answer = _ask(talk, _TABLES[table])
    text = "" if answer.failure else parsers.decode(answer.raw, code_page=page)
    return TableOutput(table, "netstat", text, answer.failure)


def _notes(page: str | None, *answers: _Answer) -> str:
    said = [parsers.decode(answer.stderr, code_page=page).strip("\n") for answer in answers]
    # The failure of the sockets is the observation's own.
    said += [answer.failure.detail for answer in answers[1:] if answer.failure is not None]
    return "".join(f"{line}\n" for line in said if line)[:NOTES_MAX_CHARS]
