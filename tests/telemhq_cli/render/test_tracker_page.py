from __future__ import annotations

from dataclasses import replace

import pytest

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.judging import Transition
from telemhq_agents.contract.resources import Run, Tracker, TrackerState
from telemhq_agents.contract.rules import (
    Assertion,
    Cause,
    Operator,
    Rules,
    Schedule,
    Severity,
    Verdict,
    Verdicted,
)
from telemhq_cli.render import tracker_page as page

NOON = "2026-11-20T12:00:00.000Z"
NOW = from_iso(NOON)
ITEMS = Assertion("items_processed", Operator.GREATER_THAN, 0, id="a1")
SCORE = Assertion("eval_score", Operator.GREATER_OR_EQUAL, 0.8, Severity.WARN, "a2")


def tracker(state: TrackerState = TrackerState.ACTIVE, **known: object) -> Tracker:
    one = Tracker("7", "1", "nightly report", "http://x/ping/y", state, "ada@example.com", NOON)
    return replace(one, **known)  # type: ignore[arg-type]


def run(number: int, *verdicts: Verdict) -> Run:
    texts = ("run", NOON, NOON, "success", False, "", "", "", "", "", "")
    return Run(str(number), *texts, 0, 0, 0, 0, 0, 0, None, None, {}, "passed", list(verdicts))


def verdict(assertion: Assertion, came_out: Verdicted, message: str = "") -> Verdict:
    known = (assertion.id, assertion.path, assertion.operator, assertion.severity)
    return Verdict(*known, came_out, message)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (tracker(TrackerState.NEW), "new: no run has come yet"),
        (tracker(last_run_at=NOON), "active: all is well"),
        (
            tracker(TrackerState.LATE, due_at="2026-11-20T11:55:00.000Z"),
            "late: no ping yet, failing after 2026-11-20 12:05Z",
        ),
        (
            tracker(
                TrackerState.FAILING,
                failing_since="2026-11-19T09:58:59.000Z",
                cause="assertion broken",
            ),
            "failing since 2026-11-19 09:58Z, for 1 d 2 h: assertion broken",
        ),
        (tracker(TrackerState.PAUSED), "paused: runs are recorded and judge nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_is_said_in_words(one: Tracker, words: str) -> None:
    rules = Rules(schedule=Schedule(cron="55 11 * * *", grace_s=600))

    assert page.state_in_words(one, rules, NOW) == words


@pytest.mark.parametrize(
    ("due", "words"),
    [
        (None, ""),
        ("2026-11-20T18:07:30.000Z", "2026-11-20 18:07Z, in 6 h 7 min"),
        ("2026-11-20T12:00:10.000Z", "2026-11-20 12:00Z, in less than a minute"),
        ("2026-11-20T11:50:00.000Z", "2026-11-20 11:50Z, 10 min ago"),
        ("2026-12-01T12:00:00.000Z", "2026-12-01 12:00Z, in 11 d"),
    ],
)
def test_the_next_ping_is_told_with_how_far_off_it_is(due: str | None, words: str) -> None:
    assert page.due_in_words(tracker(due_at=due), NOW) == words


def test_each_assertions_last_verdict_is_of_the_newest_run_that_tried_it() -> None:
    runs = [
        run(3, verdict(ITEMS, Verdicted.BROKEN, "items_processed is 0, expected more than 0")),
        run(2, verdict(ITEMS, Verdicted.HELD), verdict(SCORE, Verdicted.HELD)),
    ]
    other = replace(SCORE, id="a3")

    found = page.last_verdicts([ITEMS, SCORE, other], runs)

    assert [(one.verdict, one.run) for one in found] == [
        ("broken", "3"),
        ("held", "2"),
        ("untried", None),
    ]


def test_assertions_and_verdicts_stand_side_by_side_within_the_width() -> None:
    runs = [run(3, verdict(ITEMS, Verdicted.BROKEN, "items_processed is 0, expected more than 0"))]

    lines = page.assertion_lines(page.last_verdicts([ITEMS, SCORE], runs), 60)

    assert lines == [
        "Assertions, and how the latest run came out:",
        "  items_processed > 0        broken: items_processed is 0,",
        "                             expected more than 0",
        "  eval_score >= 0.8 (warns)  no run tried it yet",
    ]


def test_changes_of_state_say_what_caused_them_and_who_was_not_told() -> None:
    found = [
        Transition(
            *("1", TrackerState.ACTIVE, TrackerState.FAILING, NOON, NOON, Cause.MISSED),
            *("no ping since 03:00", None, "muted"),
        ),
        Transition("0", TrackerState.NEW, TrackerState.ACTIVE, NOON, NOON, Cause.FIRST_RUN),
    ]

    lines = page.transition_lines(found, 80)

    assert lines == [
        "Latest changes of its state:",
        "  2026-11-20 12:00Z  active to failing; ping is missing: no ping since 03:00",
        "                     (nobody was told: muted)",
        "  2026-11-20 12:00Z  new to active; first run",
    ]


@pytest.mark.parametrize(
    ("one", "command"),
    [
        (tracker(TrackerState.NEW), "telemhq ping 'nightly report' -- COMMAND"),
        (tracker(TrackerState.PAUSED), "telemhq tracker resume 'nightly report'"),
        (tracker(TrackerState.LATE), "telemhq tracker runs 'nightly report' --follow"),
        (
            tracker(TrackerState.FAILING, cause="assertion broken"),
            "telemhq tracker runs 'nightly report' --failed",
        ),
        (
            tracker(TrackerState.FAILING, cause="ping is missing"),
            "telemhq tracker runs 'nightly report'",
        ),
        (tracker(), "telemhq tracker chart 'nightly report'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_next_step_is_what_helps_in_this_state(one: Tracker, command: str) -> None:
    assert page.next_step(one) == command
