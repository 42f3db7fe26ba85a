"""The search box on every page: from a few characters to the page that answers them.

Place in the data's way: knows hosts and addresses; sends the reader on, shows hardly anything.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import Invalid, address_range
from probes.history.queries import across

SHOWN_HOSTS = 50
MAX_PORT = 65_535


@require(Role.VIEWER)
@require_safe
def jump(request: HttpRequest) -> HttpResponse:
    """A port number leads to who holds it, a host's name or address to the host, an IP to the
    hosts that are connected with it; anything else is looked for in names and addresses. A
    number that is no port and part of no name leads to the page of ports, which refuses it."""
    text = request.GET.get("q", "").strip().replace("\0", "")[:200]
    visible = Host.objects.kept().visible_to(request.user)
    if not text:
        return redirect("overview")
    port = text.removeprefix(":")
    number = port.isascii() and port.isdigit()
    if number and len(port) <= 5 and 1 <= int(port) <= MAX_PORT:
        return redirect(f"{reverse('ports')}?port={int(port)}")
    exact = list(visible.filter(Q(name__iexact=text) | Q(address__iexact=text))[:2])
    if len(exact) == 1:
        return redirect("host", exact[0].pk)
    if _is_address(text):
        return _connected(request, visible, text)
    found = list(
        visible.filter(Q(name__icontains=text) | Q(address__icontains=text)).order_by("name")[:2]
    )
    if len(found) == 1:
        return redirect("host", found[0].pk)
    if number and not found:
        return redirect(f"{reverse('ports')}?{urlencode({'port': port})}")
    return redirect(f"{reverse('overview')}?{urlencode({'q': text})}")


def _is_address(text: str) -> bool:
    try:
        address_range(text)
    except Invalid:
        return False
    return True


def _connected(request: HttpRequest, visible: QuerySet[Host], text: str) -> HttpResponse:
    counts = across.connected_with(visible, text)
    hosts = visible.filter(pk__in=sorted(counts, key=lambda pk: -counts[pk])[:SHOWN_HOSTS])
    rows = sorted(((host, counts[host.pk]) for host in hosts), key=lambda row: -row[1])
    if len(counts) == 1 and rows:
        query = urlencode({"remote_ip": text})
        return redirect(f"{reverse('host', args=[rows[0][0].pk])}?{query}")
    context = {"text": text, "search_text": text, "rows": rows, "more": len(counts) - len(rows)}
    return render(request, "probes/connected.html", context)
