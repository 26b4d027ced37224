"""The page of every command's JSON, and the story that it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from telemhq_cli.commands.tree import tree
from tools import make_json_reference
from tools.json_shapes import shape_of
from tools.json_story import NOT_ANSWERS, Book, speaking, told

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return told(tmp_path_factory.mktemp("story"))


def test_every_command_that_speaks_json_is_in_the_story(book: Book) -> None:
    every = set(speaking(get_command(tree())))

    assert {"usage", "tracker schedule next", "server plan set"} < every
    assert every - set(book.samples) <= NOT_ANSWERS, "add the command to tools/json_story.py"


def test_every_command_speaks_json_but_those_that_have_nothing_to_answer() -> None:
    assert set(leaves(get_command(tree()))) - set(speaking(get_command(tree()))) == {
        "ping",  # read by hand; its --json is tested in wrap/
        "statusline",  # Claude Code's line
        "usage export",  # a file
        "completion show",  # a script
        "agent run",  # these three run until they are stopped
        "codex watch",
        "server run",
    }


def leaves(command: Any, path: str = "") -> Iterator[str]:
    below = getattr(command, "commands", {})
    if not below or getattr(command, "invoke_without_command", False):
        yield path.strip()
    for name, each in below.items():
        yield from leaves(each, f"{path} {name}")


def test_the_page_is_what_the_commands_say(book: Book) -> None:
    written = make_json_reference.PAGE.read_text(encoding="utf-8")

    assert make_json_reference.page_of(book) == written, "run: python -m tools.make_json_reference"


def test_no_schema_is_two_things(book: Book) -> None:
    named: dict[str, set[str]] = {}
    for words, found in book.samples.items():
        for schema in found:
            named.setdefault(schema, set()).add(words)

    shared = {schema for schema, words in named.items() if len(words) > 1}
    assert shared <= SHARED, shared


SHARED: set[str] = set()

SHAPES: list[tuple[list[Any], list[tuple[str, str]]]] = [
    ([{"a": 1}], [("a", "whole number")]),
    ([{"a": 1}, {"a": 1.5}], [("a", "number")]),
    ([{"a": None}, {"a": "x"}], [("a", "text or null")]),
    ([{"a": "2026-11-20T10:00:00.000Z"}], [("a", "moment")]),
    ([{"a": True}, {}], [("a", "true or false, not always there")]),
    ([[{"a": {"b": 1}}, {"a": None}]], [("[].a", "object or null"), ("[].a.b", "whole number")]),
    ([{"a": []}], [("a", "list")]),
    ([{"a": []}, {"a": ["x"]}], [("a[]", "text")]),
    ([{"yours": {"b": 1}}], [("yours", "object")]),
]


@pytest.mark.parametrize(("samples", "rows"), SHAPES)
def test_a_shape_is_what_its_samples_show(samples: list[Any], rows: list[tuple[str, str]]) -> None:
    assert list(shape_of(samples, frozenset({"yours"})).rows()) == rows
