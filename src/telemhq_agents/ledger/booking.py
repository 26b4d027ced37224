"""Facts, turns and what goes with them into the ledger, and buckets out of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from telemhq_agents.ledger import activities, facts, session_totals, turns
from telemhq_agents.ledger.buckets import add, recompute, touch
from telemhq_agents.ledger.packing import pack
from telemhq_agents.ledger.places import Places
from telemhq_agents.ledger.records import Batch, Booked
from telemhq_agents.ledger.whole import buckets_of

if TYPE_CHECKING:
    import sqlite3

    from telemhq_agents.ledger.merging import TurnRow
    from telemhq_agents.ledger.records import Cursor
    from telemhq_agents.ledger.seen import Seen
    from telemhq_agents.ledger.slots import Slots
    from telemhq_agents.pricing import Prices


def book(
    connection: sqlite3.Connection,
    batch: Batch,
    *,
    prices: Prices,
    slots: Slots,
    now_ms: int,
    seen: Seen | None = None,
) -> Booked:
    """Book a batch and recompute the buckets it touched; the caller holds the transaction.

    `seen` is what the ledger holds, where the caller remembers all of it; it is kept up.
    """
    places = Places(connection)
    sheets = [*batch.packed, pack(batch.facts, prices)]
    used = facts.book(connection, sheets, places, prices, slots, seen)
    told = turns.book(connection, batch.turns, places, slots, seen)
    session_totals.book(connection, batch.totals, places)
    activities.book(connection, batch.activities, now_ms)
    _move_cursors(connection, batch.cursors)
    # In a window a turn's facts may lie apart, and only the database knows all of a known turn's.
    whole = {} if slots.histories else _whole(used, told)
    add(connection, buckets_of(used.new, whole, used.origins, places.named), now_ms)
    touched = (used.touched | told.touched) - whole.keys()
    if touched:
        touch(connection, touched)
        recompute(connection, now_ms)
    return Booked(new_facts=len(used.new), changed_facts=used.changed)


def _whole(used: facts.Entered, told: turns.Entered) -> dict[str, TurnRow]:
    """Return the turns all of which is in this batch: neither they nor facts of theirs were known."""
    found = (used.touched - used.grown) & told.new.keys()
    return {key: told.new[key] for key in found}


def _move_cursors(connection: sqlite3.Connection, cursors: list[Cursor]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO cursors "
        '(source, file_key, path, inode, size, mtime_ns, fingerprint, "offset", state) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                cursor.source.value,
                cursor.file_key,
                cursor.path,
                cursor.inode,
                cursor.size,
                cursor.mtime_ns,
                cursor.fingerprint,
                cursor.offset,
                json.dumps(cursor.state, separators=(",", ":")),
            )
            for cursor in cursors
        ],
    )
