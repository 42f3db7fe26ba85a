"""What addresses are called: a cache of reverse DNS that pages read and a task fills.

Place in the data's way: beside the queries, for views, and under a task of beat's. A page reads
the names of the addresses it shows with one query and notes those nobody knew; it never waits for
DNS. Names are hints: text that whoever owns the address chose, shown beside it, used for nothing.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from probes.models import AddressName
from probes.transports import dns
from probes.transports.dns import Answer, Outcome

logger = logging.getLogger(__name__)

MOST_WANTED: Final = 500
"""Addresses that one page reads or notes."""
WANTED_FOR: Final = dt.timedelta(hours=12)
"""A page notes an address again so long after it was noted last."""

ASKED_AT_ONCE: Final = 48
"""Questions of one turn of the task."""
THREADS: Final = 8
LIFETIME_S: Final = 2.0
CLAIMED_FOR: Final = dt.timedelta(minutes=1)

LEAST_TTL: Final = dt.timedelta(hours=1)
MOST_TTL: Final = dt.timedelta(days=7)
FIRST_RETRY: Final = dt.timedelta(minutes=1)
LAST_RETRY: Final = dt.timedelta(days=1)

_WAIT_MS: Final = 100
"""How long a page waits for another writer before it leaves the noting to the next page."""


def hints(addresses: Iterable[str], *, using: str = "default") -> dict[str, str]:
    """The known names of those addresses that have one, by the text given.

    One query; a second where some address is new or was not wanted for long, and then only for
    the first MOST_WANTED of them. Trouble with the noting is never the page's trouble.
    """
    if not settings.REVERSE_DNS:
        return {}
    plain = {text: canonical for text in addresses if (canonical := askable(text)) is not None}
    wanted = list(dict.fromkeys(plain.values()))[:MOST_WANTED]
    if not wanted:
        return {}
    now = timezone.now()
    rows = AddressName.objects.using(using).filter(address__in=wanted)
    known = {
        address: (name, wanted_at)
        for address, name, wanted_at in rows.values_list("address", "name", "wanted_at")
    }
    unnoted = [
        address
        for address in wanted
        if address not in known or known[address][1] < now - WANTED_FOR
    ]
    if unnoted:
        _note(unnoted, now, using)
    return {
        text: known[canonical][0]
        for text, canonical in plain.items()
        if canonical in known and known[canonical][0]
    }


@lru_cache(maxsize=65_536)
def askable(text: str) -> str | None:
    """The canonical text of an address that may have a public name; None for loopback, multicast,
    unspecified and link-local ones, for cut ones and for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    nameless = (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or (address.version == 4 and address.packed[0] in (0, 255))
    )
    return None if nameless else str(address)


def ask_wanted() -> int:
    """Ask DNS for what pages want and is due; returns how many were asked.

    Claimed first, so that two workers ask different ones. Bounded in number and time: with
    THREADS at once it ends within ASKED_AT_ONCE / THREADS times LIFETIME_S.
    """
    if not settings.REVERSE_DNS:
        return 0
    claimed = _claim(timezone.now())
    if not claimed:
        return 0
    by = dns.resolver(settings.DNS_SERVERS, lifetime_s=LIFETIME_S)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="dns") as pool:
        answers = pool.map(lambda row: dns.name_of(row.address, by), claimed)
        for row, answer in zip(claimed, answers, strict=True):
            _learn(row, answer, timezone.now())
    fields = ["name", "known_at", "ask_at", "failures"]
    AddressName.objects.bulk_update(claimed, fields, batch_size=100)
    return len(claimed)


def _claim(now: dt.datetime) -> list[AddressName]:
    """Rows that are due, put off for others."""
    due = AddressName.objects.filter(ask_at__lte=now, wanted_at__gt=now - 2 * WANTED_FOR)
    claimed = []
    for row in due.order_by("ask_at", "address")[:ASKED_AT_ONCE]:
        mine = AddressName.objects.filter(pk=row.pk, ask_at=row.ask_at)
        if mine.update(ask_at=now + CLAIMED_FOR):
            claimed.append(row)
    return claimed


def _learn(row: AddressName, answer: Answer, now: dt.datetime) -> None:
    if answer.outcome is Outcome.FAILED:
        row.failures = min(row.failures + 1, 30)
        row.ask_at = now + min(FIRST_RETRY * 2 ** (row.failures - 1), LAST_RETRY)
        if row.known_at is not None and now - row.known_at > 2 * MOST_TTL:
            row.name = ""  # nobody confirmed it for too long
        return
    row.name, row.known_at, row.failures = answer.name, now, 0
    kept = dt.timedelta(seconds=max(0, answer.ttl_s))
    row.ask_at = now + min(max(kept, LEAST_TTL), MOST_TTL)


def _note(addresses: list[str], now: dt.datetime, using: str) -> None:
    """Say that a page wants these; not at all where another writer is in the way for long."""
    rows = [AddressName(address=address, wanted_at=now, ask_at=now) for address in addresses]
    connection = connections[using]
    sqlite = connection.vendor == "sqlite"
    usual_ms = int(connection.settings_dict.get("OPTIONS", {}).get("timeout", 5) * 1000)
    try:
        if sqlite:
            _say(using, f"PRAGMA busy_timeout = {_WAIT_MS}")
        with transaction.atomic(using=using):
            if not sqlite:
                _say(using, f"SET LOCAL lock_timeout = {_WAIT_MS}")
            AddressName.objects.using(using).bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["address"],
                update_fields=["wanted_at"],
            )
    except DatabaseError:
        logger.info("%d addresses were not noted: the database is busy", len(rows))
    finally:
        if sqlite:
            _say(using, f"PRAGMA busy_timeout = {usual_ms}")


def _say(using: str, statement: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(statement)
