"""One transcript, read by a process that knows no ledger: in parts, each of which can be gone on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from claude_code_hooks import read as reading_of
from claude_code_hooks.read import read
from claude_code_hooks.transcript import Transcript
from telemhq_agents import tail
from telemhq_agents.ledger.records import Batch
from telemhq_agents.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.ledger.records import Cursor
    from tests.claude_code_hooks.conftest import Home, Lines, MemoryLedger, PlainNamer

NOW_MS = 1_900_000_000_000


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_of, "PART_FACTS", 3)
    monkeypatch.setattr(tail, "LINES_AT_ONCE_BYTES", 2000)


def parts_of(path: Path, namer: PlainNamer, known: Cursor | None = None) -> list[Reading]:
    each = Transcript(path, "s1.jsonl")
    return list(read(each, tail.identify(path, known), known, namer, NOW_MS))


def long_session(home: Home, lines: Lines) -> Path:
    work: list[dict[str, Any]] = []
    for second in range(1, 50, 3):
        work += [lines.prompt(second), lines.reply(second + 1, f"m{second}", stop="tool_use")]
        work += [lines.reply(second + 2, f"m{second}"), lines.tool_result(second + 2, "x" * 300)]
    return home.write("s1", [*work, lines.cost_state(input=9)])


def booked(ledger: MemoryLedger, parts: list[Reading]) -> MemoryLedger:
    for part in parts:
        assert part.cursor is not None
        batch = Batch(facts=part.facts, turns=part.turns, cursors=[part.cursor], totals=part.totals)
        ledger.book(batch)
    return ledger


@pytest.mark.usefixtures("small_parts")
def test_a_long_file_comes_in_parts_that_amount_to_the_whole(
    home: Home, lines: Lines, new_ledger: type[MemoryLedger]
) -> None:
    path = long_session(home, lines)

    parts = parts_of(path, home.namer)

    home.scan()
    ledger = booked(new_ledger(), parts)
    assert len(parts) > 3
    assert max(len(part.facts) for part in parts) < 12
    assert (ledger.facts, ledger.turns) == (home.ledger.facts, home.ledger.turns)
    assert ledger.session_totals == home.ledger.session_totals
    assert sum(part.lines for part in parts) == 17 * 4 + 1


@pytest.mark.usefixtures("small_parts")
def test_a_reading_that_was_broken_off_goes_on_behind_its_last_part(
    home: Home, lines: Lines, new_ledger: type[MemoryLedger]
) -> None:
    path = long_session(home, lines)
    first, *rest = parts_of(path, home.namer)
    cursor = first.cursor
    assert cursor is not None
    identity = tail.identify(path, cursor)
    assert not tail.unchanged(cursor, identity)

    anew = parts_of(path, home.namer, cursor)

    home.scan()
    ledger = booked(new_ledger(), [first, *anew])
    assert (ledger.facts, ledger.turns) == (home.ledger.facts, home.ledger.turns)
    assert sum(part.lines for part in anew) == sum(part.lines for part in rest)


def test_what_is_read_crosses_to_another_process_unchanged(home: Home, lines: Lines) -> None:
    path = long_session(home, lines)

    for part in parts_of(path, home.namer):
        sent = msgspec.msgpack.encode(part)

        assert msgspec.msgpack.decode(sent, type=Reading) == part


def test_a_file_that_is_gone_tells_nothing(home: Home, lines: Lines) -> None:
    path = long_session(home, lines)
    identity = tail.identify(path)
    path.unlink()

    assert list(read(Transcript(path, "s1"), identity, None, home.namer, NOW_MS)) == []


def test_a_file_that_cannot_be_read_is_a_problem_that_names_it(home: Home, lines: Lines) -> None:
    path = long_session(home, lines)
    identity = tail.identify(path)
    path.unlink()
    path.mkdir()

    (part,) = read(Transcript(path, "s1"), identity, None, home.namer, NOW_MS)

    assert part.cursor is None
    assert [str(path) in problem for problem in part.problems] == [True]


def test_the_last_cursor_is_of_the_whole_file(home: Home, lines: Lines) -> None:
    path = long_session(home, lines)
    cursor = parts_of(path, home.namer)[-1].cursor

    assert cursor is not None
    assert cursor.offset == cursor.size == path.stat().st_size
    assert tail.unchanged(cursor, tail.identify(path, cursor))
