"""The process inside the namespaces: builds the scene, runs the commands, writes what they print.

Started by ``tests.captures.take`` alone, with the names of the commands on its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.captures.commands import COMMANDS, TRACKED
from tests.captures.scene import Scene

_TIME_LIMIT_S = 20
_BY_NAME = {command.name: command for command in (*COMMANDS, *TRACKED)}


def main(folder: Path) -> None:
    """Write the outputs and ``truth.json`` into ``folder``."""
    names = json.load(sys.stdin)
    scene = Scene()
    tracked = any(command.name in names for command in TRACKED)
    if tracked:
        scene.hosts.track_connections()
    scene.build()
    if tracked:
        scene.connect_to_redirected()
    for name in names:
        process = subprocess.run(
            ["sh", "-c", _BY_NAME[name].line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_TIME_LIMIT_S,
        )
        (folder / f"{name}.out").write_bytes(process.stdout)
    truth = json.dumps(scene.as_json(), indent=1)
    (folder / "truth.json").write_text(truth + "\n", encoding="ascii")


main(Path(sys.argv[1]))
