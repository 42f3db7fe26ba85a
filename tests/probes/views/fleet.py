"""Hosts and what their probes saw, for the pages."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from django.utils import timezone

from hosts.models import Host
from probes.history import store
from probes.models import Snapshot
from probes.observation import Code, Failure, Observation
from tests.probes.history.played import LISTENER, line, observed, table

WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx")
DATABASE = line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres")
OLD_PEER = line("192.0.2.1:80", "198.51.100.3:40000", "ESTABLISHED", "901/nginx")
NEW_PEER = line("192.0.2.1:80", "203.0.113.9:41000", "ESTABLISHED", "901/nginx")
WAITING = line("192.0.2.1:80", "203.0.113.9:41001", "TIME_WAIT", "-")


def web1() -> Host:
    """A host with a web server, a database for itself, and one peer that came after another."""
    host = Host.objects.create(name="web1", address="192.0.2.1")
    seen(host, 240, LISTENER, WEB, OLD_PEER)
    seen(host, 30, LISTENER, WEB, DATABASE, NEW_PEER, WAITING)
    return host


def seen(host: Host, seconds_ago: float, *lines: str, **fields: Any) -> Snapshot:
    """Store a whole probe that saw these lines."""
    return save(host, seconds_ago, observed(0, table(*lines), **fields))


def failed(host: Host, seconds_ago: float, code: Code, detail: str = "") -> Snapshot:
    """Store a failed probe."""
    return save(host, seconds_ago, observed(0, "", failure=Failure(code, detail), tool=""))


def save(host: Host, seconds_ago: float, observation: Observation) -> Snapshot:
    """Store an observation as if it was made that many seconds ago."""
    taken_at = timezone.now() - dt.timedelta(seconds=seconds_ago)
    return store.save(host, dataclasses.replace(observation, taken_at=taken_at))
