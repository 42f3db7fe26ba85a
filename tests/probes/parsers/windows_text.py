"""Tables as Windows prints them, in the words of several languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Language(NamedTuple):
    """What ``netstat -ano`` says above its rows, and the states where they are translated."""

    title: str
    columns: str
    states: dict[str, str]
    pages: tuple[str, ...]
    """What its text may arrive in."""


UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")

LANGUAGES = {
    "English": Language(
        "Active Connections",
        "  Proto  Local Address          Foreign Address        State           PID",
        {},
        ("ascii", *UNICODE),
    ),
    "Simplified Chinese": Language(
        "活动连接",
        "  协议  本地地址          外部地址        状态           PID",
        {},
        ("cp936", "gb18030", *UNICODE),
    ),
    "Traditional Chinese": Language(
        "使用中連線",
        "  協定   本機位址               外部位址               狀態            PID",
        {},
        ("cp950", *UNICODE),
    ),
    "Japanese": Language(
        "アクティブな接続",
        "  プロトコル  ローカル アドレス      外部アドレス           状態            PID",
        {},
        ("cp932", *UNICODE),
    ),
    "Korean": Language(
        "활성 연결",
        "  프로토콜  로컬 주소           외부 주소              상태            PID",
        {},
        ("cp949", *UNICODE),
    ),
    "German": Language(
        "Aktive Verbindungen",
        "  Proto  Lokale Adresse         Remoteadresse          Status           PID",
        {
            "LISTENING": "ABHÖREN",
            "ESTABLISHED": "HERGESTELLT",
            "TIME_WAIT": "WARTEND",
            "CLOSE_WAIT": "SCHLIESSEN_WARTEN",
            "SYN_SENT": "SYN_GESENDET",
            "FIN_WAIT_1": "FIN_WARTEN_1",
            "FIN_WAIT_2": "FIN_WARTEN_2",
        },
        ("cp850", "cp437", "cp1252", *UNICODE),
    ),
    "French": Language(
        "Connexions actives",
        "  Proto  Adresse locale         Adresse distante       État            PID",
        {},
        ("cp850", "cp437", "cp1252", *UNICODE),
    ),
    "Russian": Language(
        "Активные подключения",
        "  Имя    Локальный адрес        Внешний адрес          Состояние       PID",
        {},
        ("cp866", "cp1251", *UNICODE),
    ),
    "a language nobody knows": Language(
        "Þrœlfundin tengingar",
        "  Prøt   Œrtlig stæð            Fjærlig stæð           Hætt            PID",
        {"LISTENING": "HLUSTAR Á", "ESTABLISHED": "TENGD", "TIME_WAIT": "BÍÐR"},
        UNICODE,
    ),
}

ROWS = (
    ("TCP", "0.0.0.0:135", "0.0.0.0:0", "LISTENING", "1064"),
    ("TCP", "127.0.0.1:49701", "127.0.0.1:49702", "ESTABLISHED", "5120"),
    ("TCP", "192.0.2.20:49833", "203.0.113.9:443", "TIME_WAIT", "0"),
    ("TCP", "192.0.2.20:49834", "203.0.113.9:443", "CLOSE_WAIT", "7716"),
    ("TCP", "192.0.2.20:49835", "203.0.113.9:25", "SYN_SENT", "7716"),
    ("TCP", "192.0.2.20:49836", "203.0.113.9:25", "LAST_ACK", "7716"),
    ("TCP", "192.0.2.20:49837", "203.0.113.9:25", "FIN_WAIT_1", "7716"),
    ("TCP", "[::]:135", "[::]:0", "LISTENING", "1064"),
    ("TCP", "[fe80::1%12]:49861", "[fe80::9:1%12]:445", "FIN_WAIT_2", "4"),
    ("UDP", "0.0.0.0:5353", "*:*", "", "2044"),
    ("UDP", "[::]:5353", "*:*", "", "2044"),
)


def table(language: Language, rows: Iterable[tuple[str, str, str, str, str]] = ROWS) -> str:
    """``netstat -ano`` with the line ends of Windows."""
    lines = ["", language.title, "", language.columns]
    for protocol, local, foreign, state, pid in rows:
        word = language.states.get(state, state)
        lines.append(f"  {protocol:<6} {local:<22} {foreign:<22} {word:<15} {pid}")
    return "".join(f"{line}\r\n" for line in lines)
