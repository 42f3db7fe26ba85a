"""Every command line that can reach a host, and how its reply is framed.

Place in the data's way: the runner asks for a Command, a transport runs it, ``read_reply`` takes
the framed output apart again. The only place that quotes. Pure: starts nothing, connects nowhere.

The lines are constants. Nothing a person or a host typed ever becomes part of one; what differs
from probe to probe (the random marker, the sudo prompt and password) travels on standard input,
so it is in no process list either. Each line is one ``sh`` script in single quotes, free of
single quotes, backslashes and exclamation marks, so that any login shell (sh, bash, zsh, fish,
csh) hands it on unchanged.

A reply looks like this, with TOKEN for the marker::

    (whatever the login shell prints by itself)
    TOKEN begin
    Active Internet connections (servers and established)
    ...
    TOKEN end 0 1000 none netstat -antuwpW /usr/bin/netstat

``end`` is followed by the tool's exit status, the user id, how sudo was used, the tool (netstat,
ss, none or running), its options and its path. ``TOKEN next`` stands between two attempts where
the first tool knew not the options.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hosts.target import Sudo
from probes.transports.base import Command

SUDO_PASSWORD_MAX_BYTES = 1023
"""SUDO_CONV_REPL_MAX of sudo_plugin(5): what is longer spills over into sudo's next attempt."""

# The marker and the sudo prompt come first on standard input. Administration folders are often
# missing from the PATH of a plain user, and both tools may live there.
_SETUP = (
    "read -r t p; LC_ALL=C; PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export LC_ALL PATH; "
    'echo "$t begin"; n=$(command -v netstat); s=$(command -v ss); '
)

# A hung netstat is not started twice. The lock is held on the home directory itself: nothing is
# written, no other user can take it, and the kernel frees it when shell and netstat are gone.
# Probes that merely meet wait 2 s for each other; busybox knows no -w. Statuses other than 1 are
# file systems without locks. Where flock is missing, a file names the shell that still waits.
_LOCK = (
    'l=0; f=; if [ -r "$HOME" ]; then if command -v flock >/dev/null 2>&1; then '
    'exec 9<"$HOME"; flock -w 2 9 2>/dev/null || flock -n 9 2>/dev/null; l=$?; '
    "else f=$HOME/.netadmin-probe-$(uname -n); q=; "
    'if [ -r "$f" ]; then read -r q <"$f"; fi; '
    'if [ -n "$q" ] && kill -0 "$q" 2>/dev/null; then l=1; f=; '
    'else { echo $$ >"$f"; } 2>/dev/null; fi; fi; fi; '
)

# Every socket, numeric, with processes, addresses uncut (-W: without it net-tools shortens IPv6
# addresses to other valid ones). A tool that fails although it knows the options is not run again:
# its table or its complaint stands. The checks with -nWw and -npw (busybox is often built without
# either) are cheap, need no sudo, and on BSD, where -w wants a value, end as usage errors.
_RUN = (
    "e=127; k=none; o=-; q=; "
    "if [ $l -eq 1 ]; then k=running; "
    'elif [ -n "$n" ]; then k=netstat; o=-antuwpW; q=$n; {sudo}"$n" $o{stdin}; e=$?; '
    '[ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || {{ echo "$t next"; '
    'o=-antuwp; if [ -n "$s" ]; then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; '
    '{sudo}"$q" $o{stdin}; e=$?; }}; '
    'elif [ -n "$s" ]; then k=ss; o=-antuwp; q=$s; {sudo}"$s" $o{stdin}; e=$?; fi; '
    '[ -z "$f" ] || rm -f "$f"; '
    'echo "$t end $e $(id -u) {how} $k $o $q"'
)


def _socket_table(how: Sudo, *, sudo: str, stdin: str) -> str:
    script = _SETUP + _LOCK + _RUN.format(sudo=sudo, stdin=stdin, how=how.value)
    return f"exec /bin/sh -c '{script}'"


