"""A ledger as a reader of few files sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_agents.ledger.narrow import Narrow
from telemhq_agents.ledger.records import Batch, Cursor
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def cursor(key: str, source: Source = Source.CODEX) -> Cursor:
    return Cursor(source, key, f"/logs/{key}", 7, 100, 5, "print", 90, {"rule_version": 1})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite3") as opened:
        yield opened


def test_a_cursor_that_is_asked_for_is_the_one_that_was_booked(ledger: Ledger) -> None:
    narrow = Narrow(ledger)

    narrow.book(Batch(cursors=[cursor("a"), cursor("b"), cursor("a", Source.CLAUDE)]))

    held = narrow.cursors(Source.CODEX)
    assert held.get("a") == cursor("a")
    assert held.get("c") is None
    assert narrow.cursors(Source.CLAUDE)["a"].source is Source.CLAUDE


def test_only_what_was_asked_for_is_gone_through(ledger: Ledger) -> None:
    ledger.book(Batch(cursors=[cursor("a"), cursor("b")]))
    held = Narrow(ledger).cursors(Source.CODEX)

    assert held["b"].path == "/logs/b"

    assert dict(held.items()) == {"b": cursor("b")}
    assert len(held) == 1
