from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_watcher.decode import (
    Event,
    Git,
    Said,
    SessionMeta,
    TaskComplete,
    TaskStarted,
    TokenCount,
    TokenInfo,
    Tokens,
    TurnAborted,
    TurnContext,
    UsageRecord,
    UserMessage,
)
from codex_watcher.fold import ThreadFold
from codex_watcher.identity import uuid7_ms
from codex_watcher.spend import Parts, Rule, judge, parts
from codex_watcher.state import FoldState
from telemhq_agents.ledger.records import Batch
from telemhq_agents.usage import Turn, TurnStatus
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

PARENT = "01a1f7e3-4d46-73e0-a89a-af19c554fac7"
THREAD = "01a1f7e3-50fe-7031-bc55-04e9c5bfde6b"
OLD_TURN = "01a1f7e3-4d67-7141-8e5d-988d122610f6"
TURN = "01a1f7e3-5124-7752-b53a-8eb7f1032af4"
LATER_TURN = "01a1f7e3-54a1-7df1-ace5-ff2856e3b08d"
CHILD_TURN = "01a1f7e3-900c-7062-a076-338f34e66618"
BEGIN = 1_795_160_232_217
WRITTEN = 1_795_999_000_000


def first_line(**more: Any) -> SessionMeta:
    plain: dict[str, Any] = {"cwd": "/home/dev/repo", "cli_version": "0.145.0"}
    return SessionMeta(THREAD, model_provider="openai", **plain, **more)


META = first_line()
FORK = first_line(forked_from_id=PARENT)
CONTEXT = TurnContext(TURN, "gpt-5.1-codex", "/home/dev/repo")


def tokens(input_tokens: int, output_tokens: int = 10) -> Tokens:
    return Tokens(input_tokens, 0, 0, output_tokens, 0)


