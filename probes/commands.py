"""Every command line that can reach a host.

Place in the data's way: the runner asks for a Command, a transport runs it, ``probes.replies``
takes the framed output apart again. The only place that quotes. Pure: starts nothing, connects
nowhere.

The lines are constants. Nothing a person or a host typed ever becomes part of one; what differs
from probe to probe (the random marker, the sudo prompt and password, whether the other tables are
wanted, the words of a restart) travels on standard input, so it is in no process list of a shell
either.

For everything with a shell of its own there is one line, in three forms of sudo. It is one ``sh``
script in single quotes, free of single quotes, backslashes and exclamation marks, so that any login
shell (sh, bash, zsh, fish, csh) hands it on unchanged. ``uname`` decides what it runs: Linux and
whatever is unknown, macOS, or a BSD. What it prints is told in ``probes.replies``.

Windows has no shell to count on: OpenSSH there starts cmd.exe, PowerShell or bash. So its lines
are plain words without quoting, which all three read alike, each on a channel of its own, and none
of them is framed.

The lines for macOS and BSD follow the manual pages and sources of their netstat and sockstat; they
are tested with programs that stand for them, not on such systems.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hosts.target import Sudo
from probes.transports.base import Command

SUDO_PASSWORD_MAX_BYTES = 1023
"""SUDO_CONV_REPL_MAX of sudo_plugin(5): what is longer spills over into sudo's next attempt."""

TABLE_LIMIT_S = 4
"""How long one tool may take over one of the other tables before it is ended on the host."""

# The marker, the sudo prompt and what to take come first on standard input. Administration folders
# are often missing from the PATH of a plain user, and the tools may live there. h prints files of
# /proc/net, each below its name: 0 where there is at least one and all that are there were read.
PROC_SOCKETS = "tcp tcp6 udp udp6 udplite udplite6 raw raw6"
"""Files of /proc/net that hold the sockets, as proc(5) has them."""

KERNEL_LIMITS = (
    "kernel/ostype kernel/osrelease net/core/somaxconn net/ipv4/ip_local_port_range"
    " net/ipv4/ip_local_reserved_ports net/ipv4/tcp_max_syn_backlog net/ipv4/tcp_syncookies"
    " net/ipv4/tcp_max_tw_buckets net/ipv4/tcp_tw_reuse net/ipv4/tcp_fin_timeout"
    " net/ipv4/tcp_abort_on_overflow net/netfilter/nf_conntrack_max"
    " net/netfilter/nf_conntrack_count"
)
"""Files of /proc/sys that hold the limits of a Linux kernel by which findings judge."""

BSD_LIMITS = (
    "kern.ostype kern.osrelease kern.ipc.somaxconn kern.somaxconn net.inet.ip.portrange.first"
    " net.inet.ip.portrange.last net.inet.ip.portfirst net.inet.ip.portlast"
    " net.inet.ip.anonportmin net.inet.ip.anonportmax net.inet.tcp.msl net.inet.tcp.syncookies"
)
"""What sysctl(8) calls them on macOS and the BSDs; none of these has all."""

