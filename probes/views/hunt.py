"""The page of the retro-hunt: who ever talked to an address, used a port or ran a program.

Place in the data's way: shapes ``queries.sightings``. A question stands in the address, so that it
can be sent to somebody; only a list too long for that is posted, and then the answer's own buttons
post it again for its next page and its CSV.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts.models import Host, HostGroup, HostQuerySet, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import indicators, names, payloads
from probes.filters import FilterError, Invalid, address_range, parse
from probes.history.queries import sightings
from probes.history.queries import sought as looking
from probes.history.queries.pages import Page
from probes.history.queries.sightings import SeenRow, Sighting, Summary
from probes.history.queries.sought import Sought
from probes.hunt_filters import LONGEST_LIST, HuntQuery
from probes.hunts import saved as saved_hunts
from probes.indicators import MOST_CHARACTERS, Indicator, Reading
from probes.parsers.records import TCP_STATES
from probes.payloads import hunts as hunt_payloads
from probes.views import moment as moments
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.sockets import ANY, DIRECTION_LABELS

HOSTS_A_PAGE: Final = 50
ROWS_A_PAGE: Final = 100
REJECTED_SHOWN: Final = 20
FIELDS: Final = ("ip", "cidr", "port", "program", "since", "until", "proto", "state", "direction",
                 "group", "host", "family", "indicators", "remote_ip", "remote_port", "local_ip",
                 "local_port", "pid", "hide")  # fmt: skip
"""What is asked; the page's own parameters are left out."""
PAGE_PARAMETERS: Final = ("page", "cursor", "list", "csv", "csrfmiddlewaretoken")
PROTOCOLS: Final = (ANY, ("tcp", "TCP"), ("udp", "UDP"), ("raw", "raw"))


@dataclass(slots=True)
class _Answer:
    """What was found, as far as this page shows it."""

    sought: Sought
    summary: Summary | None = None
    hosts: Any = None
    """A page of the summary."""
    rows: Page[SeenRow] | None = None


@require(Role.VIEWER)
@require_http_methods(["GET", "HEAD", "POST"])
def hunt(request: HttpRequest) -> HttpResponseBase:
    """Ask by GET; by POST only what is too long for that."""
    asked = request.POST if request.method == "POST" else request.GET
    visible = Host.objects.visible_to(request.user)
    known = visible_groups(request.user)
    groups = list(known.filter(hosts__in=visible.order_by()).distinct())
    problem: FilterError | None = None
    reading: Reading | None = None
    answer: _Answer | None = None
    text = asked.get("indicators", "")
    try:
        if len(text) > MOST_CHARACTERS:
            most = _("Give at most %(most)s characters.") % {"most": MOST_CHARACTERS}
            raise FilterError("indicators", most)
        query = _read(asked)
        hosts = place.narrowed(request, visible, host=query.host, group=query.group)
        if text.strip():
            reading = indicators.read(text)
        if request.method == "POST" and not asked.get("csv") and _fits(text):
            return redirect(f"{reverse('hunt')}?{_again(asked)}")
        if query.asks or reading is not None:
            sought = query.sought(reading)
            wanted = asked.get("csv", "")
            if wanted in ("summary", "rows"):
                return _csv(hosts, sought, of_rows=wanted == "rows")
            answer = _answer(asked, hosts, sought)
    except FilterError as error:
        problem = error
    context = {
        **_form(request, asked, groups, problem),
        "problem": problem,
        "answer": answer,
        "rejected": [] if reading is None else reading.rejected[:REJECTED_SHOWN],
        "more_rejected": 0 if reading is None else max(0, len(reading.rejected) - REJECTED_SHOWN),
        "covered": _covered(answer),
        "many": answer is not None and len(answer.sought.indicators) > 1,
        "any_host": visible.exists(),
        "kept_days": settings.RETENTION_DAYS,
        "kept_since": timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS),
        "posted": request.method == "POST",
        "hints": names.hints(
            row.socket.foreign_ip
            for row in (answer.rows.rows if answer is not None and answer.rows else ())
        ),
        **_links(request, asked, answer),
    }
    return render(request, "probes/hunt.html", context, status=400 if problem else 200)


def _read(asked: QueryDict) -> HuntQuery:
    """The question, its times in the site's zone; a network in the field of the IP is one."""
    given = asked.copy()
    given.pop("indicators", None)
    for name in ("since", "until"):
        value = given.get(name, "")
        if value.strip():
            try:
                when = moments.parse(value)
            except FilterError as error:
                raise FilterError(name, error.message) from None
            if when is not None:
                # A whole second means its beginning for since and its end for until.
                begins = name == "since" and when.microsecond == 999_999
                given[name] = moments.stamp(when.replace(microsecond=0) if begins else when)
    address = given.get("ip", "").strip()
    if address and not given.get("cidr", "").strip() and len(given.getlist("ip")) == 1:
        try:
            found = address_range(address)
        except Invalid:
            pass  # said with the name of its field below
        else:
            given.pop("ip")
            given["ip" if found.low == found.high else "cidr"] = address
    for name in given:
        given.setlist(name, [value.strip() for value in given.getlist(name)])
    return parse(HuntQuery, given, ignore=PAGE_PARAMETERS)


