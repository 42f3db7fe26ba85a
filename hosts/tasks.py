"""Celery's entry for sources of hosts: thin, idempotent. The database owns the schedule."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from hosts.cmdb import decisions, sync

logger = logging.getLogger(__name__)


@shared_task
def sync_hosts() -> int:
    """Synchronise the sources that are due, and forget old runs; returns how many were begun."""
    begun = sync.run_due()
    forgotten = decisions.forget_old_runs(timezone.now())
    if begun or forgotten:
        logger.info("sources: %s synchronised, %s old runs forgotten", begun, forgotten)
    return begun
