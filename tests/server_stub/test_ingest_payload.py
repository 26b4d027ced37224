from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.payload import judge
from server_stub.domain.problem import ProblemError
from server_stub.domain.run import RunFacts
from server_stub.domain.verb import VERBS
from telemhq_agents.contract.amounts import Amounts

NOW = 1_763_640_000_000  # 2025-11-20T12:00:00Z


def amounts_of(payload: dict[str, Any]) -> Amounts:
    return judge(payload, NOW).amounts


def test_a_heartbeat_is_one_run_that_ended_when_it_arrived() -> None:
    assert judge({}, NOW) == RunFacts(ended_ms=NOW, amounts=Amounts(runs=1), payload="{}")


def test_every_known_field_is_booked_where_it_belongs() -> None:
    payload = {
        "provider": "openai",
        "model": "gpt-5",
        "project": "billing-api",
        "status": "success",
        "source": "codex",
        "session_id": "s",
        "thread_id": "t",
        "input_tokens": 1000,
        "cached_input_tokens": 200,
        "cache_write_tokens": 50,
        "output_tokens": 300,
        "reasoning_tokens": 100,
        "tool_tokens": 7,
        "responses": 4,
        "cost_usd": 0.0123,
        "duration_ms": 1500,
        "ended_at": "2025-11-20T11:59:00Z",
        "custom": {"nested": [1]},
    }

    facts = judge(payload, NOW)

    assert facts == RunFacts(
        ended_ms=NOW - 60_000,
        amounts=Amounts(
            runs=1,
            failures=0,
            responses=4,
            input_tokens=1000,
            cached_input_tokens=200,
            cache_write_tokens=50,
            output_tokens=300,
            reasoning_tokens=100,
            total_tokens=1300,
            cost_nano=12_300_000,
            unpriced_tokens=0,
            duration_ms=1500,
        ),
        payload=facts.payload,
        provider="openai",
        model="gpt-5",
        project="billing-api",
        status="success",
        source="codex",
        session_id="s",
        thread_id="t",
        tool_tokens=7,
        has_cost=True,
        has_duration=True,
    )
    assert json.loads(facts.payload) == payload


@pytest.mark.parametrize(
    ("payload", "total"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, 15),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 20}, 20),
        ({"total_tokens": 9}, 9),
        ({"output_tokens": 5}, 5),
        ({"total_tokens": 0, "input_tokens": 3}, 0),
    ],
)
def test_the_total_is_what_was_said_else_input_plus_output(
    payload: dict[str, Any], total: int
) -> None:
    assert amounts_of(payload).total_tokens == total


@pytest.mark.parametrize(
    ("payload", "unpriced"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, 15),
        ({"total_tokens": 9}, 9),
        ({"total_tokens": 9, "cost_usd": 0}, 0),
        ({"total_tokens": 9, "cost_usd": 0.1}, 0),
        ({"total_tokens": 9, "cost_usd": 0.1, "unpriced_tokens": 4}, 4),
        ({"total_tokens": 9, "unpriced_tokens": 0}, 0),
        ({"total_tokens": 9, "cost_usd": None}, 9),
        ({}, 0),
    ],
)
def test_tokens_without_a_cost_are_unpriced(payload: dict[str, Any], unpriced: int) -> None:
    assert amounts_of(payload).unpriced_tokens == unpriced


@pytest.mark.parametrize(
    ("cost", "nano"),
    [(0.1, 100_000_000), ("0.1", 100_000_000), (3, 3_000_000_000), (1e-9, 1), (0.29, 290_000_000)],
)
def test_money_becomes_whole_nano_dollars(cost: float | str, nano: int) -> None:
    assert amounts_of({"cost_usd": cost}).cost_nano == nano


@pytest.mark.parametrize(
    ("payload", "milliseconds"),
    [
        ({"duration_ms": 5}, 5),
        ({"latency_ms": 6}, 6),
        ({"duration": 7}, 7),
        ({"duration": 7, "latency_ms": 6}, 6),
        ({"duration": 7, "latency_ms": 6, "duration_ms": 5}, 5),
        ({"duration_ms": None, "latency_ms": 6}, 6),
        ({"duration_ms": 0, "latency_ms": 6}, 0),
        ({"duration_ms": 12.6}, 13),
    ],
)
def test_the_first_name_for_a_duration_wins(payload: dict[str, Any], milliseconds: int) -> None:
    facts = judge(payload, NOW)

    assert facts.amounts.duration_ms == milliseconds
    assert facts.has_duration


