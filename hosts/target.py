"""Where and how to connect: the frozen, Django-free value a probe needs.

Place in the data's way: built from a :class:`hosts.models.Host` by ``Host.target()``, handed to
``probes.runner`` and ``probes.transports``. It carries decrypted secrets, so it lives in one
process only: it is never put into a task, a log line or a database row, and its ``repr`` shows
no secret.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

DEFAULT_DEADLINE_S = 30.0
"""Seconds from the first connect to the last byte of one probe."""

DEFAULT_MAX_BYTES = 32 * 1024 * 1024
"""Bytes of output read before a probe ends as ``output_too_large``."""


class Platform(enum.StrEnum):
    """Operating system of a host; ``AUTO`` lets the probe find out."""

    AUTO = "auto"
    LINUX = "linux"
    WINDOWS = "windows"
    MACOS = "macos"
    BSD = "bsd"


class Sudo(enum.StrEnum):
    """How a command gains root: not at all, without a password, or with one."""

    NONE = "none"
    NOPASSWD = "nopasswd"
    PASSWORD = "password"


class Trust(enum.StrEnum):
    """What an administrator said of a host key."""

    PENDING = "pending"
    TRUSTED = "trusted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Pin:
    """One host key known for an address and port, with what was decided about it."""

    key_type: str
    """SSH name of the algorithm, such as ``ssh-ed25519``."""
    key_base64: str
    """The public key blob in base64, as in a known_hosts line."""
    trust: Trust = Trust.TRUSTED


@dataclass(frozen=True, slots=True)
class Login:
    """How to authenticate. At most one of password, private_key and key_file is tried first;
    a password is also used where a server asks for keyboard-interactive."""

    user: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    """PEM or OpenSSH text of a private key."""
    passphrase: str | None = field(default=None, repr=False)
    key_file: str | None = None
    """Path of a private key on the controller: the passwordless login of a central machine."""
    sudo: Sudo = Sudo.NONE
    sudo_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One machine to probe. ``login is None`` means this very machine, without SSH."""

    name: str
    address: str = "localhost"
    port: int = 22
    platform: Platform = Platform.AUTO
    login: Login | None = None
    login_version: str = ""
    """Changes whenever the login would differ: pooled connections and privilege baselines of
    another version are not reused."""
    pins: tuple[Pin, ...] = ()
    jump: Target | None = None
    """Machine to tunnel through; may have a jump of its own."""
    deadline_s: float = DEFAULT_DEADLINE_S
    max_bytes: int = DEFAULT_MAX_BYTES
    keep_connection: bool = True
    """False for hosts that want no idle connection."""

    @property
    def is_local(self) -> bool:
        """True where commands run on the controller itself."""
        return self.login is None
