from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_cli.completion.scripts import Shell, script
from tests.telemhq_cli.screens import on_screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemhq_cli.conftest import Machine
    from tests.telemhq_cli.screens import Screen

TRACKERS = [
    "plain",
    "nightly report",
    "it's five o'clock",
    'say "hello"',
    "Übersicht täglich",
    "money $HOME `id`",
    "team:prod=eu",
    "back\\slash",
    "star * [x] #1!",
    "~home",
    "日本 語",
]
FULL = [
    ("telemhq trac", ["tracker"]),
    ("telemhq tracker show pl", ["tracker", "show", "plain"]),
    ("telemhq tracker show nig", ["tracker", "show", "nightly report"]),
    ("telemhq tracker show nightly\\ r", ["tracker", "show", "nightly report"]),
    ('telemhq tracker show "nightly r', ["tracker", "show", "nightly report"]),
    ("telemhq tracker show 'nightly r", ["tracker", "show", "nightly report"]),
    ("telemhq tracker show it", ["tracker", "show", "it's five o'clock"]),
    ('telemhq tracker show "it', ["tracker", "show", "it's five o'clock"]),
    ("telemhq tracker show say", ["tracker", "show", 'say "hello"']),
    ("telemhq tracker show 'say", ["tracker", "show", 'say "hello"']),
    ('telemhq tracker show "say', ["tracker", "show", 'say "hello"']),
    ("telemhq tracker show Ü", ["tracker", "show", "Übersicht täglich"]),
    ("telemhq tracker show 'Übersicht t", ["tracker", "show", "Übersicht täglich"]),
    ("telemhq tracker show mon", ["tracker", "show", "money $HOME `id`"]),
    ("telemhq tracker show 'mon", ["tracker", "show", "money $HOME `id`"]),
    ("telemhq tracker show team:pr", ["tracker", "show", "team:prod=eu"]),
    ("telemhq tracker show team:prod=", ["tracker", "show", "team:prod=eu"]),
    ("telemhq tracker show bac", ["tracker", "show", "back\\slash"]),
    ("telemhq tracker show sta", ["tracker", "show", "star * [x] #1!"]),
    ("telemhq tracker show \\~h", ["tracker", "show", "~home"]),
    ("telemhq tracker show 日", ["tracker", "show", "日本 語"]),
    ("telemhq ping nigh", ["ping", "nightly report"]),
    ("telemhq usage --team --tracker=nigh", ["usage", "--team", "--tracker=nightly report"]),
    ("telemhq team usage --json --prof", ["team", "usage", "--json", "--profile"]),
    ("telemhq usage --member ada@ex", ["usage", "--member", "ada@example.com"]),
    ("telemhq usage --by day,proj", ["usage", "--by", "day,project"]),
]
BEGIN = {
    Shell.BASH: "set +o history; PS1=; bind 'set bell-style none'; telemhq() { (IFS='|'; printf "
    "'<<%s>>' \"$*\"); }; ",
    Shell.ZSH: "PS1=; unsetopt beep banghist; zstyle ':completion:*' menu no; autoload -Uz compinit;"
    ' compinit -u -D; telemhq() { print -rn -- "<<${(j:|:)@}>>"; }; ',
    Shell.FISH: "function fish_prompt; end; function telemhq; printf '<<%s>>' (string join '|' -- "
    "$argv); end; ",
}
COMMAND = {
    Shell.BASH: ["bash", "--norc", "--noprofile", "-i"],
    Shell.ZSH: ["zsh", "-f", "-i"],
    Shell.FISH: ["fish", "--no-config", "-i"],
}
HERE = [shell for shell in Shell if shutil.which(shell)]
WIDE = 400
LISTED = {Shell.FISH: b"complete -C 'telemhq usage --member '\r"}
"""fish draws its list piece by piece; it says it whole where it is asked in words."""


@pytest.fixture
def known(machine: Machine) -> Machine:
    """A machine that was told names by a server."""
    machine.ours.mkdir()
    names = {
        "trackers": {name: str(number) for number, name in enumerate(TRACKERS)},
        "members": ["ada@example.com", "bob@example.com"],
    }
    document = {"version": 1, "profiles": {"default": {"": names}}}
    (machine.ours / "names.json").write_text(json.dumps(document), encoding="utf-8")
    return machine


@contextmanager
def typing_in(shell: Shell, known: Machine) -> Iterator[Screen]:
    """A shell that was taught to complete, and in which `telemhq` says what it was given."""
    path = known.home / "completion"
    path.write_text(script(shell))
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = str(shutil.which("env"))
    command = [env, "TERM=dumb", *COMMAND[shell]]
    with on_screen(command, {**known.environ, "PATH": programs}, WIDE) as screen:
        screen.type(f"{BEGIN[shell]}. {path}; printf '<%s>' ready\r".encode())
        screen.until(b"<ready>")
        yield screen


def completed(screen: Screen, typed: str) -> list[str]:
    """Type this and Tab, then Return: what `telemhq` is given."""
    screen.type(f"{typed}\t\r".encode())
    told = screen.until(b">>").decode().rpartition("<<")[2]
    return told.partition(">>")[0].split("|")


@pytest.mark.parametrize("shell", HERE)
def test_names_are_completed_so_that_the_command_gets_them_as_they_are(
    shell: Shell, known: Machine
) -> None:
    with typing_in(shell, known) as screen:
        got = [completed(screen, typed) for typed, _ in FULL]

    assert got == [whole for _, whole in FULL]


@pytest.mark.parametrize("shell", HERE)
def test_where_a_file_is_wanted_the_shell_completes_its_files(shell: Shell, known: Machine) -> None:
    place = known.home / "my files"
    place.mkdir()
    (place / "trackers of ours.toml").touch()

    with typing_in(shell, known) as screen:
        screen.type(f"cd '{place}'\r".encode())
        got = completed(screen, "telemhq tracker apply trackers")

    assert got == ["tracker", "apply", "trackers of ours.toml"]


@pytest.mark.parametrize("shell", HERE)
def test_several_names_are_listed(shell: Shell, known: Machine) -> None:
    with typing_in(shell, known) as screen:
        screen.type(LISTED.get(shell, b"telemhq usage --member \t\t"))
        screen.until(b"bob@example.com")

    assert b"ada@example.com" in screen.written
    assert b"telemhq:" not in screen.written
