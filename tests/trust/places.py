"""Everything that a running site writes or shows, as bytes for the scanner."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
import zstandard
from psycopg import sql

from tests.servers import Redis, find_program


def database(url: str) -> dict[str, bytes]:
    """A dump as a backup has it, and what the packed columns hold once unpacked."""
    program = find_program("pg_dump", "/usr/lib/postgresql/*/bin/pg_dump", package="postgresql")
    dump = subprocess.run([program, "--dbname", url], capture_output=True, check=True, timeout=120)
    return {"database dump": dump.stdout, "packed columns": b"\n".join(_unpacked(url))}


def _unpacked(url: str) -> Iterator[bytes]:
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name LIKE '%%zstd%%'"
        ).fetchall()
        for table, column in columns:
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.Identifier(column), sql.Identifier(table)
            )
            for (packed,) in connection.execute(query):
                if packed:
                    with zstandard.ZstdDecompressor().stream_reader(bytes(packed)) as reader:
                        yield reader.read()


def broker(server: Redis) -> bytes:
    """Every key of the broker with its value."""
    found = []
    with server.client() as client:
        for key in client.scan_iter():
            found += [key, client.dump(key) or b"", *_values(client, key)]
    return b"\n".join(found)


def _values(client: redis.Redis, key: bytes) -> list[bytes]:
    kind = client.type(key)
    if kind == b"list":
        return list(client.lrange(key, 0, -1))
    if kind == b"hash":
        return [part for pair in client.hgetall(key).items() for part in pair]
    if kind == b"set":
        return list(client.smembers(key))
    if kind == b"zset":
        return list(client.zrange(key, 0, -1))
    return [client.get(key) or b""]


class Watch:
    """What was sent to the broker while it was watched."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []


@contextmanager
def watched(server: Redis) -> Iterator[Watch]:
    """Record every command that any client sends to the broker."""
    watch, ready = Watch(), threading.Event()
    stop = b"the watch ends " + os.urandom(8).hex().encode()

    def listen() -> None:
        # Between two commands any time may pass.
        listener = redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=None)
        with listener as client, client.monitor() as monitor:
            ready.set()
            while True:
                command: dict[str, Any] = monitor.next_command()
                line = str(command["command"]).encode(errors="surrogateescape")
                watch.seen.append(line)
                if stop in line:
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield watch
    finally:
        with server.client() as client:
            client.echo(stop)
        thread.join(60)


def process_list() -> bytes:
    """The command line of every process of this machine, as ``ps -ef`` shows it to everybody."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" "))
        except OSError:  # it ended meanwhile
            continue
    return b"\n".join(found)
