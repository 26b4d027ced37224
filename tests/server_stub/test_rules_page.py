"""docs/reference/rules.md names every field, operator and route there is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from server_stub.domain import rules as bounds
from telemhq_agents.contract.rules import (
    Alerting,
    Assertion,
    Channel,
    ChannelKind,
    Operator,
    Overlap,
    Rules,
    Schedule,
    Summary,
    Window,
)

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n{title}\n", 1)[1].split("\n**`", 1)[0].split("\n## ", 1)[0]


@pytest.mark.parametrize(
    ("title", "record"),
    [
        ("## Fields", Rules),
        ("**`schedule`**", Schedule),
        ("**`assertions[]`**", Assertion),
        ("**`maintenance[]`**", Window),
        ("**`alerting`**", Alerting),
        ("**`alerting.channels[]`**", Channel),
        ("**`summary`**", Summary),
    ],
)
def test_the_page_has_a_row_for_every_field(title: str, record: type) -> None:
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(told) == sorted(field.name for field in dataclasses.fields(record))


@pytest.mark.parametrize("kinds", [Operator, ChannelKind, Overlap])
def test_the_page_names_every_choice(kinds: type[Operator | ChannelKind | Overlap]) -> None:
    assert [kind.value for kind in kinds if f"`{kind}`" not in PAGE.replace('"', "")] == []


def test_the_page_tells_the_defaults() -> None:
    assert f"| `grace_s` | `{Schedule().grace_s}` |" in PAGE
    assert f"| `hour` | `{Summary().hour}` |" in PAGE


def test_the_page_tells_the_bounds() -> None:
    assert f"at most {bounds.MOST_ASSERTIONS}, {bounds.MOST_PATTERNS} of them `regex`" in PAGE
    assert f"1 to {bounds.MOST_IN_A_ROW}" in PAGE
    assert bounds.MOST_WINDOWS == bounds.MOST_CHANNELS == 10
