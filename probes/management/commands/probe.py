"""``manage.py probe HOST``: probe one host at once and show what came."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.access import audit
from probes import schedule, work
from probes.models import Outcome
from probes.observation import EXPLANATIONS, Code

WAIT_FOR_LEASE_S = 60.0


class Command(BaseCommand):
    """Exit status 0 for a whole snapshot, 1 where the probe failed."""

    help = "Probe one host now, by name, address or id, and print what came of it."

    def add_arguments(self, parser: CommandParser) -> None:
        """HOST."""
        parser.add_argument("host", help="name, address or id of a host")

    def handle(self, *args: Any, **options: Any) -> None:
        """Lease, probe, store, print."""
        host = self._find(options["host"])
        if schedule.is_paused(schedule.ensure_one(host), host):
            title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
            raise CommandError(f"{_(title)}. {_(hint)}")
        audit.record("probe.now", target=host, actor="command line")
        with self._progress(f"probing {host.name} ({self._place(host)})"):
            snapshot = work.probe_one(host, self._lease(host))
        if snapshot.outcome != Outcome.OK:
            title, hint = EXPLANATIONS[Code(snapshot.code)]
            detail = f" ({snapshot.detail})" if snapshot.detail else ""
            raise CommandError(f"{_(title)}{detail}. {_(hint)}")
        states = "  ".join(f"{name} {count}" for name, count in sorted(snapshot.by_state.items()))
        self.stdout.write(
            f"{snapshot.sockets} sockets, {snapshot.listeners} listening, by {snapshot.tool} "
            f"as {snapshot.privilege} in {snapshot.duration_ms} ms; "
            f"{snapshot.opened} opened, {snapshot.closed} closed, "
            f"{snapshot.without_pid} without a PID, {snapshot.rejected} lines not understood"
        )
        if states:
            self.stdout.write(states)

    def _find(self, text: str) -> Host:
        hosts = Host.objects.kept()
        by_name = hosts.filter(name=text).first()
        if by_name is not None:
            return by_name
        same_address = list(hosts.filter(address=text)[:2])
        if len(same_address) == 1:
            return same_address[0]
        if text.isascii() and text.isdigit() and len(text) < 10:
            by_id = hosts.filter(pk=int(text)).first()
            if by_id is not None:
                return by_id
        if same_address:
            raise CommandError(f"Several hosts have the address {text}; give a name.")
        raise CommandError(f"No host is called {text!r}. See the Hosts page for their names.")

    def _lease(self, host: Host) -> str:
        give_up_at = time.monotonic() + WAIT_FOR_LEASE_S
        while (token := schedule.claim_one(host)) is None:
            if time.monotonic() > give_up_at:
                raise CommandError("A worker is probing this host and does not end. Try again.")
            time.sleep(0.2)
        return token

    @contextlib.contextmanager
    def _progress(self, what: str) -> Iterator[None]:
        """Say what is done, and each second for how long: a host may take its whole deadline."""
        ended = threading.Event()
        self.stderr.write(f"{what} ...")

        def tick() -> None:
            seconds = 0
            while not ended.wait(1):
                seconds += 1
                self.stderr.write(f"... {seconds} s", ending="\r")
                self.stderr.flush()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()

    @staticmethod
    def _place(host: Host) -> str:
        return "this machine" if host.is_local else f"{host.address}:{host.port}"
