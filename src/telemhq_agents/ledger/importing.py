"""An export back into a ledger: merged by the rules by which logs are, and nothing twice.

What was told, and what is on its way, is taken in from an export of this machine alone: another
one's destinations are not known here, and the server knows its keys.
"""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.errors import UsageError
from telemhq_agents.ledger import lines, telling
from telemhq_agents.ledger.packing import Origin, Packed
from telemhq_agents.ledger.records import Batch, Parcel, Told
from telemhq_agents.usage import Place, SessionTotal, Turn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from telemhq_agents.ledger.lines import AnyLine, FactLine, OutboxLine, ToldLine, TurnLine
    from telemhq_agents.ledger.store import Ledger

AT_ONCE = 5000
"""Lines that are booked together; all of them are one transaction."""


@dataclass(slots=True)
class Imported:
    """What an export brought. `told` counts what this machine was known to have told."""

    lines: int = 0
    new_facts: int = 0
    changed_facts: int = 0
    turns: int = 0
    told: int = 0
    pings: int = 0
    is_own: bool = False


def import_lines(ledger: Ledger, name: str, export: Iterable[bytes], device_id: str) -> Imported:
    """Take an export in, all of it or nothing; doing so twice adds nothing.

    Raises UsageError for another version, and for a line that is wrong, by its number in `name`.
    """
    done = Imported()
    with ledger.lent() as connection, ledger.transaction():
        desk = _Desk(ledger, connection, done)
        for line in _checked(name, export, device_id, done):
            desk.take(line)
        desk.flush()
    return done


def _checked(
    name: str, export: Iterable[bytes], device_id: str, done: Imported
) -> Iterator[AnyLine]:
    """Yield the lines between the first and the last one, which must be what they are."""
    ended = False
    for number, text in enumerate(export, 1):
        if not text.strip():
            continue
        try:
            line = lines.decode(text)
            if ended:
                raise ValueError("there is more after the end")  # noqa: TRY301 - one place to say it
            if not done.lines:
                done.is_own = _begun(name, line) == device_id
            elif isinstance(line, lines.HeaderLine):
                raise ValueError("an export begins in the middle of another")  # noqa: TRY301 - same
            elif isinstance(line, lines.EndLine):
                ended = _counted(line, done)
            else:
                yield line
        except ValueError as error:
            raise _wrong(f"{name}, line {number}: {error}.") from error
        done.lines += 1
    if not ended:
        raise _wrong(f"{name} is not whole: its last line is missing.")


def _begun(name: str, line: AnyLine) -> str:
    """Return whose export it is. Raises UsageError for another version of it."""
    if not isinstance(line, lines.HeaderLine):
        raise ValueError("this is no export of a ledger")  # noqa: TRY004 - a wrong file, not a wrong call
    if line.version != lines.VERSION:
        raise UsageError(
            f"{name} is an export of version {line.version}; this program reads version "
            f"{lines.VERSION}.",
            "Nothing was changed. Upgrade telemhq here, or export with this version there.",
        )
    return line.device


def _counted(line: lines.EndLine, done: Imported) -> bool:
    if line.lines != done.lines:
        raise ValueError(f"{line.lines} lines were written, {done.lines} are here")
    return True


def _wrong(what: str) -> UsageError:
    return UsageError(what, "Nothing was changed. Export again: telemhq ledger export FILE")


