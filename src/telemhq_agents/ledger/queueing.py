"""From buckets to the outbox: whatever a destination was not told yet, once it is settled."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import astuple, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.destined import destination_at
from telemhq_agents.ledger import activities, body, due, outbox
from telemhq_agents.ledger.destinations import correctable, histories, slots
from telemhq_agents.ledger.records import Known, Parcel
from telemhq_agents.ledger.slots import window_at
from telemhq_agents.ledger.telling import (
    PARCEL_COLUMNS,
    TOLD_COLUMNS,
    ToldRow,
    add_told,
    keys_like,
    save_told,
    told_from,
)
from telemhq_agents.ledger.withholding import Withholding
from telemhq_agents.privacy import hashed_project, is_private

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from telemhq_agents.ledger.due import Telling
    from telemhq_agents.ledger.records import DeviceFacts
    from telemhq_agents.ledger.slots import Slots

SPANS_AT_ONCE = 500
PATIENCE_WITH_EMPTY = 15


# A span is ready when every turn in it has ended, or was overtaken by a later turn of its thread,
# or when nothing was added to it for a while. A turn that has used nothing yet may still wait for
# its first response, so that while is a longer one. It is final when every turn has ended, or
# after the longer while: what can be corrected need not wait for that. The index is named because
# SQLite would take the session's, and read a session of thousands of turns once for each of them.
_READY = """
    SELECT o.source, o.session_id, o.thread_id, o.span, o.touched_ms <= :long_quiet
        OR coalesce(min(b.id IS NULL OR t.status <> 'running'), 0) AS final
    FROM open_spans o
        LEFT JOIN buckets b INDEXED BY buckets_span ON b.span = o.span AND b.session_id = o.session_id
            AND b.thread_id = o.thread_id AND b.source = o.source
        LEFT JOIN turns t ON t.key = b.turn_key
    WHERE o.source IN (SELECT source FROM destinations)
    GROUP BY o.source, o.span, o.session_id, o.thread_id
    HAVING final
        OR o.touched_ms <= :quiet AND coalesce(sum(b.responses), 0) > 0
        OR coalesce(min(CASE
        WHEN b.id IS NULL OR t.status <> 'running' THEN 1
        ELSE EXISTS (SELECT 1 FROM turns later WHERE later.source = o.source
            AND later.session_id = coalesce(t.session_id, b.session_id)
            AND later.thread_id = coalesce(t.thread_id, b.thread_id) AND later.key <> b.turn_key
            AND later.started_ms > coalesce(t.started_ms, b.last_ms)) END), 1)"""

_KNOWN = f"""
    SELECT {", ".join("b." + name for name in PARCEL_COLUMNS)}, max(b.last_ms), min(b.cwd),
        max(CASE WHEN b.runs > 0 THEN t.status ELSE '' END), max(coalesce(t.agent_version, '')),
        max(CASE WHEN b.runs > 0 THEN t.failure ELSE '' END),
        {", ".join(f"sum(b.{name})" for name in AMOUNT_FIELDS)}
    FROM temp.ready r CROSS JOIN buckets b INDEXED BY buckets_span
            ON b.span = r.span AND b.session_id = r.session_id
            AND b.thread_id = r.thread_id AND b.source = r.source
        LEFT JOIN turns t ON t.key = b.turn_key
    GROUP BY {", ".join("b." + name for name in PARCEL_COLUMNS)}"""

_TOLD = f"""
    SELECT {", ".join("told." + name for name in PARCEL_COLUMNS)}, told.id,
        EXISTS (SELECT 1 FROM outbox WHERE outbox.told_id = told.id),
        {", ".join("told." + name for name in TOLD_COLUMNS)}
    FROM temp.ready r CROSS JOIN told ON told.span = r.span AND told.session_id = r.session_id
        AND told.thread_id = r.thread_id AND told.source = r.source"""

_CLOSE = """
    DELETE FROM open_spans
    WHERE source = ? AND session_id = ? AND thread_id = ? AND span = ?"""


class Span(NamedTuple):
    """What is opened by a booking and settled together: the parcels of a turn or of a window."""

    source: str
    session_id: str
    thread_id: str
    span: str


def hear_the_clock(connection: sqlite3.Connection, now_ms: int) -> None:
    """Let nothing wait longer than it may because a clock that was ahead was set back."""
    connection.execute("UPDATE open_spans SET touched_ms = ? WHERE touched_ms > ?", (now_ms,) * 2)
    outbox.hear_the_clock(connection, now_ms)


def queue_due(
    connection: sqlite3.Connection,
    now_ms: int,
    *,
    device: DeviceFacts,
    settle_ms: int,
    limit: int | None = None,
) -> int:
    """Queue what is due and return how many pings that were; the caller holds the transaction."""
    desk = _Desk(connection, device, now_ms)
    ready = iter(_ready(connection, slots(connection), now_ms, settle_ms).items())
    while (limit is None or desk.queued < limit) and (some := dict(islice(ready, SPANS_AT_ONCE))):
        _consider(connection, desk, some)
    return desk.queued


def _ready(
    connection: sqlite3.Connection, windows: Slots, now_ms: int, settle_ms: int
) -> dict[Span, bool]:
    """Return what is ready, and whether it is final."""
    quiet = {
        "quiet": now_ms - settle_ms,
        "long_quiet": now_ms - settle_ms * PATIENCE_WITH_EMPTY,
    }
    found = {Span(*row[:4]): bool(row[4]) for row in connection.execute(_READY, quiet)}
    return {span: final for span, final in found.items() if _is_over(span, windows, now_ms)}


def _is_over(span: Span, windows: Slots, now_ms: int) -> bool:
    """Tell whether a window has passed; a turn is no window."""
    history = windows.histories.get(span.source)
    if history is None or not body.is_window(span.span):
        return True
    start = int(span.span[1:])
    return start + window_at(history, start) <= now_ms


def _consider(connection: sqlite3.Connection, desk: _Desk, spans: dict[Span, bool]) -> None:
    make_ready(connection, spans)
    desk.withholding.mark()
    known = known_of_ready(connection)
    told = dict(_told(connection))
    # What is new goes first, so that nothing is taken back before it stands elsewhere.
    held = {
        _span(parcel)
        for parcel in sorted({*known, *told}, key=lambda one: (one in told, astuple(one)))
        if not desk.tell(parcel, known.get(parcel), told.get(parcel), final=spans[_span(parcel)])
    }
    connection.executemany(_CLOSE, (span for span in spans if span not in held))


def make_ready(connection: sqlite3.Connection, spans: Iterable[Span]) -> None:
    """Name the spans that the next questions are about."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS ready (source TEXT, session_id TEXT, thread_id TEXT, span TEXT)"
    )
    connection.execute("DELETE FROM temp.ready")
    connection.executemany("INSERT INTO temp.ready VALUES (?, ?, ?, ?)", spans)


