"""Damaged rollouts: no exception, no hang, and every line that is whole is booked right.

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

from codex_watcher.decode import Event, Skipped, decode
from codex_watcher.explain import explain
from codex_watcher.fold import ThreadFold
from codex_watcher.scan import scan
from codex_watcher.sift import sift
from codex_watcher.state import FoldState
from telemhq_agents.usage import MOST_TOKENS, UsageFact
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

if TYPE_CHECKING:
    import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "codex"
EXAMPLES = int(os.environ.get("TELEMHQ_FUZZ_EXAMPLES", "150"))
FUZZ = settings(
    deadline=5000,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
NASTY = st.sampled_from(
    [
        *[b"\x00", b"\xff\xfe", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e999"],
        *[b"-1", b"9" * 40, b"NaN", b"\\ud83d", b'{"timestamp":"', b'"type":"', b'"info":null'],
        *[b'"ordinal":', b'"payload":{', b'"type":"event_msg"', b'"total_token_usage":{', b"\r"],
    ]
)
GOOD = [
    {"type": "turn_context", "payload": {"turn_id": "good", "model": "gpt-5"}},
    *(
        {
            "type": "token_usage_record",
            "payload": {
                "response_id": f"resp_good_{number}",
                "turn_id": "good",
                "usage": {"input_tokens": 1000 + number, "output_tokens": number},
            },
        }
        for number in range(3)
    ),
]
BOOKED = {f"codex:resp_good_{number}": 1000 + number for number in range(3)}
"""Whole lines, and what they must be booked as whatever stands between them."""


@cache
def real_lines() -> list[bytes]:
    """One line of every kind and length that real rollouts hold, but for the first.

    A further first line names a parent, and rightly makes a copy of what stands before its turns.
    """
    found: dict[tuple[Any, ...], bytes] = {}
    for path in sorted(FIXTURES.rglob("rollout-*.jsonl")):
        for data in path.read_bytes().splitlines():
            plain = json.loads(data)
            kind = (plain["type"], plain["payload"].get("type"), tuple(plain), len(data) // 4000)
            found.setdefault(kind, data)
    return [
        data for kind, data in found.items() if len(data) < 20_000 and kind[0] != "session_meta"
    ]


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


def good_line(number: int) -> bytes:
    return json.dumps({"timestamp": "2026-11-20T07:35:28.753Z", **GOOD[number]}).encode()


def is_plausible(fact: UsageFact) -> bool:
    figures = [getattr(fact, name) for name in COUNTERS]
    whole, cached, written, output, reasoning = figures
    fits = cached + written <= whole and reasoning <= output
    return fits and all(0 <= figure <= MOST_TOKENS for figure in figures) and fact.at_ms > 0


@FUZZ
@given(st.lists(GARBAGE, max_size=12))
def test_no_garbage_makes_decoding_or_folding_fail(lines: list[bytes]) -> None:
    fold = ThreadFold(FoldState("a thread"), FolderNamer(), 1_795_160_232_217)
    block = b"".join(line + b"\n" for line in lines)

    for line in lines:
        event = decode(line)
        assert isinstance(event, Event | Skipped)
        if isinstance(event, Event):
            fold.take(event)
    fold.rest()

    assert sift(block, len(block)).lines == len(lines)
    assert all(is_plausible(fact) for fact in fold.facts)


@FUZZ
@given(garbage=st.lists(GARBAGE, min_size=1, max_size=10), seed=st.integers(0, 2**32))
def test_whole_lines_between_garbage_are_booked_as_ever(
    garbage: list[bytes], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [good_line(number) for number in range(len(GOOD))]
    for number, line in enumerate(garbage):
        lines.insert((seed >> (2 * number)) % (len(lines) + 1), line)
    home, ledger = tmp_path_factory.mktemp("fuzz"), InMemoryLedger()
    path = home / "sessions" / "rollout-fuzz.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(line + b"\n" for line in lines))

    report = scan(ledger, home, FolderNamer(), now_ms=1_900_000_000_000)
    told = list(explain("rollout-fuzz", home))

    assert (report.problems, report.lines) == ([], len(lines))
    assert all(is_plausible(fact) for fact in ledger.facts.values())
    assert {name: ledger.facts[name].input_tokens for name in BOOKED} == BOOKED
    assert all(0 < line.line <= len(lines) for line in told)


@FUZZ
@given(noise=st.lists(st.binary(max_size=400), max_size=8), at=st.integers(0, 9))
def test_noise_that_no_writer_of_codex_left_changes_no_booking(
    noise: list[bytes], at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [good_line(number) for number in range(len(GOOD))]
    place = at % (len(lines) + 1)
    home, ledger = tmp_path_factory.mktemp("noise"), InMemoryLedger()
    path = home / "sessions" / "rollout-fuzz.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(line + b"\n" for line in [*lines[:place], *noise, *lines[place:]]))

    scan(ledger, home, FolderNamer(), now_ms=1_900_000_000_000)

    assert {fact.key: fact.input_tokens for fact in ledger.facts.values()} == BOOKED
