"""The page behind the search box of every page.

Place in the data's way: shapes ``probes.search``. What is exactly a host's name, and can be nothing
else, leads to that host.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import search as searching
from probes.search import LONGEST, Found


@require(Role.VIEWER)
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Everything that the text finds, a few rows of each kind."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]
    if not text:
        return render(request, "probes/search.html", {"search_text": ""})
    host = searching.the_host(request.user, text)
    if host is not None:
        return redirect("host", host.pk)
    found = searching.find(request.user, text)
    context = {"search_text": text, "found": found, **_links(found)}
    return render(request, "probes/search.html", context)


def _links(found: Found) -> dict[str, str]:
    """Where each kind of find is listed whole."""
    indicator = found.indicator
    asked: dict[str, str] = {}
    now: dict[str, str] = {}
    if indicator is not None and indicator.remote_port is not None:
        asked = {"indicators": indicator.text}
    elif indicator is not None and indicator.addresses is not None:
        asked = {"ip": indicator.text}
        now = {"remote_ip": indicator.text}
    elif indicator is not None and indicator.port is not None:
        asked = {"port": str(indicator.port)}
        now = {"local_port": str(indicator.port)}
    elif indicator is not None and indicator.program is not None:
        asked = now = {"program": indicator.program}
    port = indicator.port if indicator is not None and indicator.addresses is None else None
    return {
        "hunt_url": f"{reverse('hunt')}?{urlencode(asked)}" if asked else "",
        "ports_url": f"{reverse('ports')}?port={port}" if port else "",
        "now_query": urlencode(now),
        "hosts_url": f"{reverse('overview')}?{urlencode({'q': found.text})}",
    }
