"""``findings`` and ``leaks``: rows, filters, pages, rights, and texts in the caller's language."""

from __future__ import annotations

from probes.history import store
from probes.wording import findings as finding_texts
from tests.probes.api.site import Site
from tests.probes.history.played import LISTENER, line, observed, table


def trouble(site: Site) -> None:
    """Both hosts leak, and answer many clients at the same time."""
    for minute in range(3, 9):
        rows = [
            line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432", "CLOSE_WAIT", "900/=cmd|'!A0")
            for n in range(3 * (minute - 3))
        ]
        rows += [
            line(f"10.0.0.5:{41_000 + n}", "10.0.0.21:443", "TIME_WAIT", "-") for n in range(600)
        ]
        for host in (site.host, site.hidden):
            store.save(host, observed(minute, table(LISTENER, *rows)))


def test_a_finding_has_every_field_in_its_order(site: Site) -> None:
    trouble(site)
    data = site.session("viewer").get("/api/v1/findings", host=site.host.pk)

    first, second = data["findings"]
    assert tuple(first) == finding_texts.FINDING
    assert (first["kind"], first["code"], first["count"]) == ("leak", "close_wait_rising", 15)
    assert first["host"] == {"id": site.host.pk, "name": "web1"}
    assert first["program"] == "=cmd|'!A0"
    assert [count for _at, count in first["trend"]][-3:] == [9, 12, 15]
    assert first["filters"]["remote_ip"] == "10.0.0.20"
    assert first["advice"]
    assert (second["kind"], second["limit"], second["limit_assumed"]) == ("waits", 28232, True)
    assert "assumed" in second["summary"]
    assert (data["total"], data["next"], data["not_looked_at"], data["cut"]) == (2, None, {}, [])


def test_the_filters_of_a_finding_show_its_rows(site: Site) -> None:
    trouble(site)
    caller = site.session("viewer")
    for finding in caller.get("/api/v1/findings", host=site.host.pk)["findings"]:
        path = f"/api/v1/hosts/{site.host.pk}/connections"
        assert caller.get(path, **finding["filters"])["total"] == finding["count"]


def test_findings_are_chosen_by_kind_severity_and_text(site: Site) -> None:
    trouble(site)
    caller = site.session("viewer")
    for query, kinds in (
        ({"kind": "leak"}, ["leak", "leak"]),
        ({"severity": "info"}, ["waits", "waits"]),
        ({"q": "10.0.0.21"}, ["waits", "waits"]),
        ({"q": "db1", "kind": "waits"}, ["waits"]),
        ({"kind": "flood"}, []),
    ):
        found = caller.get("/api/v1/findings", **query)["findings"]
        assert [each["kind"] for each in found] == kinds


def test_pages_follow_one_another_without_a_gap(site: Site) -> None:
    trouble(site)
    caller = site.session("viewer")
    everything = caller.get("/api/v1/findings")["findings"]
    pages, cursor = [], {}
    for _page in range(4):
        data = caller.get("/api/v1/findings", limit=1, **cursor)
        pages += data["findings"]
        cursor = {"cursor": data["next"]}
    assert pages == everything
    assert data["next"] is None
    assert caller.refused(400, "/api/v1/findings", kind="leak", **{"cursor": "x"})["field"] == (
        "cursor"
    )


def test_leaks_are_the_leaks_alone_and_of_any_time(site: Site) -> None:
    trouble(site)
    caller = site.session("viewer")
    assert {each["kind"] for each in caller.get("/api/v1/leaks")["leaks"]} == {"leak"}
    then = caller.get("/api/v1/leaks", at="2026-03-29T00:05:30Z", group="inside")
    assert [(each["host"]["name"], each["count"]) for each in then["leaks"]] == [("web1", 12)]
    assert caller.get("/api/v1/leaks", at="2026-03-28T23:58:30Z")["leaks"] == []


def test_a_download_is_inert(site: Site) -> None:
    trouble(site)
    text = site.session("viewer").csv("/api/v1/leaks", host=site.host.pk)
    header, row = text.strip().splitlines()
    assert header.lstrip("\ufeff") == ",".join(finding_texts.FINDING)
    assert "'=cmd" in row


def test_what_is_outside_the_callers_groups_is_absent(site: Site) -> None:
    trouble(site)
    limited = site.session("limited viewer")
    for path, name in (("/api/v1/findings", "findings"), ("/api/v1/leaks", "leaks")):
        assert {each["host"]["name"] for each in limited.get(path)[name]} == {"web1"}
        assert limited.refused(404, path, host=site.hidden.pk)["field"] == "host"
        assert limited.refused(404, path, group="others")["field"] == "group"
