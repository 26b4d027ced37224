"""A real Claude Code at a terminal: titles behind the talk, and a turn that somebody interrupts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.terminal import ESCAPE, claude_in_a_terminal
from tools.fake_model.plays import Purpose

if TYPE_CHECKING:
    from tests.real.stage import Stage

READY = b"for shortcuts"
"""What Claude Code draws below its prompt."""


def answered(stage: Stage, play: str) -> int:
    return len([entry for entry in stage.model.handed if entry.play == play])


def test_a_session_s_title_is_in_none_of_our_default_sums(stage: Stage) -> None:
    with claude_in_a_terminal(stage.coder) as terminal:
        terminal.waits(lambda: READY in terminal.drawn)
        terminal.types("play:tools")
        terminal.waits(lambda: answered(stage, "tools") == 3)
        terminal.looks(1)
        terminal.leaves()

    assert Purpose.TITLE in {entry.purpose for entry in stage.model.handed}
    stage.settles(runs=1)


def test_an_interrupted_answer_counts_with_what_its_beginning_told(stage: Stage) -> None:
    with claude_in_a_terminal(stage.coder) as terminal:
        terminal.waits(lambda: READY in terminal.drawn)
        terminal.types("play:stalled")
        terminal.waits(stage.model.stalled.is_set)
        terminal.looks(1)
        terminal.presses(ESCAPE)
        terminal.looks(1)
        terminal.types("play:plain")
        terminal.waits(lambda: answered(stage, "plain") == 1)
        terminal.looks(1)
        terminal.leaves()

    (begun,) = [entry for entry in stage.model.handed if entry.cut_off]
    stage.settles(runs=2, aborted=begun)
