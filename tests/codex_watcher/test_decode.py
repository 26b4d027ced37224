from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_watcher.decode import (
    Event,
    SessionMeta,
    Skipped,
    TaskStarted,
    TokenCount,
    TokenInfo,
    Tokens,
    TurnContext,
    UsageRecord,
    decode,
    moment,
)

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "codex"
LINES = sorted(
    {line for log in FIXTURES.rglob("*.jsonl") for line in log.read_bytes().split(b"\n")}
)
AT = '"timestamp":"2026-11-20T07:35:28.753Z"'
AT_MS = 1_795_160_128_753


USAGE = (
    '{"input_tokens":1933,"cached_input_tokens":896,"cache_write_input_tokens":5,'
    '"output_tokens":54,"reasoning_output_tokens":11,"total_tokens":1987}'
)
COUNT = '{"total_token_usage":{"input_tokens":9,"output_tokens":2},"last_token_usage":%s}'
NEGATIVE, HUGE = '{"input_tokens":-1}', '{"input_tokens":36893488147419103232}'
TOO_MANY = '{"input_tokens":1099511627777}'


def timed(text: str) -> bytes:
    return text.replace("AT", AT).encode()


def record(usage: str, rest: str = "") -> bytes:
    return timed('{AT,"type":"token_usage_record","payload":{"usage":' + usage + rest + "}}")


def test_a_usage_record_tells_thread_turn_response_and_tokens() -> None:
    line = record(USAGE, ',"thread_id":"t","turn_id":"u","session_id":"s","response_id":"resp_1"')

    assert decode(line) == Event(
        AT_MS, UsageRecord(Tokens(1933, 896, 5, 54, 11), "t", "u", "resp_1")
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{AT,"type":"event_msg","payload":{"type":"token_count","info":null,"rate_limits":{}}}',
            TokenCount(None),
        ),
        (
            '{AT,"type":"event_msg","payload":{"type":"token_count","info":'
            + COUNT % '{"input_tokens":4}'
            + "}}",
            TokenCount(TokenInfo(Tokens(9, output_tokens=2), Tokens(4))),
        ),
        (
            '{AT,"type":"event_msg","payload":{"turn_id":"u","type":"task_started"}}',
            TaskStarted("u"),
        ),
        ('{AT,"payload":{"model":"m"},"type":"turn_context"}', TurnContext(None, "m", None)),
        (
            '{AT,"type":"session_meta","payload":{"id":"t","source":{"subagent":"review"}},"x":1}',
            SessionMeta("t", source={"subagent": "review"}),
        ),
    ],
)
def test_what_matters_is_decoded_in_any_order_of_keys(line: str, said: object) -> None:
    assert decode(timed(line)) == Event(AT_MS, said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        '{AT,"type":"response_item","payload":{"type":"message","role":"user","content":[]}}',
        '{AT,"type":"event_msg","payload":{"type":"item_completed","item":{"type":"UserMessage"}}}',
        '{AT,"type":"compacted","payload":{"latest_token_usage_record":{"response_id":"resp_1"}}}',
        '{AT,"type":"something_new","payload":[1,2]}',
        '{"type":"message","role":"user","content":[]}',
        '{"record_type":"state"}',
        "",
        "  ",
    ],
)
def test_what_does_not_matter_is_passed_over(line: str) -> None:
    assert decode(timed(line)) is Skipped.OTHER


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"12",
        b"\x00\x00\x00",
        b'{"timestamp":"2026-11-20T07:35:28.753Z","type":"token_usa',
        b'{"timestamp":"2026-11-20T07:35:28Z","type":"turn_context","payload":{"model":7}}',
        record(NEGATIVE),
        record(HUGE),
        record(TOO_MANY),
        b'{"timestamp":"2026-11-20T07:35:28Z","type":"turn_context","payload":{"model":"\xff"}}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_understood_is_called_bad(line: bytes) -> None:
    assert decode(line) is Skipped.BAD


@pytest.mark.parametrize(
    "when",
    ["not a time", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59Z", "1999-12-31T23:59:59Z"],
)
def test_a_line_with_an_absurd_time_says_what_it_says_at_no_time(when: str) -> None:
    line = b'{"timestamp":"%s","type":"turn_context","payload":{"model":"m"}}' % when.encode()

    assert decode(line) == Event(0, TurnContext(None, "m"))
    assert moment(line) is None


@pytest.mark.parametrize(
    ("when", "at_ms"),
    [
        ("2000-01-01T00:00:00Z", 946_684_800_000),
        ("2199-12-31T23:59:59.999Z", 7_258_118_399_999),
    ],
)
def test_the_first_and_the_last_time_that_a_log_may_tell(when: str, at_ms: int) -> None:
    line = b'{"timestamp":"%s","type":"turn_context","payload":{}}' % when.encode()

    assert decode(line) == Event(at_ms, TurnContext())


@pytest.mark.parametrize(
    "half",
    [
        b'{"timestamp":"2026-11-20T07:35:27.000Z","type":"response_item","payload":{"type":"mess',
        b'{"timestamp":"2026-11-20T07:35:27.000Z","ty',
        b"\x00" * 64,
    ],
)
def test_a_line_written_after_half_a_line_is_not_lost(half: bytes) -> None:
    whole = timed('{AT,"type":"turn_context","payload":{"turn_id":"u","model":"m"}}')

    assert decode(half + whole) == Event(AT_MS, TurnContext("u", "m"))


def test_a_quoted_log_line_inside_a_text_is_text() -> None:
    quoted = json.dumps({"timestamp": "x", "type": "turn_context", "payload": {}})
    line = json.dumps(
        {
            "timestamp": "2026-11-20T07:35:28.753Z",
            "type": "response_item",
            "payload": {"type": "message", "content": quoted},
        },
        separators=(",", ":"),
    )

    assert decode(line.encode()) is Skipped.OTHER


def test_no_line_of_the_real_logs_is_bad() -> None:
    assert Skipped.BAD not in [decode(line) for line in LINES]


def test_passing_over_by_the_first_bytes_loses_nothing_that_a_full_parse_finds() -> None:
    found = 0
    for line in LINES:
        if not line:
            continue
        respelled = json.dumps(json.loads(line), sort_keys=True).encode()
        assert decode(line) == decode(respelled)
        found += isinstance(decode(line), Event)
    assert found > 1000


@pytest.mark.parametrize(
    ("line", "at_ms"),
    [
        (timed('{AT,"type":"response_item","payload":{}}'), AT_MS),
        (timed('{"type":"response_item",AT}'), AT_MS),
        (b'{"type":"response_item"}', None),
        (b"\xff", None),
    ],
)
def test_a_line_of_any_kind_tells_when_it_was_written(line: bytes, at_ms: int | None) -> None:
    assert moment(line) == at_ms


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_decoding_fail(data: bytes) -> None:
    assert isinstance(decode(data), Event | Skipped)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LINES), st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=8))
def test_no_damage_to_a_real_line_makes_decoding_fail(
    line: bytes, at: int, length: int, instead: bytes
) -> None:
    at %= len(line) + 1

    assert isinstance(decode(line[:at] + instead + line[at + length :]), Event | Skipped)
