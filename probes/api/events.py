"""The stream of events: what changed, told at once to whoever keeps the connection open.

Place in the data's way: reads ``probes.watch.feed`` when ``probes.watch.lookout`` says that there
is something, and shapes changes as the route of changes does. The format is that of server-sent
events: WHATWG HTML, section 9.2.

A stream holds a thread of the web server as long as it lasts, so there are few of them
(EVENT_STREAMS a process), each ends by itself after some minutes, and each gives its database
connection back while it waits. Whoever is refused follows ``changes?after=`` instead and loses
nothing. Who asks is judged again before anything is told and at every sign of life: a token that
was revoked, a session that ended, a group that was taken away end it.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, Final

from django.conf import settings
from django.contrib import auth
from django.db import Error, connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _
from pydantic import model_validator

from netadmin.access import audit, permissions, tokens
from netadmin.access.models import Role
from netadmin.envelope import Refused
from probes.api.routing import Refusal, Text, route
from probes.api.shared import NEWEST, Place, hosts_of
from probes.filters import FilterError, number
from probes.history.queries import changes
from probes.history.queries.changes import ChangeFilter
from probes.payloads import alerts as payloads
from probes.watch import feed
from probes.watch.lookout import Lookout

logger = logging.getLogger(__name__)

LONGEST_S: Final = 300
"""A stream ends by then; a browser connects again by itself, and goes on where it was."""
SIGN_OF_LIFE_S: Final = 15.0
"""So that proxies keep the connection, and one that broke is noticed."""
LOOK_ROUND_S: Final = 1.0
"""How often a waiting stream looks whether its reader has gone."""
STALLED_S: Final = 20.0
"""How long a reader may keep a thread sending."""
RECONNECT_MS: Final = 3_000
RETRY_AFTER_S: Final = 60
ROWS_A_LOOK: Final = 100

LOOKOUT: Final = Lookout()


class EventQuery(ChangeFilter):
    """Which changes are told, from where, and for how long."""

    after: Place | None = None
    """A place as ``next_after`` and the ids of events give it; ``newest`` where not given."""
    seconds: Annotated[int, number(1, LONGEST_S)] = LONGEST_S
    """How long the stream lasts."""

    @model_validator(mode="after")
    def _no_order(self) -> EventQuery:
        if self.sort is not None:
            raise FilterError("sort", _("Events come in the order of the feed. Leave this out."))
        return self


class Seats:
    """How many streams this process has, and whose."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, person: str) -> bool:
        """Take one for that user, of whom nobody gets more than half; False where none is left."""
        most: int = settings.EVENT_STREAMS
        with self._lock:
            if self._taken.total() >= most or self._taken[person] >= (most + 1) // 2:
                return False
            self._taken[person] += 1
            return True

    def leave(self, person: str) -> None:
        """Give it back."""
        with self._lock:
            self._taken[person] -= 1

    @property
    def taken(self) -> int:
        """By all together."""
        with self._lock:
            return self._taken.total()


SEATS: Final = Seats()


class Stream:
    """The text of one stream, piece by piece. Its seat is free when it is closed or forgotten."""

    def __init__(self, pieces: Iterator[str], *, person: str) -> None:
        self._pieces = pieces
        self._leave = weakref.finalize(self, SEATS.leave, person)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Django's hook for the end of the answer, however it came."""
        self._pieces.close()  # type: ignore[attr-defined]
        self._leave()


@route("GET", Role.VIEWER, query=EventQuery, data=Text("text/event-stream"), also=(503,))
def events(request: HttpRequest, query: EventQuery) -> HttpResponseBase:
    """What changes on the hosts that the caller may see, as server-sent events."""
    after = _first_place(request, query)
    hosts_of(request, query, removed=True)
    person = str(request.user.pk)
    if not SEATS.take(person):
        refusal = Refused(
            503,
            "too_many_streams",
            _("There are as many streams of events as this server keeps open."),
            hint=_("Follow changes?after= instead, or try again later."),
            headers={"Retry-After": str(RETRY_AFTER_S)},
        ).answer()
        # Each page that polls instead gets this, and nothing failed; Django would log an error.
        refusal._has_been_logged = True  # type: ignore[attr-defined]
        return refusal
    peer = request.META.get("gunicorn.socket")
    if isinstance(peer, socket.socket):
        # Of a reader who takes nothing: what cannot be sent in this time ends the stream.
        peer.settimeout(STALLED_S)
    stream = Stream(_told(request, query, after), person=person)
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream",
        # nginx would gather what is to be told at once.
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


