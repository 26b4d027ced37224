"""What is summed in memory is what the database sums: the same buckets, column by column."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hypothesis import event, example, given
from hypothesis import strategies as st

from telemhq_agents.ledger import buckets, whole
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Place, Turn, TurnStatus, UsageFact
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, ended, fact, turn

if TYPE_CHECKING:
    from telemhq_agents.pricing import Prices

PRICES = cast("Prices", FlatPrices())
COLUMNS = ", ".join(whole.BucketRow._fields)
PLACES = [
    Place("/home/dev/shop", "shop", "shop"),
    Place("/home/dev/shop/api", "shop", "shop"),
    Place("/home/dev/shop-2", "shop-2", "shop"),
    Place("/home/dev/bot", "bot", "bot"),
]
MOMENTS = [BORN + step for step in (-1, 0, 1, 1000, QUARTER - 1, QUARTER, 3 * QUARTER)]
BEFORE_1970 = [-1, -QUARTER, -QUARTER - 1]

facts = st.builds(
    fact,
    st.sampled_from([f"f{number}" for number in range(12)]),
    turn=st.sampled_from(["t1", "t2", "t3"]),
    at_ms=st.sampled_from(MOMENTS + BEFORE_1970),
    model=st.sampled_from(["opus", "haiku", "unknown"]),
    provider=st.sampled_from(["anthropic", "Äther", "\U0001f99a"]),
    place=st.sampled_from(PLACES),
    session_id=st.sampled_from(["s1", "s2"]),
    thread_id=st.sampled_from(["th1", "\uffee"]),
    input_tokens=st.integers(0, 2**40),
    cached_input_tokens=st.integers(0, 9),
    output_tokens=st.integers(0, 9),
)
keys = st.sampled_from(["t1", "t2", "t3", "t4"])
turns = st.one_of(
    st.builds(turn, keys, place=st.sampled_from(PLACES)),
    st.builds(ended, keys, status=st.sampled_from([TurnStatus.SUCCESS, TurnStatus.ERROR])),
)
batches = st.builds(
    lambda some, more: Batch(facts=some, turns=more),
    st.lists(facts, max_size=12),
    st.lists(turns, max_size=5),
)


def stored(ledger: Ledger) -> list[tuple[object, ...]]:
    with ledger.lent() as connection:
        return sorted(connection.execute(f"SELECT {COLUMNS} FROM buckets"))  # noqa: S608 - ours


def recomputed(ledger: Ledger) -> list[tuple[object, ...]]:
    with ledger.transaction(), ledger.lent() as connection:
        found = connection.execute("SELECT turn_key FROM origins UNION SELECT key FROM turns")
        buckets.touch(connection, [key for (key,) in found])
        buckets.recompute(connection, BORN)
    return stored(ledger)


SHOP, SHOP_API, SHOP_2, BOT = PLACES
TWO_DIRECTORIES = [
    fact("f1", place=SHOP_API, at_ms=BORN + 2),
    fact("f2", place=SHOP, at_ms=BORN + 1),
    fact("f3", place=SHOP_API, at_ms=BORN + 3),
]
TIES = [
    fact("f1", model="opus", provider="a"),
    fact("f2", model="haiku", provider="c", place=SHOP_2),
    fact("f3", model="haiku", provider="b", session_id="s3", place=SHOP_2),
    fact("f4", model="haiku", provider="b", session_id="s2", place=SHOP_2, thread_id="th9"),
    fact("f5", model="haiku", provider="b", session_id="s2", place=SHOP_2, thread_id="th2"),
    fact("f6", model="haiku", provider="b", session_id="s2", place=SHOP, thread_id="th2"),
    fact("f7", model="haiku", provider="b", session_id="s2", place=BOT, thread_id="th3"),
]


@example([Batch(facts=TWO_DIRECTORIES, turns=[ended("t1")])])
@example([Batch(facts=TIES, turns=[ended("t1")])])
@example([Batch(facts=TIES[:-1], turns=[ended("t1")])])
@example([Batch(facts=TIES[:-2], turns=[ended("t1")])])
@example([Batch(facts=TIES[:-3], turns=[ended("t1")])])
@example([Batch(facts=TIES[:-4], turns=[ended("t1")])])
@example([Batch(facts=TIES[:-5], turns=[ended("t1")])])
@given(st.lists(batches, min_size=1, max_size=3))
def test_whatever_is_booked_the_database_would_have_summed_it_the_same(
    booked: list[Batch],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(Path(folder) / "ledger.sqlite3", prices=PRICES) as ledger,
    ):
        for batch in booked:
            ledger.book(batch)
            seen = stored(ledger)
            event(f"{min(len(seen), 5)} buckets")
            assert seen == recomputed(ledger)


def summed_by_the_database(ledger: Ledger, batch: Batch) -> list[str]:
    """Book a batch and return which turns the database was asked to sum."""
    with ledger.lent() as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        ledger.book(batch)
        connection.set_trace_callback(None)
    start = "INSERT OR IGNORE INTO temp.touched VALUES ('"
    return sorted(text.removeprefix(start)[:-2] for text in asked if text.startswith(start))


def test_a_turn_that_is_wholly_in_the_batch_is_summed_without_the_database(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3", prices=PRICES) as ledger:
        first: list[UsageFact] = [fact("f1"), fact("f2", turn="t2"), fact("f3", turn="t3")]
        known: list[Turn] = [ended("t1"), ended("t2"), turn("t4")]

        # t3 has no record of its own yet, t4 has no facts.
        assert summed_by_the_database(ledger, Batch(facts=first, turns=known)) == ["t3", "t4"]

        # t1 grows, t4 gets its first response, f2 turns out to belong to the earlier t5.
        second = [
            fact("f4", turn="t1"),
            fact("f5", turn="t4"),
            fact("f2", turn="t5", at_ms=BORN - 5),
            fact("f6", turn="t6"),
        ]
        later = Batch(facts=second, turns=[ended("t5"), ended("t6")])
        assert summed_by_the_database(ledger, later) == ["t1", "t2", "t4", "t5"]


def test_a_turn_in_a_window_is_summed_by_the_database(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3", prices=PRICES) as ledger:
        batch = Batch(facts=[fact("f1")], turns=[ended("t1")])
        ledger.set_coalescing(batch.facts[0].source, [(0, 300_000)])

        assert summed_by_the_database(ledger, batch) == ["t1"]
