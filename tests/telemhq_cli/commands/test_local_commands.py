"""The commands that need no server: this machine's usage, settings, Claude Code's hook."""

from __future__ import annotations

import csv
import io
import json
import stat
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.clock import from_iso
from tests.telemhq_cli.logs import ClaudeSession, CodexSession, iso

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine

NOON = from_iso("2026-03-01T12:00:00Z")
EVENING = from_iso("2026-03-01T20:00:00Z")  # the day after in Kolkata


@pytest.fixture
def logs(telemhq: CommandLine) -> CommandLine:
    """One Codex turn at noon, one Claude Code prompt in the evening."""
    CodexSession(telemhq.machine.home / "codex", NOON).turn(NOON, 1_000_000, 10)
    ClaudeSession(telemhq.machine.home / "claude").prompt(EVENING, 500, 20)
    return telemhq


def test_usage_is_this_machines_and_needs_nothing(logs: CommandLine) -> None:
    done = logs("usage")

    lines = done.out.splitlines()
    assert lines[0].split() == [
        *("Project", "Model", "Runs", "Failed", "Input", "Cached", "Output", "Cost"),
    ]
    assert any("1,000,000" in line and line.startswith("billing") for line in lines)
    assert lines[-1].startswith("Total")
    assert max(map(len, lines)) <= 80
    assert done.err == ""


def test_usage_by_day_follows_the_zone(logs: CommandLine) -> None:
    utc = logs.asks("usage", "--local", "--by", "day", "--timezone", "UTC")
    kolkata = logs.asks("usage", "--local", "--by", "day", "--timezone", "Asia/Kolkata")

    assert {row["day"]: row["input_tokens"] for row in utc["rows"]} == {"2026-03-01": 1_000_500}
    assert {row["day"]: row["input_tokens"] for row in kolkata["rows"]} == {
        "2026-03-01": 1_000_000,
        "2026-03-02": 500,
    }


@pytest.mark.parametrize(
    ("filters", "tokens"),
    [
        (["--source", "codex"], 1_000_000),
        (["--source", "claude"], 500),
        (["--since", "2026-03-02"], 0),
        (["--until", "2026-03-01"], 1_000_500),
        (["--until", "2026-02-28"], 0),
        (["--since", "2026-03-01T13:00:00Z"], 500),
        (["--until", "2026-03-01T13:00:00Z"], 1_000_000),
    ],
)
def test_usage_is_narrowed(logs: CommandLine, filters: list[str], tokens: int) -> None:
    report = logs.asks("usage", "--timezone", "UTC", *filters)

    assert report["total"]["input_tokens"] == tokens


def test_usage_by_the_settings_zone(logs: CommandLine) -> None:
    logs("config", "set", "timezone", "Asia/Kolkata")

    rows = logs.asks("usage", "--by", "day")["rows"]

    assert [row["day"] for row in rows] == ["2026-03-01", "2026-03-02"]


def test_usage_as_csv_has_raw_figures(logs: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(logs("usage", "--by", "source", "--csv").out)))

    assert {row["source"]: row["input_tokens"] for row in rows} == {
        "codex": "1000000",
        "claude": "500",
    }


def test_a_model_without_a_price_is_named(logs: CommandLine) -> None:
    path = next((logs.machine.home / "codex").rglob("*.jsonl"))
    path.write_text(path.read_text().replace("gpt-5.4", "in-house-1"))

    text = logs("usage", "--by", "source").out

    assert "unpriced*" in text
    assert (
        "* No price is known for in-house-1. Next: telemhq prices update, or prices set\n" in text
    )
    assert logs.asks("usage")["total"]["unpriced_tokens"] == 1_000_010


def test_background_work_stands_beside_the_report_and_names_what_has_no_price(
    logs: CommandLine,
) -> None:
    path = next((logs.machine.home / "claude").rglob("*.jsonl"))
    spent = {
        "claude-opus-4-8": {"inputTokens": 500, "outputTokens": 20},
        "in-house-1": {"inputTokens": 7, "outputTokens": 1},
    }
    state = {"type": "cost-state", "sessionId": path.stem, "modelUsage": spent}
    with path.open("a") as file:
        file.write(json.dumps({"timestamp": iso(EVENING + 60_000), **state}) + "\n")
    options = ("usage", "--with-background", "--by", "source")

    plain, shown = logs.asks("usage", "--by", "source"), logs.asks(*options)

    beside = {kind: shown.pop(kind) for kind in ("background", "unexplained")}
    assert shown == plain
    assert [(row["source"], row["total_tokens"]) for row in beside["background"]["rows"]] == [
        ("claude", 8)
    ]
    assert beside["background"]["unpriced_models"] == [{"model": "in-house-1", "tokens": 8}]
    assert beside["unexplained"]["rows"] == []
    rows = list(csv.DictReader(io.StringIO(logs(*options, "--csv").out)))
    assert [(row["kind"], row["source"], row["unpriced_models"]) for row in rows] == [
        ("counted", "codex", ""),
        ("counted", "claude", ""),
        ("background", "claude", "in-house-1"),
    ]
    assert "* No price is known for in-house-1." in logs(*options).out


