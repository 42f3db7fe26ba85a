"""The Chinese catalogues are complete, true to the code, and compiled.

To refresh them after a change of words:

    python3 manage.py makemessages -l zh_Hans -l zh_Hant --no-obsolete --add-location file \\
        -i tests -i bench -i docs -i .venv -i var
    (translate what is new in netadmin/locale/*/LC_MESSAGES/django.po)
    python3 manage.py compilemessages -i .venv -i tests
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.utils import translation
from django.utils.translation import gettext, ngettext

ROOT = Path(__file__).resolve().parents[2]
LOCALES = ("zh_Hans", "zh_Hant")
EXTRACTED = ("hosts", "netadmin", "probes", "templates")
OPTIONS = ("--no-obsolete", "--add-location", "file", "--no-wrap")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w+\}|</?\w+>|<\w+ ")
HAN = re.compile("[\u4e00-\u9fff]")
SAME = {
    "sudo",
    "PID",
    "MTU",
    "MSS",
    "irtt",
    "Inode",
    "Recv-Q",
    "Send-Q",
    "Authorization: Bearer <token>",
}
"""What is not translated: names and things to type."""


def catalogue(locale: str, root: Path = ROOT) -> polib.POFile:
    return polib.pofile(str(root / "netadmin/locale" / locale / "LC_MESSAGES/django.po"))


def key(entry: polib.POEntry) -> tuple[str | None, str, str]:
    return entry.msgctxt, entry.msgid, entry.msgid_plural


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code whose catalogues were made anew, with nothing in them before."""
    root = tmp_path_factory.mktemp("extracted")
    ignore = shutil.ignore_patterns("static", "locale", "__pycache__", "*.pyc")
    for name in EXTRACTED:
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    (root / "netadmin/locale").mkdir()
    locales = [part for locale in LOCALES for part in ("-l", locale)]
    done = subprocess.run(
        [sys.executable, "-m", "django", "makemessages", *locales, *OPTIONS],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "DJANGO_SETTINGS_MODULE": "netadmin.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"needs GNU gettext: apt install gettext\n{done.stderr}"
    return root


@pytest.mark.parametrize("locale", LOCALES)
def test_every_message_of_the_code_is_in_the_catalogue_and_no_other(
    extracted: Path, locale: str
) -> None:
    wanted = {key(entry) for entry in catalogue(locale, extracted)}
    there = {key(entry) for entry in catalogue(locale) if not entry.obsolete}
    assert len(wanted) > 500
    assert not wanted - there, f"not in the catalogue: {sorted(map(str, wanted - there))}"
    assert not there - wanted, f"no longer in the code: {sorted(map(str, there - wanted))}"


@pytest.mark.parametrize("locale", LOCALES)
def test_every_message_is_translated(locale: str) -> None:
    po = catalogue(locale)
    assert not [entry.msgid for entry in po if "fuzzy" in entry.flags]
    assert not [entry.msgid for entry in po.obsolete_entries()]
    assert not [entry.msgid for entry in po if not all(translations(entry))]
    english = [
        entry.msgid
        for entry in po
        if entry.msgid not in SAME
        and not any(HAN.search(text) for text in translations(entry))
        and not all(
            PLACEHOLDER.sub("", text).strip(" .:：。") == "" for text in translations(entry)
        )
    ]
    assert not english, f"still English: {english}"


@pytest.mark.parametrize("locale", LOCALES)
def test_placeholders_and_tags_are_the_same_ones(locale: str) -> None:
    wrong = [
        (entry.msgid, text)
        for entry in catalogue(locale)
        for text in translations(entry)
        if sorted(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        != sorted(PLACEHOLDER.findall(text))
    ]
    assert not wrong


def test_the_two_scripts_are_not_mixed() -> None:
    """A character that only the other script has is a slip of the translator."""
    simplified = "们这个时过还没为与从见关开页务网络连认证码钥请输给检无后应发对业择数据库体错误议"
    traditional = "們這個時過還沒為與從見關開頁務網絡連認證碼鑰請輸給檢無後應發對業擇數據庫體錯誤議"
    pairs = [(s, t) for s, t in zip(simplified, traditional, strict=True) if s != t]
    for locale, wrong in (("zh_Hans", {t for _s, t in pairs}), ("zh_Hant", {s for s, _t in pairs})):
        slips = {
            text: sorted(set(text) & wrong)
            for entry in catalogue(locale)
            for text in translations(entry)
            if set(text) & wrong
        }
        assert not slips


@pytest.mark.parametrize("locale", LOCALES)
def test_the_compiled_catalogue_says_the_same(locale: str) -> None:
    path = ROOT / "netadmin/locale" / locale / "LC_MESSAGES/django.mo"
    compiled = {key(entry): translations(entry) for entry in polib.mofile(str(path))}
    written = {key(entry): translations(entry) for entry in catalogue(locale)}
    assert compiled == written, "run: python3 manage.py compilemessages -i .venv -i tests"


@pytest.mark.parametrize(
    ("language", "missing", "ports"),
    [
        ("zh-hans", "未找到远程主机认证配置", "端口"),
        ("zh-hant", "找不到遠端主機認證設定", "連接埠"),
        ("en", "No credential", "Ports"),
    ],
)
def test_django_finds_them(language: str, missing: str, ports: str) -> None:
    with translation.override(language):
        assert gettext("No credential") == missing
        assert gettext("Ports") == ports
        assert "%(n)s" in ngettext("held on %(n)s host", "held on %(n)s hosts", 2)
