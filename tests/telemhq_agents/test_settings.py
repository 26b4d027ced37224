from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_agents.errors import SettingsError, UsageError
from telemhq_agents.settings import Privacy, Value, load, server_url, unset, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "config.toml"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_file_the_hosted_service_is_the_server(path: Path) -> None:
    settings = load(path, {})

    assert settings.url == Value("https://telemhq.com", "default")
    assert settings.profile == Value("default", "default")
    assert settings.coalesce == Value(0, "default")
    assert settings.timezone == Value("", "default")
    assert settings.privacy == Value(Privacy.METADATA, "default")
    assert settings.private == Value((), "default")


def test_each_value_tells_where_it_comes_from(path: Path) -> None:
    written(path, 'url = "https://file.test/"\ncoalesce = "5m"\ntimezone = "Asia/Kolkata"\n')

    settings = load(path, {"TELEMHQ_URL": "http://env.test:8080", "TELEMHQ_PROFILE": ""})

    assert settings.url == Value("http://env.test:8080", "TELEMHQ_URL")
    assert settings.coalesce == Value(5, str(path))
    assert settings.timezone == Value("Asia/Kolkata", str(path))
    assert settings.profile == Value("default", "default")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a = 1\n"colesce" = "5m"', "line 1: there is no setting 'a'"),
        ('\n\ncolesce = "5m"', "line 3: there is no setting 'colesce'"),
        (
            'profile = "x"\ncoalesce = "7m"',
            "line 2: coalesce must be off, 1m, 3m, 5m or 15m, not '7m'",
        ),
        ("coalesce = 5", "line 1: coalesce must be a text in quotes"),
        ('timezone = "Mars/Olympus"', "line 1: timezone must be an IANA time zone"),
        ('timezone = "../../etc/passwd"', "line 1: timezone must be an IANA time zone"),
        ('privacy = "secret"', "line 1: privacy must be one of metadata, hashed, content-redacted"),
        ('private = ["~/a", 5]', "line 1: private must be a list of texts in quotes"),
        ("private = true", "line 1: private must be a list of texts in quotes"),
        ('private = ["clients/*"]', "line 1: private must be directories such as"),
        ('private = ["~nobody-of-this-name/a"]', "line 1: private must be in a home"),
        ('private = ["~/a/**/b"]', "line 1: private may hold ** at the end of a directory alone"),
        ('url = "telemhq.com"', "line 1: url must be an address"),
        ('[profile]\nname = "x"', "line 1: profile must be a text in quotes"),
        ("url = ", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(path: Path, text: str, said: str) -> None:
    written(path, text)

    with pytest.raises(SettingsError) as caught:
        load(path, {})

    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_a_wrong_variable_is_named(path: Path) -> None:
    with pytest.raises(SettingsError, match="TELEMHQ_PROFILE"):
        load(path, {"TELEMHQ_PROFILE": "../x"})


@pytest.mark.parametrize(
    "text",
    ["https://user:key@host", "https://host?x=1", "https://", "file:///etc", "https://ho st"],
)
def test_an_address_holds_no_credentials_and_no_query(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        server_url(text)


def test_setting_and_unsetting_keep_the_other_settings(path: Path) -> None:
    write(path, "coalesce", "15m")
    write(path, "timezone", "Europe/Berlin")
    unset(path, "coalesce")
    unset(path, "coalesce")

    settings = load(path, {})
    assert settings.coalesce == Value(0, "default")
    assert settings.timezone.value == "Europe/Berlin"


@pytest.mark.parametrize(("key", "text"), [("colour", "red"), ("coalesce", "2m"), ("url", "x")])
def test_a_wrong_setting_is_not_written(path: Path, key: str, text: str) -> None:
    with pytest.raises(UsageError):
        write(path, key, text)

    assert not path.exists()


def test_a_list_holds_any_number_of_directories(path: Path) -> None:
    write(path, "private", "~/clients/*", " /srv/secret/ ")
    assert load(path, {}).private == Value(("~/clients/*", "/srv/secret"), str(path))

    written(path, 'private = "~/clients"\nprivacy = "hashed"')
    settings = load(path, {})
    assert settings.private.value == ("~/clients",)
    assert settings.privacy.value is Privacy.HASHED


def test_a_setting_that_is_no_list_takes_one_value(path: Path) -> None:
    with pytest.raises(UsageError, match="one value"):
        write(path, "coalesce", "5m", "1m")
