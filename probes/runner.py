"""Probes one target and says what came of it, whatever the target does.

Place in the data's way: Target -> command -> transport -> Observation. Usable from a REPL without
Django: ``observe(Target("web1", address="192.0.2.7", login=Login("ops", password="..."),
pins=(...)))``. Knows no database and does not parse: it only sees whether a table came.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
import re
import time
import traceback
from dataclasses import dataclass, replace

from hosts.target import Platform, Sudo, Target
from probes import commands, parsers
from probes.observation import Code, Failure, Observation, OfferedKey, Privilege
from probes.transports import keys, ssh
from probes.transports.base import (
    Command,
    CommandResult,
    Deadline,
    Stage,
    TransportError,
    visible,
)
from probes.transports.local import LocalTransport
from probes.transports.pool import Pool

logger = logging.getLogger(__name__)

NOTES_MAX_CHARS = 4000

_SUDO_SAYS = re.compile(r"(?i)\bsudo|\bsorry\b|not allowed|password")
"""How sudo words a refusal in the C locale; netstat and ss use none of these."""

_WITHOUT_OWNER = frozenset({"TIME_WAIT", "SYN_RECV", "CLOSE", "LAST_ACK", "FIN_WAIT1", "FIN_WAIT2"})
"""States in which the kernel holds a socket that may belong to no process any more."""


def observe(target: Target, *, pool: Pool | None = None) -> Observation:
    """Probe ``target`` once. Never raises for anything a host, a network or a login does.

    Ends within ``target.deadline_s`` and a few seconds. Without a ``pool`` the connection is
    closed afterwards. With ``failure`` None the text is a whole socket table.
    """
    started_at, started = dt.datetime.now(dt.UTC), time.monotonic()
    try:
        if pool is not None:
            observation = _observe(target, pool)
        else:
            with Pool() as own:
                observation = _observe(target, own)
    except Exception as error:
        observation = Observation(started_at, 0.0, failure=_defect(target, error))
    if observation.command:
        return observation
    # No command was started: the times are those of the attempt.
    return replace(observation, taken_at=started_at, duration_s=time.monotonic() - started)


def _observe(target: Target, pool: Pool) -> Observation:
    refusal, command = _command(target)
    if command is None:
        return _nothing(refusal)
    try:
        result = pool.run(target, command)
    except TransportError as error:
        return _failed(command, error)
    return _read(target, command, result)


def _command(target: Target) -> tuple[Failure | None, Command | None]:
    if target.platform is Platform.WINDOWS:
        return Failure(Code.UNSUPPORTED, "no command for Windows"), None
    login = target.login
    if login is None:
        return None, commands.sockets()
    password = login.sudo_password if login.sudo_password is not None else login.password
    try:
        return None, commands.sockets(login.sudo, password=password)
    except commands.UnusablePassword as error:
        return Failure(Code.SUDO_REFUSED, str(error)), None


def _nothing(failure: Failure | None) -> Observation:
    return Observation(dt.datetime.now(dt.UTC), 0.0, failure=failure)


def _failed(command: Command, error: TransportError) -> Observation:
    partial = error.partial
    if partial is None:
        return _nothing(error.failure)
    return Observation(
        taken_at=partial.started_at,
        duration_s=partial.duration_s,
        command=command.line,
        notes=_notes(command, partial),
        raw=commands.unframed(command, partial.stdout),
        failure=error.failure,
    )


def _read(target: Target, command: Command, result: CommandResult) -> Observation:
    """Judge an output that was read to its end."""
    reply = commands.read_reply(command, result.stdout) if result.complete else None
    common = Observation(
        taken_at=result.started_at,
        duration_s=result.duration_s,
        command=command.line,
        notes=_notes(command, result),
    )
    if reply is None:
        raw = commands.unframed(command, result.stdout)
        return replace(common, raw=raw, failure=_unfinished(result))
    common = replace(
        common,
        tool=reply.tool if reply.tool in ("netstat", "ss") else "",
        wide=reply.wide,
        privilege=_privilege(target, reply),
        raw=reply.table,
    )
    if reply.tool == "running":
        return replace(common, failure=Failure(Code.STILL_RUNNING))
    if reply.tool == "none":
        return replace(common, failure=Failure(Code.NETSTAT_MISSING))
    if reply.exit_status != 0:
        return _tool_failed(target, reply, common)
    text = parsers.decode(reply.table)
    if parsers.identify(text) is None:
        seen = visible(reply.table) or "no output"
        return replace(common, failure=Failure(Code.NOT_UNDERSTOOD, seen))
    return replace(common, text=text)


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


def _privilege(target: Target, reply: commands.Reply) -> Privilege:
    if reply.uid == 0:
        return Privilege.ROOT
    if target.login is not None and target.login.sudo is not Sudo.NONE:
        return Privilege.SUDO
    return Privilege.UNKNOWN if reply.uid is None else Privilege.USER


def _tool_failed(target: Target, reply: commands.Reply, common: Observation) -> Observation:
    """A tool that ends badly leaves out protocols, so its table is never taken for whole."""
    by_sudo = target.login is not None and target.login.sudo is not Sudo.NONE
    said = visible(common.notes)
    if by_sudo and not reply.table.strip() and _SUDO_SAYS.search(common.notes):
        refused = Failure(Code.SUDO_REFUSED, said)
        return replace(common, privilege=Privilege.USER, failure=refused)
    detail = f"{reply.tool}: status {reply.exit_status}: {said}"
    return replace(common, failure=Failure(Code.COMMAND_FAILED, detail))


def _defect(target: Target, error: Exception) -> Failure:
    # Neither the message nor the locals: both may hold what must not be logged.
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("probe of %s failed: %s\n%s", target.name, type(error).__name__, frames)
    return Failure(Code.INTERNAL_ERROR, type(error).__name__)


class StepName(enum.StrEnum):
    """What a connection test looks at, in this order."""

    REACHABLE = "reachable"
    HOST_KEY = "host_key"
    LOGIN = "login"
    TOOL = "tool"
    PIDS = "pids"


class StepStatus(enum.StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a connection test. ``code`` says which fix to show; detail is for people."""

    name: StepName
    status: StepStatus
    code: Code | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """All steps, always in the order of StepName."""

    steps: tuple[Step, ...]
    offered_key: OfferedKey | None = None
    """The key to approve, where one awaits approval: the host's own or its jump host's."""
    observation: Observation | None = None
    """What the probe gave, where the login succeeded."""

    @property
    def usable(self) -> bool:
        """Whether probes of this target will give tables; hidden processes do not prevent it."""
        return all(
            step.status is StepStatus.OK for step in self.steps if step.name is not StepName.PIDS
        )


