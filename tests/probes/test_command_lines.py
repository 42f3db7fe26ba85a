"""Every command line that can reach a host, byte for byte."""

from __future__ import annotations

import pytest

from hosts.target import Sudo
from probes import commands, replies

SETUP = (
    "read -r t p w; LC_ALL=C; PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export LC_ALL PATH; "
    'echo "$t begin"; n=$(command -v netstat); u=$(uname -s); h() { r=1; for y; do [ -r '
    '/proc/net/$y ] || continue; [ $r -ne 1 ] || r=0; echo "==> /proc/net/$y <=="; cat '
    '/proc/net/$y || r=2; done; return $r; }; l=0; f=; if [ -r "$HOME" ]; then if command -v '
    'flock >/dev/null 2>&1; then exec 9<"$HOME"; flock -w 2 9 2>/dev/null || flock -n 9 '
    '2>/dev/null; l=$?; else f=$HOME/.netadmin-probe-$(uname -n); q=; if [ -r "$f" ]; then read '
    '-r q <"$f"; fi; if [ -n "$q" ] && kill -0 "$q" 2>/dev/null; then l=1; f=; else { echo $$ '
    '>"$f"; } 2>/dev/null; fi; fi; fi; '
)
PLAIN = (
    'e=127; k=none; o=-; q=; if [ $l -eq 1 ]; then k=running; elif [ -n "$n" ]; then k=netstat; '
    "q=$n; case $u in Darwin|*BSD|DragonFly) case $u in Darwin) o=-anvlW;; OpenBSD|NetBSD) "
    'o=-anv;; *) o=-anW;; esac; "$n" $o -f inet </dev/null; e=$?; [ $e -eq 0 ] || "$n" $o -f '
    'inet </dev/null >/dev/null 2>&1 || { echo "$t next"; o=-an; "$n" $o -f inet </dev/null; '
    'e=$?; }; if [ $e -eq 0 ]; then x=$("$n" $o -f inet6 </dev/null); e=$?; printf "%s" "$x" | '
    'grep -v "^[a-z]*46"; y=$?; [ $y -le 1 ] || e=$y; case $u in FreeBSD|DragonFly) sockstat -46 '
    '</dev/null;; NetBSD) sockstat -46n </dev/null;; esac; fi;; *) o=-antuwpW; "$n" $o '
    '</dev/null; e=$?; [ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || { echo "$t next"; '
    'o=-antuwp; if s=$(command -v ss); then k=ss; q=$s; else "$n" -npw </dev/null >/dev/null '
    '2>&1 || o=-antuw; fi; "$q" $o </dev/null; e=$?; };; esac; elif s=$(command -v ss); then '
    'k=ss; o=-antuwp; q=$s; "$s" $o </dev/null; e=$?; elif [ -r /proc/net/tcp ]; then k=proc; '
    'q=/proc/net; h tcp tcp6 udp udp6 udplite udplite6 raw raw6; e=$?; fi; [ -z "$f" ] || rm -f '
    '"$f"; echo "$t end $e $(id -u) none $k $o $q"; '
)
BY_SUDO = (
    'e=127; k=none; o=-; q=; if [ $l -eq 1 ]; then k=running; elif [ -n "$n" ]; then k=netstat; '
    "q=$n; case $u in Darwin|*BSD|DragonFly) case $u in Darwin) o=-anvlW;; OpenBSD|NetBSD) "
    'o=-anv;; *) o=-anW;; esac; sudo -n "$n" $o -f inet </dev/null; e=$?; [ $e -eq 0 ] || "$n" '
    '$o -f inet </dev/null >/dev/null 2>&1 || { echo "$t next"; o=-an; sudo -n "$n" $o -f inet '
    '</dev/null; e=$?; }; if [ $e -eq 0 ]; then x=$(sudo -n "$n" $o -f inet6 </dev/null || "$n" '
    '$o -f inet6 </dev/null); e=$?; printf "%s" "$x" | grep -v "^[a-z]*46"; y=$?; [ $y -le 1 ] '
    "|| e=$y; case $u in FreeBSD|DragonFly) sudo -n sockstat -46 </dev/null || sockstat -46 "
    "</dev/null;; NetBSD) sudo -n sockstat -46n </dev/null || sockstat -46n </dev/null;; esac; "
    'fi;; *) o=-antuwpW; sudo -n "$n" $o </dev/null; e=$?; [ $e -eq 0 ] || "$n" -nWw </dev/null '
    '>/dev/null 2>&1 || { echo "$t next"; o=-antuwp; if s=$(command -v ss); then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; sudo -n "$q" $o </dev/null; '
    'e=$?; };; esac; elif s=$(command -v ss); then k=ss; o=-antuwp; q=$s; sudo -n "$s" $o '
    "</dev/null; e=$?; elif [ -r /proc/net/tcp ]; then k=proc; q=/proc/net; h tcp tcp6 udp udp6 "
    'udplite udplite6 raw raw6; e=$?; fi; [ -z "$f" ] || rm -f "$f"; echo "$t end $e $(id -u) '
    'nopasswd $k $o $q"; '
)
BY_SUDO_WITH_A_PASSWORD = (
    'e=127; k=none; o=-; q=; if [ $l -eq 1 ]; then k=running; elif [ -n "$n" ]; then k=netstat; '
    "q=$n; case $u in Darwin|*BSD|DragonFly) case $u in Darwin) o=-anvlW;; OpenBSD|NetBSD) "
    'o=-anv;; *) o=-anW;; esac; sudo -S -p "$p" "$n" $o -f inet; e=$?; [ $e -eq 0 ] || "$n" $o '
    '-f inet </dev/null >/dev/null 2>&1 || { echo "$t next"; o=-an; sudo -S -p "$p" "$n" $o -f '
    'inet; e=$?; }; if [ $e -eq 0 ]; then x=$(sudo -n "$n" $o -f inet6 </dev/null || "$n" $o -f '
    'inet6 </dev/null); e=$?; printf "%s" "$x" | grep -v "^[a-z]*46"; y=$?; [ $y -le 1 ] || '
    "e=$y; case $u in FreeBSD|DragonFly) sudo -n sockstat -46 </dev/null || sockstat -46 "
    "</dev/null;; NetBSD) sudo -n sockstat -46n </dev/null || sockstat -46n </dev/null;; esac; "
    'fi;; *) o=-antuwpW; sudo -S -p "$p" "$n" $o; e=$?; [ $e -eq 0 ] || "$n" -nWw </dev/null '
    '>/dev/null 2>&1 || { echo "$t next"; o=-antuwp; if s=$(command -v ss); then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; sudo -S -p "$p" "$q" $o; e=$?; '
    '};; esac; elif s=$(command -v ss); then k=ss; o=-antuwp; q=$s; sudo -S -p "$p" "$s" $o; '
    "e=$?; elif [ -r /proc/net/tcp ]; then k=proc; q=/proc/net; h tcp tcp6 udp udp6 udplite "
    'udplite6 raw raw6; e=$?; fi; [ -z "$f" ] || rm -f "$f"; echo "$t end $e $(id -u) password '
    '$k $o $q"; '
)
TABLES = (
    '[ "$w" = tables ] || exit 0; exec 9<&- 2>/dev/null; k=; if timeout -s KILL 4 sh -c :; then '
    "k=t; elif command -v perl >/dev/null; then k=p; fi; g() { case $k in t) timeout -s KILL 4 "
    '"$@";; p) perl -e "alarm 4; exec @ARGV; exit 127" "$@";; *) "$@";; esac </dev/null; }; b() '
    '{ echo "$t table $1 $2"; shift 2; "$@"; r=$?; echo "$t status $r"; return $r; }; c() { for y; '
    'do [ -r /proc/sys/$y ] || continue; echo "==> $y <=="; cat /proc/sys/$y; done; }; j() { g ip '
    "route && g ip -6 route; }; case $u in Darwin) i=-ibdnW; m=-gn; v=-rnl;; OpenBSD|NetBSD) "
    "i=-idn; m=-ian; v=-rn;; *) i=-ibdnW; m=-ian; v=-rnW;; esac; case $u in "
    "Darwin|*BSD|DragonFly) b limits sysctl g sysctl kern.ostype kern.osrelease "
    "kern.ipc.somaxconn kern.somaxconn net.inet.ip.portrange.first net.inet.ip.portrange.last "
    "net.inet.ip.portfirst net.inet.ip.portlast net.inet.ip.anonportmin net.inet.ip.anonportmax "
    "net.inet.tcp.msl net.inet.tcp.syncookies 2>/dev/null; "
    'b interfaces netstat g "$n" $i; b protocols netstat g "$n" -s; b '
    'multicast netstat g "$n" $m; b routes netstat g "$n" $v;; *) b limits proc c kernel/ostype '
    "kernel/osrelease net/core/somaxconn net/ipv4/ip_local_port_range "
    "net/ipv4/ip_local_reserved_ports net/ipv4/tcp_max_syn_backlog net/ipv4/tcp_syncookies "
    "net/ipv4/tcp_max_tw_buckets net/ipv4/tcp_tw_reuse net/ipv4/tcp_fin_timeout "
    "net/ipv4/tcp_abort_on_overflow net/netfilter/nf_conntrack_max "
    'net/netfilter/nf_conntrack_count 2>/dev/null; b interfaces netstat g "$n" '
    "-aie || b interfaces ip g ip -s -s addr || b interfaces proc h dev; b protocols netstat g "
    '"$n" -s || b protocols nstat g nstat -asz || b protocols proc h snmp netstat snmp6; b '
    'multicast netstat g "$n" -gn || b multicast ip g ip maddr || b multicast proc h igmp igmp6; '
    'b routes netstat g "$n" -rne46 || b routes ip j || b routes proc h route ipv6_route;; esac; '
    'echo "$t done"'
)


