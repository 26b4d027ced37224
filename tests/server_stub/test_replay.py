"""Assertions tried on past runs, without any database."""

from __future__ import annotations

from server_stub.domain.replay import PastRun, replay
from telemhq_agents.contract.rules import Assertion, Operator, Severity

RUNS = [PastRun(number, number * 1000, {"items": number % 2}) for number in range(6)]
FAILS = Assertion("items", Operator.GREATER_THAN, 0, id="fails")
WARNS = Assertion("items", Operator.LESS_THAN, 1, Severity.WARN, id="warns")


def test_a_run_fails_by_the_worst_that_is_broken() -> None:
    found = replay([FAILS, WARNS], RUNS)

    assert found.looked_at == 6
    assert [(one.run.id, one.failed) for one in found.broken] == [
        (0, True),
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, False),
    ]
    assert [one.verdicts[0].assertion for one in found.broken[:2]] == ["fails", "warns"]


def test_what_could_be_judged_by_once_and_can_no_more_is_broken_as_for_a_new_run() -> None:
    found = replay([Assertion("items", Operator.REGEX, "(", id="old")], RUNS)

    assert len(found.broken) == 6
    assert "items cannot be judged" in found.broken[0].verdicts[0].message


def test_without_assertions_nothing_is_broken() -> None:
    assert replay([], RUNS).broken == ()


def test_it_stops_when_its_time_is_up_and_says_how_far_it_came() -> None:
    left = iter([True, True, True, False])

    found = replay([FAILS], RUNS, lambda: next(left))

    assert found.looked_at == 3
    assert [one.run.id for one in found.broken] == [0, 2]
