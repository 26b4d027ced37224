from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codex_watcher.inheritance import (
    Fork,
    Head,
    copied_from_parent,
    copied_in_one_go,
    read_head,
)
from telemhq_agents import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "01a1f7ed-5e5d-72b0-b481-3ae821770c26"
THREAD = "01a1f7ed-6ebf-7660-9362-79e16f814bd2"
OWN_TURN = "01a1f7ed-6f00-7103-abb0-f2750c4aa56e"
FORKED_MS = 1_795_160_895_176


def line(at_ms: int, kind: str, **payload: Any) -> bytes:
    event = {"timestamp": clock.to_iso(at_ms), "type": kind, "payload": payload}
    return json.dumps(event).encode()


def meta(at_ms: int = FORKED_MS, thread: str = THREAD, **more: Any) -> bytes:
    return line(at_ms, "session_meta", id=thread, **more)


def prompt(at_ms: int) -> bytes:
    return line(at_ms, "event_msg", type="user_message", message="go")


def count(at_ms: int, total: int, last: int) -> bytes:
    info = {
        "total_token_usage": {"input_tokens": total},
        "last_token_usage": {"input_tokens": last},
    }
    return line(at_ms, "event_msg", type="token_count", info=info)


def counts(at_ms: int, step_ms: int, *totals: int) -> Iterator[bytes]:
    before = 0
    for number, total in enumerate(totals):
        yield count(at_ms + number * step_ms, total, total - before)
        before = total


@pytest.mark.parametrize(
    ("why", "head", "expected"),
    [
        ("nothing yet", [], Head.TOO_SHORT),
        ("no event yet", [meta(), line(FORKED_MS, "response_item")], Head.TOO_SHORT),
        ("rate limits alone", [meta(), line(1, "event_msg", type="token_count")], Head.TOO_SHORT),
        ("a thread of its own", [meta(), prompt(FORKED_MS)], Head.CLEAR),
        ("no first line", [prompt(FORKED_MS), meta(forked_from_id=PARENT)], Head.CLEAR),
        (
            "a fork by its first line",
            [meta(forked_from_id=PARENT), prompt(FORKED_MS)],
            Fork(PARENT, FORKED_MS),
        ),
        (
            "a fork by its second",
            [meta(), meta(thread=PARENT), prompt(FORKED_MS)],
            Fork(PARENT, FORKED_MS),
        ),
        ("its own line twice", [meta(), meta(), prompt(FORKED_MS)], Head.CLEAR),
        (
            "history is named, not copied",
            [meta(forked_from_id=PARENT, history_base={"thread_id": PARENT}), prompt(FORKED_MS)],
            Head.CLEAR,
        ),
        (
            "turn ids tell",
            [
                meta(forked_from_id=PARENT),
                line(FORKED_MS, "event_msg", type="task_started", turn_id=OWN_TURN),
            ],
            Head.CLEAR,
        ),
        (
            "a fork that a migration may have unmarked",
            [meta(cli_version="0.80.0", history_mode="paginated"), prompt(FORKED_MS)],
            Fork("", FORKED_MS),
        ),
        (
            "a version that marks forks",
            [meta(cli_version="0.98.0", history_mode="paginated"), prompt(FORKED_MS)],
            Head.CLEAR,
        ),
    ],
)
def test_the_head_tells_whether_a_log_may_begin_with_a_copy(
    why: str, head: list[bytes], expected: Head | Fork
) -> None:
    assert read_head(head) == expected, why


def copied(own: list[bytes], parent: list[bytes]) -> int | None:
    return copied_from_parent(Fork(PARENT, FORKED_MS), own, parent)


def test_counts_that_equal_the_parents_are_the_parents() -> None:
    parent = [*counts(FORKED_MS - 9000, 1000, 1404, 3741, 3741, 5347)]
    own = [*counts(FORKED_MS, 0, 1404, 3741, 3741, 5347), count(FORKED_MS + 2000, 8088, 2741)]

    assert copied(own, parent) == 4


def test_a_repeat_after_the_copy_is_left_to_the_own_turn() -> None:
    parent = [*counts(FORKED_MS - 9000, 1000, 1404, 3741, 3741)]
    own = [*counts(FORKED_MS, 0, 1404, 3741, 3741), count(FORKED_MS + 2000, 6482, 2741)]

    assert copied(own, parent) == 2


def test_what_the_parent_spent_after_the_fork_was_not_copied() -> None:
    parent = [count(FORKED_MS - 9, 1404, 1404), count(FORKED_MS + 1, 3741, 2337)]
    own = [count(FORKED_MS, 1404, 1404), count(FORKED_MS + 3000, 3741, 2337)]

    assert copied(own, parent) == 1


def test_a_fork_that_differs_at_once_copied_nothing() -> None:
    assert copied([count(FORKED_MS, 500, 500)], [count(FORKED_MS - 9, 1404, 1404)]) == 0


def test_a_copy_without_anything_after_it_is_still_open() -> None:
    parent = [*counts(FORKED_MS - 9000, 1000, 1404, 3741)]

    assert copied([count(FORKED_MS, 1404, 1404)], parent) is None
    assert copied([*counts(FORKED_MS, 0, 1404, 3741)], parent) is None


def test_without_the_parent_the_first_burst_is_the_copy() -> None:
    burst = [meta(), *counts(FORKED_MS, 4, 1404, 3741, 5347)]
    items = [line(FORKED_MS + 8 + gap, "response_item") for gap in (90, 180, 270)]
    own = [count(FORKED_MS + 700, 8088, 2741), count(FORKED_MS + 710, 9000, 912)]

    assert copied_in_one_go([*burst, *items, *own]) == 3


def test_a_burst_may_go_on_until_a_later_line_is_seen() -> None:
    assert copied_in_one_go([meta(), *counts(FORKED_MS, 4, 1404, 3741)]) is None


def test_lines_without_a_time_do_not_end_a_burst() -> None:
    burst = [meta(), b"\xff\xff", b"{}", count(FORKED_MS + 50, 1404, 1404)]

    assert copied_in_one_go([*burst, count(FORKED_MS + 999, 2000, 596)]) == 1
