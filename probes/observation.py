"""What one probe learned: text that can be parsed, or a failure with a code and a hint.

Place in the data's way: made by ``probes.runner``, consumed by ``probes.history.store``. Pure.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


def gettext_noop(text: str) -> str:
    """Mark text for the catalogues; pages and JSON translate it, this module stays pure."""
    return text


class Code(enum.StrEnum):
    """Why a probe gave no whole snapshot, or a whole one with a limit."""

    NAME_NOT_FOUND = "name_not_found"
    UNREACHABLE = "unreachable"
    CONNECTION_REFUSED = "connection_refused"
    TIMED_OUT = "timed_out"
    NOT_SSH = "not_ssh"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    HOST_KEY_REFUSED = "host_key_refused"
    LOGIN_FAILED = "login_failed"
    LOGIN_PAUSED = "login_paused"
    CREDENTIAL_MISSING = "credential_missing"
    KEY_UNREADABLE = "key_unreadable"
    JUMP_FAILED = "jump_failed"
    SUDO_REFUSED = "sudo_refused"
    NETSTAT_MISSING = "netstat_missing"
    PERMISSION_LIMITED = "permission_limited"
    COMMAND_FAILED = "command_failed"
    OUTPUT_TOO_LARGE = "output_too_large"
    TRUNCATED = "truncated"
    NOT_UNDERSTOOD = "not_understood"
    STILL_RUNNING = "still_running"
    UNSUPPORTED = "unsupported"
    LATE = "late"
    INTERNAL_ERROR = "internal_error"


EXPLANATIONS: dict[Code, tuple[str, str]] = {
    Code.NAME_NOT_FOUND: (
        gettext_noop("Host name not found"),
        gettext_noop("Check the address for a typing error, or the controller's DNS."),
    ),
    Code.UNREACHABLE: (
        gettext_noop("Host unreachable"),
        gettext_noop("No route to the address. Check that the host is up and the network path."),
    ),
    Code.CONNECTION_REFUSED: (
        gettext_noop("Connection refused"),
        gettext_noop("Nothing listens on that SSH port. Check the port, or start sshd."),
    ),
    Code.TIMED_OUT: (
        gettext_noop("Timed out"),
        gettext_noop("The host did not answer in time. Check a firewall, its load, or the port."),
    ),
    Code.NOT_SSH: (
        gettext_noop("Not an SSH server"),
        gettext_noop("Something else answers on that port. Check the SSH port."),
    ),
    Code.HOST_KEY_UNKNOWN: (
        gettext_noop("Host key awaits approval"),
        gettext_noop(
            "Compare the fingerprint with the host's own, then approve it. Nothing secret was sent."
        ),
    ),
    Code.HOST_KEY_CHANGED: (
        gettext_noop("Host key changed"),
        gettext_noop(
            "The host shows another key than the trusted one. If it was reinstalled, "
            "approve the new key; if not, someone may stand in between."
        ),
    ),
    Code.HOST_KEY_REFUSED: (
        gettext_noop("Host key refused"),
        gettext_noop("An administrator refused this key. Approve it if that was a mistake."),
    ),
    Code.LOGIN_FAILED: (
        gettext_noop("Login failed"),
        gettext_noop(
            "The host refused the user, password or key. Edit the credential; it is not "
            "tried again until then."
        ),
    ),
    Code.LOGIN_PAUSED: (
        gettext_noop("Login paused"),
        gettext_noop(
            "The last login failed, so the account is not tried again. Edit the credential "
            "to go on."
        ),
    ),
    Code.CREDENTIAL_MISSING: (
        gettext_noop("No credential"),
        gettext_noop("Choose a credential for this host."),
    ),
    Code.KEY_UNREADABLE: (
        gettext_noop("Private key unreadable"),
        gettext_noop(
            "Check the key, its passphrase, or the path and permissions of the key file on "
            "the controller."
        ),
    ),
    Code.JUMP_FAILED: (
        gettext_noop("Jump host failed"),
        gettext_noop(
            "The way through the jump host broke. Probe the jump host itself to see why, "
            "and check that it allows forwarding."
        ),
    ),
    Code.SUDO_REFUSED: (
        gettext_noop("sudo refused"),
        gettext_noop(
            "Check the sudo password, or allow the user to run netstat by sudo. It is not "
            "tried again until the credential is edited."
        ),
    ),
    Code.NETSTAT_MISSING: (
        gettext_noop("Neither netstat nor ss found"),
        gettext_noop(
            "Install net-tools (apt install net-tools, yum install net-tools) or iproute2 "
            "on the host."
        ),
    ),
    Code.PERMISSION_LIMITED: (
        gettext_noop("Some processes not visible"),
        gettext_noop(
            "The user may not see every PID. Use root, or grant sudo for netstat in the "
            "credential. Where neither netstat nor ss is installed, or only a netstat of BusyBox "
            "built without PIDs, none can be seen at all: install net-tools or iproute2. The "
            "netstat of OpenBSD shows none."
        ),
    ),
    Code.COMMAND_FAILED: (
        gettext_noop("The command failed"),
        gettext_noop("See the raw output for what the host said."),
    ),
    Code.OUTPUT_TOO_LARGE: (
        gettext_noop("Output too large"),
        gettext_noop(
            "The host printed more than the limit. Raise PROBE_MAX_BYTES if it really has "
            "that many sockets."
        ),
    ),
    Code.TRUNCATED: (
        gettext_noop("Output cut off"),
        gettext_noop(
            "The connection ended before the end of the output. Nothing is concluded from "
            "it; the next probe tries again."
        ),
    ),
    Code.NOT_UNDERSTOOD: (
        gettext_noop("Output not understood"),
        gettext_noop(
            "The host printed something that is no netstat or ss table. See the raw output."
        ),
    ),
    Code.STILL_RUNNING: (
        gettext_noop("The last netstat still runs"),
        gettext_noop(
            "A netstat of an earlier probe hangs on the host, so "
            "no second one was started. "
            "End it there (pkill netstat), and look for what hangs it, such as a dead NFS mount."
        ),
    ),
    Code.UNSUPPORTED: (
        gettext_noop("Not shown by this system"),
        gettext_noop("The tools of this operating system do not print this table."),
    ),
    Code.LATE: (
        gettext_noop("Arrived late"),
        gettext_noop("A newer probe was stored first. This one is kept but changes nothing."),
    ),
    Code.INTERNAL_ERROR: (
        gettext_noop("netadmin failed"),
        gettext_noop("This is a defect of netadmin, not of the host. See the worker's log."),
    ),
}


TABLE_HINTS: dict[Code, str] = {
    Code.COMMAND_FAILED: gettext_noop("The tools of the host did not print this table."),
    Code.OUTPUT_TOO_LARGE: gettext_noop(
        "The host printed more than the limit. Raise PROBE_MAX_BYTES if the table really is that "
        "long."
    ),
    Code.NOT_UNDERSTOOD: gettext_noop(
        "The host printed something that is no such table; its Network tab shows what."
    ),
}
"""The fix where it is another for one of the other tables than for the sockets."""


def table_explanation(code: Code) -> tuple[str, str]:
    """Title and fix, English msgids, where one of the other tables failed."""
    title, hint = EXPLANATIONS[code]
    return title, TABLE_HINTS.get(code, hint)


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A host key a server proved to hold, on the address and port it was met at."""

    address: str
    port: int
    key_type: str
    key_base64: str
    fingerprint: str
    """``SHA256:...`` as ``ssh-keygen -lf`` prints it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no whole table. ``detail`` is for people; it never holds a secret."""

    code: Code
    detail: str = ""
    offered_key: OfferedKey | None = None
    cause: Code | None = None
    """With JUMP_FAILED: the jump host's own code, so that its failed login is paused as well."""


