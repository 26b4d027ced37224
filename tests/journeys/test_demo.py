"""`make demo` is a promise of the README: it runs, checks itself and leaves nothing behind."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.demo import differences
from tools.make_demo_logs import HERE

ROOT = Path(__file__).resolve().parents[2]


def truth() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
    return kept


def processes_that_name(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc to look for processes left")
def test_the_demo_equals_its_truth_and_leaves_nothing(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()

    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "counted once" in done.stdout
    assert list(temporary.iterdir()) == []
    assert list(home.iterdir()) == []
    assert processes_that_name(str(temporary)) == []


def test_the_demo_sees_no_difference_where_there_is_none() -> None:
    assert differences(truth(), truth()) == []


@pytest.mark.parametrize("figure", ["runs", "input_tokens", "cost_usd", "failures"])
def test_the_demo_sees_a_figure_that_is_off_by_the_smallest_step(figure: str) -> None:
    wrong = copy.deepcopy(truth())
    wrong["by_member"]["grace@example.com"][figure] += 1e-9 if figure == "cost_usd" else 1

    assert len(differences(truth(), wrong)) == 1


def test_the_demo_sees_a_row_too_many_and_a_row_too_few() -> None:
    wrong = copy.deepcopy(truth())
    wrong["by_project"]["surprise"] = wrong["by_project"].pop("web-app")

    lines = differences(truth(), wrong)

    assert any("surprise" in line for line in lines)
    assert any("by_project web-app" in line for line in lines)
