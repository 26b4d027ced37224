from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.contract.ping import Recorded
from telemhq_agents.delivery.outcome import (
    Attempt,
    Delivered,
    Duplicate,
    NoReply,
    Outcome,
    Park,
    Reply,
    RetryAt,
    Uncertain,
    back_off_ms,
    judge,
    retry_after_ms,
    words_of,
)

NOW = 1_795_161_600_000  # Fri, 20 Nov 2026 08:00:00 GMT
RECEIPT = b'{"id":"1","received_at":"2026-11-20T08:00:00.000Z"}'
HELD = {
    "revision": 2, "runs": 1, "failures": 0, "responses": 3, "input_tokens": 30,
    "cached_input_tokens": 0, "cache_write_tokens": 0, "output_tokens": 7, "reasoning_tokens": 0,
    "total_tokens": 37, "cost_usd": 0.25, "unpriced_tokens": 0, "duration_ms": 900,
}  # fmt: skip


def after(answer: Reply | NoReply, *, idempotent: bool = True, attempts: int = 0) -> Outcome:
    return judge(answer, Attempt(NOW, attempts, idempotent, lambda: 1.0))


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_with_a_receipt_is_the_servers_word(status: int) -> None:
    assert after(Reply(status, {}, RECEIPT)) == Delivered()


def test_a_duplicate_brings_what_the_server_holds() -> None:
    body = json.dumps({"id": "1", "received_at": "", "duplicate": True, "recorded": HELD})

    assert after(Reply(200, {}, body.encode())) == Duplicate(msgspec.convert(HELD, Recorded))


def test_a_replayed_answer_is_a_duplicate_even_without_its_sums() -> None:
    assert after(Reply(200, {"idempotency-replayed": "true"}, RECEIPT)) == Duplicate(None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in to the hotel's network</html>",
        b"",
        b"[]",
        b'{"ok":false,"id":"","received_at":""}',
    ],
)
def test_a_2xx_that_is_no_receipt_is_nobodys_word(body: bytes) -> None:
    outcome = after(Reply(200, {}, body))

    assert isinstance(outcome, RetryAt)
    assert outcome.whole


@pytest.mark.parametrize("status", [402, 408, 425, 429, 503])
def test_a_server_that_took_nothing_is_asked_again_and_left_in_peace_till_then(status: int) -> None:
    assert after(Reply(status), idempotent=False) == RetryAt(
        NOW + 1000, f"{status}: without a word", whole=True
    )


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_of_the_server_is_retried_without_holding_up_other_pings(status: int) -> None:
    outcome = after(Reply(status))

    assert isinstance(outcome, RetryAt)
    assert not outcome.whole
    assert isinstance(after(Reply(status), idempotent=False), Uncertain)


@pytest.mark.parametrize(
    ("status", "whole"),
    [
        (400, False),
        (413, False),
        (415, False),
        (422, False),
        (401, True),
        (403, True),
        (404, True),
        (410, True),
        (308, True),
    ],
)
def test_a_refusal_is_parked_with_the_problems_words(status: int, whole: bool) -> None:
    problem = {
        "title": "Some fields are wrong",
        "detail": "runs: must\nnot be",
        "next": "leave it out",
    }

    outcome = after(Reply(status, {}, json.dumps(problem).encode()))

    assert outcome == Park(
        f"{status}: Some fields are wrong; runs: must not be; leave it out", whole
    )


def test_no_answer_is_a_retry_where_a_key_protects_the_ping() -> None:
    assert isinstance(after(NoReply("timed out", sent=True)), RetryAt)


def test_no_answer_is_uncertain_where_none_does_unless_nothing_was_sent() -> None:
    assert isinstance(after(NoReply("timed out", sent=True), idempotent=False), Uncertain)
    assert isinstance(after(NoReply("refused", sent=False), idempotent=False), RetryAt)


def test_a_foreign_servers_2xx_is_its_word_whatever_it_says_but_a_page_is_not() -> None:
    assert after(Reply(200, {}, b"OK"), idempotent=False) == Delivered()
    assert isinstance(after(Reply(200, {}, b" <!doctype html>"), idempotent=False), Uncertain)


@pytest.mark.parametrize(
    ("text", "waited_ms"),
    [
        ("120", 120_000),
        (" 7 ", 7_000),
        ("0", 0),
        ("Fri, 20 Nov 2026 08:02:00 GMT", 120_000),
        ("Friday, 20-Nov-26 08:02:00 GMT", 120_000),
        ("Fri, 20 Nov 2026 07:00:00 GMT", 0),
        ("999999999999999999", 86_400_000),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("²", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, waited_ms: int) -> None:
    assert retry_after_ms(text, NOW) == waited_ms


def test_retry_after_is_honoured_where_it_asks_for_more_than_the_back_off() -> None:
    outcome = after(Reply(429, {"retry-after": "60"}))

    assert outcome == RetryAt(NOW + 60_000, "429: without a word", whole=True)


@pytest.mark.parametrize(
    ("attempts", "longest_ms"),
    [(0, 1_000), (1, 2_000), (5, 32_000), (8, 256_000), (9, 300_000), (10_000, 300_000)],
)
def test_the_wait_doubles_up_to_five_minutes(attempts: int, longest_ms: int) -> None:
    assert back_off_ms(attempts, lambda: 1.0) == longest_ms


@given(attempts=st.integers(0, 50), luck=st.floats(0, 1))
def test_the_wait_is_anything_between_nothing_and_its_longest(attempts: int, luck: float) -> None:
    assert 0 <= back_off_ms(attempts, lambda: luck) <= back_off_ms(attempts, lambda: 1.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "without a word"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"x":1}', "without a word"),
        (b"a\n\n b" + b"c" * 999, "a b" + "c" * 295),
    ],
)
def test_words_are_one_short_line(body: bytes, words: str) -> None:
    assert words_of(Reply(500, {}, body)) == words
