"""`telemhq completion …`, and what commands keep for it of what a server names."""

from __future__ import annotations

import json
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from telemhq_agents import clock
from telemhq_agents.errors import UnreachableError
from telemhq_cli.commands.hearing import STALE_MS, added
from telemhq_cli.completion import heard
from telemhq_cli.completion.scripts import Shell, script

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


OF_THIS_MACHINE = {f"{agent} on {platform.node()}" for agent in ("Claude Code", "Codex")}
PROGRAMS = Path(sys.executable).parent


def kept(person: CommandLine) -> dict[str, Any]:
    """What is known of the one account that commands were about."""
    names = heard.load(person.machine.ours / "names.json")
    (accounts,) = names.values()
    merged: dict[str, Any] = {}
    for one in accounts.values():
        merged |= one
    return merged


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    return telemhq


def test_what_commands_hear_of_a_server_is_kept(ada: CommandLine) -> None:
    ada("team", "create", "Engines")
    ada("team", "members")
    url = ada.asks("tracker", "create", "nightly report")["ping_url"]
    with httpx.Client(trust_env=False) as client:
        client.post(url, json={"project": "web", "model": "m-1", "cost_usd": 1.5})
    ada("tracker", "list")
    ada("tracker", "chart", "nightly report", "-f", "cost_usd")
    ada("usage", "--mine", "--by", "project")

    known = kept(ada)
    assert set(known["trackers"]) - OF_THIS_MACHINE == {"nightly report"}
    assert known["members"] == ["ada@example.com"]
    assert "Engines" in known["teams"]
    assert known["projects"] == ["web"]
    assert known["fields"] == {known["trackers"]["nightly report"]: ["cost_usd"]}
    path = ada.machine.ours / "names.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_tracker_that_has_another_name_or_is_gone_is_not_offered(ada: CommandLine) -> None:
    ada("tracker", "create", "first")
    ada("tracker", "create", "second")
    ada("tracker", "update", "first", "--name", "renamed")
    renamed = list(kept(ada)["trackers"])
    ada("tracker", "delete", "second", "--yes")
    ada("tracker", "list")

    assert set(renamed) - OF_THIS_MACHINE == {"renamed", "second"}
    assert set(kept(ada)["trackers"]) - OF_THIS_MACHINE == {"renamed"}


def test_who_logs_out_leaves_no_names(ada: CommandLine) -> None:
    ada("tracker", "create", "nightly")
    ada("logout")

    assert heard.load(ada.machine.ours / "names.json") == {}


def test_a_command_works_where_names_cannot_be_kept(ada: CommandLine) -> None:
    path = ada.machine.ours / "names.json"
    path.unlink(missing_ok=True)
    path.mkdir()

    assert {one["name"] for one in ada.asks("tracker", "list")} == OF_THIS_MACHINE


def test_the_latest_list_holds_and_other_names_add_up() -> None:
    first = {"trackers": {"a": "1", "b": "2"}, "members": ["x"], "projects": ["p"]}
    second = {"trackers": {"a": "1"}, "projects": ["q", "p", ""], "fields": {"1": ["cost"]}}

    assert heard.merged(first, second) == {
        "trackers": {"a": "1"},
        "members": ["x"],
        "projects": ["q", "p"],
        "fields": {"1": ["cost"]},
    }
    assert added(first, {"tracker": {"2": "c"}}) == {"trackers": {"a": "1", "c": "2"}}
    assert added({}, {"tracker": {"2": "c"}}) == {}


def test_install_adds_one_line_once_and_keeps_what_is_there(telemhq: CommandLine) -> None:
    startup = telemhq.machine.home / ".bashrc"
    real = telemhq.machine.home / "dotfiles"
    real.write_text("alias ll='ls -l'")
    startup.symlink_to(real)

    first = telemhq("completion", "install", "bash")
    text = startup.read_text()
    second = telemhq("completion", "install", "bash")

    file = telemhq.machine.ours / "completion" / "telemhq.bash"
    assert file.read_text() == script(Shell.BASH)
    assert text.splitlines() == [
        "alias ll='ls -l'",
        f"[ ! -r {file} ] || . {file}  # telemhq completion",
    ]
    assert startup.read_text() == text
    assert startup.is_symlink()
    assert "Open another terminal" in first.out
    assert "All was in place already." in second.out


@pytest.mark.parametrize(
    ("shell", "startup"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)]
)
def test_each_shell_is_taught_where_it_looks(
    telemhq: CommandLine, shell: str, startup: str | None
) -> None:
    telemhq.machine.extra.update(SHELL=f"/usr/bin/{shell}", ZDOTDIR="", XDG_CONFIG_HOME="")
    done = telemhq.asks("completion", "install")
    home = telemhq.machine.home
    fish = home / ".config" / "fish" / "completions" / "telemhq.fish"

    assert done["shell"] == shell
    assert done["startup"] == (str(home / startup) if startup else None)
    assert Path(done["script"]).read_text() == telemhq("completion", "show", shell).out
    assert startup is not None or Path(done["script"]) == fish
    assert done["was_changed"] is True
    assert telemhq.asks("completion", "install")["was_changed"] is False


def test_a_shell_that_we_cannot_teach_is_named(telemhq: CommandLine) -> None:
    telemhq.machine.extra["SHELL"] = "/bin/tcsh"
    done = telemhq("completion", "install", code=2)

    assert "$SHELL names tcsh" in done.complaint
    assert "one of bash, zsh, fish" in done.complaint


def test_a_startup_file_that_cannot_be_written_is_named(telemhq: CommandLine) -> None:
    (telemhq.machine.home / ".bashrc").mkdir()

    assert "bash" in telemhq("completion", "install", "bash", code=3).complaint


def test_a_new_bash_completes_after_install(telemhq: CommandLine) -> None:
    telemhq("completion", "install", "bash")
    names = {"version": 1, "profiles": {"default": {"": {"trackers": {"nightly report": "1"}}}}}
    (telemhq.machine.ours / "names.json").write_text(json.dumps(names))
    asked = (
        ". ~/.bashrc; COMP_LINE='telemhq tracker show n' COMP_POINT=22; "
        "_telemhq telemhq; printf '%s' \"${COMPREPLY[0]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        env={**telemhq.machine.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("nightly\\ report", "")


def test_names_an_hour_old_are_asked_for_by_whatever_command_comes_by(
    ada: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada("tracker", "create", "nightly")
    path = ada.machine.ours / "names.json"
    path.write_text(path.read_text(encoding="utf-8").replace("nightly", "forgotten"))
    ada("whoami")
    before = set(kept(ada)["trackers"])
    later = clock.now_ms() + STALE_MS
    monkeypatch.setattr("telemhq_agents.clock.now_ms", lambda: later)
    ada("whoami")

    assert before - OF_THIS_MACHINE == {"forgotten"}
    assert set(kept(ada)["trackers"]) - OF_THIS_MACHINE == {"nightly"}


def test_names_that_cannot_be_asked_for_are_nobodys_matter(
    ada: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise UnreachableError("gone", "")

    ada.machine.ours.joinpath("names.json").unlink(missing_ok=True)
    monkeypatch.setattr("telemhq_agents.delivery.client.ApiClient.trackers", refuse)

    assert ada("whoami").err == ""
