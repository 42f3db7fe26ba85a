"""Mails reports that are due, each once, and writes down how that went.

Place in the data's way: called by a task each minute. The database owns this work as it owns the
probes: a schedule is moved on to its next time by one conditional UPDATE in the transaction that
makes its run, and a run is begun by another, so that of several workers one sends.

A mail is sent *at least* once, within bounds: each recipient gets a message of its own, and who
was reached is written down after each. A sender that is killed is given up after LEASE, and its
run goes on with the recipients that are left, at most TRIES times in all. So nobody is left out
for a ``kill -9``, and at worst one recipient gets a message twice, under the same Message-ID.
(Sending at most once would lose a month's report to a restart at the wrong moment.) There is no
burst after a pause: what was missed meanwhile is sent once.

The report is composed in the rights of the schedule's owner at that time. No secret of the mail
server gets into a run, whatever the server answers.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
import smtplib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy

from hosts.models import Host, HostQuerySet
from netadmin.access.models import Role
from netadmin.access.permissions import user_role
from probes import mail
from probes.models import ReportRun, ReportSchedule
from probes.reports import composition as report
from probes.reports import mailings
from probes.reports import message as report_mail

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.core.mail.backends.base import BaseEmailBackend
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

TRIES: Final = 3
BACK_OFF: Final = (dt.timedelta(minutes=1), dt.timedelta(minutes=10))
"""Between the tries."""
LEASE: Final = dt.timedelta(minutes=15)
"""How long a sender may be silent before it counts as dead."""
SENDING_S: Final = 300.0
"""How long one try goes on with further recipients; must stay well below LEASE."""
ROUND_S: Final = 50.0
"""How long one call of :func:`send_due` begins further runs."""
LONGEST_DETAIL: Final = 300

REASONS: Final = {
    "no_mail_server": gettext_lazy(
        "No mail server is set. Set EMAIL_URL, such as smtp+tls://user:password@mail.example.com:587."
    ),
    "owner_gone": gettext_lazy("Its owner may not send reports any more."),
    "nothing_visible": gettext_lazy(
        "Its owner does not see the host or group any more, or there is no host in it."
    ),
    "refused": gettext_lazy("The mail server refused it."),
    "unreachable": gettext_lazy("The mail server could not be reached."),
    "interrupted": gettext_lazy(
        "The sender was ended before it was done. Who is not listed as reached may have got it "
        "all the same."
    ),
    "internal_error": gettext_lazy("The report could not be made. The log has the reason."),
}
"""Why a try failed, by ``ReportRun.code``."""
FINAL: Final = frozenset({"owner_gone", "nothing_visible"})
"""Reasons that another try would meet again."""


class CannotSend(Exception):
    """A try failed for one of REASONS; ``detail`` is what the mail server said."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at a run, as long as nobody else began another."""

    run: ReportRun
    number: int


def send_due(using: str = "default") -> int:
    """Make runs of the schedules that are due, then send every run whose time has come; returns
    how many were begun. May be called at any time, by several workers at once."""
    claim(timezone.now(), using)
    begun = 0
    until = time.monotonic() + ROUND_S
    while time.monotonic() < until:
        attempt = begin(timezone.now(), using)
        if attempt is None:
            break
        begun += 1
        carry_out(attempt, using)
    return begun


def claim(now: dt.datetime, using: str = "default") -> list[ReportRun]:
    """Move each schedule that is due at ``now`` to its next time, with a run for this one."""
    made = []
    due = ReportSchedule.objects.using(using).filter(enabled=True, next_at__lte=now)
    for schedule in due.order_by("next_at"):
        with transaction.atomic(using=using):
            mine = (
                ReportSchedule.objects.using(using)
                .filter(pk=schedule.pk, next_at=schedule.next_at, enabled=True)
                .update(next_at=mailings.next_at(schedule, now))
            )
            if mine:
                made.append(
                    ReportRun.objects.using(using).create(
                        schedule_id=schedule.pk, began_at=now, next_try_at=now
                    )
                )
    return made


def ask(schedule: ReportSchedule, *, by: str) -> ReportRun | None:
    """A run of ``schedule`` now, besides its usual times; None where one is under way already."""
    now = timezone.now()
    with transaction.atomic():
        ReportSchedule.objects.select_for_update().get(pk=schedule.pk)
        if schedule.runs.filter(outcome=ReportRun.Outcome.SENDING).exists():
            return None
        return ReportRun.objects.create(
            schedule=schedule, began_at=now, next_try_at=now, asked_by=by
        )


def newest_runs(schedules: Iterable[ReportSchedule]) -> dict[int, ReportRun]:
    """The newest run of each schedule that has one, by the schedule's id. One query."""
    newest = ReportRun.objects.filter(schedule=OuterRef("pk")).order_by("-began_at", "-pk")
    ids = (
        ReportSchedule.objects.filter(pk__in=[schedule.pk for schedule in schedules])
        .annotate(newest=Subquery(newest.values("pk")[:1]))
        .values("newest")
    )
    return {run.schedule_id: run for run in ReportRun.objects.filter(pk__in=ids)}


def reason(run: ReportRun | None) -> str:
    """Why the newest try of a run failed, in the reader's language; empty where none did."""
    return "" if run is None or not run.code else str(REASONS[run.code])


