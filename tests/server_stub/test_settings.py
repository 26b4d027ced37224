from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server_stub.settings import Settings, load
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def test_without_any_variable_the_database_is_a_file_below_telemhq_home(tmp_path: Path) -> None:
    settings = load({"TELEMHQ_HOME": str(tmp_path)})

    assert settings == Settings(
        database_url=f"sqlite:///{tmp_path}/server/telemhq.sqlite3",
        host="127.0.0.1",
        port=8080,
        public_url="",
        max_body_bytes=65536,
    )


def test_every_variable_is_read() -> None:
    settings = load(
        {
            "TELEMHQ_DATABASE_URL": "postgres://me:secret@db/telemhq?sslmode=require",
            "TELEMHQ_HOST": "0.0.0.0",
            "TELEMHQ_PORT": "0",
            "TELEMHQ_PUBLIC_URL": "https://telemhq.example.com/",
            "TELEMHQ_MAX_BODY_BYTES": "2048",
        }
    )

    assert settings == Settings(
        database_url="postgresql+psycopg://me:secret@db/telemhq?sslmode=require",
        host="0.0.0.0",
        port=0,
        public_url="https://telemhq.example.com",
        max_body_bytes=2048,
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgresql://db/telemhq", "postgresql+psycopg://db/telemhq"),
        ("postgresql+psycopg://db/telemhq", "postgresql+psycopg://db/telemhq"),
        ("sqlite:////srv/telemhq.sqlite3", "sqlite:////srv/telemhq.sqlite3"),
        ("/srv/telemhq.sqlite3", "sqlite:////srv/telemhq.sqlite3"),
    ],
)
def test_a_database_is_named_by_url_or_by_path(given: str, url: str) -> None:
    assert load({"TELEMHQ_DATABASE_URL": given, "TELEMHQ_HOME": "/h"}).database_url == url


def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load({"TELEMHQ_DATABASE_URL": "sqlite:///here.sqlite3", "TELEMHQ_HOME": "/h"})

    assert settings.database_url == f"sqlite:///{tmp_path}/here.sqlite3"


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:secret@db/telemhq\n", encoding="utf-8")

    settings = load({"TELEMHQ_DATABASE_URL_FILE": str(secret), "TELEMHQ_HOME": "/h"})

    assert settings.database_url == "postgresql+psycopg://me:secret@db/telemhq"


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("[::]", "::"),
        ("telemhq.internal", "telemhq.internal"),
    ],
)
def test_a_host_is_an_address_or_a_name(given: str, host: str) -> None:
    assert load({"TELEMHQ_HOST": given, "TELEMHQ_HOME": "/h"}).host == host


def test_a_blank_variable_is_not_set() -> None:
    assert load({"TELEMHQ_PORT": " ", "TELEMHQ_HOME": "/h"}).port == 8080


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TELEMHQ_PORT": "http"}, "TELEMHQ_PORT is 'http': name a whole number from 0 to 65535"),
        ({"TELEMHQ_PORT": "65536"}, "TELEMHQ_PORT is '65536'"),
        ({"TELEMHQ_PORT": "-1"}, "TELEMHQ_PORT is '-1'"),
        ({"TELEMHQ_HOST": "http://x"}, "TELEMHQ_HOST is 'http://x'"),
        ({"TELEMHQ_HOST": "127.0.0.1:80"}, "TELEMHQ_HOST is '127.0.0.1:80'"),
        ({"TELEMHQ_PUBLIC_URL": "telemhq.example.com"}, "TELEMHQ_PUBLIC_URL is"),
        ({"TELEMHQ_PUBLIC_URL": "https://x.example/?a=b"}, "TELEMHQ_PUBLIC_URL is"),
        ({"TELEMHQ_MAX_BODY_BYTES": "10"}, "from 1024 to 1048576"),
        ({"TELEMHQ_MAX_BODY_BYTES": "64 KiB"}, "TELEMHQ_MAX_BODY_BYTES is '64 KiB'"),
        ({"TELEMHQ_DATABASE_URL": "mysql://x/y"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_DATABASE_URL": "sqlite:///:memory:"}, "needs a file"),
        ({"TELEMHQ_DATABASE_URL": "telemhq"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_DATABASE_URL": ":memory:"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_PORT_FILE": "/nowhere/port"}, "TELEMHQ_PORT_FILE names '/nowhere/port'"),
        ({"TELEMHQ_PORT": "1", "TELEMHQ_PORT_FILE": "/x"}, "are both set"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_put_there(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match="settings are wrong") as caught:
        load(environ | {"TELEMHQ_HOME": "/h"})

    assert said in caught.value.message


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"TELEMHQ_PORT": "x", "TELEMHQ_MAX_BODY_BYTES": "y", "TELEMHQ_HOME": "/h"})

    assert "TELEMHQ_PORT" in caught.value.message
    assert "TELEMHQ_MAX_BODY_BYTES" in caught.value.message


def test_a_wrong_database_url_is_not_repeated_for_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"TELEMHQ_DATABASE_URL": "mysql://me:hunter2@db/x", "TELEMHQ_HOME": "/h"})

    assert "hunter2" not in caught.value.message
    assert "TELEMHQ_DATABASE_URL" in caught.value.message


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "port"
    empty.write_text("\n", encoding="utf-8")

    with pytest.raises(SettingsError, match="which is empty"):
        load({"TELEMHQ_PORT_FILE": str(empty), "TELEMHQ_HOME": "/h"})
