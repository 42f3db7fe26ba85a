"""URLs of the pages that show what probes found."""

from __future__ import annotations

from django.urls import path

from probes import health
from probes.views import (
    connection_test,
    host,
    host_tabs,
    jump,
    network,
    overview,
    paste,
    ports,
    probing,
    snapshots,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("go/", jump.jump, name="jump"),
    path("ports/", ports.ports, name="ports"),
    path("paste/", paste.paste, name="paste"),
    path("paste/download/", paste.download, name="paste_download"),
    path("paste/save/", paste.save, name="paste_save"),
    path("hosts/test/", connection_test.connection_test, name="connection_test"),
    path("hosts/<int:pk>/", host.host, name="host"),
    path("hosts/<int:pk>/ports/", host_tabs.ports, name="host_ports"),
    path("hosts/<int:pk>/peers/", host_tabs.peers, name="host_peers"),
    path("hosts/<int:pk>/states/", host_tabs.states, name="host_states"),
    path("hosts/<int:pk>/network/", network.tables, name="host_network"),
    path("hosts/<int:pk>/probes/", host_tabs.probes, name="host_probes"),
    path("hosts/<int:pk>/probe/", probing.probe_now, name="probe_now"),
    path("hosts/<int:pk>/progress/", probing.probe_progress, name="probe_progress"),
    path("snapshots/<int:pk>/", snapshots.snapshot, name="snapshot"),
    path("snapshots/<int:pk>/raw/", snapshots.raw, name="snapshot_raw"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