def count(total: int, last: int) -> TokenCount:
    return TokenCount(TokenInfo(tokens(total, total // 10), tokens(last, last // 10)))


def record(
    response_id: str | None, usage: int, turn_id: str = TURN, thread: str = THREAD
) -> UsageRecord:
    return UsageRecord(tokens(usage), thread, turn_id, response_id)


def folded(*said: Said, meta: SessionMeta = META, copied_counts: int = 0) -> ThreadFold:
    """Fold the events, a second apart, after the thread's own first line."""
    state = FoldState("from the name", copied_counts=copied_counts)
    fold = ThreadFold(state, FolderNamer(), WRITTEN)
    for number, event in enumerate((meta, *said)):
        fold.take(Event(BEGIN + number * 1000, event))
    return fold


def inputs(fold: ThreadFold) -> list[int]:
    return [fact.input_tokens for fact in fold.facts]


def turns(fold: ThreadFold) -> dict[str, Turn]:
    ledger = InMemoryLedger()
    ledger.book(Batch(turns=fold.turns))
    return {key.removeprefix(f"codex:{THREAD}:"): turn for key, turn in ledger.turns.items()}


BASE: Parts = (3135, 1024, 0, 122, 33)
LAST: Parts = (2135, 1024, 0, 82, 33)


@pytest.mark.parametrize(
    ("why", "base", "total", "last", "spent", "rule"),
    [
        ("a first response", None, LAST, LAST, LAST, Rule.FIRST),
        (
            "a first total with a parent's share",
            None,
            (5270, 2048, 0, 204, 66),
            LAST,
            LAST,
            Rule.FIRST,
        ),
        ("a parent's total alone", None, BASE, (0, 0, 0, 0, 0), (0, 0, 0, 0, 0), Rule.NO_SPEND),
        ("one more response", BASE, (5270, 2048, 0, 204, 66), LAST, LAST, Rule.GREW),
        ("written again", BASE, BASE, LAST, (0, 0, 0, 0, 0), Rule.REPEATED),
        (
            "an estimate after a compaction",
            BASE,
            BASE,
            (0, 0, 0, 0, 0),
            (0, 0, 0, 0, 0),
            Rule.REPEATED,
        ),
        (
            "growth that last does not tell",
            BASE,
            (5270, 2048, 0, 204, 66),
            (0,) * 5,
            LAST,
            Rule.GREW,
        ),
        (
            "begun anew, smaller",
            BASE,
            (1000, 0, 0, 9, 0),
            (1000, 0, 0, 9, 0),
            (1000, 0, 0, 9, 0),
            Rule.ANEW,
        ),
        (
            "begun anew, larger",
            BASE,
            (9000, 2000, 0, 200, 40),
            (9000, 2000, 0, 200, 40),
            None,
            Rule.ANEW,
        ),
        (
            "one part fell",
            BASE,
            (3200, 1000, 0, 130, 40),
            (65, 0, 0, 8, 7),
            (65, 0, 0, 8, 7),
            Rule.ANEW,
        ),
        ("the same usage twice", (4100, 0, 0, 90, 0), (8200, 0, 0, 180, 0), None, None, Rule.GREW),
    ],
)
def test_what_a_running_total_says_was_spent(
    *,
    why: str,
    base: Parts | None,
    total: Parts,
    last: Parts | None,
    spent: Parts | None,
    rule: Rule,
) -> None:
    last = last or (4100, 0, 0, 90, 0)

    assert judge(base, total, last) == (rule, spent or last), why


def test_only_a_uuid_of_version_7_tells_a_time() -> None:
    assert uuid7_ms("01a1f7d3-4be3-7e10-a432-b89584261220") == 1_795_159_182_307
    assert uuid7_ms("1b4e28ba-2fa1-41d2-883f-0016d3cca427") is None
    assert uuid7_ms("fast-agent-7") is None


def test_a_response_is_booked_from_its_record_and_not_again_from_its_count() -> None:
    fold = folded(TaskStarted(TURN), CONTEXT, record("resp_1", 1933), count(1933, 1933))

    (fact,) = fold.facts
    assert (fact.key, fact.input_tokens) == ("codex:resp_1", 1933)
    assert (fact.thread_id, fact.turn_key) == (THREAD, f"codex:{THREAD}:{TURN}")
    assert (fact.provider, fact.model) == ("openai", "gpt-5.1-codex")
    assert fact.at_ms == BEGIN + 3000
    assert fact.estimate == ""


def test_a_log_that_a_newer_version_goes_on_with_counts_both_kinds_once() -> None:
    fold = folded(
        CONTEXT,
        count(1000, 1000),
        count(3000, 2000),
        record("resp_3", 500),
        count(3500, 500),
        count(3500, 500),
    )

    assert inputs(fold) == [1000, 2000, 500]


def test_a_compaction_is_counted_by_its_record_though_the_total_stays() -> None:
    fold = folded(
        CONTEXT, record("resp_1", 900), count(900, 900), record("resp_2", 700), count(900, 0)
    )

    assert inputs(fold) == [900, 700]


def test_all_parts_of_a_usage_arrive() -> None:
    usage = Tokens(1000, 300, 200, 50, 20)

    (fact,) = folded(CONTEXT, UsageRecord(usage, THREAD, TURN, "resp_1")).facts

    assert (fact.input_tokens, fact.cached_input_tokens, fact.cache_write_tokens) == (
        1000,
        300,
        200,
    )
    assert (fact.output_tokens, fact.reasoning_tokens) == (50, 20)


def test_a_part_is_never_larger_than_its_whole() -> None:
    usage = Tokens(1000, 1200, 100, 50, 60)

    (fact,) = folded(CONTEXT, UsageRecord(usage, THREAD, TURN, "resp_1")).facts

    assert (fact.cached_input_tokens, fact.cache_write_tokens, fact.reasoning_tokens) == (
        1000,
        0,
        50,
    )


def test_the_model_is_that_of_the_turn() -> None:
    fold = folded(
        TurnContext(TURN, "gpt-5.1-codex"),
        count(100, 100),
        TurnContext(LATER_TURN, "gpt-5-mini"),
        count(300, 200),
    )

    assert [fact.model for fact in fold.facts] == ["gpt-5.1-codex", "gpt-5-mini"]


def test_a_usage_without_any_model_is_an_estimate() -> None:
    (fact,) = folded(TaskStarted(TURN), count(100, 100)).facts

    assert (fact.model, fact.estimate) == ("unknown", "the log names no model")


def test_a_record_without_a_response_id_has_a_key_of_its_own() -> None:
    def keyed(total: int) -> UsageRecord:
        return UsageRecord(tokens(100), THREAD, TURN, None, tokens(total))

    fold, again = folded(CONTEXT, keyed(100), keyed(200)), folded(CONTEXT, keyed(100), keyed(200))

    assert len({fact.key for fact in fold.facts}) == 2
    assert [fact.key for fact in fold.facts] == [fact.key for fact in again.facts]


def test_copied_turns_and_their_spend_are_passed_over_by_their_age() -> None:
    fold = folded(
        SessionMeta(PARENT),
        TaskStarted(OLD_TURN),
        TurnContext(OLD_TURN, "gpt-5"),
        UserMessage("old"),
        record("resp_old", 400, OLD_TURN, PARENT),
        count(2943, 2943),
        TaskComplete(OLD_TURN, "done"),
        TaskStarted(TURN),
        CONTEXT,
        count(5761, 2818),
        TaskComplete(TURN, "done"),
    )

    assert inputs(fold) == [2818]
    assert list(turns(fold)) == [TURN]


def test_a_fork_without_a_turn_of_its_own_spent_nothing() -> None:
    fold = folded(
        TaskStarted(OLD_TURN),
        TurnContext(OLD_TURN, "gpt-5"),
        count(2943, 2943),
        TurnAborted(OLD_TURN),
        meta=FORK,
    )

    assert (fold.facts, fold.turns) == ([], [])


CHILD = {"subagent": {"thread_spawn": {"parent_thread_id": PARENT, "depth": 1}}}


@pytest.mark.parametrize(
    "first_lines",
    [
        [first_line(forked_from_id=PARENT)],
        [first_line(parent_thread_id=PARENT)],
        [first_line(source=CHILD)],
        [first_line(source={"subagent": "review"})],
        [first_line(history_base={"thread_id": PARENT, "end_ordinal_exclusive": 8})],
        [META, SessionMeta(PARENT)],
    ],
)
def test_any_sign_of_a_parent_makes_older_turns_the_parents(first_lines: list[SessionMeta]) -> None:
    copied = (TaskStarted(OLD_TURN), TurnContext(OLD_TURN, "gpt-5"), count(2943, 2943))
    own = (TaskStarted(TURN), CONTEXT, count(5761, 2818))

    fold = folded(*first_lines[1:], *copied, *own, meta=first_lines[0])

    assert inputs(fold) == [2818]
    assert [fact.estimate for fact in fold.facts] == [""]
    assert list(turns(fold)) == [TURN]


@pytest.mark.parametrize(
    "meta",
    [
        first_line(source="cli"),
        first_line(source="vscode"),
        first_line(history_base={"thread_id": THREAD, "end_ordinal_exclusive": 8}),
    ],
)
def test_a_clock_that_was_set_back_takes_nothing_from_a_thread_of_its_own(
    meta: SessionMeta,
) -> None:
    """Both turns' ids were made 0.9 s before the thread's, and written down at once."""
    events: list[Said] = [
        TaskStarted(OLD_TURN),
        TurnContext(OLD_TURN, "gpt-5"),
        record("resp_1", 100, OLD_TURN),
        TaskComplete(OLD_TURN, "done", None, 1.0, 5),
        TaskStarted(TURN),
        CONTEXT,
        record("resp_2", 1000),
        TaskComplete(TURN, "done", None, 1.0, 5),
    ]
    fold = ThreadFold(FoldState(THREAD), FolderNamer(), WRITTEN)
    began = uuid7_ms(OLD_TURN)
    assert began is not None
    for number, event in enumerate([meta, meta, *events]):
        fold.take(Event(began + number, event))

    assert inputs(fold) == [100, 1000]
    assert [fact.estimate for fact in fold.facts] == ["", ""]
    assert {key: turn.status for key, turn in turns(fold).items()} == {
        OLD_TURN: TurnStatus.SUCCESS,
        TURN: TurnStatus.SUCCESS,
    }


def test_old_turns_written_down_late_are_a_copy_though_no_parent_is_named() -> None:
    fold = ThreadFold(FoldState(THREAD), FolderNamer(), WRITTEN)
    began = uuid7_ms(OLD_TURN)
    assert began is not None
    copied: list[Said] = [TaskStarted(OLD_TURN), TurnContext(OLD_TURN, "gpt-5"), count(2943, 2943)]
    own: list[Said] = [TaskStarted(CHILD_TURN), TurnContext(CHILD_TURN, "gpt-5"), count(5761, 2818)]

    for number, event in enumerate([META, *copied, *own]):
        fold.take(Event(began + 3_600_000 + number, event))

    assert inputs(fold) == [2818]
    assert [fact.estimate for fact in fold.facts] == ["begins like a fork and names no parent"]
    assert list(turns(fold)) == [CHILD_TURN]


def test_a_usage_without_a_plausible_time_was_at_the_time_told_before_it() -> None:
    fold = ThreadFold(FoldState(THREAD), FolderNamer(), WRITTEN)

    for at_ms, event in ((BEGIN, META), (BEGIN + 7, CONTEXT), (0, record("resp_1", 100))):
        fold.take(Event(at_ms, event))

    assert [fact.at_ms for fact in fold.facts] == [BEGIN + 7]


@pytest.mark.parametrize(
    ("thread", "at_ms"), [(THREAD, 1_795_160_232_190), ("fast-agent-7", WRITTEN)]
)
def test_a_log_without_any_time_is_as_old_as_its_thread_or_its_file(
    thread: str, at_ms: int
) -> None:
    def told(written_ms: int) -> ThreadFold:
        fold = ThreadFold(FoldState(thread), FolderNamer(), written_ms)
        for event in (SessionMeta(thread), UserMessage("go"), count(100, 100)):
            fold.take(Event(0, event))
        fold.rest()
        return fold

    fold, again = told(WRITTEN), told(WRITTEN + 5000)

    assert {fact.at_ms for fact in fold.facts} == {at_ms}
    assert {turn.started_ms for turn in fold.turns} == {at_ms}
    assert {turn.ended_ms for turn in fold.turns} == {None, at_ms}
    assert [fact.key for fact in fold.facts] == [fact.key for fact in again.facts]
    assert [turn.key for turn in fold.turns] == [turn.key for turn in again.turns]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "lab says no", "codex_error_info": "other"}, "other"),
        (
            {"codex_error_info": {"response_too_many_failed_attempts": {"http_status_code": 429}}},
            "response_too_many_failed_attempts",
        ),
        ({"codex_error_info": {"one": {}, "two": {}}}, ""),
        ({"codex_error_info": {}}, ""),
        ({"codex_error_info": {"The key says why": 1}}, ""),
        ({"codex_error_info": "The model said no"}, ""),
        ({"codex_error_info": "a" * 41}, ""),
        ({"codex_error_info": ["other"]}, ""),
        ({"message": "lab says no"}, ""),
        ("other", ""),
        (None, ""),
    ],
)
def test_a_turn_that_failed_tells_the_kind_of_failure_and_no_text(error: Any, kind: str) -> None:
    fold = folded(CONTEXT, TaskComplete(TURN, None, error, 1.0, 103))

    assert turns(fold)[TURN].failure == kind


