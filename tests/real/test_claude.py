"""A real Claude Code against a fake model: what we report is what the model handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.programs import kill_all_of
from tools.fake_model.plays import Purpose

if TYPE_CHECKING:
    from tests.real.stage import Stage


def test_a_plain_turn_is_one_run(stage: Stage) -> None:
    stage.coder.claude("play:plain")

    stage.settles(runs=1)


def test_a_turn_with_tool_calls_one_of_which_fails_is_one_run_that_succeeded(stage: Stage) -> None:
    stage.coder.claude("play:tools")

    assert len(stage.model.handed) == 3
    stage.settles(runs=1)
    assert stage.doings() == [
        {"tool_calls": 2, "tool_failures": 1, "tools": {"Bash": 2}, "prompts": 1}
    ]


def test_a_sub_agent_counts_for_the_session_that_ordered_it(stage: Stage) -> None:
    session = stage.coder.claude("play:parent")

    assert {entry.play for entry in stage.model.handed} == {"parent", "child"}
    assert {entry.session for entry in stage.model.handed} == {session}
    stage.settles(runs=1)
    assert stage.doings() == [
        {"tool_calls": 3, "tools": {"Bash": 2, "Agent": 1}, "prompts": 1, "subagents": 1}
    ]


def test_a_sub_agent_in_the_background_and_what_its_notice_sets_going_is_one_run(
    stage: Stage,
) -> None:
    stage.coder.claude("play:background")

    assert len(stage.model.handed) == 5
    stage.settles(runs=1)


def test_a_refused_request_is_a_run_that_failed(stage: Stage) -> None:
    stage.coder.claude("play:refused", code=1)

    stage.settles(runs=1, failures=1)
    assert stage.doings() == [{"prompts": 1, "error": "unknown"}]


def test_a_resumed_session_goes_on(stage: Stage) -> None:
    session = stage.coder.claude("play:plain")
    resumed = stage.coder.claude("play:tools", "--resume", session)

    assert resumed == session
    stage.settles(runs=2)


def test_a_fork_repeats_nothing(stage: Stage) -> None:
    session = stage.coder.claude("play:tools")
    fork = stage.coder.claude("play:plain", "--resume", session, "--fork-session")

    assert fork != session
    assert len(stage.truth()) == 2
    stage.settles(runs=2)


def test_two_sessions_at_once_are_kept_apart(stage: Stage) -> None:
    both = [stage.coder.start_claude(f"play:{name}") for name in ("tools", "parent")]
    codes = [process.wait(timeout=60) for process in both]
    for process in both:
        process.communicate()

    assert codes == [0, 0]
    assert len(stage.truth()) == 2
    stage.settles(runs=2)


def test_a_session_killed_in_the_middle_keeps_what_it_had_and_goes_on(stage: Stage) -> None:
    process = stage.coder.start_claude("play:stalled")
    assert stage.model.stalled.wait(30)
    kill_all_of(process)
    (session,) = {entry.session for entry in stage.model.handed}
    stage.coder.claude("play:plain", "--resume", session)

    assert len(stage.model.handed) == 3
    stage.settles(runs=2)


def test_with_hooks_disabled_the_transcripts_tell_it_all(stage: Stage) -> None:
    hooked = stage.coder.claude_settings()
    stage.coder.sets_claude_settings(hooked | {"disableAllHooks": True})

    stage.coder.claude("play:parent")

    stage.settles(runs=1)


def test_a_compaction_stands_in_no_transcript_and_in_none_of_our_default_sums(
    stage: Stage,
) -> None:
    session = stage.coder.claude("play:tools")
    stage.coder.claude("/compact", "--resume", session)
    stage.coder.claude("play:plain", "--resume", session)

    purposes = [entry.purpose for entry in stage.model.handed]
    assert purposes == [*[Purpose.TURN] * 3, Purpose.COMPACTION, Purpose.TURN]
    stage.settles(runs=2)


def test_without_an_agent_the_hook_alone_reports(bare_stage: Stage) -> None:
    bare_stage.coder.run("claude", "install")

    bare_stage.coder.claude("play:tools")

    bare_stage.settles(runs=1)


def test_a_session_without_a_transcript_is_known_by_its_hook_alone(stage: Stage) -> None:
    stage.coder.claude("play:plain", "--no-session-persistence")

    assert len(stage.model.handed) == 1
    stage.model.handed.clear()  # nobody could read it
    stage.settles(runs=1)
