"""`telemhq claude …`: what it says about the hook, and what it does to the settings."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import hook
from telemhq_agents import locations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine

ALL = 10
OF_TURNS = 7


@pytest.fixture
def managed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an organisation's settings, which on this machine may be anybody's."""
    folder = tmp_path / "managed"
    folder.mkdir()
    monkeypatch.setattr(locations, "claude_managed_settings", lambda: folder)
    return folder


@pytest.fixture
def claude(telemhq: CommandLine, managed: Path) -> CommandLine:
    """Somebody who has Claude Code 2.1.328 on the PATH."""
    put_program(telemhq, "2.1.328")
    return telemhq


def put_program(telemhq: CommandLine, version: str, place: str = "bin") -> None:
    program = telemhq.machine.home / place / "claude"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "{version} (Claude Code)"\n')
    program.chmod(0o755)
    telemhq.machine.extra["PATH"] = f"{telemhq.machine.home / 'bin'}:/usr/bin:/bin"


def settings_path(telemhq: CommandLine) -> Path:
    return telemhq.machine.home / "claude" / "settings.json"


def settings(telemhq: CommandLine) -> Any:
    return json.loads(settings_path(telemhq).read_text())


def put_settings(telemhq: CommandLine, value: object) -> None:
    settings_path(telemhq).parent.mkdir(exist_ok=True)
    settings_path(telemhq).write_text(json.dumps(value))


def test_tools_are_counted_unless_somebody_says_no(claude: CommandLine) -> None:
    claude("claude", "install")
    assert len(settings(claude)["hooks"]) == ALL

    done = claude("claude", "install", "--no-tools")

    assert "up to date" in done.out
    assert len(settings(claude)["hooks"]) == OF_TURNS
    assert not {"PostToolUse", "PermissionRequest", "PreToolUse"} & settings(claude)["hooks"].keys()
    assert claude.asks("claude", "install", "--no-tools")["changed"] is False
    assert len(claude.asks("claude", "install")["events"]) == ALL


def test_without_claude_code_the_hook_stands_where_it_can_hurt_no_version(
    telemhq: CommandLine, managed: Path
) -> None:
    telemhq.machine.extra["PATH"] = "/usr/bin:/bin"

    done = telemhq("claude", "install")

    assert settings(telemhq)["hooks"].keys() == {"Stop", "PostToolUse"}
    assert "No Claude Code was found" in done.err
    assert telemhq.asks("claude", "status")["claude"] is None
    put_program(telemhq, "2.1.328", ".claude/local")
    assert telemhq("claude", "install").err == ""
    assert len(settings(telemhq)["hooks"]) == ALL


def test_a_version_can_be_named(claude: CommandLine) -> None:
    told = claude.asks("claude", "install", "--claude-version", "1.0.60")

    assert told["claude_version"] == "1.0.60"
    assert set(told["events"]) == {"Stop", "PostToolUse", "SubagentStop", "UserPromptSubmit"}
    wrong = claude("claude", "install", "--claude-version", "newest", code=2)
    assert "it looks like 2.1.328" in wrong.complaint


def test_what_keeps_the_hook_from_running_is_said(claude: CommandLine, managed: Path) -> None:
    put_settings(claude, {"disableAllHooks": True})
    (managed / "managed-settings.json").write_text('{"allowManagedHooksOnly": true}')

    done = claude("claude", "install")

    assert f'{settings_path(claude)} says "disableAllHooks": true' in done.complaint
    assert f"{managed / 'managed-settings.json'} says" in done.complaint
    status = claude.asks("claude", "status")
    assert len(status["silenced_by"]) == len(claude.asks("claude", "install")["warnings"]) == 2


def test_a_status_line_comes_when_asked_for_and_goes_with_the_hook(claude: CommandLine) -> None:
    put_settings(claude, {"model": "opus"})
    claude("claude", "install")
    assert "statusLine" not in settings(claude)

    claude("claude", "install", "--statusline")

    line = settings(claude)["statusLine"]
    assert line["type"] == "command"
    assert line["command"].endswith(" statusline 2>/dev/null || : telemhq")
    assert claude.asks("claude", "status")["places"][0]["statusline"] is True
    claude("claude", "uninstall")
    assert settings(claude) == {"model": "opus"}


def test_a_status_line_of_ones_own_is_left(claude: CommandLine) -> None:
    mine = {"statusLine": {"type": "command", "command": "mine"}}
    put_settings(claude, mine)

    done = claude("claude", "install", "--statusline")

    assert "left as it is" in done.err
    assert settings(claude)["statusLine"] == mine["statusLine"]
    claude("claude", "uninstall")
    assert settings(claude) == mine


