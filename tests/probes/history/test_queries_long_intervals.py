"""What was there for minutes, hours or days is found at every time of it, on one host and on many.

What was there for long is looked for in another way (``sql.LONG``); neither way may lose or double
a socket at the edge between them.
"""

from __future__ import annotations

import random

import pytest

from hosts.models import Host
from probes.history import store
from probes.history.queries import moments, snapshot_at, sql
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, line, observed, table
from tests.probes.history.test_queries_moments import PEERS, read

EVERY_MIN = (1, 59, 60, 241, 300, 301, 359, 360, 361, 720, 1440)
"""Minutes between probes: on either side of five and of six hours."""


@both_databases
@pytest.mark.parametrize("seed", range(3))
def test_sockets_of_any_age_are_read_back(host: Host, using: str, seed: int) -> None:
    dice = random.Random(seed)
    times = [0.0]
    for _ in range(14):
        times.append(times[-1] + dice.choice(EVERY_MIN))
    played = []
    kept = {peer: dice.randrange(1, 10) for peer in PEERS}
    for number, minute in enumerate(times):
        # Each peer stays for some probes, then is away for as many.
        lines = [LISTENER, *(peer for peer, span in kept.items() if number // span % 2 == 0)]
        store.save(host, observed(minute, table(*lines)), using=using)
        played.append(lines)
    hosts = Host.objects.using(using).all()
    for minute, lines in zip(times, played, strict=True):
        fleet = moments.scope(hosts, at=at(minute))
        alone = sql.of_host(host, snapshot_at(host, at(minute)))
        assert fleet is not None
        assert read(fleet) == read(alone)
        assert sum(read(alone).values()) == len(lines)
        assert {ip[-1] for _host, port, ip in read(alone) if port == 80} - {0} == {
            int(each.split("198.51.100.")[1].split(":")[0]) for each in lines[1:]
        } - {0}


@both_databases
@pytest.mark.parametrize("hours", [4.9, 5.0, 5.1, 5.9, 6.0, 6.1, 30])
def test_the_edge_between_short_and_long_loses_nothing(
    host: Host, using: str, hours: float
) -> None:
    peer = line("10.0.0.5:80", "198.51.100.9:40000", holder="9/nginx")
    end = hours * 60
    for minute, lines in ((0.0, [peer]), (end / 2, [peer]), (end, [peer]), (end + 1, [])):
        store.save(host, observed(minute, table(LISTENER, *lines)), using=using)
    for minute, there in ((0.0, 2), (end / 2, 2), (end, 2), (end + 1, 1)):
        scope = moments.scope(Host.objects.using(using).all(), at=at(minute))
        assert scope is not None
        assert sum(read(scope).values()) == there
        alone = sql.of_host(host, snapshot_at(host, at(minute)))
        assert sum(read(alone).values()) == there
