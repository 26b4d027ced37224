"""What a ping holds, and its key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.ping import Recorded
from telemhq_agents.ledger.body import capped, compose
from telemhq_agents.ledger.due import (
    Telling,
    after_duplicate,
    base_key,
    correction,
    first_telling,
    free_key,
)
from telemhq_agents.ledger.records import DeviceFacts, Known, Parcel, Told

BORN = 1_795_161_600_000
DEVICE = DeviceFacts("0190-laptop", "salt")
PARCEL = Parcel("claude", "s1", "th1", "t1", "anthropic", "opus", "shop", "my-clone", BORN)
SPENT = Amounts(
    runs=1, responses=2, input_tokens=300, cached_input_tokens=200, output_tokens=20,
    total_tokens=320, cost_nano=1_234_567, duration_ms=1500,
)  # fmt: skip
KNOWN = Known(SPENT, BORN + 61_500, "/home/dev/my-clone", "success", "2.1.328")


def first(known: Known = KNOWN, key: str = "fact:k") -> Telling:
    telling = first_telling(known, key, "home")
    assert telling is not None
    return telling


def body(known: Known = KNOWN, parcel: Parcel = PARCEL) -> dict[str, object]:
    found: dict[str, object] = json.loads(compose(first(known), parcel, known, DEVICE))
    return found


def test_a_key_is_the_digest_of_what_the_log_alone_tells() -> None:
    text = '["claude","s1","th1","t1","anthropic","opus","my-clone",1795161600000]'

    assert base_key(PARCEL) == "fact:" + hashlib.sha256(text.encode()).hexdigest()[:40]
    assert base_key(replace(PARCEL, project="another name here")) == base_key(PARCEL)
    for name in ("source", "session_id", "thread_id", "span", "provider", "model", "log_project"):
        assert base_key(replace(PARCEL, **{name: "other"})) != base_key(PARCEL)  # type: ignore[arg-type]


def test_buckets_that_differ_in_project_alone_are_numbered() -> None:
    assert free_key("fact:a", set()) == "fact:a"
    assert free_key("fact:a", {"fact:a"}) == "fact:a#2"
    assert free_key("fact:a", {"fact:a", "fact:a#2"}) == "fact:a#3"


def test_a_ping_tells_a_bucket() -> None:
    assert body() == {
        "ended_at": "2026-11-20T08:01:01.500Z",
        "provider": "anthropic",
        "model": "opus",
        "project": "shop",
        "source": "claude",
        "session_id": "s1",
        "thread_id": "th1",
        "turn_id": "t1",
        "status": "success",
        "responses": 2,
        "input_tokens": 300,
        "cached_input_tokens": 200,
        "output_tokens": 20,
        "total_tokens": 320,
        "cost_usd": 0.001234567,
        "duration_ms": 1500,
        "agent_version": "2.1.328",
        "device_id": "0190-laptop",
        "cwd_hash": body()["cwd_hash"],
    }
    assert len(str(body()["cwd_hash"])) == 12
    assert "my-clone" not in json.dumps(body())


def test_a_ping_that_only_adds_usage_says_so_and_has_no_status() -> None:
    told = body(replace(KNOWN, amounts=replace(SPENT, runs=0), status=""))

    assert told["primary"] is False
    assert "status" not in told


@pytest.mark.parametrize(
    ("unpriced", "cost", "told"),
    [(0, 5, 5e-9), (320, 0, None), (100, 5, 5e-9), (0, 0, 0)],
)
def test_a_cost_that_nobody_knows_is_not_told_as_nothing(
    unpriced: int, cost: int, told: float | None
) -> None:
    amounts = replace(SPENT, unpriced_tokens=unpriced, cost_nano=cost)

    assert body(replace(KNOWN, amounts=amounts)).get("cost_usd") == told


def test_a_turn_without_usage_tells_no_model_and_no_cost() -> None:
    known = Known(Amounts(runs=1, failures=1), BORN, status="error")

    told = body(known, replace(PARCEL, model="", provider=""))

    assert told["responses"] == 0
    assert told["status"] == "error"
    assert not {"model", "provider", "cost_usd", "input_tokens", "cwd_hash"} & told.keys()


def test_a_window_of_several_runs_tells_one_and_is_corrected_by_the_rest() -> None:
    known = replace(KNOWN, amounts=replace(SPENT, runs=3, failures=2), status="success")
    parcel = replace(PARCEL, span=f"w{BORN}")

    telling = first(known)
    rest = correction(telling.told, known)

    told = json.loads(compose(telling, parcel, known, DEVICE))
    assert told["status"] == "error"
    assert "turn_id" not in told
    assert rest is not None
    assert rest.amounts == Amounts(runs=2, failures=1)


def test_a_correction_tells_signed_differences_and_names_what_it_corrects() -> None:
    told = first().told
    grown = replace(
        KNOWN, amounts=replace(SPENT, output_tokens=50, total_tokens=350, input_tokens=290, runs=0)
    )

    telling = correction(told, grown)

    assert telling is not None
    assert telling.key == "fact:k.r1"
    sent = json.loads(compose(telling, PARCEL, grown, DEVICE))
    assert (sent["kind"], sent["corrects"], sent["revision"]) == ("correction", "fact:k", 1)
    assert (sent["output_tokens"], sent["input_tokens"], sent["total_tokens"], sent["runs"]) == (
        30,
        -10,
        30,
        -1,
    )
    assert not {"responses", "cost_usd", "status", "turn_id", "cached_input_tokens"} & sent.keys()
    assert telling.told.amounts == grown.amounts


def test_a_bucket_that_is_gone_is_taken_back_where_it_was() -> None:
    telling = correction(first().told, None)

    assert telling is not None
    assert telling.amounts == Amounts() - SPENT
    sent = json.loads(compose(telling, PARCEL, None, DEVICE))
    assert sent["ended_at"] == "2026-11-20T08:01:01.500Z"


def test_nothing_new_is_nothing_to_tell() -> None:
    assert correction(first().told, KNOWN) is None
    assert first_telling(replace(KNOWN, amounts=Amounts()), "fact:k", "home") is None


HELD = Recorded(0, 1, 0, 2, 300, 200, 0, 20, 0, 320, 0.001234567, 0, 1500)


def test_our_own_ping_come_back_changes_nothing() -> None:
    told = first().told

    assert after_duplicate(told, HELD, Amounts()) == told
    assert after_duplicate(told, None, Amounts()) == told


def test_where_the_server_holds_more_it_is_only_corrected_upwards() -> None:
    held = after_duplicate(
        first().told, replace(HELD, revision=2, output_tokens=90, total_tokens=390), SPENT
    )

    assert (held.shared, held.revision, held.amounts.output_tokens) == (True, 2, 90)
    assert correction(held, KNOWN) is None
    more = replace(KNOWN, amounts=replace(SPENT, responses=5))
    telling = correction(held, more)
    assert telling is not None
    assert (telling.key, telling.amounts) == ("fact:k.r3", Amounts(responses=3))
    assert telling.told.shared

    everything = replace(KNOWN, amounts=replace(held.amounts, responses=9))
    telling = correction(held, everything)
    assert telling is not None
    assert not telling.told.shared


def test_where_this_ledger_knows_all_that_the_server_holds_it_may_take_back() -> None:
    held = after_duplicate(
        first().told, replace(HELD, revision=1, output_tokens=5, total_tokens=305), SPENT
    )

    assert not held.shared
    assert correction(replace(held, amounts=SPENT), None) is not None


# The smallest plan takes 1,024 bytes.

TEXT = st.text(max_size=400)
FIGURES = st.integers(0, 10**12)


@given(
    texts=st.tuples(*[TEXT] * 8),
    amounts=st.builds(Amounts, **dict.fromkeys(AMOUNT_FIELDS, FIGURES)),
    told=st.builds(Amounts, **dict.fromkeys(AMOUNT_FIELDS, FIGURES)),
    revision=st.integers(0, 10**6),
)
def test_no_ping_is_longer_than_the_smallest_plan_takes(
    texts: tuple[str, ...], amounts: Amounts, told: Amounts, revision: int
) -> None:
    session, thread, span, provider, model, project, cwd, version = texts
    parcel = Parcel("claude", session, thread, span, provider, model, project, "log", BORN)
    known = Known(amounts, BORN, cwd, "interrupted", version)
    key = base_key(parcel) + "#12"
    tellings = [
        first_telling(known, key, "home"),
        correction(Told(key, "home", told, revision), known),
    ]

    sent = [compose(telling, parcel, known, DEVICE) for telling in tellings if telling is not None]

    assert all(len(one) <= 1024 for one in sent)
    buckets = {
        tuple(json.loads(one).get(name) for name in ("project", "model", "session_id", "thread_id"))
        for one in sent
    }
    assert len(buckets) <= 1, "a correction lands in the bucket of what it corrects"
    for telling, one in zip((telling for telling in tellings if telling), sent, strict=True):
        payload = json.loads(one)
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "total_tokens"):
            assert payload.get(name, 0) == getattr(telling.amounts, name)


@given(st.text(max_size=300), st.text(max_size=300))
def test_what_is_cut_stays_told_apart(one: str, other: str) -> None:
    cut, other_cut = capped(one, 80), capped(other, 80)

    assert len(json.dumps(cut, ensure_ascii=False).encode("utf-8", "replace")) <= 82
    assert (cut == other_cut) == (one == other)


def test_a_time_before_all_clocks_is_told_as_their_first_one() -> None:
    known = replace(KNOWN, last_ms=-62_135_596_800_001)

    assert body(known)["ended_at"] == "1970-01-01T00:00:00.000Z"
