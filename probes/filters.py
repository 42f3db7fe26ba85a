"""What may be asked of a list of sockets, and how strictly a question is read.

Place in the data's way: validated from a query string by pages and API (and later MCP), obeyed by
``probes.history.queries``. Knows pydantic and Django's ``gettext_lazy``; no models, no requests.

:func:`parse` reads a query string into any model derived from :class:`Query`. Whatever does not
fit (an unknown or repeated parameter, a digit that is no ASCII digit, a NUL) is a
:class:`FilterError` that names the parameter. Values stay text in their plainest form, so that a
validated model writes itself back into an address (:meth:`Query.parameters`); the functions below
read that text as numbers.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, Self, TypeVar

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from probes.parsers.records import STATE_ALIASES, TCP_STATES

PROTOCOLS: Final[dict[str, tuple[str, ...]]] = {
    "tcp": ("tcp", "tcp6"),
    "udp": ("udp", "udp6", "udplite", "udplite6"),
    "raw": ("raw", "raw6"),
    "sctp": ("sctp", "sctp6"),
    "tcp6": ("tcp6",),
    "udp6": ("udp6",),
    "udplite": ("udplite", "udplite6"),
    "udplite6": ("udplite6",),
    "raw6": ("raw6",),
    "sctp6": ("sctp6",),
}
"""What ``proto`` may say besides ``all``, and the protocols of rows it then means."""

DIRECTIONS: Final = ("in", "out", "listen", "local")
HIDEABLE: Final = ("loopback", "listen")
NO_PID: Final = "none"
"""``pid=none`` asks for the rows whose process is not known."""

MOST_RANGES: Final = 50
LONGEST_VALUE: Final = 2000
"""Characters of one parameter; a longer one is refused unread."""

EARLIEST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST: Final = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
SOME_TIME: Final = "2026-01-31T03:12:00Z"

Message = str | Promise


class Invalid(ValueError):
    """A value is wrong; ``message`` says why, in the reader's language when it is shown."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


class FilterError(Invalid):
    """The parameter called ``field`` is wrong."""

    def __init__(self, field: str, message: Message) -> None:
        super().__init__(message)
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class AddressRange(NamedTuple):
    """Addresses from ``low`` to ``high``, 16 packed bytes each, IPv4 as ``::ffff:a.b.c.d``."""

    low: bytes
    high: bytes
    zone: str | None = None
    """Only with this zone, the text after ``%``; None asks for none in particular."""
    without_ipv4: bool = False
    """An IPv6 network so wide that it covers IPv4's place among packed addresses; skip that."""


IPV4: Final = AddressRange(bytes(10) + b"\xff\xff" + bytes(4), bytes(10) + b"\xff" * 6)
"""Where IPv4 addresses are among packed ones."""


# --- readers of one value: they raise Invalid -----------------------------------------------------