def test_the_plugin_is_linked_and_unlinked(claude: CommandLine) -> None:
    link = claude.machine.home / "claude" / "telemhq-hook"
    put_settings(claude, {"enabledPlugins": {"telemhq@telemhq": True}})
    assert "claude install --plugin" in claude("claude", "status").err

    told = claude("claude", "install", "--plugin")

    assert str(link) in told.out
    assert "up to date" in claude("claude", "install", "--plugin").out
    assert "hooks" not in settings(claude)
    assert claude("claude", "status").err == ""
    assert claude.asks("claude", "status")["plugin"] == {
        "enabled": True,
        "path": str(link),
        "linked": True,
    }
    done = subprocess.run(
        ["/bin/sh", "-c", f". {link}"],
        input=b'{"hook_event_name":"SessionStart"}',
        capture_output=True,
        check=True,
    )
    assert done.stdout + done.stderr == b""
    assert len(list(claude.machine.spool.glob("*.json"))) == 1
    assert claude.asks("claude", "uninstall", "--plugin")["changed"] is True
    assert "nothing changed" in claude("claude", "uninstall", "--plugin").out
    assert "exclude each other" in claude("claude", "install", "--plugin", "--user", code=2).err
    assert claude("claude", "install", "--plugin", "--dry-run", code=2).err
    for more in (["--statusline"], ["--no-tools"], ["--claude-version", "2.1.328"]):
        assert "no other choice" in claude("claude", "install", "--plugin", *more, code=2).err


def test_status_tells_where_the_hook_is_and_what_it_is_on(claude: CommandLine) -> None:
    claude("claude", "install")

    told = claude.asks("claude", "status")

    user, project = told["places"]
    assert told["claude"] == {
        "path": str(claude.machine.home / "bin" / "claude"),
        "version": "2.1.328",
    }
    assert (user["scope"], user["path"]) == ("user", str(settings_path(claude)))
    assert (user["installed"], user["works"], len(user["events"])) == (True, True, ALL)
    assert (project["installed"], user["missing"]) == (False, [])
    assert (told["last_event_at"], told["waiting"], told["spool_full"]) == (None, 0, False)
    shown = claude("claude", "status")
    assert shown.out.startswith("Claude Code 2.1.328: ")
    assert "Last event: none so far" in shown.out
    assert shown.err == ""
    rows = list(csv.DictReader(io.StringIO(claude("claude", "status", "--csv").out)))
    assert [(row["scope"], row["installed"]) for row in rows] == [
        ("user", "True"),
        ("project", "False"),
    ]


def test_status_says_what_to_do(claude: CommandLine) -> None:
    assert "Run: telemhq claude install" in claude("claude", "status").err

    claude("claude", "install", "--claude-version", "2.1.80")
    assert "is not on PostToolUseFailure. Run: telemhq claude install" in " ".join(
        claude("claude", "status").err.split()
    )

    text = settings_path(claude).read_text().replace(sys.executable, "/gone/python")
    settings_path(claude).write_text(text)
    assert "names a program that is gone" in claude("claude", "status").complaint
    assert claude.asks("claude", "status")["places"][0]["works"] is False


def test_status_tells_when_the_hook_spoke_last(claude: CommandLine) -> None:
    spool = claude.machine.spool
    spool.mkdir(parents=True)
    entry = hook.redact({"hook_event_name": "Stop", "prompt_id": "p1"}, 1_795_000_000_000)
    (spool / "1-1.json").write_text(hook.to_json(entry))
    os.utime(spool / "1-1.json", (1_795_000_001, 1_795_000_001))
    (spool / ".full").touch()

    waiting = claude.asks("claude", "status")
    assert (waiting["last_event_at"], waiting["waiting"]) == ("2026-11-18T11:06:41.000Z", 1)
    assert waiting["spool_full"] is True
    assert "telemhq agent once" in claude("claude", "status").err
    claude("agent", "once")

    told = claude.asks("claude", "status")
    assert (told["last_event_at"], told["waiting"]) == ("2026-11-18T11:06:40.000Z", 0)
    assert told["spool_full"] is False


def test_damaged_settings_are_said(claude: CommandLine) -> None:
    settings_path(claude).parent.mkdir()
    settings_path(claude).write_text('{"hooks": [')

    assert "line 1" in claude("claude", "status", code=3).err
