"""`telemhq config …`: what holds, where it comes from, and what a change does to the file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "somewhere"
    place.mkdir()
    monkeypatch.chdir(place)


def settings(telemhq: CommandLine, text: str) -> Path:
    telemhq.machine.ours.mkdir(exist_ok=True)
    path = telemhq.machine.ours / "config.toml"
    path.write_text(text)
    return path


def stack(telemhq: CommandLine, key: str, *options: str) -> list[Any]:
    rows = telemhq.asks("config", "list", "--origin", *options)
    return [
        (one["value"], one["origin"], one["line"], one["in_force"])
        for one in rows
        if one["key"] == key
    ]


def test_origin_shows_the_whole_stack_the_one_in_force_first(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    path = settings(telemhq, 'url = "https://a.test"\n[profiles.work]\nurl = "https://w.test"\n')
    telemhq.machine.extra["TELEMHQ_URL"] = "https://env.test"

    assert stack(telemhq, "url", "--profile", "work") == [
        ("https://env.test", "TELEMHQ_URL", None, True),
        ("https://w.test", f"{path} [profiles.work]", 3, False),
        ("https://a.test", str(path), 1, False),
        ("https://telemhq.com", "default", None, False),
    ]
    assert stack(telemhq, "profile", "--profile", "work")[0] == ("work", "--profile", None, True)
    text = telemhq("config", "list", "--origin").out
    assert text.count("overridden") == 2


def test_a_directory_names_its_project_and_keeps_it_here_and_takes_nothing_away(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    settings(telemhq, 'private = ["~/clients"]\n')
    here = tmp_path / "somewhere"
    (here / ".telemhq.toml").write_text('project = "shop"\nprivate = true\n')

    assert stack(telemhq, "project") == [("shop", f"{here}/.telemhq.toml", 1, True)]
    assert stack(telemhq, "private")[0] == (
        ["~/clients", str(here)],
        f"{here}/.telemhq.toml",
        2,
        True,
    )
    telemhq.machine.extra["TELEMHQ_PRIVATE"] = "/srv/x"
    assert telemhq("config", "get", "private").out == f"/srv/x\n{here}\n"
    assert telemhq("config", "get", "project").out == "shop\n"


@pytest.mark.parametrize("command", [("list",), ("list", "--origin"), ("get", "url")])
def test_a_directory_that_redirects_is_an_error_with_its_line(
    telemhq: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "somewhere" / ".telemhq.toml").write_text('\nurl = "https://evil.test"\n')

    done = telemhq("config", *command, code=3)

    assert ".telemhq.toml, line 2: url does not belong here" in done.complaint


def test_a_directory_that_redirects_keeps_no_report_from_being_made(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "somewhere" / ".telemhq.toml").write_text('url = "https://evil.test"\n')

    telemhq("config", "set", "coalesce", "5m")
    assert telemhq("agent", "once").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "colesce"), "did you mean 'coalesce'?"),
        (("set", "colesce", "5m"), "did you mean 'coalesce'?"),
        (("unset", "urk"), "There is no setting 'urk'; did you mean 'url'?"),
        (("set", "coalesce", "7m"), "must be off, 1m, 3m, 5m or 15m, not '7m'"),
        (("set", "project", "x"), ".telemhq.toml: project = "),
        (("set", "privacy", "hashed", "--profile", "work"), "holds for the whole machine"),
    ],
)
def test_what_is_wrong_is_named_with_what_may_have_been_meant(
    telemhq: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    assert said in telemhq("config", *arguments, code=2).complaint
    assert not (telemhq.machine.ours / "config.toml").exists()


def test_a_wrong_file_is_named_with_its_line_by_whatever_reads_it(telemhq: CommandLine) -> None:
    path = settings(telemhq, '# mine\n\ncolesce = "5m"\n')

    assert (
        f"{path}, line 3: there is no setting 'colesce'"
        in telemhq("config", "list", code=3).complaint
    )
    assert path.read_text() == '# mine\n\ncolesce = "5m"\n'


def test_comments_stay_and_those_that_go_are_told(telemhq: CommandLine) -> None:
    path = settings(telemhq, '# mine\nprivate = [\n  "~/a", # a client\n]\n')

    first = telemhq("config", "set", "coalesce", "5m")
    second = telemhq("config", "set", "private", "~/b")

    assert first.err == ""
    assert "# a client" in second.err
    assert f"{path}.bak" in second.complaint
    assert path.read_text().startswith("# mine\n")
    assert "# a client" in path.with_name("config.toml.bak").read_text()


def test_a_profile_has_its_own_server_and_time_zone(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("config", "set", "url", "https://elsewhere.test")
    telemhq("config", "set", "url", server.url, "--profile", "work")
    telemhq("config", "set", "timezone", "Asia/Kolkata", "--profile", "work")
    telemhq("login", "--profile", "work", "--key-stdin", given=server.api_key)

    assert telemhq.asks("whoami", "--profile", "work")["url"] == server.url
    rows = {row["name"]: row for row in telemhq.asks("config", "profiles")}
    assert rows["work"] == {
        "name": "work",
        "url": server.url,
        "login": "key in a file",
        "timezone": "Asia/Kolkata",
        "in_use": False,
    }
    assert rows["default"]["login"] == "none"
    telemhq("config", "set", "profile", "work")
    assert telemhq("config", "get", "timezone").out == "Asia/Kolkata\n"
    assert {row["name"] for row in telemhq.asks("config", "profiles") if row["in_use"]} == {"work"}
    assert server.api_key not in telemhq("config", "profiles", "--json").out


def test_the_server_of_the_login_is_shown_where_nothing_else_names_one(
    telemhq: CommandLine, server: RunningServer
) -> None:
    login = ("login", "--url", server.url, "--key-stdin", "--profile", "work")
    telemhq(*login, given=server.api_key)

    assert telemhq("config", "get", "url").out == "https://telemhq.com\n"
    assert stack(telemhq, "url", "--profile", "work") == [
        (server.url, "login 'work'", None, True),
        ("https://telemhq.com", "default", None, False),
    ]


def test_settings_are_shown_as_csv_without_the_language_they_are_kept_in(
    telemhq: CommandLine,
) -> None:
    telemhq("config", "set", "private", "~/a", "/srv/b")

    rows = {
        row["key"]: row
        for row in csv.DictReader(io.StringIO(telemhq("config", "list", "--csv").out))
    }

    assert rows["private"]["value"] == "~/a /srv/b"
    assert rows["timezone"]["value"] == ""