_STEP_OF_STAGE = {
    Stage.REACH: StepName.REACHABLE,
    Stage.HOST_KEY: StepName.HOST_KEY,
    Stage.LOGIN: StepName.LOGIN,
    Stage.COMMAND: StepName.TOOL,
}


def test_connection(target: Target) -> ConnectionTest:
    """Try a target step by step on a connection of its own. Never raises for what a host does."""
    done: list[Step] = []
    try:
        return _test(target, done)
    except TransportError as error:
        return _stopped(done, _STEP_OF_STAGE[error.stage], error.failure)
    except Exception as error:
        at = list(StepName)[min(len(done), len(StepName) - 1)]
        return _stopped(done, at, _defect(target, error))


test_connection.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def _test(target: Target, done: list[Step]) -> ConnectionTest:
    refusal, command = _command(target)
    deadline = Deadline.after(target.deadline_s)
    transport: LocalTransport | ssh.Connection
    if target.is_local:
        transport, key_detail, login_detail = LocalTransport(), "", ""
    else:
        transport = ssh.connect(target, deadline=deadline)
        key_detail = keys.fingerprint(transport.host_key)
        login_detail = target.login.user if target.login else ""
    try:
        done += (
            Step(StepName.REACHABLE, StepStatus.OK),
            Step(StepName.HOST_KEY, StepStatus.OK, detail=key_detail),
            Step(StepName.LOGIN, StepStatus.OK, detail=login_detail),
        )
        if command is None:
            return _stopped(done, StepName.TOOL, refusal)
        result = transport.run(command, deadline=deadline, max_bytes=target.max_bytes)
    finally:
        transport.close()
    observation = _read(target, command, result)
    if observation.failure is not None:
        return _stopped(done, StepName.TOOL, observation.failure, observation)
    reply = commands.read_reply(command, result.stdout)
    done.append(Step(StepName.TOOL, StepStatus.OK, detail=reply.path if reply else ""))
    done.append(_pids(observation))
    return ConnectionTest(tuple(done), observation=observation)


def _pids(observation: Observation) -> Step:
    """Whether the processes of live sockets can be seen."""
    sockets = parsers.parse(observation.text, wide=observation.wide).sockets
    owned = [row for row in sockets if row.state not in _WITHOUT_OWNER or row.pid is not None]
    hidden = sum(row.pid is None for row in owned)
    detail = f"{observation.privilege.value}: {hidden} of {len(owned)} rows lack a PID"
    if hidden and observation.privilege not in (Privilege.ROOT, Privilege.SUDO):
        return Step(StepName.PIDS, StepStatus.FAILED, Code.PERMISSION_LIMITED, detail)
    return Step(StepName.PIDS, StepStatus.OK, detail=detail)


def _stopped(
    done: list[Step], at: StepName, failure: Failure | None, observation: Observation | None = None
) -> ConnectionTest:
    """The steps before ``at`` succeeded, ``at`` failed, the rest was not reached."""
    failure = failure or Failure(Code.INTERNAL_ERROR)
    known = {step.name: step for step in done}
    steps: list[Step] = []
    status = StepStatus.OK
    for name in StepName:
        if name is at:
            steps.append(Step(name, StepStatus.FAILED, failure.code, failure.detail))
            status = StepStatus.NOT_REACHED
        else:
            steps.append(known.get(name, Step(name, status)))
    return ConnectionTest(tuple(steps), failure.offered_key, observation)