def _first_place(request: HttpRequest, query: EventQuery) -> int:
    """Where the stream begins: behind the last event that the reader had, where it says so."""
    header = request.headers.get("Last-Event-ID", "")
    if header:
        if not (header.isascii() and header.isdigit() and len(header) <= 18):
            raise FilterError("Last-Event-ID", _("Give the id of an event of this stream."))
        return int(header)
    if query.after is None or query.after == NEWEST:
        return feed.end()
    return int(query.after)


def _told(request: HttpRequest, query: EventQuery, after: int) -> Iterator[str]:
    language = translation.get_language()
    ends_at = time.monotonic() + query.seconds
    pieces = [f"retry: {RECONNECT_MS}\n{_event('begin', after, {'after': after})}"]
    look = True
    with LOOKOUT.watching():
        while True:
            # Before anything that waits: for what comes, or for a reader who reads slowly.
            _give_back_connections()
            if pieces:
                yield "".join(pieces)
                told_at = time.monotonic()
            left_s = ends_at - time.monotonic()
            if left_s <= 0 or _reader_has_gone(request):
                return
            look = look or LOOKOUT.wait(after, timeout_s=min(LOOK_ROUND_S, left_s))
            pieces, more = [], False
            try:
                if look:
                    pieces, after, more = _look(request, query, after, language)
                elif time.monotonic() - told_at >= SIGN_OF_LIFE_S:
                    if _asking_now(request) is None:
                        return
                    pieces = [f"id: {after}\n: \n\n"]
            except (_Over, Refusal):
                return
            except Error as error:
                logger.warning("a stream of events ends, the database does not answer: %s", error)
                return
            look = more


class _Over(Exception):
    """Whoever asked may ask no more."""


def _look(
    request: HttpRequest, query: EventQuery, after: int, language: str | None
) -> tuple[list[str], int, bool]:
    """The next events behind a place, the place behind them, and whether there are more at once:
    never all of a backlog, which the reader may be too slow for, or no longer there for."""
    asking = _asking_now(request)
    if asking is None:
        raise _Over
    rows = changes.listed(hosts_of(asking, query, removed=True), query)
    found = feed.following(rows, after=after, limit=ROWS_A_LOOK)
    pieces: list[str] = []
    if found.missed:
        pieces.append(_event("missed", found.next_after, {"after": found.next_after}))
    with translation.override(language):
        pieces += [_event("change", row.feed, payloads.change(row)) for row in found.rows]
    return pieces, found.next_after, found.more


def _event(name: str, place: int | None, data: Any) -> str:
    """One event; JSON has no line break outside its escapes."""
    return f"id: {place}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _asking_now(request: HttpRequest) -> HttpRequest | None:
    """Who asked, as it is known now; None where that token or session is no longer good."""
    asking = HttpRequest()
    asking.method, asking.META = "GET", request.META
    asking.path, asking.path_info = request.path, request.path_info
    asking.token = None  # type: ignore[attr-defined]
    if getattr(request, "token", None) is not None:
        try:
            token = tokens.authenticate(
                request.META["HTTP_AUTHORIZATION"], address=audit.client_address(request)
            )
        except tokens.WrongAddress:
            return None
        if token is None:
            return None
        asking.token, asking.user = token, token.user  # type: ignore[attr-defined]
    else:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        asking.session = store(request.session.session_key)
        asking.user = auth.get_user(asking)
    return None if permissions.refuse(asking, Role.VIEWER) is not None else asking


def _give_back_connections() -> None:
    """Close this thread's: it waits, and PostgreSQL has only so many."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _reader_has_gone(request: HttpRequest) -> bool:
    """Whether the other end has closed, where the web server shows its socket: without it that is
    noticed only when the next sign of life cannot be sent, and the thread is busy until then."""
    peer = request.META.get("gunicorn.socket")
    if not isinstance(peer, socket.socket):
        return False
    try:
        # Not select(2), which knows no file beyond the 1024th.
        poller = select.poll()
        poller.register(peer, select.POLLIN)
        return bool(poller.poll(0)) and peer.recv(1, socket.MSG_PEEK) == b""
    except ValueError:  # a socket of TLS cannot be peeked into
        return False
    except OSError:
        return True
