"""The page of the network report, its downloads, and the page of mailed reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import ReportRun, ReportSchedule, Snapshot
from probes.reports import sending as mailed_reports
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]
MAILINGS = "/report/mailings/"
FIELDS = {
    "name": "nightly", "every": "day", "hour": "6", "recipients": "a@example.org, b@example.org",
    "language": "zh-hans", "enabled": "on",
}  # fmt: skip


def test_a_report_of_a_host_has_every_chapter_and_its_numbers(
    viewer: Client, host: Host, page: Page
) -> None:
    html = page(viewer, f"/report/?host={host.pk}")

    for title in (
        "At a glance", "Who is connected", "Half open and closing", "Ports and programs", "Network",
        "What changed", "How this was measured", "External sources", "Common ports", "Thresholds",
    ):  # fmt: skip
        assert f">{title}</h" in html, title
    assert "203.0.113.9" in html
    assert "Network report: web1" in html
    assert f'href="/hosts/{host.pk}/"' in html


def test_the_past_is_shown_as_the_past_and_links_stay_in_it(
    viewer: Client, host: Host, page: Page
) -> None:
    first = Snapshot.objects.filter(host=host).earliest("taken_at").taken_at

    html = page(viewer, f"/report/?host={host.pk}&at={first:%Y-%m-%dT%H:%M:%S}Z")

    assert "198.51.100.3" in html
    assert "203.0.113.9" not in html
    assert "You look at" in html
    assert f'href="/hosts/{host.pk}/?at=' in html


def test_csv_and_json_have_the_same_rows(viewer: Client, host: Host) -> None:
    text = viewer.get(f"/report/?host={host.pk}&format=csv")
    told = viewer.get(f"/report/?host={host.pk}&format=json").json()["data"]["sections"]

    rows = list(csv.DictReader(io.StringIO(text.getvalue().decode())))  # type: ignore[attr-defined]
    assert text["Content-Disposition"].startswith(f'attachment; filename="report-host-{host.pk}-')
    assert {row["section"] for row in rows} == {key for key, of in told.items() if of["rows"]}
    assert len(rows) == sum(len(of["rows"]) for of in told.values())


def test_what_a_host_printed_is_text(viewer: Client, host: Host, page: Page) -> None:
    evil = line("10.0.0.5:80", "203.0.113.66:1", "CLOSE_WAIT", "9/<script>alert(1)</script>")
    fleet.seen(host, 1, LISTENER, evil)

    html = page(viewer, "/report/")

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_a_wrong_parameter_is_named(viewer: Client, host: Host, page: Page) -> None:
    for name, value in (("limit", "7"), ("format", "pdf"), ("host", "0"), ("at", "moon")):
        html = page(viewer, f"/report/?{name}={value}", 400)
        assert f"<code>{name}</code>" in html


def test_a_reader_of_some_groups_reads_of_no_other_host(host: Host, page: Page) -> None:
    group = HostGroup.objects.create(name="others")
    mine = Host.objects.create(name="mine", address="192.0.2.7")
    mine.groups.add(group)
    fleet.seen(mine, 10, LISTENER)
    reader = browser_of(person("lina", Role.VIEWER, groups=[group]))

    html = page(reader, "/report/")

    assert ">mine<" in html
    assert "web1" not in html
    assert "203.0.113.9" not in html
    assert "There is no such host" in page(reader, f"/report/?host={host.pk}", 400)


def test_without_any_host_the_page_says_what_to_do(admin: Client, page: Page) -> None:
    html = page(admin, "/report/")

    assert "No host to report on" in html
    assert "/hosts/add/" in html


def test_many_hosts_are_listed_in_part_and_the_rest_is_named(
    viewer: Client, host: Host, page: Page, monkeypatch: Any
) -> None:
    for number in range(5):
        fleet.seen(Host.objects.create(name=f"h{number}", address="h"), 10, LISTENER)
    monkeypatch.setattr("probes.reports.tables.LISTED_HOSTS", 2)

    html = page(viewer, "/report/")

    assert "4 more rows are in the CSV and the JSON." in html


# --- mailed reports -------------------------------------------------------------------------------


def add(client: Client, **fields: Any) -> ReportSchedule:
    response = client.post(f"{MAILINGS}add/", FIELDS | fields)
    assert response.status_code == 302, response.content.decode()
    return ReportSchedule.objects.latest("pk")


def test_a_mailing_is_made_from_the_report_s_page(operator: Client, host: Host, page: Page) -> None:
    form = page(operator, f"{MAILINGS}add/?host={host.pk}")
    assert f'<option value="{host.pk}" selected>web1</option>' in form

    schedule = add(operator, host=host.pk)

    assert schedule.recipients == "a@example.org\nb@example.org"
    assert schedule.next_at > timezone.now()
    assert schedule.next_at.hour == 6
    html = page(operator, MAILINGS)
    assert "nightly" in html
    assert "and 1 more" in html
    assert "never" in html
    assert AuditEntry.objects.latest("pk").action == "mailing.add"


def test_what_is_wrong_stands_beside_its_field(operator: Client, host: Host) -> None:
    group = HostGroup.objects.create(name="data")
    host.groups.add(group)
    for field, changed in (
        ("recipients", {"recipients": "a@example.org\nnobody"}),
        ("recipients", {"recipients": ""}),
        ("name", {"name": "a\u202eb"}),
        ("hour", {"hour": "25"}),
        ("group", {"host": host.pk, "group": group.pk}),
        ("host", {"host": "987654321"}),
    ):
        response = operator.post(f"{MAILINGS}add/", FIELDS | changed)
        assert response.status_code == 400, changed
        assert set(response.context["form"].errors) == {field}, changed
    assert not ReportSchedule.objects.exists()


def test_a_change_of_the_hour_moves_the_next_time_and_another_does_not(
    operator: Client, host: Host
) -> None:
    schedule = add(operator, host=host.pk)
    edit = f"{MAILINGS}{schedule.pk}/edit/"

    operator.post(edit, FIELDS | {"host": host.pk, "hour": "9"})
    moved = ReportSchedule.objects.get().next_at
    operator.post(edit, FIELDS | {"host": host.pk, "hour": "9", "name": "renamed"})

    assert moved.hour == 9
    assert ReportSchedule.objects.get().next_at == moved
    assert AuditEntry.objects.latest("pk").detail == {"name": ["nightly", "renamed"]}


def test_how_the_last_one_went_is_told(
    operator: Client, host: Host, page: Page, settings: Any
) -> None:
    schedule = add(operator, host=host.pk)
    now = timezone.now()
    run = ReportRun.objects.create(
        schedule=schedule, began_at=now, tries=1, next_try_at=now + mailed_reports.BACK_OFF[0],
        code="refused", detail="550 <b>no</b>", reached=["a@example.org"],
    )  # fmt: skip
    waiting = page(operator, MAILINGS)
    assert "Trying again" in waiting
    assert "The mail server refused it." in waiting
    assert "550 &lt;b&gt;no&lt;/b&gt;" in waiting
    assert "try 1 of 3, reached 1 of 2" in waiting

    run.next_try_at = now - 2 * mailed_reports.LEASE
    run.save()
    assert "Stuck" in page(operator, MAILINGS)
    run.outcome, run.next_try_at = ReportRun.Outcome.FAILED, None
    run.save()
    assert "Failed" in page(operator, MAILINGS)
    assert "No mail server" not in page(operator, MAILINGS)
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "No mail server is set." in page(operator, MAILINGS)


def test_sending_now_makes_one_run(operator: Client, host: Host) -> None:
    schedule = add(operator, host=host.pk)

    for said in ("will be sent within a minute", "is being sent already"):
        response = operator.post(f"{MAILINGS}{schedule.pk}/send/", follow=True)
        assert said in response.content.decode()

    assert ReportRun.objects.get().asked_by == "operator"


def test_a_mailing_of_somebody_else_is_not_there(
    operator: Client, admin: Client, host: Host, page: Page
) -> None:
    schedule = add(admin, host=host.pk)

    assert "nightly" not in page(operator, MAILINGS)
    for way in ("edit", "remove", "send"):
        response = operator.post(f"{MAILINGS}{schedule.pk}/{way}/", FIELDS)
        assert response.status_code == 404
    mine = add(operator, host=host.pk, name="mine")
    assert "mine" in page(admin, MAILINGS)
    assert admin.post(f"{MAILINGS}{mine.pk}/remove/").status_code == 302
    assert list(ReportSchedule.objects.all()) == [schedule]


def test_a_reader_is_offered_no_button(viewer: Client, host: Host, page: Page) -> None:
    assert f"{MAILINGS}add/" not in page(viewer, MAILINGS)
    assert f"{MAILINGS}add/" not in page(viewer, "/report/")
    assert viewer.post(f"{MAILINGS}add/", FIELDS).status_code == 403


def test_mailings_are_a_csv_too(operator: Client, host: Host) -> None:
    add(operator, host=host.pk, name="=evil()")

    (row,) = csv.DictReader(
        io.StringIO(operator.get(f"{MAILINGS}?format=csv").getvalue().decode())  # type: ignore[attr-defined]
    )

    assert row["name"] == "'=evil()"
    assert row["recipients"] == "a@example.org b@example.org"
