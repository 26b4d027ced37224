from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.errors import SettingsError, UsageError
from telemhq_agents.settings import KEYS, VARIABLES, Privacy, Value, load, server_url, stacks
from telemhq_agents.settings_file import unset, write

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
        ('colesce = "5m"', "did you mean 'coalesce'?"),
        ('profiles = "work"', "line 1: profiles are tables: [profiles.work]"),
        ('[profiles]\nwork = "x"', "line 2: a profile is a table: [profiles.work]"),
        ('[profiles."a b"]\nurl = "https://x.test"', "line 1: the name of a profile must be"),
        ('[profiles.work]\nprofile = "x"', "line 2: profile holds for the whole machine"),
        ('[profiles.work]\n\nprivacy = "hashed"', "line 3: privacy holds for the whole machine"),
        ('url = "https://x.test"\n[profiles.work]\nurl = "x"', "line 3: url must be an address"),
        ('[profiles.work]\nurk = "https://x.test"', "line 2: there is no setting 'urk'"),
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


LAYERS = """\
url = "https://file.test"
timezone = "UTC"
profile = "work"

[profiles.work]
url = "https://work.test"

[profiles.home]
url = "https://home.test"
timezone = "Asia/Kolkata"
"""


@pytest.mark.parametrize(
    ("environ", "options", "url", "origin", "timezone"),
    [
        ({}, {}, "https://work.test", "{} [profiles.work]", "UTC"),
        (
            {"TELEMHQ_PROFILE": "home"},
            {},
            "https://home.test",
            "{} [profiles.home]",
            "Asia/Kolkata",
        ),
        (
            {"TELEMHQ_PROFILE": "work"},
            {"profile": "home"},
            "https://home.test",
            "{} [profiles.home]",
            "Asia/Kolkata",
        ),
        ({"TELEMHQ_PROFILE": "nowhere"}, {}, "https://file.test", "{}", "UTC"),
        ({"TELEMHQ_URL": "https://env.test"}, {}, "https://env.test", "TELEMHQ_URL", "UTC"),
        (
            {"TELEMHQ_URL": "https://env.test", "TELEMHQ_TIMEZONE": "Europe/Berlin"},
            {"url": "https://flag.test"},
            "https://flag.test",
            "--url",
            "Europe/Berlin",
        ),
    ],
)
def test_the_later_layer_holds(  # noqa: PLR0917 - a table of cases
    path: Path,
    environ: dict[str, str],
    options: dict[str, str],
    url: str,
    origin: str,
    timezone: str,
) -> None:
    settings = load(written(path, LAYERS), environ, options)

    assert settings.url == Value(url, origin.format(path))
    assert settings.timezone.value == timezone


def test_the_stack_of_a_setting_holds_every_value_it_was_given_with_its_line(path: Path) -> None:
    written(path, LAYERS)

    found = stacks(path, {"TELEMHQ_URL": "https://env.test"}, {"url": "https://flag.test"})["url"]

    assert [(one.value, one.origin, one.line) for one in found] == [
        ("https://telemhq.com", "default", 0),
        ("https://file.test", str(path), 1),
        ("https://work.test", f"{path} [profiles.work]", 6),
        ("https://env.test", "TELEMHQ_URL", 0),
        ("https://flag.test", "--url", 0),
    ]


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TELEMHQ_URL", "https://env.test/", "https://env.test"),
        ("TELEMHQ_PROFILE", "work", "work"),
        ("TELEMHQ_TIMEZONE", "Asia/Kolkata", "Asia/Kolkata"),
        ("TELEMHQ_COALESCE", "15m", 15),
        ("TELEMHQ_PRIVACY", "hashed", Privacy.HASHED),
        ("TELEMHQ_PRIVATE", "~/a:/srv/b:", ("~/a", "/srv/b")),
    ],
)
def test_every_setting_has_a_variable(path: Path, variable: str, text: str, value: object) -> None:
    key = next(key for key, name in VARIABLES.items() if name == variable)

    assert getattr(load(path, {variable: text}), key) == Value(value, variable)
    assert set(VARIABLES) == set(KEYS)


