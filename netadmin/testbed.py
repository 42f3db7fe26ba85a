"""``manage.py test``: what the suite needs from Debian, and then pytest.

Place: called by ``bootstrap`` once the test requirements are installed. Standard library only;
must not know Django, which pytest sets up by itself.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netadmin.data_dir import BASE_DIR
from netadmin.progress import fail, run, say

WORKERS = "3"


@dataclass(frozen=True, slots=True)
class Part:
    """A Debian package and the file that shows it is there."""

    package: str
    program: str = ""
    """Looked for on PATH and in the folders of system programs."""
    files: str = ""
    """A glob, for what is on no PATH."""

    def present(self) -> bool:
        """Whether the machine has it, by this package or another way."""
        folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        if self.program and shutil.which(self.program, path=folders):
            return True
        return bool(self.files and glob.glob(self.files))


PARTS = (
    Part("openssh-server", program="sshd"),
    Part("openssh-client", program="ssh-keygen"),
    Part("postgresql", program="initdb", files="/usr/lib/postgresql/*/bin/initdb"),
    Part("chromium", program="chromium"),
    Part("net-tools", program="netstat"),
    Part("iproute2", program="ss"),
    Part("busybox", program="busybox"),
    Part("sudo", program="sudo"),
    Part("fonts-wqy-microhei", files="/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Part("gettext", program="msgfmt"),
    Part("curl", program="curl"),
)

# Servers are wanted as programs only, so none of them is started by being installed.
INSTALL = """set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q -o Acquire::Retries=3
apt-get install -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
"""


def main(arguments: Sequence[str]) -> int:
    """Install what is missing where that is allowed, then run pytest with ``arguments``."""
    missing_modules = [
        name for name in ("pytest", "xdist", "pytest_django") if not importlib.util.find_spec(name)
    ]
    if missing_modules:
        return fail(
            f"This Python has Django but not {', '.join(missing_modules)}: "
            f"{sys.executable} -m pip install -r requirements-test.txt"
        )
    missing = [part for part in PARTS if not part.present()]
    if missing:
        status = install([part.package for part in missing])
        if status:
            return status
        absent = [part.package for part in PARTS if not part.present()]
        if absent:
            return fail(f"Installed, but still not found: {' '.join(absent)}")
    os.chdir(BASE_DIR)
    command = [sys.executable, "-m", "pytest", *spread(arguments), *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def spread(arguments: Sequence[str]) -> list[str]:
    """Options that use the cores, unless ``arguments`` decide that themselves."""
    decided = any(
        argument.startswith(("-n", "--numprocesses", "--dist", "--pdb", "--trace"))
        or argument in {"no:xdist", "-pno:xdist"}
        for argument in arguments
    )
    return [] if decided else ["-n", WORKERS, "--dist", "loadscope"]


def install(
    packages: Sequence[str], *, as_root: Callable[[], list[str] | None] | None = None
) -> int:
    """Install Debian packages and say so; returns an exit status.

    ``as_root`` gives the words that make a command run as root, or None where that is not to be
    had without asking; then one line names the command to type.
    """
    line = f"apt-get install {' '.join(packages)}"
    prefix = (as_root or root_prefix)()
    if prefix is None or not shutil.which("apt-get"):
        return fail(f"The tests need Debian packages: sudo {line}")
    say(f"Installing Debian packages: {' '.join(packages)}")
    status, lines = run(
        [*prefix, "sh", "-c", INSTALL, "sh", *packages],
        doing="installing Debian packages",
        shorten=lambda text: text if text.startswith(("Setting up ", "E: ")) else None,
    )
    if status:
        reasons = [text for text in lines if text.startswith("E: ")]
        return fail(f"Could not install them ({'; '.join(reasons) or lines[-1:]}): sudo {line}")
    return 0


def root_prefix() -> list[str] | None:
    """``[]`` as root, ``["sudo", "-n"]`` where sudo asks for no password, else None."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        allowed = subprocess.run(
            ["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if allowed.returncode == 0:
            return ["sudo", "-n"]
    return None
