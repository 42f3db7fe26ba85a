"""From a bare Python to a running manage.py: makes ``.venv``, installs the pins, starts again.

Place: called by ``manage.py`` before anything else. Standard library only, since nothing else is
there yet. Where Django is importable already (a container, an active virtual environment) it makes
no environment and runs the command as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from netadmin import supervisor, testbed
from netadmin.data_dir import BASE_DIR, DataDirError, given, load
from netadmin.progress import fail, run, say

VENV = BASE_DIR / ".venv"
STAMP = VENV / "netadmin-installed.json"
RUN_FILES = ("requirements.txt",)
TEST_FILES = ("requirements.txt", "requirements-test.txt")

FILTERS = frozenset({"parse"})
"""Commands that turn standard input into standard output and touch no site: nothing else may be
printed there, and no secret need be set."""

QUESTIONS = frozenset({"connections", "diff", "hunt", "ports", "probe", "top"})
"""Commands of operators and their scripts (docs/commands.md): nothing but the answer goes to
standard output, 1 is an answer, and they start without what only pages and workers need."""

TROUBLE = 2
"""Exit status of a question that has no answer."""

WITHOUT_SITE = FILTERS | {"makemessages", "compilemessages"}
"""Commands that read no data and no secret of a site."""

NETWORK_SIGNS = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "Connection reset",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "Max retries exceeded",
    "error sending request",
    "dns error",
)


class BootstrapError(Exception):
    """What is missing on this machine; the message is one line with the fix."""


def main(argv: Sequence[str]) -> int:
    """Run ``manage.py``'s command line; returns its exit status, or replaces this process."""
    command = argv[1] if len(argv) > 1 else "help"
    if command == "up":
        # A mistyped option is told now and not after the installation.
        supervisor.parse(argv[2:])
    try:
        if _owns_environment() or not _django_importable():
            answers = command in FILTERS | QUESTIONS | {"mcp"}
            with _standard_output_free() if answers else contextlib.nullcontext():
                python = ensure(TEST_FILES if command == "test" else RUN_FILES)
            if not _owns_environment():
                sys.stdout.flush()
                os.execv(python, [str(python), str(BASE_DIR / "manage.py"), *argv[1:]])
        return _dispatch(command, argv)
    except (BootstrapError, DataDirError) as error:
        return _failed(command, error)
    except KeyboardInterrupt:
        return fail("Stopped.") + 129


def _dispatch(command: str, argv: Sequence[str]) -> int:
    if command == "up":
        return supervisor.main(argv[2:])
    if command == "test":
        return testbed.main(argv[2:])
    if command in WITHOUT_SITE:
        _pretend_secrets()
    else:
        load(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")
    if command == "worker":
        celery = [sys.executable, "-m", "celery", "--app", "netadmin.celery:app", "worker"]
        os.execv(sys.executable, [*celery, *argv[2:]])
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(list(argv))
    except Exception as error:
        from django.core.exceptions import ImproperlyConfigured

        # A missing or wrong setting is the operator's to mend: its one line says how.
        if isinstance(error, ImproperlyConfigured):
            return _failed(command, error)
        if command in QUESTIONS:  # what nobody foresaw must not look like the answer 1
            traceback.print_exception(error)
            return TROUBLE
        raise
    return 0


def _failed(command: str, error: Exception) -> int:
    status = fail(str(error))
    return TROUBLE if command in QUESTIONS else status


def _pretend_secrets() -> None:
    """Let the settings load where no site was set up, or where it is somebody else's."""
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        if not given(name, os.environ):
            os.environ[name] = "not used by this command"


@contextlib.contextmanager
def _standard_output_free() -> Iterator[None]:
    """Say what is done, and have installers say it, on standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def ensure(files: Sequence[str]) -> Path:
    """Make ``.venv`` hold what ``files`` pin; returns its Python.

    Does nothing when the stamp of the last installation says that it does. Two that are started
    at the same time take turns.
    """
    python = VENV / "bin" / "python"
    if _installed(files, python):
        return python
    with _one_at_a_time():
        if _installed(files, python):
            return python
        _require_writable()
        # An installation that is cut short leaves no stamp, so the next one starts over.
        STAMP.unlink(missing_ok=True)
        uv = shutil.which("uv")
        if not _usable(python):
            _make(uv)
        _install(files, python, uv)
        STAMP.write_text(json.dumps(_wanted(files, python), indent=1), encoding="utf-8")
    return python


def _owns_environment() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _django_importable() -> bool:
    return importlib.util.find_spec("django") is not None


def _wanted(files: Sequence[str], python: Path) -> dict[str, str]:
    """What a stamp says: a hash per requirements file, and the Python behind the environment."""
    hashes = {name: hashlib.sha256((BASE_DIR / name).read_bytes()).hexdigest() for name in files}
    # A system upgrade may put another Python behind the same link.
    return {**hashes, "python": os.path.realpath(python)}


def _installed(files: Sequence[str], python: Path) -> bool:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        python.exists()
        and isinstance(stamp, dict)
        and _wanted(files, python).items() <= (stamp.items())
    )


def _usable(python: Path) -> bool:
    """Whether ``.venv`` is an environment with this Python's version and pip or uv to fill it."""
    if _owns_environment():
        return True
    check = "import sys, pip; print(sys.version_info[:2])"
    if shutil.which("uv"):
        check = "import sys; print(sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", check], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.strip() == str(sys.version_info[:2])


