"""Registers the ``access`` app, and the Django admin with this project's guard."""

import sys

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _

from netadmin.bootstrap import QUESTIONS


class AccessConfig(AppConfig):
    """Roles, tokens and the audit log."""

    name = "netadmin.access"
    label = "access"
    default = True
    verbose_name = _("Access")

    def ready(self) -> None:
        """Register the system checks."""
        if _answers_a_question():
            return
        from netadmin import checks  # noqa: F401 - imported for what it registers


class AdminConfig(admin_apps.AdminConfig):
    """The Django admin, with ``netadmin.access.site.Site`` as its one site."""

    default = False
    default_site = "netadmin.access.site.Site"

    def ready(self) -> None:
        """Find the admin classes of all apps."""
        if not _answers_a_question():
            super().ready()


def _answers_a_question() -> bool:
    """Whether this process is a command that runs no check and serves no page: without what those
    import it answers in about half the time."""
    return sys.argv[0].endswith("manage.py") and sys.argv[1:2] != [] and sys.argv[1] in QUESTIONS
