"""What a field's name says, which fields are found, and values down-sampled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.dot_path import find
from server_stub.domain.down_sampling import bounds, sampled
from server_stub.domain.numeric_field import found_fields, meaning_of
from telemhq_agents.contract.series import Choice, FieldKind

MEANINGS = {
    "input_tokens": (FieldKind.TOKENS, "tokens", True),
    "usage.cached_input_tokens": (FieldKind.TOKENS, "tokens", True),
    "usage.totalTokens": (FieldKind.TOKENS, "tokens", True),
    "tokens_in": (FieldKind.TOKENS, "tokens", True),
    "cost_usd": (FieldKind.COST, "USD", True),
    "cost": (FieldKind.COST, "", True),
    "price_eur": (FieldKind.COST, "EUR", True),
    "latency_ms": (FieldKind.DURATION, "ms", True),
    "latencyMs": (FieldKind.DURATION, "ms", True),
    "duration": (FieldKind.DURATION, "ms", True),
    "wait_s": (FieldKind.DURATION, "s", True),
    "uptime-seconds": (FieldKind.DURATION, "s", True),
    "eval_score": (FieldKind.SCORE, "", True),
    "items_processed": (FieldKind.COUNT, "", True),
    "items_failed": (FieldKind.COUNT, "", True),
    "records_processed": (FieldKind.COUNT, "", True),
    "errors": (FieldKind.COUNT, "", False),
    "retry_count": (FieldKind.COUNT, "", False),
    "num_pages": (FieldKind.COUNT, "", False),
    "memory_mb": (FieldKind.BYTES, "MB", False),
    "size_bytes": (FieldKind.BYTES, "B", False),
    "cpu_percent": (FieldKind.RATIO, "%", False),
    "hit_rate": (FieldKind.RATIO, "", False),
    "temperature": (FieldKind.NUMBER, "", False),
    "s": (FieldKind.NUMBER, "", False),
    "exit_code": (FieldKind.NUMBER, "", False),
}


@pytest.mark.parametrize(("path", "meaning"), MEANINGS.items())
def test_a_name_says_what_it_measures(path: str, meaning: tuple[FieldKind, str, bool]) -> None:
    found = meaning_of(path)

    assert (found.kind, found.unit, found.recommended) == meaning


def test_fields_are_found_in_nested_objects_the_charted_ones_first() -> None:
    payloads = [
        {"cost_usd": 0.5, "temperature": 1, "usage": {"input_tokens": 7, "a.b": 3}},
        {"cost_usd": 0.25, "ok": True, "items": [1, 2], "status": "success"},
        {"temperature": 2, "usage": {"input_tokens": "12"}},
    ]

    found = found_fields(payloads, {})

    assert [(one.path, one.runs, one.last, one.place, one.charted) for one in found] == [
        ("cost_usd", 2, 0.5, 0, True),
        ("usage.input_tokens", 2, 7, 0, True),
        ("temperature", 2, 1, 0, False),
        (r"usage.a\.b", 1, 3, 0, False),
    ]
    assert [find(one.path, payloads[0]) for one in found] == [0.5, 7, 1, 3]


def test_a_text_counts_only_where_the_name_says_what_it_measures() -> None:
    found = found_fields([{"cost_usd": "0.5", "branch": "2026", "tokens": "many"}], {})

    assert [(one.path, one.last) for one in found] == [("cost_usd", 0.5)]


def test_ids_times_and_what_is_no_finite_number_are_no_fields() -> None:
    payload = {
        "run_id": 12,
        "startedAt": 1_700_000_000,
        "timestamp": 1,
        "revision": 2,
        "cost_usd": "1e999",
        "flag": True,
        "nothing": None,
    }

    assert found_fields([payload], {}) == []


def test_a_choice_moves_a_field_also_one_that_no_run_has() -> None:
    choices = {"temperature": Choice.PINNED, "cost_usd": Choice.HIDDEN, "gone": Choice.PINNED}

    found = found_fields([{"cost_usd": 1, "temperature": 2, "latency_ms": 3}], choices)

    assert [(one.path, one.charted, one.runs) for one in found] == [
        ("temperature", True, 1),
        ("gone", True, 0),
        ("latency_ms", True, 1),
        ("cost_usd", False, 1),
    ]


def test_down_sampling_keeps_extremes_and_leaves_gaps_out() -> None:
    values = [1, None, 5, None, None, None, 2, 10]

    few = sampled(values, bounds(len(values), 3))

    assert bounds(len(values), 3) == [(0, 2), (2, 5), (5, 8)]
    assert (few.least, few.most) == ([1, 5, 2], [1, 5, 10])
    assert (few.averages, few.counts) == ([1, 5, 6], [1, 1, 2])
    assert sampled([None, None], [(0, 2)]).averages == [None]
    assert bounds(0, 5) == []
    # Their sum is no float any more, their average is.
    assert sampled([10**308, 10**308, 5e307], [(0, 3)]).averages == [
        pytest.approx(2.5e307 / 3 * 10)
    ]


@given(
    st.lists(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(1, 50),
)
def test_however_few_the_points_no_run_is_lost(
    values: list[int | float | None], width: int
) -> None:
    slices = bounds(len(values), width)

    few = sampled(values, slices)

    there = [value for value in values if value is not None]
    assert len(slices) == min(len(values), width)
    assert [place for start, end in slices for place in range(start, end)] == [*range(len(values))]
    assert sum(few.counts) == len(there)
    assert min((one for one in few.least if one is not None), default=None) == min(
        there, default=None
    )
    assert max((one for one in few.most if one is not None), default=None) == max(
        there, default=None
    )
    for low, average, high in zip(few.least, few.averages, few.most, strict=True):
        if low is not None and average is not None and high is not None:
            assert low <= average <= high
