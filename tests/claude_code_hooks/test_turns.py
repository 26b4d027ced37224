"""What counts as a run, how it ended, and how long it took."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.clock import from_iso
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import Home, Lines

OLD: dict[str, Any] = {"promptId": ..., "promptSource": ..., "version": "2.0.60"}
INTERRUPT = "[Request interrupted by user]"
SOON = {"now_ms": 0}


def test_a_prompt_and_its_reply_are_one_run(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(3)])

    home.scan()

    turn = home.ledger.only_turn()
    assert (turn.key, turn.session_id, turn.thread_id) == ("claude:p1", "s1", "")
    assert (turn.started_ms, turn.ended_ms) == (from_iso(lines.at(1)), from_iso(lines.at(3)))
    assert (turn.status, turn.duration_ms) == (TurnStatus.SUCCESS, 2000)
    assert (turn.agent_version, turn.place.project) == ("2.1.328", "repo")


def test_a_run_whose_reply_asks_for_a_tool_is_still_running(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use")])

    home.scan(**SOON)

    turn = home.ledger.only_turn()
    assert (turn.status, turn.ended_ms, turn.duration_ms) == (TurnStatus.RUNNING, None, None)


def test_a_prompt_that_nothing_came_of_yet_is_no_run(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1)])

    home.scan()

    assert home.ledger.turns == {}


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ({"subtype": "stop_hook_summary"}, TurnStatus.SUCCESS),
        ({"subtype": "turn_duration", "durationMs": 5000}, TurnStatus.SUCCESS),
        ({"subtype": "api_error"}, TurnStatus.RUNNING),
        ({"subtype": "compact_boundary"}, TurnStatus.RUNNING),
    ],
)
def test_system_lines_end_a_run_or_do_not(
    last: dict[str, Any], status: TurnStatus, home: Home, lines: Lines
) -> None:
    replied = [lines.prompt(1), lines.reply(2, stop=None)]
    home.write("s1", [*replied, lines.line("system", 3, **last)])

    home.scan(**SOON)

    assert home.ledger.only_turn().status is status


def test_the_programs_own_measure_of_a_run_is_taken_over(home: Home, lines: Lines) -> None:
    told = lines.system(9, "turn_duration", durationMs=183)
    home.write("s1", [lines.prompt(1), lines.reply(2), told])

    home.scan()

    assert home.ledger.only_turn().duration_ms == 183


def test_the_parts_of_a_run_add_up(home: Home, lines: Lines) -> None:
    home.write(
        "s1",
        [
            lines.prompt(1),
            lines.reply(2),
            lines.system(3, "turn_duration", durationMs=1000),
            lines.prompt(40, promptSource="system"),
            lines.reply(41, "msg_2"),
            lines.system(42, "turn_duration", durationMs=500),
        ],
    )

    home.scan()

    assert home.ledger.only_turn().duration_ms == 1500


def test_a_run_that_went_on_after_its_end_ends_with_what_it_did_last(
    home: Home, lines: Lines
) -> None:
    """A Stop hook of somebody's can send the model back to work."""
    again = lines.reply(5, "msg_2", stop="tool_use")
    home.write("s1", [lines.prompt(1), lines.reply(2), again, lines.prompt(50)])

    home.scan()

    turn = home.ledger.turns["claude:p1"]
    assert (turn.ended_ms, turn.status) == (from_iso(lines.at(5)), TurnStatus.INTERRUPTED)


def test_a_run_that_ends_in_an_api_error_failed_whatever_follows(home: Home, lines: Lines) -> None:
    told = lines.system(4, "turn_duration", durationMs=5)
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use"), lines.api_error(3), told])

    home.scan()

    assert home.ledger.only_turn().status is TurnStatus.ERROR


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"error": "rate_limit"}, "rate_limit"),
        ({"error": "unknown", "apiErrorType": "api_error"}, "unknown"),
        ({"apiErrorType": "overloaded_error"}, "overloaded_error"),
        ({"error": None, "apiErrorType": "api_error"}, "api_error"),
        ({"error": "The model said no"}, ""),
        ({"error": "rate_limit\n"}, ""),
        ({"error": "secret-4711"}, ""),
        ({"error": "a" * 41}, ""),
        ({"error": {"message": "no"}}, ""),
        ({"error": "half \ud83d a pair", "apiErrorType": ["x"]}, ""),
        ({"error": "rate_limit", "isMeta": "a kind that no version wrote"}, "rate_limit"),
        ({}, ""),
    ],
)
def test_a_run_that_failed_tells_the_kind_of_failure_and_no_text(
    told: dict[str, Any], kind: str, home: Home, lines: Lines
) -> None:
    follows = lines.system(4, "turn_duration", durationMs=5)
    home.write("s1", [lines.prompt(1), lines.api_error(3, **told), follows])

    home.scan()

    turn = home.ledger.only_turn()
    assert (turn.status, turn.failure) == (TurnStatus.ERROR, kind)