def line(run: str) -> str:
    return f"exec /bin/sh -c '{SETUP}{run}{TABLES}'"


def test_every_command_line_is_known_byte_for_byte() -> None:
    assert dict(commands.LINES) == {
        "sockets": line(PLAIN),
        "sockets by sudo": line(BY_SUDO),
        "sockets by sudo with a password": line(BY_SUDO_WITH_A_PASSWORD),
        "restart": (
            "exec /bin/sh -c 'IFS= read -r t; IFS= read -r p; IFS= read -r c; "
            "PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export PATH; "
            'while [ $# -lt "$c" ]; do IFS= read -r w || exit 125; set -- "$@" "$w"; done; '
            "s=; if command -v setsid >/dev/null 2>&1; then s=setsid; fi; "
            'echo "$t begin"; (exec $s "$@" </dev/null); e=$?; echo; echo "$t end $e"\''
        ),
        "restart by sudo": (
            "exec /bin/sh -c 'IFS= read -r t; IFS= read -r p; IFS= read -r c; "
            "PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export PATH; LC_ALL=C; export LC_ALL; "
            'while [ $# -lt "$c" ]; do IFS= read -r w || exit 125; set -- "$@" "$w"; done; '
            "s=; if command -v setsid >/dev/null 2>&1; then s=setsid; fi; "
            'echo "$t begin"; (exec $s sudo -n -- "$@" </dev/null); e=$?; echo; '
            'echo "$t end $e"\''
        ),
        "restart by sudo with a password": (
            "exec /bin/sh -c 'IFS= read -r t; IFS= read -r p; IFS= read -r c; "
            "PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export PATH; LC_ALL=C; export LC_ALL; "
            'while [ $# -lt "$c" ]; do IFS= read -r w || exit 125; set -- "$@" "$w"; done; '
            "s=; if command -v setsid >/dev/null 2>&1; then s=setsid; fi; "
            'echo "$t begin"; (exec $s sudo -S -p "$p" -- "$@"); e=$?; echo; echo "$t end $e"\''
        ),
        "windows sockets": "netstat -ano",
        "windows processes": "tasklist -fo csv -nh",
        "windows code page": "chcp.com",
        "windows interfaces": "netstat -e",
        "windows protocols": "netstat -s",
        "windows routes": "netstat -rn",
    }


