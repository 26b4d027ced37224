"""The ledger's tables, as one list of steps. A step that was ever released is never changed."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import AMOUNT_FIELDS
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    import sqlite3

_AMOUNTS = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in AMOUNT_FIELDS)

# Times are milliseconds UTC. `slot_ms` is the start of the coalescing window a fact lies in, -1
# where its source is not coalesced at that time. Buckets are derived from facts and turns, told
# and outbox are not.
_FIRST = (
    """CREATE TABLE places (
        id INTEGER PRIMARY KEY,
        cwd TEXT NOT NULL, project TEXT NOT NULL, log_project TEXT NOT NULL,
        UNIQUE (cwd, project, log_project))""",
    """CREATE TABLE facts (
        key TEXT PRIMARY KEY,
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        turn_key TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        place_id INTEGER NOT NULL REFERENCES places (id),
        at_ms INTEGER NOT NULL, quarter_ms INTEGER NOT NULL, slot_ms INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL, cache_write_1h_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, unpriced_tokens INTEGER NOT NULL, price_date TEXT NOT NULL,
        estimate TEXT NOT NULL, precedence INTEGER NOT NULL, sighted_ms INTEGER NOT NULL,
        rule_version INTEGER NOT NULL)""",
    "CREATE INDEX facts_turn ON facts (turn_key)",
    """CREATE TABLE turns (
        key TEXT PRIMARY KEY,
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        place_id INTEGER NOT NULL REFERENCES places (id),
        started_ms INTEGER NOT NULL, ended_ms INTEGER, duration_ms INTEGER,
        status TEXT NOT NULL, agent_version TEXT NOT NULL,
        precedence INTEGER NOT NULL, sighted_ms INTEGER NOT NULL,
        quarter_ms INTEGER NOT NULL, slot_ms INTEGER NOT NULL)""",
    "CREATE INDEX turns_thread ON turns (source, thread_id, started_ms)",
    f"""CREATE TABLE buckets (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        turn_key TEXT NOT NULL, span TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        project TEXT NOT NULL, log_project TEXT NOT NULL, quarter_ms INTEGER NOT NULL,
        cwd TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, {_AMOUNTS})""",
    "CREATE INDEX buckets_turn ON buckets (turn_key)",
    "CREATE INDEX buckets_span ON buckets (span)",
    """CREATE TABLE open_spans (
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        span TEXT NOT NULL, touched_ms INTEGER NOT NULL,
        PRIMARY KEY (source, span, session_id, thread_id)) WITHOUT ROWID""",
    f"""CREATE TABLE told (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE, destination TEXT NOT NULL,
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        span TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        project TEXT NOT NULL, log_project TEXT NOT NULL, quarter_ms INTEGER NOT NULL,
        revision INTEGER NOT NULL, shared INTEGER NOT NULL, last_ms INTEGER NOT NULL,
        {_AMOUNTS})""",
    "CREATE INDEX told_span ON told (span)",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        destination TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
        created_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_ms INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'pending',
        last_error TEXT NOT NULL DEFAULT '', sending INTEGER NOT NULL DEFAULT 0,
        told_id INTEGER REFERENCES told (id), revision INTEGER NOT NULL DEFAULT 0,
        UNIQUE (destination, key))""",
    "CREATE INDEX outbox_due ON outbox (state, next_attempt_ms, id)",
    "CREATE INDEX outbox_told ON outbox (told_id) WHERE told_id IS NOT NULL",
    # A spool entry may be imported a second time after a crash: its key must still be known.
    """CREATE TABLE answered (
        destination TEXT NOT NULL, key TEXT NOT NULL, answered_ms INTEGER NOT NULL,
        PRIMARY KEY (destination, key)) WITHOUT ROWID""",
    """CREATE TABLE pauses (
        destination TEXT PRIMARY KEY, until_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
        reason TEXT NOT NULL)""",
    """CREATE TABLE destinations (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, destination TEXT NOT NULL, since_ms INTEGER NOT NULL)""",
    """CREATE TABLE coalescing (
        source TEXT NOT NULL, from_ms INTEGER NOT NULL, window_ms INTEGER NOT NULL,
        PRIMARY KEY (source, from_ms)) WITHOUT ROWID""",
    """CREATE TABLE cursors (
        source TEXT NOT NULL, file_key TEXT NOT NULL, path TEXT NOT NULL, inode INTEGER NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, fingerprint TEXT NOT NULL,
        "offset" INTEGER NOT NULL, state TEXT NOT NULL,
        PRIMARY KEY (source, file_key)) WITHOUT ROWID""",
)

