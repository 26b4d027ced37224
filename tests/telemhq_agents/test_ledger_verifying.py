"""A check of the ledger finds what was made wrong by hand, and a repair makes it right."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, cast

import pytest

from telemhq_agents.destined import Destined
from telemhq_agents.ledger.records import Batch, DeviceFacts
from telemhq_agents.ledger.repricing import reprice
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.ledger.verifying import Findings, repair, verify
from telemhq_agents.usage import Source, TurnStatus
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, ended, fact, ledger_sums, place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemhq_agents.pricing import Prices

PRICES = cast("Prices", FlatPrices())
LATER = BORN + 8 * QUARTER


_WHERE = "project, log_project, quarter_ms, cwd, first_ms, last_ms"
TURN_OF_NOTHING = f"""
    INSERT INTO buckets (source, session_id, thread_id, turn_key, span, provider, model, {_WHERE}, runs)
    SELECT source, session_id, thread_id, 'gone', 'gone', provider, model, {_WHERE}, 1
    FROM buckets WHERE turn_key = 't3'"""  # noqa: S608 - columns of ours
BUCKET_TWICE = f"""
    INSERT INTO buckets (source, session_id, thread_id, turn_key, span, provider, model, {_WHERE}, runs)
    SELECT source, session_id, thread_id, turn_key, span, provider, model, {_WHERE}, 1
    FROM buckets WHERE model = 'haiku'"""  # noqa: S608 - same


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Turns of one and of several buckets, with and without usage, told and delivered."""
    with Ledger.open(path, prices=PRICES, now_ms=lambda: BORN) as ledger:
        ledger.follow(Source.CLAUDE, (Destined("home", 0),))
        ledger.learn("home", corrections=True)
        ledger.set_coalescing(Source.CLAUDE, ((0, 0), (BORN + 4 * QUARTER, 300_000)))
        facts = [
            fact("a", cached_input_tokens=70, cache_write_tokens=5, reasoning_tokens=3),
            fact("b", at_ms=BORN + QUARTER, model="unknown"),
            fact("c", at_ms=BORN, model="haiku", place=place("blog")),
            fact("d", turn="t2", at_ms=BORN + 5 * QUARTER, session_id="s2"),
            fact("e", turn="t2", at_ms=BORN + 5 * QUARTER + 299_000, session_id="s2"),
        ]
        turns = [
            ended("t1", status=TurnStatus.ERROR),
            ended("t2", started_ms=BORN + 5 * QUARTER, at_ms=BORN + 6 * QUARTER),
            ended("t3", at_ms=BORN + 2 * QUARTER),
        ]
        ledger.book(Batch(facts, turns))
        for _ in range(3):
            ledger.queue_due(LATER, device=DeviceFacts("d", "s"))
            for row in ledger.outbox():
                ledger.delivered(row)
        yield ledger


