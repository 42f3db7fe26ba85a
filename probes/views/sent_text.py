"""A text sent by a form, typed, as a file or carried from page to page, and how long it may be.

Place in the data's way: between a request and ``probes.brought``, for ``probes.views.paste``. Knows
no table, no host.

Django reads fields of a form up to DATA_UPLOAD_MAX_MEMORY_SIZE and files of any length. So a
longer text comes as a file (the page's script makes one of it), and what is too long is told on
the page.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from probes import brought, parsers
from probes.parsers.lines import visible
from probes.parsers.records import Parsed, ParseError, Rejected
from probes.parsers.sections import NOT_IN_A_TABLE
from probes.templatetags import ui

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a text: about 170,000 sockets."""

MAX_REQUEST_BYTES: Final = MAX_BYTES + 4 * 1024 * 1024
"""Of a form with such a text; what announces more is not read."""

DRAINED_BYTES: Final = 64 * 1024 * 1024
"""How much of a request that is too large is read and dropped all the same: a browser that is
answered before it has sent everything shows a broken connection and not the answer."""

MAX_LINES: Final = 400_000
MAX_CARRIED_CHARS: Final = 1_900_000
"""Of the packed text in the page; with the form around it below DATA_UPLOAD_MAX_MEMORY_SIZE."""

EDITED_CHARS: Final = 100_000
"""Up to here a text is shown again in the field it was typed into."""

View = Callable[[HttpRequest], HttpResponseBase]
TellProblem = Callable[[HttpRequest, "Problem"], HttpResponseBase]


class Problem(Exception):
    """What was sent cannot be read; the message is for the reader."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Sent:
    """A text that came in, safe to parse and show, and how it was taken."""

    original: str
    """As it came, decoded."""
    text: str
    """As it was read: without what a ticket put before each line."""
    wide: bool
    parsed: Parsed
    typed: bool
    """It came in the field of the page, where it can be edited further."""


def bounded(tell: TellProblem) -> Callable[[View], View]:
    """For a view of a form with a long text: ``tell`` answers where its size is the problem.

    The form's token is checked here, after its size: the check of the middleware would read the
    form first, and answer with a page that knows of no text.
    """

    def decorate(view: View) -> View:
        checked: View = csrf_protect(view)

        @csrf_exempt
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponseBase:
            try:
                if _announced(request) > MAX_REQUEST_BYTES:
                    _drain(request)
                    raise RequestDataTooBig
                # Read now, while what is wrong with its size can still be told on the page.
                request.POST  # noqa: B018 - a property that reads
            except RequestDataTooBig:
                # Nothing of the form was read: there is no token to check, and nothing is done.
                return tell(request, Problem(_too_long(), status=413))
            except UnreadablePostError:
                return tell(request, Problem(_("It broke off.")))
            return checked(request)

        return guarded

    return decorate


def _announced(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _drain(request: HttpRequest) -> None:
    left = DRAINED_BYTES
    while left > 0 and (some := request.read(min(left, 256 * 1024))):
        left -= len(some)


def _too_long() -> str:
    return _(
        "The text is too long for the field. Save it as a file and choose that file, of %(most)s "
        "at most."
    ) % {"most": ui.size(MAX_BYTES)}


def read(request: HttpRequest) -> Sent:
    """The text of a form: of the file, else of the field, else the one carried along."""
    upload = request.FILES.get("file")
    typed = request.POST.get("text", "")
    carried = request.POST.get("carried", "")
    if upload:
        raw = _uploaded(upload)
    elif typed.strip():
        raw = typed.encode("utf-8", "surrogatepass")
    elif carried:
        raw = _unpack(carried)
    else:
        raise Problem(_("Paste some output, or choose a file."))
    text = parsers.decode(raw)
    if not text.strip():
        raise Problem(_("There is nothing in it but blanks."))
    if text.count("\n") > MAX_LINES:
        raise Problem(
            _("There are more than %(most)s lines in it.") % {"most": ui.count(MAX_LINES)},
            status=413,
        )
    wide = "wide" in request.POST
    try:
        understood = brought.understand(text, wide=wide)
    except ParseError:
        # Nothing but lines that no rule reads: shown as such, as far as they go.
        understood = brought.Understood(text, _nothing(text))
    return Sent(
        text,
        understood.text,
        wide,
        understood.parsed,
        typed=not upload and len(text) <= EDITED_CHARS,
    )


def _uploaded(upload: Any) -> bytes:
    raw: bytes = upload.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise Problem(
            _("The file is larger than %(most)s.") % {"most": ui.size(MAX_BYTES)}, status=413
        )
    return raw


def _nothing(text: str) -> Parsed:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    told = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return Parsed(
        dialect="",
        rejected=[
            Rejected(
                number,
                visible(line[: parsers.MAX_REJECTED_CHARS])[: parsers.MAX_REJECTED_CHARS],
                NOT_IN_A_TABLE,
            )
            for number, line in told
        ],
        blank_lines=len(lines) - len(told),
        lines=len(lines),
    )


def pack(text: str) -> str:
    """The text for a hidden field; "" where it would be too long for one."""
    packed = base64.b64encode(zlib.compress(text.encode("utf-8"), 6)).decode()
    return packed if len(packed) <= MAX_CARRIED_CHARS else ""


def _unpack(packed: str) -> bytes:
    try:
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(base64.b64decode(packed, validate=True), MAX_BYTES)
        if not unpacking.eof:
            raise ValueError("it is cut, or longer than it may be")
    except (ValueError, binascii.Error, zlib.error):
        raise Problem(_("The text did not come back whole. Paste it again.")) from None
    return raw
