"""Saved hunts over new data: each hit is counted once, whoever looks and whatever dies."""

from __future__ import annotations

import datetime as dt
import smtplib
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Access, Role
from probes import tasks
from probes.history import store
from probes.history.queries import new_sightings
from probes.hunts import alert_mail
from probes.hunts import running as hunting
from probes.models import Alert, Change, Hunt
from tests.databases import POSTGRESQL, both_databases, both_databases_committed
from tests.probes.history import plans
from tests.probes.history.played import LISTENER, line, observed, table
from tests.probes.history.test_queries_sightings import crowd as crowd
from tests.waiting import wait_until

BAD = "203.0.113.9"


def dialled(*ports: int) -> list[str]:
    return [line(f"10.0.0.5:{port}", f"{BAD}:4444", holder="66/xmrig") for port in ports]


def owner(using: str, name: str = "otto", groups: list[HostGroup] | None = None) -> User:
    user = User.objects.using(using).create(username=name)
    access = Access.objects.using(using).create(
        user=user, role=Role.OPERATOR, all_hosts=groups is None
    )
    access.groups.set(groups or [])
    return user


def saved(using: str, by: User, text: str = BAD, **fields: Any) -> Hunt:
    fields = {"name": "botnet", "checked_at": timezone.now()} | fields
    return Hunt.objects.using(using).create(owner=by, indicators=text, **fields)


def new_host(using: str, name: str = "web1") -> Host:
    return Host.objects.using(using).create(name=name, address="192.0.2.1")


def sees(host: Host, using: str, seconds: float, *lines: str) -> dt.datetime:
    """A probe that saw these lines, so many seconds from now."""
    taken_at = timezone.now() + dt.timedelta(seconds=seconds)
    store.save(host, observed(0, table(LISTENER, *lines), taken_at=taken_at), using=using)
    return taken_at


def alerts(using: str) -> list[tuple[str, int, bool]]:
    rows = Alert.objects.using(using).select_related("host").order_by("host__name", "pk")
    return [(row.host.name, row.hits, row.acknowledged_at is None) for row in rows]


def known(using: str) -> None:
    """Somebody acknowledges all of them, by which alerts of hunts are over."""
    now = timezone.now()
    Alert.objects.using(using).update(acknowledged_at=now, resolved_at=now)


@both_databases
def test_a_hit_opens_one_alert_a_host_and_more_hits_add_to_it(using: str) -> None:
    hunt = saved(using, owner(using))
    one, two = new_host(using), new_host(using, "web2")
    first = sees(one, using, 1, *dialled(40_000))
    assert (hunting.run(using).hits, alerts(using)) == (1, [("web1", 1, True)])

    sees(two, using, 2, line("10.0.0.5:22", f"{BAD}:51000"))
    newest = sees(one, using, 3, *dialled(40_000, 40_001, 40_002))
    ran = hunting.run(using)

    assert (ran.hits, ran.opened) == (3, 1)
    assert alerts(using) == [("web1", 3, True), ("web2", 1, True)]
    alert = Alert.objects.using(using).get(host=one)
    assert (alert.opened_at, alert.newest_at) == (first, newest)
    assert (alert.subject, alert.hunt_id, alert.kind) == ("botnet", hunt.pk, "hunt")
    told = Change.objects.using(using).filter(announced_at=None).order_by("host__name")
    assert [(row.kind, row.turn, row.host_id) for row in told] == [
        ("hunt_hit", "opened", one.pk), ("hunt_hit", "opened", two.pk)
    ], "channels hear of each alert once"  # fmt: skip
    assert told[0].alert == alert
    assert [row["local_port"] for row in alert.evidence] == [40_000, 40_001, 40_002]
    assert {(row["indicator"], row["foreign_ip"], row["program"]) for row in alert.evidence} == {
        (BAD, BAD, "xmrig")
    }


