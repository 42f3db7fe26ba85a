"""HTTP to an address that a person typed: guarded, bounded in time and bytes, without proxies.

Place in the data's way: used by webhooks and by ``hosts.cmdb``. Knows neither. It stands on
urllib3, which unlike requests reads no proxies, no ``.netrc`` and no CA path from the
environment, and leaves redirects and decoding to us.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import certifi
import urllib3
from django.utils.translation import gettext as _
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from netadmin.outbound.addresses import check
from netadmin.outbound.guard import Blocked, Guard, guarded

LONGEST_URL = 2000
CHUNK_BYTES = 64 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}
CARRIED_ELSEWHERE = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Headers that a redirect to another origin may take along: none that proves who asks."""
_UNFIT = re.compile(r"[\s\x00-\x20\x7f-\x9f\\]")


class Failed(Exception):
    """The request came to nothing: ``code`` is one of dns, connect, tls, timeout, truncated,
    too_large, encoding, redirect, protocol, url. The message names no path and no secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of any status, its body whole and decompressed."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


def check_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked; raises :class:`Failed` (``url``) for another scheme,
    a user or password in it, and control characters, and :class:`Blocked` for a written address
    that may not be reached. Names are looked up when connecting, not here."""
    if len(url) > LONGEST_URL or _UNFIT.search(url):
        raise Failed("url", _("This is no URL: it has spaces or control characters, or no end."))
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise Failed("url", _("This is no URL.")) from None
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise Failed("url", _("Enter a URL that begins with https:// or http://."))
    if parts.username is not None or parts.password is not None:
        raise Failed("url", _("Leave user and password out of the URL; enter them as a token."))
    try:
        host.encode("idna")
    except UnicodeError:
        raise Failed("url", _("This is no URL.")) from None
    reason = check(host)
    if reason not in (None, "not an address"):
        raise Blocked(
            _("%(address)s may not be reached from here: %(reason)s.")
            % {"address": host, "reason": reason}
        )
    return parts


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    deadline_s: float,
    max_bytes: int,
    redirects: int = 3,
) -> Response:
    """Ask once and return the whole answer, whatever its status.

    ``deadline_s`` covers everything from the name look-up to the last byte. ``max_bytes`` holds
    for the body as sent and as decompressed. At most ``redirects`` are followed, each checked as
    the first address; to another origin only plain headers go along and never a body. TLS
    certificates are verified against the system's and Mozilla's authorities. Raises
    :class:`Blocked` and :class:`Failed`.
    """
    parts = check_url(url)
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    sent.setdefault("user-agent", "netadmin")
    sent["accept-encoding"] = "gzip"
    with guarded(deadline_s=deadline_s) as guard:
        for _hop in range(redirects + 1):
            response = _once(method, parts, headers=sent, body=body, max_bytes=max_bytes,
                             guard=guard)  # fmt: skip
            location = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response
            try:
                location = urljoin(parts.geturl(), location)
            except ValueError:
                raise Failed("url", _("This is no URL.")) from None
            target = check_url(location)
            if response.status in (301, 302, 303) and method not in ("GET", "HEAD"):
                method, body = "GET", None
                sent.pop("content-type", None)
            if _origin(target) != _origin(parts):
                if parts.scheme == "https" and target.scheme != "https":
                    raise Failed("redirect", _("It redirects from https to http."))
                if body is not None:
                    raise Failed("redirect", _("It redirects to another server."))
                sent = {k: v for k, v in sent.items()
                        if k in CARRIED_ELSEWHERE or k == "accept-encoding"}  # fmt: skip
            parts = target
    raise Failed("redirect", _("It redirects more than %(times)s times.") % {"times": redirects})


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def _once(
    method: str,
    parts: SplitResult,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    max_bytes: int,
    guard: Guard,
) -> Response:
    """One request to one server, without redirects."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    pool = _pool(parts)
    try:
        answer = pool.urlopen(
            method,
            path,
            body=body,
            headers=dict(headers),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(total=max(guard.remaining_s, 0.001)),
            preload_content=False,
            decode_content=False,
        )
        try:
            content = _body(answer, max_bytes)
            names = {name.lower(): value for name, value in answer.headers.items()}
            if guard.expired:  # cut mid-way: without a length the end looks like an end
                raise _late()
            return Response(answer.status, names, content)
        finally:
            answer.close()
    except Failed:
        raise
    except Exception as error:
        raise _told(error, parts, guard) from None
    finally:
        pool.close()


def _late() -> Failed:
    return Failed("timeout", _("It did not answer in time."))


def _told(error: Exception, parts: SplitResult, guard: Guard) -> Exception:
    """What went wrong, without the path, which may hold a token."""
    server = f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}"
    if guard.refused is not None:
        return guard.refused
    if guard.expired:
        return _late()
    failures: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
        (urllib3.exceptions.NameResolutionError, "dns",
         _("The name of %(server)s was not found.")),
        # Before the time-outs, of which urllib3 makes it a kind.
        (urllib3.exceptions.NewConnectionError, "connect",
         _("%(server)s could not be connected to.")),
        ((urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError,
          TimeoutError), "timeout", _("%(server)s did not answer in time.")),
        ((urllib3.exceptions.SSLError, ssl.SSLError), "tls",
         _("The certificate of %(server)s is not trusted, or it speaks no TLS.")),
        ((urllib3.exceptions.IncompleteRead, urllib3.exceptions.InvalidChunkLength),
         "truncated", _("The answer of %(server)s ended too early.")),
        ((urllib3.exceptions.HTTPError, OSError, ValueError), "protocol",
         _("%(server)s did not answer as a web server does.")),
    )  # fmt: skip
    wrapped = next((cause for cause in error.args if isinstance(cause, Exception)), error)
    for kinds, code, words in failures:
        if isinstance(error, kinds) or isinstance(wrapped, kinds):
            return Failed(code, words % {"server": server})
    return error


class _Resolved:
    """Connects to the addresses of a name, looked up within the deadline."""

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        host = connection._dns_host.strip("[]")
        try:
            found = _lookup(host, connection.port, timeout_s=connection.timeout)
        except TimeoutError:
            raise urllib3.exceptions.ConnectTimeoutError(connection, "name look-up") from None
        except (socket.gaierror, UnicodeError) as error:
            raise urllib3.exceptions.NameResolutionError(
                host, connection, error if isinstance(error, socket.gaierror) else socket.gaierror()
            ) from None
        last: OSError = OSError("no address")
        for family, kind, protocol, _name, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(connection.timeout)
                sock.connect(address)
            except OSError as error:
                sock.close()
                last = error
            else:
                return sock
        if isinstance(last, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(connection, "connect") from last
        raise urllib3.exceptions.NewConnectionError(connection, "connect") from last


class _Plain(_Resolved, HTTPConnection):
    pass


class _Secure(_Resolved, HTTPSConnection):
    pass


def _pool(parts: SplitResult) -> HTTPConnectionPool:
    scheme, host, port = _origin(parts)
    if scheme == "https":
        secure = HTTPSConnectionPool(host, port, maxsize=1, ssl_context=_tls())
        secure.ConnectionCls = _Secure
        return secure
    plain = HTTPConnectionPool(host, port, maxsize=1)
    plain.ConnectionCls = _Plain
    return plain


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Verifies against the system's store, which knows a company's own authority, and Mozilla's,
    where a slim container has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _lookup(host: str, port: int, *, timeout_s: float) -> list[Any]:
    """``getaddrinfo``, which knows no timeout, in a thread of its own; raises TimeoutError."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    thread = threading.Thread(target=ask, name="outbound-lookup", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not answer:
        raise TimeoutError("name look-up")
    if isinstance(answer[0], Exception):
        raise answer[0]
    found: list[Any] = answer[0]
    return found


