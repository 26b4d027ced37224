"""Sums that no column holds: reports and receipts tell them exactly all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from server_stub.domain.run import Arrival, RunFacts
from server_stub.domain.usage_question import UsageQuestion
from server_stub.domain.usage_window import Window
from server_stub.store import usage
from server_stub.store.ingest import Booked
from server_stub.store.tables import buckets
from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.contract.amounts import Amounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.store.engine import Store

LARGEST = 2**63 - 1
NOON = 1_763_640_000_000


def fill(store: Store, *figures: int) -> None:
    """Make one bucket for each figure, of tracker 7."""
    rows = [
        {
            "account_id": 1,
            "quarter_ms": NOON + number * QUARTER_MS,
            "tracker_id": 7,
            "member_id": 1,
            "project": "",
            "model": "m",
            "source": "",
            "cost_nano": figure,
            "runs": figure,
        }
        for number, figure in enumerate(figures)
    ]
    store.write(lambda connection: connection.execute(insert(buckets), rows))


@pytest.mark.parametrize(
    ("figures", "total"),
    [
        ((LARGEST, LARGEST, LARGEST), 27_670_116_110_564_327_421),
        ((-LARGEST - 1, -LARGEST - 1), -18_446_744_073_709_551_616),
        ((LARGEST, 1, -LARGEST - 1), 0),
        ((-1, -1, -1), -3),
        ((2**32, -1, 2**31), 6_442_450_943),
        ((0,), 0),
    ],
)
def test_sums_are_exact_beyond_64_bits(figures: tuple[int, ...], total: int, store: Store) -> None:
    fill(store, *figures)
    question = UsageQuestion(1, ("model",), Window())

    with store.read() as connection:
        (summed,) = usage.sums(connection, question, ())
        runs = usage.runs_by_tracker(connection, 1)

    assert (summed.keys, summed.amounts) == (("m",), Amounts(runs=total, cost_nano=total))
    assert runs == {7: total}


def test_nothing_adds_up_to_nothing(store: Store) -> None:
    with store.read() as connection:
        (summed,) = usage.sums(connection, UsageQuestion(1, (), Window()), ())

    assert summed.amounts == Amounts()


def test_a_receipt_tells_a_fact_that_outgrew_64_bits(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    run = Arrival("tok", "fact:k", NOON, RunFacts(NOON, Amounts(runs=1)))
    corrections = [
        Arrival(
            "tok",
            f"fact:k.r{revision}",
            NOON,
            RunFacts(
                NOON + revision * QUARTER_MS,
                Amounts(input_tokens=LARGEST),
                kind="correction",
                corrects="fact:k",
                revision=revision,
            ),
        )
        for revision in (1, 2, 2)
    ]

    *_, told = [store.writer.ingest(ping).result(timeout=10) for ping in (run, *corrections)]

    assert isinstance(told, Booked)
    assert told.recorded is not None
    assert told.recorded.input_tokens == 18_446_744_073_709_551_614
