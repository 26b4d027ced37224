from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_watcher.decode import Event, Skipped, TokenCount, decode
from codex_watcher.sift import Sifted, sift

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "codex"
LOGS = sorted(FIXTURES.rglob("rollout-*.jsonl"))
LINES = [line for log in LOGS[::4] for line in log.read_bytes().splitlines()]
COUNT = (
    '{"timestamp":"2026-11-20T07:35:28.753Z","type":"event_msg","payload":{"type":"token_count",'
    '"info":{"total_token_usage":{"input_tokens":5},"last_token_usage":{"input_tokens":5}}}}'
)
ITEM = (
    '{"timestamp":"2026-11-20T07:35:28.753Z","type":"response_item","payload":{"type":"message"}}'
)


def sifted(block: bytes) -> Sifted:
    return sift(block, block.rfind(b"\n") + 1)


def one_by_one(block: bytes) -> Sifted:
    said = [decode(line) for line in block.split(b"\n")[:-1]]
    events = [event for event in said if isinstance(event, Event)]
    return Sifted(events, len(said), said.count(Skipped.BAD))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.parents[4].name}-{log.stem[-8:]}")
def test_a_real_log_holds_the_same_events_as_line_by_line(log: Path) -> None:
    content = log.read_bytes()

    assert sifted(content) == one_by_one(content)
    assert sifted(content).events


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("as Codex writes it", COUNT),
        ("with an ordinal", COUNT.replace('"type"', '"ordinal":18446744073709551615,"type"', 1)),
        ("the ordinal first", '{"ordinal":7,' + COUNT[1:]),
        ("the type first", '{"type":"event_msg",' + COUNT[1:].replace('"type":"event_msg",', "")),
        ("something between", COUNT.replace('"payload"', '"metadata":{},"payload"', 1)),
        (
            "a name between",
            COUNT.replace('"payload"', '"turn":{"type":"response_item"},"payload"', 1),
        ),
        ("blanks", COUNT.replace('":', '": ').replace(",", ", ")),
        ("a shorter time", COUNT.replace(".753Z", "Z")),
        ("a longer time", COUNT.replace(".753Z", ".753123+00:00")),
        ("an escape in its name", COUNT.replace("token_count", "token\\u005fcount")),
        ("glued to half a line", ITEM[:60] + COUNT),
        ("glued to half a beginning", ITEM[:9] + COUNT),
        ("glued to a whole line", ITEM + COUNT),
        ("a bare one in front", '{"timestamp":"x"}\n' + COUNT),
        ("zeros in front", "\0" * 40 + COUNT),
    ],
)
def test_a_count_is_found_in_whatever_form_it_comes(form: str, line: str) -> None:
    alone = sifted(f"{line}\n".encode())
    among = sifted(f"{ITEM}\n{ITEM}\n{line}\n{ITEM}\n".encode())

    for found in (alone, among):
        (event,) = [event for event in found.events if isinstance(event.said, TokenCount)]
        assert event.said == decode(COUNT.encode()).said, form  # type: ignore[union-attr]  # - it is an event


def test_a_count_quoted_in_a_message_is_no_count() -> None:
    nested = ITEM.replace('"message"', '"message","quoted":' + COUNT)
    text = ITEM.replace('"message"', '"message","text":' + json.dumps(COUNT))

    assert sifted(f"{nested}\n{text}\n".encode()) == Sifted([], 2, 0)


damage = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 40), st.binary(max_size=12) | st.sampled_from(LINES)
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=12), damage)
def test_no_damage_makes_a_block_say_other_than_its_lines(
    lines: list[bytes], wounds: list[tuple[int, int, bytes]]
) -> None:
    block = b"\n".join(lines) + b"\n"
    for at, length, instead in wounds:
        place = at % len(block)
        block = block[:place] + instead + block[place + length :]
    block += b"\n"

    found, expected = sifted(block), one_by_one(block)
    assert (found.events, found.lines) == (expected.events, expected.lines)
    # What no line of interest is hurt by need not be noticed.
    assert found.bad_lines <= expected.bad_lines
