"""The data folder of a site: where it is, and the env file with the secrets made for it.

Place: read by ``manage.py`` and ``up`` before Django loads, so that a command typed in a second
terminal works on the same site. Standard library only; must not know Django or the settings.

``env`` in that folder holds ``NAME=value`` lines, mode 0600, for SECRET_KEY and
FIELD_ENCRYPTION_KEYS. What the process environment or an ``.env`` of the checkout already says
always wins.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SUN_PATH_BYTES = 107
"""Longest path of a unix socket on Linux (sizeof sun_path less the final NUL, unix(7))."""

BROKER_SOCKET = "broker.sock"
DATABASE = "netadmin.sqlite3"

ENV_HEADER = """\
# Secrets of this site. Keep a copy of this file apart from database backups:
# without it, stored passwords and keys cannot be decrypted.
"""


class DataDirError(Exception):
    """The data folder cannot be used; the message is one line for the operator."""


def given(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a setting is set, by ``NAME`` or by ``NAME_FILE``."""
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def read_env(path: Path) -> dict[str, str]:
    """``NAME=value`` lines of an env file; comments, blank lines and quotes around values drop.

    A file that is not there is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DataDirError(f"Cannot read {path}: {error}") from None
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[name.strip()] = value
    return values


def locate(option: str | None, environ: Mapping[str, str]) -> Path:
    """The data folder: ``--data``, else DATA_DIR, else ``var`` in the checkout; absolute.

    A relative ``--data`` is meant from where the command was typed, DATA_DIR from the checkout.
    """
    if option:
        return Path(option).expanduser().absolute()
    return BASE_DIR / Path(environ.get("DATA_DIR") or "var").expanduser()


def load(environ: MutableMapping[str, str], option: str | None = None) -> Path:
    """Fill ``environ`` with what the checkout's ``.env`` and the data folder's ``env`` add.

    Returns the data folder, which need not exist. Raises DataDirError where the folder's ``env``
    can be read by others.
    """
    for name, value in read_env(BASE_DIR / ".env").items():
        environ.setdefault(name, value)
    data_dir = locate(option, environ)
    env_file = data_dir / "env"
    _refuse_if_readable_by_others(env_file)
    for name, value in read_env(env_file).items():
        if not given(name, environ):
            environ[name] = value
    environ["DATA_DIR"] = str(data_dir)
    if not given("CELERY_BROKER_URL", environ) and not given("REDIS_URL", environ):
        socket = broker_socket(data_dir)
        if socket.parent != data_dir:
            environ["CELERY_BROKER_URL"] = f"redis+socket://{socket}"
    return data_dir


def create(data_dir: Path) -> None:
    """Make the folder, 0700 where it is new; raises DataDirError where it cannot be written."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise DataDirError(
            f"Cannot write to the data folder {data_dir}: {error.strerror}. "
            "Name another with --data DIR."
        ) from None


def ensure_secrets(data_dir: Path, environ: MutableMapping[str, str]) -> list[str]:
    """Make the secrets that ``environ`` lacks, keep them in ``env``, and fill ``environ``.

    Returns the names of those made. The file is complete or absent at any moment.
    """
    makers: dict[str, Callable[[], str]] = {
        "SECRET_KEY": _new_secret_key,
        "FIELD_ENCRYPTION_KEYS": _new_key_ring,
    }
    missing = [name for name in makers if not given(name, environ)]
    if "FIELD_ENCRYPTION_KEYS" in missing and (data_dir / DATABASE).exists():
        raise DataDirError(
            f"{data_dir / DATABASE} exists, but FIELD_ENCRYPTION_KEYS, which opens the secrets in "
            f"it, is not set: restore {data_dir / 'env'} from its copy."
        )
    made = {name: makers[name]() for name in missing}
    if made:
        env_file = data_dir / "env"
        kept = env_file.read_text(encoding="utf-8") if env_file.exists() else ENV_HEADER
        text = kept + "".join(f"{name}={value}\n" for name, value in made.items())
        try:
            _write_privately(env_file, text)
        except OSError as error:
            raise DataDirError(f"Cannot write {env_file}: {error.strerror}.") from None
        environ.update(made)
    return list(made)


def _new_secret_key() -> str:
    return secrets.token_urlsafe(50)


def _new_key_ring() -> str:
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def broker_socket(data_dir: Path) -> Path:
    """Where the embedded broker listens: in the data folder, or, where that path is too long for
    a socket, in a folder of the same user under the temporary directory."""
    path = data_dir / BROKER_SOCKET
    if len(os.fsencode(path)) <= SUN_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"netadmin-{os.getuid()}-{digest}" / BROKER_SOCKET


def prepare_broker_socket(socket: Path) -> None:
    """Make the socket's folder private and remove a socket left by a killed broker.

    Only for the holder of the data folder's lock: the socket is then nobody's.
    """
    folder = socket.parent
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat()
        if owner.st_uid != os.getuid() or not stat.S_ISDIR(owner.st_mode):
            raise DataDirError(f"{folder} belongs to someone else; remove it and start again.")
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()
    except OSError as error:
        raise DataDirError(f"Cannot use {socket}: {error.strerror}.") from None


def _refuse_if_readable_by_others(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & 0o077:
        raise DataDirError(f"{path} can be read by others: chmod 600 {path}")


def _write_privately(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # mode 0600 (mkstemp(3))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