def test_the_kind_of_failure_is_remembered_from_one_reading_to_the_next(
    home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1), lines.api_error(3, error="rate_limit")])
    home.scan()

    home.append("s1", lines.system(4, "turn_duration", durationMs=5))
    home.scan()

    turn = home.ledger.only_turn()
    assert (turn.ended_ms, turn.failure) == (from_iso(lines.at(4)), "rate_limit")


def test_what_comes_after_an_hour_of_silence_has_the_last_word(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use")])
    home.scan()
    seemed = home.ledger.only_turn().status

    home.append("s1", lines.system(4, "turn_duration", durationMs=5))
    home.scan()

    turn = home.ledger.only_turn()
    assert (seemed, turn.status) == (TurnStatus.INTERRUPTED, TurnStatus.SUCCESS)


@pytest.mark.parametrize("then", ["reply", "interrupt", "prompt"])
def test_a_run_that_did_not_fail_in_the_end_tells_no_failure(
    then: str, home: Home, lines: Lines
) -> None:
    follows = {
        "reply": lines.reply(4),
        "interrupt": lines.prompt(4, INTERRUPT, promptSource=...),
        "prompt": lines.prompt(4, promptId="p2"),
    }[then]
    kind = "rate_limit" if then == "prompt" else ""
    failed = lines.api_error(3, error="rate_limit")
    home.write("s1", [lines.prompt(1), lines.reply(2, "msg_0"), failed, follows])

    home.scan()

    assert home.ledger.turns["claude:p1"].failure == kind


def test_a_run_that_got_over_an_api_error_succeeded(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.api_error(2), lines.reply(3)])

    home.scan()

    assert home.ledger.only_turn().status is TurnStatus.SUCCESS


def test_a_sub_agents_api_error_is_not_the_runs(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2), lines.api_error(3, isSidechain=True)])
    home.write("s1/subagents/agent-a", [lines.api_error(4, isSidechain=True, promptId="p1")])

    home.scan()

    assert home.ledger.only_turn().status is TurnStatus.SUCCESS


@pytest.mark.parametrize("tool", ["", " for tool use"])
def test_a_run_that_somebody_stopped_was_interrupted(tool: str, home: Home, lines: Lines) -> None:
    stop = [{"type": "text", "text": f"[Request interrupted by user{tool}]"}]
    interrupt = lines.prompt(3, stop, promptSource=..., promptId="p1")
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use"), interrupt])

    home.scan()

    turn = home.ledger.only_turn()
    assert (turn.status, turn.ended_ms) == (TurnStatus.INTERRUPTED, from_iso(lines.at(3)))


def test_a_run_stopped_before_any_reply_is_a_run(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.prompt(2, INTERRUPT, promptSource=...)])

    home.scan()

    assert home.ledger.only_turn().status is TurnStatus.INTERRUPTED


@pytest.mark.parametrize(
    ("stop", "status"),
    [(None, TurnStatus.SUCCESS), ("tool_use", TurnStatus.INTERRUPTED)],
)
def test_the_next_prompt_ends_a_run_that_nothing_else_ended(
    stop: str | None, status: TurnStatus, home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, stop=stop), lines.prompt(60)])

    home.scan()

    turn = home.ledger.turns["claude:p1"]
    assert (turn.status, turn.ended_ms) == (status, from_iso(lines.at(2)))


def test_an_hour_of_silence_ends_a_run_of_a_version_that_tells_no_end(
    home: Home, lines: Lines
) -> None:
    path = home.write("s1", [lines.prompt(1, **OLD), lines.reply(2, stop=None, version="2.0.60")])
    written_ms = path.stat().st_mtime_ns // 1_000_000

    home.scan(now_ms=written_ms + 59 * 60 * 1000)
    before = home.ledger.only_turn().status
    home.ledger.known_cursors.clear()
    home.scan(now_ms=written_ms + 61 * 60 * 1000)

    assert (before, home.ledger.only_turn().status) == (TurnStatus.RUNNING, TurnStatus.SUCCESS)


