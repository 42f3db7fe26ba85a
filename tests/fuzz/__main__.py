"""``python -m tests.fuzz [--seconds 600] [--seed N]``, or ``python -m tests.fuzz INPUT...``.

The second runs inputs again that an earlier search has saved. Ends with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from tests.fuzz import engine


def main() -> int:
    """Search, or run inputs again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("inputs", nargs="*", type=Path, help="to run again, instead of a search")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, help="which inputs are tried; random otherwise")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="for what fails")
    arguments = parser.parse_args()
    if arguments.inputs:
        return max(_again(path) for path in arguments.inputs)
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}, {arguments.seconds:g} s", flush=True)
    account = engine.search(seconds=arguments.seconds, seed=seed)
    print(f"{account.runs} inputs, {account.kept} kept, {account.steps} steps and shapes reached")
    for failure in account.failures:
        path = engine.save(failure, arguments.keep)
        print(f"\n{failure.what}\nrun it again: python -m tests.fuzz {path}")
    return 1 if account.failures else 0


def _again(path: Path) -> int:
    failure = engine.failure_of(path.read_bytes())
    print(f"{path}: {'all holds' if failure is None else failure.what}")
    return 0 if failure is None else 1


sys.exit(main())
