"""Gives administrators the Django permissions that the admin's pages ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.backends import BaseBackend
from django.db import models

from netadmin.access import permissions

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class RoleBackend(BaseBackend):
    """Every permission for an administrator of all hosts, none for others; logs nobody in."""

    def has_perm(
        self,
        user_obj: AbstractBaseUser | AnonymousUser,
        perm: str,
        obj: models.Model | None = None,
    ) -> bool:
        """Whether ``user_obj`` administers the whole site."""
        return permissions.administers_all(user_obj)  # type: ignore[arg-type]

    def has_module_perms(self, user_obj: AbstractBaseUser | AnonymousUser, app_label: str) -> bool:
        """The same for a whole app."""
        return permissions.administers_all(user_obj)  # type: ignore[arg-type]
