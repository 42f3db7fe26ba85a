"""URLs of hosts, credentials, host keys and the import."""

from __future__ import annotations

from django.urls import path

from hosts.views import credentials, fleet, host, host_keys, imports

urlpatterns = [
    path("hosts/", fleet.host_list, name="host_list"),
    path("hosts/add/", host.add, name="host_add"),
    path("hosts/import/", imports.page, name="host_import"),
    path("hosts/keys/", host_keys.index, name="host_keys"),
    path("hosts/keys/<int:pk>/", host_keys.decide, name="host_key_decide"),
    path("hosts/<int:pk>/edit/", host.edit, name="host_edit"),
    path("hosts/<int:pk>/remove/", host.remove, name="host_remove"),
    path("credentials/", credentials.index, name="credentials"),
    path("credentials/add/", credentials.add, name="credential_add"),
    path("credentials/<int:pk>/edit/", credentials.edit, name="credential_edit"),
    path("credentials/<int:pk>/remove/", credentials.remove, name="credential_remove"),
]
