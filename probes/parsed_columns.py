"""What the tables of a parsed text are made of: names, columns, and how a row becomes cells.

Place in the data's way: below ``probes.parsed_tables``, which is its only caller. Pure. The
records are those of ``probes.parsers.document``; labels and titles are English msgids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from probes.observation import gettext_noop
from probes.parsers import document
from probes.parsers.records import Parsed

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet; ``label`` is an English msgid."""

    label: str
    number: bool = False
    address: bool = False
    """Its cells are addresses, alone or with a port."""
    always: bool = False
    """Shown even where all of its cells are empty."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the records of one table are found, named and shown."""

    title: str
    names: tuple[str, ...]
    """Columns of the CSV: the fields of a record, in order."""
    count: Callable[[Parsed], int]
    records: Callable[[Parsed], Iterator[Record]]
    columns: tuple[tuple[Column, Callable[[Record], Any]], ...]


def _endpoint(ip: str | None, port: int | None) -> str:
    if not ip:
        return ""
    address = f"[{ip}]" if ":" in ip else ip
    return f"{address}:{'*' if port is None else port}"


def _timer(record: Record) -> str:
    timer = record["timer"]
    if timer is None:
        return ""
    numbers = (timer["expires_s"], timer["retransmits"], timer["probes"])
    return " ".join([timer["kind"], "/".join("?" if n is None else f"{n:g}" for n in numbers)])


def _other_holders(record: Record) -> str:
    """Those beside the one in the row's own columns."""
    return ", ".join(
        f"{'?' if holder['pid'] is None else holder['pid']}/{holder['program'] or '?'}"
        for holder in record["holders"][1:]
    )


def _more(record: Record) -> str:
    return " ".join(f"{name}:{value}" if value else name for name, value in record["more"].items())


def _marks(record: Record) -> str:
    return ", ".join(mark.replace("_", " ") for mark in record["marks"])


def _gateway(record: Record) -> Any:
    return record["gateway"] or record["link"]


def _unusual_kind(record: Record) -> str:
    kind: str = record["kind"]
    return "" if kind == "unicast" else kind


def _of(name: str) -> Callable[[Record], Any]:
    return lambda record: record[name]


def _ends(ip: str, port: str) -> Callable[[Record], str]:
    return lambda record: _endpoint(record[ip], record[port])


def _plain(name: str) -> Callable[[Parsed], Iterator[Record]]:
    """Records of a table that is a list of named tuples."""

    def records(parsed: Parsed) -> Iterator[Record]:
        for row in getattr(parsed.tables, name):
            yield from document.rows([row])

    return records


def _sockets(parsed: Parsed) -> Iterator[Record]:
    details = parsed.tables.details
    for place, row in enumerate(parsed.tables.sockets):
        yield document.socket(row, details.get(place))


def _protocols(parsed: Parsed) -> Iterator[Record]:
    for protocol, counters in parsed.tables.protocols.items():
        for counter, value in counters.items():
            yield {"protocol": protocol, "counter": counter, "value": value}


def _processes(parsed: Parsed) -> Iterator[Record]:
    for pid, program in parsed.tables.processes.items():
        yield {"pid": pid, "program": program}


def _length(name: str) -> Callable[[Parsed], int]:
    return lambda parsed: len(getattr(parsed.tables, name))


_QUEUES = (
    (Column(gettext_noop("Recv-Q"), number=True), _of("recv_queue")),
    (Column(gettext_noop("Send-Q"), number=True), _of("send_queue")),
)
_HOLDER = (
    (Column(gettext_noop("PID"), number=True), _of("pid")),
    (Column(gettext_noop("Program")), _of("program")),
)
_FAMILY = (Column(gettext_noop("Family")), _of("family"))
_STATE = (Column(gettext_noop("State")), _of("state"))
_INODE = (Column(gettext_noop("Inode"), number=True), _of("inode"))
_MARKS = (Column(gettext_noop("Marks")), _marks)

