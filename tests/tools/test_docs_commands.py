"""What the pages say of commands and units: every command and option is there, every unit is sound."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]  # it comes with mkdocs, without types
from typer.main import get_command

from telemhq_cli.commands.tree import tree
from telemhq_cli.wrap.command_line import help_text

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path.name not in {"cli.md", "CHANGELOG.md"}
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_COMMAND = frozenset({"--", "|", "||", "&&", ";", "<", ">", ">>", "2>&1", "&"})


@cache
def every_command() -> Any:
    return get_command(tree())


def typed(text: str) -> list[str]:
    """Return the lines of a page's fences, and its code in lines, that call telemhq."""
    lines = [
        line for _, body in FENCE.findall(text) for line in body.replace("\\\n", " ").splitlines()
    ]
    lines += re.findall(r"^    (telemhq .*)$", text, re.MULTILINE)
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    bare = (re.sub(r"^(\$ |[A-Z_]+=\S+ )+", "", line.strip()) for line in lines)
    return [line for line in bare if re.match(r"telemhq [a-z-]", line)]


def wrong_in(line: str) -> str:
    """Return what a line names that is not there; "" where all of it is."""
    try:
        words = shlex.split(line, comments=True)[1:]
    except ValueError:
        return ""  # cut at a quote, in the middle of a sentence
    command, path = every_command(), "telemhq"
    while words and getattr(command, "commands", None):
        if words[0].startswith("-"):
            break
        name = words.pop(0)
        for choice in re.split(r"[|/]", name) if name not in command.commands else [name]:
            if not re.fullmatch(r"[a-z][a-z-]*", choice):
                return ""  # `telemhq tracker …`
            if choice not in command.commands:
                return "" if command.callback and path != "telemhq" else f"{path} {choice}"
        command, path = command.commands.get(name, command), f"{path} {name}"
        if name not in path or "|" in name:
            return ""
    return next(
        (f"{path} {word}" for word in options(words) if word not in known(command, path)), ""
    )


def options(words: list[str]) -> list[str]:
    ends = next((at for at, word in enumerate(words) if word in END_OF_COMMAND), len(words))
    return [
        match[0]
        for word in words[:ends]
        if (match := re.match(r"--[a-z][a-z-]*", word)) and not word.startswith("--/")
    ]


def known(command: Any, path: str) -> set[str]:
    if path == "telemhq ping":
        return set(re.findall(r"--[a-z][a-z-]*", help_text()))
    named = {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    return named | {"--help"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_names_no_command_and_no_option_that_is_not_there(path: Path) -> None:
    lines = typed(path.read_text(encoding="utf-8"))

    assert [f"{wrong}: {line}" for line in lines if (wrong := wrong_in(line))] == []


def test_the_pages_name_many_commands() -> None:
    assert sum(len(typed(path.read_text(encoding="utf-8"))) for path in PAGES) > 200


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("telemhq usage --local --by day", ""),
        ("telemhq usage --locale", "telemhq usage --locale"),
        ("telemhq trackers list", "telemhq trackers"),
        ("telemhq tracker list --jason", "telemhq tracker list --jason"),
        ("telemhq ping nightly --retry 3 -- rsync --no-such-option", ""),
        ("telemhq ping nightly --retyr 3 -- ./job", "telemhq ping --retyr"),
        ("telemhq tracker export > trackers.toml --not-ours", ""),
    ],
)
def test_a_wrong_word_is_found(line: str, wrong: str) -> None:
    assert wrong_in(line) == wrong


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


@pytest.mark.parametrize("kind", READERS)
def test_what_a_page_shows_of_a_file_can_be_read(kind: str) -> None:
    shown = [
        body
        for path in PAGES
        for told, body in FENCE.findall(path.read_text(encoding="utf-8"))
        if told == kind
    ]

    assert len(shown) > 1
    for body in shown:
        assert READERS[kind](body), body


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here"
)
def test_systemd_takes_every_unit_of_the_pages(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "systemd.md").read_text(encoding="utf-8")
    units = [body for kind, body in FENCE.findall(page) if kind == "ini"]
    names = ["report.service", "report.timer", "telemhq-failed@.service", "telemhq.service"]

    assert len(units) == len(names)
    for name, unit in zip(names, units, strict=True):
        there = unit.replace("/opt/telemhq/bin/telemhq", "/bin/true").replace(
            "User=report", "User=daemon"
        )
        (tmp_path / name).write_text(there)
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), name
