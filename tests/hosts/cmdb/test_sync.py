"""Synchronising against a real server that answers well, and in every wrong way (trust 34)."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections
from django.http import HttpRequest
from django.utils import timezone

from hosts import credentials, inventory, tasks
from hosts.cmdb import decisions, reading, sync, wording
from hosts.models import Credential, Host, HostGroup, Source, SourcedHost, SyncRun
from netadmin import env
from netadmin.access.models import AuditEntry
from tests.databases import both_databases, both_databases_committed
from tests.web_answers import Answer, WebServer, cut, drip, flood, web_server

State = SyncRun.State
PATH = "/hosts.json"


@pytest.fixture(scope="module")
def _server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def server(_server: WebServer, settings: Any) -> WebServer:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])
    _server.answers.clear()
    _server.asked.clear()
    return _server


def listing(*names: str, **more: Any) -> bytes:
    rows = [{"name": name, "address": f"{name}.example", **more} for name in names]
    return json.dumps(rows).encode()


def twenty(*left_out: int) -> bytes:
    return listing(*[f"h{n}" for n in range(20) if n not in left_out])


def source(server: WebServer, **more: Any) -> Source:
    group, _made = HostGroup.objects.get_or_create(name="cmdb")
    values = {"name": "assets", "kind": "json", "location": server.url(PATH), "group": group}
    return Source.objects.create(**values | more)


def run(of: Source, **more: Any) -> SyncRun:
    done = sync.run(of.pk, **more)
    assert done is not None
    stored = SyncRun.objects.get(pk=done.pk)
    assert stored.ended_at is not None
    return stored


@contextlib.contextmanager
def as_default(using: str) -> Iterator[None]:
    """What writes to the site's one database, in this thread, writes to that one."""
    was = connections["default"]
    connections["default"] = connections[using]
    try:
        yield
    finally:
        connections["default"] = was


def kept() -> set[str]:
    return set(Host.objects.kept().values_list("name", flat=True))


def filled(server: WebServer, **more: Any) -> Source:
    """A source from which twenty hosts came."""
    made = source(server, **more)
    server.say(PATH, twenty())
    assert run(made).state == State.DONE
    return made


@both_databases
def test_hosts_come_change_and_go(server: WebServer, using: str) -> None:
    with as_default(using):
        data = {"name": "deploy", "user": "ops", "method": "password", "password": "x"}
        deploy = credentials.create(data, request=None)
        made = source(server, credential=deploy)
        server.say(PATH, twenty())
        first = run(made)
        assert (first.state, first.rows, first.added) == (State.DONE, 20, 20)
        host = Host.objects.get(name="h3")
        assert host.credential == deploy
        assert [group.name for group in host.groups.all()] == ["cmdb"]
        assert run(made).state == State.UNCHANGED
        rows = json.loads(twenty(1))
        rows[1]["port"] = 2222
        server.say(PATH, json.dumps(rows).encode())
        second = run(made)
        assert (second.state, second.changed, second.removed) == (State.DONE, 1, 1)
        assert kept() == {f"h{n}" for n in range(20)} - {"h1"}
        assert Host.objects.get(name="h2").port == 2222
        assert Host.objects.get(name="h1").removed_at is not None
        entry = AuditEntry.objects.get(action="host.remove")
        assert (entry.actor, entry.object_name) == ("source assets", "h1")
        server.say(PATH, twenty())
        assert run(made).added == 1
        assert Host.objects.filter(name="h1").count() == 2


@both_databases
def test_a_row_that_no_database_stores_is_a_problem_of_its_own(
    server: WebServer, using: str
) -> None:
    with as_default(using):
        made = source(server)
        rows = [{"name": "good", "address": "10.0.0.1"}]
        for odd in ("bad\0", "bad\ud800"):
            rows += [{"name": odd, "address": "10.0.0.9"},
                     {"id": odd, "name": f"n{len(rows)}", "address": "10.0.0.8"}]  # fmt: skip
        server.say(PATH, json.dumps(rows).encode())
        done = run(made)
        assert (done.state, done.added) == (State.DONE, 1)
        assert [each["key"] for each in done.plan["problems"]] == ["bad\ufffd"] * 4
        assert json.dumps(done.plan, ensure_ascii=False).encode()


