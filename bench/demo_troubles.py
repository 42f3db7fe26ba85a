"""What goes wrong in the invented fleet: one of each kind that findings tell.

Rows beside the usual ones, by the host's name and the number of the probe; the same in every run.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator

from hosts.models import Host
from probes.history import limits
from probes.observation import Observation

LAST = 12
"""Only the newest probes of so many show what comes and goes by the hundred."""

TOLD = {
    "web-2": {"net.core.somaxconn": "4096"},
    "queue-1": {"net.ipv4.ip_local_port_range": "50000 50499"},
    "cache-1": {
        "net.ipv4.tcp_syncookies": "1",
        "net.core.somaxconn": "512",
        "net.ipv4.tcp_max_syn_backlog": "512",
    },
    "build-1": {"net.ipv4.ip_local_port_range": "32768 60999", "net.ipv4.tcp_tw_reuse": "2"},
    "mail": {"net.core.somaxconn": "128", "net.ipv4.tcp_abort_on_overflow": "0"},
}
"""What some hosts said of their kernels."""


def tell(host: Host, at: dt.datetime) -> None:
    """Store what ``host`` says of its kernel, where it does."""
    if host.name in TOLD:
        told = {"kernel.ostype": "Linux", "kernel.osrelease": "6.1.0-28-amd64", **TOLD[host.name]}
        limits.save(host, Observation(at, 0.1, limits=told))


def rows(name: str, address: str, index: int, probes: int) -> Iterator[str]:
    """The further rows of the probe ``index`` of ``probes``."""
    newest = index >= probes - LAST
    if name == "web-2":
        # A worker forgets one connection in most rounds.
        for number in range(max(0, index - 30) * 2):
            yield _row(
                f"{address}:{42_000 + number}", "10.20.1.41:5672", "CLOSE_WAIT", "2087/gunicorn"
            )
    elif name == "queue-1" and newest:
        for number in range(430 + index % 7):
            state = "TIME_WAIT" if number % 3 else "ESTABLISHED"
            yield _row(f"{address}:{50_000 + number}", "10.20.1.21:5432", state, "-")
    elif name == "cache-1" and newest:
        numbers = random.Random(index)
        for _number in range(340 + index):
            source = ".".join(str(numbers.randrange(11, 223)) for _part in range(4))
            yield _row(
                f"{address}:6379", f"{source}:{numbers.randrange(1024, 65535)}", "SYN_RECV", "-"
            )
    elif name == "build-1" and newest:
        for number in range(760 + index):
            yield _row(f"{address}:{33_000 + number * 7}", "140.82.112.3:443", "TIME_WAIT", "-")


def queue(name: str, port: int, index: int, probes: int) -> int:
    """Recv-Q of a listener."""
    if name != "mail" or index < probes - 2 * LAST:
        return 0
    return {587: 9 if index % 5 == 0 else 0, 993: min(129, 12 * (index - probes + 2 * LAST))}.get(
        port, 0
    )


def _row(local: str, remote: str, state: str, shown: str) -> str:
    return f"tcp   {0:>6} {0:>6} {local:<23} {remote:<23} {state:<11} {shown}"
