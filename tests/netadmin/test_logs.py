"""Log lines: nothing forged, nothing leaked."""

from __future__ import annotations

import io
import logging

import pytest

from netadmin.logs import EscapingFormatter


@pytest.fixture
def written() -> object:
    """A logger with our formatter, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EscapingFormatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_one_message_is_one_line(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("program %s", "a\nWARNING forged\x1b[2J\r\x85\u2028b")
    assert stream.getvalue() == ("WARNING program a\\x0aWARNING forged\\x1b[2J\\x0d\\x85\\x2028b\n")


def test_a_traceback_forges_no_line_and_shows_no_local_variable(
    written: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = written
    password = "hunter2-in-a-local"
    try:
        raise ValueError("bad row\nWARNING forged \x1b[2J" + password[:0])
    except ValueError:
        logger.exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "ERROR failed"
    assert all(line.startswith("    ") for line in lines[1:])
    assert "\x1b" not in stream.getvalue()
    assert password not in stream.getvalue()
