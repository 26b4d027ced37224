"""What a directory's own `.telemhq.toml` may say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.errors import SettingsError
from telemhq_agents.privacy import PRIVATE_MARK, project
from telemhq_agents.project_file import read

if TYPE_CHECKING:
    from pathlib import Path


def checkout(tmp_path: Path, **files: str) -> Path:
    (tmp_path / ".git").mkdir()
    deep = tmp_path / "services" / "api"
    deep.mkdir(parents=True)
    places = {"top": tmp_path, "middle": deep.parent, "deep": deep}
    for place, text in files.items():
        (places[place] / ".telemhq.toml").write_text(text)
    return deep


def test_without_a_file_the_project_is_called_as_reports_call_it(tmp_path: Path) -> None:
    deep = checkout(tmp_path)

    told = read(str(deep))

    assert [(one.value, one.origin) for one in told.names] == [(tmp_path.name, "default")]
    assert told.private == []


def test_the_nearest_file_upward_names_the_project_and_any_keeps_it_here(tmp_path: Path) -> None:
    deep = checkout(
        tmp_path, top='# ours\nprivate = true\nproject = "shop"', middle='project = "services"'
    )

    told = read(str(deep))

    assert [(one.value, one.line) for one in told.names] == [("shop", 3), ("services", 1)]
    assert [(one.value, one.line) for one in told.private] == [(str(tmp_path), 2)]
    assert project(str(deep)) == f"{PRIVATE_MARK}services"


def test_what_lies_above_the_checkout_says_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / ".telemhq.toml").write_text('project = "not ours"\nurl = "x"')
    inside = tmp_path / "inside"
    inside.mkdir()

    assert read(str(checkout(inside))).names[-1].value == "inside"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\nurl = "https://evil.test"', "line 2: url does not belong here: only your own settings"),
        ('profile = "x"', "line 1: profile does not belong here"),
        ('[profiles.work]\nurl = "x"', "line 1: profiles does not belong here"),
        ('privacy = "metadata"', "line 1: privacy does not belong here: the level holds for"),
        ('project = "a"\nprojekt = "b"', "line 2: there is no setting 'projekt' of a project"),
        ('projekt = "b"', "did you mean 'project'?"),
        ("project = 5", "line 1: project must be a text in quotes"),
        ('private = "yes"', "line 1: private must be true or false"),
        ("private = ", "cannot be read"),
    ],
)
def test_anything_else_is_named_with_its_file_and_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / ".telemhq.toml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        read(str(tmp_path))

    assert f"{tmp_path}/.telemhq.toml" in caught.value.message
    assert said in caught.value.message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a link to nowhere", "too large"])
def test_what_is_no_small_file_is_named_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / ".telemhq.toml"
    match kind:
        case "a pipe":
            os.mkfifo(file)
        case "a directory":
            file.mkdir()
        case "a link to nowhere":
            file.symlink_to("nowhere")
        case _:
            file.write_text("#" * (1 << 20) + "#")

    with pytest.raises(SettingsError, match="is no small text file"):
        read(str(tmp_path))
