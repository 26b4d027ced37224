"""Whatever the order of keys and the kinds of values: no line is lost, and no figure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_hooks.decode import BadLineError, Line, decode, last_write, opening_of, text_of
from claude_code_hooks.prompts import INTERRUPTED, NOTICES, Kind, kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.claude_code_hooks.conftest import Lines


def compact(line: Any) -> bytes:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def counted(line: Line) -> tuple[Any, ...]:
    message = line.message
    assert message is not None
    return line.type, line.uuid, line.session_id, message.id, message.stop_reason, message.usage


def shuffled(value: Any, order: Any) -> Any:
    """Return the value with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = order.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value


CONTENT = st.recursive(
    st.sampled_from(["assistant", "user", "tool_result", '],"stop_reason":', 7, None, True]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "stop_reason", "message", "usage", "input"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(order=st.data(), content=st.lists(CONTENT, max_size=3))
def test_a_reply_is_found_in_any_order_of_keys_and_with_any_content(
    order: Any, content: list[Any], new_lines: type[Lines]
) -> None:
    reply = new_lines().reply(2)
    reply["message"]["content"] = content
    plain = decode(json.dumps(reply).encode())

    for data in (compact(reply), compact(shuffled(reply, order)), json.dumps(reply).encode()):
        assert counted(decode(data)) == counted(plain)
    assert counted(plain)[3:5] == ("msg_1", "end_turn")


@pytest.mark.parametrize("before_message", [False, True])
def test_another_objects_content_and_usage_are_not_taken_for_the_messages(
    before_message: bool, lines: Lines
) -> None:
    reply = lines.reply(2)
    decoy = {"decoy": {"content": [1], "stop_reason": "decoy", "usage": {"output_tokens": 9}}}
    line = {**decoy, **reply} if before_message else {"message": reply["message"], **decoy, **reply}

    assert counted(decode(compact(line))) == counted(decode(json.dumps(reply).encode()))


def test_every_real_line_with_usage_reads_as_a_plain_parser_reads_it(fixtures: Path) -> None:
    found = 0
    for path in fixtures.rglob("*.jsonl"):
        for data in path.read_bytes().splitlines():
            plain = json.loads(data)
            if plain.get("type") != "assistant":
                continue
            found += 1
            message = decode(data).message
            assert message is not None
            assert message.usage is not None
            assert message.usage.output_tokens == plain["message"]["usage"]["output_tokens"]
            assert message.id == plain["message"]["id"]
    assert found == 101


def test_half_a_character_does_not_cost_the_line(lines: Lines) -> None:
    """JavaScript cuts strings between the halves of a surrogate pair and writes what is left."""
    reply = lines.reply(2, extra="cut \ud83d")
    reply["message"]["content"] = [{"type": "text", "text": "cut \ud83d"}]
    data = json.dumps(reply, separators=(",", ":")).encode()

    line = decode(data)

    assert line.message is not None
    assert line.message.usage is not None
    assert line.message.usage.output_tokens == 50


def test_half_a_character_does_not_cost_the_prompt(lines: Lines) -> None:
    data = json.dumps(lines.prompt(1, "cut \ud83d"), separators=(",", ":")).encode()

    assert (opening_of(decode(data)) or "").startswith("cut ")


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        ({"input_tokens": 1.0, "output_tokens": 5.0}, 5),
        ({"input_tokens": "1", "output_tokens": 5}, 5),
        ({"input_tokens": 1, "output_tokens": 5, "cache_creation": 3}, 5),
        ({"input_tokens": 1, "output_tokens": 5, "cache_creation": {"new": []}}, 5),
        ({"input_tokens": 1, "output_tokens": None}, None),
        ({"input_tokens": 1, "output_tokens": 1e400}, None),
    ],
)
def test_figures_of_an_unknown_kind_do_not_cost_the_others(
    usage: dict[str, Any], output: int | None, lines: Lines
) -> None:
    line = decode(json.dumps(lines.reply(2, usage=usage), separators=(",", ":")).encode())

    assert line.message is not None
    assert line.message.usage is not None
    assert line.message.usage.output_tokens == output


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'"assistant"', b"{", b"nonsense", b"\xff", b'{"a":' * 100_000, b"[" * 100_000],
    ids=range(8),
)
def test_what_is_no_object_is_a_bad_line(data: bytes) -> None:
    with pytest.raises(BadLineError):
        decode(data)


def test_what_stands_behind_a_torn_line_is_found(lines: Lines) -> None:
    whole = compact({"parentUuid": None, **lines.prompt(2)})

    assert last_write(b'{"parentUuid":"x","type":"us' + whole) == whole
    assert last_write(whole[:-5]) is None


def test_of_many_beginnings_the_one_that_a_line_ends_with_is_found_in_no_time(
    lines: Lines,
) -> None:
    torn = b'{"type":"user","message":[' + b'{"type":"text","a":[' * 50_000
    whole = compact({"parentUuid": None, **lines.reply(2)})

    assert last_write(torn + whole) == whole
    assert last_write(torn) is None


@pytest.mark.parametrize(
    "usage",
    [
        {"inputTokens": 7, "cacheCreationEphemeral1hInputTokens": 3},
        {"inputTokens": 7, "cacheCreationEphemeral1hInputTokens": 3, "costUSD": 0.1, "new": []},
    ],
)
def test_a_sessions_own_total_is_read_by_model(usage: dict[str, Any]) -> None:
    line = decode(compact({"type": "cost-state", "modelUsage": {"claude-opus-5-5": usage}}))

    assert line.model_usage is not None
    spent = line.model_usage["claude-opus-5-5"]
    assert (spent.input_tokens, spent.cache_creation_1h_input_tokens) == (7, 3)


@pytest.mark.parametrize(
    "told", [7, [], {"m": 3}, {"m": {"inputTokens": "x"}}, {"m": {"inputTokens": -1}}]
)
def test_a_total_of_an_unknown_shape_is_none(told: Any) -> None:
    assert decode(compact({"type": "cost-state", "modelUsage": told})).model_usage is None


@pytest.mark.parametrize(
    ("content", "has_result"),
    [
        ("a prompt", False),
        ([{"type": "text", "text": "tool_result"}], False),
        ([{"type": "tool_result", "content": "x"}], True),
        ([{"type": "text", "text": "and"}, {"type": "tool_result", "content": "x"}], True),
        ([], False),
        ([7, None], False),
    ],
)
def test_a_line_with_a_tools_result_is_none_of_a_persons(
    content: Any, has_result: bool, lines: Lines
) -> None:
    line = decode(compact(lines.prompt(1, content)))

    assert (opening_of(line) is None) is has_result
    assert opening_of(decode(compact(lines.prompt(1, content, toolUseResult={"x": 1})))) is None


@given(text=st.text(max_size=40), again=st.integers(min_value=1, max_value=40))
def test_a_long_text_is_known_by_how_it_begins(
    text: str, again: int, new_lines: type[Lines]
) -> None:
    line = decode(compact(new_lines().prompt(1, text * again)))
    opening = opening_of(line)

    assert text_of(line) == text * again
    assert opening is not None
    assert text_of(line).startswith(opening)
    assert len(opening) >= min(len(text * again), 100)


@pytest.mark.parametrize("text", [INTERRUPTED, *NOTICES])
def test_what_a_notice_says_does_not_hide_what_it_is(text: str, lines: Lines) -> None:
    short, long = (
        decode(compact(lines.prompt(1, text + rest, promptSource=...)))
        for rest in ("", " and so on" * 100)
    )

    assert kind_of(long, opening_of(long) or "") is kind_of(short, text) is not Kind.PROMPT
