"""``python -m tests.captures FOLDER [NAME...]``: new captures, with the .json of a fixture each.

What is there of a .json is kept but for its origin, so that ``REGEN=1`` of the golden tests shows
what changed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

from tests.captures import take
from tests.captures.commands import COMMANDS, TRACKED, VERSIONS, Command


def main() -> None:
    """Take all captures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.captures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write; made where it is not there")
    parser.add_argument("names", nargs="*", help="of captures; all but conntrack's otherwise")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    known = {command.name: command for command in (*COMMANDS, *TRACKED)}
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"no such capture: {', '.join(sorted(unknown))}")
    commands = [known[name] for name in arguments.names] or list(COMMANDS)
    if set(TRACKED) & set(commands) and not (shutil.which("conntrack") and shutil.which("nft")):
        parser.error("conntrack and nft are needed: sudo apt-get install conntrack nftables")
    take(arguments.folder, commands)
    for command in commands:
        path = arguments.folder / f"{command.name}.json"
        about = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        about = {"origin": _origin(command), "wide": command.wide} | {
            key: value for key, value in about.items() if key not in ("origin", "wide")
        }
        path.write_text(json.dumps(about, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        size = (arguments.folder / f"{command.name}.out").stat().st_size
        print(f"{size:>8} bytes  {command.name}")


def _origin(command: Command) -> str:
    version = subprocess.run(
        ["sh", "-c", VERSIONS[command.tool]], capture_output=True, text=True, check=True
    ).stdout.strip()
    return (
        f"captured on Debian 12 in network namespaces made for it, by {command.tool} {version}: "
        f"{command.line}{command.after}"
    )


main()