@pytest.mark.parametrize(
    ("payload", "project"),
    [
        ({"project": "a", "repo": "b"}, "a"),
        ({"project": " ", "repo": "b"}, "b"),
        ({"project_name": "a"}, "a"),
        ({"repository": "a"}, "a"),
        ({"git_repo": "a", "service": "b"}, "a"),
        ({"service": {"name": "x"}, "workflow": "w"}, "w"),
        ({"customer_workflow": "c"}, "c"),
        ({"agent": "nightly"}, "nightly"),
        ({"app": 5}, ""),
        ({"project": 42}, "42"),
        ({}, ""),
    ],
)
def test_the_first_project_like_text_wins(payload: dict[str, Any], project: str) -> None:
    assert judge(payload, NOW).project == project


@pytest.mark.parametrize(
    ("payload", "failures"),
    [
        ({"status": "success"}, 0),
        ({"status": "error"}, 1),
        ({"status": "Failed"}, 1),
        ({"status": "TIMEOUT"}, 1),
        ({"status": "success", "exit_code": 3}, 1),
        ({"exit_code": 0}, 0),
        ({"exit_code": "1"}, 1),
        ({"exit_code": -9}, 1),
        ({"status": "weird"}, 0),
        ({"failures": 5, "runs": 9}, 0),
    ],
)
def test_a_run_fails_by_its_status_or_its_exit_code(payload: dict[str, Any], failures: int) -> None:
    amounts = amounts_of(payload)

    assert (amounts.runs, amounts.failures) == (1, failures)


@pytest.mark.parametrize("primary", [False, "false", "0"])
def test_a_ping_that_is_not_primary_adds_usage_and_no_run(primary: object) -> None:
    amounts = amounts_of({"primary": primary, "status": "error", "input_tokens": 5, "cost_usd": 0})

    assert amounts == Amounts(input_tokens=5, total_tokens=5)


@pytest.mark.parametrize("payload", [{"kind": "start"}, {"status": "started"}, {"status": "start"}])
def test_a_start_counts_nothing(payload: dict[str, Any]) -> None:
    facts = judge(payload | {"input_tokens": 5, "exit_code": 1}, NOW)

    assert (facts.kind, facts.amounts) == ("start", Amounts())


def test_a_skip_counts_nothing() -> None:
    facts = judge({"kind": "skip", "status": "skipped", "input_tokens": 5, "exit_code": 1}, NOW)

    assert (facts.kind, facts.status, facts.amounts) == ("skip", "skipped", Amounts())


def test_a_log_counts_nothing() -> None:
    facts = judge({"kind": "log", "status": "error", "input_tokens": 5}, NOW)

    assert (facts.kind, facts.status, facts.amounts) == ("log", "error", Amounts())


def test_whoever_sends_a_verb_gets_no_field_refused_but_warned_about() -> None:
    payload = {"kind": 7, "input_tokens": "many", "output_tokens": 3, "model": []}

    facts = judge(payload, NOW, verb=VERBS["fail"])

    assert (facts.kind, facts.amounts.output_tokens, facts.model) == ("run", 3, "")
    assert facts.warnings == (
        "input_tokens was not booked: must be a whole number, not 'many'",
        "model was not booked: must be a text, not a list",
    )
    assert json.loads(facts.payload) == payload


@pytest.mark.parametrize("word", ["fail", "0", "3"])
def test_a_verb_makes_a_run_of_what_calls_itself_something_else(word: str) -> None:
    for payload in ({"kind": "correction"}, {"status": "started"}, {"kind": "log"}):
        assert judge(payload, NOW, verb=VERBS[word]).amounts.runs == 1


def test_a_correction_carries_signed_figures_of_every_kind() -> None:
    facts = judge(
        {
            "kind": "correction",
            "corrects": "fact:k",
            "revision": 2,
            "runs": -1,
            "failures": 1,
            "input_tokens": -10,
            "output_tokens": 4,
            "cost_usd": -0.5,
            "duration_ms": -100,
            "status": "error",
            "exit_code": 1,
        },
        NOW,
    )

    assert (facts.kind, facts.corrects, facts.revision) == ("correction", "fact:k", 2)
    assert facts.amounts == Amounts(
        runs=-1,
        failures=1,
        input_tokens=-10,
        output_tokens=4,
        total_tokens=-6,
        cost_nano=-500_000_000,
        duration_ms=-100,
    )