@pytest.mark.parametrize(
    "changes",
    [
        {"promptSource": "system"},
        {"promptSource": "loop_wakeup"},
        {**OLD, "text": "<task-notification>done</task-notification>"},
        {**OLD, "text": "<local-command-stdout>ok</local-command-stdout>"},
        {**OLD, "isMeta": True},
        {**OLD, "isCompactSummary": True},
        {**OLD, "toolUseResult": {"stdout": ""}},
    ],
)
def test_what_nobody_asked_begins_no_run_and_belongs_to_the_one_before(
    changes: dict[str, Any], home: Home, lines: Lines
) -> None:
    text = changes.pop("text", "a notice")
    made = lines.prompt(5, text, **{"promptId": "p5", **changes})
    home.write("s1", [lines.prompt(1), lines.reply(2), made, lines.reply(6, "msg_2")])

    home.scan()

    assert home.ledger.only_turn().key == "claude:p1"
    assert home.ledger.only_turn().ended_ms == from_iso(lines.at(6))
    assert {fact.turn_key for fact in home.ledger.facts.values()} == {"claude:p1"}


@pytest.mark.parametrize(
    "content",
    [
        "please",
        [{"type": "text", "text": "please"}],
        [{"type": "image", "source": {}}, {"type": "text", "text": "what is this?"}],
        "<command-name>/review</command-name>",
    ],
)
def test_an_old_version_names_no_source_and_its_prompts_are_known_by_their_shape(
    content: Any, home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1, content, uuid="u1", **OLD), lines.reply(2)])

    home.scan()

    assert home.ledger.only_turn().key == "claude:u1"
    assert home.ledger.only_fact().turn_key == "claude:u1"


def test_a_command_of_the_program_itself_is_no_run(home: Home, lines: Lines) -> None:
    home.write(
        "s1",
        [
            lines.prompt(1, "<command-name>/model</command-name>", uuid="u1", **OLD),
            lines.prompt(2, "<local-command-stdout>set</local-command-stdout>", **OLD),
            lines.prompt(3, uuid="u3", **OLD),
            lines.reply(4),
        ],
    )

    home.scan()

    assert home.ledger.only_turn().key == "claude:u3"


def test_a_prompt_typed_into_a_running_turn_is_part_of_it(home: Home, lines: Lines) -> None:
    typed = lines.prompt(3, promptId="p1")
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use"), typed, lines.reply(4)])

    home.scan()

    assert home.ledger.only_turn().started_ms == from_iso(lines.at(1))
    assert home.ledger.only_turn().ended_ms == from_iso(lines.at(4))


def test_a_sub_agents_prompt_is_no_run(home: Home, lines: Lines) -> None:
    home.write(
        "s1/subagents/agent-a",
        [
            lines.prompt(1, promptSource=..., promptId="p1", isSidechain=True),
            lines.reply(2, isSidechain=True),
        ],
    )

    home.scan()

    assert home.ledger.turns == {}
    assert home.ledger.only_fact().turn_key == "claude:p1"


def test_a_sub_agent_that_is_sent_again_works_for_the_turn_that_sent_it(
    home: Home, lines: Lines
) -> None:
    side: dict[str, Any] = {"isSidechain": True}
    home.write(
        "s1/subagents/agent-a",
        [
            lines.prompt(1, promptSource=..., promptId="p1", **side),
            lines.reply(2, **side),
            lines.prompt(7, promptSource=..., promptId="p7", **side),
            lines.reply(8, "msg_2", **side),
        ],
    )

    home.scan()

    turns = {key: fact.turn_key for key, fact in home.ledger.facts.items()}
    assert turns == {"claude:msg_1": "claude:p1", "claude:msg_2": "claude:p7"}


def test_a_copied_run_of_a_fork_that_asked_nothing_is_no_run(home: Home, lines: Lines) -> None:
    copied = lines.prompt(1, sessionId="s2", promptId="p9")
    reply = lines.reply(2, sessionId="s2", requestSessionId="s1")
    home.write("s2", [lines.queued(8), copied, reply])

    home.scan()

    assert home.ledger.turns == {}
    assert home.ledger.only_fact().session_id == "s1"


