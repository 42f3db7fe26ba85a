"""Addresses of the JSON routes, under ``/api/v1/``. docs/api.md describes them."""

from __future__ import annotations

from probes.api import inventory, network, parsing, probing, sockets, statistics
from probes.api.routing import endpoint

urlpatterns = [
    endpoint("hosts/", "api-hosts", inventory.listing, inventory.add),
    endpoint("hosts/<int:pk>/", "api-host", inventory.show, inventory.change, inventory.remove),
    endpoint("hosts/<int:pk>/probe", "api-host-probe", probing.probe),
    endpoint("hosts/<int:pk>/snapshots", "api-host-snapshots", probing.snapshots),
    endpoint("hosts/<int:pk>/connections", "api-host-connections", sockets.connections),
    endpoint("hosts/<int:pk>/ports", "api-host-ports", sockets.host_ports),
    endpoint("hosts/<int:pk>/routes", "api-host-routes", network.routes),
    endpoint("hosts/<int:pk>/interfaces", "api-host-interfaces", network.interfaces),
    endpoint("hosts/<int:pk>/protocols", "api-host-protocols", network.protocols),
    endpoint("hosts/<int:pk>/multicast", "api-host-multicast", network.multicast),
    endpoint("snapshots/<int:pk>", "api-snapshot", probing.snapshot),
    endpoint("snapshots/<int:pk>/raw", "api-snapshot-raw", probing.raw),
    endpoint("ports", "api-ports", sockets.ports),
    endpoint("parse", "api-parse", parsing.parse),
    endpoint("statistics/ips", "api-statistics-ips", statistics.ips),
    endpoint("statistics/states", "api-statistics-states", statistics.states),
    endpoint("statistics/interfaces", "api-statistics-interfaces", network.traffic),
    endpoint("statistics/timeline", "api-statistics-timeline", statistics.timeline),
]
