"""Writes down which listeners had connections waiting to be accepted when a probe looked.

Place in the data's way: inside the transaction of ``history.store``, after the open sockets are
what the probe saw. Knows no rule: what a backlog means is judged when it is read.

Only the queues of the newest snapshot are stored with the sockets, so trouble that comes and goes
would be lost. Almost no probe of almost any host finds any: :func:`may_wait` tells from the text,
before the transaction, whether it is worth asking, and a probe without a backlog asks nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from django.db import connections

from probes.history.packing import STATE_NUMBERS, Way
from probes.models import Backlog, OpenSocket

_LISTEN: Final = "LISTEN"
_KERNEL: Final = "proc"
"""Dialect of /proc/net/tcp, which has states as numbers."""
_TOLD_BY: Final = ("net-tools", "ss", _KERNEL)
"""Dialects in which Recv-Q of a listener is its accept queue: those of Linux (get_tcp4_sock()
of net/ipv4/tcp_ipv4.c and tcp_diag_get_info() of net/ipv4/tcp_diag.c show sk_ack_backlog). The BSDs
show the bytes received of a socket that receives none, Windows nothing."""
_LIMITED: Final = "ss"
"""The only dialect that shows a listener's limit, as Send-Q (sk_max_ack_backlog, by
tcp_diag_get_info())."""
MOST_A_PROBE: Final = 200
"""Listeners of one probe, the longest queues first: more would be a host that makes them up."""

_NOTE: Final = (
    f"INSERT INTO {Backlog._meta.db_table}"
    " (host_id, taken_at, key, protocol, local_ip, local_port, program, waiting, most)"
    " SELECT host_id, {at}, key, protocol, local_ip, local_port, program, recv_queue, {most}"
    f" FROM {OpenSocket._meta.db_table}"
    f" WHERE host_id = %s AND direction = {Way.LISTEN.value}"
    f" AND state = {STATE_NUMBERS[_LISTEN]} AND recv_queue > 0 AND local_port IS NOT NULL"
    f" ORDER BY recv_queue DESC, key LIMIT {MOST_A_PROBE} ON CONFLICT DO NOTHING"
)


def may_wait(text: str, dialect: str) -> bool:
    """False where no listener in ``text`` has anything in its Recv-Q; True where one may have.

    Looks at the rows with the word LISTEN alone: some microseconds for a usual host. net-tools has
    the queue in the second column, ss behind the state::

        tcp        3      0 0.0.0.0:80              0.0.0.0:*               LISTEN      900/nginx
        tcp   LISTEN 3      128          0.0.0.0:80         0.0.0.0:*    users:(("nginx",...
    """
    if dialect.startswith(_KERNEL):
        return True
    if not dialect.startswith(_TOLD_BY):
        return False
    at = text.find(_LISTEN)
    while at >= 0:
        begin = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        # The queue stands before the addresses: of a line as long as a host likes, the beginning.
        columns = text[begin : min(end if end >= 0 else len(text), begin + 400)].split(None, 4)
        place = columns.index(_LISTEN) + 1 if _LISTEN in columns[:2] else 1
        queue = columns[place] if place < len(columns) else ""
        if queue.isdecimal() and queue.strip("0"):
            return True
        at = text.find(_LISTEN, end) if end >= 0 else -1
    return False


def note(using: str, host_id: int, *, taken_at: dt.datetime, dialect: str) -> None:
    """Keep the listeners of LISTEN that now have a Recv-Q. One statement.

    ``most`` is Send-Q where the dialect shows a limit there. Twice for one probe is as once.
    """
    connection = connections[using]
    postgresql = connection.vendor == "postgresql"
    sql = _NOTE.format(
        at="%s::timestamptz" if postgresql else "%s",
        most="send_queue" if dialect.startswith(_LIMITED) else "NULL",
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(taken_at), host_id])
