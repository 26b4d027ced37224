"""Runs that are followed: a line each, however odd their names and narrow the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telemhq_agents.contract.resources import Run
from telemhq_cli.render import screen
from telemhq_cli.render.cells import columns
from telemhq_cli.render.nouns import run_heading, run_line

RUN = Run(
    id="1",
    kind="run",
    received_at="2026-11-20T19:30:44.000Z",
    ended_at="2026-11-20T19:30:44.000Z",
    status="error",
    failed=True,
    provider="",
    model="claude-opus-4-8-20260101-thinking",
    project="a\tb\x1b[31m日本語プロジェクト名前",
    source="",
    session_id="",
    thread_id="",
    input_tokens=65_000,
    cached_input_tokens=0,
    cache_write_tokens=0,
    output_tokens=400,
    reasoning_tokens=0,
    total_tokens=65_400,
    cost_usd=9_999.99,
    duration_ms=359_999_000,
    payload={},
)


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "is_ascii", lambda: False)


@pytest.mark.parametrize("width", [40, 50, 60, 70, 71, 80, 160])
def test_a_line_is_as_wide_as_the_screen_at_most(width: int) -> None:
    line = run_line(RUN, width, failed=True)

    assert columns(line) <= width
    assert columns(run_heading(width)) <= width
    assert "11-20 19:30:44  failed " in line
    assert line.isprintable()


def test_a_figure_that_is_too_large_is_rounded_and_never_cut() -> None:
    large = replace(RUN, cost_usd=9_999.99, duration_ms=40 * 86_400_000)

    assert run_line(large, 80, failed=True).split()[-4:] == ["65.4k", "$10.0k", "40", "d"]


def test_a_narrow_screen_goes_without_what_matters_least() -> None:
    assert run_heading(80).split()[2:] == ["Status", "Project", "Model", "Tokens", "Cost", "Took"]
    assert run_heading(60).split()[2:] == ["Status", "Project", "Model", "Tokens", "Cost"]
    assert run_heading(40).split()[2:] == ["Status", "Project"]
