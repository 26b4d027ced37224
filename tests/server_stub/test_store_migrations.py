from __future__ import annotations

import sqlite3
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from server_stub.settings import load
from server_stub.store.engine import Store, writing_engine
from server_stub.store.engine import database_url as parse_url
from server_stub.store.migrate import upgrade
from server_stub.store.tables import metadata
from telemhq_agents.errors import SettingsError, UnreachableError

if TYPE_CHECKING:
    from pathlib import Path


def sqlite_schema(path: Path) -> dict[str, list[str]]:
    """Every table and index of a file, its definition as sorted words."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
        ).fetchall()
    connection.close()
    return {name: sorted(sql.replace("(", " ( ").replace(",", " ").split()) for name, sql in rows}


def test_on_sqlite_migrations_make_exactly_the_tables_that_the_code_knows(
    sqlite_template: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh.sqlite3"
    engine = create_engine(f"sqlite:///{fresh}")
    metadata.create_all(engine)
    engine.dispose()

    assert sqlite_schema(sqlite_template) == sqlite_schema(fresh)


def test_on_postgresql_migrations_make_exactly_the_tables_that_the_code_knows(
    postgres_url: str,
) -> None:
    engine = writing_engine(postgres_url)
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    upgrade(database_url)

    engine = writing_engine(database_url)
    with engine.connect() as connection:
        revisions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    engine.dispose()
    assert len(revisions) == 1


@pytest.mark.parametrize("fixture", ["sqlite_url", "own_postgres_url"])
def test_a_database_of_a_newer_server_is_refused_and_left_alone(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    database_url = request.getfixturevalue(fixture)
    engine = writing_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SettingsError, match="made by a newer server") as caught:
        upgrade(database_url)

    assert "9999" in caught.value.message
    with engine.connect() as connection:
        held = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    assert held == "9999"


def test_two_processes_may_upgrade_an_empty_postgresql_at_once(
    own_postgres_url: str,
) -> None:
    engine = writing_engine(own_postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    failures: list[Exception] = []

    def start() -> None:
        try:
            upgrade(own_postgres_url)
        except Exception as error:  # noqa: BLE001 - asserted on below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    engine.dispose()
    assert failures == []


def test_the_sqlite_file_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "telemhq.sqlite3"

    upgrade(f"sqlite:///{path}")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_hold_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(SettingsError, match="cannot be opened") as caught:
        upgrade(f"sqlite:///{tmp_path}/file/telemhq.sqlite3")

    assert f"{tmp_path}/file" in caught.value.message


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100, encoding="utf-8")

    with pytest.raises(UnreachableError, match="not a database"):
        upgrade(f"sqlite:///{path}")


def test_a_postgresql_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="gave no answer"):
        upgrade(f"postgresql+psycopg://me@/x?host={tmp_path}")


@pytest.mark.parametrize("address", ["mysql://db/x", "sqlite+aiosqlite:///x", "no url"])
def test_other_databases_are_refused(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_url(address)

    assert "TELEMHQ_DATABASE_URL" in caught.value.next_step


@pytest.mark.parametrize(
    "address",
    ["postgresql://u:secret@h:abc/db", "postgresql://[::1/db", "postgresql+psycopg://u@h:1x/db"],
)
def test_an_address_that_cannot_be_read_is_said_so_and_not_shown(address: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        parse_url(address)

    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["a?b.sqlite3", "a b%20c.sqlite3", "a#b.sqlite3", "a@b:c.sqlite3"])
def test_any_path_names_the_file_that_is_opened(name: str, tmp_path: Path) -> None:
    told = load({"TELEMHQ_DATABASE_URL": f"{tmp_path}/{name}"})

    upgrade(told.database_url)

    assert (tmp_path / name).stat().st_size > 0
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {
        name
    }


def test_readers_cannot_write(store: Store) -> None:
    with (
        store.read() as connection,
        pytest.raises(Exception, match=r"(?i)read-?only"),
    ):
        connection.execute(
            text("INSERT INTO accounts VALUES (1, 'team', 'x', 'UTC', 1, 'unlimited')")
        )


def test_a_reader_sees_one_steady_snapshot(store: Store) -> None:
    def count(connection: object) -> int:
        return connection.execute(text("SELECT count(*) FROM accounts")).scalar_one()  # type: ignore[attr-defined,no-any-return]

    with store.read() as connection:
        before = count(connection)
        store.write(
            lambda writing: writing.execute(
                text("INSERT INTO accounts VALUES (1, 'team', 'x', 'UTC', 1, 'unlimited')")
            )
        )
        during = count(connection)
    with store.read() as connection:
        after = count(connection)

    assert (before, during, after) == (0, 0, 1)


def test_sqlite_is_as_durable_as_it_can_be(sqlite_url: str) -> None:
    engine = writing_engine(sqlite_url)
    with engine.connect() as connection:
        journal = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        synchronous = connection.execute(text("PRAGMA synchronous")).scalar_one()
    engine.dispose()

    full = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
    assert (journal, synchronous) == ("wal", full)
