"""Live sessions: somebody looks at one host, which is probed each few seconds meanwhile.

Place in the data's way: between the live page and ``probes.schedule``. A session is a signed text
that the page sends with each beat, so that no row has to be cleaned up after a browser that is
gone: beats end, and with them the probes. It tells the server who began, and when: a session is
recorded once, lasts LIVE_S, and is good for one person and host only.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from django.core import signing
from django.utils import timezone

from hosts.models import Host
from probes import bell, schedule
from probes.models import Schedule

LIVE_S: Final = 600
"""After so long a session is over, and somebody has to say "go on"."""
LEAST_EVERY_S: Final = 1
MOST_EVERY_S: Final = 60
USUAL_EVERY_S: Final = 5

_SALT: Final = "probes.live"


def begin(host: Host, by: str) -> str:
    """A new session of ``by``, a name of a user; the caller records it in the same transaction."""
    now = timezone.now()
    fresh = Schedule.objects.filter(pk=host.pk).exclude(live_until__gt=now)
    fresh.update(live_began_at=now)
    return signing.dumps({"host": host.pk, "by": by}, salt=_SALT)


def is_over(session: str, host: Host, by: str) -> bool | None:
    """Whether a session of ``by`` about ``host`` has lasted its time; None where it is none."""
    try:
        said = signing.loads(session, salt=_SALT)
    except signing.BadSignature:
        return None
    if said != {"host": host.pk, "by": by}:
        return None
    try:
        signing.loads(session, salt=_SALT, max_age=LIVE_S)
    except signing.SignatureExpired:
        return True
    return False


def ask(host: Host, by: str, *, every_s: int, first: bool) -> None:
    """Have the host probed where its newest probe is ``every_s`` old.

    The ``first`` beat of a session rings in any case: the host may be due without anybody having
    rung for it.
    """
    until = timezone.now() + dt.timedelta(seconds=2 * every_s + 5)
    if schedule.ask_live(host, by=by, every_s=every_s, until=until) or first:
        bell.ring()


def is_waiting(row: Schedule) -> bool:
    """Whether a probe is due or under way."""
    now = timezone.now()
    leased = row.lease_until is not None and row.lease_until > now
    return leased or row.next_probe_at <= now
