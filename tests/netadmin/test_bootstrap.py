"""From a bare Python to a running command, in a copy of the checkout with nothing installed.

The copy's requirements are one tiny package called Django, made here, so that real Pythons, real
virtual environments and the real pip run without a network.
"""

from __future__ import annotations

import ast
import ctypes
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netadmin import bootstrap

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "__init__", "ask", "bootstrap", "children", "data_dir", "progress", "supervisor", "testbed"
)  # fmt: skip
PRETENDED = """
import os, sys
def execute_from_command_line(argv):
    print("django ran", *argv[1:], "in", sys.prefix)
"""
CAP_DAC_OVERRIDE = 1
PR_CAPBSET_DROP = 24


class Checkout:
    """A copy of what a fresh checkout starts with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.wheels = folder / "wheels"
        self.path = folder / "bin"
        self.hidden = folder / "hidden"
        for made in (self.wheels, self.path, self.hidden, self.folder / "netadmin"):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "manage.py", self.folder)
        for name in COPIED:
            shutil.copy(ROOT / "netadmin" / f"{name}.py", self.folder / "netadmin")
        self.require("Django==1.0  # pretended")
        self.wheel("Django", "1.0", {"django/core/management/__init__.py": PRETENDED})
        self.hide("django")

    def require(self, *lines: str) -> None:
        (self.folder / "requirements.txt").write_text("\n".join(lines) + "\n")

    def wheel(self, name: str, version: str, files: dict[str, str]) -> None:
        """Write a wheel as PEP 427 describes it."""
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(self.wheels / f"{name}-{version}-py3-none-any.whl", "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            archive.writestr(
                f"{info}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            archive.writestr(f"{info}/RECORD", "")

    def hide(self, *modules: str) -> None:
        """Make modules unimportable for the bare Python, though not inside the new .venv."""
        lines = ["import sys", "if sys.prefix == sys.base_prefix:"]
        lines += [f"    sys.modules[{module!r}] = None" for module in modules]
        (self.hidden / "sitecustomize.py").write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> list[str]:
        bare = getattr(sys, "_base_executable", sys.executable)
        return [bare, str(self.folder / "manage.py"), *arguments]

    def environ(self, **changes: str) -> dict[str, str]:
        return {
            "PATH": str(self.path),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.hidden),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            **changes,
        }

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environ(**changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def only_line(text: str) -> str:
    """The text, which must be one line said by netadmin."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("netadmin: ")
    return lines[0]


def test_a_bare_python_makes_an_environment_shows_progress_and_runs_the_command(
    checkout: Checkout,
) -> None:
    done = checkout.run("migrate", "--plan")
    assert done.returncode == 0, done.stderr
    assert "netadmin: making .venv with Python 3." in done.stdout
    assert "netadmin: installing requirements.txt with pip" in done.stdout
    assert "[1/1] Django" in done.stdout
    assert f"django ran migrate --plan in {checkout.folder / '.venv'}" in done.stdout


def test_the_second_start_installs_nothing_and_changed_requirements_are_installed(
    checkout: Checkout,
) -> None:
    assert checkout.run("check").returncode == 0
    second = checkout.run("check")
    assert second.stdout.splitlines() == [f"django ran check in {checkout.folder / '.venv'}"]

    checkout.wheel("addition", "2.0", {"addition.py": ""})
    checkout.require("Django==1.0", "addition==2.0")
    third = checkout.run("check")
    assert "[2/2] addition" in third.stdout
    assert "making .venv" not in third.stdout
    # The environment's own Python installs what changed as well.
    checkout.wheel("another", "2.0", {"another.py": ""})
    checkout.require("Django==1.0", "addition==2.0", "another==2.0")
    inside = subprocess.run(
        [checkout.folder / ".venv/bin/python", checkout.folder / "manage.py", "check"],
        env=checkout.environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "[3/3] another" in inside.stdout
    assert "django ran check" in inside.stdout


def test_an_installation_cut_short_or_a_python_gone_is_made_again(checkout: Checkout) -> None:
    (checkout.folder / ".venv/bin").mkdir(parents=True)
    (checkout.folder / ".venv/bin/python").symlink_to("/nonexistent/python3")
    done = checkout.run("check")
    assert done.returncode == 0, done.stderr
    assert "making .venv" in done.stdout
    assert "django ran check" in done.stdout


def test_two_started_at_once_install_once(checkout: Checkout) -> None:
    both = [
        subprocess.Popen(
            checkout.command("check"),
            env=checkout.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert sum("installing requirements.txt" in text for text in texts) == 1
    assert all("django ran check" in text for text in texts)


def test_where_django_is_importable_no_environment_is_made(
    checkout: Checkout, tmp_path: Path
) -> None:
    (checkout.hidden / "sitecustomize.py").unlink()
    package = tmp_path / "site" / "django" / "core" / "management"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PRETENDED)
    for parent in (package.parent, package.parent.parent):
        (parent / "__init__.py").touch()
    done = checkout.run("check", PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout.startswith("django ran check in "), done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_a_mistyped_option_is_told_before_anything_is_installed(checkout: Checkout) -> None:
    done = checkout.run("up", "--prot", "8001")
    assert done.returncode == 2
    assert "unrecognized arguments: --prot" in done.stderr
    assert checkout.run("up", "--help").stdout.startswith("usage: manage.py up")
    assert not (checkout.folder / ".venv").exists()


def test_a_missing_python3_venv_is_one_line_with_the_fix(checkout: Checkout) -> None:
    checkout.hide("django", "ensurepip")
    done = checkout.run("up")
    assert done.returncode == 1
    assert only_line(done.stderr).endswith("sudo apt install python3-venv")


def test_no_network_is_one_line(checkout: Checkout, free_port: int) -> None:
    done = checkout.run(
        "up", PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL=f"http://127.0.0.1:{free_port}/"
    )
    assert done.returncode == 1
    assert "cannot reach the package index" in only_line(done.stderr)
    # Nothing pretends to be installed.
    assert not (checkout.folder / ".venv" / "netadmin-installed.json").exists()


def test_a_pin_that_does_not_exist_is_one_line(checkout: Checkout) -> None:
    checkout.require("Django==9.9")
    done = checkout.run("up")
    assert done.returncode == 1
    assert "No matching distribution found for Django==9.9" in only_line(done.stderr)


def test_a_read_only_folder_is_one_line(checkout: Checkout) -> None:
    checkout.folder.chmod(0o555)
    try:
        done = subprocess.run(
            checkout.command("up"),
            env=checkout.environ(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=obey_permissions,
        )
    finally:
        checkout.folder.chmod(0o755)
    assert done.returncode == 1
    line = only_line(done.stderr)
    assert f"Cannot write to {checkout.folder}" in line
    assert "Permission denied" in line


def obey_permissions() -> None:
    """Take from a child of root the right to write where the mode forbids it."""
    if os.geteuid() == 0:
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) == 0


def test_a_python_that_is_too_old_is_told_in_one_line() -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0);"
        "runpy.run_path('manage.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip().startswith("netadmin needs Python 3.11 or newer, and this is ")
    assert "Python 3.9" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_old_pythons_can_read_manage_py() -> None:
    ast.parse((ROOT / "manage.py").read_text(), feature_version=(3, 4))


def test_every_requirement_is_pinned_and_has_its_reason() -> None:
    for name in bootstrap.TEST_FILES:
        lines = (ROOT / name).read_text().splitlines()
        for line in (line for line in lines if line and not line.startswith("#")):
            pin, _, reason = line.partition("  # ")
            assert "==" in pin, line
            assert reason.strip(), line
