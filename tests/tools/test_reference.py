"""The generated pages are what their generators make now: `make reference` brings them up to date."""

from __future__ import annotations

import re

import pytest

from tools.make_reference import FOLDER, PAGES
from tools.reference.openapi import document

ELSEWHERE = {
    "cli.md": ("tests/telemhq_cli/commands/test_tree.py", "make_cli_reference.page()"),
    "json.md": ("tests/tools/test_json_reference.py", "make_json_reference.page_of("),
}
"""Pages whose making takes seconds: compared beside other tests of what they are made from."""


@pytest.mark.parametrize("name", sorted(PAGES.keys() - ELSEWHERE.keys()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")

    assert written == PAGES[name](), "run: make reference"


def test_every_other_generated_page_is_compared_elsewhere() -> None:
    root = FOLDER.parents[1]

    for name, (test, compared) in ELSEWHERE.items():
        assert compared in (root / test).read_text(encoding="utf-8"), name


def test_the_page_of_routes_has_every_operation_and_every_shape() -> None:
    page, told = (FOLDER / "routes.md").read_text(encoding="utf-8"), document()
    operations = {
        f"{method.upper()} {path}"
        for path, methods in told["paths"].items()
        for method in methods
        if method in {"get", "put", "post", "patch", "delete"}
    }

    assert set(re.findall(r"^### `([A-Z]+ \S+)`$", page, re.MULTILINE)) == operations
    assert len(re.findall(r"^### \w", page, re.MULTILINE)) == len(told["components"]["schemas"])


def test_the_pages_written_by_hand_name_no_route_that_is_not_there() -> None:
    real = {re.sub(r"\{\w+\}", "{}", path) for path in document()["paths"]} | {"/openapi.json"}
    named = set()
    for page in sorted(FOLDER.glob("*.md")):
        if page.name not in PAGES:
            text = page.read_text(encoding="utf-8")
            named |= set(re.findall(r"`(?:[A-Z, `]+ )?(/(?:api/v1/|metrics|healthz)[^`? ]*)", text))

    assert len(named) > 30
    assert {path for path in named if re.sub(r"\{[\w ]+\}", "{}", path) not in real} == set()
