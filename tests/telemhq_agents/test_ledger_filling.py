"""A first reading is one step: the same ledger, and all of the step or none of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemhq_agents.ledger.records import Batch, Cursor
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Source
from tests.telemhq_agents.history import BORN, FlatPrices, ended, fact
from tests.telemhq_agents.test_ledger_whole import batches

if TYPE_CHECKING:
    from telemhq_agents.pricing import Prices

PRICES = cast("Prices", FlatPrices())
TABLES = ("places", "origins", "facts", "turns", "buckets", "open_spans", "cursors")


def opened(path: Path) -> Ledger:
    return Ledger.open(path, prices=PRICES, now_ms=lambda: BORN)


def batch(number: int, facts: int = 1) -> Batch:
    turn = f"turn {number}"
    cursor = Cursor(Source.CODEX, f"log {number}", "/logs/a", 7, 100, 99, "abc", 80)
    found = [fact(f"fact {number}.{each}", turn=turn) for each in range(facts)]
    return Batch(facts=found, turns=[ended(turn)], cursors=[cursor])


def fill(ledger: Ledger, *some: Batch, then: type[BaseException] | None = None) -> None:
    with ledger.filling():
        for each in some:
            ledger.book(each)
        if then is not None:
            raise then


def content(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    with ledger.lent() as connection:
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608 - ours
            for name in TABLES
        }


def journal(ledger: Ledger) -> str:
    with ledger.lent() as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def count(ledger: Ledger) -> int:
    return len(content(ledger)["facts"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@settings(max_examples=15, deadline=None)
@given(st.lists(batches, max_size=4))
def test_one_step_makes_the_ledger_that_many_make(some: list[Batch]) -> None:
    found = []
    for in_one_step in (True, False):
        with (
            tempfile.TemporaryDirectory() as folder,
            opened(Path(folder) / "ledger.sqlite3") as ledger,
        ):
            with ledger.filling() if in_one_step else nullcontext():
                booked = [ledger.book(each) for each in some]
            found.append((booked, content(ledger)))

    assert found[0] == found[1]


def test_nobody_sees_half_of_a_step_and_everybody_all_of_it(path: Path) -> None:
    with opened(path) as ledger, ledger.filling() as goes_on:
        ledger.book(batch(1))
        assert goes_on()
        assert journal(ledger) == "delete"
        code = (
            "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
            "print(connection.execute('SELECT count(*) FROM facts').fetchone()[0])"
        )
        seen = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
        )
        assert seen.stdout == "0\n"

    with opened(path) as ledger:
        assert count(ledger) == 1
        assert journal(ledger) == "wal"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.telemhq_agents.test_ledger_filling import batch, opened

with opened(Path(sys.argv[1])) as ledger, ledger.filling():
    with ledger.lent() as connection:
        connection.execute("PRAGMA cache_size = 10")  # so that pages reach the file before the end
    for number in range(20):
        ledger.book(batch(number, 50))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_within_a_step_the_ledger_is_whole_and_knows_nothing_of_it(path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, path], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert os.listdir(path.parent) != [path.name], "nothing was left to take back"  # noqa: PTH208

    with opened(path) as ledger:
        with ledger.lent() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert ledger.cursors(Source.CODEX) == {}
        assert count(ledger) == 0
        with ledger.filling() as goes_on:
            assert goes_on()
            ledger.book(batch(1))
        assert count(ledger) == 1


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError])
def test_what_was_booked_stays_when_the_reading_is_broken_off(
    path: Path, end: type[BaseException]
) -> None:
    with opened(path) as ledger:
        with pytest.raises(end):
            fill(ledger, batch(1), then=end)

        assert count(ledger) == 1
        assert journal(ledger) == "wal"


def test_a_batch_that_cannot_be_booked_leaves_nothing_half_done(path: Path) -> None:
    unbookable = Batch(facts=[fact("f9", input_tokens=2**70)], cursors=batch(2).cursors)

    with opened(path) as ledger:
        with pytest.raises(OverflowError):
            fill(ledger, batch(1), unbookable)

        assert not any(content(ledger).values())
        ledger.book(batch(1))
        assert count(ledger) == 1
        assert journal(ledger) == "wal"


def test_a_long_reading_goes_on_batch_by_batch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemhq_agents.ledger.filling.MOST_FACTS", 5)

    with opened(path) as ledger, ledger.filling() as goes_on:
        ledger.book(batch(1, 4))
        assert goes_on()
        ledger.book(batch(2, 1))
        assert not goes_on()
        assert journal(ledger) == "wal"
        ledger.book(batch(3, 2))
        with opened(path) as other:
            assert count(other) == 7


def test_a_ledger_that_knows_something_is_filled_batch_by_batch(path: Path) -> None:
    with opened(path) as ledger:
        ledger.book(batch(1))

        with ledger.filling() as goes_on:
            assert not goes_on()
            assert journal(ledger) == "wal"
            ledger.book(batch(2))

        assert count(ledger) == 2


def test_a_ledger_that_is_open_elsewhere_is_filled_batch_by_batch(path: Path) -> None:
    with opened(path) as ledger, opened(path) as other, ledger.filling() as goes_on:
        assert not goes_on()
        ledger.book(batch(1))

        assert count(other) == 1


def test_who_opens_the_ledger_within_a_step_waits_for_its_end(path: Path) -> None:
    seen: list[int] = []

    def look() -> None:
        with opened(path) as other:
            seen.append(count(other))

    looking = threading.Thread(target=look)
    with opened(path) as ledger:
        with ledger.filling():
            ledger.book(batch(1))
            looking.start()
            looking.join(0.2)
            assert seen == []
        looking.join(20)

    assert seen == [1]