@pytest.mark.parametrize(
    "end",
    [TaskComplete(TURN, "done", None, 1.0, 2**53), TaskComplete(TURN, "done", None, 2.0**40)],
)
def test_a_duration_that_reaches_out_of_time_is_not_believed(end: TaskComplete) -> None:
    turn = turns(folded(TaskStarted(TURN), CONTEXT, end))[TURN]
    lone = turns(folded(end))[TURN]

    assert (turn.started_ms, turn.duration_ms) == (BEGIN + 1000, 2000)
    assert (lone.started_ms, lone.duration_ms) == (BEGIN + 1000, 0)


def test_parts_are_input_cached_written_output_and_reasoning() -> None:
    usage = Tokens(
        reasoning_output_tokens=5,
        output_tokens=4,
        cache_write_input_tokens=3,
        cached_input_tokens=2,
        input_tokens=1,
    )

    assert parts(usage) == (1, 2, 3, 4, 5)


class ForgetfulFold(ThreadFold):
    """Works everything out anew for each event."""

    def take(self, event: Event) -> None:
        self._shared.clear()
        super().take(event)


said: st.SearchStrategy[Said] = st.one_of(
    st.sampled_from([META, FORK, SessionMeta(PARENT, cwd="/elsewhere")]),
    st.builds(
        TurnContext,
        st.sampled_from([None, OLD_TURN, TURN, LATER_TURN]),
        st.sampled_from([None, "gpt-5", "gpt-5.1-codex"]),
        st.sampled_from([None, "/home/dev/repo", "/tmp"]),
    ),
    st.builds(TaskStarted, st.sampled_from([None, OLD_TURN, TURN, LATER_TURN])),
    st.builds(TaskComplete, st.sampled_from([None, OLD_TURN, TURN, LATER_TURN])),
    st.builds(TurnAborted, st.sampled_from([None, TURN])),
    st.just(UserMessage("Do it.")),
    st.builds(count, st.integers(0, 300), st.integers(0, 100)),
    st.builds(
        record,
        st.sampled_from([None, "resp_1", "resp_2"]),
        st.integers(0, 100),
        st.sampled_from([OLD_TURN, TURN, LATER_TURN, ""]),
        st.sampled_from([THREAD, PARENT]),
    ),
)


