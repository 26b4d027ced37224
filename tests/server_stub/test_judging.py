"""What the rules make of one run."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from server_stub.domain.judging import Judged, Outcome, judge_of, judged
from server_stub.domain.rules import write
from server_stub.domain.run import RunFacts
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.rules import (
    Assertion,
    Cause,
    Operator,
    Rules,
    Schedule,
    Severity,
    Verdicted,
)

AT_LEAST_ONE = Assertion("items", Operator.GREATER_THAN, 0, id="one")
CHEAP = Assertion("cost_usd", Operator.LESS_OR_EQUAL, 5, Severity.WARN, "cheap")


def made_of(
    rules: Rules,
    payload: dict[str, Any] | None = None,
    *,
    failed: bool = False,
    took_ms: int | None = None,
    elapsed_ms: int | None = None,
) -> Judged:
    facts = RunFacts(
        ended_ms=1_795_000_000_000,
        amounts=Amounts(runs=1, failures=int(failed), duration_ms=took_ms or 0),
        status="timeout" if failed else "",
        has_duration=took_ms is not None,
    )
    return judged(judge_of(write(rules)), facts, payload or {}, elapsed_ms)


def test_without_rules_a_run_is_what_it_says() -> None:
    assert made_of(Rules()).outcome is Outcome.PASSED
    said = made_of(Rules(), failed=True)
    assert (said.failed, said.cause) == (True, Cause.RUN_FAILED)
    assert said.message == "the run says that it failed: timeout"


def test_every_assertion_gives_its_verdict() -> None:
    came_out = made_of(Rules(assertions=[AT_LEAST_ONE, CHEAP]), {"items": 1, "cost_usd": 9})

    assert [(one.assertion, one.verdict) for one in came_out.verdicts] == [
        ("one", Verdicted.HELD),
        ("cheap", Verdicted.BROKEN),
    ]
    assert (came_out.failed, came_out.warned, came_out.outcome) == (False, True, Outcome.WARNED)


def test_the_first_broken_assertion_says_why_and_the_others_are_counted() -> None:
    both = Rules(assertions=[AT_LEAST_ONE, Assertion("errors", Operator.EQUALS, 0)])

    came_out = made_of(both, {"items": 0, "errors": 2})

    assert (came_out.cause, came_out.outcome) == (Cause.ASSERTION, Outcome.FAILED)
    assert came_out.message == "items is 0, expected more than 0 (and 1 more)"


def test_a_heartbeat_without_payload_breaks_what_needs_one() -> None:
    assert made_of(Rules(assertions=[AT_LEAST_ONE])).message == (
        "items is missing, expected more than 0"
    )


def test_what_the_run_says_itself_comes_before_assertions_and_durations() -> None:
    rules = Rules(assertions=[AT_LEAST_ONE], max_duration_ms=1)

    assert made_of(rules, failed=True, took_ms=9).cause is Cause.RUN_FAILED
    assert made_of(rules, took_ms=9).cause is Cause.ASSERTION
    assert made_of(rules, {"items": 1}, took_ms=9).cause is Cause.TOO_LONG


@pytest.mark.parametrize(
    ("took_ms", "elapsed_ms", "cause"),
    [
        (999, None, Cause.TOO_SHORT),
        (1000, None, None),
        (2000, None, None),
        (2001, None, Cause.TOO_LONG),
        (None, 2001, Cause.TOO_LONG),
        (1500, 9999, None),
        (0, None, Cause.TOO_SHORT),
        (None, None, None),
    ],
)
def test_bounds_of_the_duration_are_still_within(
    took_ms: int | None, elapsed_ms: int | None, cause: Cause | None
) -> None:
    rules = Rules(min_duration_ms=1000, max_duration_ms=2000)

    assert made_of(rules, took_ms=took_ms, elapsed_ms=elapsed_ms).cause is cause


def test_the_same_rules_are_made_ready_once() -> None:
    text = write(Rules(assertions=[AT_LEAST_ONE]))

    assert judge_of(text) is judge_of(str(msgspec.json.decode(msgspec.json.encode(text))))


def test_an_assertion_that_can_be_judged_by_no_more_is_broken_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rules = Rules(assertions=[AT_LEAST_ONE, Assertion("x", Operator.REGEX, "(once fine", id="r")])

    with caplog.at_level(logging.ERROR):
        came_out = made_of(rules, {"items": 1, "x": "a"})

    assert [one.verdict for one in came_out.verdicts] == [Verdicted.HELD, Verdicted.BROKEN]
    assert came_out.message.startswith("x cannot be judged: value: RE2 cannot read")
    assert "can be judged by no more" in caplog.text


def test_a_schedule_that_can_be_followed_no_more_expects_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        judge = judge_of(write(Rules(schedule=Schedule("0 3 * * *", timezone="Gone/Zone"))))

    assert (judge.is_scheduled, judge.expected(0, 0)) == (False, None)
    assert "can be followed no more" in caplog.text


def test_what_is_no_rules_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        judge_of('{"assertions": 5}')