class Privilege(enum.StrEnum):
    """As whom the command ran: decides which PIDs can be seen."""

    ROOT = "root"
    SUDO = "sudo"
    USER = "user"
    UNKNOWN = "unknown"


class Table(enum.StrEnum):
    """The tables beside the sockets that a probe takes from time to time."""

    ROUTES = "routes"
    INTERFACES = "interfaces"
    PROTOCOLS = "protocols"
    MULTICAST = "multicast"


@dataclass(frozen=True, slots=True)
class TableOutput:
    """What one probe learned of one of the other tables; each fails alone."""

    table: Table
    tool: str = ""
    """netstat, ip, nstat, proc; empty where none ran. ``pasted`` where a person brought it."""
    text: str = ""
    """Decoded as ``Observation.text``. Whole where ``failure`` is None; else what there is."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One probe's result. With ``failure`` None the text is whole (its end marker arrived)."""

    taken_at: dt.datetime
    """UTC, when the command was started."""
    duration_s: float
    tool: str = ""
    """``netstat``, ``ss`` or ``proc`` (files of /proc/net); empty where none ran."""
    command: str = ""
    """What ran on the host, as one would type it: ``sudo -n /usr/bin/netstat -antuwpW``. Where the
    host did not come to say so, the line that was sent. Never holds a secret."""
    privilege: Privilege = Privilege.UNKNOWN
    text: str = ""
    """The socket table, decoded (undecodable bytes as ``\\xNN``), lines ended by ``\\n``."""
    wide: bool = False
    """True where netstat ran with ``-W`` (OpenBSD and NetBSD: ``-v``): it cuts no address
    (``probes.parsers.parse``)."""
    notes: str = ""
    """What the command wrote to standard error, decoded, capped."""
    raw: bytes = field(default=b"", repr=False)
    """Standard output as received, up to the cap; kept so that a mended parser can rerun."""
    failure: Failure | None = None
    tables: tuple[TableOutput, ...] = ()
    """The other tables, where asked for; there may be some although the sockets failed."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """Limits of the kernel by their names in sysctl(8), taken with the other tables
    (``probes.parsers.sysctl``); empty where none were told."""

    @property
    def asked_for_processes(self) -> bool:
        """Whether the tool prints PIDs as far as its user may see them: ss, and netstat of Linux
        with ``-p``. Of others, and of what was pasted, only the rows themselves can tell."""
        options = self.command.rsplit(" ", 1)[-1]
        return self.tool == "ss" or (self.tool == "netstat" and "p" in options.lstrip("-"))

    @property
    def whole(self) -> bool:
        """True where the table can be compared with history."""
        return self.failure is None
