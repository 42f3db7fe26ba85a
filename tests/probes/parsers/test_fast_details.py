"""What the fast readers keep beyond a Socket's fields, against the readers of the sections."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Tables

_NETSTAT = (
    "tcp        0      0 10.0.0.5:22             10.0.0.9:51000          ESTABLISHED "
    "0          154342     811/sshd: root       keepalive (7187.42/0/0)",
    "tcp        0     36 10.0.0.5:22             10.0.0.9:51001          TIME_WAIT   "
    "0          0          -                    timewait (59.18/0/0)",
    "tcp        0      0 10.0.0.5:22             10.0.0.9:51001          TIME_WAIT   "
    "0          0          -",
    "tcp6       0      0 2001:db8::5:443         2001:db8::9:51022       ESTABLISHED "
    "www-data   154329     18/nginx: worker     off (0.00/0/0)",
    "tcp        0      0 0.0.0.0:80              0.0.0.0:*               LISTEN      "
    "33         7          12/nginx             off (0.00/0/0)",
    "tcp        0      0 10.0.0.5:80             10.0.0.9:80             ESTABLISHED 7/x",
    "tcp        0      0 10.0.0.5:80             10.0.0.999:80           ESTABLISHED 7/x",
    "tcp        0      0 10.0.0.5:99             10.0.0.9:99             ESTABLISHED "
    "33         99999999999999999999 7/x",
    "udp        0      0 10.0.0.5:53             10.0.0.9:99             ESTABLISHED "
    "33         8          7/x                  unkn-4 (1.00/2/-1)",
)
_ENDS = "tcp   ESTAB  0      0      10.0.0.5:443        10.0.0.9:51022 "
_SS = (
    f'{_ENDS} users:(("nginx",pid=14,fd=5)) timer:(keepalive,1min59sec,0) uid:33 ino:912770 sk:34b'
    " cgroup:/a.slice v6only:0 <->",
    f'{_ENDS} users:(("nginx",pid=14,fd=5)) ino:912771 sk:34c cgroup:/ <->',
    f'{_ENDS} users:(("nginx",pid=14,fd=5),("nginx",pid=13,fd=5)) ino:912772 sk:34d',
    f'{_ENDS} users:(("nginx",pid=14,fd=5)) ino:1 cgroup:/("x",pid=3,fd=4) <->',
    f'{_ENDS} users:(("nginx",pid=14,fd=5))ino:5',
    f"{_ENDS} timer:(timewait,47sec,0) ino:0 sk:1def9",
    f"{_ENDS} stray ino:0 sk:1def9",
    f"{_ENDS}",
    "tcp   ESTAB  0      0      10.0.0.5:443        10.0.0.900:51022  ino:8",
    "tcp   ESTAB  0      0      [2001:db8::5]:443  [::ffff:10.0.0.9]:51022  ino:9 sk:8 <->",
    f"{_ENDS} ino:77777777777777777777 send 5bps skmem:(r0,t0) cubic (odd) rto: 204",
)


@pytest.mark.parametrize("lines", [_NETSTAT, _SS], ids=["netstat", "ss"])
@pytest.mark.parametrize("times", [1, 200])
def test_a_line_tells_the_same_by_itself_and_in_a_crowd(lines: tuple[str, ...], times: int) -> None:
    for line in lines:
        alone = Tables()
        parsers.GRAMMAR.read([(0, line, "")], alone)
        crowd = parsers.parse("\n".join([lines[0], *[line] * times, lines[0]])).tables
        assert len(crowd.sockets) == times * len(alone.sockets) + 2
        for socket, at in ((crowd.sockets[at], at) for at in range(1, len(crowd.sockets) - 1)):
            assert [socket] == alone.sockets
            assert crowd.details.get(at) == alone.details.get(0)
        ends = {crowd.details[0], crowd.details[len(crowd.sockets) - 1]}
        assert len(ends) == 1


@pytest.mark.parametrize("lines", [_NETSTAT, _SS], ids=["netstat", "ss"])
def test_details_stay_with_their_sockets_between_lines_of_other_kinds(
    lines: tuple[str, ...],
) -> None:
    mixed = [line for line in lines for line in ("", line, "what is this", lines[0])]
    fast = parsers.parse("\n".join(mixed)).tables
    slow = Tables()
    parsers.GRAMMAR.read(((at, line, "") for at, line in enumerate(mixed)), slow)
    assert fast.details
    told = [(socket, fast.details.get(at)) for at, socket in enumerate(fast.sockets)]
    assert told == [(socket, slow.details.get(at)) for at, socket in enumerate(slow.sockets)]
