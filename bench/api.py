"""Many clients of the JSON routes at once, while the fleet is probed: errors, times, CPU.

``python -m bench.api [--clients 200] [--seconds 60] [--hosts 600] [--database sqlite]`` starts what
``manage.py up`` starts (web server, worker, scheduler, broker) over hosts on one loopback OpenSSH
server, each with a connection of its own and 300 sockets of which a tenth change between probes.
Once every host was probed, the clients ask, each with a token of its own: first without a pause
between their requests, then as pollers that wait a second after each answer and send the ETag they
know. The limits of requests a minute are counted but set out of reach. Prints Markdown for
docs/performance.md; the clients' own process takes its part of the machine as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.netstat_text import churn, generate
from tests.netadmin.test_up import ROOT, Site
from tests.servers import PostgreSQL
from tests.sshd import Sshd, descendants
from tests.waiting import wait_until

SOCKETS = 300
TABLES = 7
"""Replies in turn, not a divisor of an interval in TURN_S: a host gets another one each time."""
TURN_S = 10.0
CHURN = 0.1
UNLIMITED = "1000000"
TICKS_S = os.sysconf("SC_CLK_TCK")
MIX = {
    "hosts": "hosts/?limit=50",
    "connections": "hosts/{host}/connections?limit=100",
    "host's ports": "hosts/{host}/ports",
    "who holds a port": "ports?port=22",
    "statistics": "statistics/states?host={host}",
    "top addresses": "statistics/ips?host={host}",
    "changes": "changes?after={after}",
    "search": "search?q=host{host}",
}
"""What each client asks in turn, each beginning elsewhere."""
FILL = """
import json, sys
from django.contrib.auth.models import User
from hosts.models import Credential, Host, HostKey
from netadmin.access import tokens
from netadmin.access.models import Access, Role, Scope
given = json.load(open({given!r}))
HostKey.objects.create(address="127.0.0.1", port=given["port"], key_type=given["key_type"],
    key_base64=given["key"], fingerprint="SHA256:bench", trust="trusted")
user = User.objects.create_user("poller")
Access.objects.create(user=user, role=Role.VIEWER, all_hosts=True)
made = [tokens.create(user=user, name=f"client {{n}}", scope=Scope.READ)[1]
    for n in range(given["clients"])]
credentials = []
for n in range(given["hosts"]):
    credential = Credential(name=f"bench{{n}}", user=given["user"], method="key")
    credential.set_secret("private_key", given["client_key"])
    credential.save()
    credentials.append(credential)
hosts = Host.objects.bulk_create([
    Host(name=f"host{{n}}", address="127.0.0.1", port=given["port"], credential=credential,
        interval_s=given["interval_s"])
    for n, credential in enumerate(credentials)])
