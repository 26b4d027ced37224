"""Damaged transcripts: no exception, no hang, and every line that is whole is booked right.

`TELEMHQ_FUZZ_EXAMPLES` sets how many are tried; without it, as many as fit between other tests.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_code_hooks.decode import BadLineError, Line, decode, last_write
from claude_code_hooks.fold import TranscriptFold
from claude_code_hooks.read import read
from claude_code_hooks.state import FoldState
from claude_code_hooks.transcript import Transcript
from telemhq_agents import tail
from telemhq_agents.usage import MOST_TOKENS, Place, UsageFact

if TYPE_CHECKING:
    import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "claude_code"
EXAMPLES = int(os.environ.get("TELEMHQ_FUZZ_EXAMPLES", "150"))
FUZZ = settings(deadline=5000, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
NASTY = st.sampled_from(
    [
        *[b"\x00", b"\xff\xfe", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e999"],
        *[b"-1", b"9" * 40, b"NaN", b"\\ud83d", b'{"parentUuid":', b'{"type":', b'"usage":{'],
        *[b'"message":{', b'"type":"assistant"', b'"type":"user"', b'"id":"msg_1"', b"\r", b" "],
    ]
)


class Nowhere:
    def place(self, cwd: str, repository: str = "") -> Place:
        return Place(cwd, repository, repository)


@cache
def real_lines() -> list[bytes]:
    """One line of every kind and length that real transcripts hold."""
    found: dict[tuple[Any, ...], bytes] = {}
    for path in sorted(FIXTURES.rglob("*.jsonl")):
        for data in path.read_bytes().splitlines():
            plain = json.loads(data)
            kind = (plain.get("type"), plain.get("subtype"), tuple(plain), len(data) // 4000)
            found.setdefault(kind, data)
    return [data for data in found.values() if len(data) < 20_000]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real line with bytes changed, cut out, put in, or another line spliced into it."""
    data = draw(st.sampled_from(real_lines()))
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        at = draw(st.integers(min_value=0, max_value=len(data)))
        to = draw(st.integers(min_value=at, max_value=min(len(data), at + 200)))
        other = draw(st.sampled_from(real_lines()))
        filling = st.one_of(NASTY, st.binary(max_size=8), st.just(b""), st.just(other))
        data = data[:at] + draw(filling) + data[to:]
    return data.replace(b"\n", b" ")


GARBAGE = st.one_of(damaged(), st.binary(max_size=400).map(lambda data: data.replace(b"\n", b"")))


def new_fold() -> TranscriptFold:
    return TranscriptFold(FoldState(), Nowhere(), "s1", 5)


def assert_sound(fact: UsageFact) -> None:
    counters = [getattr(fact, name) for name in COUNTERS]
    assert all(isinstance(count, int) and 0 <= count <= 4 * MOST_TOKENS for count in counters)
    assert fact.cached_input_tokens + fact.cache_write_tokens <= fact.input_tokens
    assert fact.cache_write_1h_tokens <= fact.cache_write_tokens
    texts = (fact.key, fact.session_id, fact.turn_key, fact.model, fact.place.cwd)
    assert all(text.encode() is not None for text in texts)
    assert fact.key
    assert fact.at_ms > 0


@given(data=GARBAGE)
@FUZZ
def test_any_line_is_read_or_bad_and_what_is_booked_of_it_is_sound(data: bytes) -> None:
    fold = new_fold()
    try:
        line = decode(data)
        fold.take(line)
    except BadLineError:
        line = None
    fold.rest()

    facts, _, _ = fold.drain()

    assert line is None or isinstance(line, Line)
    for fact in facts:
        assert_sound(fact)


@given(data=GARBAGE, whole=st.sampled_from(range(40)))
@FUZZ
def test_what_a_later_writer_left_behind_any_torn_line_is_found(data: bytes, whole: int) -> None:
    lines = [line for line in real_lines() if line.startswith((b'{"parentUuid":', b'{"type":'))]
    last = lines[whole % len(lines)]
    torn = b'{"parentUuid":"x","type":"assistant","message":{"id":"' + data.replace(b'"', b"")

    assert last_write(torn + last) == last


@given(
    garbage=st.lists(GARBAGE, max_size=6),
    order=st.randoms(use_true_random=False),
    replies=st.integers(min_value=1, max_value=4),
)
@FUZZ
def test_good_lines_among_damaged_ones_are_booked_right(
    garbage: list[bytes],
    order: Any,
    replies: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    good = [reply(number) for number in range(replies)]
    lines = [*good, *garbage]
    order.shuffle(lines)
    path = tmp_path_factory.mktemp("fuzz") / "s1.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))

    parts = list(read(Transcript(path, "s1"), tail.identify(path), None, Nowhere(), 0))

    facts = {fact.key: fact for part in parts for fact in part.facts}
    assert sum(part.lines for part in parts) == len(lines)
    assert sum(part.bad_lines for part in parts) <= 8 * len(garbage)
    for number in range(replies):
        fact = facts[f"claude:msg_good_{number}"]
        assert (fact.input_tokens, fact.output_tokens) == (7 + number, 11 + number)
    for fact in facts.values():
        assert_sound(fact)


def reply(number: int) -> bytes:
    usage = {"input_tokens": 7 + number, "output_tokens": 11 + number}
    message = {"id": f"msg_good_{number}", "model": "m", "stop_reason": "end_turn", "usage": usage}
    line = {"type": "assistant", "uuid": f"u{number}", "sessionId": "s1", "message": message}
    return json.dumps({"timestamp": "2026-11-01T10:00:00.000Z", **line}).encode()