def test_a_wrong_option_is_named(path: Path) -> None:
    with pytest.raises(SettingsError, match="--profile must be"):
        load(path, {}, {"profile": "../x"})


def test_comments_stay_when_a_setting_is_written(path: Path) -> None:
    written(path, '# mine\nurl = "https://a.test"  # ours\n')

    done = write(path, "coalesce", "5m")

    assert path.read_text() == '# mine\nurl = "https://a.test"  # ours\ncoalesce = "5m"\n'
    assert (done.changed, done.lost, done.backup) == (True, (), None)
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


def test_a_comment_that_has_to_go_is_told_and_the_file_as_it_was_is_kept(path: Path) -> None:
    text = 'private = [\n  "~/a",  # a client\n]\n'
    written(path, text)

    done = write(path, "private", "~/b")

    assert done.lost == ("# a client",)
    assert done.backup == path.with_name("config.toml.bak")
    assert done.backup.read_text() == text
    assert load(path, {}).private.value == ("~/b",)


def test_the_same_value_again_changes_nothing(path: Path) -> None:
    write(path, "coalesce", "5m")
    before = path.stat().st_mtime_ns

    assert write(path, "coalesce", "5m").changed is False
    assert unset(path, "url").changed is False
    assert path.stat().st_mtime_ns == before


def test_a_setting_of_a_profile_stands_in_its_own_table(path: Path) -> None:
    write(path, "url", "https://a.test")
    write(path, "url", "https://w.test", profile="work")

    assert load(path, {}).url.value == "https://a.test"
    assert load(path, {}, {"profile": "work"}).url.value == "https://w.test"
    unset(path, "url", profile="work")
    assert load(path, {}, {"profile": "work"}).url.value == "https://a.test"


@pytest.mark.parametrize(("key", "profile"), [("privacy", "work"), ("url", "../x")])
def test_what_has_no_place_in_a_profile_is_not_written(path: Path, key: str, profile: str) -> None:
    with pytest.raises(UsageError):
        write(path, key, "hashed", profile=profile)

    assert not path.exists()


def test_a_file_behind_a_link_stays_there(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("# mine\n")
    path.parent.mkdir()
    path.symlink_to(kept)

    write(path, "coalesce", "5m")

    assert path.is_symlink()
    assert kept.read_text() == '# mine\ncoalesce = "5m"\n'


def test_a_wrong_file_is_left_as_it_is(path: Path) -> None:
    written(path, "url = \n")

    with pytest.raises(SettingsError):
        write(path, "coalesce", "5m")

    assert path.read_text() == "url = \n"


@pytest.mark.parametrize("kind", ["a pipe", "no end", "too large", "nested"])
def test_what_is_no_settings_file_is_told_and_never_waited_for(path: Path, kind: str) -> None:
    written(path, "").unlink()
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "no end":
            path.symlink_to("/dev/zero")
        case "too large":
            path.write_text("#" * (1 << 20) + "#")
        case _:
            path.write_text(f"url = {'[' * 15_000}{']' * 15_000}")

    with pytest.raises(SettingsError, match=f"{path} cannot be read: it is "):
        load(path, {})


def test_a_mark_of_an_editor_before_the_text_is_no_mistake(path: Path) -> None:
    written(path, "").write_bytes(b'\xef\xbb\xbfurl = "https://a.test"\n')

    assert load(path, {}).url.value == "https://a.test"


def test_below_what_is_no_directory_there_are_no_settings(path: Path) -> None:
    written(path, "")

    assert load(path / "config.toml", {}).url.origin == "default"


def test_lines_that_end_as_on_windows_stay_so_in_the_file(path: Path) -> None:
    written(path, "").write_bytes(b'# mine\r\nurl = "https://a.test"\r\n')

    write(path, "coalesce", "5m")

    assert path.read_bytes() == b'# mine\r\nurl = "https://a.test"\r\ncoalesce = "5m"\r\n'
