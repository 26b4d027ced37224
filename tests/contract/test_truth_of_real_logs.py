"""`telemhq usage --local` over logs that the real programs wrote, against what they were billed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.envelopes import data_of

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
CODEX = sorted((FIXTURES / "codex").iterdir())
CLAUDE = sorted(truth.parent for truth in (FIXTURES / "claude_code").glob("*/truth.json"))


def usage(home: Path, *arguments: str, **environ: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "telemhq_cli.main", "usage", "--local", *arguments, "--json"],
        env={**os.environ, "HOME": str(home), "TELEMHQ_HOME": str(home / "ours"), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    shape: dict[str, Any] = data_of(done.stdout)
    return shape


def codex_row(truth: dict[str, int]) -> dict[str, int]:
    return {
        "responses": truth["responses"],
        "input_tokens": truth["input_tokens"],
        "cached_input_tokens": truth["cached_input_tokens"],
        "output_tokens": truth["output_tokens"],
        "reasoning_tokens": truth["reasoning_output_tokens"],
        "total_tokens": truth["total_tokens"],
    }


def claude_row(truth: dict[str, int]) -> dict[str, int]:
    cached, written = truth["cache_read_input_tokens"], truth["cache_creation_input_tokens"]
    everything = truth["input_tokens"] + cached + written
    return {
        "responses": truth["requests"],
        "input_tokens": everything,
        "cached_input_tokens": cached,
        "cache_write_tokens": written,
        "output_tokens": truth["output_tokens"],
        "total_tokens": everything + truth["output_tokens"],
    }


def shown(row: dict[str, Any], like: dict[str, int]) -> dict[str, Any]:
    return {name: row[name] for name in like}


def plus(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one[name] + other[name] for name in one}


def is_empty(truth: dict[str, Any]) -> bool:
    return not truth["total"]["responses"] and not truth["incomplete"]["responses"]


def has_file(home: Path, thread: str) -> bool:
    return any(home.rglob(f"rollout-*{thread}*.jsonl"))


@pytest.mark.parametrize("folder", CODEX, ids=lambda path: path.name)
def test_codex_threads_equal_the_truth(folder: Path, tmp_path: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())["threads"]

    report = usage(tmp_path, "--by", "thread", "--source", "codex", CODEX_HOME=str(folder / "home"))

    rows = {row["thread"]: row for row in report["rows"]}
    with_file = {thread: t for thread, t in truth.items() if has_file(folder / "home", thread)}
    assert len(with_file) >= 5
    for thread, true in with_file.items():
        without = codex_row(true["total"])
        if is_empty(true):
            assert rows.get(thread, {"total_tokens": 0})["total_tokens"] == 0
            continue
        seen = shown(rows[thread], without)
        assert seen in (without, plus(without, codex_row(true["incomplete"]))), thread
    assert {thread for thread, row in rows.items() if row["responses"]} <= with_file.keys()


@pytest.mark.parametrize("folder", CODEX, ids=lambda path: path.name)
def test_codex_models_equal_the_truth(folder: Path, tmp_path: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())["threads"]

    report = usage(
        tmp_path,
        "--by",
        "thread",
        "--by",
        "model",
        "--source",
        "codex",
        CODEX_HOME=str(folder / "home"),
    )

    found = {(row["thread"], row["model"]): row for row in report["rows"] if row["responses"]}
    expected = {
        (thread, model): codex_row(figures)
        for thread, true in truth.items()
        if has_file(folder / "home", thread) and not true["incomplete"]["responses"]
        for model, figures in true["by_model"].items()
        if figures["responses"]
    }
    assert expected
    for key, figures in expected.items():
        assert shown(found[key], figures) == figures, key


@pytest.mark.parametrize("folder", CLAUDE, ids=lambda path: path.name)
def test_claude_sessions_and_models_equal_the_truth(folder: Path, tmp_path: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())["transcript"]

    report = usage(
        tmp_path,
        *("--by", "session", "--by", "model", "--source", "claude"),
        CLAUDE_CONFIG_DIR=str(folder / "home"),
    )

    found = {(row["session"], row["model"]): row for row in report["rows"] if row["responses"]}
    expected = {(true["session_id"], true["model"]): claude_row(true) for true in truth}
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        assert shown(found[key], figures) == figures, key


@pytest.mark.parametrize("folder", CODEX + CLAUDE, ids=lambda path: path.name)
def test_reading_again_adds_nothing(folder: Path, tmp_path: Path) -> None:
    homes = {"CODEX_HOME": str(folder / "home"), "CLAUDE_CONFIG_DIR": str(folder / "home")}

    first = usage(tmp_path, "--by", "day", **homes)
    again = usage(tmp_path, "--by", "day", **homes)

    assert first["total"]["responses"] > 0
    assert again == first
