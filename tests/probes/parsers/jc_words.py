"""What jc reads, in our words: other names for the same thing, and nothing mended.

Each function takes a row of a jc parser and gives our fields that jc tells of, so that the two can
be held against one another field by field.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from probes.parsers.records import STATE_ALIASES

Row = dict[str, Any]
_PROTOCOLS = {"udpl": "udplite", "udpl6": "udplite6"}
_BSD_PROTOCOLS = {
    "tcp4": "tcp", "tcp46": "tcp6", "udp4": "udp", "udp46": "udp6", "icm4": "icmp",
    "icm6": "icmp6", "ip": "raw", "ip4": "raw", "ip6": "raw6",
}  # fmt: skip
"""Without the family, or with that of a socket of both."""
_UNIX_TYPES = {"str": "stream", "dgr": "dgram", "seq": "seqpacket"}
_NONE = (None, "", "-", "*")


def netstat_socket(row: Row) -> Row:
    """A row of kind network of ``jc --netstat``, or its counterpart of ``--ss``."""
    program = row.get("program_name")
    return {
        "protocol": _PROTOCOLS.get(row["proto"], row["proto"]),
        "recv_queue": row.get("recv_q"),
        "send_queue": row.get("send_q"),
        "local_ip": _bare(row.get("local_address")),
        "local_port": _port(row, "local_port"),
        "foreign_ip": _bare(row.get("foreign_address")),
        "foreign_port": _port(row, "foreign_port"),
        "state": state(row.get("state", row.get("tcp_state"))),
        "pid": row.get("pid"),
        "program": program,
    }


def ss_socket(row: Row) -> Row:
    """A row of an Internet family of ``jc --ss``."""
    family = "6" if "[" in f"{row.get('local_address')}{row.get('peer_address')}" else ""
    known = state(row.get("state"))
    told: Row = {
        "protocol": row["netid"] + family,
        "recv_queue": row.get("recv_q"),
        "send_queue": row.get("send_q"),
        "local_ip": _bare(row.get("local_address")),
        "local_port": _port(row, "local_port"),
        "foreign_ip": _bare(row.get("peer_address")),
        "foreign_port": _port(row, "peer_port"),
        "state": None if known == "CLOSE" and row["netid"] != "tcp" else known,
    }
    held = holders(row)
    told["pid"], told["program"] = min(held) if held else (None, None)
    return told


def holders(row: Row) -> list[tuple[int, str]]:
    """PID and program of each process in a row of ``jc --ss``."""
    about = row.get("process", row.get("opts"))
    known = about.get("process_id", {}) if isinstance(about, dict) else {}
    return [(int(pid), each["user"]) for pid, each in known.items()]


def bsd_socket(row: Row) -> Row:
    """A row of kind network of ``jc --netstat`` for a BSD or macOS."""
    told = netstat_socket(row | {"proto": _BSD_PROTOCOLS.get(row["proto"], row["proto"])})
    del told["pid"], told["program"]
    return told


def bsd_unix(row: Row) -> Row:
    """A row of kind socket of the same."""
    return {
        "type": row["type"],
        "address": row.get("address"),
        "path": row.get("addr"),
        "connected_to": None if row["conn"] == "0" else row["conn"],
        "recv_queue": row["recv_q"],
        "send_queue": row["send_q"],
    }


def windows_socket(row: Row) -> Row:
    """A row of ``jc --netstat`` for Windows."""
    family = "6" if row["local_address"].startswith("[") else ""
    foreign_port = _port(row, "foreign_port")
    return {
        "protocol": row["proto"].lower() + family,
        "local_ip": _bare(row["local_address"]),
        "local_port": _port(row, "local_port"),
        "foreign_ip": _bare(row["foreign_address"]),
        "foreign_port": None if foreign_port == "0" else foreign_port,
        "state": state(row.get("state")),
        "pid": row.get("pid"),
    }


def route_print(text: Row) -> list[Row]:
    """The routes in use of ``jc --route-print``."""
    routes = [
        {
            "destination": str(
                ipaddress.ip_network(f"{row['network_destination']}/{row['netmask']}")
            ),
            "gateway": None if row["gateway"] == "On-link" else row["gateway"],
            "source": row["interface"],
            "metric": row["metric"],
        }
        for row in text["ipv4_route_table"]["active_routes"]
    ]
    return routes + [
        {
            "destination": row["network_destination"],
            "gateway": None if row["gateway"] == "On-link" else row["gateway"],
            "interface": str(row["interface"]),
            "metric": row["metric"],
        }
        for row in text["ipv6_route_table"]["active_routes"]
    ]


def netstat_unix(row: Row) -> Row:
    """A row of kind socket of ``jc --netstat``."""
    return {
        "type": None if row["type"] is None else row["type"].lower(),
        "state": state(row.get("state")),
        "path": row.get("path"),
        "references": row.get("refcnt"),
        "flags": row.get("flags"),
        "inode": row.get("inode"),
        "pid": row.get("pid"),
        "program": row.get("program_name"),
    }


def ss_unix(row: Row) -> Row:
    """A row of ``jc --ss`` of a UNIX socket."""
    known = state(row.get("state"))
    return {
        "type": _UNIX_TYPES.get(row["netid"][2:], row["netid"][2:]),
        "state": {"CLOSE": None, "ESTABLISHED": "CONNECTED"}.get(known or "", known),
        "path": None if row.get("path") in _NONE else row["path"],
        "inode": row.get("local_port_num"),
        "peer_inode": row.get("peer_port_num") or None,
        "recv_queue": row.get("recv_q"),
        "send_queue": row.get("send_q"),
    }


def netstat_route(row: Row) -> Row:
    """A route of ``jc --netstat`` or ``jc --route``, of Linux or of a BSD."""
    destination = row["destination"]
    if row.get("genmask") not in (None, "-"):
        prefix = ipaddress.ip_network(f"0.0.0.0/{row['genmask']}").prefixlen
        destination = f"{'0.0.0.0' if destination == 'default' else destination}/{prefix}"
    gateway = row.get("gateway", row.get("next_hop"))
    interface = row.get("iface", row.get("netif", row.get("interface")))
    told: Row = {
        "destination": destination,
        "gateway": None if gateway in (*_NONE, "0.0.0.0", "::") else gateway,
        "flags": row.get("route_flags", row.get("flags")),
    }
    for ours, theirs in (
        ("metric", "metric"), ("references", "ref"), ("uses", "use"), ("mss", "mss"),
        ("window", "window"), ("irtt", "irtt"),
    ):  # fmt: skip
        if theirs in row:
            told[ours] = row[theirs]
    if interface is not None:  # jc knows no column called If
        told["interface"] = None if interface in _NONE else interface
    return told


def ip_route(row: Row) -> Row:
    """A route of ``jc --ip-route``."""
    told: Row = {
        "destination": row["ip"],
        "gateway": row.get("via"),
        "interface": row.get("dev"),
        "protocol": row.get("proto"),
        "source": row.get("src"),
        "metric": row.get("metric"),
    }
    return told


def netstat_interface(row: Row) -> Row:
    """An interface of ``jc --netstat``."""
    return {
        "name": row["iface"],
        "mtu": row.get("mtu"),
        "rx_packets": row.get("rx_ok"),
        "rx_errors": row.get("rx_err"),
        "rx_dropped": row.get("rx_drp"),
        "rx_overruns": row.get("rx_ovr"),
        "tx_packets": row.get("tx_ok"),
        "tx_errors": row.get("tx_err"),
        "tx_dropped": row.get("tx_drp"),
        "tx_overruns": row.get("tx_ovr"),
    }


def ifconfig(row: Row) -> Row:
    """An interface of ``jc --ifconfig``."""
    addresses = [
        f"{each['address']}/{ipaddress.ip_network('0.0.0.0/' + each['mask']).prefixlen}"
        for each in row.get("ipv4") or []
    ]
    addresses += [f"{each['address']}/{each['mask']}" for each in row.get("ipv6") or []]
    told: Row = {
        "name": row["name"],
        "mtu": row.get("mtu"),
        "hardware": row.get("mac_addr"),
        "addresses": set(addresses),
        "flags": set(" ".join(row.get("state") or ()).split()),
        "collisions": row.get("tx_collisions"),
    }
    for side in ("rx", "tx"):
        for what in ("bytes", "packets", "errors", "dropped", "overruns"):
            told[f"{side}_{what}"] = row.get(f"{side}_{what}")
    return told


def proc_socket(row: Row) -> Row:
    """A row of ``jc --proc-net-tcp``, which leaves states and queues as hexadecimal."""
    return {
        "local_ip": row["local_address"],
        "local_port": row["local_port"],
        "foreign_ip": row["remote_address"],
        "foreign_port": row["remote_port"] or None,
        "recv_queue": int(row["rx_queue"], 16),
        "send_queue": int(row["tx_queue"], 16),
    }


def proc_unix(row: Row) -> Row:
    """A row of ``jc --proc-net-unix``."""
    return {
        "type": {"0001": "stream", "0002": "dgram", "0005": "seqpacket"}[row["Type"]],
        "path": row.get("Path"),
        "references": int(row["RefCount"], 16),
        "inode": row["Inode"],
    }


def proc_route(row: Row) -> Row:
    """A row of ``jc --proc-net-route``, which leaves addresses in the bytes of the kernel."""
    network = ipaddress.ip_network(f"{_kernel(row['Destination'])}/{_kernel(row['Mask'])}")
    gateway = _kernel(row["Gateway"])
    return {
        "destination": str(network),
        "gateway": None if gateway == "0.0.0.0" else gateway,
        "interface": None if row["Iface"] == "*" else row["Iface"],
        "metric": row["Metric"],
        "references": row["RefCnt"],
        "uses": row["Use"],
    }


def proc_ipv6_route(row: Row) -> Row:
    """A row of ``jc --proc-net-ipv6-route``."""
    gateway = _hexadecimal(row["next_hop"])
    return {
        "destination": f"{_hexadecimal(row['dest_net'])}/{int(row['dest_prefix'], 16)}",
        "gateway": None if gateway == "::" else gateway,
        "interface": row["device"],
        "metric": int(row["metric"], 16),
    }


def proc_dev(row: Row) -> Row:
    """A row of ``jc --proc-net-dev``."""
    told: Row = {"name": row["interface"], "collisions": row["t_colls"]}
    for side in ("rx", "tx"):
        for ours, theirs in (
            ("bytes", "bytes"), ("packets", "packets"), ("errors", "errs"), ("dropped", "drop"),
            ("overruns", "fifo"),
        ):  # fmt: skip
            told[f"{side}_{ours}"] = row[f"{side[0]}_{theirs}"]
    return told


def proc_igmp(row: Row) -> list[Row]:
    """The groups in a row of ``jc --proc-net-igmp``."""
    return [
        {"interface": row["device"], "group": _kernel(each["address"]), "references": each["users"]}
        for each in row["groups"]
    ]


def proc_igmp6(row: Row) -> Row:
    """A row of ``jc --proc-net-igmp6``."""
    return {
        "interface": row["name"],
        "group": _hexadecimal(row["address"]),
        "references": row["users"],
    }


def state(word: str | None) -> str | None:
    """A state in our spelling; a word we do not know stays."""
    if not word:
        return None
    upper = word.upper().replace("-", "_")
    return STATE_ALIASES.get(upper, upper)


def _port(row: Row, name: str) -> int | str | None:
    number = row.get(f"{name}_num")
    text = row.get(name)
    return number if number is not None else None if text in _NONE else text


def _bare(address: str | None) -> str | None:
    return None if address is None else address.replace("[", "").replace("]", "")


def _kernel(text: str) -> str:
    """An address as the kernel prints its 32 bits on a little-endian machine."""
    return str(ipaddress.IPv4Address(bytes.fromhex(text)[::-1]))


def _hexadecimal(text: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(text)))