SHAPES: Final[dict[str, Shape]] = {
    "sockets": Shape(
        gettext_noop("Sockets"),
        (
            *("protocol", "recv_queue", "send_queue", "local_ip", "local_port", "foreign_ip"),
            *("foreign_port", "state", "pid", "program", "marks", "user", "inode", "timer"),
            *("holders", "more"),
        ),
        _length("sockets"),
        _sockets,
        (
            (Column(gettext_noop("Proto"), always=True), _of("protocol")),
            *_QUEUES,
            (
                Column(gettext_noop("Local"), address=True, always=True),
                _ends("local_ip", "local_port"),
            ),
            (
                Column(gettext_noop("Remote"), address=True, always=True),
                _ends("foreign_ip", "foreign_port"),
            ),
            _STATE,
            *_HOLDER,
            (Column(gettext_noop("Other holders")), _other_holders),
            (Column(gettext_noop("User")), _of("user")),
            _INODE,
            (Column(gettext_noop("Timer")), _timer),
            _MARKS,
            (Column(gettext_noop("More")), _more),
        ),
    ),
    "unix": Shape(
        gettext_noop("UNIX sockets"),
        (
            *("type", "state", "path", "references", "flags", "inode", "peer_inode"),
            *("recv_queue", "send_queue", "pid", "program", "address", "connected_to"),
        ),
        _length("unix"),
        _plain("unix"),
        (
            (Column(gettext_noop("Type"), always=True), _of("type")),
            _STATE,
            (Column(gettext_noop("Flags")), _of("flags")),
            (Column(gettext_noop("References"), number=True), _of("references")),
            *_QUEUES,
            _INODE,
            (Column(gettext_noop("Peer inode"), number=True), _of("peer_inode")),
            *_HOLDER,
            (Column(gettext_noop("Address"), address=True), _of("address")),
            (Column(gettext_noop("Connected to"), address=True), _of("connected_to")),
            (Column(gettext_noop("Path"), always=True), _of("path")),
        ),
    ),
    "routes": Shape(
        gettext_noop("Routes"),
        (
            *("family", "destination", "gateway", "interface", "flags", "metric", "source", "kind"),
            *("link", "table", "protocol", "references", "uses", "mtu", "mss", "window", "irtt"),
            *("expires_s", "persistent", "marks"),
        ),
        _length("routes"),
        _plain("routes"),
        (
            _FAMILY,
            (Column(gettext_noop("Destination"), address=True, always=True), _of("destination")),
            (Column(gettext_noop("Gateway"), address=True, always=True), _gateway),
            (Column(gettext_noop("Interface"), always=True), _of("interface")),
            (Column(gettext_noop("Flags")), _of("flags")),
            (Column(gettext_noop("Metric"), number=True), _of("metric")),
            (Column(gettext_noop("Kind")), _unusual_kind),
            (Column(gettext_noop("Source"), address=True), _of("source")),
            (Column(gettext_noop("Table")), _of("table")),
            (Column(gettext_noop("Made by")), _of("protocol")),
            (Column(gettext_noop("References"), number=True), _of("references")),
            (Column(gettext_noop("Uses"), number=True), _of("uses")),
            (Column(gettext_noop("MTU"), number=True), _of("mtu")),
            (Column(gettext_noop("MSS"), number=True), _of("mss")),
            (Column(gettext_noop("Window"), number=True), _of("window")),
            (Column(gettext_noop("irtt"), number=True), _of("irtt")),
            (Column(gettext_noop("Expires (s)"), number=True), _of("expires_s")),
            (Column(gettext_noop("Persistent")), _of("persistent")),
            _MARKS,
        ),
    ),
    "interfaces": Shape(
        gettext_noop("Interfaces"),
        (
            *("name", "mtu", "hardware", "addresses", "flags", "rx_bytes", "rx_packets"),
            *("rx_errors", "rx_dropped", "rx_overruns", "tx_bytes", "tx_packets", "tx_errors"),
            *("tx_dropped", "tx_overruns", "collisions"),
        ),
        _length("interfaces"),
        _plain("interfaces"),
        (
            (Column(gettext_noop("Name"), always=True), _of("name")),
            (Column(gettext_noop("MTU"), number=True), _of("mtu")),
            (Column(gettext_noop("RX bytes"), number=True), _of("rx_bytes")),
            (Column(gettext_noop("RX packets"), number=True), _of("rx_packets")),
            (Column(gettext_noop("RX errors"), number=True), _of("rx_errors")),
            (Column(gettext_noop("RX dropped"), number=True), _of("rx_dropped")),
            (Column(gettext_noop("RX overruns"), number=True), _of("rx_overruns")),
            (Column(gettext_noop("TX bytes"), number=True), _of("tx_bytes")),
            (Column(gettext_noop("TX packets"), number=True), _of("tx_packets")),
            (Column(gettext_noop("TX errors"), number=True), _of("tx_errors")),
            (Column(gettext_noop("TX dropped"), number=True), _of("tx_dropped")),
            (Column(gettext_noop("TX overruns"), number=True), _of("tx_overruns")),
            (Column(gettext_noop("Collisions"), number=True), _of("collisions")),
            (Column(gettext_noop("MAC address"), address=True), _of("hardware")),
            (
                Column(gettext_noop("Addresses"), address=True),
                lambda row: " ".join(row["addresses"]),
            ),
            (Column(gettext_noop("Flags")), lambda row: " ".join(row["flags"])),
        ),
    ),
    "protocols": Shape(
        gettext_noop("Protocol counters"),
        ("protocol", "counter", "value"),
        lambda parsed: sum(map(len, parsed.tables.protocols.values())),
        _protocols,
        (
            (Column(gettext_noop("Protocol"), always=True), _of("protocol")),
            (Column(gettext_noop("Counter"), always=True), _of("counter")),
            (Column(gettext_noop("Value"), number=True, always=True), _of("value")),
        ),
    ),
    "multicast": Shape(
        gettext_noop("Multicast groups"),
        ("interface", "family", "group", "references", "source"),
        _length("multicast"),
        _plain("multicast"),
        (
            (Column(gettext_noop("Interface"), always=True), _of("interface")),
            _FAMILY,
            (Column(gettext_noop("Group"), address=True, always=True), _of("group")),
            (Column(gettext_noop("References"), number=True), _of("references")),
            (Column(gettext_noop("Source"), address=True), _of("source")),
        ),
    ),
    "masquerade": Shape(
        gettext_noop("Address translations"),
        (
            *("protocol", "state", "timeout_s", "source_ip", "source_port", "destination_ip"),
            *("destination_port", "reply_source_ip", "reply_source_port", "reply_destination_ip"),
            *("reply_destination_port", "kind", "marks"),
        ),
        _length("masquerade"),
        _plain("masquerade"),
        (
            (Column(gettext_noop("Proto"), always=True), _of("protocol")),
            _STATE,
            (Column(gettext_noop("Ends in (s)"), number=True), _of("timeout_s")),
            (
                Column(gettext_noop("Source"), address=True, always=True),
                _ends("source_ip", "source_port"),
            ),
            (
                Column(gettext_noop("Destination"), address=True, always=True),
                _ends("destination_ip", "destination_port"),
            ),
            (
                Column(gettext_noop("Answers come from"), address=True),
                _ends("reply_source_ip", "reply_source_port"),
            ),
            (
                Column(gettext_noop("Answers go to"), address=True),
                _ends("reply_destination_ip", "reply_destination_port"),
            ),
            (Column(gettext_noop("Kind")), _of("kind")),
            _MARKS,
        ),
    ),
    "processes": Shape(
        gettext_noop("Processes"),
        ("pid", "program"),
        _length("processes"),
        _processes,
        tuple((replace(column, always=True), cell) for column, cell in _HOLDER),
    ),
}
