"""Registers the ``probes`` app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class ProbesConfig(AppConfig):
    """Snapshots, sockets and the schedule."""

    name = "probes"
    verbose_name = _("Probes")

    def ready(self) -> None:
        """Have each new database connection set up."""
        connection_created.connect(without_jit, dispatch_uid="probes.without_jit")


def without_jit(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Keep PostgreSQL from compiling queries: a question over thirty partitions takes a few tens of
    milliseconds, and compiling it some hundreds. A statement, since a pooler in between may refuse
    it as a parameter of the connection."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
