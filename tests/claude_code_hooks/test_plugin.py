"""The plugin: the same hooks as in the settings, which find telemhq through one small file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from claude_code_hooks.events import EVENTS
from claude_code_hooks.install import link_plugin, unlink_plugin
from claude_code_hooks.registering import plan

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "claude_code_hooks" / "plugin"
SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
EVENT = '{"hook_event_name": "Stop"}'


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def line() -> str:
    """Return the one shell line that the plugin runs."""
    (command,) = {
        entry["command"]
        for groups in read(PLUGIN / "hooks" / "hooks.json")["hooks"].values()
        for group in groups
        for entry in group["hooks"]
    }
    return str(command)


def told(shell: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the line as Claude Code does."""
    words = [shell, "sh", "-c"] if shell == "busybox" else [shell, "-c"]
    return subprocess.run(
        [*words, line()],
        env={"PATH": os.environ["PATH"], **environ},
        input=EVENT,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def test_the_plugin_has_the_hooks_that_the_installer_writes() -> None:
    written = json.loads(plan(None, line(), EVENTS))

    assert read(PLUGIN / "hooks" / "hooks.json")["hooks"] == written["hooks"]


def test_the_marketplace_leads_to_the_plugin() -> None:
    (entry,) = read(ROOT / ".claude-plugin" / "marketplace.json")["plugins"]

    assert (ROOT / entry["source"]).resolve() == PLUGIN
    assert entry["name"] == read(PLUGIN / ".claude-plugin" / "plugin.json")["name"]


def test_the_plugin_has_the_version_and_the_licence_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = read(PLUGIN / ".claude-plugin" / "plugin.json")

    assert (plugin["version"], plugin["license"]) == (project["version"], project["license"])
    assert (PLUGIN / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("shell", SHELLS)
def test_an_event_reaches_whom_the_plugin_was_told(shell: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    link_plugin(environ, f"{{ cat > {kept}; }} >/dev/null 2>&1 || : telemhq")

    done = told(shell, environ)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert kept.read_text() == EVENT


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_directory_of_its_own_claude_code_has_one_at_home(
    shell: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    (tmp_path / ".claude").mkdir()
    link_plugin({"CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}, f"cat > {kept}")

    done = told(shell, {"HOME": str(tmp_path)})

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert kept.read_text() == EVENT


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "if if if",
        "echo told; echo told >&2; exit 2",
        "/nowhere/python -I -S hook.py",
        "echo told '",
    ],
)
def test_whatever_lies_there_the_plugin_is_silent_and_succeeds(
    shell: str, content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "telemhq-hook").write_text(content)

    done = told(shell, {"CLAUDE_CONFIG_DIR": str(tmp_path)})

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_without_any_home_the_plugin_is_silent_and_succeeds(shell: str) -> None:
    done = told(shell, {})

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_after_unlinking_nobody_is_told(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    link_plugin(environ, f"cat > {kept}")

    assert unlink_plugin(environ)
    assert told("sh", environ).returncode == 0
    assert not kept.exists()