def whole_number(text: Any, *, least: int, most: int) -> int:
    """An integer in ASCII digits, without sign, blank or underscore."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,19}", text):
        raise Invalid(_("Give a whole number in the digits 0 to 9."))
    number = int(text)
    if not least <= number <= most:
        raise Invalid(
            format_lazy(_("Give a number from {least} to {most}."), least=least, most=most)
        )
    return number


def port_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """``80,8000-8100`` as ((80, 80), (8000, 8100)); ports are 1 to 65535."""
    parts = _listed(text)
    if len(parts) > MOST_RANGES:
        raise Invalid(format_lazy(_("Give at most {most} ports or ranges."), most=MOST_RANGES))
    return tuple(_port_range(part) for part in parts)


def single_ports(text: str) -> tuple[int, ...]:
    """``22, 80`` as (22, 80): each once, no ranges, at most MOST_RANGES of them."""
    parts = _listed(text)
    if len(parts) > MOST_RANGES:
        raise Invalid(format_lazy(_("Give at most {most} ports."), most=MOST_RANGES))
    return tuple(dict.fromkeys(whole_number(part, least=1, most=65535) for part in parts))


def _listed(text: str) -> list[str]:
    """What stands between commas, which blanks may follow."""
    return re.split(", *", text)


def _port_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = whole_number(first, least=1, most=65535)
    high = whole_number(last, least=1, most=65535) if dash else low
    if low > high:
        raise Invalid(_("A range of ports goes from the lower to the higher one."))
    return low, high


def address_range(text: str) -> AddressRange:
    """An address (``10.0.0.1``, ``fe80::1%eth0``) or network (``10.0.0.0/8``) as packed bytes.

    Bits of a network behind its prefix are ignored. ``::ffff:10.0.0.0/104`` is ``10.0.0.0/8``.
    """
    plain, percent, zone = text.partition("%")
    try:
        if percent and (not zone or "/" in text):
            raise ValueError("a zone belongs to one address")
        if "." in plain.partition("/")[2]:
            raise ValueError("a network is given by the length of its prefix")
        network = ipaddress.ip_network(plain, strict=False)
    except ValueError:
        raise Invalid(_("Give an address such as 10.0.0.1 or a network such as 10.0.0.0/8.")) from (
            None
        )
    low, high = packed(network.network_address), packed(network.broadcast_address)
    return AddressRange(low, high, zone or None, low < IPV4.low <= high)


def packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """16 bytes of an address, IPv4 as ``::ffff:a.b.c.d``, as they are stored."""
    return address.packed if address.version == 6 else IPV4.low[:12] + address.packed


def moment(text: Any) -> dt.datetime:
    """An ISO 8601 time such as ``2026-01-31T03:12:00+08:00``, as UTC; without a zone it is UTC.

    A blank where the zone's plus sign should be is read as the plus sign it was before the
    address was decoded. Years are 1970 to 2199.
    """
    match = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Invalid(_("Give a time such as 2026-01-31T03:12:00Z."))
    day, clock, fraction, zone = match.groups()
    zone = (zone or "Z").replace(" ", "+").replace("Z", "+00:00")
    try:
        read = dt.datetime.fromisoformat(
            f"{day}T{clock or '00:00'}{'' if fraction is None else fraction.ljust(7, '0')}{zone}"
        ).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Invalid(_("There is no such time.")) from None
    if not EARLIEST <= read < LATEST:
        raise Invalid(_("Give a time in the years 1970 to 2199."))
    return read


_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)((?<=:[0-9]{2}:[0-9]{2})\.[0-9]{1,6})?"
    r"(Z|[+ -][0-9]{2}:?[0-9]{2})?)?"
)


def state_names(text: str) -> tuple[str, ...]:
    """``listening,time-wait`` as ("LISTEN", "TIME_WAIT"): any case, any spelling in use."""
    names: dict[str, None] = {}
    for part in _listed(text):
        word = part.replace("-", "_").replace(" ", "_")
        name = STATE_ALIASES.get(word.upper(), word.upper()) if word.isascii() else ""
        if name not in TCP_STATES:
            raise Invalid(_one_of(TCP_STATES))
        names[name] = None
    return tuple(names)


def _one_of(words: Iterable[str]) -> Message:
    return format_lazy(_("Give one of: {words}."), words=", ".join(words))


def _protocol(text: str) -> str:
    name = text.lower() if text.isascii() else ""
    if name != "all" and name not in PROTOCOLS:
        raise Invalid(_one_of(("all", *PROTOCOLS)))
    return name


def _states(text: str) -> str:
    return ",".join(state_names(text))


def _ports(text: str) -> str:
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in port_ranges(text))


def _address(text: str) -> str:
    address_range(text)
    return text


def _pid(text: str) -> str:
    return NO_PID if text == NO_PID else str(whole_number(text, least=1, most=2**32 - 1))


def _hidden(text: str) -> str:
    words = dict.fromkeys(_listed(text))
    if not words.keys() <= set(HIDEABLE):
        raise Invalid(_one_of(HIDEABLE))
    return ",".join(words)


def number(least: int, most: int) -> BeforeValidator:
    """Marks an int that :func:`whole_number` reads, and says its bounds where it is described."""
    return BeforeValidator(
        lambda text: whole_number(text, least=least, most=most),
        json_schema_input_type=Annotated[int, Field(ge=least, le=most)],
    )


def text_like(**schema: Any) -> WithJsonSchema:
    """How text that a validator reads is described. A ``format`` of its own names what no pattern
    can say: ``tests/probes/api/test_schemathesis.py`` makes such text, and it is accepted."""
    return WithJsonSchema({"type": "string", **schema}, mode="validation")


def orders(names: Iterable[str], *, both_ways: bool = True) -> WithJsonSchema:
    """How a ``sort`` is described: one of these names, with ``-`` before it for the reverse."""
    words = [way + name for name in names for way in (("", "-") if both_ways else ("",))]
    return text_like(enum=words)


def one_or_more(words: Iterable[str]) -> WithJsonSchema:
    """How a list of these words is described, comma separated."""
    return text_like(pattern=_several(words))


def _several(words: Iterable[str]) -> str:
    one = "|".join(words)
    return f"^(?:{one})(?:,(?:{one}))*$"


# --- models ---------------------------------------------------------------------------------------

Identifier = Annotated[int, number(1, 2**63 - 1)]
"""The id of a row."""
PortNumber = Annotated[int, number(1, 65535)]
Limit = Annotated[int, number(1, 1000)]
"""Rows of one page of a list."""
Seconds = Annotated[int, number(1, 366 * 86_400)]
Moment = Annotated[
    dt.datetime, BeforeValidator(moment), text_like(format="date-time", examples=[SOME_TIME])
]
Proto = Annotated[str, AfterValidator(_protocol), text_like(enum=["all", *PROTOCOLS])]
States = Annotated[
    str,
    AfterValidator(_states),
    text_like(pattern=_several(TCP_STATES), examples=["ESTABLISHED,TIME_WAIT"]),
]
Ports = Annotated[
    str, AfterValidator(_ports), text_like(format="port-ranges", examples=["80,8000-8100"])
]
Addresses = Annotated[
    str, AfterValidator(_address), text_like(format="address-or-network", examples=["10.0.0.0/8"])
]
Cursor = Annotated[str, Field(max_length=1000), text_like(format="cursor", maxLength=1000)]


class Query(BaseModel):
    """Parameters of one address. Derive from it and name them; everything else is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def parameters(self) -> dict[str, str]:
        """What was asked, as the parameters that ask it again; what was not asked is absent."""
        return {
            name: value.isoformat() if isinstance(value, dt.datetime) else str(value)
            for name, value in self.model_dump(exclude_unset=True, exclude_none=True).items()
        }