def _make(uv: str | None) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    say(f"making .venv with Python {version}")
    if uv:
        command = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)]
    elif importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    else:
        raise BootstrapError(
            "This Python cannot make a virtual environment: sudo apt install python3-venv"
        )
    status, lines = run(command, doing="making .venv", shorten=lambda line: None)
    if status:
        raise BootstrapError(f"Making .venv failed: {_reason(lines)}")


def _install(files: Sequence[str], python: Path, uv: str | None) -> None:
    requirements = [part for name in files for part in ("-r", str(BASE_DIR / name))]
    say(f"installing {' and '.join(files)} with {'uv' if uv else 'pip'}")
    if uv:
        # uv draws its own progress.
        command = [uv, "pip", "install", "--python", str(python), *requirements]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        if status:
            raise BootstrapError("Installing failed; uv says why above. Is the network reachable?")
        return
    total = sum(_count_pins(BASE_DIR / name) for name in files)
    seen: set[str] = set()

    def shorten(line: str) -> str | None:
        found = re.match(
            r"\s*(?:Collecting |Requirement already satisfied: |Processing \S*/)"
            r"([A-Za-z0-9_.-]+?)(?=[=~<>\[;\s]|-\d|$)",
            line,
        )
        if found:
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            if name in seen:
                return None
            seen.add(name)
            return f"[{len(seen)}/{max(total, len(seen))}] {found[1]}"
        if line.startswith("Installing collected packages"):
            return f"unpacking {line.count(',') + 1} packages"
        return None

    status, lines = run(
        [
            str(python), "-m", "pip", "install",
            "--disable-pip-version-check", "--no-input", "--prefer-binary",
            # Compiled at first import, and then only what is imported.
            "--no-compile",
            "--retries", "2",
            *requirements,
        ],
        doing="installing",
        shorten=shorten,
    )  # fmt: skip
    if status:
        raise BootstrapError(_explain(lines))


def _explain(lines: Sequence[str]) -> str:
    """Why pip failed, in one line."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return "Installing failed: no space left on the disk."
    if any(sign in text for sign in NETWORK_SIGNS):
        return (
            "Installing failed: pip cannot reach the package index. Connect to the network, or "
            "set PIP_INDEX_URL to an index that can be reached, and start again."
        )
    return f"Installing failed: {_reason(lines)}"


def _reason(lines: Sequence[str]) -> str:
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or [line for line in lines if line.strip()] or ["no output"])[-1].strip()


def _count_pins(path: Path) -> int:
    return len(re.findall(r"^[A-Za-z0-9]", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


def _require_writable() -> None:
    try:
        with tempfile.TemporaryFile(dir=BASE_DIR):
            pass
    except OSError as error:
        raise BootstrapError(
            f"Cannot write to {BASE_DIR}, where .venv belongs: {error.strerror}. "
            "Copy the folder to a place of your own and start again."
        ) from None


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the checkout itself as the lock, so that no file is left behind."""
    handle = os.open(BASE_DIR, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another netadmin is installing here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
