"""The ledger as lines of text: everything in it that the logs may not tell again."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from telemhq_agents.clock import to_iso
from telemhq_agents.ledger import lines, reading, session_totals
from telemhq_agents.ledger.records import OutboxState
from telemhq_agents.ledger.telling import PARCEL_COLUMNS, TOLD_COLUMNS
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterator

    from telemhq_agents.ledger.lines import AnyLine
    from telemhq_agents.ledger.reading import BookedFact, BookedTurn
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.usage import SessionTotal


def export(ledger: Ledger, device_id: str, now_ms: int) -> Generator[bytes, None, None]:
    """Yield the lines of an export, each with its end, as they stood at one moment.

    Agents may go on booking meanwhile. The bodies of pings are in it, and paths; no prompts,
    outputs or secrets, for the ledger has none. Close it before the ledger.
    """
    with ledger.lent() as connection:
        connection.execute("BEGIN")
        try:
            yield _line(lines.HeaderLine(lines.VERSION, device_id, to_iso(now_ms)))
            count = 1
            for one in _content(connection):
                yield _line(one)
                count += 1
            yield _line(lines.EndLine(count))
        finally:
            connection.rollback()


def _line(line: AnyLine) -> bytes:
    return lines.encode(line) + b"\n"


def _content(connection: sqlite3.Connection) -> Iterator[AnyLine]:
    yield from map(_fact, reading.facts(connection))
    yield from map(_turn, reading.turns(connection))
    yield from (
        lines.ActivityLine(one.turn_key, one.kind, one.name, one.count, one.duration_ms)
        for one in reading.activities(connection)
    )
    for total in session_totals.told(connection, reading.FIRST_MS, reading.LAST_MS):
        yield _total(total)
    yield from _told(connection)
    yield from _outbox(connection)
    for key, at_ms in connection.execute("SELECT key, at_ms FROM heard"):
        yield lines.HeardLine(key, at_ms)
    for row in connection.execute("SELECT destination, key, answered_ms FROM answered"):
        yield lines.AnsweredLine(*row)
    for destination, corrections in connection.execute(
        "SELECT destination, corrections FROM abilities"
    ):
        yield lines.AbilityLine(destination, bool(corrections))


def _fact(booked: BookedFact) -> lines.FactLine:
    fact = booked.fact
    before, after = astuple(fact)[:7], astuple(fact)[8:15]
    price = (booked.cost_nano, booked.unpriced_tokens, booked.price_date)
    ending = (fact.estimate, fact.precedence, booked.sighted_ms)
    values: tuple[Any, ...] = (*before, *astuple(fact.place), *after, *price, *ending)
    return lines.FactLine(*values)


def _turn(booked: BookedTurn) -> lines.TurnLine:
    turn = booked.turn
    before, after = astuple(turn)[:4], astuple(turn)[5:]
    values: tuple[Any, ...] = (*before, *astuple(turn.place), *after, booked.sighted_ms)
    return lines.TurnLine(*values)


def _total(total: SessionTotal) -> lines.TotalLine:
    return lines.TotalLine(*astuple(total)[:3], *astuple(total.place), *astuple(total)[4:])


def _told(connection: sqlite3.Connection) -> Iterator[lines.ToldLine]:
    columns = ", ".join((*PARCEL_COLUMNS, *TOLD_COLUMNS))
    width = len(PARCEL_COLUMNS)
    for row in connection.execute(f"SELECT {columns} FROM told ORDER BY id"):
        key, destination, revision, shared, last_ms, named, *amounts = row[width:]
        state = (key, destination, revision, bool(shared), last_ms, amounts, named)
        values: tuple[Any, ...] = (Source(row[0]), *row[1:width], *state)
        yield lines.ToldLine(*values)


def _outbox(connection: sqlite3.Connection) -> Iterator[lines.OutboxLine]:
    rows = connection.execute(
        "SELECT o.destination, o.key, o.body, o.created_ms, o.state, o.last_error, "
        "coalesce(t.key, ''), o.revision FROM outbox o LEFT JOIN told t ON t.id = o.told_id "
        "ORDER BY o.id"
    )
    for destination, key, body, created_ms, state, last_error, told_key, revision in rows:
        yield lines.OutboxLine(
            destination,
            key,
            bytes(body),
            created_ms,
            OutboxState(state),
            last_error,
            told_key,
            revision,
        )