# A parent's responses in a turn of ours, before and after it is ended by a response of the next.
@example(
    [
        (1, META),
        (1, TurnContext(TURN, "gpt-5", "/home/dev/repo")),
        (1, TaskComplete(TURN)),
        (1, TaskStarted(LATER_TURN)),
        (1, TurnContext(TURN, "gpt-5.1-codex", "/tmp")),
        (1, record("resp_1", 1, LATER_TURN, PARENT)),
        (1, record("resp_2", 1, CHILD_TURN)),
        (1, record("resp_3", 1, LATER_TURN, PARENT)),
    ]
)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 90_000]), said), max_size=20))
def test_what_the_responses_of_a_turn_share_is_what_each_of_them_would_say(
    history: list[tuple[int, Said]],
) -> None:
    events = [
        Event(BEGIN + number * 1000 + late if late else 0, event)
        for number, (late, event) in enumerate(history)
    ]
    forgetful = ForgetfulFold(FoldState(THREAD), FolderNamer(), WRITTEN)
    for event in events:
        forgetful.take(event)

    fold = ThreadFold(FoldState(THREAD), FolderNamer(), WRITTEN)
    fold.take_all(events)

    assert fold.drain() == forgetful.drain()
    assert fold.state == forgetful.state


@pytest.mark.parametrize(
    "url",
    [
        "https://x:SECRETGIT@github.com/acme/repo.git",
        "https:SECRETGIT@github.com",
        "ext::ssh -i SECRETGIT host",
    ],
)
def test_what_stays_in_the_ledger_between_readings_holds_no_remotes_secret(url: str) -> None:
    namer = FolderNamer()
    fold = ThreadFold(FoldState(THREAD), namer, WRITTEN)

    fold.take(Event(BEGIN, SessionMeta(THREAD, cwd="/home/dev/repo", git=Git(url))))
    fold.take(Event(BEGIN, CONTEXT))

    assert "SECRETGIT" not in json.dumps(msgspec.to_builtins(fold.state))
    assert "SECRETGIT" not in repr((namer.asked, fold.turns))


