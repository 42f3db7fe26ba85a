"""``python -m netadmin.ask healthz``: asks a running site how it is, for health checks.

Place: used by the container's health checks and by ``up``. Standard library only, so that asking
costs a fraction of what loading Django does.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence

TIMEOUT_S = 4.0


def ask(path: str, *, host: str = "127.0.0.1", port: int = 8000) -> tuple[int, str]:
    """GET ``/path``; returns the status and the body's first 2000 characters.

    The status is 0 where nobody answers within TIMEOUT_S. ``localhost`` is asked for, which a
    site always answers to.
    """
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/{path}", headers={"Host": "localhost"})
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """``PATH [HOST]``: exit status 0 where the answer is 200, else 1; prints the answer."""
    path = arguments[0] if arguments else "healthz"
    host = arguments[1] if len(arguments) > 1 else "127.0.0.1"
    status, body = ask(path, host=host)
    print(f"{status} {body.strip()}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
