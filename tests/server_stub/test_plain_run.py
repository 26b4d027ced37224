from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server_stub.domain.payload import FieldError, judge
from server_stub.domain.plain_run import plain_run
from server_stub.domain.problem import ProblemError
from telemhq_agents.contract.ping import COUNT_FIELDS, NUMBER_FIELDS

NOON = 1_763_640_000_000  # 2025-11-20T12:00:00Z
USUAL = {
    "provider": "openai",
    "model": "gpt-5",
    "project": "shop",
    "source": "codex",
    "session_id": "s1",
    "thread_id": "t1",
    "status": "success",
    "input_tokens": 1200,
    "cached_input_tokens": 512,
    "output_tokens": 300,
    "cost_usd": 0.0123,
    "duration_ms": 1500,
    "ended_at": "2025-11-20T11:59:58.753Z",
    "cwd_hash": "0123456789ab",
}


def test_what_collectors_send_is_plain() -> None:
    facts = plain_run(USUAL, NOON, "k")

    assert facts is not None
    assert (facts.ended_ms, facts.pair_key) == (NOON - 1247, "k")
    assert (facts.amounts.total_tokens, facts.amounts.cost_nano) == (1500, 12_300_000)


FIELDS = (
    *("kind", "provider", "model", "project", "repo", "status", "source", "session_id"),
    *("thread_id", *COUNT_FIELDS, *NUMBER_FIELDS, "exit_code", "primary", "ended_at"),
    *("runs", "failures", "corrects", "revision", "note"),
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", " ", "run", "start", "skip", "log", "correction", "Started", "error", "FAILED"),
            *("success", " padded", "true", "no", "0", "12", "1.5", "-3", "20260101", "1763639000"),
            *("2025-11-20T11:59:58Z", "2025-11-20", "2025-11-20T11:00:00+05:30", "x" * 76),
            *("2025-11-20T13:00:00Z", "1969-12-31T23:59:59Z", "1e5", "é" * 75, "x" * 301),
            *("2025-W47-4T11:59:58Z", "20251120T115958.123Z", "2025-11-20T11:59:58.1Z "),
        ]
    ),
    st.text(max_size=8),
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([10**4, 10**4 + 1, 10**11, 10**11 + 1, 10**15, 10**16, 2**70, 1763639000000]),
    st.floats(-1, 2, width=32),
    st.sampled_from([1.0, 2.5, 0.5, 1e16, 10000.5]),
)
VALUES = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.just([1]), st.just({"a": 1}))


@settings(max_examples=400, deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5),
    dropped=st.sets(st.sampled_from(sorted(USUAL)), max_size=3),
)
def test_a_plain_run_is_judged_as_any_other(changes: dict[str, Any], dropped: set[str]) -> None:
    payload = {name: value for name, value in USUAL.items() if name not in dropped} | changes

    facts = plain_run(payload, NOON, "k")

    if facts is not None:
        assert facts == judge(payload, NOON, key="k")


@pytest.mark.parametrize(
    ("field", "value"), [(name, 7) for name in (*COUNT_FIELDS, *NUMBER_FIELDS)]
)
def test_each_figure_is_judged_as_any_other(field: str, value: int) -> None:
    payload = {"project": "p", field: value}

    facts = plain_run(payload, NOON, "")

    assert facts == judge(payload, NOON)


@pytest.mark.parametrize("field", [*COUNT_FIELDS, *NUMBER_FIELDS])
@pytest.mark.parametrize("value", [-1, 10**17, "x", True, [1]])
def test_what_is_refused_is_not_plain(field: str, value: object) -> None:
    payload = {"project": "p", field: value}

    assert plain_run(payload, NOON, "") is None
    with pytest.raises((ProblemError, FieldError)):
        judge(payload, NOON)
