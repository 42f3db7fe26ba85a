"""Interfaces of net-tools and busybox, a line or a block each. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Interface

SHORT = "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
ROW = "eth0             1400     5120      1      2 3          4871      4      5      6 BMRU"
NEW = """\
eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1400
        inet 198.51.100.5  netmask 255.255.255.0  broadcast 198.51.100.255
        inet6 fe80::5eff:fe10:5  prefixlen 64  scopeid 0x20<link>
        ether 02:00:5E:10:00:05  txqueuelen 1000  (Ethernet)
        RX packets 12  bytes 1530 (1.4 KiB)
        RX errors 1  dropped 2  overruns 3  frame 9
        TX packets 10  bytes 900 (900.0 B)
        TX errors 4  dropped 5 overruns 6  carrier 9  collisions 7
        device interrupt 20  memory 0xc0600000-c0620000
"""
OLD = """\
eth0      Link encap:Ethernet  HWaddr 02:00:5E:10:00:05
          inet addr:198.51.100.5  Bcast:198.51.100.255  Mask:255.255.255.0
          inet6 addr: fe80::5eff:fe10:5/64 Scope:Link
          UP BROADCAST RUNNING MULTICAST  MTU:1400  Metric:1
          RX packets:12 errors:1 dropped:2 overruns:3 frame:9
          TX packets:10 errors:4 dropped:5 overruns:6 carrier:9
          collisions:7 txqueuelen:1000
          RX bytes:1530 (1.4 KiB)  TX bytes:900 (900.0 B)
          Interrupt:20 Memory:c0600000-c0620000
