"""The routes of the report and of mailed reports: what they answer, and to whom."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes.models import ReportRun, ReportSchedule
from tests.people import person
from tests.probes.api.site import Caller, Site, error_of
from tests.probes.history.played import at

REPORT, MAILINGS = "/api/v1/report", "/api/v1/report-mailings/"
NEW: dict[str, Any] = {"name": "weekly", "every": "week", "recipients": ["ops@example.org"]}


def made(caller: Caller, **fields: Any) -> dict[str, Any]:
    """A new mailing as the API shows it."""
    response = caller.call("POST", MAILINGS, NEW | fields)
    assert response.status_code == 201, response.content
    mailing: dict[str, Any] = response.json()["data"]["mailing"]  # type: ignore[attr-defined]
    assert response["Location"] == f"{MAILINGS}{mailing['id']}/"
    return mailing


def refused(
    caller: Caller, field: str, method: str = "POST", path: str = MAILINGS, **fields: Any
) -> None:
    body = NEW | fields if method == "POST" else fields
    error = error_of(caller.call(method, path, body), 400)
    assert (error["code"], error["field"]) == ("invalid", field)


def address(pk: int) -> str:
    return reverse("api-report-mailing", args=[pk])


def test_the_report_is_of_what_was_asked_for(site: Site) -> None:
    caller = site.session("viewer")

    everything = caller.get(REPORT)
    one = caller.get(REPORT, host=site.host.pk, limit=1)
    group = caller.get(REPORT, group="inside")
    then = caller.get(REPORT, at=at(0).isoformat())

    assert (everything["hosts"], everything["host"], everything["group"]) == (2, None, None)
    assert one["host"] == {"id": site.host.pk, "name": "web1"}
    assert len(one["sections"]["remote_ips"]["rows"]) == one["limit"] == 1
    assert group["group"] == "inside"
    assert [row["host"] for row in group["sections"]["measured"]["rows"]] == ["web1"]
    assert then["at"] == at(0).replace(microsecond=999_999).isoformat()
    assert _sockets(then) == 16
    assert _sockets(everything) == 18
    assert caller.get(REPORT, at=at(-1).isoformat())["hosts_known"] == 0


def _sockets(report: dict[str, Any]) -> int:
    rows = report["sections"]["totals"]["rows"]
    return int(next(row["sockets"] for row in rows if row["what"] == "sockets"))


def test_the_report_s_csv_is_its_rows(site: Site) -> None:
    caller = site.session("viewer")
    rows = list(csv.DictReader(io.StringIO(caller.csv(REPORT, host=site.host.pk))))
    sections = caller.get(REPORT, host=site.host.pk)["sections"]

    for key, section in sections.items():
        found = [row for row in rows if row["section"] == key]
        assert len(found) == len(section["rows"]), key
        for shown, row in zip(found, section["rows"], strict=True):
            assert {name for name, value in shown.items() if value} - {"section"} <= set(row)
    assert "'=cmd|' /C calc'!A0" in {row["program"] for row in rows}


def test_what_is_outside_the_caller_s_groups_is_absent(site: Site) -> None:
    caller = site.session("limited viewer")

    report = caller.get(REPORT)

    assert report["hosts"] == 1
    assert "db1" not in str(report)
    assert caller.refused(404, REPORT, host=site.hidden.pk)["field"] == "host"
    assert caller.refused(404, REPORT, group="others")["field"] == "group"
    assert caller.refused(404, REPORT, host=987654321)["field"] == "host"


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "101"), ("limit", "x"), ("at", "now"), ("host", "-1"),
     ("format", "pdf"), ("group", "x" * 101), ("moon", "1"), ("limit", "")],
)  # fmt: skip
def test_the_report_names_what_is_wrong(site: Site, name: str, value: str) -> None:
    error = site.session("viewer").refused(400, REPORT, **{name: value})

    assert (error["code"], error["field"]) == ("invalid", name)


def test_a_mailing_is_made_shown_changed_and_removed(site: Site) -> None:
    caller = site.session("operator")
    mailing = made(
        caller,
        host=site.host.pk,
        hour=3,
        recipients=["ops@example.org", "OPS@EXAMPLE.ORG", "ops@EXAMPLE.org", "net@example.org"],
    )
    assert mailing["host"] == {"id": site.host.pk, "name": "web1"}
    # The part before the @ may tell cases apart, the domain does not.
    assert mailing["recipients"] == ["ops@example.org", "OPS@EXAMPLE.ORG", "net@example.org"]
    assert (mailing["owner"], mailing["last"], mailing["enabled"]) == ("otto", None, True)
    assert mailing["next_at"].endswith("T03:00:00+00:00")

    path = address(mailing["id"])
    changed = caller.call("PATCH", path, {"hour": 5, "enabled": False}).json()  # type: ignore[attr-defined]
    assert (changed["data"]["mailing"]["hour"], changed["data"]["mailing"]["next_at"]) == (5, None)
    assert caller.get(path)["mailing"]["name"] == "weekly"
    assert caller.get(MAILINGS)["total"] == 1
    assert caller.call("DELETE", path).status_code == 200
    assert caller.get(MAILINGS)["mailings"] == []


def test_what_is_no_mailing_is_refused_by_its_field(site: Site) -> None:
    caller = site.session("operator")

    for field, value in (
        ("name", ""), ("name", "a\nb"), ("name", "x" * 101), ("every", "year"), ("hour", 24),
        ("hour", -1), ("hour", "7"), ("recipients", "ops@example.org"), ("recipients", []),
        ("recipients", ["nobody"]), ("recipients", ["a@b.example\r\nBcc: c@d.example"]),
        ("recipients", ["Ops <ops@example.org>"]), ("recipients", ["x" * 250 + "@example.org"]),
        ("language", "fr"), ("language", ""), ("host", 987654321), ("group", "moon"),
        ("enabled", "yes"), ("moon", 1),
    ):  # fmt: skip
        error = error_of(caller.call("POST", MAILINGS, NEW | {field: value}), 400)
        assert error["field"].split(".")[0] == field, (field, value)
    refused(caller, "recipients", recipients=[f"p{n}@example.org" for n in range(51)])
    refused(caller, "group", host=site.host.pk, group="inside")
    assert not ReportSchedule.objects.exists()


def test_one_person_has_so_many_mailings_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.reports.mailings.MOST_OF_ONE", 2)
    caller = site.session("operator")
    for name in ("a", "b"):
        made(caller, name=name)

    refused(caller, "name", name="c")
    made(site.session("admin"), name="c")


def test_a_mailing_is_there_for_its_owner_and_the_administrators_of_all_hosts(site: Site) -> None:
    mailing = made(site.session("operator"), host=site.host.pk)
    path = address(mailing["id"])
    other = person("olga", Role.OPERATOR)
    site.people["another operator"] = other

    for who in ("another operator", "limited admin"):
        caller = site.session(who)
        assert caller.get(MAILINGS)["total"] == 0
        for method, body in (("GET", None), ("PATCH", {"hour": 1}), ("DELETE", None)):
            error_of(caller.call(method, path, body), 404)
        error_of(caller.call("POST", f"{path}send"), 404)
    assert site.session("admin").get(path)["mailing"]["owner"] == "otto"
    assert site.session("viewer").get(MAILINGS)["mailings"] == []
    error_of(site.session("viewer").call("POST", MAILINGS, NEW), 403)


def test_an_operator_of_some_groups_mails_only_what_it_sees(site: Site) -> None:
    site.people["limited operator"] = person("lars", Role.OPERATOR, groups=[site.group])
    caller = site.session("limited operator")

    refused(caller, "host", host=site.hidden.pk)
    refused(caller, "group", group="others")
    assert made(caller, host=site.host.pk)["host"]["id"] == site.host.pk
    assert made(caller, group="inside")["group"] == "inside"
    assert made(caller)["host"] is None


def test_a_token_of_some_groups_cannot_reach_further_than_it_sees_by_mail(site: Site) -> None:
    otto = site.people["operator"]
    everything = made(site.session("operator"), name="everything")
    hidden = made(site.session("operator"), name="hidden", host=site.hidden.pk)
    caller = _limited_token(site, otto)

    refused(caller, "group")
    refused(caller, "host", host=site.hidden.pk)
    refused(caller, "group", group="others")
    own = made(caller, group="inside")
    assert [row["name"] for row in caller.get(MAILINGS)["mailings"]] == ["weekly"]
    for pk in (everything["id"], hidden["id"]):
        error_of(caller.call("PATCH", address(pk), {"recipients": ["evil@example.org"]}), 404)
    refused(caller, "group", "PATCH", address(own["id"]), group=None)


def _limited_token(site: Site, user: User) -> Caller:
    from django.test import Client

    _row, text = tokens.create(user=user, name="limited", scope=Scope.OPERATE, groups=[site.group])
    return Caller(Client(raise_request_exception=False), text)


def test_sending_now_is_asked_for_once(site: Site) -> None:
    caller = site.session("operator")
    mailing = made(caller)

    response = caller.call("POST", f"{address(mailing['id'])}send")

    assert response.status_code == 202
    last = caller.get(address(mailing["id"]))["mailing"]["last"]
    assert (last["outcome"], last["asked_by"], last["tries"]) == ("sending", "otto", 0)
    error = error_of(caller.call("POST", f"{address(mailing['id'])}send"), 409)
    assert error["code"] == "being_sent"
    assert ReportRun.objects.count() == 1


def test_mailings_come_in_pages_and_as_csv(site: Site) -> None:
    caller = site.session("operator")
    for name in ("c", "a", "b"):
        made(caller, name=name, host=site.host.pk)

    first = caller.get(MAILINGS, limit=2)
    rest = caller.get(MAILINGS, limit=2, cursor=first["next"])

    assert [row["name"] for row in first["mailings"] + rest["mailings"]] == ["a", "b", "c"]
    assert (first["total"], rest["next"], first["can_mail"]) == (3, None, True)
    rows = list(csv.DictReader(io.StringIO(caller.csv(MAILINGS))))
    assert [row["host"] for row in rows] == ["web1"] * 3