def _fits(text: str) -> bool:
    """Whether a posted question fits into an address after all."""
    return len(text) <= LONGEST_LIST and len(urlencode({"q": text})) <= 2 * LONGEST_LIST


def _again(asked: QueryDict) -> str:
    """The question as a query string, without what was left empty."""
    kept = QueryDict(mutable=True)
    for name in FIELDS:
        values = [value.strip() for value in asked.getlist(name) if value.strip()]
        if values:
            kept.setlist(name, values)
    return kept.urlencode()


def _answer(asked: QueryDict, hosts: HostQuerySet, sought: Sought) -> _Answer:
    """The summary and the rows; of a further page of one, that alone."""
    answer = _Answer(sought)
    cursor, page = asked.get("cursor") or None, asked.get("page") or ""
    if cursor is None:
        answer.summary = sightings.summary(hosts, sought)
        answer.hosts = Paginator(answer.summary.sightings, HOSTS_A_PAGE).get_page(page)
    if cursor is not None or page in ("", "1"):
        answer.rows = sightings.rows(hosts, sought, cursor=cursor, limit=ROWS_A_PAGE)
    return answer


def _covered(answer: _Answer | None) -> list[tuple[Indicator, Indicator]]:
    """The networks that are looked for as part of another one of the list."""
    return [] if answer is None else list(looking.covered(answer.sought.indicators).items())


def _csv(hosts: HostQuerySet, sought: Sought, *, of_rows: bool) -> HttpResponseBase:
    if of_rows:
        rows = map(hunt_payloads.seen_row, sightings.iter_rows(hosts, sought))
        return payloads.csv("sighting-rows", hunt_payloads.SEEN_ROW, rows)
    listed: Iterable[Sighting] = sightings.summary(hosts, sought).sightings
    return payloads.csv("sightings", hunt_payloads.SIGHTING, map(hunt_payloads.sighting, listed))


def _form(
    request: HttpRequest, asked: QueryDict, groups: list[HostGroup], problem: FilterError | None
) -> dict[str, Any]:
    def choice(name: str, options: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        listed, value = list(options), asked.get(name, "")
        known = {key for key, _label in listed}
        return listed if value in known else [*listed, (value, value)]

    return {
        "asked": {name: asked.get(name, "") for name in FIELDS},
        "address": asked.get("ip", "") or asked.get("cidr", ""),
        "as_list": bool(asked.get("list") or asked.get("indicators")),
        "protocols": choice("proto", PROTOCOLS),
        "states": choice("state", (ANY, *((state, state) for state in TCP_STATES))),
        "directions": choice("direction", (ANY, *DIRECTION_LABELS.items())),
        "groups": groups,
        "bad": problem.field if problem is not None else "",
        "others": [
            (name, asked.get(name, ""))
            for name in ("host", "family", "remote_ip", "remote_port", "local_ip", "local_port",
                         "pid", "hide")
            if asked.get(name, "").strip()
        ],
        "may_save": saved_hunts.may_add(request),
    }  # fmt: skip


def _links(request: HttpRequest, asked: QueryDict, answer: _Answer | None) -> dict[str, Any]:
    """Where the next page, the CSV and the form of a saved hunt are; empty for what is posted."""
    if answer is None or request.method == "POST":
        return {"csv_url": "", "rows_csv_url": "", "save_url": "", "next_hosts": "", "first": ""}
    api = reverse("api-connections-search")
    query = _read(asked)
    listed = {"indicators": asked["indicators"]} if asked.get("indicators", "").strip() else {}
    same = query.parameters() | listed
    texts = [each.text for each in answer.sought.indicators]
    readable = "\n".join(texts)
    savable = bool(listed) or indicators.read(readable).indicators == answer.sought.indicators
    page = answer.hosts
    return {
        "csv_url": f"{api}?{urlencode(same | {'format': 'csv'})}",
        "rows_csv_url": f"{api}?{urlencode(same | {'view': 'rows', 'format': 'csv'})}",
        "save_url": f"{reverse('hunt_add')}?{urlencode({'indicators': readable})}"
        if savable and len(readable) <= LONGEST_LIST
        else "",
        "next_hosts": with_query(request, page=str(page.next_page_number()))
        if page is not None and page.has_next()
        else "",
        "next_rows": with_query(request, page=None, cursor=answer.rows.next)
        if answer.rows is not None and answer.rows.next
        else "",
        "first": with_query(request)
        if asked.get("cursor") or (page is not None and page.has_previous())
        else "",
    }
