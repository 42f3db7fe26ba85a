"""Tries a target step by step, and says which step fails.

Place in the data's way: beside ``probes.runner``, for a person who adds or mends a host. Stores
nothing. Knows no Django.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hosts.target import Target
from probes import commands, parsers, runner
from probes.observation import Code, Failure, Observation, OfferedKey, Privilege
from probes.transports import keys, ssh
from probes.transports.base import Deadline, Stage, Talk, TransportError
from probes.transports.local import LocalTransport

_WITHOUT_OWNER = frozenset({"TIME_WAIT", "SYN_RECV", "CLOSE", "LAST_ACK", "FIN_WAIT1", "FIN_WAIT2"})
"""States in which the kernel holds a socket that may belong to no process any more."""


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
        return _stopped(done, at, runner.defect(target, error))


test_connection.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def _test(target: Target, done: list[Step]) -> ConnectionTest:
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
        talk = Talk(transport, deadline=deadline, max_bytes=target.max_bytes)
        observation = runner.converse(target, talk, runner.prepare(target))
    except commands.UnusablePassword as error:
        return _stopped(done, StepName.TOOL, Failure(Code.SUDO_REFUSED, str(error)))
    finally:
        transport.close()
    if observation.failure is not None:
        return _stopped(done, StepName.TOOL, observation.failure, observation)
    done.append(Step(StepName.TOOL, StepStatus.OK, detail=observation.command))
    done.append(_pids(observation))
    return ConnectionTest(tuple(done), observation=observation)


def _pids(observation: Observation) -> Step:
    """Whether the processes of live sockets can be seen."""
    sockets = parsers.parse_sockets(observation.text, wide=observation.wide).sockets
    owned = [row for row in sockets if row.state not in _WITHOUT_OWNER or row.pid is not None]
    hidden = sum(row.pid is None for row in owned)
    detail = f"{observation.privilege.value}: {hidden} of {len(owned)} rows lack a PID"
    allowed = observation.privilege in (Privilege.ROOT, Privilege.SUDO)
    none_told = hidden == len(owned) and not observation.asked_for_processes
    if hidden and (observation.tool == "proc" or none_told or not allowed):
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
