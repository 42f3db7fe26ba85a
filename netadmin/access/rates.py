"""How often one caller may ask: counted for all web processes together.

Place in the data's way: asked by :mod:`netadmin.access.middleware` for every request of a program,
and by whatever logs in to a host while its caller waits. Knows who calls (a token, a user, an
address) and nothing of what is called.

The count is a sliding window of a minute (library ``limits``: the requests of this minute's window,
and those of the window before by the part of it that still lies within the last 60 s), kept in
the Redis of the broker under ``netadmin:rate``. A Redis that is away or slow costs nobody a
request: each process then counts by itself, and asks Redis again after :data:`PAUSE_S`. Where the
broker is no Redis, each process counts by itself always.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from netadmin.access import audit
from netadmin.envelope import Refused

if TYPE_CHECKING:
    from netadmin.access.models import APIToken

logger = logging.getLogger(__name__)

Kind = Literal["api", "live"]

WINDOW_S: Final = 60
TIMEOUT_S: Final = 0.25
"""The longest that Redis may keep a request waiting, once."""
PAUSE_S: Final = 5.0
"""How long nobody asks a Redis that did not answer."""
PREFIX: Final = "netadmin:rate"
_CERTIFICATES: Final = re.compile(r"(ssl_cert_reqs=)CERT_(NONE|OPTIONAL|REQUIRED)")


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a caller stands after a request."""

    limit: int
    remaining: int
    reset_s: int
    """Whole seconds until this window ends; what was used in it comes back in the next one."""
    retry_s: int
    """Whole seconds until the next request is taken; 0 where one is taken now."""


def spend(request: HttpRequest, kind: Kind) -> None:
    """Count one request of ``kind`` for whoever asks; raises Refused (429) beyond the limit.

    ``api`` is every request of a program, ``live`` one that logs in to a host. A caller is its
    token, else its user, else its address (of IPv6 its /64, which one customer has). What was
    counted is left in ``request.rate``. A refused request is not counted.
    """
    limit: int = settings.API_PER_MINUTE if kind == "api" else settings.LIVE_PER_MINUTE
    if not limit:
        return
    taken, rate = _counter(settings.CELERY_BROKER_URL).hit(f"{kind}:{caller(request)}", limit)
    request.rate = rate  # type: ignore[attr-defined]
    if taken:
        return
    message = (
        _("Too many requests: at most %(limit)d a minute.")
        if kind == "api"
        else _("Too many live queries: at most %(limit)d a minute.")
    )
    raise Refused(
        429,
        "rate_limited",
        message % {"limit": limit},
        hint=_("Try again in %(seconds)d s.") % {"seconds": rate.retry_s},
        headers={"Retry-After": str(rate.retry_s)},
    )


def caller(request: HttpRequest) -> str:
    """Whose requests are counted together, as a key: ``token:7``, ``user:3``, ``from:192.0.2.1``

    A token that is not stored (of a command) is its user's.
    """
    token = cast("APIToken | None", getattr(request, "token", None))
    if token is not None and token.pk is not None:
        return f"token:{token.pk}"
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"from:{_neighbourhood(audit.client_address(request))}"


def _neighbourhood(address: str | None) -> str:
    if address is None:
        return "-"
    known = ipaddress.ip_address(address)
    if isinstance(known, ipaddress.IPv4Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((int(known), 64), strict=False))


class Counter:
    """Counts at one broker's Redis, or in this process while that is away."""

    def __init__(self, broker_url: str) -> None:
        self._own = MemoryStorage()
        self._address = _redis_address(broker_url)
        self._shared: RedisStorage | None = None
        self._lock = threading.Lock()
        self._away = False
        self._ask_at = 0.0

    def hit(self, key: str, limit: int) -> tuple[bool, Rate]:
        """Take one of ``limit`` a minute; whether there was one, and where ``key`` stands."""
        if self._address and self._may_ask():
            try:
                if self._shared is None:
                    self._shared = _storage(self._address)
                found = _hit(self._shared, key, limit)
            except Exception as error:  # whatever is wrong with Redis is no fault of the caller
                self._lost(error)
            else:
                self._found()
                return found
        return _hit(self._own, key, limit)

    def _may_ask(self) -> bool:
        """True while Redis answers; else for one caller after each pause."""
        if not self._away:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._ask_at:
                return False
            self._ask_at = now + PAUSE_S
            return True

    def _lost(self, error: Exception) -> None:
        with self._lock:
            self._ask_at = time.monotonic() + PAUSE_S
            first, self._away = not self._away, True
        if first:
            # The error's text may name the address with its password.
            logger.warning(
                "rate limits are counted per process: Redis fails (%s)", type(error).__name__
            )

    def _found(self) -> None:
        if not self._away:
            return
        with self._lock:
            again, self._away = self._away, False
        if again:
            logger.info("rate limits are counted in Redis again")


@lru_cache(maxsize=8)
def _counter(broker_url: str) -> Counter:
    return Counter(broker_url)


def _redis_address(broker_url: str) -> str:
    """The broker's address as redis-py reads it; empty where the broker is no single Redis.

    Celery writes a socket as ``redis+socket:///path`` with the database as ``virtual_host``
    (kombu/transport/redis.py), redis-py as ``unix:///path?db=0``; of certificates the one says
    ``CERT_REQUIRED`` (kombu/utils/url.py), the other ``required``.
    """
    scheme, separator, rest = broker_url.partition("://")
    if not separator or ";" in rest:
        return ""
    if scheme in {"redis+socket", "unix"}:
        return "redis+unix://" + rest.replace("virtual_host=", "db=")
    if scheme == "rediss":
        return _CERTIFICATES.sub(lambda match: match[1] + match[2].lower(), broker_url)
    return broker_url if scheme == "redis" else ""


def _storage(address: str) -> RedisStorage:
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        # Without it a lost connection would be tried again while the request waits.
        "retry": Retry(NoBackoff(), 0),
    }
    if not address.startswith("redis+unix"):
        options["socket_connect_timeout"] = TIMEOUT_S
    return RedisStorage(address, key_prefix=PREFIX, **options)


def _hit(storage: RedisStorage | MemoryStorage, key: str, limit: int) -> tuple[bool, Rate]:
    item = RateLimitItemPerMinute(limit)
    taken = SlidingWindowCounterRateLimiter(storage).hit(item, key)
    before, before_s, now, now_s = storage.get_sliding_window(item.key_for(key), WINDOW_S)
    # The present window's count outlives it by one window more; where there is none, one begins.
    left_s = min(now_s - WINDOW_S, WINDOW_S) if now_s > WINDOW_S else float(WINDOW_S)
    used = int(before * before_s / WINDOW_S) + now
    wait_s = 0.0
    if not taken:
        # Either what counts of the window before must fade, or this window must become that one.
        room = limit - now
        wait_s = before_s - room * WINDOW_S / before if before and room > 0 else left_s
    return taken, Rate(
        limit=limit,
        remaining=max(0, limit - used) if taken else 0,
        reset_s=int(left_s) + 1 if left_s < WINDOW_S else WINDOW_S,
        # The storages count time to a millisecond, and at the very moment nothing is free yet.
        retry_s=0 if taken else int(max(wait_s, 0.0) + 0.001) + 1,
    )