_SECOND = (
    "DROP INDEX turns_thread",
    "CREATE INDEX turns_thread ON turns (source, session_id, thread_id, started_ms)",
    """CREATE TABLE abilities (
        destination TEXT PRIMARY KEY, corrections INTEGER NOT NULL) WITHOUT ROWID""",
)

_FACT_FIGURES = (
    "at_ms, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, "
    "output_tokens, reasoning_tokens, cost_nano, unpriced_tokens, price_date, estimate, "
    "precedence, sighted_ms, slot_ms, rule_version"
)
_ORIGIN = "source, session_id, thread_id, turn_key, provider, model, place_id"

# What the facts of a turn share is written once, which makes a first reading twice as fast.
# `heard` holds the keys of what was added to `activities`, so that nothing is added twice.
_THIRD = (
    """CREATE TABLE origins (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, session_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        turn_key TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        place_id INTEGER NOT NULL REFERENCES places (id),
        UNIQUE (turn_key, session_id, thread_id, provider, model, place_id, source))""",
    "CREATE INDEX origins_session ON origins (session_id)",
    f"INSERT INTO origins ({_ORIGIN}) SELECT DISTINCT {_ORIGIN} FROM facts",
    """CREATE TABLE facts_now (
        key TEXT PRIMARY KEY, origin_id INTEGER NOT NULL REFERENCES origins (id),
        at_ms INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL, cache_write_1h_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, unpriced_tokens INTEGER NOT NULL, price_date TEXT NOT NULL,
        estimate TEXT NOT NULL, precedence INTEGER NOT NULL, sighted_ms INTEGER NOT NULL,
        slot_ms INTEGER NOT NULL, rule_version INTEGER NOT NULL)""",
    f"""INSERT INTO facts_now (key, origin_id, {_FACT_FIGURES})
        SELECT key, o.id, {_FACT_FIGURES} FROM facts f
        JOIN origins o USING ({_ORIGIN})""",
    "DROP TABLE facts",
    "ALTER TABLE facts_now RENAME TO facts",
    "CREATE INDEX facts_origin ON facts (origin_id)",
    "CREATE INDEX facts_estimated ON facts (estimate) WHERE estimate <> ''",
    "CREATE INDEX buckets_session ON buckets (session_id)",
    "CREATE INDEX buckets_quarter ON buckets (quarter_ms)",
    """CREATE TABLE activities (
        turn_key TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        count INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
        PRIMARY KEY (turn_key, kind, name)) WITHOUT ROWID""",
    "CREATE TABLE heard (key TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE session_totals (
        source TEXT NOT NULL, session_id TEXT NOT NULL, model TEXT NOT NULL,
        place_id INTEGER NOT NULL REFERENCES places (id),
        at_ms INTEGER NOT NULL, is_complete INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL, cache_write_1h_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        PRIMARY KEY (source, session_id, model)) WITHOUT ROWID""",
)

_FOURTH = (
    "ALTER TABLE told ADD COLUMN named TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE turns ADD COLUMN failure TEXT NOT NULL DEFAULT ''",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND, _THIRD, _FOURTH)
"""Step n takes a ledger from version n to n + 1; the version is SQLite's `user_version`."""


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the ledger `name` to this program's version, every step and its number as one.

    Raises SettingsError when a newer program has written it.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, name)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _apply(connection: sqlite3.Connection, name: str) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise SettingsError(
            f"The ledger {name} was written by a newer telemhq (its version is {version}, "
            f"this program knows {len(MIGRATIONS)}).",
            "Upgrade telemhq, or set TELEMHQ_HOME to another directory.",
        )
    for step in MIGRATIONS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