"""
BLOCK = Interface(
    name="eth0",
    mtu=1400,
    hardware="02:00:5e:10:00:05",
    addresses=("198.51.100.5/24", "fe80::5eff:fe10:5/64"),
    flags=("UP", "BROADCAST", "RUNNING", "MULTICAST"),
    rx_bytes=1530,
    rx_packets=12,
    rx_errors=1,
    rx_dropped=2,
    rx_overruns=3,
    tx_bytes=900,
    tx_packets=10,
    tx_errors=4,
    tx_dropped=5,
    tx_overruns=6,
    collisions=7,
)


def interfaces(text: str) -> list[Interface]:
    parsed = parsers.parse(text)
    assert not parsed.rejected, parsed.rejected
    assert parsed.found == ("interfaces",)
    return parsed.tables.interfaces


def rejected(text: str) -> list[int]:
    return [line for line, _, _ in parsers.parse(text).rejected]


class TestLines:
    KNOWN = Interface(
        name="eth0",
        mtu=1400,
        flags=("UP", "BROADCAST", "RUNNING", "MULTICAST"),
        rx_packets=5120,
        rx_errors=1,
        rx_dropped=2,
        rx_overruns=3,
        tx_packets=4871,
        tx_errors=4,
        tx_dropped=5,
        tx_overruns=6,
    )

    def test_all_columns_with_and_without_a_heading(self) -> None:
        assert interfaces(SHORT + ROW) == [self.KNOWN]
        assert interfaces("Kernel Interface table\n" + SHORT + ROW) == [self.KNOWN]
        assert interfaces(ROW) == [self.KNOWN]

    def test_old_tools_have_a_metric_after_the_mtu(self) -> None:
        old = SHORT.replace("MTU    RX", "MTU Met    RX")
        assert interfaces(old + ROW.replace("1400 ", "1400   0 ", 1)) == [self.KNOWN]
        assert interfaces(ROW.replace("1400 ", "1400   0 ", 1)) == [self.KNOWN]

    def test_an_alias_has_no_counters(self) -> None:
        (known,) = interfaces(SHORT + "eth0:1  1400     - no statistics available -      BMRU")
        assert known == Interface(
            name="eth0:1", mtu=1400, flags=("UP", "BROADCAST", "RUNNING", "MULTICAST")
        )

    @pytest.mark.parametrize(
        ("letters", "flags"),
        [
            ("LRU", ("UP", "LOOPBACK", "RUNNING")),
            ("MOpRU", ("UP", "POINTOPOINT", "RUNNING", "NOARP", "MULTICAST")),
            ("ABDMPNsmdU", (
                "UP", "BROADCAST", "DEBUG", "NOTRAILERS", "PROMISC", "ALLMULTI", "SLAVE", "MASTER",
                "MULTICAST", "DYNAMIC",
            )),
            ("[NO FLAGS]", ()),
        ],
    )  # fmt: skip
    def test_letters_are_flags(self, letters: str, flags: tuple[str, ...]) -> None:
        (known,) = interfaces(SHORT + ROW.replace("BMRU", letters))
        assert known.flags == flags

    @pytest.mark.parametrize(
        "line",
        [
            ROW.replace("BMRU", "BMXU"),
            ROW.replace("5120", "many"),
            ROW.replace("5120", str(2**64)),
            ROW.replace("1400", str(2**40)),
            "eth0 1400 1 2 3 BMRU",
        ],
    )
    def test_what_is_no_row_is_rejected(self, line: str) -> None:
        assert rejected(SHORT + line) == [2]


class TestBlocks:
    @pytest.mark.parametrize("text", [NEW, OLD])
    def test_both_layouts_give_the_same(self, text: str) -> None:
        assert interfaces(text) == [BLOCK]
        assert interfaces("Kernel Interface table\n" + text) == [BLOCK]

    @pytest.mark.parametrize("text", [NEW, OLD])
    def test_blocks_follow_each_other_with_or_without_a_blank_line(self, text: str) -> None:
        for between in ("", "\n"):
            known = interfaces(text + between + text.replace("eth0", "eth1"))
            assert [interface.name for interface in known] == ["eth0", "eth1"]
            assert known[1] == BLOCK._replace(name="eth1")

    def test_a_loopback_has_no_hardware_address(self) -> None:
        (new,) = interfaces(
            "lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536\n"
            "        inet 127.0.0.1  netmask 255.0.0.0\n"
            "        loop  txqueuelen 1000  (Local Loopback)\n"
        )
        (old,) = interfaces(
            "lo        Link encap:Local Loopback  \n"
            "          inet addr:127.0.0.1  Mask:255.0.0.0\n"
            "          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n"
        )
        assert (
            new
            == old
            == Interface(
                name="lo",
                mtu=65536,
                addresses=("127.0.0.1/8",),
                flags=("UP", "LOOPBACK", "RUNNING"),
            )
        )

    def test_a_tunnel_has_the_prefix_of_its_mask(self) -> None:
        (known,) = interfaces(
            "tun0: flags=4305<UP,POINTOPOINT,RUNNING,NOARP,MULTICAST>  mtu 1500\n"
            "        inet 10.8.0.1  netmask 255.255.255.255  destination 10.8.0.2\n"
            "        unspec 00-00-00-00-00-00-00-00-00-00-00-00-00-00-00-00  txqueuelen 500"
            "  (UNSPEC)\n"
        )
        assert known.addresses == ("10.8.0.1/32",)
        assert known.hardware is None

    def test_an_interface_without_flags(self) -> None:
        (old,) = interfaces(
            "x0        Link encap:UNSPEC  \n          [NO FLAGS]  MTU:0  Metric:1\n"
        )
        (new,) = interfaces("x0: flags=0<>  mtu 0\n")
        assert old == new == Interface(name="x0", mtu=0)

    @pytest.mark.parametrize(
        "line",
        [
            "        inet 198.51.100.500  netmask 255.255.255.0",
            "        inet 198.51.100.5  netmask 255.0.255.0",
            "        inet6 xyz  prefixlen 64  scopeid 0x20<link>",
            "        inet",
            "        RX packets many",
            f"        RX packets {2**64}  bytes 1",
            "          up broadcast  MTU:1400  Metric:1",
            "        something else",
            "no block",
        ],
    )
    def test_a_line_that_cannot_be_read_is_rejected_and_the_block_goes_on(self, line: str) -> None:
        lines = NEW.split("\n")
        text = "\n".join([*lines[:4], line, *lines[4:]])
        parsed = parsers.parse(text)
        assert [odd.line for odd in parsed.rejected] == [5]
        assert parsed.tables.interfaces == [BLOCK]

    def test_a_line_of_a_block_alone_is_no_table(self) -> None:
        with pytest.raises(parsers.ParseError):
            parsers.parse("        RX packets 12  bytes 1530 (1.4 KiB)\n")


def test_hostile_lines_take_no_time_that_grows_with_their_square() -> None:
    pieces = [" ", "(", "a ", "A ", "RX ", "RX bytes:1", "0 ", ":", "inet ", "packets:1 ", "MTU:"]
    for head in ("        ", "        RX ", "        inet ", "        ether ", "x Link encap:"):
        text = NEW + "\n".join(head + piece * (60_000 // len(piece)) for piece in pieces)
        assert parsers.parse(text).tables.interfaces[0].name == "eth0"