INSTANT = "2026-11-20T12:00:00.000Z"


@pytest.mark.parametrize("back_s", [1, 5, 7])
@pytest.mark.parametrize("queued", ["please", [{"type": "text", "text": "please"}], "/model", ...])
def test_a_clock_that_was_set_back_after_the_first_prompt_was_queued_takes_no_run(
    back_s: int, queued: Any, home: Home, lines: Lines
) -> None:
    """Prompts at 1, 3 and 5 s, the first of them queued by a clock that was ahead."""
    first = {key: value for key, value in lines.queued(back_s, queued).items() if value is not ...}
    prompts = [
        line
        for second in (1, 3, 5)
        for line in (lines.prompt(second), lines.reply(second + 1, f"msg_{second}"))
    ]
    home.write("s1", [first, *prompts])

    home.scan()

    assert {key: turn.started_ms for key, turn in home.ledger.turns.items()} == {
        f"claude:p{second}": from_iso(lines.at(second)) for second in (1, 3, 5)
    }
    assert set(home.ledger.statuses().values()) == {TurnStatus.SUCCESS}
    facts = home.ledger.facts.values()
    assert sorted(fact.turn_key for fact in facts) == sorted(home.ledger.turns)


@pytest.mark.parametrize("text", ["please", "please " * 100])
def test_a_queued_prompt_that_came_at_once_is_a_run_though_the_clock_was_set_back(
    text: str, home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.queued(5, text), lines.prompt(1, text), lines.reply(2)])

    home.scan(**SOON)

    assert home.ledger.only_turn().ended_ms == from_iso(lines.at(2))
    assert home.ledger.only_fact().precedence == 0


def test_a_forks_own_prompt_is_a_run_though_the_clock_was_set_back(
    home: Home, lines: Lines
) -> None:
    copied = [
        lines.prompt(1, sessionId="s2", promptId="p9"),
        lines.reply(2, sessionId="s2", requestSessionId="s1"),
    ]
    own = [
        lines.prompt(9, "go on", sessionId="s2", promptId="p9"),
        lines.reply(10, "msg_2", sessionId="s2"),
    ]
    home.write("s2", [lines.queued(20, "go on"), *copied, *own])

    home.scan()

    assert home.ledger.only_turn().key == "claude:p9"
    assert home.ledger.only_turn().started_ms == from_iso(lines.at(9))
    assert home.ledger.facts["claude:msg_2"].session_id == "s2"


def test_what_is_kept_between_readings_holds_no_prompt(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.queued(5, "a secret plan"), lines.prompt(1, "/model"), lines.reply(2)])

    home.scan()

    assert "secret" not in repr(home.ledger)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59Z", "soon", ...])
def test_a_line_without_a_plausible_time_was_at_the_time_told_before_it(
    when: Any, home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.queued(1), lines.prompt(2), lines.reply(3, timestamp=when)])

    home.scan()

    assert home.ledger.only_fact().at_ms == from_iso(lines.at(2))
    assert home.ledger.only_turn().ended_ms == from_iso(lines.at(2))


def test_a_transcript_without_any_plausible_time_is_as_old_as_its_file(
    home: Home, lines: Lines
) -> None:
    absurd: dict[str, Any] = {"timestamp": "9999-12-31T23:59:59Z"}
    queued = {**lines.queued(1), **absurd}
    path = home.write("s1", [queued, lines.prompt(2, **absurd), lines.reply(3, **absurd)])
    written_s = from_iso(INSTANT) // 1000
    os.utime(path, (written_s, written_s))

    report = home.scan()

    assert report.bad_lines == 0
    assert home.ledger.only_fact().at_ms == from_iso(INSTANT)
    assert home.ledger.only_turn().started_ms == from_iso(INSTANT)


@pytest.mark.parametrize("duration_ms", [2**53, 2**80, 1e300])
def test_a_duration_that_reaches_out_of_time_is_not_believed(
    duration_ms: float, home: Home, lines: Lines
) -> None:
    told = lines.system(9, "turn_duration", durationMs=duration_ms)
    home.write("s1", [lines.prompt(1), lines.reply(2), told])

    home.scan()

    assert home.ledger.only_turn().duration_ms == 8000