LINES: Mapping[str, str] = MappingProxyType(
    {
        "sockets": _socket_table(Sudo.NONE, sudo="", stdin=" </dev/null"),
        "sockets by sudo": _socket_table(Sudo.NOPASSWD, sudo="sudo -n ", stdin=" </dev/null"),
        "sockets by sudo with a password": _socket_table(
            Sudo.PASSWORD, sudo='sudo -S -p "$p" ', stdin=""
        ),
    }
)
"""Every command line there is, by what it is for."""


class UnusablePassword(ValueError):
    """A sudo password that sudo could not read as one attempt; the message holds none of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The framed output, taken apart."""

    table: bytes = field(repr=False)
    """Standard output of the last tool that ran: an earlier one knew not the options."""
    exit_status: int
    """Of the last tool that ran; 127 where none was found or sudo is missing."""
    uid: int | None
    """User id of the login, before sudo."""
    tool: str
    """``netstat``, ``ss``, ``none`` (both missing) or ``running`` (an earlier one hangs)."""
    options: str
    """As given to the tool; with a ``W``, netstat left no address cut."""
    path: str

    @property
    def wide(self) -> bool:
        """Whether netstat was asked not to cut addresses."""
        return self.tool == "netstat" and "W" in self.options


def sockets(sudo: Sudo = Sudo.NONE, *, password: str | None = None) -> Command:
    """The command that prints every socket of a host, framed by a fresh random marker.

    Raises UnusablePassword where sudo needs a password and this one cannot be typed at its
    prompt: missing, with a line break or NUL, or longer than sudo reads.
    """
    token = secrets.token_hex(16)
    end = f"{token} end ".encode()
    if sudo is not Sudo.PASSWORD:
        line = LINES["sockets" if sudo is Sudo.NONE else "sockets by sudo"]
        return Command(line=line, stdin=f"{token} -\n".encode(), end=end)
    prompt = f"sudo-{secrets.token_hex(16)}:"
    return Command(
        line=LINES["sockets by sudo with a password"],
        stdin=f"{token} {prompt}\n".encode(),
        end=end,
        prompt=prompt.encode(),
        answer=_typed(password),
    )


def _typed(password: str | None) -> bytes:
    if not password:
        raise UnusablePassword("no sudo password is stored")
    typed = password.encode("utf-8", "surrogateescape")
    if any(byte in typed for byte in b"\n\r\0"):
        raise UnusablePassword("the sudo password holds a line break, which sudo cannot read")
    if len(typed) > SUDO_PASSWORD_MAX_BYTES:
        raise UnusablePassword("the sudo password is longer than sudo reads")
    return typed + b"\n"


def read_reply(command: Command, stdout: bytes) -> Reply | None:
    """Take a complete output apart; None where the frame is missing or not as we made it."""
    end_at = stdout.find(command.end)
    if end_at < 0:
        return None
    fields_at = end_at + len(command.end)
    fields = stdout[fields_at : fields_at + 4096].partition(b"\n")[0]
    words = fields.decode("utf-8", "replace").split(" ", 5)
    if len(words) != 6 or not _is_number(words[0]):
        return None
    exit_status, uid, _how, tool, options, path = words
    return Reply(
        table=stdout[_table_at(command, stdout, end_at) : end_at],
        exit_status=int(exit_status),
        uid=int(uid) if _is_number(uid) else None,
        tool=tool if tool in ("netstat", "ss", "running") else "none",
        options=options[:20],
        path=path[:200],
    )


def unframed(command: Command, stdout: bytes) -> bytes:
    """What the host printed after our first marker, of an output that is not whole."""
    return stdout[_table_at(command, stdout, len(stdout)) :]


def _table_at(command: Command, stdout: bytes, end_at: int) -> int:
    token = command.end.removesuffix(b" end ")
    for marker in (token + b" next\n", token + b" begin\n"):
        at = stdout.rfind(marker, 0, end_at)
        if at >= 0:
            return at + len(marker)
    return 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10