def test_counts_known_to_be_copied_only_move_the_total() -> None:
    fold = folded(
        UserMessage("old"),
        TurnContext(None, "gpt-5"),
        count(1000, 1000),
        count(1000, 1000),
        count(3000, 2000),
        UserMessage("new"),
        TurnContext(None, "gpt-5-mini"),
        count(3000, 2000),
        count(3500, 500),
        copied_counts=3,
    )

    assert [(fact.input_tokens, fact.model) for fact in fold.facts] == [(500, "gpt-5-mini")]
    assert list(turns(fold)) == [str(BEGIN + 6000)]


def test_a_record_of_another_thread_is_not_booked_before_the_own_first_turn() -> None:
    fold = folded(record("resp_old", 400, "no-uuid", "no-uuid"), record("resp_1", 10))

    assert inputs(fold) == [10]


@pytest.mark.parametrize(
    ("end", "status", "duration_ms"),
    [
        (TaskComplete(TURN, "done", None, 1.0, 873), TurnStatus.SUCCESS, 873),
        (TaskComplete(TURN, None, None, 1.0, 873), TurnStatus.SUCCESS, 873),
        (TaskComplete(TURN, None, {"message": "lab says no"}, 1.0, 103), TurnStatus.ERROR, 103),
        (TaskComplete(TURN, "done"), TurnStatus.SUCCESS, 2000),
        (TaskComplete(TURN, None, None, None, 50), TurnStatus.ERROR, 50),
        (TurnAborted(TURN, 1.0, 4925), TurnStatus.INTERRUPTED, 4925),
        (TurnAborted(TURN), TurnStatus.INTERRUPTED, 2000),
    ],
)
def test_a_turn_ends_as_its_log_says(
    end: TaskComplete | TurnAborted, status: TurnStatus, duration_ms: int
) -> None:
    turn = turns(folded(TaskStarted(TURN), CONTEXT, end))[TURN]

    assert (turn.status, turn.duration_ms) == (status, duration_ms)
    assert (turn.started_ms, turn.ended_ms) == (BEGIN + 1000, BEGIN + 3000)
    assert (turn.agent_version, turn.place.project) == ("0.145.0", "repo")


