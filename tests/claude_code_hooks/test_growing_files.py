"""Files that grow, shrink, tear and vanish between two readings."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_code_hooks.decode import decode
from claude_code_hooks.fold import TranscriptFold
from claude_code_hooks.scan import scan
from claude_code_hooks.state import FoldState
from telemhq_agents.ledger.records import Batch
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.claude_code_hooks.conftest import Home, Lines, MemoryLedger, PlainNamer

KINDS = "cost prompt machine working partial final error stop duration interrupt side copy result queue other again"
STEPS = st.sampled_from(KINDS.split())


def step(lines: Lines, name: str, second: int) -> dict[str, Any]:
    made: dict[str, dict[str, Any]] = {
        "cost": lines.cost_state(input=second * 100),
        "prompt": lines.prompt(second),
        "machine": lines.prompt(second, promptSource="system"),
        "working": lines.reply(second, f"m{second}", stop="tool_use"),
        "partial": lines.reply(second, f"m{second // 4}", output=2, stop=None, version="2.1.20"),
        "final": lines.reply(second, f"m{second // 4}", output=90 + second),
        "error": lines.api_error(second),
        "stop": lines.system(second, "stop_hook_summary"),
        "duration": lines.system(second, "turn_duration", durationMs=second * 7),
        "interrupt": lines.prompt(second, "[Request interrupted by user]", promptSource=...),
        "side": lines.reply(second, f"m{second // 3}", isSidechain=True),
        "copy": lines.reply(second, f"m{second // 5}", requestSessionId="s0"),
        "result": lines.tool_result(second),
        "queue": lines.queued(second + 3),
        "other": lines.queued(second + 3, "go on"),
        "again": lines.prompt(second, promptId="p1.0"),
    }
    return made[name]


@given(
    names=st.lists(STEPS, min_size=1, max_size=24),
    cuts=st.sets(st.integers(min_value=0, max_value=24)),
)
@settings(deadline=None)
def test_wherever_a_reading_stops_the_sums_and_runs_are_those_of_one_reading(
    names: list[str],
    cuts: set[int],
    new_lines: type[Lines],
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    written = [step(new_lines(), name, second) for second, name in enumerate(names, 1)]
    data = [json.dumps(line, separators=(",", ":")).encode() for line in written]

    def read(stops: set[int]) -> MemoryLedger:
        ledger, state = new_ledger(), FoldState()
        fold = TranscriptFold(state, new_namer(), "s1", 5)

        def book() -> None:
            facts, turns, totals = fold.drain()
            ledger.book(Batch(facts=facts, turns=turns, totals=totals))

        for index, line in enumerate(data):
            if index in stops:
                book()
                stored = json.loads(json.dumps(msgspec.to_builtins(fold.state)))
                fold = TranscriptFold(msgspec.convert(stored, FoldState), new_namer(), "s1", 5)
            fold.take(decode(line))
        book()
        return ledger

    once, often = read(set()), read(cuts)

    assert often.facts == once.facts
    assert often.turns == once.turns
    assert often.session_totals == once.session_totals


def test_only_what_was_appended_is_read(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, stop="tool_use")])
    first = home.scan()
    home.append("s1", lines.reply(3, "msg_2"))

    second = home.scan()
    third = home.scan()

    assert (first.lines, second.lines, third.lines) == (2, 1, 0)
    assert (second.new_facts, third.files_read) == (1, 0)
    assert {fact.turn_key for fact in home.ledger.facts.values()} == {"claude:p1"}
    assert home.ledger.only_turn().status is TurnStatus.SUCCESS


def test_a_last_line_without_its_end_waits_for_it(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1), lines.reply(2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])

    torn = home.scan()
    path.write_bytes(whole)
    home.scan()

    assert (torn.new_facts, torn.bad_lines) == (0, 0)
    assert home.ledger.only_fact().output_tokens == 50


def test_a_line_that_was_taken_back_and_written_anew_is_read_anew(home: Home, lines: Lines) -> None:
    """The file is longer than at the last reading, and yet not what was read."""
    path = home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.scan()
    kept = path.read_bytes().splitlines(keepends=True)[0]

    with path.open("r+b") as stream:
        stream.truncate(len(kept))
    home.append("s1", lines.reply(3, "msg_2", requestId="r" * 300), lines.reply(4, "msg_3"))
    home.scan()

    assert home.ledger.facts.keys() == {"claude:msg_1", "claude:msg_2", "claude:msg_3"}


def test_a_file_that_shrank_is_read_from_its_beginning(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1), lines.reply(2), lines.reply(3, "msg_2")])
    home.scan()
    kept = path.read_bytes().splitlines(keepends=True)[:2]

    path.write_bytes(b"".join(kept))
    report = home.scan()

    assert (report.lines, report.new_facts, report.changed_facts) == (2, 0, 0)
    assert len(home.ledger.facts) == 2


def test_a_line_torn_by_a_kill_costs_itself_and_not_the_one_behind_it(
    home: Home, lines: Lines
) -> None:
    path = home.write("s1", [lines.prompt(1), lines.reply(2)])
    with path.open("ab") as stream:
        stream.write(b'{"parentUuid":null,"type":"assistant","message":{"id":"torn","cont')
        stream.write(
            json.dumps(
                {"parentUuid": None, **lines.reply(3, "msg_2")}, separators=(",", ":")
            ).encode()
        )
        stream.write(b"\n")

    report = home.scan()

    assert home.ledger.facts.keys() == {"claude:msg_1", "claude:msg_2"}
    assert report.bad_lines == 1


def test_garbage_is_counted_and_skipped(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1)])
    with path.open("ab") as stream:
        stream.writelines([b"not json\n", b"\n", b'["assistant"]\n', b'{"type":"assistant"\n'])
        stream.writelines([b"\x00\xff\xfe\n", b'{"type":"assistant","message":7}\n'])
    home.append("s1", lines.reply(2))

    report = home.scan()

    assert report.bad_lines == 4
    assert len(home.ledger.facts) == 1


def test_a_cursor_of_other_counting_rules_is_not_gone_on_from(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.scan()
    (cursor,) = home.ledger.known_cursors.values()
    cursor.state["rule_version"] = 0

    assert home.scan().lines == 2
    assert home.scan().lines == 0


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(home: Home, lines: Lines) -> None:
    loop = home.file("s1")
    loop.symlink_to(loop)
    home.write("s2", [lines.prompt(1), lines.reply(2, sessionId="s2")])

    report = home.scan()

    assert len(home.ledger.facts) == 1
    assert [str(loop) in problem for problem in report.problems] == [True]


def test_a_directory_named_like_a_transcript_harms_nothing(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.file("odd").mkdir()

    report = home.scan()

    assert (report.files, report.problems) == (1, [])


def test_no_home_is_no_problem(home: Home) -> None:
    report = home.scan()

    assert (report.files, report.problems) == (0, [])


def test_two_paths_to_one_home_are_one_home(home: Home, lines: Lines, tmp_path: Path) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    link = tmp_path / "link"
    link.symlink_to(home.path)

    report = scan(home.ledger, [home.path, link], home.namer, now_ms=0)

    assert report.files == 1


def test_a_copied_home_adds_nothing(
    home: Home, lines: Lines, tmp_path: Path, new_namer: type[PlainNamer]
) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    other = tmp_path / "other"
    other.mkdir()
    (other / "projects").mkdir()
    copy = other / "projects" / "-home-dev-repo"
    copy.mkdir()
    (copy / "s1.jsonl").write_bytes(home.file("s1").read_bytes())

    both = scan(home.ledger, [home.path, other], new_namer(), now_ms=0)
    again = scan(home.ledger, [home.path, other], new_namer(), now_ms=0)

    assert (both.files_read, both.new_facts) == (2, 1)
    assert again.files_read == 0


def test_one_session_can_be_read_by_itself_with_its_sub_agents(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.write("s1/subagents/agent-a", [lines.reply(3, "msg_2", isSidechain=True)])
    home.write("s2", [lines.prompt(1), lines.reply(2, "msg_3", sessionId="s2")])

    one = home.scan(only=[path])
    rest = home.scan()

    assert (one.files, one.new_facts) == (2, 2)
    assert (rest.files_read, rest.new_facts) == (1, 1)


def test_a_session_of_a_home_that_nobody_named_is_read_where_it_lies(
    home: Home, lines: Lines, tmp_path: Path
) -> None:
    path = home.write("s1", [lines.prompt(1), lines.reply(2)])

    report = scan(home.ledger, [tmp_path / "named"], home.namer, now_ms=0, only=[path])

    assert report.new_facts == 1


def test_a_pipe_is_no_transcript_and_a_link_to_a_transcript_is(
    home: Home, lines: Lines, tmp_path: Path
) -> None:
    pipe = home.file("s1")
    os.mkfifo(pipe)
    home.file("s1/subagents/agent-a").parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(home.file("s1/subagents/agent-a"))
    home.file("s2").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").write_bytes(json.dumps(lines.reply(2, sessionId="s2")).encode() + b"\n")

    report = home.scan()
    named = home.scan(only=[pipe])

    assert (report.files, report.problems) == (1, [])
    assert (named.files, named.problems) == (0, [])
    assert home.ledger.only_fact().session_id == "s2"