def begin(now: dt.datetime, using: str = "default") -> Try | None:
    """Take the run that has waited longest, or None. One whose last try was never ended, because
    its sender died, is taken like any other; after TRIES of them it has failed."""
    waiting = ReportRun.objects.using(using).filter(
        outcome=ReportRun.Outcome.SENDING, next_try_at__lte=now
    )
    for run in waiting.order_by("next_try_at").select_related("schedule__owner"):
        mine = waiting.filter(pk=run.pk, tries=run.tries)
        if run.tries >= TRIES:
            mine.update(
                outcome=ReportRun.Outcome.FAILED,
                code="interrupted",
                detail="",
                ended_at=now,
                next_try_at=None,
            )
        elif mine.update(tries=run.tries + 1, next_try_at=now + LEASE):
            run.tries += 1
            return Try(run, run.tries)
    return None


def carry_out(attempt: Try, using: str = "default") -> None:
    """Send a run to whom it has not reached, and write down how that went. Raises nothing but
    what the database raises."""
    run = attempt.run
    try:
        _send(attempt, using)
    except CannotSend as failed:
        code, detail = failed.code, failed.detail
    except Exception:
        # Whatever a report meets must not stop the others'.
        logger.exception("the mailed report %s could not be made", run.schedule_id)
        code, detail = "internal_error", ""
    else:
        _end(attempt, using, outcome=ReportRun.Outcome.SENT, code="", detail="")
        return
    if code in FINAL or attempt.number >= TRIES:
        _end(attempt, using, outcome=ReportRun.Outcome.FAILED, code=code, detail=detail)
        return
    again = timezone.now() + BACK_OFF[attempt.number - 1]
    _mine(attempt, using).update(code=code, detail=detail, next_try_at=again)


def _send(attempt: Try, using: str) -> None:
    run = attempt.run
    schedule = run.schedule
    hosts = _hosts(schedule, using)
    if not mail.can_mail():
        raise CannotSend("no_mail_server")
    left = [who for who in mailings.recipients_of(schedule) if who not in run.reached]
    if not left:
        return
    # In the language of the schedule and the site's zone, whatever this thread did before.
    with translation.override(schedule.language), timezone.override(None):
        made = report.compose(hosts, host=schedule.host, group=schedule.group)
        written = report_mail.write(made, name=schedule.name)
    try:
        connection = get_connection()
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        raise _cannot(error) from None
    until = time.monotonic() + SENDING_S
    refused: CannotSend | None = None
    try:
        for who in left:
            if time.monotonic() > until:
                raise refused or CannotSend("unreachable")
            try:
                _message(written, who, run, connection).send()
            except (OSError, smtplib.SMTPException) as error:
                refused = _cannot(error)
                if refused.code == "unreachable":
                    raise refused from None
                continue
            run.reached = [*run.reached, who]
            if not _mine(attempt, using).update(reached=run.reached):
                return  # given up for dead: another goes on
    finally:
        _close(connection)
    if refused is not None:
        raise refused


def _hosts(schedule: ReportSchedule, using: str) -> HostQuerySet:
    """What the owner sees of it now; CannotSend where that is nothing."""
    owner = schedule.owner
    role = user_role(owner)
    if role is None or role < Role.OPERATOR:
        raise CannotSend("owner_gone")
    hosts = Host.objects.using(using).kept().visible_to(owner)
    if schedule.host_id is not None:
        hosts = hosts.filter(pk=schedule.host_id)
    elif schedule.group_id is not None:
        if not _sees_group(owner, schedule.group_id):
            raise CannotSend("nothing_visible")
        hosts = hosts.filter(groups=schedule.group_id)
    if not hosts.exists():
        raise CannotSend("nothing_visible")
    return hosts


def _sees_group(owner: User, group_id: int) -> bool:
    if owner.is_superuser or owner.access.all_hosts:
        return True
    return bool(owner.access.groups.filter(pk=group_id).exists())


def _message(
    written: report_mail.Written, who: str, run: ReportRun, connection: BaseEmailBackend
) -> EmailMultiAlternatives:
    message = mail.message(
        to=who,
        subject=written.subject,
        text=written.text,
        about=f"report:{run.pk}:{run.began_at}",
        connection=connection,
    )
    message.attach_alternative(written.html, "text/html")
    message.attach(written.file_name, written.csv.encode(), "text/csv")
    return message


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException) as error:
        logger.info("the mail server did not take leave: %s", type(error).__name__)


def _cannot(error: OSError | smtplib.SMTPException) -> CannotSend:
    """What a failure of the mail library means, and what the server said."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()), (0, b""))
        return CannotSend("refused", _said(code, said))
    if isinstance(error, smtplib.SMTPResponseException):
        return CannotSend("refused", _said(error.smtp_code, error.smtp_error))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return CannotSend("refused", _printable(str(error)))
    return CannotSend("unreachable", _printable(error.strerror or type(error).__name__))


def _said(code: int, text: bytes | str) -> str:
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return _printable(f"{code} {told}")


def _printable(text: str) -> str:
    """One line without control characters, and without anything of the login."""
    user, password = settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD
    secrets = [password, *(_base64(part) for part in (password, f"\0{user}\0{password}"))]
    for secret in secrets if password else ():
        text = text.replace(secret, "***")
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(clean.split())[:LONGEST_DETAIL]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _mine(attempt: Try, using: str) -> QuerySet[ReportRun]:
    return ReportRun.objects.using(using).filter(
        pk=attempt.run.pk, tries=attempt.number, outcome=ReportRun.Outcome.SENDING
    )


def _end(attempt: Try, using: str, *, outcome: str, code: str, detail: str) -> None:
    _mine(attempt, using).update(
        outcome=outcome, code=code, detail=detail, ended_at=timezone.now(), next_try_at=None
    )
