"""What the parsers say, on the pages, in the language of who looks; in JSON it stays as it is."""

from __future__ import annotations

import dataclasses
import json

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host
from probes.history import tables
from probes.observation import Table, TableOutput
from tests.probes.history.played import LISTENER, table
from tests.probes.history.tabled import DEFAULT_ROUTE, routes, seen
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

ODD = "tcp an odd line"
LANGUAGES = [
    ("zh-hans", "缺少列", "只查询一种状态时，ss 会省略状态列"),
    ("zh-hant", "缺少欄位", "只查詢一種狀態時，ss 會省略狀態欄"),
]
OF_ONE_STATE = (
    "Netid Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
    "tcp   0      0      10.0.0.5:22         10.0.0.9:51000\n"
)


def shown(client: Client, address: str, language: str) -> str:
    return client.get(address, headers={"accept-language": language}).content.decode()


@pytest.mark.parametrize(("language", "reason", "remark"), LANGUAGES)
def test_a_paste_is_explained_in_chinese(
    viewer: Client, language: str, reason: str, remark: str
) -> None:
    told = [
        viewer.post("/paste/", {"text": text}, headers={"accept-language": language})
        for text in (table(LISTENER, ODD), OF_ONE_STATE)
    ]
    assert f"<td>{reason}</td>" in told[0].content.decode().replace(' class="na-nowrap"', "")
    assert remark in told[1].content.decode()


@pytest.mark.parametrize(("language", "reason", "_remark"), LANGUAGES)
def test_a_probe_is_explained_in_chinese(
    viewer: Client, host: Host, language: str, reason: str, _remark: str
) -> None:
    snapshot = fleet.seen(host, 1, LISTENER, ODD)
    assert f">{reason}</td>" in shown(viewer, f"/snapshots/{snapshot.pk}/", language)


@pytest.mark.parametrize(
    ("language", "reason"), [("zh-hans", "不是路由的列"), ("zh-hant", "不是路由的欄位")]
)
def test_a_network_table_is_explained_in_chinese(
    viewer: Client, host: Host, language: str, reason: str
) -> None:
    good = routes(DEFAULT_ROUTE).text
    output = TableOutput(Table.ROUTES, "netstat", f"{good}10.0.0.0 odd\n")
    tables.save(host, dataclasses.replace(seen(0, output), taken_at=timezone.now()))
    assert f"<td>{reason}</td>" in shown(viewer, f"/hosts/{host.pk}/network/", language)


def test_in_json_reasons_are_data_and_stay_english(viewer: Client) -> None:
    answer = viewer.post(
        "/api/v1/parse",
        table(LISTENER, ODD),
        content_type="text/plain",
        headers={"accept-language": "zh-hans"},
    )
    told = json.loads(answer.getvalue())["data"]
    assert [line["reason"] for line in told["rejected"]] == ["columns are missing"]
