"""``GET /metrics``: what a caller may see, worked out once for all who ask within some seconds.

Place in the data's way: the entry over ``reading`` and ``exposition``. A token or a session is
needed, as everywhere; a caller limited to host groups gets the numbers of its hosts alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, cast

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from netadmin.access.permissions import require, sees_all
from probes.filters import visible
from probes.metrics import exposition, reading

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEPT_S = 5.0
"""Shorter than any usual scrape interval, so that one Prometheus always gets new numbers, and ten
that ask at once cost as much as one."""
MOST_KEPT = 32
"""Texts kept for as many kinds of callers; one of a thousand hosts is some megabytes."""


class Kept:
    """Texts by what may be seen, each made by one thread while others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[Hashable, tuple[float, bytes]] = {}
        self._makers: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The text of ``key``, at most KEPT_S old; what ``make`` raises is kept from nobody."""
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            with self._lock:
                made_at, text = self._texts.get(key, (0.0, b""))
            if text and time.monotonic() - made_at < KEPT_S:
                return text
            text = make()
            with self._lock:
                self._texts[key] = (time.monotonic(), text)
                self._forget_old()
            return text

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._texts.clear()

    def _forget_old(self) -> None:
        oldest_first = sorted(self._texts, key=lambda key: self._texts[key][0])
        since = time.monotonic() - KEPT_S
        for number, key in enumerate(oldest_first):
            if self._texts[key][0] < since or len(oldest_first) - number > MOST_KEPT:
                del self._texts[key]
                # A thread may hold it yet: it then makes its text a second time, no more.
                self._makers.pop(key, None)


kept = Kept()


@require(Role.VIEWER)
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers of all hosts the caller sees, as Prometheus text."""
    if request.method not in ("GET", "HEAD"):
        refused = envelope.error(
            405,
            "method_not_allowed",
            _("This address has no method %(method)s.") % {"method": visible(request.method or "")},
            hint=_("It has: %(methods)s.") % {"methods": "GET, HEAD"},
        )
        refused["Allow"] = "GET, HEAD"
        return refused
    user = cast("User", request.user)
    whole_site = sees_all(user)

    def make() -> bytes:
        hosts = Host.objects.kept().visible_to(user)
        return exposition.text(reading.read(hosts, whole_site=whole_site))

    text = kept.get(_sight(user, whole_site=whole_site), make)
    response = HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)
    response["Cache-Control"] = "no-store"
    return response


def _sight(user: User, *, whole_site: bool) -> Hashable:
    """What ``user`` sees, as ``HostQuerySet.visible_to`` decides it: callers alike share a text."""
    if whole_site:
        return "all"
    token_groups: list[int] | None = getattr(user, "token_groups", None)
    own = (
        None
        if user.is_superuser or user.access.all_hosts
        else tuple(user.access.groups.order_by("pk").values_list("pk", flat=True))
    )
    return own, None if token_groups is None else tuple(sorted(token_groups))
