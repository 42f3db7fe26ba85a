"""Mailed reports: each once and whole, in the owner's rights, against a real SMTP server."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.history import store
from probes.mail import can_mail
from probes.models import ReportRun, ReportSchedule
from probes.reports import sending as mailed_reports
from tests.databases import both_databases_committed
from tests.people import person
from tests.probes.history.played import LISTENER, line, observed, table
from tests.probes.mail_sink import Sink
from tests.waiting import wait_until

HOSTILE = "1/<script>alert(1)</script>"
SENT, FAILED, SENDING = (
    ReportRun.Outcome.SENT, ReportRun.Outcome.FAILED, ReportRun.Outcome.SENDING
)  # fmt: skip


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    """A mail server, and the site set to use it."""
    with Sink() as running:
        for name, value in running.settings.items():
            setattr(settings, name, value)
        yield running


@pytest.fixture
def host(db: None) -> Host:
    """web1 with a connection and a hostile program."""
    made = Host.objects.create(name="web1", address="192.0.2.1")
    store.save(
        made,
        observed(0, table(LISTENER, line(), line("10.0.0.5:80", "2001:db8::9:1", holder=HOSTILE))),
    )
    return made


@pytest.fixture
def owner(db: None) -> User:
    """An operator who sees every host."""
    return person("otto", Role.OPERATOR)


@pytest.fixture
def mailing(host: Host, owner: User) -> Callable[..., ReportSchedule]:
    """``mailing(recipients=[...])``: one that is due."""

    def make(*recipients: str, **fields: Any) -> ReportSchedule:
        values: dict[str, Any] = {
            "name": "weekly",
            "owner": owner,
            "host": host,
            "every": "day",
            "hour": 7,
            "recipients": "\n".join(recipients or ("ops@example.org",)),
            "next_at": timezone.now() - dt.timedelta(hours=1),
        }
        return ReportSchedule.objects.create(**values | fields)

    return make


def later(run: ReportRun) -> None:
    """The time of the next try has come."""
    assert run.next_try_at is not None
    ReportRun.objects.filter(pk=run.pk).update(next_try_at=timezone.now())


def only_run() -> ReportRun:
    return ReportRun.objects.get()


def test_a_mail_arrives_whole_with_both_bodies_and_the_csv(
    sink: Sink, mailing: Callable[..., ReportSchedule], settings: Any
) -> None:
    settings.SITE_URL = "https://netadmin.example.com"
    schedule = mailing()

    assert mailed_reports.send_due() == 1

    (mail,) = sink.mails
    message = mail.message
    assert message["To"] == "ops@example.org"
    assert message["Subject"] == "[netadmin] Network report: web1"
    assert message["From"] == settings.DEFAULT_FROM_EMAIL
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/mixed"
    text, html = mail.part("text/plain"), mail.part("text/html")
    for title in ("Totals", "Thresholds", "SYN_RECV", "Common ports", "Interfaces", "Probes"):
        assert title in text
        assert f"<h3>{title}</h3>" in html
    assert f"https://netadmin.example.com/report/?host={schedule.host_id}" in text
    assert "2001:db8::9" in text
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>" not in html
    assert "style=" not in html
    (attached,) = message.iter_attachments()
    assert attached.get_content_type() == "text/csv"
    assert attached.get_filename().startswith(f"report-host-{schedule.host_id}-")
    rows = list(csv.DictReader(io.StringIO(mail.part("text/csv"))))
    assert {"totals", "remote_ips", "measured"} <= {row["section"] for row in rows}
    run = only_run()
    assert (run.outcome, run.tries, run.reached) == (SENT, 1, ["ops@example.org"])
    assert (run.code, run.detail, run.next_try_at) == ("", "", None)
    assert run.ended_at is not None


def test_each_recipient_gets_one_of_its_own_and_sees_no_other(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    people = [f"p{number}@example.org" for number in range(5)]
    mailing(*people)

    mailed_reports.send_due()

    assert [mail.recipients for mail in sink.mails] == [(who,) for who in people]
    for mail, who in zip(sink.mails, people, strict=True):
        assert [other for other in people if other in mail.message.as_string()] == [who]
    assert len({mail.message["Message-ID"] for mail in sink.mails}) == 5
    assert only_run().reached == people


def test_it_is_written_in_its_own_language_and_the_site_s_zone(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    mailing(language="zh-hans")
    with timezone.override(ZoneInfo("Asia/Tokyo")):  # whatever this thread did before
        mailed_reports.send_due()

    html = sink.mails[0].part("text/html")
    assert '<html lang="zh-hans">' in html
    assert "UTC" in html
    assert "JST" not in html


def test_no_name_breaks_out_of_a_header_or_a_line(
    sink: Sink, mailing: Callable[..., ReportSchedule], host: Host
) -> None:
    evil = "web1\r\nBcc: evil@example.org\n\nX"
    Host.objects.filter(pk=host.pk).update(name=evil)
    mailing(name="x\r\nX-Evil: 1\u2028")

    mailed_reports.send_due()

    (mail,) = sink.mails
    assert mail.recipients == ("ops@example.org",)
    assert mail.message["Bcc"] is None
    assert mail.message["X-Evil"] is None
    assert "evil@example.org" in mail.message["Subject"]
    assert not any(
        line.startswith(("Bcc:", "X-Evil")) for line in mail.part("text/plain").splitlines()
    )


def test_a_schedule_that_was_missed_for_days_is_sent_once_and_goes_on_in_time(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    schedule = mailing(next_at=timezone.now() - dt.timedelta(days=9))

    mailed_reports.send_due()
    mailed_reports.send_due()

    assert len(sink.mails) == 1
    schedule.refresh_from_db()
    now = timezone.now()
    assert now < schedule.next_at <= now + dt.timedelta(days=1)
    assert (schedule.next_at.hour, schedule.next_at.minute) == (7, 0)


def test_what_is_paused_or_not_due_is_not_sent(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    mailing(enabled=False)
    mailing(next_at=timezone.now() + dt.timedelta(hours=1))

    assert mailed_reports.send_due() == 0
    assert not sink.mails


@both_databases_committed
def test_of_two_workers_one_sends(using: str, settings: Any) -> None:
    with Sink() as sink:
        for name, value in sink.settings.items():
            setattr(settings, name, value)
        made = Host.objects.using(using).create(name="web1", address="192.0.2.1")
        store.save(made, observed(0, table(LISTENER)), using=using)
        user = User.objects.using(using).create(username="otto", is_superuser=True)
        for number in range(4):
            ReportSchedule.objects.using(using).create(
                name=f"n{number}",
                owner=user,
                every="day",
                recipients=f"p{number}@example.org",
                next_at=timezone.now(),
            )
        together = threading.Barrier(2)

        def work() -> None:
            try:
                together.wait()
                mailed_reports.send_due(using)
            finally:
                connections.close_all()

        workers = [threading.Thread(target=work) for _number in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert sorted(mail.recipients for mail in sink.mails) == [
            (f"p{number}@example.org",) for number in range(4)
        ]
    runs = ReportRun.objects.using(using)
    assert runs.count() == runs.filter(outcome=SENT, tries=1).count() == 4


def test_a_refusal_is_tried_again_later_and_then_has_failed(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    mailing("bad@example.org", "good@example.org")
    sink.refused["bad@example.org"] = "550 5.1.1 no such user"

    waits = []
    for number in (1, 2, 3):
        before = timezone.now()
        assert mailed_reports.send_due() == 1
        assert mailed_reports.send_due() == 0, "not before its time"
        run = only_run()
        assert run.tries == number
        assert (run.code, run.detail) == ("refused", "550 5.1.1 no such user")
        if number < 3:
            assert run.outcome == SENDING
            assert run.next_try_at is not None
            waits.append(run.next_try_at - before)
            later(run)

    assert waits[0] >= mailed_reports.BACK_OFF[0]
    assert waits[1] >= mailed_reports.BACK_OFF[1] > waits[0]
    run = only_run()
    assert (run.outcome, run.reached, run.next_try_at) == (FAILED, ["good@example.org"], None)
    assert [mail.recipients for mail in sink.mails] == [("good@example.org",)]


def test_a_try_that_succeeds_after_a_refusal_clears_it(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    mailing()
    sink.refused["*"] = "451 4.7.1 try again later"
    mailed_reports.send_due()
    sink.refused.clear()
    later(only_run())

    mailed_reports.send_due()

    run = only_run()
    assert (run.outcome, run.tries, run.code, run.detail) == (SENT, 2, "", "")
    assert len(sink.mails) == 1


def test_a_server_that_is_not_there_is_told_apart(
    mailing: Callable[..., ReportSchedule], settings: Any, free_port: int
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port
    mailing()

    mailed_reports.send_due()

    run = only_run()
    assert (run.outcome, run.code) == (SENDING, "unreachable")
    assert "refused" in run.detail


def test_no_secret_of_the_mail_server_is_written_down(
    mailing: Callable[..., ReportSchedule], settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Sink(logins=True) as sink:
        for name, value in sink.settings.items():
            setattr(settings, name, value)
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "mailer", "p4ss-w0rd-of-mail"
        mailing()
        mailed_reports.send_due()

    run = only_run()
    assert run.code == "refused"
    assert run.detail == "535 5.7.8 not with the password ***"
    assert "p4ss-w0rd-of-mail" not in caplog.text


def test_without_a_mail_server_it_fails_and_says_why(
    mailing: Callable[..., ReportSchedule], settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    mailing()

    mailed_reports.send_due()

    assert only_run().code == "no_mail_server"
    assert not can_mail()


@pytest.mark.parametrize("change", ["inactive", "viewer", "no role"])
def test_an_owner_who_may_send_no_more_sends_nothing(
    sink: Sink, mailing: Callable[..., ReportSchedule], owner: User, change: str
) -> None:
    mailing()
    if change == "inactive":
        User.objects.filter(pk=owner.pk).update(is_active=False)
    elif change == "viewer":
        owner.access.role = Role.VIEWER
        owner.access.save()
    else:
        owner.access.delete()

    mailed_reports.send_due()

    run = only_run()
    assert (run.outcome, run.code, run.tries) == (FAILED, "owner_gone", 1)
    assert not sink.mails


def test_what_the_owner_does_not_see_any_more_is_not_sent(
    sink: Sink, mailing: Callable[..., ReportSchedule], owner: User, host: Host
) -> None:
    group = HostGroup.objects.create(name="others")
    owner.access.all_hosts = False
    owner.access.save()
    mailing()
    mailing(host=None, group=group)
    mailing(host=None)

    mailed_reports.send_due()

    assert list(ReportRun.objects.values_list("code", flat=True)) == ["nothing_visible"] * 3
    assert not sink.mails


def test_a_group_is_mailed_with_the_hosts_that_are_in_it_then(
    sink: Sink, mailing: Callable[..., ReportSchedule], owner: User, host: Host
) -> None:
    group = HostGroup.objects.create(name="inside")
    outside = Host.objects.create(name="outside-host", address="192.0.2.2")
    store.save(outside, observed(0, table(LISTENER)))
    host.groups.add(group)
    owner.access.all_hosts = False
    owner.access.save()
    owner.access.groups.add(group)
    mailing(host=None, group=group)
    mailing(host=None)

    mailed_reports.send_due()

    assert len(sink.mails) == 2
    for mail in sink.mails:
        text = mail.message.as_string()
        assert "web1" in mail.part("text/plain")
        assert "outside-host" not in text


def test_one_report_that_cannot_be_made_stops_no_other(
    sink: Sink, mailing: Callable[..., ReportSchedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, _fine = mailing("a@example.org", name="broken"), mailing("b@example.org")
    write = mailed_reports.report_mail.write

    def fail(made: Any, *, name: str) -> Any:
        if name == "broken":
            raise RuntimeError("a defect")
        return write(made, name=name)

    monkeypatch.setattr(mailed_reports.report_mail, "write", fail)
    mailed_reports.send_due()

    assert [mail.recipients for mail in sink.mails] == [("b@example.org",)]
    assert broken.runs.get().code == "internal_error"


def test_asking_twice_sends_once(sink: Sink, mailing: Callable[..., ReportSchedule]) -> None:
    schedule = mailing(next_at=timezone.now() + dt.timedelta(days=1))

    assert mailed_reports.ask(schedule, by="otto") is not None
    assert mailed_reports.ask(schedule, by="anna") is None
    mailed_reports.send_due()

    assert len(sink.mails) == 1
    assert (only_run().asked_by, only_run().outcome) == ("otto", SENT)
    assert mailed_reports.ask(schedule, by="anna") is not None


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_is_killed_half_way_is_gone_on_with_and_nobody_is_left_out(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    people = ["first@example.org", "second@example.org", "third@example.org"]
    mailing(*people)
    sink.stalls.add("second@example.org")
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.probes.mail_sender"],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "netadmin.settings",
            "DATABASE_URL": f"sqlite:///{connections['default'].settings_dict['NAME']}",
            "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}",
        },
    )
    try:
        wait_until(sink.stalled.is_set, what="the second message is on its way")
        wait_until(lambda: only_run().reached == people[:1], what="the first is written down")
    finally:
        sender.send_signal(signal.SIGKILL)
        sender.wait()
    sink.stalls.clear()

    assert mailed_reports.send_due() == 0, "its lease is not over"
    stuck = only_run()
    assert (stuck.outcome, stuck.tries) == (SENDING, 1)
    assert stuck.next_try_at is not None
    assert stuck.next_try_at > timezone.now()
    later(stuck)
    mailed_reports.send_due()

    assert [mail.recipients for mail in sink.mails] == [(who,) for who in people]
    run = only_run()
    assert (run.outcome, run.tries, run.reached) == (SENT, 2, people)


def test_senders_that_always_die_are_given_up_after_three(
    mailing: Callable[..., ReportSchedule],
) -> None:
    mailing()
    mailed_reports.claim(timezone.now())
    for _number in range(mailed_reports.TRIES):
        attempt = mailed_reports.begin(timezone.now())
        assert attempt is not None
        later(only_run())

    assert mailed_reports.begin(timezone.now()) is None

    run = only_run()
    assert (run.outcome, run.code, run.tries) == (FAILED, "interrupted", 3)


def test_a_sender_that_was_given_up_writes_nothing_any_more(
    sink: Sink, mailing: Callable[..., ReportSchedule]
) -> None:
    mailing()
    mailed_reports.claim(timezone.now())
    slow = mailed_reports.begin(timezone.now())
    assert slow is not None
    later(only_run())
    assert mailed_reports.begin(timezone.now()) is not None

    mailed_reports.carry_out(slow)

    run = only_run()
    assert (run.outcome, run.tries, run.reached) == (SENDING, 2, [])