def test_ones_own_prices_win(logs: CommandLine) -> None:
    logs.machine.ours.mkdir()
    (logs.machine.ours / "prices.toml").write_text(
        '[[price]]\nmodel = "gpt-5.4"\ninput = 2.0\noutput = 0.0\n'
    )

    done = logs("usage", "--source", "codex", "--json", code=None)

    if done.code:
        pytest.fail(done.err)
    assert done.document["total"]["cost_usd"] == 2.0


def test_scans_tell_what_they_found(logs: CommandLine) -> None:
    assert logs("codex", "scan").out == "Codex: 1 logs, 1 read, 1 new responses.\n"
    assert logs("codex", "scan").out == "Codex: 1 logs, 0 read, 0 new responses.\n"
    assert logs.asks("claude", "scan")["claude"]["new_facts"] == 1


def test_usage_without_logs_says_where_it_looked(telemhq: CommandLine) -> None:
    home = telemhq.machine.home

    assert telemhq("usage").out == (
        f"No usage in this period. Looked in {home / 'codex'}, {home / 'claude'}.\n"
    )
    assert telemhq("usage", "--source", "claude").out.endswith(f"Looked in {home / 'claude'}.\n")
    assert telemhq.asks("usage", "--by", "hour")["rows"] == []


def test_settings_are_listed_set_and_unset(telemhq: CommandLine) -> None:
    telemhq("config", "set", "coalesce", "5m")

    assert telemhq("config", "get", "coalesce").out == "5m\n"
    listed = {row["key"]: row for row in telemhq.asks("config", "list")}
    assert listed["coalesce"]["origin"] == telemhq("config", "path").out.strip()
    assert listed["url"] == {"key": "url", "value": "https://telemhq.com", "origin": "default"}
    telemhq("config", "unset", "coalesce")
    assert telemhq.asks("config", "get", "coalesce")["value"] == "off"
    assert "off, 1m, 3m, 5m or 15m" in telemhq("config", "set", "coalesce", "7m", code=2).err


def settings_of(telemhq: CommandLine) -> Path:
    return telemhq.machine.home / "claude" / "settings.json"


def test_the_hook_is_shown_added_and_taken_out(telemhq: CommandLine) -> None:
    path = settings_of(telemhq)
    path.parent.mkdir()
    path.write_text('{"model": "opus"}\n')

    diff = telemhq("claude", "install", "--dry-run").out
    assert path.read_text() == '{"model": "opus"}\n'
    telemhq("claude", "install")

    installed = json.loads(path.read_text())
    assert installed["model"] == "opus"
    assert "Stop" in installed["hooks"]
    assert f"+++ {path} (new)" in diff
    assert telemhq.asks("claude", "install")["changed"] is False
    assert telemhq.asks("claude", "uninstall")["changed"] is True
    assert path.read_text() == '{"model": "opus"}\n'
    assert "no hook of ours" in telemhq("claude", "uninstall").out


def test_the_hook_of_a_project_is_this_machines_alone(
    telemhq: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)

    telemhq("claude", "install", "--project")

    assert (project / ".claude" / "settings.local.json").exists()
    assert not settings_of(telemhq).exists()
    assert "exclude each other" in telemhq("claude", "install", "--project", "--user", code=2).err


@pytest.mark.parametrize(("version", "has_all"), [("2.0.14", False), ("2.1.328", True)])
def test_an_old_claude_code_gets_no_event_that_it_does_not_know(
    telemhq: CommandLine, tmp_path: Path, version: str, has_all: bool
) -> None:
    claude = tmp_path / "bin" / "claude"
    claude.parent.mkdir()
    claude.write_text(f'#!/bin/sh\necho "{version} (Claude Code)"\n')
    claude.chmod(claude.stat().st_mode | stat.S_IXUSR)
    telemhq.machine.extra["PATH"] = f"{claude.parent}:/usr/bin:/bin"

    telemhq("claude", "install")

    assert ("StopFailure" in json.loads(settings_of(telemhq).read_text())["hooks"]) is has_all


def test_a_broken_settings_file_of_claude_code_is_left_alone(telemhq: CommandLine) -> None:
    path = settings_of(telemhq)
    path.parent.mkdir()
    path.write_text("{oops")

    done = telemhq("claude", "install", code=3)

    assert "Nothing was changed" in done.complaint
    assert path.read_text() == "{oops"
