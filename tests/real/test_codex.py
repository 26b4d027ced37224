"""A real Codex against a fake model: what we report is what the model handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.programs import kill_all_of
from tools.fake_model.plays import Purpose

if TYPE_CHECKING:
    from tests.real.stage import Stage


def test_a_plain_turn_is_one_run(stage: Stage) -> None:
    stage.coder.codex("play:plain")

    stage.settles(runs=1)


def test_a_turn_with_tool_calls_one_of_which_fails_is_one_run_that_succeeded(stage: Stage) -> None:
    stage.coder.codex("play:tools")

    assert len(stage.model.handed) == 3
    stage.settles(runs=1)


def test_a_subagent_is_a_run_of_its_own_in_the_same_session(stage: Stage) -> None:
    thread = stage.coder.codex("play:parent")

    assert {entry.play for entry in stage.model.handed} == {"parent", "child"}
    assert {entry.session for entry in stage.model.handed} == {thread}
    stage.settles(runs=2)


def test_a_refused_request_is_a_run_that_failed(stage: Stage) -> None:
    stage.coder.codex("play:refused", code=1)

    stage.settles(runs=1, failures=1)
    assert stage.doings() == [{"error": "other"}]


def test_a_resumed_thread_goes_on(stage: Stage) -> None:
    thread = stage.coder.codex("play:plain")
    resumed = stage.coder.codex("play:tools", "resume", thread)

    assert resumed == thread
    stage.settles(runs=2)


def test_a_fork_repeats_nothing(stage: Stage) -> None:
    thread = stage.coder.codex("play:tools")
    fork = stage.coder.codex("play:plain", "fork", thread)

    assert fork != thread
    assert len(stage.truth()) == 2
    stage.settles(runs=2)


def test_two_threads_at_once_are_kept_apart(stage: Stage) -> None:
    both = [stage.coder.start_codex(f"play:{name}") for name in ("tools", "parent")]
    codes = [process.wait(timeout=60) for process in both]
    for process in both:
        process.communicate()

    assert codes == [0, 0]
    assert len(stage.truth()) == 2
    stage.settles(runs=3)


def test_a_thread_killed_in_the_middle_keeps_what_it_had_and_goes_on(stage: Stage) -> None:
    process = stage.coder.start_codex("play:stalled")
    assert stage.model.stalled.wait(30)
    kill_all_of(process)
    (thread,) = {entry.session for entry in stage.model.handed}
    stage.coder.codex("play:plain", "resume", thread)

    assert len(stage.model.handed) == 3
    stage.settles(runs=2)


def test_a_compaction_is_a_response_like_any_other(stage: Stage) -> None:
    thread = stage.coder.codex("play:tools")
    limit = "-cmodel_auto_compact_token_limit=1000"
    stage.coder.codex("play:plain", "resume", limit, thread)

    purposes = [entry.purpose for entry in stage.model.handed]
    assert purposes == [*[Purpose.TURN] * 3, Purpose.COMPACTION, Purpose.TURN]
    stage.settles(runs=2)
