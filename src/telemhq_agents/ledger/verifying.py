"""Whether a ledger is whole, and its sums are those of its facts and turns."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.errors import BrokenLedgerError
from telemhq_agents.ledger import buckets, reading
from telemhq_agents.ledger.connection import transaction
from telemhq_agents.ledger.telling import PARCEL_COLUMNS, reopen
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from telemhq_agents.ledger.reading import BookedFact, BookedTurn
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.usage import Place, Turn, UsageFact

MOST_MESSAGES = 20
"""Of SQLite's own check; one broken page brings hundreds."""
_KEY = ("turn_key", *PARCEL_COLUMNS)


class BucketKey(NamedTuple):
    """What a sum is of."""

    turn_key: str
    source: str
    session_id: str
    thread_id: str
    span: str
    provider: str
    model: str
    project: str
    log_project: str
    quarter_ms: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that is not what its facts and turns come to."""

    key: BucketKey
    held: Amounts
    derived: Amounts


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong: the file (SQLite's words), sums, and what was told.

    `untold` are rows whose difference from the sums nothing would ever send; `strays` say in
    words which ping on its way fits nothing that was told.
    """

    file: list[str] = field(default_factory=list)
    sums: list[Difference] = field(default_factory=list)
    untold: list[int] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    facts: int = 0
    turns: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.file or self.sums or self.untold or self.strays)


def verify(ledger: Ledger) -> Findings:
    """Check a ledger; changes nothing. Where the file itself is damaged, only that is told."""
    try:
        with ledger.lent() as connection:
            messages = _file_messages(connection)
            if messages:
                return Findings(file=messages)
            connection.execute("BEGIN")
            try:
                return _content_findings(connection)
            finally:
                connection.rollback()
    except BrokenLedgerError as error:
        return Findings(file=[error.message])
    except (ValueError, TypeError) as error:  # a source, a status, a number that damage has made up
        return Findings(file=[f"a row holds what none can hold: {error}"])


def repair(ledger: Ledger, findings: Findings, now_ms: int) -> Findings:
    """Recompute the sums that are wrong, and have what nobody would tell looked at again.

    An index that is damaged is made anew. Returns what is still wrong then: a damaged file, which
    only another one replaces, and strays, which a person must look at.
    """
    try:
        with ledger.lent() as connection:
            if findings.file:
                connection.execute("REINDEX")
                findings = verify(ledger)
            with transaction(connection):
                buckets.touch(connection, {one.key.turn_key for one in findings.sums})
                buckets.recompute(connection, now_ms)
                for row_id in findings.untold:
                    reopen(connection, row_id)
    except BrokenLedgerError as error:
        return Findings(file=[error.message])
    return verify(ledger)


