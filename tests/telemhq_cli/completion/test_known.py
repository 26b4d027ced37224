from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemhq_cli.commands.tree import command_of
from telemhq_cli.completion import known, names
from tools import make_completion

if TYPE_CHECKING:
    from collections.abc import Iterator


def parameters(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for one in command.params:
        if not getattr(one, "is_flag", False):
            yield path, one
    for name, below in getattr(command, "commands", {}).items():
        yield from parameters(below, f"{path} {name}".strip())


def kinds(node: Any) -> Iterator[str | list[str]]:
    for one in (*node.get("options", ()), *node.get("arguments", ())):
        if "kind" in one:
            yield one["kind"]
    for below in node.get("commands", {}).values():
        yield from kinds(below)


def test_what_is_shipped_is_what_the_parser_says() -> None:
    assert Path(known.FILE).read_text(encoding="utf-8") == make_completion.content(), (
        "run: python -m tools.make_completion"
    )


def test_it_was_decided_of_every_value_how_it_is_completed() -> None:
    undecided = {
        (one.name, one.metavar or "")
        for path, one in parameters(command_of())
        if make_completion.kind_of(one, path) == make_completion.FREE
    }

    assert undecided == make_completion.FREE_ONES


def test_every_kind_that_is_named_can_be_looked_up() -> None:
    named = {one for one in kinds(known.commands()) if isinstance(one, str)}

    assert named - {""} == names.KINDS
