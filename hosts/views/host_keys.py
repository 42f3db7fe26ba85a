"""Host keys: those that await approval first, and the decision on each."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Case, IntegerField, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts import keys, reach
from hosts.models import Host, HostKey
from hosts.target import Trust
from netadmin.access.models import Role
from netadmin.access.permissions import require

ROWS = 500
FILES = {
    "ssh-ed25519": "ed25519",
    "ssh-rsa": "rsa",
    "ecdsa-sha2-nistp256": "ecdsa",
    "ecdsa-sha2-nistp384": "ecdsa",
    "ecdsa-sha2-nistp521": "ecdsa",
}
"""Where sshd keeps its key of a type: /etc/ssh/ssh_host_<this>_key.pub (sshd_config(5))."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key with what an administrator compares it to."""

    key: HostKey
    hosts: list[Host]
    before: HostKey | None
    """The trusted key it would replace."""
    command: str
    """Prints the fingerprint on the host itself."""


@require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Keys of all hosts the caller administers."""
    limits = reach.of(request)
    order = Case(
        When(trust=HostKey.TrustChoice.PENDING, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    )
    rows = list(limits.host_keys().order_by(order, "address", "port", "-last_seen")[:ROWS])
    hosts: dict[tuple[str, int], list[Host]] = {}
    for host in limits.hosts().filter(address__in={row.address for row in rows}):
        hosts.setdefault((host.address, host.port), []).append(host)
    shown = [shape(row, hosts.get((row.address, row.port), [])) for row in rows]
    context = {
        "pending": [row for row in shown if row.key.trust == HostKey.TrustChoice.PENDING],
        "decided": [row for row in shown if row.key.trust != HostKey.TrustChoice.PENDING],
    }
    return render(request, "hosts/host_keys.html", context)


@require(Role.ADMIN)
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Trust or refuse one key, as the pressed button says."""
    key = reach.of(request).host_keys().filter(pk=pk).first() if pk < 2**63 else None
    if key is None:
        raise Http404
    try:
        trust = Trust(request.POST.get("trust", ""))
    except ValueError:
        trust = Trust.PENDING
    if trust is Trust.PENDING:
        messages.error(request, _("Choose to approve or to refuse the key."))
        return redirect("host_keys")
    keys.decide(key, trust, request=request)
    words = _("Approved: %(key)s") if trust is Trust.TRUSTED else _("Refused: %(key)s")
    messages.success(request, words % {"key": key})
    return redirect("host_keys")


def shape(key: HostKey, hosts: list[Host]) -> ShownKey:
    """A key for the template."""
    pending = key.trust == HostKey.TrustChoice.PENDING
    return ShownKey(
        key,
        hosts,
        keys.trusted_before(key) if pending else None,
        f"ssh-keygen -lf /etc/ssh/ssh_host_{FILES.get(key.key_type, 'ed25519')}_key.pub",
    )
