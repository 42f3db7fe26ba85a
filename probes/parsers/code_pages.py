"""Which code page the bytes of a Windows console are in.

Place in the data's way: asked by ``encoding`` where bytes are not UTF-8 and look like the output
of a Windows tool, and by whoever asked the host with ``chcp``. Pure: knows no dialect's rows, only
what tells Windows and its languages.

Digits, blanks, colons, dots and percent signs stand for themselves in every code page here, and
no character of two bytes has one of them in it, so a wrong guess spoils words, never numbers.
"""

from __future__ import annotations

import codecs
import re

_LOOKED_AT_BYTES = 65_536

_WINDOWS = re.compile(
    rb"^[ \t]*(?:TCP|UDP)[ \t]+\S{1,80}:\S{1,40}[ \t]+\S{1,80}:\S{1,40}(?:\s|\Z)"  # netstat -an
    rb'|^"[^"\r\n]{1,300}","[0-9]{1,10}"(?:,"|\s|\Z)'  # tasklist /fo csv
    rb"|^=====+ =====+ =====+"  # tasklist
    rb"|^={75}\r?$"  # route print
    rb"|^[ \t]{1,8}[^\s=][^=\r\n]{0,100}=[ \t]*[0-9]{1,20}[ \t]*\r?$"  # netstat -s
    rb"|^[^\s\d][^\d\r\n]{0,60}[ \t]{4,}[0-9]{1,20}[ \t]+[0-9]{1,20}[ \t]*\r?$",  # netstat -e
    re.MULTILINE,
)

_WORDS: dict[str, tuple[str, ...]] = {
    "cp936": (
        "活动连接", "协议", "本地地址", "外部地址", "状态", "无法获取所有权信息", "映像名称",
        "会话名", "内存使用", "接口", "列表", "路由", "网络", "网关", "在链路上", "永久", "跃点数",
        "统计", "接收", "发送", "字节", "数据包", "错误", "丢弃", "协议",
    ),
    "cp950": (
        "使用中連線", "協定", "本機位址", "外部位址", "狀態", "無法取得", "擁有權", "映像名稱",
        "工作階段", "記憶體", "介面", "清單", "路由", "網路", "閘道", "連結", "持續", "計量",
        "統計", "已接收", "已傳送", "位元組", "封包", "錯誤", "捨棄", "通訊協定",
    ),
    "cp932": (
        "アクティブ", "接続", "プロトコル", "ローカル", "アドレス", "外部", "状態", "所有者情報",
        "イメージ名", "セッション", "メモリ", "インターフェイス", "一覧", "ルート", "ネットワーク",
        "ゲートウェイ", "リンク上", "固定", "メトリック", "統計", "受信", "送信", "バイト",
        "パケット", "エラー", "破棄", "不明", "なし",
    ),
    "cp949": (
        "활성", "연결", "프로토콜", "로컬", "주소", "외부", "상태", "소유권", "이미지", "이름",
        "세션", "메모리", "인터페이스", "목록", "경로", "네트워크", "게이트웨이", "영구", "메트릭",
        "통계", "받음", "보냄", "바이트", "패킷", "오류", "없음",
    ),
    "cp866": (
        "Активные", "подключения", "Имя", "Локальный", "Внешний", "адрес", "Состояние", "образа",
        "сеанса", "Память", "Список", "интерфейсов", "Таблица", "маршрут", "Сетевой", "Маска",
        "Шлюз", "Метрика", "Постоянные", "Статистика", "Получено", "Отправлено", "байт", "Байт",
        "Отсутствует", "владельце",
    ),
    "cp850": (
        "ABHÖREN", "Ständige", "für", "übermittelt", "übertragen", "geöffnet", "Zurückgesetzt",
        "ungültig", "Anschlüsse", "État", "Itinéraires", "Métrique", "réseau", "reçus", "Reçu",
        "envoyés", "Envoyé", "Mémoire", "propriétaire", "Dirección", "estadísticas", "Métrica",
        "Conexões", "Endereço", "Memória", "può", "Sökväg", "anslutningar", "öffnen",
    ),
    "cp852": (
        "połączenia", "Protokół", "NASŁUCHIWANIE", "Statystyki", "Pamięć", "Připojení", "Místní",
        "Cizí", "Protokol", "Kapcsolatok", "Helyi", "cím", "Állapot", "właściciel",
    ),
}  # fmt: skip
"""What Windows prints above and beside its tables. A word is looked for in all pages its
language may come in: the OEM page of the console and the ANSI page of everything else."""