def _file_messages(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(f"PRAGMA integrity_check({MOST_MESSAGES})")
    messages = [str(message) for (message,) in found if message != "ok"]
    loose = connection.execute("PRAGMA foreign_key_check").fetchmany(MOST_MESSAGES)
    return messages + [
        f"row {row[1]} of {row[0]} names a row of {row[2]} that is gone" for row in loose
    ]


def _content_findings(connection: sqlite3.Connection) -> Findings:
    derived, facts, turns = derive(connection)
    held = dict(_held(connection))
    sums = [
        Difference(key, held.get(key, Amounts()), derived.get(key, Amounts()))
        for key in sorted({*held, *derived})
        if held.get(key, Amounts()) != derived.get(key, Amounts())
    ]
    return Findings([], sums, _untold(connection), _strays(connection), facts, turns)


def _held(connection: sqlite3.Connection) -> Iterator[tuple[BucketKey, Amounts]]:
    columns = ", ".join((*_KEY, *(f"sum({name})" for name in AMOUNT_FIELDS)))
    for row in connection.execute(f"SELECT {columns} FROM buckets GROUP BY {', '.join(_KEY)}"):
        yield BucketKey(*row[: len(_KEY)]), Amounts(*row[len(_KEY) :])


def derive(connection: sqlite3.Connection) -> tuple[dict[BucketKey, Amounts], int, int]:
    """Return the sums that the facts and turns come to, and how many there are of each.

    Worked out without SQL, by the words of docs/explanation/the-road.md, so that it tells when
    the statements that book are wrong.
    """
    sums: defaultdict[BucketKey, list[int]] = defaultdict(lambda: [0] * len(AMOUNT_FIELDS))
    first: dict[str, tuple[tuple[object, ...], BucketKey]] = {}
    facts = turns = 0
    for booked in reading.facts(connection):
        facts += 1
        key, rank = _key(booked.fact, booked.fact.at_ms, booked.slot_ms), _rank(booked.fact)
        _add(sums[key], _amounts(booked))
        leader = first.get(key.turn_key)
        if leader is None or rank < leader[0]:
            first[key.turn_key] = rank, key
    for booked_turn in reading.turns(connection):
        turns += 1
        turn = booked_turn.turn
        leader = first.get(turn.key)
        _add(sums[leader[1] if leader else _own_key(booked_turn)], _run(turn))
    return {key: Amounts(*figures) for key, figures in sums.items()}, facts, turns


def _add(figures: list[int], amounts: Amounts) -> None:
    for index, value in enumerate(amounts.values()):
        figures[index] += value


def _key(fact: UsageFact, at_ms: int, slot_ms: int) -> BucketKey:
    return _bucket(
        fact.turn_key,
        (fact.source.value, fact.session_id, fact.thread_id),
        slot_ms,
        (fact.provider, fact.model),
        fact.place,
        at_ms,
    )


def _own_key(booked: BookedTurn) -> BucketKey:
    """Return the bucket of a turn without any usage: where it ended, else where it began."""
    turn = booked.turn
    at_ms = turn.started_ms if turn.ended_ms is None else turn.ended_ms
    names = (turn.source.value, turn.session_id, turn.thread_id)
    return _bucket(turn.key, names, booked.slot_ms, ("", ""), turn.place, at_ms)


def _bucket(  # noqa: PLR0917 - the parts of a key, in its order
    turn_key: str,
    names: tuple[str, str, str],
    slot_ms: int,
    model: tuple[str, str],
    place: Place,
    at_ms: int,
) -> BucketKey:
    span = turn_key if slot_ms < 0 else f"w{slot_ms}"
    projects = (place.project, place.log_project)
    return BucketKey(turn_key, *names, span, *model, *projects, quarter(at_ms))


def _rank(fact: UsageFact) -> tuple[object, ...]:
    """Return by what the first response of a turn is found; the project comes last."""
    return (
        fact.at_ms,
        fact.model,
        fact.provider,
        fact.place.log_project,
        fact.session_id,
        fact.thread_id,
        fact.source.value,
        fact.place.project,
    )


def _amounts(booked: BookedFact) -> Amounts:
    fact = booked.fact
    return Amounts(
        responses=1,
        input_tokens=fact.input_tokens,
        cached_input_tokens=fact.cached_input_tokens,
        cache_write_tokens=fact.cache_write_tokens,
        output_tokens=fact.output_tokens,
        reasoning_tokens=fact.reasoning_tokens,
        total_tokens=fact.input_tokens + fact.output_tokens,
        cost_nano=booked.cost_nano,
        unpriced_tokens=booked.unpriced_tokens,
    )


def _run(turn: Turn) -> Amounts:
    failed = int(turn.status is TurnStatus.ERROR)
    return Amounts(runs=1, failures=failed, duration_ms=turn.duration_ms or 0)


def _untold(connection: sqlite3.Connection) -> list[int]:
    """Return told rows that differ from the sums though nothing is on its way or due to be."""
    same = " AND ".join(f"b.{name} = told.{name}" for name in PARCEL_COLUMNS)
    held = "buckets b INDEXED BY buckets_span"
    differs = " OR ".join(
        f"told.{name} <> coalesce((SELECT sum(b.{name}) FROM {held} WHERE {same}), 0)"
        for name in AMOUNT_FIELDS
    )
    rows = connection.execute(
        f"""SELECT told.id FROM told WHERE NOT told.shared AND ({differs})
            AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.told_id = told.id)
            AND NOT EXISTS (SELECT 1 FROM open_spans o WHERE o.source = told.source
                AND o.span = told.span AND o.session_id = told.session_id
                AND o.thread_id = told.thread_id) ORDER BY told.id"""
    )
    return [row_id for (row_id,) in rows]


def _strays(connection: sqlite3.Connection) -> list[str]:
    """Say which pings on their way belong to nothing that was told, or to a state yet to come."""
    rows = connection.execute(
        """SELECT o.id, o.key, o.revision, told.key, told.revision FROM outbox o
            LEFT JOIN told ON told.id = o.told_id
            WHERE o.told_id IS NOT NULL AND (told.id IS NULL OR o.revision > told.revision
                OR o.key <> told.key || CASE o.revision WHEN 0 THEN '' ELSE '.r' || o.revision END)
            ORDER BY o.id"""
    )
    return [
        f"ping {row_id} ({key}, revision {revision}) does not belong to what was told"
        + (f" ({told_key}, revision {told_revision})" if told_key else "")
        for row_id, key, revision, told_key, told_revision in rows
    ]
