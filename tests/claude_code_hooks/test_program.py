"""Claude Code is found where people have it, also beside the PATH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from claude_code_hooks import program

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{version} (Claude Code)"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": str(home / "bin"), **more}


@pytest.mark.parametrize(
    "place",
    [
        "bin/claude",
        ".claude/local/claude",
        ".local/bin/claude",
        ".npm-global/bin/claude",
        ".vscode/extensions/anthropic.claude-code-2.1.3-linux-x64/resources/native-binary/claude",
    ],
)
def test_it_is_found_in_each_of_its_places(place: str, home: Path) -> None:
    path = put(home / place, "2.1.328")

    assert program.find(environ(home)) == (path, "2.1.328")


def test_npms_own_prefix_is_looked_up(home: Path, tmp_path: Path) -> None:
    by_file = put(home / "node" / "bin" / "claude", "2.1.4")
    (home / ".npmrc").write_text("; mine\nprefix = ${HOME}/node\n")
    by_variable = put(tmp_path / "other" / "bin" / "claude", "2.1.5")

    assert program.find(environ(home)) == (by_file, "2.1.4")
    named = environ(home, NPM_CONFIG_PREFIX=str(tmp_path / "other"))
    assert program.find(named) == (by_variable, "2.1.5")


def test_what_is_on_the_path_is_what_a_person_runs(home: Path) -> None:
    put(home / ".local/bin/claude", "1.0.60")
    path = put(home / "bin/claude", "2.1.328")

    assert program.find(environ(home)) == (path, "2.1.328")


@pytest.mark.parametrize("says", ["exit 3", "echo hello", "echo '(Claude Code) 2.1'", "exit 0"])
def test_a_program_that_tells_no_version_is_passed_over(says: str, home: Path) -> None:
    put(home / "bin/claude", "").write_text(f"#!/bin/sh\n{says}\n")
    other = put(home / ".local/bin/claude", "2.0.1")

    assert program.find(environ(home)) == (other, "2.0.1")


def test_where_there_is_none_none_is_found(home: Path) -> None:
    assert program.find(environ(home)) is None