def test_a_correction_without_a_cost_leaves_no_tokens_unpriced() -> None:
    payload = {"kind": "correction", "corrects": "k", "revision": 1, "input_tokens": 10}

    assert amounts_of(payload).unpriced_tokens == 0
    assert amounts_of(payload | {"unpriced_tokens": -3}).unpriced_tokens == -3


@pytest.mark.parametrize(
    ("text", "ended_ms"),
    [
        ("2025-11-20T11:00:00Z", NOW - 3_600_000),
        ("2025-11-20T12:00:00+01:00", NOW - 3_600_000),
        ("2025-11-20T11:59:59.123Z", NOW - 877),
        ("2025-11-20T11:00:00", NOW - 3_600_000),
        (NOW - 5, NOW - 5),
        (NOW / 1000 - 5, NOW - 5000),
        (str(NOW // 1000 - 5), NOW - 5000),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-08-23T11:48:21Z", 20_260_101_000),
        ("20251120T110000Z", NOW - 3_600_000),
        (9_999_999, 9_999_999_000),
        (100_000_000, 100_000_000_000),
        ("2025-11-20T12:05:00Z", NOW + 300_000),
        ("", NOW),
        (None, NOW),
    ],
)
def test_ended_at_decides_the_time_of_a_run(text: object, ended_ms: int) -> None:
    facts = judge({"ended_at": text}, NOW)

    assert (facts.ended_ms, facts.clamped, facts.warnings) == (ended_ms, False, ())


@pytest.mark.parametrize(
    "future",
    [
        "2025-11-20T12:05:00.001Z",
        "9999-12-31T23:59:59-14:00",
        NOW + 300_001,
        10**15 - 1,
        "2026-01-01",
    ],
)
def test_a_future_end_is_taken_as_now_and_warned_about(future: object) -> None:
    facts = judge({"ended_at": future}, NOW)

    assert (facts.ended_ms, facts.clamped) == (NOW, True)
    assert "lies in the future" in facts.warnings[0]


@pytest.mark.parametrize(
    ("payload", "field", "said"),
    [
        ({"input_tokens": "many"}, "input_tokens", "must be a whole number, not 'many'"),
        ({"input_tokens": 1.5}, "input_tokens", "must be a whole number, not 1.5"),
        ({"input_tokens": "1.5"}, "input_tokens", "must be a whole number"),
        ({"input_tokens": True}, "input_tokens", "must be a whole number, not true"),
        ({"input_tokens": [1]}, "input_tokens", "must be a whole number, not a list"),
        ({"input_tokens": {"n": 1}}, "input_tokens", "must be a whole number, not an object"),
        ({"input_tokens": -1}, "input_tokens", "must not be negative"),
        ({"input_tokens": 2**63}, "input_tokens", "must not be beyond 100,000,000,000"),
        ({"input_tokens": 10**400}, "input_tokens", "must not be beyond"),
        ({"input_tokens": "\uff19"}, "input_tokens", "must be a whole number"),
        ({"items_failed": -1}, "items_failed", "must not be negative"),
        ({"cost_usd": "free"}, "cost_usd", "must be a number, not 'free'"),
        ({"cost_usd": -0.01}, "cost_usd", "must not be negative"),
        ({"cost_usd": 10_001}, "cost_usd", "must not be beyond 10,000"),
        ({"cost_usd": "nan"}, "cost_usd", "must be a number, not 'nan'"),
        ({"cost_usd": "1e999"}, "cost_usd", "must be a finite number"),
        ({"cost_usd": 10**400}, "cost_usd", "must not be beyond"),
        ({"duration_ms": False}, "duration_ms", "must be a number, not false"),
        ({"eval_score": "A+"}, "eval_score", "must be a number, not 'A+'"),
        ({"model": {"name": "x"}}, "model", "must be a text, not an object"),
        ({"project": ["x"]}, "project", "must be a text, not a list"),
        ({"status": True}, "status", "must be a text, not true"),
        ({"exit_code": "boom"}, "exit_code", "must be a whole number"),
        ({"primary": "perhaps"}, "primary", "must be true or false, not 'perhaps'"),
        ({"primary": 1}, "primary", "must be true or false, not 1"),
        ({"ended_at": "yesterday"}, "ended_at", "must be an RFC 3339 time"),
        ({"ended_at": "1969-12-31T23:59:59Z"}, "ended_at", "must not lie before 1970"),
        ({"ended_at": "0001-01-01T00:00:00+14:00"}, "ended_at", "must not lie before 1970"),
        ({"ended_at": -5}, "ended_at", "must not lie before 1970"),
        ({"ended_at": 1e300}, "ended_at", "must be an RFC 3339 time"),
        ({"ended_at": "20260101"}, "ended_at", "'20260101' has eight digits: write a date as"),
        ({"ended_at": 20260101}, "ended_at", "20260101 has eight digits: write a date as"),
        ({"ended_at": "20260101.0"}, "ended_at", "has eight digits: write a date as"),
        ({"ended_at": [2025]}, "ended_at", "must be an RFC 3339 time"),
        ({"ended_at": True}, "ended_at", "must be an RFC 3339 time"),
        ({"kind": "refund"}, "kind", "must be one of correction, log, run, skip, start"),
        ({"kind": 5}, "kind", "must be one of"),
        ({"kind": "correction", "revision": 1}, "corrects", "a correction needs it"),
        ({"kind": "correction", "corrects": "k"}, "revision", "a correction needs it"),
        (
            {"kind": "correction", "corrects": "k", "revision": 0},
            "revision",
            "must be from 1 to 1,000,000,000",
        ),
        (
            {"kind": "correction", "corrects": "k", "revision": 10**9 + 1},
            "revision",
            "must be from 1 to 1,000,000,000",
        ),
        ({"kind": "correction", "corrects": 5, "revision": 1}, "corrects", "must be the key"),
        ({"kind": "correction", "corrects": "é", "revision": 1}, "corrects", "must be the key"),
        ({"kind": "correction", "corrects": "k" * 201, "revision": 1}, "corrects", "at most 200"),
    ],
)
def test_a_field_that_cannot_be_booked_is_refused_by_name(
    payload: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        judge(payload, NOW)

    problem = caught.value.problem
    assert problem.status == 422
    assert [error.field for error in problem.errors] == [field]
    assert said in problem.errors[0].message
    assert field in problem.detail


def test_all_refused_fields_are_named_at_once() -> None:
    with pytest.raises(ProblemError) as caught:
        judge({"input_tokens": "x", "cost_usd": -1, "model": [], "custom": "fine"}, NOW)

    named = [error.field for error in caught.value.problem.errors]
    assert named == ["input_tokens", "cost_usd", "model"]


@pytest.mark.parametrize(
    ("value", "count"),
    [("12", 12), (" 12 ", 12), (12.0, 12), ("12.0", 12), ("", 0), (None, 0), (10**11, 10**11)],
)
def test_numbers_in_texts_count(value: object, count: int) -> None:
    assert amounts_of({"input_tokens": value}).input_tokens == count


def test_the_payload_is_stored_as_it_was_sent_even_where_it_was_coerced() -> None:
    payload = {"input_tokens": "12", "error": {"code": 7}, "deep": {"a": [None, 10**30]}}

    assert json.loads(judge(payload, NOW).payload) == payload


def test_a_long_text_is_cut_between_characters_and_warned_about() -> None:
    facts = judge({"project": "é" * 200, "model": "m" * 300}, NOW)

    assert facts.project == "é" * 150
    assert facts.model == "m" * 300
    assert facts.warnings == ("project is longer than 300 bytes and was cut",)


FIELDS = st.sampled_from(
    ["input_tokens", "cost_usd", "duration", "model", "project", "repo", "status", "kind",
     "corrects", "revision", "runs", "primary", "ended_at", "exit_code", "total_tokens", "x"]
)  # fmt: skip
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["correction", "start", "run", "2025-01-01T00:00:00Z", "error", "5", "false"])
    | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(FIELDS, VALUES, max_size=8))
def test_any_payload_is_booked_within_bounds_or_refused(payload: dict[str, Any]) -> None:
    try:
        facts = judge(payload, NOW)
    except ProblemError as error:
        assert error.problem.errors  # noqa: PT017 - either outcome is fine
        return
    assert all(abs(figure) <= 10**13 for figure in facts.amounts.values())
    assert 0 <= facts.ended_ms <= NOW
    assert json.loads(facts.payload) == payload