_SETUP = (
    "read -r t p w; LC_ALL=C; PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export LC_ALL PATH; "
    'echo "$t begin"; n=$(command -v netstat); u=$(uname -s); '
    "h() { r=1; for y; do [ -r /proc/net/$y ] || continue; [ $r -ne 1 ] || r=0; "
    'echo "==> /proc/net/$y <=="; cat /proc/net/$y || r=2; done; return $r; }; '
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

# macOS and BSD: every socket, numeric, addresses uncut (-W on macOS and FreeBSD, -l on macOS too,
# -v on OpenBSD and NetBSD, where -W does not exist or wants a value; -v on macOS adds PIDs). Asked
# for by family, which leaves UNIX sockets out; those of both families (tcp46) come with either, so
# the second time they are dropped. sockstat adds the PIDs; where it fails, only those are missing.
_BSD = (
    "Darwin|*BSD|DragonFly) "
    "case $u in Darwin) o=-anvlW;; OpenBSD|NetBSD) o=-anv;; *) o=-anW;; esac; "
    '{sudo}"$n" $o -f inet{stdin}; e=$?; '
    '[ $e -eq 0 ] || "$n" $o -f inet </dev/null >/dev/null 2>&1 || {{ echo "$t next"; o=-an; '
    '{sudo}"$n" $o -f inet{stdin}; e=$?; }}; '
    "if [ $e -eq 0 ]; then "
    "x=$({inet6}); e=$?; "
    'printf "%s" "$x" | grep -v "^[a-z]*46"; y=$?; [ $y -le 1 ] || e=$y; '
    "case $u in FreeBSD|DragonFly) {sockstat46};; NetBSD) {sockstat46n};; esac; fi;; "
)

# Linux and the unknown: every socket, numeric, with processes, addresses uncut (-W: without it
# net-tools shortens IPv6 addresses to other valid ones). A tool that fails although it knows the
# options is not run again: its table or its complaint stands. The checks with -nWw and -npw
# (busybox is often built without either) are cheap and need no sudo.
_LINUX = (
    '*) o=-antuwpW; {sudo}"$n" $o{stdin}; e=$?; '
    '[ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || {{ echo "$t next"; '
    "o=-antuwp; if s=$(command -v ss); then k=ss; q=$s; "
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; '
    '{sudo}"$q" $o{stdin}; e=$?; }};; '
)

# Where there is neither netstat nor ss, what Linux shows to everybody, without PIDs.
_RUN = (
    "e=127; k=none; o=-; q=; "
    "if [ $l -eq 1 ]; then k=running; "
    'elif [ -n "$n" ]; then k=netstat; q=$n; case $u in ' + _BSD + _LINUX + "esac; "
    'elif s=$(command -v ss); then k=ss; o=-antuwp; q=$s; {sudo}"$s" $o{stdin}; e=$?; '
    "elif [ -r /proc/net/tcp ]; then k=proc; q=/proc/net; "
    f"h {PROC_SOCKETS}; e=$?; fi; "
    '[ -z "$f" ] || rm -f "$f"; '
    'echo "$t end $e $(id -u) {how} $k $o $q"; '
)

# The other tables, where they are wanted, once the end of the sockets is told. The lock is given
# back first: what hangs here must not stop the next probe of the sockets. Instead g ends a tool
# that takes too long, so that each table fails alone: by timeout where there is one (old ones of
# busybox read its words differently), by perl where there is that (macOS, OpenBSD), and else only
# the probe's own deadline does. b tries one tool on one table and tells how it ended; the next is
# tried where it failed. On the BSDs -g tells of multicast routing, -ia of memberships; on OpenBSD
# and NetBSD -b shows bytes in place of packets. Without -e net-tools leaves out the metric of IPv4
# routes. Interfaces and counters come first and routes last: a router with every route of the
# Internet then passes the byte cap with all else told. Before all of them come the limits of the
# kernel (c): short files that no tool has to run for; on the BSDs sysctl complains of the names it
# does not know and goes on.
_TABLES = (
    '[ "$w" = tables ] || exit 0; exec 9<&- 2>/dev/null; '
    f"k=; if timeout -s KILL {TABLE_LIMIT_S} sh -c :; then k=t; "
    "elif command -v perl >/dev/null; then k=p; fi; "
    f'g() {{ case $k in t) timeout -s KILL {TABLE_LIMIT_S} "$@";; '
    f'p) perl -e "alarm {TABLE_LIMIT_S}; exec @ARGV; exit 127" "$@";; '
    '*) "$@";; esac </dev/null; }; '
    'b() { echo "$t table $1 $2"; shift 2; "$@"; r=$?; echo "$t status $r"; return $r; }; '
    "c() { for y; do [ -r /proc/sys/$y ] || continue; "
    'echo "==> $y <=="; cat /proc/sys/$y; done; }; '
    "j() { g ip route && g ip -6 route; }; "
    "case $u in Darwin) i=-ibdnW; m=-gn; v=-rnl;; OpenBSD|NetBSD) i=-idn; m=-ian; v=-rn;; "
    "*) i=-ibdnW; m=-ian; v=-rnW;; esac; "
    "case $u in Darwin|*BSD|DragonFly) "
    f"b limits sysctl g sysctl {BSD_LIMITS} 2>/dev/null; "
    'b interfaces netstat g "$n" $i; b protocols netstat g "$n" -s; '
    'b multicast netstat g "$n" $m; b routes netstat g "$n" $v;; '
    f"*) b limits proc c {KERNEL_LIMITS} 2>/dev/null; "
    'b interfaces netstat g "$n" -aie || b interfaces ip g ip -s -s addr || '
    "b interfaces proc h dev; "
    'b protocols netstat g "$n" -s || b protocols nstat g nstat -asz || '
    "b protocols proc h snmp netstat snmp6; "
    'b multicast netstat g "$n" -gn || b multicast ip g ip maddr || '
    "b multicast proc h igmp igmp6; "
    'b routes netstat g "$n" -rne46 || b routes ip j || b routes proc h route ipv6_route;; '
    'esac; echo "$t done"'
)


def _posix(how: Sudo) -> str:
    """The line for everything with a shell. sudo reads its password once: what follows it in the
    same session goes by the ticket sudo then keeps, or, where it keeps none, without sudo."""
    sudo, stdin = {
        Sudo.NONE: ("", " </dev/null"),
        Sudo.NOPASSWD: ("sudo -n ", " </dev/null"),
        Sudo.PASSWORD: ('sudo -S -p "$p" ', ""),
    }[how]

    def again(words: str) -> str:
        plain = f"{words} </dev/null"
        return plain if how is Sudo.NONE else f"sudo -n {plain} || {plain}"

    run = _RUN.format(
        sudo=sudo,
        stdin=stdin,
        how=how.value,
        inet6=again('"$n" $o -f inet6'),
        sockstat46=again("sockstat -46"),
        sockstat46n=again("sockstat -46n"),
    )
    return f"exec /bin/sh -c '{_SETUP}{_LOCK}{run}{_TABLES}'"


# A restart reads its words, one a line, into the positional parameters, where no shell looks into
# them again; exec runs programs only, never what the shell itself knows (eval, cd). A session of
# its own, where setsid(1) is there: what the command leaves running must not end with the line.
_RESTART = (
    "IFS= read -r t; IFS= read -r p; IFS= read -r c; "
    "PATH=${{PATH:-/usr/bin:/bin}}:/usr/sbin:/sbin; export PATH; {locale}"
    'while [ $# -lt "$c" ]; do IFS= read -r w || exit 125; set -- "$@" "$w"; done; '
    "s=; if command -v setsid >/dev/null 2>&1; then s=setsid; fi; "
    'echo "$t begin"; (exec $s {sudo}"$@"{stdin}); e=$?; echo; echo "$t end $e"'
)


def _restart(how: Sudo) -> str:
    """The line for everything with a shell. sudo gets ``--``: a word is never an option of it, and
    the C locale, in which its refusals are known."""
    locale = "LC_ALL=C; export LC_ALL; "
    locale, sudo, stdin = {
        Sudo.NONE: ("", "", " </dev/null"),
        Sudo.NOPASSWD: (locale, "sudo -n -- ", " </dev/null"),
        Sudo.PASSWORD: (locale, 'sudo -S -p "$p" -- ', ""),
    }[how]
    return f"exec /bin/sh -c '{_RESTART.format(locale=locale, sudo=sudo, stdin=stdin)}'"


LINES: Mapping[str, str] = MappingProxyType(
    {
        "sockets": _posix(Sudo.NONE),
        "sockets by sudo": _posix(Sudo.NOPASSWD),
        "sockets by sudo with a password": _posix(Sudo.PASSWORD),
        "restart": _restart(Sudo.NONE),
        "restart by sudo": _restart(Sudo.NOPASSWD),
        "restart by sudo with a password": _restart(Sudo.PASSWORD),
        "windows sockets": "netstat -ano",
        "windows processes": "tasklist -fo csv -nh",
        "windows code page": "chcp.com",
        "windows interfaces": "netstat -e",
        "windows protocols": "netstat -s",
        "windows routes": "netstat -rn",
    }
)
"""Every command line there is, by what it is for."""


class UnusablePassword(ValueError):
    """A sudo password that sudo could not read as one attempt; the message holds none of it."""


def sockets(
    sudo: Sudo = Sudo.NONE, *, password: str | None = None, tables: bool = False
) -> Command:
    """The command that prints every socket of a host, framed by a fresh random marker.

    With ``tables`` it goes on with the limits of the kernel, interfaces, protocol counters,
    multicast groups and routes.
    Raises UnusablePassword where sudo needs a password and this one cannot be typed at its
    prompt: missing, with a line break or NUL, or longer than sudo reads.
    """
    token = secrets.token_hex(16)
    end = f"{token} done" if tables else f"{token} end "
    wanted = "tables" if tables else "-"
    if sudo is not Sudo.PASSWORD:
        line = LINES["sockets" if sudo is Sudo.NONE else "sockets by sudo"]
        return Command(line=line, stdin=f"{token} - {wanted}\n".encode(), end=end.encode())
    prompt = f"sudo-{secrets.token_hex(16)}:"
    return Command(
        line=LINES["sockets by sudo with a password"],
        stdin=f"{token} {prompt} {wanted}\n".encode(),
        end=end.encode(),
        prompt=prompt.encode(),
        answer=_typed(password),
    )


MOST_WORDS = 64
MOST_WORD_BYTES = 1000

_PROGRAM = re.compile(r"/[^/].*|[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.DOTALL)
"""The first word: an absolute path, or a name that PATH finds. None is an option, nor a variable
for sudo (``NAME=value``)."""


class UnusableWords(ValueError):
    """Words that are no command; ``code`` is ``empty``, ``too_many``, ``blank``, ``too_long``,
    ``unprintable`` or ``program``, ``number`` the word's, from 1."""

    def __init__(self, code: str, number: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.number = number


def check_words(words: Sequence[str]) -> None:
    """Raise UnusableWords where ``words`` cannot be run by :func:`restart`.

    Control characters, line breaks and NUL are refused wherever they stand; anything else in a
    word after the first is passed on as it is.
    """
    if not words:
        raise UnusableWords("empty")
    if len(words) > MOST_WORDS:
        raise UnusableWords("too_many")
    for number, word in enumerate(words, start=1):
        if not word:
            raise UnusableWords("blank", number)
        if not word.isprintable():
            raise UnusableWords("unprintable", number)
        if len(word.encode()) > MOST_WORD_BYTES:
            raise UnusableWords("too_long", number)
    if _PROGRAM.fullmatch(words[0]) is None:
        raise UnusableWords("program", 1)


def restart(
    words: Sequence[str], sudo: Sudo = Sudo.NONE, *, password: str | None = None
) -> Command:
    """The command that runs ``words`` as one program with its arguments, framed by a fresh marker.

    Raises UnusableWords, and UnusablePassword as :func:`sockets`.
    """
    check_words(words)
    token = secrets.token_hex(16)
    end = f"{token} end ".encode()
    counted = "".join(f"{word}\n" for word in (str(len(words)), *words))
    if sudo is not Sudo.PASSWORD:
        line = LINES["restart" if sudo is Sudo.NONE else "restart by sudo"]
        return Command(line=line, stdin=f"{token}\n-\n{counted}".encode(), end=end)
    prompt = f"sudo-{secrets.token_hex(16)}:"
    return Command(
        line=LINES["restart by sudo with a password"],
        stdin=f"{token}\n{prompt}\n{counted}".encode(),
        end=end,
        prompt=prompt.encode(),
        answer=_typed(password),
    )


def restart_shown(words: Sequence[str], sudo: Sudo = Sudo.NONE) -> str:
    """What :func:`restart` runs, as a person would type it in a shell."""
    before = {Sudo.NONE: [], Sudo.NOPASSWD: ["sudo", "-n"], Sudo.PASSWORD: ["sudo"]}[sudo]
    return shlex.join([*before, *words])


def windows(what: str) -> Command:
    """One of the lines for Windows: ``sockets``, ``processes``, ``code page``, ``interfaces``,
    ``protocols`` or ``routes``. Without a marker: whole where it ended with status 0."""
    return Command(line=LINES[f"windows {what}"])


def _typed(password: str | None) -> bytes:
    if not password:
        raise UnusablePassword("no sudo password is stored")
    typed = password.encode("utf-8", "surrogateescape")
    if any(byte in typed for byte in b"\n\r\0"):
        raise UnusablePassword("the sudo password holds a line break, which sudo cannot read")
    if len(typed) > SUDO_PASSWORD_MAX_BYTES:
        raise UnusablePassword("the sudo password is longer than sudo reads")
    return typed + b"\n"