@pytest.mark.parametrize("tables", [False, True])
def test_a_command_is_one_of_the_known_lines_whatever_the_secrets_are(tables: bool) -> None:
    for how in Sudo:
        for password in ("plain", "'$(id)", "`id`;id|id", "--help", "✓ 🔑"):
            made = commands.sockets(how, password=password, tables=tables)
            assert made.line in commands.LINES.values()


HOSTILE = (
    "; id", "$(id)", "`id`", "-rf", "--", "a b  c ", "'", '"', "\\", "!x", "*", "~", "&& id",
    "| id", "A=b", "${IFS}", "日本 ✓",
)  # fmt: skip
"""Words that a shell would read otherwise than as themselves."""


@pytest.mark.parametrize("how", list(Sudo))
def test_the_words_of_a_restart_are_in_no_line_and_travel_one_by_one(how: Sudo) -> None:
    made = commands.restart(["systemctl", *HOSTILE], how, password="p")
    assert made.line in commands.LINES.values()
    assert made.line == commands.restart(["true"], how, password="p").line
    token, prompt, count, *words = made.stdin.decode().split("\n")
    assert (int(count), words) == (1 + len(HOSTILE), ["systemctl", *HOSTILE, ""])
    assert prompt == (made.prompt.decode() or "-")
    assert token == replies.token(made).decode()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "empty"),
        (["true"] * 65, "too_many"),
        (["true", ""], "blank"),
        (["true", "x" * 1001], "too_long"),
        (["true", "two\nlines"], "unprintable"),
        (["true", "nul\0"], "unprintable"),
        (["true", "\x1b[31m"], "unprintable"),
        (["true", "a\rb"], "unprintable"),
        (["true", "\u202eevil"], "unprintable"),
        (["-rf"], "program"),
        (["--"], "program"),
        (["A=b", "id"], "program"),
        (["$(id)"], "program"),
        (["`id`"], "program"),
        (["id;id"], "program"),
        (["a b"], "program"),
        (["./run"], "program"),
        (["bin/run"], "program"),
        (["/"], "program"),
    ],
)
def test_words_that_are_no_program_with_its_arguments_are_refused(
    words: list[str], code: str
) -> None:
    with pytest.raises(commands.UnusableWords) as refused:
        commands.restart(words)
    assert refused.value.code == code


