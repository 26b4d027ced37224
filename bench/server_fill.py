"""A database with people, trackers and as many stored runs as a server has after a long time."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from bench.server_load import MEMBERS, PROJECTS, TRACKERS
from server_stub.settings import Settings
from server_stub.setup import initialise
from server_stub.store.engine import Store, writing_engine
from server_stub.store.lookups import sums_on_conflict
from server_stub.store.tables import (
    buckets,
    idempotency_keys,
    memberships,
    session_buckets,
    trackers,
    tracking_tokens,
    users,
)
from telemhq_agents.clock import QUARTER_MS, now_ms
from telemhq_agents.contract.amounts import AMOUNT_FIELDS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

RULES = {
    "schedule": {"cron": "*/5 * * * *", "timezone": "Europe/Berlin", "grace_s": 300},
    "assertions": [{"path": "cost_usd", "operator": "less_than", "value": 5, "id": "a1"}],
}
FIRST_ID = 300_000_000_000_000_000
"""Ids as large as real ones, and smaller than any that is made now."""

DAYS = 365
DAY_MS = 24 * 60 * 60 * 1000
CHARTED_EVERY = 50
"""Every so many runs one is of the tracker that is charted: 200,000 of 10 million."""

BURST = 12
"""Runs of a tracker that come one after the other: a coding agent at work, a job of many steps."""

PART = 250_000
TOKENS = "(1000 + (i * 7919) % 9000)"
FIGURES = {
    "runs": "1",
    "responses": "1",
    "input_tokens": TOKENS,
    "cached_input_tokens": "512",
    "output_tokens": "300",
    "reasoning_tokens": "64",
    "total_tokens": f"{TOKENS} + 300",
    "cost_nano": "12300000",
    "duration_ms": "1500 + i % 1000",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """A database to measure on; `charted` is the id of the tracker with the most runs."""

    url: str
    api_key: str
    account_id: int
    charted: int


def fill(url: str, count: int) -> Filled:
    """Make people, trackers with rules, and `count` runs of the last year with all that is theirs."""
    made = initialise(Settings(database_url=url), "bench@example.com")
    filled = Filled(url, made.api_key, int(made.account_id), FIRST_ID + TRACKERS)
    store = Store(url)
    store.start()
    with store.read() as connection:
        owner = connection.exec_driver_sql("SELECT id FROM users").scalar_one()
    store.write(lambda connection: _add_trackers(connection, filled, owner))
    store.stop()
    _add_runs(filled, owner, count)
    return filled


def _add_trackers(connection: Connection, filled: Filled, owner: int) -> None:
    same = {"account_id": filled.account_id, "created_ms": 1, "rules": json.dumps(RULES)}
    rows: list[dict[str, Any]] = [
        {"id": FIRST_ID + n, "owner_id": FIRST_ID + n % MEMBERS, "name": f"t{n}"} | same
        for n in range(TRACKERS)
    ]
    rows.append({"id": filled.charted, "owner_id": owner, "name": "charted"} | same)
    tokens = [
        {
            "token": f"bench-{row['id'] - FIRST_ID}",
            "account_id": filled.account_id,
            "tracker_id": row["id"],
            "created_ms": 1,
        }
        for row in rows
    ]
    connection.execute(insert(users), [_person(n, filled) for n in range(MEMBERS)])
    belongs = {"account_id": filled.account_id, "role": "member", "joined_ms": 1}
    members = [{"user_id": FIRST_ID + n} | belongs for n in range(MEMBERS)]
    connection.execute(insert(memberships), members)
    connection.execute(insert(trackers), rows)
    connection.execute(insert(tracking_tokens), tokens)


def _person(number: int, filled: Filled) -> dict[str, Any]:
    return {
        "id": FIRST_ID + number,
        "email": f"member{number}@example.com",
        "name": f"Member {number}",
        "default_account_id": filled.account_id,
        "created_ms": 1,
    }


def _add_runs(filled: Filled, owner: int, count: int) -> None:
    engine = writing_engine(filled.url)
    first_ms = now_ms() - DAYS * DAY_MS
    with engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            for pragma in ("synchronous=OFF", "journal_mode=OFF", "cache_size=-500000"):
                connection.connection.cursor().execute(f"PRAGMA {pragma}")
        for start in range(0, count, PART):
            part = range(start, min(start + PART, count))
            began = time.monotonic()
            with connection.begin():
                spread = f"{first_ms} + i * {DAYS * DAY_MS} / {count}"
                _add_part(connection, filled, owner, part, spread)
            _progress(f"{part.stop:,} of {count:,} runs", time.monotonic() - began)
        began = time.monotonic()
        with connection.begin():
            digest = "randomblob(16)" if is_sqlite else "decode(md5(random()::text), 'hex')"
            connection.exec_driver_sql(
                f"INSERT INTO {idempotency_keys.name}"  # noqa: S608 - constants of ours
                f" SELECT account_id, tracker_id, {digest}, tracker_id, id, received_ms FROM runs"
                " ORDER BY 1, 2, 3"
            )
            if not is_sqlite:
                for table in (buckets, session_buckets):
                    _roll_up(connection, table, "")
        if is_sqlite:
            connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
        _progress(f"{count:,} keys", time.monotonic() - began)
    if not is_sqlite:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _add_part(connection: Connection, filled: Filled, owner: int, part: range, ended: str) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    n = f"(i / {BURST} * 2654435761 / 128) % {TRACKERS}"
    is_charted = f"i % {CHARTED_EVERY} = 0"
    tracker = f"CASE WHEN {is_charted} THEN {filled.charted} ELSE {FIRST_ID} + {n} END"
    payload = (
        '\'{"project":"project-\' || (n % 200) || \'","input_tokens":\' || ' + TOKENS + " ||"
        ' \',"cost_usd":0.0123,"duration_ms":\' || (1500 + i % 1000) ||'
        f' \',"quality":{{"score":0.\' || (i % 997) || \'}},"pad":"{"x" * 300}"}}\''
    )
    values = {
        "account_id": str(filled.account_id),
        "tracker_id": "tracker",
        "id": f"{FIRST_ID} + 10000 + i",
        "member_id": f"CASE WHEN {is_charted} THEN {owner} ELSE {FIRST_ID} + n % {MEMBERS} END",
        "received_ms": "ended",
        "ended_ms": "ended",
        "provider": "'openai'",
        "model": "'gpt-5'",
        "project": f"'project-' || (n % {PROJECTS})",
        "status": "'success'",
        "source": "'codex'",
        "session_id": "'session-' || n",
        "thread_id": "'thread-' || n",
        "has_cost": "true",
        "has_duration": "true",
        **FIGURES,
        "payload": payload if is_sqlite else f"({payload})::json",
        "outcome": "'passed'",
        "verdicts": (
            '\'[{"assertion":"a1","path":"cost_usd","operator":"less_than","severity":"fail",'
            '"verdict":"held","message":""}]\''
        ),
    }
    numbers = (
        f"WITH RECURSIVE num(i) AS (SELECT {part.start} UNION ALL SELECT i + 1 FROM num"  # noqa: S608 - numbers
        f" WHERE i < {part.stop - 1})"
        if is_sqlite
        else f"WITH num(i) AS (SELECT generate_series({part.start}::bigint, {part.stop - 1}))"
    )
    connection.exec_driver_sql(
        (
            f"INSERT INTO runs ({', '.join(values)}) SELECT {', '.join(values.values())}"  # noqa: S608 - constants of ours
            f" FROM ({numbers} SELECT i, {n} AS n, {tracker} AS tracker, {ended} AS ended FROM num)"
            " AS made"
        ).replace("%", "%" if is_sqlite else "%%")
    )
    if is_sqlite:
        rows = f"WHERE rowid BETWEEN {part.start + 1} AND {part.stop}"
        for table in (buckets, session_buckets):
            _roll_up(connection, table, rows)


def _roll_up(connection: Connection, table: Table, rows: str) -> None:
    keys = [column.name for column in table.primary_key.columns]
    taken = [f"ended_ms - ended_ms % {QUARTER_MS}" if key == "quarter_ms" else key for key in keys]
    sums = [f"sum({name})" for name in AMOUNT_FIELDS]
    statement = (
        f"INSERT INTO {table.name} ({', '.join([*keys, *AMOUNT_FIELDS])})"  # noqa: S608 - constants of ours
        f" SELECT {', '.join(taken + sums)} FROM runs {rows}"
        f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}"
        f" {sums_on_conflict(table)}"
    )
    connection.exec_driver_sql(statement.replace("%", "%%") if _escapes(connection) else statement)


def _escapes(connection: Connection) -> bool:
    return connection.dialect.name != "sqlite"


def _progress(what: str, seconds: float) -> None:
    print(f"  filled {what} ({seconds:.1f} s)", file=sys.stderr, flush=True)
