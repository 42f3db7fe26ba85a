"""Mails what hunts found, once an alert.

Place in the data's way: rung by the same task as ``probes.hunts.running``, after it. An alert that
is to be mailed has a time for that (``mail_after``); whoever moves it on by one conditional UPDATE
sends it, and nobody else for LEASE_S. Each recipient gets a message of its own, and who was reached
is written down after each. A mail that fails is logged and tried again with whoever is left; a
process that is killed between sending and saying so mails one of them twice, under the same
Message-ID, rather than not at all. Without a mail server nothing is tried and nothing counts as
mailed: it is sent once there is one.

Names and rows come from people and hosts: they are plain text here, one line each.
"""

from __future__ import annotations

import datetime as dt
import logging
import smtplib
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.mail import get_connection
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes import mail
from probes.models import Alert, Hunt

if TYPE_CHECKING:
    from django.core.mail import EmailMultiAlternatives
    from django.core.mail.backends.base import BaseEmailBackend

logger = logging.getLogger(__name__)

TRIES: Final = 5
LEASE_S: Final = 300
RETRY_S: Final = 50
"""Less than a minute, so that the next run tries again."""
TIMEOUT_S: Final = 20.0
SENDING_S: Final = 40.0
"""How long one call of :func:`send` begins further messages; must stay well below LEASE_S."""
ALERTS_A_MAIL: Final = 50
ROWS_AN_ALERT: Final = 5


def send(using: str = "default") -> int:
    """Mail what is due, the alerts of one hunt together; returns how many alerts were mailed, to
    all that they are for."""
    if not mail.can_mail():
        return 0
    until = time.monotonic() + SENDING_S
    due = Alert.objects.using(using).filter(mail_after__lte=timezone.now())
    mailed = 0
    waiting = due.select_related("host", "hunt").order_by("hunt", "pk")
    for _hunt_id, alerts in groupby(waiting, key=lambda alert: alert.hunt_id):
        if time.monotonic() >= until:
            break
        mailed += _send_of_one(list(alerts), until, using)
    return mailed


def _send_of_one(alerts: list[Alert], until: float, using: str) -> int:
    hunt = alerts[0].hunt
    mine = [alert for alert in alerts if _claim(alert, using)]
    rows = Alert.objects.using(using).filter(pk__in=[alert.pk for alert in mine])
    if hunt is None or not hunt.mail_to or not mine:
        rows.update(mail_after=None)  # nobody to tell any more
        return 0
    try:
        all_reached = _deliver(hunt, mine, until, using)
    except Exception as error:
        _log(hunt, error)
        all_reached = False
    if not all_reached:
        rows.filter(mail_tries__lt=TRIES).update(mail_after=_later(RETRY_S))
        rows.filter(mail_tries__gte=TRIES).update(mail_after=None)
        return 0
    rows.update(mailed_at=timezone.now(), mail_after=None)
    return len(mine)


def _deliver(hunt: Hunt, alerts: list[Alert], until: float, using: str) -> bool:
    """Send each recipient what it has not got yet; whether all of them have all of it now.

    Raises what the mail library raises where the server is out of reach; whom it refuses is left.
    """
    all_reached = True
    connection = get_connection(timeout=TIMEOUT_S)
    connection.open()
    try:
        for who in hunt.mail_to.splitlines():
            new = [alert for alert in alerts if who not in alert.mail_reached]
            if not new:
                continue
            if time.monotonic() >= until:
                return False
            try:
                message(hunt, new, to=who, connection=connection).send()
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
                _log(hunt, error)
                all_reached = False
                continue
            for alert in new:
                alert.mail_reached = [*alert.mail_reached, who]
            Alert.objects.using(using).bulk_update(new, ["mail_reached"], batch_size=200)
    finally:
        _close(connection)
    return all_reached


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException) as error:
        logger.info("the mail server did not take leave: %s", type(error).__name__)


def _log(hunt: Hunt, error: Exception) -> None:
    # What a mail server says may hold the login it was given: only the kind is logged.
    logger.warning("mail of hunt %s failed: %s", hunt.pk, type(error).__name__)


def _claim(alert: Alert, using: str) -> bool:
    same = Alert.objects.using(using).filter(pk=alert.pk, mail_after=alert.mail_after)
    won = same.update(mail_after=_later(LEASE_S), mail_tries=alert.mail_tries + 1)
    return won == 1


def _later(seconds: float) -> dt.datetime:
    return timezone.now() + dt.timedelta(seconds=seconds)


def message(
    hunt: Hunt, alerts: Sequence[Alert], *, to: str, connection: BaseEmailBackend
) -> EmailMultiAlternatives:
    """One recipient's mail about some alerts of one hunt, in the site's language."""
    with translation.override(settings.LANGUAGE_CODE):
        subject = ngettext(
            "[netadmin] %(name)s: seen on %(n)d host",
            "[netadmin] %(name)s: seen on %(n)d hosts",
            len(alerts),
        ) % {"name": mail.one_line(hunt.name, 100), "n": len(alerts)}
        body = "\n".join(_lines(hunt, alerts))
    return mail.message(
        to=to,
        subject=mail.one_line(subject, 200),
        text=body,
        about=f"alerts:{','.join(str(pk) for pk in sorted(alert.pk for alert in alerts))}",
        connection=connection,
    )


def _lines(hunt: Hunt, alerts: Sequence[Alert]) -> Iterable[str]:
    yield _("The hunt “%(name)s” found what it looks for:") % {
        "name": mail.one_line(hunt.name, 100)
    }
    for alert in alerts[:ALERTS_A_MAIL]:
        yield ""
        yield ngettext(
            "%(host)s: %(n)d hit, first seen %(when)s",
            "%(host)s: %(n)d hits, first seen %(when)s",
            alert.hits,
        ) % {
            "host": mail.one_line(alert.host.name, 100),
            "n": alert.hits,
            "when": f"{alert.opened_at:%Y-%m-%d %H:%M:%S} UTC",
        }
        for row in alert.evidence[:ROWS_AN_ALERT]:
            yield f"  {_row(row)}"
    if len(alerts) > ALERTS_A_MAIL:
        yield ""
        yield _("and %(n)s more") % {"n": len(alerts) - ALERTS_A_MAIL}
    yield ""
    yield f"{settings.SITE_URL}{reverse('alerts')}?hunt={hunt.pk}"


def _row(row: dict[str, Any]) -> str:
    """``tcp 10.0.0.5:40000 203.0.113.9:4444 ESTABLISHED xmrig (203.0.113.9)``"""
    ends = (
        f"{_end(row.get('local_ip'), row.get('local_port'))}"
        f" {_end(row.get('foreign_ip'), row.get('foreign_port'))}"
    )
    said = f"{row.get('protocol')} {ends} {row.get('state') or ''} {row.get('program') or ''}"
    return mail.one_line(f"{' '.join(said.split())} ({row.get('indicator')})", 300)


def _end(ip: Any, port: Any) -> str:
    address = f"[{ip}]" if ":" in str(ip) else str(ip)
    return f"{address}:{'*' if port is None else port}"