def spoil(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.close()


def test_a_ledger_as_it_was_booked_is_whole(ledger: Ledger) -> None:
    found = verify(ledger)

    assert found == Findings(facts=5, turns=3)
    assert found.is_clean


@pytest.mark.parametrize(
    ("statement", "figures"),
    [
        ("UPDATE buckets SET input_tokens = input_tokens + 1 WHERE model = 'opus' AND turn_key = 't1'", 1),
        ("UPDATE buckets SET cost_nano = 0 WHERE model = 'opus' AND turn_key = 't1'", 1),
        ("UPDATE buckets SET runs = runs + 1 WHERE model = 'unknown'", 1),
        ("UPDATE buckets SET project = 'elsewhere' WHERE project = 'blog'", 2),
        ("UPDATE buckets SET quarter_ms = quarter_ms + 900000 WHERE turn_key = 't3'", 2),
        ("DELETE FROM buckets WHERE turn_key = 't2'", 1),
        (TURN_OF_NOTHING, 1),
        (BUCKET_TWICE, 1),
        ("UPDATE facts SET output_tokens = 99999 WHERE key = 'b'", 1),
        ("UPDATE turns SET status = 'success' WHERE key = 't1'", 1),
    ],
)  # fmt: skip
def test_every_sum_that_is_not_that_of_its_facts_is_found_and_made_right(
    ledger: Ledger, path: Path, statement: str, figures: int
) -> None:
    spoil(path, statement)

    found = verify(ledger)
    left = repair(ledger, found, LATER)

    assert len(found.sums) == figures
    assert not found.is_clean
    assert left.is_clean
    assert verify(ledger).is_clean


def test_a_repair_brings_back_the_very_sums(ledger: Ledger, path: Path) -> None:
    right = ledger_sums(ledger)
    spoil(path, "UPDATE buckets SET runs = 7, output_tokens = 3, project = 'x'")
    assert ledger_sums(ledger) != right

    repair(ledger, verify(ledger), LATER)

    assert ledger_sums(ledger) == right


def test_what_nobody_would_ever_send_is_found_and_sent(ledger: Ledger, path: Path) -> None:
    spoil(
        path,
        "UPDATE told SET output_tokens = output_tokens - 4 WHERE key NOT LIKE '%#%' AND model = 'haiku'",
    )

    found = verify(ledger)
    left = repair(ledger, found, LATER)

    assert (len(found.untold), found.sums) == (1, [])
    assert left.is_clean
    assert ledger.queue_due(LATER + QUARTER, device=DeviceFacts("d", "s")) == 1
    (row,) = ledger.outbox()
    assert b'"output_tokens":4' in row.body


def test_a_difference_that_is_due_anyway_is_no_fault(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a", output_tokens=500)]))

    assert verify(ledger).is_clean
    ledger.queue_due(LATER, device=DeviceFacts("d", "s"))
    assert ledger.counts().pending == 1
    assert verify(ledger).is_clean


@pytest.mark.parametrize(
    "spoiling",
    [
        "UPDATE outbox SET revision = 9",
        "UPDATE outbox SET key = 'fact:another'",
        "UPDATE outbox SET told_id = (SELECT max(id) FROM told)",
    ],
)
def test_a_ping_that_fits_nothing_that_was_told_is_named(
    ledger: Ledger, path: Path, spoiling: str
) -> None:
    ledger.book(Batch([fact("a", output_tokens=500)]))
    ledger.queue_due(LATER, device=DeviceFacts("d", "s"))
    (row,) = ledger.outbox()
    spoil(path, spoiling)

    found = verify(ledger)

    assert len(found.strays) == 1
    assert f"ping {row.id} " in found.strays[0]
    assert repair(ledger, found, LATER).strays == found.strays


@pytest.mark.parametrize(
    "spoiling",
    [
        "UPDATE origins SET source = 'cursor'",
        "UPDATE turns SET status = x'ff00'",
        "UPDATE facts SET input_tokens = 'many' WHERE key = 'a'",
        "UPDATE facts SET origin_id = 9999 WHERE key = 'a'",
    ],
)
def test_a_row_that_holds_what_none_can_hold_is_damage_of_the_file(
    ledger: Ledger, path: Path, spoiling: str
) -> None:
    spoil(path, spoiling)

    found = verify(ledger)

    assert len(found.file) == 1
    assert not found.is_clean
    assert repair(ledger, found, LATER).file == found.file


def test_a_broken_index_is_made_anew(ledger: Ledger, path: Path) -> None:
    spoil_index(path)
    found = verify(ledger)

    left = repair(ledger, found, LATER)

    assert any("index" in message for message in found.file)
    assert left.is_clean
    assert left.facts == 5


def spoil_index(path: Path) -> None:
    """Give an index the entries of another one, behind SQLite's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE spare (turn_key TEXT)")
    connection.execute("CREATE INDEX spare_turn ON spare (turn_key)")
    roots = dict(
        connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'index'")
    )
    connection.execute("PRAGMA writable_schema = ON")
    for name, root in (("buckets_turn", "spare_turn"), ("spare_turn", "buckets_turn")):
        connection.execute(
            "UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (roots[root], name)
        )
    connection.execute("PRAGMA schema_version = 9999")
    connection.close()


# Other prices


class HalfPrices(FlatPrices):
    """One nano-USD a token, and a price for what had none."""

    def cost(self, _provider: str, _model: str, _at_ms: int, *tokens: int) -> tuple[int, str]:
        return tokens[0] + tokens[-1], "2027-01-01"


def test_repricing_shows_the_difference_and_changes_nothing(ledger: Ledger) -> None:
    before = ledger_sums(ledger)

    report = reprice(
        ledger,
        cast("Prices", HalfPrices()),
        ["source"],
        since_ms=None,
        until_ms=None,
        timezone="UTC",
        source=None,
    )

    found = {
        keys: (one.cost_nano, one.repriced_nano, one.difference_nano, one.unpriced_tokens)
        for keys, one in report.rows
    }
    assert report.group_by == ("source", "model")
    assert found == {
        ("claude", "opus"): (660, 330, -330, 0),
        ("claude", "haiku"): (220, 110, -110, 0),
        ("claude", "unknown"): (0, 110, 110, 110),
    }
    assert (report.total.cost_nano, report.total.repriced_nano) == (880, 550)
    assert (report.total.unpriced_tokens, report.total.still_unpriced_tokens) == (110, 0)
    assert report.total.frozen_by == {"2026-01-01"}
    assert ledger_sums(ledger) == before


def test_repricing_is_narrowed_and_grouped_by_day(ledger: Ledger) -> None:
    report = reprice(
        ledger,
        PRICES,
        ["day", "model"],
        since_ms=BORN + QUARTER,
        until_ms=BORN + 5 * QUARTER + 299_000,
        timezone="Asia/Kolkata",
        source=Source.CLAUDE,
    )

    assert {keys: one.responses for keys, one in report.rows} == {
        ("2026-11-20", "opus"): 1,
        ("2026-11-20", "unknown"): 1,
    }
    assert report.total.difference_nano == 0
