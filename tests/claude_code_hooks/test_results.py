"""What is passed over without being parsed is a tool's result, and nothing else ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks.decode import decode, opening_of
from claude_code_hooks.results import HEAD_AT, Results

if TYPE_CHECKING:
    from pathlib import Path

    from tests.claude_code_hooks.conftest import Home, Lines

PARENT = "b556ded8-0924-4f8d-a18a-50ad86fffeff"
OTHER = "1b3834b1-48a4-4572-a1d3-75398d5cae62"
END = {"sourceToolAssistantUUID": PARENT}


def compact(line: Any) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode()


def result(parent: str = PARENT, prompt: str = OTHER, text: str = "done") -> dict[str, Any]:
    content = [{"tool_use_id": "toolu_1", "type": "tool_result", "content": text}]
    return {
        "parentUuid": parent,
        "isSidechain": False,
        "promptId": prompt,
        "type": "user",
        "message": {"role": "user", "content": content},
        "uuid": OTHER,
        "toolUseResult": {"stdout": text},
        **END,
        "cwd": "/home/dev",
    }


def without(line: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != key}


def learnt(line: Any) -> Results:
    results = Results()
    results.learn(compact(line))
    return results


def has(results: Results, data: bytes) -> bool:
    """Ask in the middle of a block, as a reader does."""
    before, behind = b"{}\n", b'\n{"sourceToolAssistantUUID":"'
    return asked(results, before + data + behind, len(before), len(before) + len(data))


def asked(results: Results, data: bytes, start: int, end: int) -> bool:
    return data.startswith(results.head, start + HEAD_AT) and results.has(data, start, end)


def test_nothing_is_passed_over_before_something_was_learnt() -> None:
    assert not has(Results(), compact(result()))


@pytest.mark.parametrize("prompt", [True, False])
def test_a_result_is_known_by_its_head_whatever_its_ids_and_its_output(prompt: bool) -> None:
    lines = [result(), result(parent=OTHER, prompt=PARENT, text='"type":"assistant"' * 500)]
    first, second = lines if prompt else [without(line, "promptId") for line in lines]

    results = learnt(first)

    assert has(results, compact(second))


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "assistant"},
        {"isSidechain": True},
        {"parentUuid": None},
        {"parentUuid": "short"},
        {"parentUuid": PARENT[:-1] + "\\"},
        {"promptId": "short"},
        {"promptId": PARENT + "longer"},
        {"message": {"role": "user", "content": [{"type": "text", "text": "a prompt"}]}},
        {"message": {"role": "user", "content": "a prompt"}},
        {"message": {"role": "assistant", "content": [], "usage": {"input_tokens": 5}}},
    ],
)
def test_a_line_that_begins_otherwise_is_parsed(changes: dict[str, Any]) -> None:
    assert not has(learnt(result()), compact({**result(), **changes}))


@pytest.mark.parametrize(
    "parent",
    [b'a","type":"assistant","usage":"'.ljust(36, b"z"), b"z" * 35 + b"\\"],
    ids=["ends early", "ends late"],
)
def test_an_id_that_only_fills_an_ids_place_is_parsed(parent: bytes) -> None:
    plain = compact(result())
    line = plain.replace(PARENT.encode(), parent, 1)

    assert len(line) == len(plain)
    assert has(learnt(result()), plain)
    assert not has(learnt(result()), line)


@pytest.mark.parametrize(
    "line",
    [
        {**result(), "type": "assistant"},
        {"type": "progress", "data": result()},
        {"data": result(), **result()},
        {**result(), "message": {"role": "user", "content": "a prompt"}},
        without(result(), "type"),
    ],
)
def test_a_line_that_is_no_plain_result_teaches_nothing(line: dict[str, Any]) -> None:
    results = learnt(line)

    assert not has(results, compact(line))
    assert not has(results, compact(result()))


def test_a_result_that_was_torn_is_parsed() -> None:
    torn = compact(result(text="x" * 3000))[:1500]

    assert not has(learnt(result()), torn)
    assert not has(learnt(result()), torn + compact({"parentUuid": None, "type": "assistant"}))


@pytest.mark.parametrize("size", [1500, -1, -8, -40], ids=["in its output", "1", "8", "40"])
def test_what_another_writer_left_behind_a_torn_result_is_found(
    size: int, home: Home, lines: Lines
) -> None:
    path = home.write("s1", [lines.prompt(1), result(), result()])
    torn = compact(result(text="x" * 3000))[:size]
    with path.open("ab") as stream:
        stream.write(torn + compact({"parentUuid": None, **lines.reply(3)}) + b"\n")

    report = home.scan()

    assert home.ledger.facts.keys() == {"claude:msg_1"}
    assert (report.lines, report.bad_lines) == (4, 1)


def test_an_end_that_was_learnt_is_a_results_and_no_other_lines() -> None:
    """Lines of new versions end alike, whatever their kind."""
    results, plain = learnt(result()), compact(result())
    torn = compact(result(text="x" * 3000))
    reply = compact({"parentUuid": None, "type": "assistant", "uuid": OTHER, "cwd": "/home/dev"})
    early = torn[: torn.index(b'"sourceToolAssistantUUID"')]
    in_its_end = torn[: torn.index(b'"sourceToolAssistantUUID"') + 30]

    assert has(results, plain)
    assert has(results, torn)
    for begun in (early, in_its_end, torn, plain[:-1]):
        assert not has(results, begun + reply)
    assert not has(results, early + reply[1:])
    behind = plain.removeprefix(plain[: plain.rindex(b'","cwd"')])
    assert len(behind) == len(b'{"type":"assistant"}')
    assert not has(results, plain.removesuffix(behind) + b'{"type":"assistant"}')


@pytest.mark.parametrize("prompt", [OTHER[:-1] + '"', 'x","y":"' + OTHER[8:], OTHER[:-1] + "\\"])
def test_a_prompts_id_that_only_fills_an_ids_place_is_parsed(prompt: str) -> None:
    plain = compact(result())
    line = plain.replace(OTHER.encode(), prompt.encode(), 1)

    assert len(line) == len(plain)
    assert has(learnt(result()), plain)
    assert not has(learnt(result()), line)


def test_a_line_that_ends_within_an_id_is_not_the_next_ones_beginning() -> None:
    plain, results = compact(result()), learnt(result())
    data = plain.replace(PARENT.encode(), b"x\n" + PARENT.encode()[2:], 1)

    assert len(data) == len(plain)
    assert asked(results, plain, 0, len(plain))
    assert not asked(results, data, 0, data.index(b"\n"))
    assert not asked(results, data, 0, len(data))


def test_every_real_line_that_is_passed_over_is_a_result(fixtures: Path) -> None:
    passed = parsed = 0
    for path in fixtures.rglob("*.jsonl"):
        results = Results()
        for data in path.read_bytes().splitlines():
            is_one = json.loads(data).get("type") == "user" and opening_of(decode(data)) is None
            if asked(results, data, 0, len(data)):
                passed += 1
                assert is_one
            else:
                parsed += is_one
                results.learn(data)
    assert passed + parsed == 40
    assert passed > 0
