"""Registers the ``hosts`` app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HostsConfig(AppConfig):
    """Hosts, credentials, groups and host keys."""

    name = "hosts"
    verbose_name = _("Hosts")

    def ready(self) -> None:
        """Register the system checks."""
        from hosts import checks  # noqa: F401 - imported for what it registers
