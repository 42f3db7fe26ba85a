"""A host of 100,000 sockets, from SSH to the page: counts, memory, time to first byte.

``python -m bench.big_host [--sockets 100000] [--churn 0.2] [--probes 3]`` starts an OpenSSH
server whose ``netstat`` prints generated text, probes it through the worker's own code into a
SQLite database of its own, and asks for the host's pages as a browser would. Prints Markdown for
docs/performance.md. The worker's memory is this process's: peak resident size, with the size
before the first probe beside it.
"""

from __future__ import annotations

import argparse
import base64
import os
import resource
import tempfile
import time
from pathlib import Path

from bench.netstat_text import churn, generate

PAGES = (
    ("connections", "/hosts/{pk}/"),
    ("connections, filtered", "/hosts/{pk}/?state=ESTABLISHED&local_port=443"),
    ("ports", "/hosts/{pk}/ports/"),
    ("peers", "/hosts/{pk}/peers/"),
    ("states", "/hosts/{pk}/states/"),
    ("overview", "/"),
    ("ports across hosts", "/ports/?port=443"),
)


def main() -> None:
    """Run it all in one temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=100_000)
    parser.add_argument("--churn", type=float, default=0.2)
    parser.add_argument("--probes", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netadmin-bench-") as folder:
        _set_up_django(Path(folder))
        _run(Path(folder), options)


def _set_up_django(folder: Path) -> None:
    os.environ.update(
        SECRET_KEY="only-for-this-benchmark-" + "k" * 40,
        FIELD_ENCRYPTION_KEYS="b1:" + base64.b64encode(os.urandom(32)).decode(),
        DATA_DIR=str(folder),
        DATABASE_URL="",
        CELERY_BROKER_URL="memory://",
        ALLOWED_HOSTS="testserver",
        LOG_LEVEL="WARNING",
        DJANGO_SETTINGS_MODULE="netadmin.settings",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def _run(folder: Path, options: argparse.Namespace) -> None:
    from probes import schedule, work
    from tests.sshd import Sshd

    programs = folder / "bin"
    programs.mkdir()
    table = folder / "table"
    netstat = programs / "netstat"
    netstat.write_text(f'#!/bin/sh\nexec cat "{table}"\n')
    netstat.chmod(0o755)
    text = generate(options.sockets, 1)
    with Sshd(folder / "sshd", environment={"PATH": f"{programs}:/usr/bin:/bin"}) as sshd:
        host = _host(sshd)
        before_mb = _peak_mb()
        print(f"Peak RSS before the first probe: {before_mb:.0f} MB.\n")
        print("| probe | sockets stored | opened | closed | wall s | peak RSS MB |")
        print("|---|---|---|---|---|---|")
        for number in range(1, options.probes + 1):
            table.write_text(text)
            token = schedule.claim_one(host)
            assert token is not None
            begun = time.perf_counter()
            snapshot = work.probe_one(host, token)
            wall_s = time.perf_counter() - begun
            assert snapshot.outcome == "ok", (snapshot.code, snapshot.detail)
            expected = sum(line.startswith(("tcp", "udp", "raw")) for line in text.splitlines())
            assert snapshot.sockets == expected, (snapshot.sockets, expected)
            print(
                f"| {number} | {snapshot.sockets:,} | {snapshot.opened:,} | {snapshot.closed:,} "
                f"| {wall_s:.2f} | {_peak_mb():.0f} |"
            )
            text = churn(text, options.churn, number)
        work.pool().close_all()
    _browse(host.pk)


def _host(sshd):  # type: ignore[no-untyped-def]
    from hosts.models import Credential, Host, HostKey

    credential = Credential(name="bench", user=sshd.user, method=Credential.Method.KEY)
    credential.set_secret("private_key", sshd.client_key)
    credential.save()
    for pin in sshd.pins:
        HostKey.objects.create(
            address="127.0.0.1",
            port=sshd.port,
            key_type=pin.key_type,
            key_base64=pin.key_base64,
            fingerprint=pin.key_base64[-40:],
            trust="trusted",
        )
    return Host.objects.create(
        name="big", address="127.0.0.1", port=sshd.port, credential=credential
    )


def _browse(pk: int) -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_superuser("bench", password=None)
    client = Client()
    client.force_login(user)
    client.get("/")  # templates are compiled once per process
    print("\n| page | status | ms, slowest of 5 | KB |\n|---|---|---|---|")
    for name, url in PAGES:
        slowest_s, size = 0.0, 0
        for _turn in range(5):
            begun = time.perf_counter()
            response = client.get(url.format(pk=pk))
            slowest_s = max(slowest_s, time.perf_counter() - begun)
            size = len(response.content)
        print(f"| {name} | {response.status_code} | {slowest_s * 1000:.0f} | {size / 1024:.0f} |")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
