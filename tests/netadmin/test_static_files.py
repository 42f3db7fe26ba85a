"""Static files: what is vendored is what its package held, and the manifest storage takes all."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "netadmin" / "static" / "netadmin"
VENDORED = OWN / "vendor"
AXE = ROOT / "tests" / "browser" / "vendor"


@pytest.mark.parametrize("folder", [VENDORED, AXE], ids=["pages", "tests"])
def test_every_vendored_file_is_listed_and_is_what_was_listed(folder: Path) -> None:
    listed = json.loads((folder / "manifest.json").read_text())
    licences = {entry["licence_file"] for entry in listed.values()}
    present = {file.name for file in folder.iterdir()} - {"manifest.json", "README.md"}
    assert present == set(listed) | licences
    for name, entry in listed.items():
        assert hashlib.sha512((folder / name).read_bytes()).hexdigest() == entry["sha512"], name
        assert entry["package"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    for licence in licences:
        assert re.search("Copyright|Mozilla Public License", (folder / licence).read_text())


def test_the_readme_names_the_versions_of_the_manifest() -> None:
    readme = (VENDORED / "README.md").read_text()
    for entry in json.loads((VENDORED / "manifest.json").read_text()).values():
        assert f"{entry['package']} {entry['version']}" in readme


def test_nothing_is_loaded_from_another_site() -> None:
    for file in OWN.rglob("*"):
        if file.suffix == ".css":
            text = file.read_text()
            assert "@import" not in text, file
            assert not re.search(r"url\(\s*[\"']?(?!data:|#)[a-z]*:?//", text), file


def test_own_scripts_need_no_eval() -> None:
    for file in OWN.glob("*.js"):
        text = file.read_text()
        assert not re.search(
            r"\beval\(|new Function|innerHTML|outerHTML\s*=|insertAdjacentHTML", text
        )


def test_collectstatic_takes_every_file(tmp_path: Path) -> None:
    storages = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    with override_settings(STATIC_ROOT=tmp_path, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    paths = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    for name in (
        "netadmin/app.css",
        "netadmin/app.js",
        "netadmin/theme.js",
        "netadmin/charts.js",
        "netadmin/vendor/tabler.min.css",
        "django_htmx/htmx-2.min.js",
    ):
        assert (tmp_path / paths[name]).exists()
