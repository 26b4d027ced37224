from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server_stub.settings import MailServer, Security, Settings, load
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
            "TELEMHQ_DEFAULT_PLAN": "Free",
        }
    )

    assert settings == Settings(
        database_url="postgresql+psycopg://me:secret@db/telemhq?sslmode=require",
        host="0.0.0.0",
        port=0,
        public_url="https://telemhq.example.com",
        max_body_bytes=2048,
        default_plan="free",
    )


MAIL = {
    "TELEMHQ_SMTP_HOST": "smtp.example.com",
    "TELEMHQ_MAIL_FROM": "TelemHQ, Ops <Telemhq@Example.com>",
}


def test_mail_goes_out_by_starttls_unless_told_otherwise(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n", encoding="utf-8")
    signed_in = {"TELEMHQ_SMTP_USER": "me", "TELEMHQ_SMTP_PASSWORD_FILE": str(secret)}

    usual = load(MAIL | signed_in | {"TELEMHQ_HOME": "/h"}).mail
    other = load(
        MAIL | {"TELEMHQ_HOME": "/h", "TELEMHQ_SMTP_SECURITY": "TLS", "TELEMHQ_SMTP_PORT": "1465"}
    ).mail

    sender = "TelemHQ, Ops <telemhq@example.com>"
    assert usual == MailServer("smtp.example.com", 587, Security.STARTTLS, sender, "me", "hunter2")
    assert "hunter2" not in repr(usual)
    assert other == MailServer("smtp.example.com", 1465, Security.TLS, sender)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_each_way_to_a_mail_server_has_its_usual_port(security: str, port: int) -> None:
    mail = load(MAIL | {"TELEMHQ_HOME": "/h", "TELEMHQ_SMTP_SECURITY": security}).mail

    assert mail is not None
    assert mail.port == port


@pytest.mark.parametrize(
    ("given", "allowed"), [("true", True), ("Yes", True), ("0", False), ("", False)]
)
def test_webhooks_stay_on_the_public_internet_unless_told_otherwise(
    given: str, allowed: bool
) -> None:
    environ = {"TELEMHQ_WEBHOOK_ALLOW_PRIVATE": given, "TELEMHQ_HOME": "/h"}

    assert load(environ).allow_private_webhooks is allowed


def test_a_password_is_never_shown() -> None:
    environ = {
        **MAIL,
        "TELEMHQ_SMTP_USER": "me",
        "TELEMHQ_SMTP_PASSWORD": "hunter2",
        "TELEMHQ_SMTP_SECURITY": "none",
        "TELEMHQ_HOME": "/h",
    }
    with pytest.raises(SettingsError) as caught:
        load(environ)

    assert "the password would travel in the clear" in caught.value.message
    assert "hunter2" not in caught.value.message
    assert load(environ | {"TELEMHQ_SMTP_HOST": "127.0.0.1"}).mail is not None


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
        ({"TELEMHQ_DEFAULT_PLAN": "gold"}, "name one of free, pro, team, unlimited"),
        ({"TELEMHQ_MAX_BODY_BYTES": "64 KiB"}, "TELEMHQ_MAX_BODY_BYTES is '64 KiB'"),
        ({"TELEMHQ_DATABASE_URL": "mysql://x/y"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_DATABASE_URL": "sqlite:///:memory:"}, "needs a file"),
        ({"TELEMHQ_DATABASE_URL": "telemhq"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_DATABASE_URL": ":memory:"}, "name a postgresql:// or sqlite:/// URL"),
        ({"TELEMHQ_PORT_FILE": "/nowhere/port"}, "TELEMHQ_PORT_FILE names '/nowhere/port'"),
        ({"TELEMHQ_PORT": "1", "TELEMHQ_PORT_FILE": "/x"}, "are both set"),
        ({"TELEMHQ_SMTP_HOST": "mail"}, "TELEMHQ_MAIL_FROM is not set"),
        ({"TELEMHQ_MAIL_FROM": "me@example.com"}, "TELEMHQ_SMTP_HOST is not set"),
        (MAIL | {"TELEMHQ_SMTP_USER": "me"}, "set both or neither"),
        (MAIL | {"TELEMHQ_SMTP_SECURITY": "ssl"}, "name one of starttls, tls, none"),
        (MAIL | {"TELEMHQ_SMTP_PORT": "0"}, "from 1 to 65535"),
        ({"TELEMHQ_MAIL_FROM": "me"}, "name an address such as telemhq@example.com"),
        ({"TELEMHQ_MAIL_FROM": "a\nBcc: b <me@x.yz>"}, "name an address such as"),
        ({"TELEMHQ_WEBHOOK_ALLOW_PRIVATE": "perhaps"}, "name true or false"),
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