@pytest.mark.django_db
class TestDoing:
    def test_a_dry_run_shows_all_and_changes_nothing(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        made = filled(server)
        before = kept(), AuditEntry.objects.count()
        server.say(PATH, listing("h0", "new"))
        done = run(made, dry=True, request=by_admin)
        assert (done.state, done.added, done.removed) == (State.DRY_RUN, 1, 19)
        assert "19 of 20" in wording.run(done)
        assert done.by == "anna"
        assert [each["name"] for each in done.plan["add"]] == ["new"]
        assert len(done.plan["remove"]) == 19
        assert (kept(), AuditEntry.objects.count()) == (before[0], before[1] + 1)

    def test_a_long_list_comes_in_several_runs_one_after_the_other(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "AT_ONCE", 8)
        made = source(server)
        server.say(PATH, twenty())
        dry = run(made, dry=True)
        assert (dry.added, len(dry.plan["add"]), kept()) == (20, 20, set())
        added = []
        while tasks.sync_hosts():
            newest = SyncRun.objects.latest("pk")
            added.append((newest.added, newest.plan["later"]))
        assert added == [(8, 12), (8, 4), (4, 0)]
        server.say(PATH, listing(*[f"h{n}" for n in range(20)], notes="new"))
        first = run(made)
        assert (first.changed, first.plan["later"]) == (8, 12)

    def test_a_jump_host_is_not_removed_under_those_it_leads_to(self, server: WebServer) -> None:
        made = filled(server)
        inventory.create_host(
            {"name": "inner", "address": "inner.example", "jump_host": "h1"}, request=None
        )
        server.say(PATH, twenty(1, 2))
        done = run(made)
        assert (done.state, done.removed) == (State.DONE, 1)
        assert "h1" in kept()
        (problem,) = done.plan["problems"]
        assert "inner" in wording.problem(problem)

    def test_a_host_that_is_here_already_is_taken_only_by_a_person(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        own = inventory.create_host({"name": "h1", "address": "other.example"}, request=None)
        made = source(server)
        server.say(PATH, twenty())
        done = run(made)
        assert done.added == 19
        own.refresh_from_db()
        assert own.address == "other.example"
        (problem,) = done.plan["problems"]
        assert (problem["code"], problem["host"]) == ("exists", own.pk)
        with pytest.raises(ValidationError):
            decisions.adopt(done, Host.objects.get(name="h2").pk, request=by_admin)
        decisions.adopt(done, own.pk, request=by_admin)
        assert run(made).changed == 1
        own.refresh_from_db()
        assert own.address == "h1.example"
        assert AuditEntry.objects.filter(action="host.adopt", actor="anna").exists()

    def test_a_host_that_a_person_removed_comes_again_only_when_asked_for(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        made = filled(server)
        gone = Host.objects.get(name="h1")
        inventory.remove_host(gone, request=by_admin)
        done = run(made)
        assert done.state == State.UNCHANGED
        assert [each["host"] for each in done.plan["ignored"]] == [gone.pk]
        decisions.take_back(done, gone.pk, request=by_admin)
        assert run(made).added == 1
        assert "h1" in kept()

    def test_a_host_that_cannot_be_stored_is_a_problem_of_its_own(self, server: WebServer) -> None:
        made = filled(server, fields={"id": "id"})
        rows = json.loads(twenty())
        rows[1]["name"], rows[2]["notes"] = "h1-new", "seen"
        inventory.create_host({"name": "h1-new", "address": "x.example"}, request=None)
        server.say(
            PATH, json.dumps([{"id": f"h{n}", **row} for n, row in enumerate(rows)]).encode()
        )
        done = run(made)
        assert (done.state, done.changed) == (State.DONE, 1)
        assert [each["code"] for each in done.plan["problems"]] == ["refused"]
        assert "h1" in kept()
        again = run(made)
        assert (again.state, again.changed, again.code) == (State.DONE, 0, "refused")
        assert "1" in wording.run(again)

    @pytest.mark.parametrize(
        "after",
        [
            {"1": "b", "2": "a", "3": "c"},
            {"1": "b", "2": "c", "3": "a"},
            {"1": "b", "2": "c", "3": "d"},
            {"3": "b", "2": "a", "1": "d"},
        ],
        ids=["two swap", "a circle", "one behind the other", "and the other way"],
    )
    def test_hosts_take_each_others_names(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch, after: dict[str, str]
    ) -> None:
        monkeypatch.setattr(sync, "AT_ONCE", 3)
        made = source(server)
        for names in ({"1": "a", "2": "b", "3": "c"}, after):
            rows = [{"id": key, "name": names[key], "address": f"{key}.example"} for key in names]
            server.say(PATH, json.dumps(rows).encode())
            done = run(made)
            assert (done.state, done.code) == (State.DONE, "")
        assert {each.external_id: each.host.name for each in made.sourced.all()} == after
        assert {each.external_id: each.host.address for each in made.sourced.all()} == {
            key: f"{key}.example" for key in after
        }
        assert run(made).state == State.UNCHANGED

    def test_of_hosts_that_swap_names_all_are_changed_or_none(self, server: WebServer) -> None:
        made = source(server)
        for one, two in (("a", "b"), ("b", "a")):
            rows = [{"id": "1", "name": one, "address": "1.example"},
                    {"id": "2", "name": two, "address": "2.example"}]  # fmt: skip
            server.say(PATH, json.dumps(rows).encode())
            done = run(made)
            # Since then nothing of this host passes the checks.
            Host.objects.filter(name="b").update(platform="none")
        assert (done.changed, len(done.plan["problems"])) == (0, 2)
        assert (done.state, done.code, done.plan["change"]) == (State.DONE, "refused", [])
        assert set(Host.objects.values_list("name", "address")) == {
            ("a", "1.example"), ("b", "2.example")
        }  # fmt: skip

    def test_a_run_keeps_of_long_notes_only_the_beginning(self, server: WebServer) -> None:
        made = source(server)
        for text in ("x" * 10_000, "y" * 10_000):
            server.say(PATH, listing("h0", notes=text))
            done = run(made)
            assert Host.objects.get().notes == text
            assert len(json.dumps(done.plan)) < 1_000


@pytest.mark.django_db
class TestSecrets:
    """Trust 7: no stored secret goes to another address because a list says so."""

    def moved(self, made: Source, server: WebServer) -> SyncRun:
        rows = json.loads(twenty())
        rows[1]["address"] = "attacker.example"
        server.say(PATH, json.dumps(rows).encode())
        return run(made)

    def test_the_sources_own_credential_follows(
        self, server: WebServer, deploy: Credential
    ) -> None:
        done = self.moved(filled(server, credential=deploy), server)
        assert done.changed == 1
        assert Host.objects.get(name="h1").credential == deploy

    def test_any_other_is_taken_off_and_shown(self, server: WebServer, deploy: Credential) -> None:
        data = {"name": "root", "user": "root", "method": "password", "password": "x"}
        other = credentials.create(data, request=None)
        made = filled(server, credential=deploy)
        Host.objects.filter(name="h1").update(credential=other)
        done = self.moved(made, server)
        assert Host.objects.get(name="h1").credential is None
        (changed,) = done.plan["change"]
        assert changed["fields"]["credential"] == ["root", None]

    def test_a_token_is_sent_to_the_source_and_kept_nowhere(self, server: WebServer) -> None:
        made = source(server)
        made.set_secret("token", "Bearer hunter2")
        made.save()
        server.say(PATH, b"no", status=403)
        done = run(made)
        assert server.asked[-1].headers["authorization"] == "Bearer hunter2"
        assert (done.state, done.code) == (State.FAILED, "login")
        told = json.dumps([done.plan, done.error, wording.run(done)])
        assert "hunter2" not in told + made.token_encrypted

    def test_a_token_that_does_not_decrypt_is_not_sent(self, server: WebServer) -> None:
        made = source(server, token_encrypted="v1:t1:AAAA")
        assert run(made).code == "token"
        assert not server.asked


@pytest.mark.django_db
class TestTheGuard:
    def test_a_tenth_goes_and_more_waits_for_a_person(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        made = filled(server)
        server.say(PATH, twenty(1, 2))
        assert run(made).removed == 2
        server.say(PATH, twenty(1, 2, 3, 4))
        waiting = run(made)
        assert (waiting.state, waiting.code) == (State.WAITING, "many_removed")
        assert len(kept()) == 18
        assert decisions.waiting() == 1
        done = decisions.approve(waiting, request=by_admin)
        assert (done.pk, done.state, done.removed) == (waiting.pk, State.DONE, 2)
        assert done.decided_by == "anna"
        assert len(kept()) == 16
        with pytest.raises(ValidationError):
            decisions.approve(SyncRun.objects.get(pk=done.pk), request=by_admin)

    def test_what_was_removed_within_a_day_counts_but_not_what_a_person_approved(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        made = filled(server)
        server.say(PATH, twenty(1))
        assert run(made).removed == 1
        server.say(PATH, twenty(1, 2))
        assert run(made).removed == 1
        server.say(PATH, twenty(1, 2, 3))
        waiting = run(made)
        assert (waiting.state, waiting.code) == (State.WAITING, "many_lately")
        assert "3 of 20" in wording.run(waiting)
        decisions.approve(waiting, request=by_admin)
        SyncRun.objects.filter(decided_at=None).update(started_at=timezone.now() - sync.LATELY)
        server.say(PATH, twenty(1, 2, 3, 4))
        assert run(made).state == State.DONE

    def test_an_approval_holds_for_what_was_shown_or_less(
        self, server: WebServer, by_admin: HttpRequest
    ) -> None:
        made = filled(server)
        server.say(PATH, twenty(1, 2, 3))
        waiting = run(made)
        server.say(PATH, twenty(1, 2, 4))
        again = decisions.approve(waiting, request=by_admin)
        assert again.state == State.WAITING
        assert len(kept()) == 20
        server.say(PATH, twenty(1, 2))
        assert decisions.approve(again, request=by_admin).removed == 2

    def test_a_declined_run_does_nothing(self, server: WebServer, by_admin: HttpRequest) -> None:
        made = filled(server)
        server.say(PATH, twenty(1, 2, 3))
        declined = decisions.decline(run(made), request=by_admin)
        assert (declined.state, declined.decided_by) == (State.REFUSED, "anna")
        assert len(kept()) == 20
        assert AuditEntry.objects.filter(action="source.decline").exists()

    def test_only_the_newest_run_waits(self, server: WebServer) -> None:
        made = filled(server)
        server.say(PATH, twenty(1, 2, 3))
        first = run(made)
        run(made)
        first.refresh_from_db()
        assert (first.state, first.code) == (State.REFUSED, "superseded")
        server.say(PATH, twenty())
        assert run(made).state == State.UNCHANGED
        assert decisions.waiting() == 0


WRONG: dict[str, tuple[Answer, State, str]] = {
    "500": (Answer(b"oops", 500), State.FAILED, "status"),
    "an empty list": (Answer(b"[]"), State.REFUSED, "empty"),
    "nothing": (Answer(b""), State.REFUSED, "empty"),
    "half": (Answer(twenty()[:300]), State.REFUSED, "truncated"),
    "less than it says": (Answer(odd=cut), State.FAILED, "truncated"),
    "100 MB": (flood(100_000_000), State.FAILED, "too_large"),
    "a drip": (Answer(odd=drip), State.FAILED, "timeout"),
    "a login page": (Answer(b"<html>Log in</html>"), State.REFUSED, "broken"),
    "another document": (Answer(b'{"error": "no"}'), State.REFUSED, "no_list"),
    "only duplicates": (Answer(listing(*["h1"] * 20)), State.REFUSED, "no_good_row"),
    "a redirect inside": (
        Answer(status=302, headers={"Location": "http://169.254.169.254/"}),
        State.FAILED,
        "blocked",
    ),
    "a redirect to nowhere": (
        Answer(status=302, headers={"Location": "http://[::1"}),
        State.FAILED,
        "url",
    ),
    "no gzip": (Answer(b"oops", headers={"Content-Encoding": "gzip"}), State.FAILED, "encoding"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_changes_nothing(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    made = filled(server)
    hosts, sourced = kept(), list(SourcedHost.objects.values())
    entries = AuditEntry.objects.count()
    answer, state, code = WRONG[wrong]
    server.answers[PATH] = answer
    if wrong == "a drip":
        monkeypatch.setattr(reading, "DEADLINE_S", 0.3)
    done = run(made)
    assert (done.state, done.code) == (state, code)
    assert done.error in ("", wording.run(done))
    assert wording.run(done)
    assert (kept(), list(SourcedHost.objects.values())) == (hosts, sourced)
    assert AuditEntry.objects.count() == entries


@pytest.mark.django_db
def test_an_address_inside_is_refused_unless_allowed(server: WebServer, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ()
    done = run(source(server))
    assert (done.state, done.code) == (State.FAILED, "blocked")
    assert "127.0.0.1" in wording.run(done)
    assert not server.asked


@pytest.mark.django_db
def test_an_error_of_our_own_takes_all_back(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled(server)
    server.say(PATH, listing(*[f"h{n}" for n in range(20)], "new", "newer"))
    real = inventory.create_host

    def second_fails(data: Any, **more: Any) -> Host:
        if data["name"] == "newer":
            raise RuntimeError("broken")
        return real(data, **more)

    monkeypatch.setattr(inventory, "create_host", second_fails)
    done = run(made)
    assert (done.state, done.code, done.added, done.plan) == (State.FAILED, "error", 0, {})
    assert "new" not in kept()
    monkeypatch.undo()
    assert run(made).added == 2


@pytest.mark.django_db
class TestFiles:
    def test_only_files_of_the_folder_are_read(
        self, server: WebServer, settings: Any, tmp_path: Path
    ) -> None:
        folder = tmp_path / "cmdb"
        folder.mkdir()
        (tmp_path / "secret.csv").write_text("name,address\na,a.example\n")
        (folder / "hosts.csv").write_text("name,address\na,a.example\n")
        (folder / "cut.csv").write_text("name,address\na,a.exam")
        (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
        (folder / "in.csv").symlink_to(folder / "hosts.csv")
        os.mkfifo(folder / "pipe.csv")
        made = source(server, kind="csv", location="hosts.csv")
        assert run(made).code == "no_files_dir"
        settings.CMDB_FILES_DIR = folder
        codes = {}
        for name in ("../secret.csv", str(tmp_path / "secret.csv"), "out.csv", "pipe.csv",
                     "none.csv", ".", "cut.csv", "in.csv"):  # fmt: skip
            Source.objects.filter(pk=made.pk).update(location=name)
            codes[name] = run(made).code
        assert codes == {
            "../secret.csv": "file_outside",
            str(tmp_path / "secret.csv"): "file_outside",
            "out.csv": "file_outside",
            "pipe.csv": "file_outside",
            "none.csv": "file_missing",
            ".": "file_outside",
            "cut.csv": "truncated",
            "in.csv": "",
        }
        assert kept() == {"a"}


@pytest.mark.django_db
class TestSchedule:
    def test_a_source_is_asked_when_its_time_has_come(self, server: WebServer) -> None:
        made = source(server, every_minutes=30)
        source(server, name="off", enabled=False)
        server.say(PATH, twenty())
        begun = timezone.now()
        assert tasks.sync_hosts() == 1
        made.refresh_from_db()
        assert made.next_sync_at is not None
        assert made.next_sync_at - begun >= dt.timedelta(minutes=30)
        assert made.lease_until is None
        assert tasks.sync_hosts() == 0
        Source.objects.update(next_sync_at=begun)
        assert tasks.sync_hosts() == 1

    def test_a_killed_workers_lease_runs_out(self, server: WebServer) -> None:
        made = source(server)
        server.say(PATH, twenty())
        now = timezone.now()
        dead = SyncRun.objects.create(source=made, started_at=now)
        Source.objects.update(lease_until=now + dt.timedelta(seconds=60))
        assert tasks.sync_hosts() == 0
        assert sync.run(made.pk) is None
        Source.objects.update(lease_until=now)
        assert tasks.sync_hosts() == 1
        dead.refresh_from_db()
        assert (dead.state, dead.code) == (State.FAILED, "interrupted")

    def test_old_runs_are_forgotten_but_not_what_waits_nor_the_newest(
        self, server: WebServer, settings: Any
    ) -> None:
        made = filled(server)
        server.say(PATH, twenty(1, 2, 3))
        waiting = run(made)
        server.say(PATH, b"[]")
        newest = run(made)
        old = timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS + 1)
        for number, row in enumerate(SyncRun.objects.order_by("pk")):
            SyncRun.objects.filter(pk=row.pk).update(started_at=old + dt.timedelta(minutes=number))
        assert decisions.forget_old_runs(timezone.now()) == 1
        assert set(SyncRun.objects.values_list("pk", flat=True)) == {waiting.pk, newest.pk}

    def test_the_command_says_what_it_did(
        self, server: WebServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source(server)
        server.say(PATH, listing("h1", "h2", "h2"))
        call_command("sync_hosts", "assets", "--dry-run")
        assert "+ h1 h1.example" in capsys.readouterr().out
        assert not kept()
        call_command("sync_hosts")
        assert "1 listed" not in capsys.readouterr().out
        assert kept() == {"h1"}
        with pytest.raises(CommandError):
            call_command("sync_hosts", "unknown")
        server.say(PATH, b"[]")
        with pytest.raises(CommandError):
            call_command("sync_hosts")
        assert "no host" in capsys.readouterr().out


@both_databases_committed
def test_two_workers_do_it_once(
    server: WebServer, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is at the door while the first reads."""
    reads, go = threading.Semaphore(0), threading.Event()
    real = reading.read

    def slow(of: Source) -> Any:
        reads.release()
        go.wait(60)
        return real(of)

    monkeypatch.setattr(reading, "read", slow)
    done: list[SyncRun | None] = []
    with as_default(using):
        made = source(server)
        server.say(PATH, twenty())

        def work() -> None:
            with as_default(using):
                try:
                    done.append(sync.run(made.pk))
                finally:
                    connections.close_all()

        first = threading.Thread(target=work)
        first.start()
        assert reads.acquire(timeout=60)
        assert sync.run(made.pk) is None
        go.set()
        first.join(60)
        assert [each.state for each in done if each] == [State.DONE]
        assert len(kept()) == 20
        assert SyncRun.objects.count() == 1
