"""Asks a source, over HTTP or in a file, and reads its answer.

Place in the data's way: between ``netadmin.outbound`` and the pure readers of this package. Stores
nothing. Everything that goes wrong is one of :class:`NotRead`, ``outbound.Blocked``,
``outbound.Failed``, ``rows.Unreadable`` or ``secrets.DecryptionError``.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from django.conf import settings

from hosts.cmdb import ansible, csv_rows, json_rows, netbox
from hosts.cmdb.rows import Listed, Unreadable
from hosts.models import Source
from netadmin import outbound

MAX_BYTES = 16 * 1024 * 1024
DEADLINE_S = 60.0
ACCEPTED = {
    Source.Kind.CSV: "text/csv, text/plain;q=0.9, */*;q=0.1",
    Source.Kind.JSON: "application/json",
    Source.Kind.ANSIBLE: "*/*",
    Source.Kind.NETBOX: "application/json",
}


class NotRead(Exception):
    """Nothing came that could be read: ``code`` is status, login, no_files_dir, file_outside,
    file_missing or file_changed; ``status`` of HTTP."""

    def __init__(self, code: str, *, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def is_web(location: str) -> bool:
    """Whether it is asked over HTTP, and not a file."""
    return "://" in location


def read(source: Source) -> Listed:
    """All hosts of the source as it lists them now, within DEADLINE_S and MAX_BYTES an answer."""
    ends = time.monotonic() + DEADLINE_S
    if source.kind == Source.Kind.NETBOX:
        return netbox.read(source.location, lambda url: _ask(source, url, ends)[0])
    if is_web(source.location):
        data, whole = _ask(source, source.location, ends)
    else:
        data, whole = _file(source.location), False
    if source.kind == Source.Kind.CSV:
        return csv_rows.read(data, columns=source.fields, whole=whole)
    if source.kind == Source.Kind.JSON:
        return json_rows.read(data, fields=source.fields)
    return ansible.read(data)


def _ask(source: Source, url: str, ends: float) -> tuple[bytes, bool]:
    """The body, and whether HTTP proved that it is whole."""
    headers = {"Accept": ACCEPTED[Source.Kind(source.kind)]}
    token = source.secret("token")
    if token:
        netboxes = source.kind == Source.Kind.NETBOX
        headers["Authorization"] = netbox.authorization(token) if netboxes else token.strip()
    answer = outbound.request(
        "GET",
        url,
        headers=headers,
        deadline_s=max(0.001, ends - time.monotonic()),
        max_bytes=MAX_BYTES,
    )
    if answer.status in (401, 403):
        raise NotRead("login", status=answer.status)
    if answer.status != 200:
        raise NotRead("status", status=answer.status)
    proven = {"content-length", "transfer-encoding"} & answer.headers.keys()
    return answer.body, bool(proven)


def _file(location: str) -> bytes:
    """A file below CMDB_FILES_DIR: no link leads out of it, and nobody wrote while it was read."""
    path = find_file(location)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise NotRead("file_missing") from None
    with open(handle, "rb") as file:
        before = os.fstat(handle)
        # A folder above it may have become a link between the check and here.
        if not stat.S_ISREG(before.st_mode) or not os.path.samestat(
            before, os.stat(find_file(location))
        ):
            raise NotRead("file_outside")
        data = file.read(MAX_BYTES + 1)
        after = os.fstat(handle)
    if len(data) > MAX_BYTES:
        raise Unreadable("too_large", size=MAX_BYTES // 1024)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotRead("file_changed")
    return data


def find_file(location: str) -> Path:
    """Where a file of CMDB_FILES_DIR really is; raises :class:`NotRead`."""
    folder: Path | None = settings.CMDB_FILES_DIR
    if folder is None:
        raise NotRead("no_files_dir")
    try:
        root = folder.resolve(strict=True)
        path = (root / location).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise NotRead("file_missing") from None
    if not path.is_relative_to(root) or path == root:
        raise NotRead("file_outside")
    return path