def known_of_ready(connection: sqlite3.Connection) -> dict[Parcel, Known]:
    """Return what the ledger knows of the spans that were named."""
    return dict(_known(connection))


def _span(parcel: Parcel) -> Span:
    return Span(parcel.source, parcel.session_id, parcel.thread_id, parcel.span)


def _known(connection: sqlite3.Connection) -> Iterator[tuple[Parcel, Known]]:
    width = len(PARCEL_COLUMNS)
    for row in connection.execute(_KNOWN):
        last_ms, cwd, status, version, failure, *amounts = row[width:]
        known = Known(Amounts(*amounts), last_ms, cwd, status, version, failure or "")
        yield Parcel(*row[:width]), known


def _told(connection: sqlite3.Connection) -> Iterator[tuple[Parcel, ToldRow]]:
    width = len(PARCEL_COLUMNS)
    for row in connection.execute(_TOLD):
        row_id, waiting, *state = row[width:]
        yield Parcel(*row[:width]), ToldRow(row_id, bool(waiting), told_from(state))


class _Desk:
    """Decides parcel by parcel and writes what follows."""

    def __init__(self, connection: sqlite3.Connection, device: DeviceFacts, now_ms: int) -> None:
        self._connection = connection
        self._device = device
        self._now_ms = now_ms
        self._histories = histories(connection)
        self._correctable = correctable(connection)
        self.withholding = Withholding(connection, device.keeps, now_ms)
        self.queued = 0

    def tell(
        self, parcel: Parcel, known: Known | None, row: ToldRow | None, *, final: bool
    ) -> bool:
        """Queue what is due of a parcel; False when it must be looked at again later."""
        if known is not None and known.last_ms > self._now_ms:
            return False  # the server would clamp it into another bucket
        if row is None:
            return known is None or self._tell_first(parcel, known, final=final)
        if row.waiting or self._must_wait(row.told.destination, final=final):
            return False
        if due.caught_up(row.told, known):
            self._connection.execute("UPDATE told SET shared = 0 WHERE id = ?", (row.id,))
        telling = due.correction(row.told, known)
        if telling is not None:
            save_told(self._connection, row.id, telling.told)
            self._queue(telling, parcel, known, row.id)
        return True

    def _must_wait(self, destination: str, *, final: bool) -> bool:
        """Tell whether a destination would be told too early what it may never have corrected."""
        return not final and destination not in self._correctable

    def _tell_first(self, parcel: Parcel, known: Known, *, final: bool) -> bool:
        if is_private(parcel.project):
            return True
        destination = destination_at(self._histories.get(parcel.source, ()), known.last_ms)
        if not destination:
            return True
        if self._must_wait(destination, final=final):
            return False
        base = due.base_key(parcel)
        key = due.free_key(base, keys_like(self._connection, base))
        named = self._named(parcel.project, destination)
        telling = due.first_telling(known, key, destination, named)
        if telling is None:
            return True
        row_id = add_told(self._connection, parcel, telling.told)
        told = replace(known, activities=activities.of_parcel(self._connection, parcel))
        self._queue(telling, parcel, told, row_id)
        return telling.amounts == known.amounts

    def _named(self, project: str, destination: str) -> str:
        """Return what a destination is told that a project is called, "" for its own name."""
        if self._device.naming is None:
            return ""
        key = self._device.naming.get(destination, self._device.salt)
        return hashed_project(key, project)

    def _queue(self, telling: Telling, parcel: Parcel, known: Known | None, told_id: int) -> None:
        self._connection.execute(
            "INSERT INTO outbox (destination, key, body, created_ms, told_id, revision) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                telling.told.destination,
                telling.key,
                body.compose(telling, parcel, known, self._device),
                self._now_ms,
                told_id,
                telling.told.revision,
            ),
        )
        self.queued += 1