def test_a_restart_is_shown_as_one_would_type_it() -> None:
    words = ["systemctl", "restart", "a b;$(id)"]
    assert commands.restart_shown(words, Sudo.NOPASSWD) == "sudo -n systemctl restart 'a b;$(id)'"
    assert commands.restart_shown(words) == "systemctl restart 'a b;$(id)'"


def test_what_to_take_is_asked_for_on_standard_input_alone() -> None:
    for how in Sudo:
        sockets = commands.sockets(how, password="p")
        everything = commands.sockets(how, password="p", tables=True)
        assert sockets.line == everything.line
        assert sockets.stdin.split()[2] == b"-"
        assert everything.stdin.split()[2] == b"tables"


def test_no_line_for_a_shell_holds_what_some_login_shell_would_change() -> None:
    for line in commands.LINES.values():
        script = line.removeprefix("exec /bin/sh -c '").removesuffix("'")
        assert not set("'\\!\n") & set(script)


def test_the_lines_for_windows_are_plain_words_to_every_shell() -> None:
    for name, line in commands.LINES.items():
        if name.startswith("windows "):
            assert commands.windows(name.removeprefix("windows ")).line == line
            assert not set(line) - set("abcdefghijklmnopqrstuvwxyz-. ")


def test_marker_and_prompt_are_new_each_time_and_never_in_the_line() -> None:
    first, second = (commands.sockets(Sudo.PASSWORD, password="p") for _ in range(2))
    assert first.line == second.line
    assert first.end != second.end
    assert first.prompt != second.prompt
    assert replies.token(first).decode() not in first.line
    assert first.prompt.decode() not in first.line


def test_the_repr_of_a_command_shows_neither_password_nor_marker() -> None:
    command = commands.sockets(Sudo.PASSWORD, password="hunter2")
    assert "hunter2" not in repr(command)
    assert replies.token(command).decode() not in repr(command)
