"""An invented fleet of any size whose hosts really talk to one another, for the map.

Tiers of a web shop, each a host group, stored by the real store: every connection between two
hosts is in the sockets of both. The same for the same numbers: names, addresses and connections
come from a seeded generator.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from dataclasses import dataclass

from django.utils import timezone

from hosts.models import Host, HostGroup
from probes.history import store
from probes.models import Heartbeat
from probes.observation import Observation, Privilege

HEADER = (
    "Active Internet connections (servers and established)\n"
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State"
    "       PID/Program name\n"
)
PUBLIC = ("203.0.113", "198.51.100", "192.0.2", "100.24.7", "185.60.216", "91.198.174")


@dataclass(frozen=True)
class Tier:
    """One kind of host."""

    name: str
    share: int
    """Of how many hosts in a hundred."""
    listens: tuple[tuple[int, str], ...] = ()
    calls: tuple[tuple[str, int, str, int], ...] = ()
    """(tier, port, own program, servers it talks to)"""
    public: tuple[int, ...] = ()
    """Ports that strangers connect to."""
    reaches: tuple[tuple[int, str], ...] = ()
    """(port, own program) of strangers it connects to."""


TIERS = (
    Tier("edge", 6, ((443, "haproxy"), (80, "haproxy")), (("web", 8080, "haproxy", 4),), (443, 80)),
    Tier("web", 18, ((8080, "nginx"),), (("app", 9000, "nginx", 2),)),
    Tier(
        "app", 22, ((9000, "gunicorn"),),
        (("data", 5432, "gunicorn", 2), ("cache", 6379, "gunicorn", 2),
         ("queue", 5672, "celery", 1), ("search", 9200, "gunicorn", 1)),
        reaches=((443, "gunicorn"),),
    ),
    Tier("data", 10, ((5432, "postgres"),), (("data", 5432, "postgres", 1),)),
    Tier("cache", 8, ((6379, "redis-server"),)),
    Tier("queue", 5, ((5672, "beam.smp"),)),
    Tier("search", 8, ((9200, "java"), (9300, "java")), (("search", 9300, "java", 2),)),
    Tier("mail", 4, ((25, "master"), (993, "dovecot")), (("data", 5432, "dovecot", 1),), (25, 993),
         ((25, "smtp"),)),
    Tier("build", 9, ((8443, "java"),), (("store", 9000, "java", 1),), reaches=((443, "java"),)),
    Tier("store", 5, ((9000, "minio"),)),
    Tier("watch", 5, ((9090, "prometheus"), (3000, "grafana"))),
)  # fmt: skip


def build(count: int, *, sockets_each: int, until: dt.datetime, probes: int = 2) -> list[Host]:
    """``count`` hosts with about ``sockets_each`` sockets, probed ``probes`` times; half of what
    strangers do changes between two probes."""
    dice = random.Random(count)
    groups = {tier.name: HostGroup.objects.create(name=tier.name) for tier in TIERS}
    hosts: list[Host] = []
    by_tier: dict[str, list[int]] = defaultdict(list)
    for number in range(count):
        tier = _tier(number, count)
        place = len(by_tier[tier.name]) + 1
        address = f"10.{30 + TIERS.index(tier)}.{place // 200}.{place % 200 + 10}"
        hosts.append(Host.objects.create(name=f"{tier.name}-{place}", address=address))
        hosts[-1].groups.add(groups[tier.name])
        by_tier[tier.name].append(number)
    lasting: list[list[str]] = [[] for _host in hosts]
    for number in range(count):
        tier = _tier(number, count)
        for port, program in (*tier.listens, (22, "sshd"), (9100, "node_exporter")):
            lasting[number].append(_row(f"0.0.0.0:{port}", "0.0.0.0:*", "LISTEN", program, number))
        for name, port, program, servers in tier.calls:
            others = [other for other in by_tier[name] if other != number]
            for other in dice.sample(others, min(servers, len(others))):
                _connect(lasting, hosts, number, other, port, program,
                         dice.choice((1, 2, 2, 4, 8, 20, 60)), dice)  # fmt: skip
        if tier.name != "watch" and by_tier["watch"]:
            watcher = by_tier["watch"][number % len(by_tier["watch"])]
            _connect(lasting, hosts, watcher, number, 9100, "prometheus", 1, dice)
    for turn in range(probes):
        taken_at = until - dt.timedelta(minutes=5 * (probes - 1 - turn))
        for number, host in enumerate(hosts):
            rows = [*lasting[number], *_strangers(count, number, host, turn, sockets_each -
                                                  len(lasting[number]))]  # fmt: skip
            text = HEADER + "".join(f"{row}\n" for row in rows)
            store.save(
                host,
                Observation(
                    taken_at + dt.timedelta(seconds=number % 50),
                    0.1,
                    tool="netstat",
                    command="netstat -antupW",
                    privilege=Privilege.ROOT,
                    text=text,
                    raw=text.encode(),
                ),
                login_version=host.login_version,
            )
    ahead = timezone.now() + dt.timedelta(days=1)
    Heartbeat.objects.update_or_create(node="worker@bench", defaults={"at": ahead})
    return hosts


def _tier(number: int, count: int) -> Tier:
    place = 100 * number / count
    for tier in TIERS:
        place -= tier.share
        if place < 0:
            return tier
    return TIERS[-1]


def _connect(
    rows: list[list[str]],
    hosts: list[Host],
    client: int,
    server: int,
    port: int,
    program: str,
    number: int,
    dice: random.Random,
) -> None:
    listening = {port: name for tier in TIERS for port, name in tier.listens}
    listening[9100] = "node_exporter"
    first = dice.randrange(20_000, 59_000)
    for slot in range(number):
        near = f"{hosts[client].address}:{first + slot}"
        far = f"{hosts[server].address}:{port}"
        rows[client].append(_row(near, far, "ESTABLISHED", program, client))
        rows[server].append(_row(far, near, "ESTABLISHED", listening[port], server))


def _strangers(count: int, number: int, host: Host, turn: int, room: int) -> list[str]:
    """Connections with the rest of the world, and within the office, until there is no room."""
    tier = _tier(number, count)
    rows = []
    for slot in range(max(0, room)):
        dice = random.Random(f"{number} {slot} {turn if slot % 2 else 0}")
        client = f"{dice.choice(PUBLIC)}.{dice.randrange(1, 255)}:{dice.randrange(1024, 60_000)}"
        if tier.public:
            port, program = dice.choice([one for one in tier.listens if one[0] in tier.public])
            rows.append(_row(f"{host.address}:{port}", client, "ESTABLISHED", program, number))
        elif tier.reaches and slot % 3 == 0:
            port, program = dice.choice(tier.reaches)
            far = f"{dice.choice(PUBLIC)}.{dice.randrange(1, 255)}:{port}"
            near = f"{host.address}:{dice.randrange(20_000, 60_000)}"
            rows.append(_row(near, far, "ESTABLISHED", program, number))
        else:
            office = f"192.168.{dice.randrange(1, 5)}.{dice.randrange(1, 255)}"
            port, program = dice.choice((*tier.listens, (22, "sshd")))
            far = f"{office}:{dice.randrange(1024, 60_000)}"
            rows.append(_row(f"{host.address}:{port}", far, "ESTABLISHED", program, number))
    return rows


def _row(local: str, far: str, state: str, program: str, number: int) -> str:
    pid = 700 + number
    return f"tcp   {0:>6} {0:>6} {local:<23} {far:<23} {state:<11} {pid}/{program}"
