"""Where a site's data is, and the secrets made for it."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from netadmin import data_dir
from netadmin.data_dir import DataDirError


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    assert data_dir.ensure_secrets(tmp_path, environ) == ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS"]
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    name, _, key = environ["FIELD_ENCRYPTION_KEYS"].partition(":")
    assert name
    assert len(base64.b64decode(key)) == 32
    assert len(environ["SECRET_KEY"]) >= 50

    again: dict[str, str] = {}
    data_dir.load(again, str(tmp_path))
    assert data_dir.ensure_secrets(tmp_path, again) == []
    assert again["SECRET_KEY"] == environ["SECRET_KEY"]
    assert again["FIELD_ENCRYPTION_KEYS"] == environ["FIELD_ENCRYPTION_KEYS"]


def test_a_secret_the_operator_gives_is_not_made_and_not_written(tmp_path: Path) -> None:
    environ = {"SECRET_KEY": "mine", "FIELD_ENCRYPTION_KEYS_FILE": "/run/secrets/keys"}
    assert data_dir.ensure_secrets(tmp_path, environ) == []
    assert not (tmp_path / "env").exists()


def test_only_the_missing_secret_is_added(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# mine\nSECRET_KEY='quoted'\n")
    (tmp_path / "env").chmod(0o600)
    environ: dict[str, str] = {}
    data_dir.load(environ, str(tmp_path))
    assert environ["SECRET_KEY"] == "quoted"
    assert data_dir.ensure_secrets(tmp_path, environ) == ["FIELD_ENCRYPTION_KEYS"]
    assert (tmp_path / "env").read_text().startswith("# mine\nSECRET_KEY='quoted'\nFIELD_")


def test_the_process_environment_wins_over_the_files(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SECRET_KEY=file\n")
    (tmp_path / "env").chmod(0o600)
    environ = {"SECRET_KEY": "environment"}
    data_dir.load(environ, str(tmp_path))
    assert environ["SECRET_KEY"] == "environment"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_secrets_that_others_can_read_are_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "env").write_text("SECRET_KEY=x\n")
    (tmp_path / "env").chmod(mode)
    with pytest.raises(DataDirError, match=r"can be read by others: chmod 600 .*/env"):
        data_dir.load({}, str(tmp_path))


def test_a_lost_key_ring_is_not_replaced_over_a_database_it_sealed(tmp_path: Path) -> None:
    (tmp_path / data_dir.DATABASE).touch()
    with pytest.raises(DataDirError, match="restore"):
        data_dir.ensure_secrets(tmp_path, {"SECRET_KEY": "x"})
    assert not (tmp_path / "env").exists()


def test_a_relative_folder_is_meant_from_where_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_dir.locate("site", {}) == tmp_path / "site"
    assert data_dir.locate(None, {"DATA_DIR": "elsewhere"}) == data_dir.BASE_DIR / "elsewhere"
    assert data_dir.locate(None, {}) == data_dir.BASE_DIR / "var"


def test_a_path_too_long_for_a_socket_gets_a_short_one_every_command_finds(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    short = data_dir.broker_socket(deep)
    assert len(str(short)) <= data_dir.SUN_PATH_BYTES
    assert data_dir.broker_socket(Path("/srv/site")) == Path("/srv/site/broker.sock")
    environ: dict[str, str] = {}
    data_dir.load(environ, str(deep))
    assert environ["CELERY_BROKER_URL"] == f"redis+socket://{short}"
    assert data_dir.broker_socket(tmp_path / ("e" * 90)) != short


def test_a_socket_left_behind_is_removed_and_its_folder_is_private(tmp_path: Path) -> None:
    socket = tmp_path / "run" / "broker.sock"
    socket.parent.mkdir(mode=0o700)
    socket.touch()
    data_dir.prepare_broker_socket(socket)
    assert not socket.exists()
    data_dir.prepare_broker_socket(tmp_path / "new" / "broker.sock")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match="Cannot write to the data folder") as caught:
        data_dir.create(tmp_path / "file" / "below")
    assert "\n" not in str(caught.value)
    assert "--data" in str(caught.value)
