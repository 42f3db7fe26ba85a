"""Registers the ``access`` app, and the Django admin with this project's guard."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class AccessConfig(AppConfig):
    """Roles, tokens and the audit log."""

    name = "netadmin.access"
    label = "access"
    default = True
    verbose_name = _("Access")

    def ready(self) -> None:
        """Register the system checks."""
        from netadmin import checks  # noqa: F401 - imported for what it registers


class AdminConfig(admin_apps.AdminConfig):
    """The Django admin, with ``netadmin.access.site.Site`` as its one site."""

    default = False
    default_site = "netadmin.access.site.Site"