class SocketFilter(Query):
    """The filters every list of sockets has; what is None filters nothing."""

    proto: Proto | None = None
    """``all``, a kind (``tcp`` means tcp and tcp6) or exactly ``tcp6``, ``udp6``, ..."""
    state: States | None = None
    """One or more states, comma separated, any case and spelling in use. Rows of UDP have none
    worth asking for."""
    local_ip: Addresses | None = None
    """An address or a network."""
    local_port: Ports | None = None
    """Ports and ranges, comma separated."""
    remote_ip: Addresses | None = None
    """An address or a network."""
    remote_port: Ports | None = None
    """Ports and ranges, comma separated."""
    program: Annotated[str, Field(max_length=200)] | None = None
    """Part of the program's name, whatever its case (of ASCII letters at least)."""
    pid: Annotated[str, AfterValidator(_pid), text_like(format="pid", examples=["811"])] | None = (
        None
    )
    """A process id, or ``none`` for rows whose process is not known."""
    direction: Literal["in", "out", "listen", "local"] | None = None
    """Which way a connection was made."""
    family: Literal["4", "6"] | None = None
    """Of the local address as it is shown: a tcp6 socket that speaks IPv4, which the kernel shows
    as ``::ffff:a.b.c.d``, counts as 4. A listener on ``::`` counts as 6."""
    hide: Annotated[str, AfterValidator(_hidden), text_like(pattern=_several(HIDEABLE))] | None = (
        None
    )
    """``loopback``: rows with a loopback address at either end; ``listen``: listeners."""

    @model_validator(mode="after")
    def _no_state_without_connections(self) -> Self:
        if self.state and self.proto and self.proto.startswith("udp"):
            raise FilterError("state", _("UDP has no states. Leave out state, or ask for tcp."))
        return self

    def filters(self) -> SocketFilter:
        """The filters alone, of a model that adds parameters of its own."""
        names = SocketFilter.model_fields.keys() & self.model_fields_set
        return SocketFilter.model_construct(
            _fields_set=set(names), **{name: getattr(self, name) for name in names}
        )


NOTHING_FILTERED: Final = SocketFilter()


class QueryString(Protocol):
    """What :func:`parse` needs of ``request.GET``."""

    def lists(self) -> Iterable[tuple[str, list[Any]]]:
        """Each name with all of its values."""
        ...


Model = TypeVar("Model", bound=Query)