json.dump({{"tokens": made, "hosts": [host.pk for host in hosts]}}, open({told!r}, "w"))
"""


@dataclass
class Measured:
    """What the clients of one run met."""

    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    received: int = 0


def main() -> None:
    """Both runs against one site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--hosts", type=int, default=600)
    parser.add_argument("--interval", type=int, default=60, help="seconds between probes")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--pauses", default="0,1", help="seconds, one run for each")
    parser.add_argument("--no-etags", action="store_true", help="pollers that remember nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netadmin-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with _fleet(folder) as sshd, _database(folder, options.database) as url:
            site = _site(folder, url)
            try:
                site.wait_ready()
                given = _fill(site, sshd, folder, options)
                _wait_until_probed(site, given, options)
                for pause in options.pauses.split(","):
                    print(_run(site, given, options, pause_s=float(pause)), flush=True)
            finally:
                if site.process.poll() is None:
                    site.stop(signal.SIGTERM)


@contextlib.contextmanager
def _fleet(folder: Path) -> Iterator[Sshd]:
    """The hosts' server: its netstat prints the newest of some tables that take turns."""
    text = generate(SOCKETS, 1)
    tables = []
    for number in range(TABLES):
        path = folder / f"table{number}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        tables.append(path)
        text = churn(text, CHURN, number + 2)
    programs = folder / "bin"
    programs.mkdir()
    netstat = programs / "netstat"
    netstat.write_text(f'#!/bin/sh\nexec cat "{folder / "table"}"\n')
    netstat.chmod(0o755)
    over = threading.Event()

    def turn() -> None:
        for path in itertools.cycle(tables):
            fresh = folder / "fresh"
            fresh.symlink_to(path)
            fresh.replace(folder / "table")
            if over.wait(TURN_S):
                return

    turning = threading.Thread(target=turn, daemon=True)
    turning.start()
    try:
        with Sshd(
            folder / "sshd",
            environment={"PATH": f"{programs}:/usr/bin:/bin"},
            options=("MaxStartups 2000", "LogLevel ERROR"),
        ) as sshd:
            yield sshd
    finally:
        over.set()
        turning.join()


@contextlib.contextmanager
def _database(folder: Path, kind: str) -> Iterator[str]:
    """DATABASE_URL; empty for the SQLite file that ``up`` makes."""
    if kind == "sqlite":
        yield ""
        return
    with PostgreSQL(folder / "postgresql") as server:
        yield server.url


def _site(folder: Path, url: str) -> Site:
    return Site(
        folder / "site", folder, DATABASE_URL=url, API_PER_MINUTE=UNLIMITED, LOG_LEVEL="WARNING"
    )


def _fill(site: Site, sshd: Sshd, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Add hosts, and a token for each client; returns both."""
    pin = sshd.pins[0]
    given, told = folder / "given.json", folder / "told.json"
    given.write_text(
        json.dumps(
            {
                "port": sshd.port,
                "key_type": pin.key_type,
                "key": pin.key_base64,
                "client_key": sshd.client_key,
                "user": sshd.user,
                "hosts": options.hosts,
                "clients": options.clients,
                "interval_s": options.interval,
            }
        ),
        encoding="utf-8",
    )
    code = FILL.format(given=str(given), told=str(told))
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        env={**site.environ, "DATA_DIR": str(site.data), "SITE_URL": site.url("")},
        check=True,
    )
    found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    return found


def _wait_until_probed(site: Site, given: dict[str, Any], options: argparse.Namespace) -> None:
    """Until every host has answered once: logins are not what is measured."""
    began = time.monotonic()
    token = given["tokens"][0]

    def waiting() -> int:
        return int(_asked(site, "/metrics", token)["netadmin_hosts", "ok"])

    wait_until(lambda: waiting() >= options.hosts, timeout_s=600, what="all hosts were probed")
    print(f"{options.hosts} hosts logged in and probed in {time.monotonic() - began:.0f} s.\n")


def _asked(site: Site, path: str, token: str) -> dict[tuple[str, str], float]:
    """Samples of ``/metrics`` by name and first label's value."""
    import urllib.request

    from prometheus_client.parser import text_string_to_metric_families

    request = urllib.request.Request(site.url(path), headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _run(site: Site, given: dict[str, Any], options: argparse.Namespace, *, pause_s: float) -> str:
    """One run of all clients, as a table."""
    before, cpu = _probes(site, given), _cpu_s(site)
    own = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    etags = pause_s > 0 and not options.no_etags
    measured = asyncio.run(
        _clients(site.port, given, seconds=options.seconds, pause_s=pause_s, etags=etags)
    )
    took_s = time.monotonic() - began
    used = {name: value - cpu.get(name, 0.0) for name, value in _cpu_s(site).items()}
    now = resource.getrusage(resource.RUSAGE_SELF)
    used["the clients themselves"] = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
    probes = _probes(site, given) - before
    everything = sorted(itertools.chain.from_iterable(measured.times_s.values()))
    lines = [
        f"{options.clients} clients, "
        + (f"a pause of {pause_s:g} s" if pause_s else "no pause")
        + f", {options.database}, {took_s:.0f} s: {len(everything) / took_s:.0f} answers/s, "
        f"{probes / took_s * 60:.0f} probes a minute, {measured.received / took_s / 1e6:.1f} MB/s.",
        f"Statuses: {_named(measured.statuses)}. Broken off: {_named(measured.failures) or '0'}.",
        "CPU, of a core: "
        + ", ".join(f"{name} {value / took_s * 100:.0f} %" for name, value in used.items())
        + ".",
        "",
        "| route | answers | p50 ms | p95 ms | slowest ms |",
        "|---|---|---|---|---|",
    ]
    for name, times in [*measured.times_s.items(), ("**all**", everything)]:
        ordered = sorted(times)
        lines.append(
            f"| {name} | {len(ordered)} | {_at(ordered, 0.5)} | {_at(ordered, 0.95)} "
            f"| {_at(ordered, 1.0)} |"
        )
    return "\n".join([*lines, ""])


def _named(counted: Counter[Any]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in sorted(counted.items()))


def _at(ordered: list[float], part: float) -> str:
    if not ordered:
        return "-"
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000:.0f}"


def _probes(site: Site, given: dict[str, Any]) -> int:
    """Snapshots so far: ids only grow."""
    if site.environ["DATABASE_URL"]:
        import psycopg

        with psycopg.connect(site.environ["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT max(id) FROM probes_snapshot").fetchone()
            assert row is not None
            return int(row[0] or 0)
    return int(site.rows("SELECT max(id) FROM probes_snapshot")[0][0] or 0)


def _cpu_s(site: Site) -> dict[str, float]:
    """User and system time of the site's processes, by what they are."""
    used: dict[str, float] = defaultdict(float)
    for pid in (site.process.pid, *descendants(site.process.pid)):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            name = next((n for n in ("gunicorn", "worker", "beat") if n in command), "others")
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[name] += (int(fields[11]) + int(fields[12])) / TICKS_S
    return dict(used)


# --- the clients ----------------------------------------------------------------------------------


async def _clients(
    port: int, given: dict[str, Any], *, seconds: float, pause_s: float, etags: bool
) -> Measured:
    measured = Measured()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number, token in enumerate(given["tokens"]):
            host = given["hosts"][number % len(given["hosts"])]
            client = Client(port, token, host=host, measured=measured, etags=etags)
            # Pollers of a real site do not begin at the same moment.
            begin_s = pause_s * number / len(given["tokens"])
            group.create_task(client.poll(number, until, pause_s=pause_s, begin_s=begin_s))
    return measured


class Client:
    """One client of HTTP/1.1 with a connection that it keeps while the server does.

    Written on bare streams: it shares the machine with what it measures, and a library for HTTP
    would take more of it than the server's answers do.
    """

    def __init__(
        self, port: int, token: str, *, host: int, measured: Measured, etags: bool
    ) -> None:
        self.port = port
        self.head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        self.host = host
        self.measured = measured
        self.etags: dict[str, str] | None = {} if etags else None
        self.after = "newest"
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def poll(self, number: int, until: float, *, pause_s: float, begin_s: float) -> None:
        """Ask the mix in turn, beginning at ``number``, until that time."""
        await asyncio.sleep(begin_s)
        names = list(MIX)
        for turn in itertools.count(number):
            if time.monotonic() >= until:
                break
            name = names[turn % len(names)]
            began = time.monotonic()
            try:
                status = await self._ask(name)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._close()
                self.measured.failures[type(error).__name__] += 1
            else:
                self.measured.times_s[name].append(time.monotonic() - began)
                self.measured.statuses[status] += 1
            if pause_s:
                await asyncio.sleep(pause_s)
        self._close()

    async def _ask(self, name: str) -> int:
        path = MIX[name].format(host=self.host, after=self.after)
        known = (self.etags or {}).get(path)
        condition = f"If-None-Match: {known}\r\n" if known else ""
        request = f"GET /api/v1/{path} HTTP/1.1\r\n{self.head}{condition}\r\n".encode()
        try:
            status, headers, body = await self._exchange(request, fresh=self.streams is None)
        except (ConnectionError, asyncio.IncompleteReadError):
            if self.streams is None:
                raise
            # The server closed a connection that idled: no answer was begun, so ask anew.
            self._close()
            status, headers, body = await self._exchange(request, fresh=True)
        self.measured.received += len(body)
        if self.etags is not None and status == 200 and "etag" in headers:
            self.etags[path] = headers["etag"]
        if name == "changes" and status == 200:
            self.after = str(json.loads(body)["data"].get("next_after", self.after))
        if headers.get("connection", "") == "close":
            self._close()
        return status

    async def _exchange(self, request: bytes, *, fresh: bool) -> tuple[int, dict[str, str], bytes]:
        if fresh:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        assert self.streams is not None
        reader, writer = self.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _colon, value in (line.partition(":") for line in head[1:] if line)
        }
        status = int(head[0].split()[1])
        body = b"" if status in (204, 304) else await _body(reader, headers)
        return status, headers, body

    def _close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


if __name__ == "__main__":
    main()
