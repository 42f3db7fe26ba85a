"""paramiko's transport with the limits it lacks, over a socket or a tunnel.

Place in the data's way: below ``ssh``. Bounds what a hostile server can make us hold before and
after login, remembers why it hung up, and gives back thread and descriptor at once. Knows no
targets, pins or commands.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence

import paramiko
from paramiko.packet import Packetizer

IDLE_POLL_S = 5.0
"""How often an idle transport's thread looks up: paramiko's own 0.1 s costs more CPU than
reconnecting would."""

BANNER_MAX_BYTES = 16 * 1024
PACKET_MAX_BYTES = 1024 * 1024
"""RFC 4253 6.1 asks for 35,000 bytes; OpenSSH allows 256 KiB."""

REKEY_WAIT_S = 5.0
_JOIN_S = 2.0
_USERAUTH_FAILURE = 51  # RFC 4252, 6

# AES-GCM costs half of what the default CTR with HMAC does; curve25519 is the cheapest exchange.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_KEX = ("curve25519-sha256@libssh.org",)

# paramiko logs each dead host with a stack trace and the server's own words. What matters of
# that is in the Failure; for debugging, lower the level of this logger.
_LOG_CHANNEL = "netadmin.ssh.wire"
logging.getLogger(_LOG_CHANNEL).setLevel(logging.CRITICAL)


class _Packets(Packetizer):
    """Refuses endless banners and giant packets; remembers what was heard."""

    def __init__(self, sock: socket.socket | paramiko.Channel) -> None:
        super().__init__(sock)  # type: ignore[arg-type]  # a Channel serves as a socket
        self.heard = b""
        self.login_refused = False
        self._banner_bytes = 0

    def _read_timeout(self, timeout: float) -> bytes:
        # Called for the identification lines only.
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._banner_bytes += len(data)
        self.heard = (self.heard + data)[:256]
        if self._banner_bytes > BANNER_MAX_BYTES:
            raise paramiko.SSHException("endless banner")
        return data

    def start_handshake(self, timeout: float) -> None:
        """No timer thread of paramiko's own: the caller's deadline ends a handshake."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > PACKET_MAX_BYTES:
            raise paramiko.SSHException("packet too large")
        return super().read_all(n, check_rekey)

    def read_message(self) -> tuple[int, paramiko.Message]:
        kind, message = super().read_message()
        if kind == _USERAUTH_FAILURE:
            self.login_refused = True
        return kind, message


class Wire(paramiko.Transport):
    """One SSH transport that can be ended from any thread."""

    packetizer: _Packets

    def __init__(
        self, sock: socket.socket | paramiko.Channel, *, host_key_algorithms: tuple[str, ...]
    ) -> None:
        super().__init__(sock, packetizer_class=_Packets)
        self.set_log_channel(_LOG_CHANNEL)
        self.clear_to_send_timeout = REKEY_WAIT_S
        self.hung_up_saying = ""
        """The text of the server's SSH_MSG_DISCONNECT."""
        options = self.get_security_options()
        options.ciphers = _first(_CIPHERS, options.ciphers)
        options.kex = _first(_KEX, options.kex)
        options.key_types = host_key_algorithms

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        code = m.get_int()
        self.hung_up_saying = f"{m.get_text()[:200]} ({code})"

    def send_user_message(self, message: paramiko.Message) -> None:
        """Send one message, waiting out a key exchange that runs (at most REKEY_WAIT_S)."""
        self._send_user_message(message)  # type: ignore[attr-defined]  # what Channel itself calls

    def quiet(self) -> None:
        """From now on poll seldom: for a connection that is kept."""
        self.sock.settimeout(IDLE_POLL_S)

    def wake(self) -> None:
        """Make everything that waits on this connection fail now. Never blocks for long."""
        if isinstance(self.sock, paramiko.Channel):
            # The outer transport may be stuck itself, and close() sends: not in this thread.
            threading.Thread(target=_close_channel, args=(self.sock,), daemon=True).start()
        else:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Close for good: the socket first, then the thread, so that neither is left."""
        if isinstance(self.sock, paramiko.Channel):
            _close_channel(self.sock)
        else:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        if self.is_alive() and self is not threading.current_thread():
            self.join(_JOIN_S)
        self.close()
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.sock.close()


def _close_channel(channel: paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()


def _first(preferred: tuple[str, ...], known: Sequence[str]) -> tuple[str, ...]:
    mine = tuple(name for name in preferred if name in known)
    return mine + tuple(name for name in known if name not in mine)
