"""Sends a message to the chat or push service that a team uses, through Apprise's plugins.

Place in the data's way: called by ``sending``; ``channels`` asks :func:`problem` before it stores
an address. Only services of :data:`SERVICES` are let through: none that runs a program, reads a
file, mails or writes to this machine. Whatever a plugin connects to is held to public addresses by
``netadmin.outbound``.

A plugin is called by itself, not through Apprise's own ``notify``, which hands it to other threads,
where no guard would see it. Its log may hold tokens: none of it is written. Redirects, unverified
certificates and templates read from files, which its URLs may ask for, are refused.

Apprise is imported when it is first needed: it takes a second and 20 MB, and most sites of a small
team never use it.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from netadmin import outbound
from probes.models import Delivery
from probes.notify.messages import Message
from probes.notify.trouble import CannotSend

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "DingTalk": ("dingtalk",),
    "WeCom": ("wecombot", "wechat"),
    "Feishu, Lark": ("feishu", "lark"),
    "Slack": ("slack",),
    "Telegram": ("tgram",),
    "Microsoft Teams": ("workflow", "workflows"),
    "Discord": ("discord",),
    "Mattermost": ("mmost", "mmosts"),
    "Rocket.Chat": ("rocket", "rockets"),
    "Google Chat": ("gchat",),
    "Webex": ("webex", "wxteams"),
    "Zulip": ("zulip",),
    "Gotify": ("gotify", "gotifys"),
    "ntfy": ("ntfy", "ntfys"),
    "Pushover": ("pover",),
    "Bark": ("bark", "barks"),
    "PushDeer": ("pushdeer", "pushdeers"),
    "ServerChan": ("schan",),
    "Matrix": ("matrix", "matrixs"),
    "PagerDuty": ("pagerduty",),
    "Opsgenie": ("opsgenie",),
}
"""Schemes of the URLs by service, as Apprise's documentation has them."""
SCHEMES: Final = frozenset(scheme for schemes in SERVICES.values() for scheme in schemes)
REFUSED_PARAMETERS: Final = frozenset(
    {
        "template", "verify", "redirect", "attach", "attachment", "config", "keyfile", "subfile",
        "store", "retry", "wait",
    }
)  # fmt: skip
"""Of a URL: they read files, weaken TLS, go elsewhere, or wait."""
LONGEST_TEXT: Final = 3_500
"""Most services cut or refuse what is longer, or send it in pieces."""
LONGEST_URL: Final = 2_000

logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


def problem(url: str) -> str:
    """Why an address is not taken: ``url``, ``scheme``, ``parameter``, ``service``; "" is well."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or "://" not in url:
        return "url"
    if scheme_of(url) not in SCHEMES:
        return "scheme"
    try:
        asked = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return "url"
    if any(name.strip().lower() in REFUSED_PARAMETERS for name, _value in asked):
        return "parameter"
    return "" if _plugin(url) is not None else "service"


def scheme_of(url: str) -> str:
    """The scheme of a URL in lower case."""
    return url.partition("://")[0].strip().lower()


def send(delivery: Delivery, message: Message, *, deadline_s: float) -> None:
    """Hand it to the service; raises CannotSend and secrets.DecryptionError."""
    url = delivery.channel.secret("address")
    if not url:
        raise CannotSend("no_address")
    if problem(url):
        raise CannotSend("url")
    with outbound.guarded(deadline_s=deadline_s) as guard:
        plugin = _plugin(url)
        taken = plugin is not None and bool(
            plugin.notify(body=_text(message), title=message.subject, notify_type=_type(message))
        )
        if not taken and guard.refused is not None:
            raise CannotSend("blocked", str(guard.refused))
        if not taken and guard.expired:
            raise CannotSend("timeout")
    if not taken:
        raise CannotSend("service")


def _text(message: Message) -> str:
    """The text, cut at a line, with the uid: a repeat is seen to be one."""
    tail = f"\n#{message.uid}"
    room = LONGEST_TEXT - len(tail)
    text = message.text
    if len(text) > room:
        text = text[: room - 2].rpartition("\n")[0] + "\n…"
    return text + tail


def _type(message: Message) -> Any:
    from apprise import NotifyType

    if not message.active:
        return NotifyType.INFO if message.kind == Delivery.Kind.TEST else NotifyType.SUCCESS
    return NotifyType.FAILURE if message.severity == "critical" else NotifyType.WARNING


def _plugin(url: str) -> Any:
    """The plugin for a URL; None where Apprise does not understand it."""
    from apprise import Apprise

    return Apprise.instantiate(url, asset=_asset())


@functools.lru_cache(maxsize=1)
def _asset() -> Any:
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="netadmin",
        app_desc="netadmin",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
        allow_templates=False,
    )
