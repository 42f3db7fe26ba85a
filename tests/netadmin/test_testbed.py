"""What ``manage.py test`` prepares before pytest runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from netadmin import testbed
from netadmin.testbed import Part


def test_a_missing_package_that_may_not_be_installed_is_one_line_and_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert testbed.install(["chromium", "postgresql"], as_root=lambda: None) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "netadmin: The tests need Debian packages: sudo apt-get install chromium postgresql\n"
    )


def test_a_package_that_may_be_installed_is_announced_and_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str], **_options: object) -> tuple[int, list[str]]:
        commands.append(command)
        return 0, []

    monkeypatch.setattr(testbed, "run", run)
    monkeypatch.setattr(testbed.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    assert testbed.install(["busybox"], as_root=lambda: ["sudo", "-n"]) == 0
    assert capsys.readouterr().out == "netadmin: Installing Debian packages: busybox\n"
    ((*start, script, _name, package),) = commands
    assert start == ["sudo", "-n", "sh", "-c"]
    assert package == "busybox"
    assert "apt-get update" in script
    assert "DEBIAN_FRONTEND=noninteractive" in script


def test_a_failed_installation_says_why_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = (100, ["Reading package lists...", "E: Unable to locate package busybox"])
    monkeypatch.setattr(testbed, "run", lambda *_arguments, **_options: answer)
    monkeypatch.setattr(testbed.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    assert testbed.install(["busybox"], as_root=list) == 1
    captured = capsys.readouterr()
    assert "E: Unable to locate package busybox" in captured.err
    assert captured.err.rstrip().endswith("sudo apt-get install busybox")


def test_a_part_is_present_by_its_program_or_its_file(tmp_path: Path) -> None:
    assert Part("coreutils", program="ls").present()
    assert not Part("nothing", program="no-such-program-anywhere").present()
    assert not Part("nothing", files=f"{tmp_path}/*/initdb").present()
    (tmp_path / "15").mkdir()
    (tmp_path / "15" / "initdb").touch()
    assert Part("postgresql", files=f"{tmp_path}/*/initdb").present()


def test_everything_the_suite_needs_is_on_this_machine() -> None:
    assert [part.package for part in testbed.PARTS if not part.present()] == []


def test_the_cores_are_used_unless_the_caller_decides() -> None:
    assert testbed.spread([])[:2] == ["-n", testbed.WORKERS]
    assert testbed.spread(["tests/hosts", "-k", "name"])[:2] == ["-n", testbed.WORKERS]
    for decided in (["-n0"], ["-n", "4"], ["--numprocesses=1"], ["-p", "no:xdist"], ["--pdb"]):
        assert testbed.spread(decided) == []