@both_databases
def test_looking_again_and_again_counts_nothing_twice(using: str) -> None:
    saved(using, owner(using), f"{BAD} 203.0.113.0/24 program:xmrig port 4444")
    host = new_host(using)
    for turn in range(5):
        sees(host, using, turn, *dialled(*range(40_000, 40_001 + turn)))
        for _again in range(2):
            hunting.run(using)
    sees(host, using, 6)  # all of them are gone, and closed
    hunting.run(using)

    assert alerts(using) == [("web1", 5, True)]
    evidence = Alert.objects.using(using).get().evidence
    assert sorted(row["local_port"] for row in evidence) == list(range(40_000, 40_005))


@both_databases
def test_an_acknowledged_alert_is_followed_by_another_without_its_hits(using: str) -> None:
    saved(using, owner(using))
    host = new_host(using)
    sees(host, using, 1, *dialled(40_000))
    hunting.run(using)
    known(using)
    hunting.run(using)
    assert alerts(using) == [("web1", 1, False)]

    sees(host, using, 2, *dialled(40_000, 40_001))
    hunting.run(using)
    assert alerts(using) == [("web1", 1, False), ("web1", 1, True)]


@both_databases
def test_what_was_there_before_is_not_new(using: str) -> None:
    host = new_host(using)
    sees(host, using, -hunting.margin().total_seconds() - 60, *dialled(40_000))
    saved(using, owner(using))
    assert hunting.run(using).hits == 0
    assert alerts(using) == []


@both_databases
def test_a_probe_that_is_stored_late_is_not_missed(using: str) -> None:
    hunt = saved(using, owner(using), checked_at=timezone.now() - dt.timedelta(hours=1))
    host = new_host(using)
    hunting.run(using)
    checked = Hunt.objects.using(using).get(pk=hunt.pk).checked_at
    assert checked is not None
    assert timezone.now() - checked < dt.timedelta(minutes=1)
    sees(host, using, -60, *dialled(40_000))  # taken before the hunt looked, stored after
    hunting.run(using)
    assert alerts(using) == [("web1", 1, True)]


@both_databases
def test_a_hunt_looks_where_its_owner_may_and_rests_without_one(using: str) -> None:
    group = HostGroup.objects.using(using).create(name="inside")
    user = owner(using, groups=[group])
    saved(using, user)
    saved(using, owner(using, "idle"), name="off", enabled=False)
    inside, outside = new_host(using), new_host(using, "web2")
    inside.groups.add(group)
    for host in (inside, outside):
        sees(host, using, 1, *dialled(40_000))
    assert hunting.run(using).hunts == 1
    assert alerts(using) == [("web1", 1, True)]

    User.objects.using(using).filter(pk=user.pk).update(is_active=False)
    sees(inside, using, 2, *dialled(40_001))
    ran = hunting.run(using)
    assert (ran.hunts, ran.resting, ran.hits) == (0, 1, 0)
    User.objects.using(using).filter(pk=user.pk).update(is_active=True)
    Access.objects.using(using).filter(user=user).delete()
    assert hunting.run(using).resting == 1
    assert alerts(using) == [("web1", 1, True)]


