"""What the live tools say in a sentence, in the caller's language.

Place in the data's way: last step of the live tools. The pattern of each sentence is the
specification's. What a host said of itself is in here only as the name of a program, and that only
in a form that reads as nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.utils.translation import gettext as _

from probes.history import packing, tally
from probes.observation import Privilege
from probes.parsers.records import Socket
from probes.tools.live_places import Place
from probes.tools.live_probes import Seen
from probes.wording.names import quoted

LONGEST_NAME: Final = 64
MOST_NAMES: Final = 5


def connections(place: Place, seen: Seen, *, proto: str) -> str:
    """How many connections there are: ``Got the local TCP connections: 12 in total``."""
    told = {"proto": proto.upper(), "host": place.name, "count": len(seen.sockets)}
    if place.is_local:
        pattern = (
            _("Got the local connections: %(count)s in total")
            if proto == "all"
            else _("Got the local %(proto)s connections: %(count)s in total")
        )
    else:
        pattern = (
            _("Got the connections of the remote host %(host)s: %(count)s in total")
            if proto == "all"
            else _("Got the %(proto)s connections of the remote host %(host)s: %(count)s in total")
        )
    return _joined(pattern % told, _remarks(place, seen, seen.sockets))


def port(place: Place, seen: Seen, holding: Sequence[Socket], *, port: int, proto: str) -> str:
    """Who holds a port: ``Port 80/TCP of the remote host web1 is occupied: nginx``."""
    told = {"proto": proto.upper(), "host": place.name, "port": port, "programs": _names(holding)}
    if place.is_local:
        pattern = (
            _("Local port %(port)s/%(proto)s is occupied: %(programs)s")
            if holding
            else _("Local port %(port)s/%(proto)s is not occupied")
        )
    else:
        pattern = (
            _("Port %(port)s/%(proto)s of the remote host %(host)s is occupied: %(programs)s")
            if holding
            else _("Port %(port)s/%(proto)s of the remote host %(host)s is not occupied")
        )
    return _joined(pattern % told, _remarks(place, seen, holding))


def listens(socket: Socket) -> bool:
    """Whether a socket takes connections or datagrams from anyone."""
    unconnected = socket.foreign_port is None and socket.protocol in packing.CONNECTIONLESS
    return socket.state == "LISTEN" or unconnected


def program(name: str) -> str:
    """A program's name fit to stand in a sentence: a plain word as it is, all else quoted, in
    ASCII, cut. A process chooses its name freely, and some read like an instruction."""
    return quoted(name, most=LONGEST_NAME, ascii_only=True)


def _names(holding: Iterable[Socket]) -> str:
    """The processes that hold a port: those that listen, where some do."""
    holding = list(holding)
    listeners = [socket for socket in holding if listens(socket)]
    names = list(dict.fromkeys(_name(socket) for socket in listeners or holding))
    shown = names[:MOST_NAMES]
    if len(names) > MOST_NAMES:
        shown.append(_("%(count)s more") % {"count": len(names) - MOST_NAMES})
    return ", ".join(shown)


def _name(socket: Socket) -> str:
    if socket.program:
        return program(socket.program)
    return _("unknown process") if socket.pid is None else f"PID {socket.pid}"


def _remarks(place: Place, seen: Seen, sockets: Iterable[Socket]) -> list[str]:
    """What a reader must know of how the answer came about."""
    said = []
    if seen.tool == "ss":
        said.append(_("There is no full netstat, so ss was used"))
    if seen.tool == "proc":
        said.append(
            _(
                "There is neither netstat nor ss, so the kernel's own tables were read, which "
                "tell no process: install net-tools"
            )
        )
        return said
    hidden = sum(
        socket.pid is None and socket.state not in tally.OWNERLESS_STATES for socket in sockets
    )
    if hidden and seen.is_limited:
        said.append(_reason(place, seen) % {"count": hidden})
    return said


def _reason(place: Place, seen: Seen) -> str:
    if seen.privilege != Privilege.USER:
        return _(
            "Rows without a process: %(count)s, since the netstat there tells none. Install "
            "net-tools or iproute2"
        )
    if place.is_local:
        return _(
            "Rows without a process: %(count)s. Processes of other users are shown to root only: "
            "run netadmin as root"
        )
    return _(
        "Rows without a process: %(count)s. Processes of other users are shown to root only: use "
        "root, or grant sudo for netstat in the credential"
    )


def _joined(sentence: str, remarks: Iterable[str]) -> str:
    for remark in remarks:
        sentence = _("%(sentence)s. %(remark)s") % {"sentence": sentence, "remark": remark}
    return sentence
