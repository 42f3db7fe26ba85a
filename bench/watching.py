"""What judging a snapshot of 100,000 sockets costs, against storing it.

``python -m bench.watching [--sockets 100000] [--probes 6]`` prints the table of
docs/performance.md, from one run: SQLite and a PostgreSQL started for it, each in a process and a
database of its own, fed the same texts. All seeded rules and the port watch are on, as on a new
site. Times are wall clock inside one process, judging and all else of ``store.save`` apart, the
median of the probes after the second: the first is the baseline, and with the second alerts open.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.netstat_text import churn, generate
from bench.storing import STARTED

CHURNS = (0.0, 0.01, 0.2)
JUDGES = ("thresholds", "port_watch")


def run(sockets: int, probes: int) -> list[dict[str, float]]:
    """A row a churn, in the empty database of the environment's settings: milliseconds a probe."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return [_play(sockets, probes, part, number) for number, part in enumerate(CHURNS)]


def _play(sockets: int, probes: int, part: float, number: int) -> dict[str, float]:
    from hosts.models import Host
    from probes.history import store
    from probes.models import Alert, Change
    from probes.observation import Observation, Privilege
    from probes.watch import port_watch, thresholds

    host = Host.objects.create(name=f"h{number}", address="192.0.2.1")
    spent: dict[str, float] = {}

    def judge(stored: Any) -> None:
        for name, module in (("thresholds", thresholds), ("port_watch", port_watch)):
            started = time.perf_counter()
            module.judge(stored)
            spent[name] = (time.perf_counter() - started) * 1000

    text = generate(sockets, number)
    rows: list[dict[str, float]] = []
    for probe in range(probes + 2):
        observation = Observation(
            STARTED + dt.timedelta(minutes=probe),
            0.1,
            "netstat",
            privilege=Privilege.ROOT,
            text=text,
            raw=text.encode(),
        )
        started = time.perf_counter()
        snapshot = store.save(host, observation, judge=judge)
        whole = (time.perf_counter() - started) * 1000
        assert snapshot.outcome == "ok", snapshot.detail
        rows.append({"storing": whole - sum(spent.values()), **spent})
        if part:
            text = churn(text, part, 1000 * probe + number)
    settled = rows[2:]
    found = {name: statistics.median(row[name] for row in settled) for name in rows[0]}
    open_ones = Alert.objects.filter(host=host, resolved_at=None).count()
    return {
        "churn": part,
        "first": rows[0]["thresholds"],
        "opening": rows[1]["thresholds"],
        "alerts": open_ones,
        "changes": Change.objects.filter(host=host).count(),
        **found,
    }


def measure(database_url: str, folder: Path, sockets: int, probes: int) -> list[dict[str, float]]:
    """:func:`run` in a process of its own."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "netadmin.settings",
        "SECRET_KEY": "only-for-this-benchmark",
        "FIELD_ENCRYPTION_KEYS": f"b1:{'A' * 43}=",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
        "DEBUG": "off",
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.watching", "--run", json.dumps([sockets, probes])],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    rows: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def main(sockets: int, probes: int) -> str:
    """The result as Markdown."""
    from tests.servers import PostgreSQL

    out = [
        "| workload | storing, ms | thresholds, ms | port watch, ms | both, part of storing |"
        " target | first reading, ms | alerts open |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgreSQL(folder / "postgresql") as server:
            for engine in ("SQLite", "PostgreSQL"):
                own = folder / engine
                own.mkdir()
                url = "" if engine == "SQLite" else server.create_database("watching")
                for row in measure(url, own, sockets, probes):
                    judged = sum(row[name] for name in JUDGES)
                    share = judged / row["storing"]
                    met = "0.1, met" if share < 0.1 else "0.1, **missed**"
                    out.append(
                        f"| {engine}, {sockets:,} sockets, {row['churn']:.0%} churn"
                        f" | {row['storing']:.0f} | {row['thresholds']:.1f}"
                        f" | {row['port_watch']:.1f} | {share:.3f} | {met}"
                        f" | {row['first']:.0f} | {row['alerts']:.0f} |"
                    )
    return "\n".join(out)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--sockets", type=int, default=100_000)
    arguments.add_argument("--probes", type=int, default=6)
    arguments.add_argument("--run", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        print(json.dumps(run(*json.loads(given.run))))
    else:
        print(main(given.sockets, given.probes))
