"""The commands with curl that the documents show, ready to be run against another site.

A document's examples speak of a site of their own: ``hosts/1``, ``alerts/9``, a morning in January.
:func:`commands` finds them, :func:`fitted` puts the rows and times of a test's site in their place
and changes nothing else, so what runs is what a reader would paste.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from probes.api.routing import Endpoint

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
_ADDRESS: Final = re.compile(r"\$NETADMIN/([^\"?\s]*)")
_TIME: Final = re.compile(r"(from|to|at|since|until|\"ends_at\": \")(=?)(20[0-9-]{8}T[0-9:]+Z)")


def commands(document: Path) -> Iterator[str]:
    """What stands behind each ``$`` and uses curl, with its continuation lines."""
    for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        lines = iter(block.splitlines())
        for line in lines:
            if not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ")
            while command.endswith("\\") or command.count("'") % 2:
                command += "\n" + next(lines)
            if re.search(r"\bcurl\b", command):
                yield command


def fitted(
    command: str,
    endpoints: list[Endpoint],
    *,
    path: Callable[[str], str],
    moments: dict[str, dt.datetime],
) -> str:
    """``command`` with the ids of another site: ``path`` gives the address of a route by its name,
    ``moments`` a time for each parameter that has one."""

    def address(match: re.Match[str]) -> str:
        endpoint = _named(match[1], endpoints)
        if "<int:pk>" not in endpoint.path:
            return match[0]
        return "$NETADMIN/" + path(endpoint.name).removeprefix("/api/v1/")

    def moment(match: re.Match[str]) -> str:
        when = moments[match[1].strip('": ')]
        return f"{match[1]}{match[2]}{when:%Y-%m-%dT%H:%M:%SZ}"

    return _TIME.sub(moment, _ADDRESS.sub(address, command))


def _named(address: str, endpoints: list[Endpoint]) -> Endpoint:
    for endpoint in endpoints:
        if re.fullmatch(re.escape(endpoint.path).replace("<int:pk>", "[0-9]+"), address):
            return endpoint
    raise AssertionError(f"no route has the address {address}")