class _Desk:
    """Books lines in batches, and what was told one by one."""

    def __init__(self, ledger: Ledger, connection: sqlite3.Connection, done: Imported) -> None:
        self._ledger = ledger
        self._connection = connection
        self._done = done
        self._facts: list[FactLine] = []
        self._turns: list[Turn] = []
        self._totals: list[SessionTotal] = []
        self._told: dict[str, tuple[int, int]] = {}

    def take(self, line: AnyLine) -> None:
        """Book one line, soon."""
        match line:
            case lines.FactLine():
                self._facts.append(line)
            case lines.TurnLine():
                self._turns += _sightings(line)
                self._done.turns += 1
            case lines.TotalLine():
                self._totals.append(_total(line))
            case lines.ToldLine() if self._done.is_own:
                self._take_told(line)
            case lines.OutboxLine() if self._done.is_own:
                self._take_ping(line)
            case _:
                self._take_rest(line)
        if len(self._facts) + len(self._turns) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Book what was gathered."""
        batch = Batch(turns=self._turns, packed=[_packed(self._facts)], totals=self._totals)
        booked = self._ledger.book(batch)
        self._done.new_facts += booked.new_facts
        self._done.changed_facts += booked.changed_facts
        self._facts, self._turns, self._totals = [], [], []

    def _take_told(self, line: ToldLine) -> None:
        """Take what was told where this ledger knows less of it; what it knows better stays."""
        if len(line.amounts) != len(AMOUNT_FIELDS):
            raise ValueError(f"amounts are {len(AMOUNT_FIELDS)} figures, not {len(line.amounts)}")
        parcel, told = _parcel(line), _told_state(line)
        known = _known_told(self._connection, parcel, told.key)
        if known is None:
            row_id = telling.add_told(self._connection, parcel, told)
            self._told[told.key] = row_id, -1
        else:
            row_id, key, revision = known
            if key != told.key or revision >= told.revision:
                return
            telling.save_told(self._connection, row_id, told)
            self._told[told.key] = row_id, revision
        telling.reopen(self._connection, row_id)
        self._done.told += 1

    def _take_ping(self, line: OutboxLine) -> None:
        """Put a ping back on its way, as one that may have arrived since the export."""
        told_id = None
        if line.told_key:
            told_id, before = self._told.get(line.told_key, (None, 0))
            if told_id is None or line.revision <= before:
                return
        added = self._connection.execute(
            "INSERT OR IGNORE INTO outbox (destination, key, body, created_ms, state, last_error, "
            "sending, told_id, revision) SELECT ?, ?, ?, ?, ?, ?, 1, ?, ? WHERE NOT EXISTS "
            "(SELECT 1 FROM answered WHERE destination = ? AND key = ?)",
            (
                *(line.destination, line.key, line.body, line.created_ms, line.state.value),
                *(line.last_error, told_id, line.revision, line.destination, line.key),
            ),
        )
        self._done.pings += added.rowcount

    def _take_rest(self, line: AnyLine) -> None:
        match line:
            case lines.ActivityLine(turn_key, kind, name, count, duration_ms):
                self._connection.execute(
                    "INSERT INTO activities (turn_key, kind, name, count, duration_ms) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "count = max(count, excluded.count), "
                    "duration_ms = max(duration_ms, excluded.duration_ms)",
                    (turn_key, kind.value, name, count, duration_ms),
                )
            case lines.HeardLine(key, at_ms):
                self._put("heard (key, at_ms)", key, at_ms)
            case lines.AnsweredLine(destination, key, at_ms) if self._done.is_own:
                self._put("answered (destination, key, answered_ms)", destination, key, at_ms)
            case lines.AbilityLine(destination, corrections) if self._done.is_own:
                self._put("abilities (destination, corrections)", destination, corrections)
            case _:
                return

    def _put(self, where: str, *values: object) -> None:
        self._connection.execute(
            f"INSERT OR IGNORE INTO {where} VALUES ({', '.join('?' * len(values))})", values
        )


def _packed(facts: Iterable[FactLine]) -> Packed:
    """Return facts as they are booked, their frozen costs kept."""
    places: dict[Origin, int] = {}
    packed = Packed()
    for line in facts:
        origin = Origin(
            line.source,
            line.session_id,
            line.thread_id,
            line.turn_key,
            line.provider,
            line.model,
            Place(line.cwd, line.project, line.log_project),
        )
        if origin not in places:
            places[origin] = len(packed.origins)
            packed.origins.append(origin)
        packed.rows.append(_row(line, places[origin]))
    return packed


def _row(line: FactLine, origin: int) -> list[int | str]:
    return [
        line.key,
        origin,
        line.at_ms,
        line.input_tokens,
        line.cached_input_tokens,
        line.cache_write_tokens,
        line.cache_write_1h_tokens,
        line.output_tokens,
        line.reasoning_tokens,
        line.cost_nano,
        line.unpriced_tokens,
        line.price_date,
        line.estimate,
        line.precedence,
        line.sighted_ms,
    ]


def _sightings(line: TurnLine) -> list[Turn]:
    """Return a turn as it was seen: where it won its place, and where it began."""
    place = Place(line.cwd, line.project, line.log_project)

    def seen(started_ms: int, precedence: int) -> Turn:
        return Turn(
            line.key,
            line.source,
            line.session_id,
            line.thread_id,
            place,
            started_ms,
            line.ended_ms,
            line.duration_ms,
            line.status,
            line.agent_version,
            precedence,
            line.failure,
        )

    won = seen(line.sighted_ms, line.precedence)
    if line.sighted_ms == line.started_ms:
        return [won]
    return [won, seen(line.started_ms, line.precedence + 1)]


def _total(line: lines.TotalLine) -> SessionTotal:
    return SessionTotal(
        line.source,
        line.session_id,
        line.model,
        Place(line.cwd, line.project, line.log_project),
        line.at_ms,
        line.is_complete,
        line.input_tokens,
        line.cached_input_tokens,
        line.cache_write_tokens,
        line.cache_write_1h_tokens,
        line.output_tokens,
        line.reasoning_tokens,
    )


def _parcel(line: ToldLine) -> Parcel:
    return Parcel(
        line.source.value,
        line.session_id,
        line.thread_id,
        line.span,
        line.provider,
        line.model,
        line.project,
        line.log_project,
        line.quarter_ms,
    )


def _told_state(line: ToldLine) -> Told:
    amounts = Amounts(*line.amounts)
    state = (line.revision, line.shared, line.last_ms, line.named)
    return Told(line.key, line.destination, amounts, *state)


def _known_told(
    connection: sqlite3.Connection, parcel: Parcel, key: str
) -> tuple[int, str, int] | None:
    """Return the row, key and revision of what is known to be told of a parcel, or by a key."""
    same = " AND ".join(f"{name} = ?" for name in telling.PARCEL_COLUMNS)
    row: tuple[int, str, int] | None = connection.execute(
        f"SELECT id, key, revision FROM told WHERE key = ? OR ({same}) "
        "ORDER BY key = ? DESC LIMIT 1",
        (key, *astuple(parcel), key),
    ).fetchone()
    return row
