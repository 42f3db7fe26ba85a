"""Which snapshot of a host a time or an id means.

Place in the data's way: step of every tool that is told a time. As the JSON routes understand it,
for callers that are no routes.
"""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.envelope import Refused
from probes.filters import FilterError
from probes.history import queries
from probes.history.queries import diffs
from probes.models import Outcome, Snapshot


def snapshot_of(
    host: Host, *, at: dt.datetime | None = None, snapshot: int | None = None, field: str = "at"
) -> Snapshot | None:
    """The newest whole snapshot at or before ``at``, or the one with the id; None where neither is
    given. Raises Refused where there is none, FilterError for both at once or for one that is not
    whole; ``field`` is what the caller knows the time as."""
    if snapshot is not None:
        if at is not None:
            raise FilterError("snapshot", _("Give at or snapshot, not both."))
        stored = Snapshot.objects.filter(pk=snapshot, host=host).first()
        if stored is None:
            raise _absent("snapshot", _("This host has no such snapshot."))
        if stored.outcome != Outcome.OK:
            raise FilterError("snapshot", _("This probe gave no whole table. Choose another."))
        return stored
    if at is None:
        return None
    stored = queries.snapshot_at(host, end_of_second(at))
    if stored is None:
        raise _absent(field, _("No whole snapshot is kept of that time or before it."))
    return stored


def ends_of(
    host: Host, begin: dt.datetime | None, end: dt.datetime | None
) -> tuple[Snapshot | None, Snapshot | None]:
    """The newest whole snapshots at or before both times: without ``end`` the newest, without
    ``begin`` the one before that, as far as there are any. Raises Refused as :func:`snapshot_of`,
    naming ``from`` or ``to``."""
    after = snapshot_of(host, at=end, field="to") or queries.snapshot_at(host, None)
    if begin is None:
        return (None if after is None else diffs.previous(host, after)), after
    return snapshot_of(host, at=begin, field="from"), after


def end_of_second(when: dt.datetime) -> dt.datetime:
    """A time in whole seconds as the end of that second, so that a time read off a page, which
    shows no fractions, finds what the page showed; a more exact one as it is."""
    return when if when.microsecond else when.replace(microsecond=999_999)


def _absent(field: str, message: str) -> Refused:
    return Refused(404, "not_found", f"{field}: {message}", field=field)
