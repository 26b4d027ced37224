"""What hook entries tell where there is no transcript, and that they agree with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from claude_code_hooks import translate
from claude_code_hooks.drain import MEMORY_KEY, drain, memory_of, settle
from claude_code_hooks.translate import HookEvent
from telemhq_agents.clock import from_iso
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.claude_code_hooks.conftest import Home, Lines, PlainNamer

MS = 1_795_000_000_000


def hook(event: str, seconds: float, **changes: Any) -> HookEvent:
    plain: dict[str, Any] = {"session_id": "s1", "prompt_id": "p1.0", "cwd": "/home/dev/repo"}
    return HookEvent(event, MS + int(seconds * 1000), **{**plain, **changes})


def never(_seconds: float) -> None:
    pytest.fail("nothing to wait for")


class Clock:
    """A clock that moves only while somebody sleeps, and what happens meanwhile."""

    def __init__(self, writes: dict[float, Path] | None = None) -> None:
        self.seconds = 0.0
        self.writes = dict(writes or {})

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for due in [each for each in self.writes if each <= self.seconds]:
            with self.writes.pop(due).open("a") as stream:
                stream.write("more\n")

    def ns(self) -> int:
        return int(self.seconds * 1e9)


@pytest.mark.parametrize(
    ("event", "status"),
    [("Stop", TurnStatus.SUCCESS), ("StopFailure", TurnStatus.ERROR)],
)
def test_an_end_makes_a_run(event: str, status: TurnStatus, new_namer: type[PlainNamer]) -> None:
    events = [hook("UserPromptSubmit", 1), hook(event, 4)]

    (turn,) = translate.turns(events, new_namer())

    assert (turn.key, turn.session_id, turn.place.project) == ("claude:p1.0", "s1", "repo")
    assert (turn.started_ms, turn.ended_ms) == (MS + 1000, MS + 4000)
    assert (turn.status, turn.duration_ms) == (status, 3000)


@pytest.mark.parametrize(
    "event", ["SessionStart", "UserPromptSubmit", "SubagentStop", "SessionEnd"]
)
def test_nothing_else_makes_a_run(event: str, new_namer: type[PlainNamer]) -> None:
    assert translate.turns([hook(event, 1)], new_namer()) == []


def test_an_end_without_its_beginning_has_no_duration(new_namer: type[PlainNamer]) -> None:
    (turn,) = translate.turns([hook("Stop", 4)], new_namer())

    assert (turn.started_ms, turn.duration_ms) == (MS + 4000, None)


@pytest.mark.parametrize("batches", [[3], [1, 2], [2, 1], [1, 1, 1]])
def test_in_how_many_drains_its_events_come_in_makes_no_difference_to_a_run(
    batches: list[int], home: Home
) -> None:
    events = [hook("UserPromptSubmit", 1), hook("PostToolUse", 2), hook("Stop", 4)]

    for count in batches:
        some, events = events[:count], events[count:]
        drain(home.ledger, some, [home.path], home.namer, now_ms=MS + 60_000, sleep=never)

    turn = home.ledger.only_turn()
    assert (turn.started_ms, turn.ended_ms, turn.duration_ms) == (MS + 1000, MS + 4000, 3000)


def test_an_end_without_a_prompts_id_is_left_to_the_transcript(new_namer: type[PlainNamer]) -> None:
    assert translate.turns([hook("Stop", 4, prompt_id="")], new_namer()) == []


@pytest.mark.parametrize(
    ("event", "error", "kind"),
    [
        ("StopFailure", "rate_limit", "rate_limit"),
        ("StopFailure", "The model said no", ""),
        ("StopFailure", "", ""),
        ("Stop", "rate_limit", ""),
    ],
)
def test_a_run_that_failed_tells_the_kind_of_failure(
    event: str, error: str, kind: str, new_namer: type[PlainNamer]
) -> None:
    (turn,) = translate.turns([hook(event, 4, error=error)], new_namer())

    assert turn.failure == kind


def test_what_stopped_a_sub_agent_is_not_the_runs_end(new_namer: type[PlainNamer]) -> None:
    of_agent = hook("StopFailure", 9, error="rate_limit", agent_id="a1")

    (turn,) = translate.turns([hook("Stop", 4), of_agent], new_namer())

    assert (turn.status, turn.ended_ms, turn.failure) == (TurnStatus.SUCCESS, MS + 4000, "")
    assert translate.turns([of_agent], new_namer()) == []


def test_of_two_ends_the_later_counts(new_namer: type[PlainNamer]) -> None:
    (turn,) = translate.turns([hook("StopFailure", 9), hook("Stop", 4)], new_namer())

    assert turn.status is TurnStatus.ERROR


@pytest.mark.parametrize(
    "entry",
    [
        {"v": 1, "kind": "ping", "key": "k"},
        {"v": 1, "kind": "hook"},
        {"v": 1, "kind": "hook", "event": 5, "at_ms": 1},
        {"v": 1, "kind": "hook", "event": "Stop", "at_ms": "soon"},
    ],
)
def test_an_entry_of_another_kind_or_shape_is_no_event(entry: dict[str, Any]) -> None:
    assert translate.event_of(entry) is None


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_path_that_no_file_can_have_stops_nobody(name: str, home: Home) -> None:
    entry = {"kind": "hook", "event": "Stop", "at_ms": MS, "session_id": "s1", "prompt_id": "p1"}
    event = translate.event_of({**entry, "transcript_path": f"/{name}", "cwd": f"/{name}"})
    assert event is not None

    drain(home.ledger, [event], [home.path], home.namer, now_ms=MS, sleep=lambda _: None)

    assert home.ledger.only_turn().key == "claude:p1"


def test_hook_and_transcript_tell_of_one_run(home: Home, lines: Lines) -> None:
    path = home.file("s1")
    unseen = hook("Stop", 4, transcript_path=str(path))
    drain(home.ledger, [unseen], [home.path], home.namer, now_ms=MS + 60_000, sleep=never)
    by_hook = home.ledger.only_turn()
    home.write("s1", [lines.prompt(1.0), lines.reply(2)])

    drain(home.ledger, [unseen], [home.path], home.namer, now_ms=MS + 60_000, sleep=never)

    assert by_hook.key == home.ledger.only_turn().key == "claude:p1.0"
    assert home.ledger.only_turn().started_ms == from_iso(lines.at(1))
    assert home.ledger.only_fact().turn_key == "claude:p1.0"


def test_where_there_is_a_transcript_it_alone_tells_the_runs(home: Home, lines: Lines) -> None:
    """The Stop of a machine-made prompt looks like any other."""
    made = lines.prompt(3, promptId="p3", promptSource="system")
    path = home.write("s1", [lines.prompt(1.0), lines.reply(2), made, lines.reply(4, "msg_2")])
    stop = hook("Stop", 5, prompt_id="p3", transcript_path=str(path))

    drain(home.ledger, [stop], [home.path], home.namer, now_ms=MS + 60_000, sleep=never)

    assert home.ledger.turns.keys() == {"claude:p1.0"}


def test_an_event_of_an_absurd_time_ended_its_run_when_it_was_found(home: Home) -> None:
    stop = replace(hook("Stop", 0), at_ms=1_000)

    drain(home.ledger, [stop], [home.path], home.namer, now_ms=MS, sleep=never)

    assert (home.ledger.only_turn().started_ms, home.ledger.only_turn().ended_ms) == (MS, MS)


def test_an_event_that_nobody_could_read_has_every_transcript_read(
    home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1.0), lines.reply(2)])
    unreadable = HookEvent("", MS)

    drain(home.ledger, [unreadable], [home.path], home.namer, now_ms=MS + 60_000, sleep=never)

    assert len(home.ledger.facts) == 1


def test_a_young_event_is_given_time_for_its_transcript(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1.0)])
    slept: list[float] = []

    def write_late(seconds: float) -> None:
        if not slept:
            home.append("s1", lines.reply(2))
        slept.append(seconds)

    stop = hook("Stop", 0, transcript_path=str(path))
    ledger = home.ledger
    drain(ledger, [stop], [home.path], home.namer, now_ms=MS + 100, sleep=short(write_late))

    assert slept
    assert len(ledger.facts) == 1


def test_a_tool_in_the_middle_of_a_turn_is_not_waited_for(home: Home, lines: Lines) -> None:
    path = home.write("s1", [lines.prompt(1.0), lines.reply(2)])
    used = hook("PostToolUse", 0, transcript_path=str(path), tool_name="Bash")

    drain(home.ledger, [used], [home.path], home.namer, now_ms=MS + 100, sleep=never)

    assert len(home.ledger.facts) == 1


def test_a_memory_that_is_damaged_is_a_new_one(home: Home) -> None:
    used = hook("PostToolUse", 0, tool_name="Bash")
    drain(home.ledger, [used], [home.path], home.namer, now_ms=MS + 9000, sleep=never)
    known = home.ledger.known_cursors[MEMORY_KEY]
    assert memory_of(home.ledger).last_ms == MS
    home.ledger.known_cursors[MEMORY_KEY] = replace(known, state={"last_ms": "yesterday"})

    assert memory_of(home.ledger).last_ms == 0


def short(then: Any) -> Any:
    """Sleep for real, as the clock of a drain is the real one, but note it too."""
    from time import sleep

    def both(seconds: float) -> None:
        then(seconds)
        sleep(seconds)

    return both


def test_settling_waits_until_the_file_is_still(tmp_path: Path) -> None:
    path = tmp_path / "s1.jsonl"
    path.write_text("first\n")
    clock = Clock({0.1: path, 0.2: path, 0.4: path})

    assert settle([path], sleep=clock.sleep, clock_ns=clock.ns)
    assert 0.6 <= clock.seconds < 0.8
    assert clock.writes == {}


def test_settling_gives_up_on_a_session_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s1.jsonl"
    clock = Clock({n / 10: path for n in range(1, 40)})

    assert not settle([path], sleep=clock.sleep, clock_ns=clock.ns)
    assert 1.5 <= clock.seconds < 1.6


def test_settling_does_not_insist_on_a_file_that_never_comes(tmp_path: Path) -> None:
    clock = Clock()

    assert settle([tmp_path / "gone.jsonl"], sleep=clock.sleep, clock_ns=clock.ns)
    assert clock.seconds < 0.4
