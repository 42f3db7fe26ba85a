"""Which shape of worker probes cheapest: one process of threads, several, or prefork.

``python -m bench.workers [--hosts 100] [--rounds 6]`` starts PostgreSQL, a broker, one OpenSSH
server that answers 300 sockets, and the workers of each shape in turn; makes every host due,
waits until all are stored, and again. CPU is that of the worker processes, user and system, per
probe; the first round (logins) is not counted. Prints Markdown for docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench.netstat_text import generate
from tests.servers import PostgreSQL
from tests.site import Site, running_site
from tests.sshd import Sshd, descendants
from tests.waiting import wait_until

SHAPES: dict[str, list[tuple[str, ...]]] = {
    "one process, threads": [("--pool", "threads", "--concurrency", "32")],
    "two processes, threads": [("--pool", "threads", "--concurrency", "32")] * 2,
    "prefork, 2 children": [("--pool", "prefork", "--concurrency", "2")],
}
ADD_HOSTS = """
import sys
from hosts.models import Credential, Host, HostKey
HostKey.objects.create(address="127.0.0.1", port={port}, key_type={key_type!r},
    key_base64={key!r}, fingerprint="SHA256:bench", trust="trusted")
key = open({key_file!r}).read()
for n in range({hosts}):
    credential = Credential(name=f"bench{{n}}", user={user!r}, method="key")
    credential.set_secret("private_key", key)
    credential.save()
    Host.objects.create(name=f"host{{n}}", address="127.0.0.1", port={port},
        credential=credential, interval_s=86400)
from probes import schedule
schedule.ensure()
"""
RING = "from probes import tasks; tasks.dispatch()"
TICKS_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    print("| shape | CPU ms a probe | probes/s | logins after the first round | MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="netadmin-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        programs = folder / "bin"
        programs.mkdir()
        (folder / "table").write_text(generate(300, 1))
        netstat = programs / "netstat"
        netstat.write_text(f'#!/bin/sh\nexec cat "{folder / "table"}"\n')
        netstat.chmod(0o755)
        environment = {"PATH": f"{programs}:/usr/bin:/bin"}
        with (
            Sshd(folder / "sshd", environment=environment) as sshd,
            PostgreSQL(folder / "postgresql") as postgresql,
        ):
            for number, (shape, workers) in enumerate(SHAPES.items()):
                url = postgresql.create_database(f"shape{number}")
                place = folder / f"site{number}"
                place.mkdir()
                with running_site(url, place) as site:
                    print(_measure(shape, workers, site=site, sshd=sshd, options=options))


def _measure(
    shape: str,
    workers: list[tuple[str, ...]],
    *,
    site: Site,
    sshd: Sshd,
    options: argparse.Namespace,
) -> str:
    pin = sshd.pins[0]
    site.python(
        ADD_HOSTS.format(
            port=sshd.port,
            key_type=pin.key_type,
            key=pin.key_base64,
            key_file=str(sshd.client_key_file),
            hosts=options.hosts,
            user=sshd.user,
        )
    )
    roots = [
        site.worker(f"worker{number}", *arguments).pid for number, arguments in enumerate(workers)
    ]
    logins = cpu_s = wall_s = 0.0
    for turn in range(options.rounds + 1):
        if turn == 1:
            cpu_s, logins, wall_s = -_cpu_s(roots), -_logins(sshd), 0.0
        site.rows("UPDATE probes_schedule SET next_probe_at = now() RETURNING 1")
        begun = time.perf_counter()
        while site.value("SELECT count(*) FROM probes_snapshot") < options.hosts * (turn + 1):
            site.python(RING)
            done = options.hosts * (turn + 1)
            wait_until(
                lambda done=done: (  # type: ignore[misc]
                    site.value("SELECT count(*) FROM probes_snapshot") >= done
                    or not site.value(
                        "SELECT count(*) FROM probes_schedule WHERE lease_token <> ''"
                    )
                ),
                timeout_s=120,
            )
        wall_s += time.perf_counter() - begun
    cpu_s += _cpu_s(roots)
    logins += _logins(sshd)
    probes = options.hosts * options.rounds
    failed = site.value("SELECT count(*) FROM probes_snapshot WHERE outcome <> 'ok'")
    assert not failed, site.rows("SELECT code, detail FROM probes_snapshot WHERE outcome <> 'ok'")
    size_mb = sum(_size_mb(pid) for root in roots for pid in (root, *descendants(root)))
    site.stop()
    return (
        f"| {shape} | {cpu_s / probes * 1000:.1f} | {probes / wall_s:.0f} | {logins:.0f} "
        f"| {size_mb:.0f} |"
    )


def _cpu_s(roots: list[int]) -> float:
    total = 0
    for root in roots:
        for pid in (root, *descendants(root)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS_S


def _logins(sshd: Sshd) -> int:
    return sshd.log.read_text(errors="replace").count("Accepted publickey")


def _size_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


if __name__ == "__main__":
    main()
