"""A worker that only announces and sends, for ``kill -9``.

Its parent loads Django once and forks a child that works until it is killed, then the next; the
pid of each is a line on standard output.
"""

from __future__ import annotations

import os
import signal
import time

import django

django.setup()

from django.urls import reverse  # noqa: E402

from probes.notify import follow_up, outbox, sending  # noqa: E402
from tests.servers import _die_with_parent  # noqa: E402

reverse("alerts")  # loads the addresses once, and not in each child
sending.LEASE_S = float(os.environ["TEST_LEASE_S"])


def work() -> None:
    """Until killed."""
    die_with_parent = _die_with_parent(signal.SIGKILL)
    if die_with_parent is not None:
        die_with_parent()
    while True:
        outbox.announce()
        sending.send_due()
        follow_up.run()
        time.sleep(0.02)


while True:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    print(pid, flush=True)
    os.waitpid(pid, 0)
