"""What a probe costs the controller, against asyncssh, OpenSSH ControlMaster and a new ssh each.

``python -m bench.probing [HOSTS]`` prints the table of docs/performance.md. One loopback sshd
stands for all hosts: each logical host has a connection of its own. Every client runs the very
line that netadmin sends, 20 at once, and gets the same 300 sockets; aes128-gcm and curve25519 for
all. CPU is user and system time of the client's process and its children (for ControlMaster the
masters too), connections open and warm, never sshd's. Each client has a process of its own and
one core, where it is not paid for passing the interpreter's lock between cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.netstat_text import generate
from hosts.target import Login, Pin, Target
from probes import commands, runner
from probes.transports.base import Command, Deadline
from probes.transports.pool import Pool
from tests.sshd import Sshd, toolbox

HOSTS = 200
ROUNDS = 5
AT_ONCE = 20
SOCKETS = 300
NEW_SSH_HOSTS = 100
IDLE_S = 30.0
BULK_BYTES = 10_000_000
CIPHER = "aes128-gcm@openssh.com"
EXCHANGE = "curve25519-sha256"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CLIENTS = {
    "netadmin": "netadmin, kept connections (whole `observe`)",
    "asyncssh": "asyncssh, kept connections",
    "master": "OpenSSH ControlMaster, warm",
    "new": "new `ssh` each",
}

Result = dict[str, float]


def main(hosts: int) -> str:
    """The result tables as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table").write_text(generate(SOCKETS, 1), encoding="utf-8")
        (folder / "bulk").write_bytes(b"x" * 99 + b"\n" + b"y" * (BULK_BYTES - 100))
        path = toolbox(folder / "bin", netstat=f"exec cat {folder / 'table'}")
        options = (f"MaxStartups {hosts + 50}", "MaxSessions 10", "LogLevel ERROR")
        environment = {"PATH": str(path)}
        with Sshd(folder / "sshd", environment=environment, options=options) as sshd:
            (folder / "known_hosts").write_text(
                f"[127.0.0.1]:{sshd.port} {sshd.pins[0].key_type} {sshd.pins[0].key_base64}\n"
            )
            config = {
                "folder": str(folder),
                "hosts": hosts,
                "port": sshd.port,
                "user": sshd.user,
                "key_file": str(sshd.client_key_file),
                "pin": [sshd.pins[0].key_type, sshd.pins[0].key_base64],
            }
            (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
            results = {client: _in_own_process(client, folder) for client in CLIENTS}
            bulk = {client: _in_own_process(client, folder) for client in ("bulk", "bulk-ssh")}
    return "\n".join([*_probe_table(results), "", *_idle_lines(results, bulk)])


def _probe_table(results: dict[str, Result]) -> list[str]:
    master = results["master"]["cpu_ms"]
    ours = results["netadmin"]["cpu_ms"]
    lines = [
        "| client | CPU ms/probe | probes/s | ControlMaster costs ... times | times netadmin |",
        "|---|---|---|---|---|",
    ]
    for client, title in CLIENTS.items():
        result = results[client]
        cpu = result["cpu_ms"]
        lines.append(
            f"| {title} | {cpu:.2f} | {result['per_s']:.0f} | {master / cpu:.1f} "
            f"| {cpu / ours:.2f} |"
        )
    return lines


def _idle_lines(results: dict[str, Result], bulk: dict[str, Result]) -> list[str]:
    ours = results["netadmin"]
    return [
        f"Idle: {ours['idle_percent']:.4f} % of a core and {ours['kept_kb']:.0f} KB a kept "
        f"connection. A new connection with its first probe: {ours['first_ms']:.1f} ms of CPU.",
        f"10 MB: {bulk['bulk']['wall_ms']:.0f} ms, "
        f"{bulk['bulk']['wall_ms'] / bulk['bulk-ssh']['wall_ms']:.2f} times OpenSSH's "
        f"({bulk['bulk']['cpu_ms']:.0f} ms of CPU).",
    ]


def _in_own_process(client: str, folder: Path) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "bench.probing", "--client", client, str(folder)],
        stdout=subprocess.PIPE,
        check=True,
    )
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def _cpu_s(masters: Sequence[int] = ()) -> float:
    """CPU of this process, its finished children and the running processes named."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    for pid in masters:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return total


def _measured(work: Callable[[], int], masters: Sequence[int] = ()) -> Result:
    """CPU and wall time of ``work``, which returns how many probes it made."""
    cpu, wall = _cpu_s(masters), time.perf_counter()
    probes = work()
    cpu, wall = _cpu_s(masters) - cpu, time.perf_counter() - wall
    return {"cpu_ms": cpu / probes * 1000, "per_s": probes / wall}


def _client(client: str, folder: Path) -> Result:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "netadmin": _netadmin,
        "asyncssh": _asyncssh,
        "master": _control_master,
        "new": _new_ssh,
        "bulk": _bulk,
        "bulk-ssh": _bulk_by_ssh,
    }[client](config)


def _targets(config: dict[str, Any]) -> list[Target]:
    login = Login(config["user"], key_file=config["key_file"])
    return [
        Target(
            f"host{number}",
            "127.0.0.1",
            config["port"],
            login=login,
            login_version=str(number),
            pins=(Pin(*config["pin"]),),
            deadline_s=60.0,
        )
        for number in range(config["hosts"])
    ]


def _netadmin(config: dict[str, Any]) -> Result:
    targets = _targets(config)

    def probe(target: Target) -> None:
        observation = runner.observe(target, pool=pool)
        assert observation.failure is None, observation.failure
        assert observation.text.count("\n") >= SOCKETS

    with Pool() as pool, ThreadPoolExecutor(AT_ONCE) as threads:

        def once() -> int:
            return sum(1 for _none in threads.map(probe, targets))

        # Threads, imports and the key are paid for before anything is counted.
        list(threads.map(runner.observe, targets[:AT_ONCE]))
        held = _resident_kb()
        first = _measured(once)
        result = _measured(lambda: sum(once() for _round in range(ROUNDS)))
        result["first_ms"] = first["cpu_ms"]
        result["kept_kb"] = (_resident_kb() - held) / len(targets)
        before = _cpu_s()
        time.sleep(IDLE_S)
        result["idle_percent"] = (_cpu_s() - before) / IDLE_S / len(targets) * 100
    return result


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def _asyncssh(config: dict[str, Any]) -> Result:
    import asyncssh

    line = commands.LINES["sockets"]

    async def run() -> Result:
        turns = asyncio.Semaphore(AT_ONCE)

        async def connect() -> Any:
            async with turns:
                return await asyncssh.connect(
                    "127.0.0.1",
                    config["port"],
                    username=config["user"],
                    client_keys=[config["key_file"]],
                    known_hosts=str(Path(config["folder"]) / "known_hosts"),
                    encryption_algs=[CIPHER],
                    kex_algs=[EXCHANGE],
                    config=None,
                )

        async def probe(connection: Any) -> None:
            async with turns:
                done = await connection.run(line, input=b"token -\n", encoding=None)
            assert b"token end 0" in done.stdout

        connections = await asyncio.gather(*(connect() for _host in range(config["hosts"])))
        await asyncio.gather(*map(probe, connections))
        cpu, wall = _cpu_s(), time.perf_counter()
        for _round in range(ROUNDS):
            await asyncio.gather(*map(probe, connections))
        cpu, wall = _cpu_s() - cpu, time.perf_counter() - wall
        for connection in connections:
            connection.close()
        probes = ROUNDS * len(connections)
        return {"cpu_ms": cpu / probes * 1000, "per_s": probes / wall}

    return asyncio.run(run())


def _ssh(config: dict[str, Any], *options: str) -> list[str]:
    return [
        *("ssh", "-F", "none", "-T", "-p", str(config["port"]), "-i", config["key_file"]),
        *("-c", CIPHER, "-o", f"KexAlgorithms={EXCHANGE}", "-o", "IdentitiesOnly=yes"),
        *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        *("-o", f"UserKnownHostsFile={config['folder']}/known_hosts"),
        *options,
        f"{config['user']}@127.0.0.1",
    ]


def _probe_by(command: list[str]) -> None:
    done = subprocess.run(
        [*command, commands.LINES["sockets"]],
        input=b"token -\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    assert b"token end 0" in done.stdout


def _control_master(config: dict[str, Any]) -> Result:
    sockets = [f"{config['folder']}/m{number}" for number in range(config["hosts"])]
    masters: list[subprocess.Popen[bytes]] = []

    def open_master(socket: str) -> None:
        command = _ssh(config, "-N", "-o", "ControlMaster=yes", "-o", f"ControlPath={socket}")
        masters.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        deadline = time.monotonic() + 30
        while not Path(socket).exists():
            assert time.monotonic() < deadline, "no ControlMaster"
            time.sleep(0.02)

    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(open_master, sockets))
        commands_by_host = [_ssh(config, "-o", f"ControlPath={socket}") for socket in sockets]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(_probe_by, commands_by_host[:AT_ONCE]))

            def work() -> int:
                return sum(1 for _none in threads.map(_probe_by, commands_by_host * 2))

            return _measured(work, [master.pid for master in masters])
    finally:
        for master in masters:
            master.terminate()
        for master in masters:
            try:
                master.wait(5)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()


def _new_ssh(config: dict[str, Any]) -> Result:
    jobs = [_ssh(config)] * min(config["hosts"], NEW_SSH_HOSTS)
    # sshd's children compete for the same cores; more than 8 logins at once would be refused by
    # a server with default settings.
    with ThreadPoolExecutor(8) as threads:
        return _measured(lambda: sum(1 for _none in threads.map(_probe_by, jobs)))


def _bulk_line(config: dict[str, Any]) -> str:
    return f"cat {shlex.quote(config['folder'])}/bulk; echo; echo END"


def _bulk(config: dict[str, Any]) -> Result:
    target = _targets(config)[0]
    command = Command(_bulk_line(config), end=b"END")
    with Pool() as pool:

        def once() -> int:
            result = pool.run(target, command, deadline=Deadline.after(60))
            assert result.complete
            assert len(result.stdout) > BULK_BYTES
            return 1

        once()
        result = _measured(lambda: sum(once() for _round in range(ROUNDS)))
        return result | {"wall_ms": 1000 / result["per_s"]}


def _bulk_by_ssh(config: dict[str, Any]) -> Result:
    """OpenSSH's time for the same bytes, without that of its handshake."""

    def wall_ms(line: str) -> float:
        command = [*_ssh(config), line]
        started = time.perf_counter()
        for _round in range(ROUNDS):
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return (time.perf_counter() - started) / ROUNDS * 1000

    return {"wall_ms": wall_ms(_bulk_line(config)) - wall_ms("echo END")}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(json.dumps(_client(sys.argv[2], Path(sys.argv[3]))))
    else:
        print(main(int(sys.argv[1]) if sys.argv[1:] else HOSTS))
