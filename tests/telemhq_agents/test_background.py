from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from telemhq_agents.background import Kind, Known, rests, sums
from telemhq_agents.usage import Place, SessionTotal, Source, UsageFact

PLACE = Place("/home/dev/repo", "repo", "repo")


def total(model: str = "opus", **changes: Any) -> SessionTotal:
    plain = SessionTotal(
        Source.CLAUDE, "s1", model, PLACE, 1000, is_complete=True, input_tokens=500,
        cached_input_tokens=300, cache_write_tokens=100, output_tokens=70,
    )  # fmt: skip
    return replace(plain, **changes)


def known(model: str = "opus", **changes: Any) -> Known:
    plain = Known(
        model, input_tokens=400, cached_input_tokens=250, cache_write_tokens=90, output_tokens=50
    )
    return replace(plain, **changes)


def test_what_a_complete_total_holds_more_is_background() -> None:
    (rest,) = rests([total(cache_write_1h_tokens=8, reasoning_tokens=5)], [known()])

    assert (rest.kind, rest.session_id, rest.model) == (Kind.BACKGROUND, "s1", "opus")
    assert (rest.input_tokens, rest.cached_input_tokens, rest.cache_write_tokens) == (100, 50, 10)
    assert (rest.cache_write_1h_tokens, rest.output_tokens, rest.reasoning_tokens) == (8, 20, 5)
    assert (rest.place, rest.at_ms) == (PLACE, 1000)


def test_a_model_that_answered_nothing_in_the_log_worked_in_the_background() -> None:
    exact = known(
        input_tokens=500, cached_input_tokens=300, cache_write_tokens=100, output_tokens=70
    )
    found = rests([total(), total("haiku")], [exact])

    assert [(rest.model, rest.input_tokens) for rest in found] == [("haiku", 500)]


@pytest.mark.parametrize(
    ("told", "booked"),
    [
        ([total(is_complete=False)], [known()]),
        ([total(), total("haiku", is_complete=False)], [known()]),
        ([total()], [known(is_exact=False)]),
    ],
)
def test_where_something_was_cut_off_the_rest_is_unexplained(
    told: list[SessionTotal], booked: list[Known]
) -> None:
    assert {rest.kind for rest in rests(told, booked)} == {Kind.UNEXPLAINED}


@pytest.mark.parametrize(
    "booked",
    [
        [known(output_tokens=71)],
        [known(cached_input_tokens=301, input_tokens=480)],
        [known(cache_write_tokens=101)],
        [known(input_tokens=499)],
        [known(), known("haiku")],
    ],
)
def test_a_total_that_does_not_hold_all_facts_tells_nothing(booked: list[Known]) -> None:
    assert rests([total()], booked) == []


def test_a_total_of_exactly_the_facts_leaves_nothing() -> None:
    facts = known(
        input_tokens=500, cached_input_tokens=300, cache_write_tokens=100, output_tokens=70
    )

    assert rests([total()], [facts]) == []
    assert rests([], [facts]) == []


def test_parts_that_a_version_does_not_tell_of_are_never_below_zero() -> None:
    (rest,) = rests([total()], [known(cache_write_1h_tokens=90, reasoning_tokens=40)])

    assert (rest.cache_write_1h_tokens, rest.reasoning_tokens) == (0, 0)


def test_only_what_was_said_last_counts() -> None:
    stale = total("asked-for", at_ms=900)

    assert [rest.model for rest in rests([stale, total()], [known()])] == ["opus"]


def test_facts_add_up_by_model() -> None:
    fact = UsageFact(
        "k", Source.CLAUDE, "s1", "", "t", "anthropic", "opus", PLACE, 5, 10, 6, 3, 2, 4, 1
    )
    other = replace(fact, model="haiku", estimate="output_lower_bound")

    assert sums([fact, fact, other]) == [
        Known("opus", 20, 12, 6, 4, 8, 2),
        Known("haiku", 10, 6, 3, 2, 4, 1, is_exact=False),
    ]