def test_a_killed_turn_runs_until_the_next_one_of_its_thread_begins() -> None:
    killed = (TaskStarted(TURN), CONTEXT, count(100, 100))

    before = turns(folded(*killed))
    after = turns(folded(*killed, TaskStarted(LATER_TURN), TurnContext(LATER_TURN, "gpt-5")))

    assert (before[TURN].status, before[TURN].ended_ms) == (TurnStatus.RUNNING, None)
    assert (after[TURN].status, after[TURN].ended_ms) == (TurnStatus.INTERRUPTED, BEGIN + 3000)
    assert after[TURN].duration_ms is None
    assert after[LATER_TURN].status is TurnStatus.RUNNING


def test_a_killed_turn_is_closed_by_a_later_end_too() -> None:
    compaction = (TaskStarted(LATER_TURN), TaskComplete(LATER_TURN, None, None, 1.0, 9))

    found = turns(folded(TaskStarted(TURN), CONTEXT, *compaction))

    assert found[TURN].status is TurnStatus.INTERRUPTED
    assert found[LATER_TURN].status is TurnStatus.SUCCESS


def test_a_reviews_turn_is_no_turn_of_the_thread_that_ordered_it() -> None:
    fold = folded(
        TaskStarted(CHILD_TURN),
        UserMessage("review it"),
        TaskComplete(TURN, None, None, 1795160248.0, 282),
        TaskStarted(LATER_TURN),
        TurnContext(LATER_TURN, "gpt-5"),
        TaskComplete(LATER_TURN, "done", None, 1.0, 5),
    )

    found = turns(fold)
    assert {turn_id: turn.status for turn_id, turn in found.items()} == {
        TURN: TurnStatus.SUCCESS,
        LATER_TURN: TurnStatus.SUCCESS,
    }
    assert found[TURN].started_ms == BEGIN + 3000 - 282


def test_a_manual_compaction_is_a_turn_without_a_context() -> None:
    fold = folded(
        CONTEXT,
        TaskComplete(TURN, "done"),
        TaskStarted(LATER_TURN),
        count(5781, 5781),
        TaskComplete(LATER_TURN, None, None, 1.0, 183),
    )

    assert turns(fold)[LATER_TURN].status is TurnStatus.SUCCESS
    assert [fact.turn_key for fact in fold.facts] == [f"codex:{THREAD}:{LATER_TURN}"]
    assert [fact.model for fact in fold.facts] == ["gpt-5.1-codex"]


