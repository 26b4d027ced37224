from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_watcher import sift as sifting
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


def numbered(line: bytes, ordinal: str) -> bytes:
    return line.replace(b'"type"', b'"ordinal":%b,"type"' % ordinal.encode(), 1)


@pytest.mark.parametrize("before", ["7", "77", "12345678", "18446744073709551615"])
@pytest.mark.parametrize(
    "ordinal",
    [
        "7",
        "10",
        "99",
        "100",
        '"77"',
        "[77]",
        "7777e2",
        '{"a":77}',
        "-77",
        "",
        "184467440737095516150",
    ],
)
def test_an_ordinal_is_read_whatever_that_of_the_line_before_was(before: str, ordinal: str) -> None:
    lines = [
        numbered(line.encode(), number)
        for number in (before, ordinal)
        for line in (ITEM, COUNT, ITEM)
    ]
    block = b"\n".join([*lines, COUNT.encode(), *lines]) + b"\n"

    assert sifted(block) == one_by_one(block)
    assert len(sifted(block).events) in {3, 5}


INNER = b'"type":"response_item","payload":{"type":"message"}}'


@pytest.mark.parametrize(
    "outer",
    [b'"nested":{"abc":1', b'"xy":{"a":1234567', b'"ordinal":{"ab":1', b'"ordinal":1234567'],
)
def test_what_lies_as_far_in_as_the_type_of_the_line_before_is_not_taken_for_one(
    outer: bytes,
) -> None:
    before = numbered(ITEM.encode(), "1234567")
    after = b'"type":"event_msg"'
    between = b"," if outer.endswith(b'"ordinal":1234567') else b"," + INNER + b","
    line = COUNT.encode().replace(after, outer + between + after)
    assert line.index(b',"type"') == before.index(b',"type"')

    alone, among = sifted(line + b"\n"), sifted(b"\n".join([before, line, before, b""]))

    assert alone.events == among.events == [decode(COUNT.encode())]


def test_a_type_inside_of_something_is_not_taken_for_the_lines_own() -> None:
    short = COUNT.replace("T07:35:28.753Z", "")
    inner = '"n":{"abcd":1,"type":"turn_context","payload":{"model":"gpt-5"}},'
    line = short.replace('"type":"event_msg"', inner + '"type":"event_msg"').encode()

    assert sifted(line + b"\n") == one_by_one(line + b"\n")
    assert isinstance(sifted(line + b"\n").events[0].said, TokenCount)


def test_half_a_line_alone_says_nothing_yet() -> None:
    assert sift(COUNT.encode(), 0) == Sifted([], 0, 0)


def test_names_without_end_are_read_and_not_all_remembered() -> None:
    lines = [
        b'{"timestamp":"2026-11-20T07:35:28.753Z","type":"turn_context","payload":{"x%d":0}}'
        % number
        for number in range(3000)
    ]
    block = b"\n".join(lines) + b"\n"

    assert sifted(block) == one_by_one(block)
    assert len(sifting._KNOWN) <= 1024


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
