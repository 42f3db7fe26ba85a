"""Changes per second in words."""

from __future__ import annotations

import pytest

from probes.templatetags import rates


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (0.0, "0 bytes/s"), (1536.0, "1.5 KB/s"), (5.0 * 1024**3, "5.0 GB/s")],
)
def test_bytes_have_a_readable_unit(value: float | None, shown: str) -> None:
    assert rates.bytes_per_s(value).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "—"),
        (0.0, "0/s"),
        (0.01, "<0.1/s"),
        (3.44, "3.4/s"),
        (12.6, "13/s"),
        (12345.0, "12 345/s"),
    ],
)
def test_counts_are_as_exact_as_they_need_to_be(value: float | None, shown: str) -> None:
    assert rates.per_s(value).replace("\N{NARROW NO-BREAK SPACE}", " ") == shown