def test_a_usage_written_after_its_turns_end_does_not_open_it_again() -> None:
    fold = folded(
        CONTEXT,
        TaskComplete(TURN, "done", None, 1.0, 5),
        record("resp_late", 70),
        TaskStarted(LATER_TURN),
        TurnContext(LATER_TURN, "gpt-5"),
    )

    assert turns(fold)[TURN].status is TurnStatus.SUCCESS
    assert [fact.turn_key for fact in fold.facts] == [f"codex:{THREAD}:{TURN}"]


def test_the_end_of_a_parents_turn_is_no_turn_of_a_child() -> None:
    fold = folded(TaskStarted(TURN), CONTEXT, TurnAborted(OLD_TURN), meta=FORK)

    assert list(turns(fold)) == [TURN]


def test_without_turn_ids_each_prompt_is_a_turn_and_ends_the_one_before() -> None:
    fold = folded(
        UserMessage("one"),
        TurnContext(None, "gpt-5"),
        count(100, 100),
        TurnContext(None, "gpt-5"),
        count(300, 200),
        UserMessage("two"),
        TurnContext(None, "gpt-5"),
        count(350, 50),
    )

    first, second = turns(fold).values()
    assert (first.status, first.started_ms, first.ended_ms) == (
        TurnStatus.SUCCESS,
        BEGIN + 1000,
        BEGIN + 5000,
    )
    assert first.duration_ms == 4000
    assert second.status is TurnStatus.RUNNING
    assert [fact.turn_key for fact in fold.facts] == [first.key, first.key, second.key]


def test_without_turn_ids_the_last_turn_ends_when_the_log_is_silent() -> None:
    fold = folded(UserMessage("one"), TurnContext(None, "gpt-5"), count(100, 100))

    fold.rest()

    (turn,) = turns(fold).values()
    assert (turn.status, turn.ended_ms) == (TurnStatus.SUCCESS, BEGIN + 3000)


def test_silence_does_not_end_a_turn_that_will_tell_its_end() -> None:
    fold = folded(TaskStarted(TURN), CONTEXT)

    fold.rest()

    assert turns(fold)[TURN].status is TurnStatus.RUNNING


def test_a_usage_without_any_turn_makes_one() -> None:
    fold = folded(count(100, 100), count(300, 200))

    assert len(turns(fold)) == 1
    assert len({fact.turn_key for fact in fold.facts}) == 1


def test_a_tree_of_agents_is_one_session_and_a_lone_thread_its_own() -> None:
    child = folded(CONTEXT, record("resp_1", 5), meta=SessionMeta(THREAD, session_id=PARENT))
    alone = folded(CONTEXT, record("resp_1", 5), meta=SessionMeta(THREAD))

    assert (child.facts[0].session_id, child.turns[0].session_id) == (PARENT, PARENT)
    assert (alone.facts[0].session_id, alone.turns[0].session_id) == (THREAD, THREAD)


def test_a_log_without_its_first_line_is_keyed_by_its_name() -> None:
    fold = ThreadFold(FoldState(THREAD), FolderNamer(), WRITTEN)

    fold.take(Event(BEGIN, CONTEXT))
    fold.take(Event(BEGIN + 1, count(100, 100)))

    assert [fact.thread_id for fact in fold.facts] == [THREAD]


@pytest.mark.parametrize(
    ("cwd", "remote"),
    [
        ("/home/dev/repo", "shop"),
        ("/home/dev/repo/sub", "shop"),
        ("/home/dev/repository", ""),
        ("/elsewhere", ""),
    ],
)
def test_the_remote_that_a_log_names_is_that_of_the_directory_it_began_in(
    cwd: str, remote: str
) -> None:
    meta = SessionMeta(THREAD, cwd="/home/dev/repo", git=Git("git@host:acme/shop.git"))
    namer = FolderNamer()
    fold = ThreadFold(FoldState(THREAD), namer, WRITTEN)

    fold.take(Event(BEGIN, meta))
    fold.take(Event(BEGIN, TurnContext(TURN, "gpt-5", cwd)))

    assert namer.asked == [(cwd, remote)]