def _body(answer: BaseHTTPResponse, max_bytes: int) -> bytes:
    """The body, whole; nothing beyond ``max_bytes`` is ever held, packed or not."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    unpack = _unpacker(coding)
    seen, content = 0, bytearray()
    while chunk := answer.read(CHUNK_BYTES, decode_content=False):
        seen += len(chunk)
        if seen > max_bytes:
            raise _too_large(max_bytes)
        if unpack is None:
            content += chunk
            continue
        try:
            while chunk and not unpack.eof:
                content += unpack.decompress(chunk, max_bytes + 1 - len(content))
                if len(content) > max_bytes:
                    raise _too_large(max_bytes)
                chunk = unpack.unconsumed_tail
        except zlib.error:
            raise Failed("encoding", _("The compressed answer cannot be opened.")) from None
    if unpack is not None and seen and not unpack.eof:
        raise Failed("truncated", _("The compressed answer ended too early."))
    return bytes(content)


def _unpacker(coding: str) -> Any:
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=31)
    if coding == "deflate":
        return zlib.decompressobj()
    raise Failed("encoding", _("The answer is compressed in a way that was not asked for."))


def _too_large(max_bytes: int) -> Failed:
    return Failed(
        "too_large",
        _("The answer is larger than %(size)s KiB.") % {"size": max_bytes // 1024},
    )