def parse(
    model: type[Model],
    query: QueryString,
    *,
    blank_is_absent: bool = True,
    ignore: Iterable[str] = (),
) -> Model:
    """Read a query string into ``model``; raises :class:`FilterError`.

    A form submits the fields that were left empty, so a page takes an empty parameter as absent;
    the API refuses it (``blank_is_absent=False``), since there it is a script's mistake.
    Parameters named in ``ignore`` are somebody else's.
    """
    given_once: dict[str, str] = {}
    others = set(ignore)
    for name, given in query.lists():
        if name in others:
            continue
        if name not in model.model_fields:
            raise FilterError(visible(name), _("There is no such parameter."))
        if len(given) != 1:
            raise FilterError(name, _("Give this once."))
        given_once[name] = str(given[0])
    return _model(model, given_once, blank_is_absent=blank_is_absent)


def read(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Read a JSON object of text and whole numbers into ``model`` as :func:`parse` reads a query
    string that says the same; null is absent. Raises :class:`FilterError`."""
    texts: dict[str, str] = {}
    for name, value in values.items():
        if name not in model.model_fields:
            raise FilterError(visible(name), _("There is no such parameter."))
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise FilterError(name, _("Give text or a whole number."))
        if isinstance(value, int) and abs(value) >= 2**64:  # Python writes no longer ones as text
            raise FilterError(name, _("Give a whole number in the digits 0 to 9."))
        texts[name] = str(value)
    return _model(model, texts, blank_is_absent=False)


def _model(model: type[Model], values: Mapping[str, str], *, blank_is_absent: bool) -> Model:
    kept: dict[str, str] = {}
    for name, value in values.items():
        if not value.strip():
            if blank_is_absent:
                continue
            raise FilterError(name, _("This is empty. Leave it out, or give a value."))
        if len(value) > LONGEST_VALUE:
            raise FilterError(name, _at_most(LONGEST_VALUE))
        if unstorable(value):
            raise FilterError(name, _("This holds a character that no database keeps."))
        kept[name] = value
    try:
        return model.model_validate(kept)
    except ValidationError as error:
        raise first_problem(error) from None


def unstorable(text: str) -> bool:
    """Whether ``text`` holds a NUL, which PostgreSQL refuses, or half a surrogate pair."""
    return "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)


def visible(name: str) -> str:
    """A name somebody else chose, fit to be said in an error: printable, at most 100 characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:100])


def _at_most(characters: int) -> Message:
    return format_lazy(_("Give at most {most} characters."), most=characters)


_PROBLEMS: Final[dict[str, Callable[[dict[str, Any]], Message]]] = {
    "missing": lambda _context: _("This is required."),
    "extra_forbidden": lambda _context: _("There is no such parameter."),
    "literal_error": lambda context: format_lazy(
        _("Give one of: {words}."), words=str(context["expected"]).replace("'", "")
    ),
    "string_too_long": lambda context: _at_most(context["max_length"]),
    "string_too_short": lambda _context: _("This is empty. Leave it out, or give a value."),
    "too_long": lambda context: format_lazy(
        _("Give at most {most} of them."), most=context["max_length"]
    ),
    "string_type": lambda _context: _("Give text."),
    "int_type": lambda _context: _("Give a whole number."),
    "float_type": lambda _context: _("Give a number."),
    "finite_number": lambda _context: _("Give a number."),
    "bool_type": lambda _context: _("Give true or false."),
    "list_type": lambda _context: _("Give a list."),
    "model_type": lambda _context: _("Give an object."),
    "greater_than_equal": lambda context: format_lazy(
        _("Give a number of at least {least}."), least=context["ge"]
    ),
    "less_than_equal": lambda context: format_lazy(
        _("Give a number of at most {most}."), most=context["le"]
    ),
}


def first_problem(error: ValidationError) -> FilterError:
    """The first thing pydantic found wrong, in words that can be translated."""
    return problems(error)[0]


def problems(error: ValidationError) -> list[FilterError]:
    """Everything pydantic found wrong, in words that can be translated."""
    return [_problem(found) for found in error.errors(include_url=False, include_input=False)]


def _problem(found: Any) -> FilterError:
    where = ".".join(str(part) for part in found["loc"])
    raised = found.get("ctx", {}).get("error")
    if isinstance(raised, FilterError):
        return raised
    if isinstance(raised, Invalid):
        return FilterError(visible(where), raised.message)
    problem = _PROBLEMS.get(found["type"])
    message = problem(found.get("ctx", {})) if problem else _("This does not fit.")
    return FilterError(visible(where), message)
