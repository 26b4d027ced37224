"""Every command of the README and of the tutorial is typed here, in an empty home, with real processes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tools.retype import PAGES
from tools.typed_pages.newcomer import ROOT, typed
from tools.typed_pages.page import Block, blocks, matched, reshown

if TYPE_CHECKING:
    from pathlib import Path

NOT_TYPED_HERE = {
    "README.md": {"needs systemd", "needs the hosted service"},
    "docs/tutorial/first-team-report.md": set[str](),
}
"""Why something may be left out of a page."""


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def fences(path: str) -> list[Block]:
    return blocks(text_of(path))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_says_to_type_works_and_looks_like_it(path: str, tmp_path: Path) -> None:
    for _, difference in typed(text_of(path), tmp_path):
        pytest.fail(
            f"{path} says:\n$ {difference.step.command}\n{difference.step.output}\n\n"
            f"and this came, with exit code {difference.code}:\n{difference.output}\n"
            "(`make retype` has the pages show what comes)"
        )


@pytest.mark.parametrize("path", PAGES)
def test_what_is_not_typed_says_why(path: str) -> None:
    page = fences(path)

    assert {block.told["skip"] for block in page if "skip" in block.told} == NOT_TYPED_HERE[path]
    assert [block.kind for block in page if block.kind in {"sh", "bash", "shell"}] == []
    assert sum(len(block.steps) for block in page if "skip" not in block.told) > 10


def test_what_a_page_shows_is_compared_whole() -> None:
    shown = "Logged in as ada.\n  key thq_…\n…\nDone"

    assert matched(shown, "Logged in as ada.\n  key thq_abc\nx\ny\nDone\n") == {"thq_…": "thq_abc"}
    assert matched(shown, "Logged in as ada.\n  key thq_abc\nDone\n") == {"thq_…": "thq_abc"}
    assert matched(shown, "Logged in as grace.\n  key thq_abc\nDone\n") is None
    assert matched(shown, "Logged in as ada.\n  key thq_abc\nDone\nand more\n") is None
    assert matched(shown, "Logged in as ada.\n  key other\nDone\n") is None


def test_a_page_that_is_shown_anew_keeps_what_varies() -> None:
    shown = "key thq_…\nGood until …\nthree logs"

    anew, known = reshown(shown, "key thq_abc\nGood until Friday noon\nfour logs\n")

    assert anew == "key thq_…\nGood until …\nfour logs\n"
    assert known == {"thq_…": "thq_abc"}


def test_a_comment_before_a_fence_that_nobody_understands_is_an_error() -> None:
    with pytest.raises(ValueError, match="sikp"):
        blocks('<!-- test: sikp="needs systemd" -->\n```console\n$ true\n```\n')
