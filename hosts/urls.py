"""URLs of hosts, credentials, host keys and the import."""

from __future__ import annotations

from django.urls import path

from hosts.views import credentials, fleet, host, host_keys, imports, sources

urlpatterns = [
    path("hosts/", fleet.host_list, name="host_list"),
    path("hosts/add/", host.add, name="host_add"),
    path("hosts/import/", imports.page, name="host_import"),
    path("hosts/keys/", host_keys.index, name="host_keys"),
    path("hosts/keys/<int:pk>/", host_keys.decide, name="host_key_decide"),
    path("hosts/sources/", sources.index, name="sources"),
    path("hosts/sources/add/", sources.add, name="source_add"),
    path("hosts/sources/<int:pk>/", sources.show, name="source"),
    path("hosts/sources/<int:pk>/edit/", sources.edit, name="source_edit"),
    path("hosts/sources/<int:pk>/remove/", sources.remove, name="source_remove"),
    path("hosts/sources/<int:pk>/sync/", sources.synchronise, name="source_sync"),
    path("hosts/sources/runs/<int:pk>/", sources.run, name="sync_run"),
    path("hosts/sources/runs/<int:pk>/decide/", sources.decide, name="sync_run_decide"),
    path("hosts/<int:pk>/edit/", host.edit, name="host_edit"),
    path("hosts/<int:pk>/remove/", host.remove, name="host_remove"),
    path("credentials/", credentials.index, name="credentials"),
    path("credentials/add/", credentials.add, name="credential_add"),
    path("credentials/<int:pk>/edit/", credentials.edit, name="credential_edit"),
    path("credentials/<int:pk>/remove/", credentials.remove, name="credential_remove"),
]
