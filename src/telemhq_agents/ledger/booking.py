"""Facts, turns and what goes with them into the ledger, and buckets out of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from telemhq_agents.ledger import activities, facts, session_totals, turns
from telemhq_agents.ledger.buckets import recompute, touch
from telemhq_agents.ledger.packing import pack
from telemhq_agents.ledger.places import Places
from telemhq_agents.ledger.records import Batch, Booked

if TYPE_CHECKING:
    import sqlite3

    from telemhq_agents.ledger.records import Cursor
    from telemhq_agents.ledger.slots import Slots
    from telemhq_agents.pricing import Prices


def book(
    connection: sqlite3.Connection, batch: Batch, *, prices: Prices, slots: Slots, now_ms: int
) -> Booked:
    """Book a batch and recompute the buckets it touched; the caller holds the transaction."""
    places = Places(connection)
    sheets = [*batch.packed, pack(batch.facts, prices)]
    new, changed, touched = facts.book(connection, sheets, places, prices, slots)
    touched |= turns.book(connection, batch.turns, places, slots)
    session_totals.book(connection, batch.totals, places)
    activities.book(connection, batch.activities, now_ms)
    _move_cursors(connection, batch.cursors)
    if touched:
        touch(connection, touched)
        recompute(connection, now_ms)
    return Booked(new_facts=new, changed_facts=changed)


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
