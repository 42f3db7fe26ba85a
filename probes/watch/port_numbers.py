"""The ports of a rule as they are typed: ``22, 80, 443``.

Place in the data's way: between what people type of rules and ``probes.watch.rules``. Pure.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 100


def read(text: str) -> tuple[int, ...]:
    """The numbers in a list apart by commas or spaces, each once; ValueError with what is none.

    An empty text has none. At most MOST of them.
    """
    found: dict[int, None] = {}
    for word in text.replace(",", " ").split():
        if not (word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) < 65536):
            raise ValueError(word[:20])
        found[int(word)] = None
    if len(found) > MOST:
        raise ValueError(str(len(found)))
    return tuple(found)


def written(ports: tuple[int, ...]) -> str:
    """The same as it is stored and shown."""
    return ", ".join(map(str, ports))
