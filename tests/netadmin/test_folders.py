"""CMDB_FILES_DIR: an absolute path, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from netadmin import env


def test_empty_is_none_and_absolute_is_taken() -> None:
    assert env.folder("CMDB_FILES_DIR", "  ") is None
    assert env.folder("CMDB_FILES_DIR", "/srv/cmdb") == Path("/srv/cmdb")


def test_a_relative_path_is_refused_by_name() -> None:
    with pytest.raises(ImproperlyConfigured, match="CMDB_FILES_DIR"):
        env.folder("CMDB_FILES_DIR", "cmdb")
