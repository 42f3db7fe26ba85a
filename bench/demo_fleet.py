"""A small invented fleet over some hours, for screenshots: stored by the real store.

Ten hosts with a web front, databases, a cache and the usual troubles. The same for the same
``until``: numbers come from a seeded generator.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.utils import timezone

from bench import demo_tables, demo_troubles, demo_watching
from hosts.models import Credential, Host, HostGroup
from probes import runner
from probes.history import rollups, store, tables
from probes.hunts import running as hunting
from probes.models import Alert, Heartbeat, Hunt, Schedule
from probes.observation import Code, Failure, Observation, Privilege

STEP = dt.timedelta(minutes=4)
PROBES = 90
"""Six hours of history."""

Listener = tuple[str, str, int, str, int]
"""protocol, address, port, program, pid"""


@dataclass(frozen=True)
class Sample:
    """One invented host."""

    name: str
    address: str
    group: str
    listeners: tuple[Listener, ...]
    inbound: tuple[tuple[int, int], ...] = ()
    """(port, usual number of connections)"""
    outbound: tuple[tuple[str, int, str, int, int], ...] = ()
    """(remote address, remote port, program, pid, number)"""
    privilege: Privilege = Privilege.ROOT
    fails: tuple[tuple[int, int, Code, str], ...] = ()
    """(first probe, last probe, code, detail); probes counted from the oldest"""
    extra: dict[str, int] = field(default_factory=dict)


SSHD: Listener = ("tcp", "0.0.0.0", 22, "sshd: /usr/sbin/sshd", 812)
NODE: Listener = ("tcp6", "::", 9100, "node_exporter", 990)
CHRONY: Listener = ("udp", "127.0.0.1", 323, "chronyd", 745)

PUBLIC_PORTS = frozenset({25, 80, 443, 587, 993})
"""What strangers connect to; the rest is asked for by the office alone."""

KEY = "SHA256:7r0Hq4cN1o8mTqv2ZyqJ5v8nS1l1o3u1bG3v5o4eQ2k"

FLEET = (
    Sample(
        "web-1", "10.20.0.11", "web",
        (SSHD, ("tcp", "0.0.0.0", 80, "nginx: master", 1201),
         ("tcp", "0.0.0.0", 443, "nginx: master", 1201), NODE, CHRONY),
        ((443, 160), (80, 24)),
        (("10.20.1.21", 5432, "gunicorn", 2210, 12), ("10.20.1.31", 6379, "gunicorn", 2210, 6),
         ("10.20.1.41", 5672, "celery", 2304, 4), ("203.0.113.25", 587, "gunicorn", 2210, 1)),
    ),
    Sample(
        "web-2", "10.20.0.12", "web",
        (SSHD, ("tcp", "0.0.0.0", 80, "nginx: master", 1188),
         ("tcp", "0.0.0.0", 443, "nginx: master", 1188), NODE, CHRONY),
        ((443, 140), (80, 18)),
        (("10.20.1.21", 5432, "gunicorn", 2087, 11), ("10.20.1.31", 6379, "gunicorn", 2087, 7),
         ("10.20.1.41", 5672, "celery", 2150, 4)),
        fails=((52, 57, Code.TIMED_OUT, "no answer within 30 s"),),
    ),
    Sample(
        "db-1", "10.20.1.21", "data",
        (SSHD, ("tcp", "10.20.1.21", 5432, "postgres", 1011), NODE, CHRONY),
        ((5432, 48),),
        (("10.20.1.22", 5432, "postgres", 1040, 1),),
    ),
    Sample(
        "db-2", "10.20.1.22", "data",
        (SSHD, ("tcp", "10.20.1.22", 5432, "postgres", 1034), NODE),
        ((5432, 9),),
        fails=((87, 89, Code.UNREACHABLE, "no route to 10.20.1.22"),),
    ),
    Sample(
        "cache-1", "10.20.1.31", "data",
        (SSHD, ("tcp", "10.20.1.31", 6379, "redis-server", 934), NODE),
        ((6379, 30),),
    ),
    Sample(
        "queue-1", "10.20.1.41", "data",
        (SSHD, ("tcp6", "::", 5672, "beam.smp", 1544), ("tcp6", "::", 15672, "beam.smp", 1544)),
        ((5672, 22),),
        privilege=Privilege.USER,
    ),
    Sample(
        "build-1", "10.20.3.5", "office",
        (SSHD, ("tcp", "0.0.0.0", 8080, "java", 3120), ("tcp", "127.0.0.1", 5005, "java", 3120)),
        ((8080, 6),),
        (("140.82.112.3", 443, "java", 3120, 3), ("10.20.1.41", 5672, "java", 3120, 2),
         ("10.20.0.11", 80, "java", 3120, 1)),
    ),
    Sample(
        "mail", "203.0.113.25", "office",
        (SSHD, ("tcp", "0.0.0.0", 25, "master", 1302), ("tcp", "0.0.0.0", 587, "master", 1302),
         ("tcp", "0.0.0.0", 993, "dovecot", 1288)),
        ((25, 8), (993, 31)),
        (("10.20.1.22", 5432, "dovecot", 1288, 3),),
        extra={"odd lines": 3},
    ),
    Sample(
        "legacy", "10.20.9.4", "office", (),
        fails=((80, 89, Code.LOGIN_FAILED, "the server refused the password of deploy"),),
    ),
    Sample(
        "edge-new", "198.51.100.7", "web", (),
        fails=((88, 89, Code.HOST_KEY_UNKNOWN, KEY),),
    ),
)  # fmt: skip


def build(until: dt.datetime, *, judge: store.Judge | None = None) -> list[Host]:
    """Make the fleet with its history up to ``until``, and probe this machine; returns hosts.

    With ``judge`` each probe is judged as a worker does it, so that the fleet has its alerts.
    """
    credential = Credential.objects.create(name="deploy", user="deploy", method="password")
    groups = {
        name: HostGroup.objects.create(name=name) for name in sorted({s.group for s in FLEET})
    }
    this = Host.objects.create(name="this machine", address="localhost", is_local=True)
    for _turn in range(2):
        store.save(this, runner.observe(this.target()), login_version=this.login_version)
    hosts = [this]
    for sample in FLEET:
        host = Host.objects.create(name=sample.name, address=sample.address, credential=credential)
        host.groups.add(groups[sample.group])
        for observation in observations(sample, until):
            store.save(host, observation, login_version=host.login_version, judge=judge)
        demo_troubles.tell(host, until)
        hosts.append(host)
        if sample.name == "web-1":
            for observation in demo_tables.observations(until):
                tables.save(host, observation)
        for _first, last, code, _detail in sample.fails:
            if last == PROBES - 1:
                _failing(host, sample, code, until)
    Host.objects.create(name="staging", address="10.20.4.2", credential=credential, enabled=False)
    rollups.roll_up(timezone.now())
    # Nothing beats here; one of tomorrow keeps the pages from saying so.
    ahead = timezone.now() + dt.timedelta(days=1)
    Heartbeat.objects.update_or_create(node="worker@demo", defaults={"at": ahead})
    return hosts


def hunts(owner: User, until: dt.datetime) -> None:
    """Saved hunts with what they would have found in the hours up to ``until``."""
    lists = {
        "Mining pools": ("140.82.112.3\nport 5005", 6),
        "PostgreSQL from the office": ("port 5432", 2),
        "Botnet addresses of this week": (
            "\n".join(f"185.10.68.{number}" for number in range(60)), 1
        ),
    }  # fmt: skip
    for name, (indicators, hours) in lists.items():
        began = until - dt.timedelta(hours=hours)
        Hunt.objects.create(name=name, owner=owner, indicators=indicators, checked_at=began)
    hunting.run()
    known = Alert.objects.filter(host__name="db-2", kind="hunt", ends_by_word=True)
    known.update(
        acknowledged_at=until,
        acknowledged_by=owner.username,
        resolved_at=until,
        resolved_by=owner.username,
    )


def observations(sample: Sample, until: dt.datetime) -> Iterator[Observation]:
    """What the probes of one host saw, oldest first."""
    numbers = random.Random(sample.name)
    live: dict[int, list[str]] = {}
    failing_only = bool(sample.fails) and not sample.listeners
    first = sample.fails[0][0] if failing_only else 0
    for index in range(first, PROBES):
        taken_at = until - STEP * (PROBES - 1 - index) - dt.timedelta(seconds=numbers.random() * 9)
        wave = 1 + 0.45 * _wave(index)
        rows = _sockets(sample, live, wave, numbers, index)
        rows += demo_troubles.rows(sample.name, sample.address, index, PROBES)
        rows += demo_watching.rows(sample.name, index)
        failure = next(
            (
                Failure(code, detail)
                for begin, end, code, detail in sample.fails
                if begin <= index <= end
            ),
            None,
        )
        if failure is not None:
            yield Observation(taken_at, 4.0 if failure.code != Code.TIMED_OUT else 30.0,
                              failure=failure)  # fmt: skip
            continue
        text = "\n".join(
            [
                "Active Internet connections (servers and established)",
                "Proto Recv-Q Send-Q Local Address           Foreign Address         State"
                "       PID/Program name",
                *rows,
            ]
        )
        yield Observation(
            taken_at,
            0.05 + numbers.random() * 0.08,
            tool="netstat",
            command="netstat -antupW",
            privilege=sample.privilege,
            text=text + "\n",
            raw=text.encode() + b"\n",
        )


def _sockets(
    sample: Sample,
    live: dict[int, list[str]],
    wave: float,
    numbers: random.Random,
    index: int,
) -> list[str]:
    seen = sample.privilege is not Privilege.USER
    rows = []
    for protocol, address, port, program, pid in sample.listeners:
        shown = f"{pid}/{program}" if seen or (port > 1024 and pid % 2) else "-"
        state = "" if protocol.startswith("udp") else "LISTEN"
        far = ":::*" if protocol.endswith("6") else "0.0.0.0:*"
        waiting = demo_troubles.queue(sample.name, port, index, PROBES)
        rows.append(_line(protocol, f"{address}:{port}", far, state, shown, recv_queue=waiting))
    names = {port: (program, pid) for _proto, _address, port, program, pid in sample.listeners}
    for port, usual in sample.inbound:
        program, pid = names[port]
        kept = [row for row in live.get(port, []) if numbers.random() > 0.12]
        while len(kept) < usual * wave:
            kept.append(_inbound(sample, port, f"{pid}/{program}" if seen else "-", numbers))
        live[port] = kept[: max(1, int(usual * wave))]
        rows += live[port]
        for _gone in range(int(usual * wave / 5)):
            rows.append(
                _line("tcp", f"{sample.address}:{port}", _client(numbers, port), "TIME_WAIT", "-")
            )
    for remote, port, program, pid, number in sample.outbound:
        for slot in range(number):
            state = "CLOSE_WAIT" if slot % 5 == 4 else "ESTABLISHED"
            near = _near_end(sample, remote, slot)
            rows.append(_line("tcp", near, f"{remote}:{port}", state, f"{pid}/{program}"))
    for client in FLEET:
        # The other end of what hosts of the fleet have with this one.
        for remote, port, _program, _pid, number in client.outbound:
            if remote != sample.address or port not in names:
                continue
            program, pid = names[port]
            for slot in range(number):
                state = "FIN_WAIT2" if slot % 5 == 4 else "ESTABLISHED"
                far = _near_end(client, remote, slot)
                shown = f"{pid}/{program}" if seen and state == "ESTABLISHED" else "-"
                rows.append(_line("tcp", f"{remote}:{port}", far, state, shown))
    rows += [f"tcp odd line {number}" for number in range(sample.extra.get("odd lines", 0))]
    return rows


def _near_end(sample: Sample, remote: str, slot: int) -> str:
    """Address and port that a host connects from."""
    return f"{sample.address}:{40_000 + hash_of(sample.name, remote) % 9000 + slot * 3}"


def _inbound(sample: Sample, port: int, shown: str, numbers: random.Random) -> str:
    state = "ESTABLISHED" if numbers.random() < 0.93 else "FIN_WAIT2"
    queue = numbers.randrange(200, 90_000) if numbers.random() < 0.03 else 0
    return _line("tcp", f"{sample.address}:{port}", _client(numbers, port), state, shown, queue)


def _client(numbers: random.Random, port: int) -> str:
    nets = ("203.0.113", "198.51.100", "192.0.2", "10.20.5", "10.20.6")
    if port not in PUBLIC_PORTS:
        nets = nets[3:]
    last = min(254, int(numbers.expovariate(0.04)) + 30)
    return f"{numbers.choice(nets)}.{last}:{numbers.randrange(20_000, 60_000)}"


def _line(
    protocol: str,
    local: str,
    remote: str,
    state: str,
    shown: str,
    send_queue: int = 0,
    *,
    recv_queue: int = 0,
) -> str:
    queues = f"{recv_queue:>6} {send_queue:>6}"
    return f"{protocol:<5} {queues} {local:<23} {remote:<23} {state:<11} {shown}"


def _wave(index: int) -> float:
    position = index % 60 / 60
    return 1 - abs(2 * position - 1) * 2


def hash_of(*parts: str) -> int:
    """A number that is the same in every run."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate("|".join(parts)))


def _failing(host: Host, sample: Sample, code: Code, until: dt.datetime) -> None:
    since = until - STEP * (PROBES - 1 - sample.fails[-1][0])
    paused = code.value if code in (Code.LOGIN_FAILED, Code.SUDO_REFUSED) else ""
    Schedule.objects.filter(host=host).update(
        failing_since=since,
        failures=3,
        paused_code=paused,
        paused_login_version=host.login_version if paused else "",
    )
