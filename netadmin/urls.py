"""All URLs of the site. Who may call each is in ``netadmin.access.routes``."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    # First, since programs ask most often and patterns are tried in order.
    path("api/v1/", include("probes.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("netadmin.access.urls")),
    path("", include("hosts.urls")),
    path("", include("probes.urls")),
]

handler400 = "netadmin.access.views.refusals.bad_request"
handler403 = "netadmin.access.views.refusals.permission_denied"
handler404 = "netadmin.access.views.refusals.page_not_found"
handler500 = "netadmin.access.views.refusals.server_error"