@both_databases
def test_a_hunt_that_fails_keeps_no_other_from_looking(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = owner(using)
    broken, _whole = saved(using, user), saved(using, user, "program:xmrig", name="miner")
    sees(new_host(using), using, 1, *dialled(40_000))
    look = hunting.look

    def sometimes(hunt: Hunt) -> tuple[int, int]:
        if hunt.pk == broken.pk:
            raise ValueError("odd")
        return look(hunt)

    monkeypatch.setattr(hunting, "look", sometimes)
    ran = hunting.run(using)
    assert (ran.hunts, ran.failed, ran.hits) == (1, 1, 1)
    monkeypatch.setattr(hunting, "look", look)
    assert hunting.run(using).hits == 1
    assert [alert.subject for alert in Alert.objects.using(using).order_by("pk")] == [
        "miner", "botnet"
    ]  # fmt: skip


@both_databases
def test_an_alert_keeps_the_first_rows_and_the_newest(using: str) -> None:
    saved(using, owner(using))
    host = new_host(using)
    ports = range(40_000, 40_060)
    sees(host, using, 1, *dialled(*ports[:30]))
    hunting.run(using)
    sees(host, using, 2, *dialled(*ports[:59]))
    hunting.run(using)
    newest = sees(host, using, 3, *dialled(*ports))
    hunting.run(using)

    alert = Alert.objects.using(using).get()
    assert alert.hits == 60
    assert len(alert.evidence) == hunting.FIRST_ROWS + hunting.NEWEST_ROWS
    first = {row["local_port"] for row in alert.evidence[: hunting.FIRST_ROWS]}
    assert first <= set(ports[:30])
    assert alert.evidence[-1]["local_port"] == ports[-1]
    assert dt.datetime.fromisoformat(alert.evidence[-1]["first_seen"]) == newest


@both_databases
def test_the_database_refuses_a_second_open_alert(using: str) -> None:
    hunt, host, now = saved(using, owner(using)), new_host(using), timezone.now()
    fields = {"kind": "hunt", "hunt": hunt, "host": host, "subject": "x", "opened_at": now}
    fields |= {"fingerprint": f"hunt:{hunt.pk}", "ends_by_word": True}
    Alert.objects.using(using).create(newest_at=now, **fields)
    with pytest.raises(IntegrityError), transaction.atomic(using=using):
        Alert.objects.using(using).create(newest_at=now, **fields)
    known(using)
    Alert.objects.using(using).create(newest_at=now, **fields)


def at_the_same_time(work: Callable[[], Any], *, threads: int) -> None:
    """Run it in so many threads at once; what one raises fails the test."""
    ready, raised = threading.Barrier(threads), []

    def run() -> None:
        try:
            ready.wait(60)
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(120)
    assert not raised


@both_databases_committed
def test_two_workers_at_once_count_each_hit_once(using: str) -> None:
    saved(using, owner(using), f"{BAD} program:xmrig")
    fleet = [new_host(using, f"web{n}") for n in range(3)]
    for turn in range(3):
        for host in fleet:
            sees(host, using, turn, *dialled(*range(40_000, 40_002 + turn)))
        at_the_same_time(lambda: hunting.run(using), threads=3)
    assert alerts(using) == [(host.name, 4, True) for host in fleet]


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_what_comes_while_an_alert_is_acknowledged_opens_another() -> None:
    using = POSTGRESQL
    saved(using, owner(using))
    host = new_host(using)
    sees(host, using, 1, *dialled(40_000))
    hunting.run(using)
    sees(host, using, 2, *dialled(40_000, 40_001))

    def look() -> None:
        hunting.run(using)
        connections.close_all()

    worker = threading.Thread(target=look)
    with transaction.atomic(using=using):
        known(using)
        worker.start()
        wait_until(lambda: somebody_waits_for_us(using), timeout_s=30)
    worker.join(60)
    assert not worker.is_alive()
    assert alerts(using) == [("web1", 1, False), ("web1", 1, True)]


def somebody_waits_for_us(using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


class Killed(BaseException):
    """As a process ends: nothing after it runs."""


@both_databases_committed
def test_a_worker_that_dies_half_way_leaves_all_of_it_or_nothing(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(using, owner(using))
    for name in ("web1", "web2"):
        sees(new_host(using, name), using, 1, *dialled(40_000))
    add = hunting._add
    added: list[bool] = []

    def dies(*given: Any) -> bool:
        if added:
            raise Killed
        added.append(add(*given))
        return True

    monkeypatch.setattr(hunting, "_add", dies)
    with pytest.raises(Killed):
        hunting.run(using)
    assert alerts(using) == []
    monkeypatch.setattr(hunting, "_add", add)
    hunting.run(using)
    assert alerts(using) == [("web1", 1, True), ("web2", 1, True)]


@both_databases
def test_a_hunt_that_another_worker_has_is_left_to_it_until_that_has_died(using: str) -> None:
    user = owner(using)
    held, _free = saved(using, user), saved(using, user, "program:xmrig", name="miner")
    sees(new_host(using), using, 1, *dialled(40_000))
    soon = timezone.now() + hunting.LEASE
    Hunt.objects.using(using).filter(pk=held.pk).update(busy_until=soon)
    ran = hunting.run(using)
    assert (ran.hunts, ran.left) == (1, 1)
    assert [alert.subject for alert in Alert.objects.using(using).all()] == ["miner"]

    Hunt.objects.using(using).filter(pk=held.pk).update(busy_until=timezone.now())
    ran = hunting.run(using)
    assert (ran.hunts, ran.left) == (2, 0)
    assert {alert.subject for alert in Alert.objects.using(using).all()} == {"miner", "botnet"}
    assert not Hunt.objects.using(using).filter(busy_until__isnull=False).exists()


@both_databases
def test_a_hunt_that_another_worker_has_just_done_is_not_done_again(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = owner(using)
    _first, second = saved(using, user), saved(using, user, "program:xmrig", name="miner")
    looked: list[str] = []

    def looks(hunt: Hunt) -> tuple[int, int]:
        looked.append(hunt.name)
        # Meanwhile the other worker is done with the second one.
        Hunt.objects.using(using).filter(pk=second.pk).update(checked_at=timezone.now())
        return 0, 0

    monkeypatch.setattr(hunting, "look", looks)
    ran = hunting.run(using)
    assert (looked, ran.left) == (["botnet"], 1)


@both_databases
def test_a_run_that_has_no_time_left_begins_no_further_hunt_and_the_next_begins_with_it(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = owner(using)
    for name in ("one", "two"):
        saved(using, user, name=name, checked_at=timezone.now())
    sees(new_host(using), using, 1, *dialled(40_000))
    for _turn in range(2):
        clock = SimpleNamespace(monotonic=iter([0.0, 0.0, hunting.RUN_S]).__next__)
        monkeypatch.setattr("probes.hunts.running.time", clock)
        ran = hunting.run(using)
        assert (ran.hunts, ran.left) == (1, 1)
    subjects = [alert.subject for alert in Alert.objects.using(using).order_by("pk")]
    assert subjects == ["one", "two"]


@both_databases
def test_looking_reads_no_table_of_sockets_whole(crowd: list[int], using: str) -> None:
    hosts = Host.objects.using(using).filter(pk__in=crowd)
    text = "10.0.30.30 10.0.31.0/28 port 443 program:p77 10.0.30.31:443"
    from probes.history.queries.sought import Sought
    from probes.indicators import read
    from tests.probes.history.played import at

    wanted = Sought(read(text).indicators, new_since=at(600))
    assert plans.whole_reads(using, lambda: new_sightings.counts(hosts, wanted)) == []
    after = dict.fromkeys(crowd, at(600))

    def evidence() -> Any:
        return new_sightings.evidence(hosts, wanted, after=after, each=20)

    assert plans.whole_reads(using, evidence) == []


# --- mail -----------------------------------------------------------------------------------------


@pytest.fixture
def alerted(db: None) -> Alert:
    """An alert of a hunt that mails."""
    saved("default", owner("default"), mail_to="soc@example.org\nops@example.org")
    rows = line("10.0.0.5:40000", f"{BAD}:4444", holder="66/a\x1b[2J <b>")
    sees(new_host("default"), "default", 1, rows)
    hunting.run()
    return Alert.objects.get()


def test_an_alert_is_mailed_once(alerted: Alert, settings: Any) -> None:
    settings.SITE_URL = "https://net.example"
    assert alert_mail.send() == 1
    assert alert_mail.send() == 0

    sent, other = mail.outbox
    assert (sent.to, other.to) == (["soc@example.org"], ["ops@example.org"]), "nobody sees others"
    assert sent.message()["Message-ID"] != other.message()["Message-ID"]
    assert sent.message()["Auto-Submitted"] == "auto-generated"
    assert sent.subject == "[netadmin] botnet: seen on 1 host"
    assert f"203.0.113.9:4444 ESTABLISHED a\\x1b[2J <b> ({BAD})" in sent.body
    assert f"https://net.example/alerts/?hunt={alerted.hunt_id}" in sent.body
    alerted.refresh_from_db()
    assert alerted.mailed_at is not None
    sees(alerted.host, "default", 2, *dialled(40_001))
    hunting.run()
    assert alert_mail.send() == 0, "what adds to an alert is no new one"


def test_alerts_of_one_hunt_go_in_one_mail(alerted: Alert) -> None:
    sees(new_host("default", "web2"), "default", 1, *dialled(40_000))
    hunting.run()
    assert alert_mail.send() == 2
    assert len(mail.outbox) == 2, "one each recipient"
    sent = mail.outbox[0]
    assert sent.subject == "[netadmin] botnet: seen on 2 hosts"


def test_a_mail_that_fails_is_tried_again_some_times(
    alerted: Alert, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def fails(*_given: Any, **_named: Any) -> None:
        tries.append(1)
        raise OSError("535 bad password hunter2")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fails)
    for _turn in range(alert_mail.TRIES + 3):
        assert alert_mail.send() == 0
        assert alert_mail.send() == 0, "not before its time"
        Alert.objects.filter(mail_after__isnull=False).update(mail_after=timezone.now())
    assert len(tries) == alert_mail.TRIES
    alerted.refresh_from_db()
    assert (alerted.mailed_at, alerted.mail_after) == (None, None)
    assert "OSError" in caplog.text
    assert "hunter2" not in caplog.text


def test_whom_the_server_refuses_is_tried_again_alone_under_the_same_message_id(
    alerted: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = "django.core.mail.backends.locmem.EmailBackend.send_messages"
    tried: list[tuple[str, str]] = []

    def refuses_soc(_backend: Any, messages: Any) -> int:
        (one,) = messages
        tried.append((one.to[0], one.message()["Message-ID"]))
        if one.to == ["soc@example.org"] and len(tried) < 3:
            raise smtplib.SMTPRecipientsRefused({"soc@example.org": (450, b"greylisted")})
        return 1

    monkeypatch.setattr(backend, refuses_soc)
    assert alert_mail.send() == 0
    assert Alert.objects.get().mail_reached == ["ops@example.org"]
    Alert.objects.update(mail_after=timezone.now())
    assert alert_mail.send() == 1
    assert [who for who, _one in tried] == ["soc@example.org", "ops@example.org", "soc@example.org"]
    assert tried[0][1] == tried[2][1]
    assert Alert.objects.get().mailed_at is not None


@pytest.mark.parametrize("backend", ["console", "dummy"])
def test_without_a_mail_server_an_alert_stays_unmailed_until_there_is_one(
    alerted: Alert, settings: Any, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    assert alert_mail.send() == 0
    assert "botnet" not in capsys.readouterr().out
    alerted.refresh_from_db()
    assert (alerted.mailed_at, alerted.mail_tries) == (None, 0)
    settings.EMAIL_BACKEND = usual
    assert alert_mail.send() == 1


def test_mail_is_sent_even_where_hunting_failed(
    alerted: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(hunting, "run", fails)
    with pytest.raises(RuntimeError):
        tasks.hunt()
    assert len(mail.outbox) == 2


def test_nobody_is_told_of_a_hunt_that_is_gone_or_mails_nobody(alerted: Alert) -> None:
    Hunt.objects.update(mail_to="")
    assert alert_mail.send() == 0
    assert Alert.objects.get().mail_after is None
    assert not mail.outbox


def test_no_name_breaks_out_of_a_subject(alerted: Alert) -> None:
    hunt = Hunt.objects.get()
    hunt.name = "x\nBcc: all@example.org"
    connection = mail.get_connection()
    sent = alert_mail.message(hunt, [alerted], to="soc@example.org", connection=connection)
    assert "\n" not in sent.subject
    assert "Bcc" not in sent.message()
    assert sent.recipients() == ["soc@example.org"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_mail_once() -> None:
    saved("default", owner("default"), mail_to="soc@example.org")
    sees(new_host("default"), "default", 1, *dialled(40_000))
    hunting.run()
    at_the_same_time(alert_mail.send, threads=3)
    assert len(mail.outbox) == 1
