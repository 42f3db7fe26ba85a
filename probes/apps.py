"""Registers the ``probes`` app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProbesConfig(AppConfig):
    """Snapshots, sockets and the schedule."""

    name = "probes"
    verbose_name = _("Probes")
