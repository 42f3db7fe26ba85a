"""Services of the invented fleet, with restarts behind them, for screenshots.

What a worker would do is written down as it writes it: nothing is run on any host.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.contrib.auth.models import User

from hosts.models import Host
from probes.models import Change, Direction, OpenSocket, Restart, RestartCommand, Service
from probes.recovery import affected

COMMANDS = (
    ("nginx", ["systemctl", "restart", "nginx"], True),
    ("PostgreSQL", ["systemctl", "restart", "postgresql@15-main"], True),
    ("Redis", ["/opt/redis/bin/restart", "--wait", "30"], False),
)


def build(ann: User, hosts: Sequence[Host], now: dt.datetime) -> Service:
    """Make them; returns one that was restarted several times."""
    commands = [
        RestartCommand.objects.create(name=name, argv=argv, use_sudo=sudo)
        for name, argv, sudo in COMMANDS
    ]
    made = []
    for host in hosts:
        listening = OpenSocket.objects.filter(
            host_id=host.pk, direction=Direction.LISTEN, protocol__lt=2
        )
        ports = dict(listening.values_list("local_port", "program"))
        for port, program in sorted((port or 0, program or "") for port, program in ports.items()):
            if port in (443, 5432, 6379):
                command = commands[(443, 5432, 6379).index(port)]
                fields = {"name": program or f"port {port}", "host": host, "port": port}
                made.append(
                    Service.objects.create(**fields, command=command, automatic=port == 443)
                )
    lost = Change.objects.filter(kind=Change.Kind.PORT_DOWN, protocol="tcp").first()
    if lost is not None and lost.port is not None:
        fields = {"name": lost.program or "backend", "host": lost.host, "port": lost.port}
        made.append(Service.objects.create(**fields, command=commands[0], automatic=True))
    watched = made[0]
    for hours, state, status, said, by in (
        (5, Restart.State.STILL_DOWN, 1, "nginx: [emerg] bind() to 0.0.0.0:443 failed", ""),
        (4.9, Restart.State.RECOVERED, 0, "", ann.get_username()),
        (0.4, Restart.State.RECOVERED, 0, "", ""),
    ):
        planned = now - dt.timedelta(hours=hours)
        Restart.objects.create(
            service=watched,
            host=watched.host,
            state=state,
            by=by,
            planned_at=planned,
            ran_at=planned + dt.timedelta(seconds=2),
            check_after=planned + dt.timedelta(seconds=13),
            ended_at=planned + dt.timedelta(seconds=17),
            exit_status=status,
            output=said,
            command_line="sudo -n systemctl restart nginx",
            affected=affected.of(watched),
        )
    return watched
