"""What is judged of each probe while its snapshot is stored, in this order.

Place in the data's way: given to ``history.store.save`` by ``probes.work`` and ``probes.pasted``;
runs in that transaction. A judgement that fails is undone by itself and logged: the snapshot is
stored all the same, and since each compares with what it wrote last, the next probe makes up for
it. The port watch looks at nothing where nothing changed, so it is told that one is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import transaction

from probes.history.store import Stored
from probes.recovery import decisions as recovery
from probes.watch import port_watch, thresholds

logger = logging.getLogger(__name__)

JUDGES: Final[tuple[Callable[[Stored], None], ...]] = (
    port_watch.judge,
    thresholds.judge,
    recovery.judge,  # reads what the port watch wrote
)


def judge(stored: Stored) -> None:
    """Let every watcher look at what was stored; never raises for what a watcher does wrong."""
    failed = False
    for each in JUDGES:
        try:
            with transaction.atomic(using=stored.using):
                each(stored)
        except Exception:
            logger.exception("%s of host %s failed", each.__module__, stored.host_id)
            failed = True
    if failed:
        port_watch.missed(stored)
