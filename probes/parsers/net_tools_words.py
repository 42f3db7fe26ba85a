"""Words that net-tools prints in other languages, as ours.

Place in the data's way: beside the readers of net-tools, which ask here. Pure; knows no table.
net-tools translates its titles, column headings, states and timers by the locale it runs in
(gettext catalogues ca, cs, de, et, fr, ja, ka, pt_BR and sv of net-tools 2.10); rows keep their
shape. netadmin itself asks for ``LC_ALL=C``, so these come with text from elsewhere.
"""

from __future__ import annotations

from types import MappingProxyType

STATES = MappingProxyType(
    {
        "ESTABLERT": "ESTABLISHED",
        "SPOJENO": "ESTABLISHED",
        "VERBUNDEN": "ESTABLISHED",
        "ESTABELECIDA": "ESTABLISHED",
        "ETABLERAD": "ESTABLISHED",
        "SYNSENT": "SYN_SENT",
        "SYN_ENVIADO": "SYN_SENT",
        "SYNRECV": "SYN_RECV",
        "SYN_RECEBIDO": "SYN_RECV",
        "FINWAIT1": "FIN_WAIT1",
        "ESPERA_FIN1": "FIN_WAIT1",
        "FINWAIT2": "FIN_WAIT2",
        "ESPERA_FIN2": "FIN_WAIT2",
        "TEMPS": "TIME_WAIT",
        "TANCA": "CLOSE",
        "ZAVŘEN": "CLOSE",
        "FECHAR": "CLOSE",
        "STÄNG": "CLOSE",
        "CLOSEWAIT": "CLOSE_WAIT",
        "ESPERANDO_FECHAR": "CLOSE_WAIT",
        "STÄNG_VÄNTA": "CLOSE_WAIT",
        "LASTACK": "LAST_ACK",
        "ÚLTIMO_ACK": "LAST_ACK",
        "ESCOLTA": "LISTEN",
        "NASLOUCHÁ": "LISTEN",
        "OUÇA": "LISTEN",
        "LYSSNAR": "LISTEN",
        "TANCAMENT": "CLOSING",
        "ZAVÍRÁ": "CLOSING",
        "FECHANDO": "CLOSING",
        "STÄNGER": "CLOSING",
        "DESCONEGUT": "UNKNOWN",
        "NEZNÁM": "UNKNOWN",
        "UNBEKANNT": "UNKNOWN",
        "TUNDMATU": "UNKNOWN",
        "INCONNU": "UNKNOWN",
        "不明": "UNKNOWN",
        "უცნობი": "UNKNOWN",
        "DESCONHECIDA": "UNKNOWN",
        "OKÄND": "UNKNOWN",
    }
)
"""States of TCP sockets, and of UDP where they have one."""

STATE_OF_TWO_WORDS = ("POSLEDNÍ ACK", "LAST_ACK")

UNIX_STATES = MappingProxyType(
    {
        "ESCOLTANT": "LISTEN",
        "NASLOUCHÁ": "LISTEN",
        "HÖRT": "LISTEN",
        "OUVINDO": "LISTEN",
        "LYSSNAR": "LISTEN",
        "CONNECTAT": "CONNECTED",
        "SPOJEN": "CONNECTED",
        "VERBUNDEN": "CONNECTED",
        "ÜHENDATUD": "CONNECTED",
        "CONNECTE": "CONNECTED",
        "CONECTADO": "CONNECTED",
        "ANSLUTEN": "CONNECTED",
        "CONNECTANT": "CONNECTING",
        "SPOJUJE": "CONNECTING",
        "VERBINDUNGSAUFBAU": "CONNECTING",
        "ÜHENDUMAS": "CONNECTING",
        "ENCONNEXION": "CONNECTING",
        "CONECTANDO": "CONNECTING",
        "ANSLUTER": "CONNECTING",
        "DESCONNECTANT": "DISCONNECTING",
        "ODPOJUJE": "DISCONNECTING",
        "VERBINDUNGSABBAU": "DISCONNECTING",
        "LAHTIÜHENDUMAS": "DISCONNECTING",
        "ENDECONNEXION": "DISCONNECTING",
        "DESCONECTANDO": "DISCONNECTING",
        "LLIURE": "FREE",
        "NEALOKOVÁN": "FREE",
        "FREI": "FREE",
        "VABA": "FREE",
        "LIBRE": "FREE",
        "LIVRE": "FREE",
        "LEDIG": "FREE",
    }
)

UNIX_TYPES = MappingProxyType(
    {"FLUX": "stream", "PAQUETSEQ": "seqpacket", "SEQPAKET": "seqpacket", "RÅ": "raw"}
)

TIMERS = MappingProxyType(
    {
        "aturada": "off",
        "vyp": "off",
        "aus": "off",
        "eikäi": "off",
        "オフ": "off",
        "გამორთული": "off",
        "desligado": "off",
        "av": "off",
        "el": "on",
        "zapnut": "on",
        "ein": "on",
        "käib": "on",
        "オン": "on",
        "ჩართული": "on",
        "em": "on",
        "på": "on",
        "manténiu": "keepalive",
        "キープアライブ": "keepalive",
        "ცოცხალი დატოვება": "keepalive",
        "temps d'espera": "timewait",
        "時間待ち": "timewait",
        "მოლოდინის დრო": "timewait",
        "sonda": "probe",
        "プローブ": "probe",
    }
)

SOCKET_TITLES = (
    "Active Internet connections",
    "Connexions actives d'Internet",
    "Aktivní Internetová spojení",
    "Aktive Internetverbindungen",
    "Aktiivsed internetiühendused",
    "Connexions Internet actives",
    "稼働中のインターネット接続",
    "ინტერნეტის აქტიური შეერთებები",
    "Conexões Internet Ativas",
    "Aktiva internetanslutningar",
)

SOCKET_COLUMNS = (
    "Proto +Recv-Q +Send-Q +Local Address +Foreign Address +State",
    "Proto +Recv-Q +Send-Q +Adreça local +Adreça exterior +Estat",
    "Proto +Přích-F +Odch-F +Místní Adresa",
    "Proto +VvJrk +SaatJrk +Kohalik aadress",
    "Proto +Recv-Q +Send-Q +Adresse locale +Adresse distante",
    "Proto +受信-Q +送信-Q",
    "პროტო +მიღ-Q +გაგზ-Q",
    "Proto +Recv-Q +Send-Q +Endereço Local",
    "Proto +Recv-Q +Send-Q +Lokal adress",
)
"""Regular expressions."""

UNIX_TITLES = (
    "Active UNIX domain sockets",
    "Sòcols de domini UNIX actius",
    "Aktivní sokety domény UNIX",
    "Aktive Sockets in der UNIX-Domäne",
    "Aktiivsed UNIX domeeni soklid",
    "Sockets du domaine UNIX actives",
    "稼働中のUNIXドメインソケット",
    "Unix-ის დომენის აქტიური სოკეტები",
    "Domain sockets UNIX ativos",
    "Aktiva UNIX-domänuttag",
)

UNIX_COLUMNS = (
    "Proto +RefCnt +Flags +Type +State",
    "Node-I del tipus d'estat del Proto",
    "Proto +Čítač +Příznaky",
    "Proto +RefZäh +Flaggen",
    "Proto +Mitu +Lipud",
    "Proto +RefCpt +Indicatrs",
    "Proto +RefCnt +フラグ",
    "პროტო +ბმისრდნ",
    "Proto +CntRef +Flags",
    "Proto +RefCnt +Flagg",
)
"""Regular expressions."""