_SAME_WORDS = {"cp437": "cp850", "cp1252": "cp850", "cp1251": "cp866", "cp1250": "cp852"}
_PAGES = (*_WORDS, *_SAME_WORDS)

_LEADS = {
    "cp949": (0xB0, 0xC8),
    "cp936": (0xB0, 0xD7),
    "cp950": (0xA4, 0xC6),
    "cp932": (0x82, 0x97),
}
"""First bytes of the characters in daily use: the Hangul of KS X 1001, level 1 of GB 2312 and of
Big5, the kana and level 1 of JIS X 0208. What is Hangul in one is Chinese in the next, but other
Chinese is no Hangul, so the first comes first."""
_ISOLATED = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_HIGH = re.compile(rb"[\x80-\xff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CYRILLIC = re.compile(r"[\u0401\u0410-\u044f\u0451]")
_LATIN = re.compile(r"[A-Za-z][\u00c0-\u00ff]|[\u00c0-\u00ff][A-Za-z]")

_NUMBER = re.compile(rb"([0-9]{3,5})[^0-9]*\Z")
_NAMES = {65001: "utf-8", 1200: "utf-16-le", 1201: "utf-16-be", 54936: "gb18030", 20127: "ascii"}


def of_chcp(raw: bytes) -> str | None:
    """The code page that ``chcp`` tells in any language (``Active code page: 936``,
    ``Aktive Codepage: 850.``), by the name that ``encoding.decode`` takes; None where it tells
    none that is known."""
    found = _NUMBER.search(raw[-200:].replace(b"\x00", b""))
    if found is None:
        return None
    number = int(found[1])
    return known(_NAMES.get(number, f"cp{number}"))


def known(name: str) -> str | None:
    """``name`` where it is a code page that can be decoded; None otherwise."""
    if name in _NAMES.values():
        return name
    if not name.startswith("cp") or not name[2:].isdecimal():
        return None
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name


def guess(raw: bytes) -> str | None:
    """The code page of a Windows tool's output that is not UTF-8; None where the bytes do not
    look like one's, as when a program's name in the output of another system is no UTF-8."""
    head = raw[:_LOOKED_AT_BYTES]
    if _WINDOWS.search(head) is None:
        return None
    scores = {page: _score(head, page) for page in _PAGES}
    best = max(scores, key=lambda page: scores[page])
    return best if scores[best] > 0 else _by_bytes(head)


def _score(raw: bytes, page: str) -> int:
    """Bytes of the known words in ``raw``, each word once."""
    total = 0
    for word in _WORDS[_SAME_WORDS.get(page, page)]:
        try:
            encoded = word.encode(page)
        except UnicodeEncodeError:
            continue
        if not encoded.isascii() and encoded in raw:
            total += len(encoded)
    return total


def _by_bytes(raw: bytes) -> str:
    """The likeliest page of text without a known word: by what its bytes would be in each.

    Letters with accents stand alone between plain ones; in other scripts they come in runs.
    """
    high = len(_HIGH.findall(raw))
    if 2 * len(_ISOLATED.findall(raw)) < high:
        shares = {"cp866": len(_CYRILLIC.findall(raw.decode("cp866"))) / high}
        shares |= {page: _share(raw, page) for page in _LEADS}
        best = max(shares, key=lambda page: shares[page])
        if shares[best] > 0.5:
            return best
    letters = {
        page: len(_LATIN.findall(raw.decode(page, errors="ignore")))
        for page in ("cp850", "cp1252", "cp437")
    }
    return max(letters, key=lambda page: letters[page])


def _share(raw: bytes, page: str) -> float:
    """How much of what is not ASCII would be characters in daily use."""
    first, last = _LEADS[page]
    found = _NOT_ASCII.findall(raw.decode(page, errors="replace"))
    used = 0
    for char in found:
        encoded = char.encode(page, errors="ignore")
        used += len(encoded) == 2 and first <= encoded[0] <= last
    return used / len(found) if found else 0.0
