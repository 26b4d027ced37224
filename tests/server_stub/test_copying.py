from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select

from server_stub.domain.payload import judge
from server_stub.domain.run import Arrival
from server_stub.store.copying import copy_database
from server_stub.store.engine import Store, writing_engine
from server_stub.store.tables import buckets, metadata, runs, trackers, tracking_tokens, users
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_800_000_000_000
PAYLOADS = [
    {"status": "success", "project": "übung", "input_tokens": 120, "output_tokens": 30},
    {"status": "error", "model": "gpt-5", "cost_usd": 0.25, "nested": {"a": [1, None, "x\\y"]}},
    {"total_tokens": 7, "note": 'quoted "twice"', "ok": True},
]


def fill(url: str, *, times: int = 1) -> None:
    store = Store(url)
    store.start()
    try:
        store.write(
            lambda connection: (
                connection.execute(
                    insert(users).values(
                        id=9, email="a@b.c", name="A", default_account_id=1, created_ms=1
                    )
                ),
                connection.execute(
                    insert(trackers).values(
                        account_id=1, id=5, owner_id=9, name="t", created_ms=1, memory="{}"
                    )
                ),
                connection.execute(
                    insert(tracking_tokens).values(
                        token="tok", account_id=1, tracker_id=5, created_ms=1
                    )
                ),
            )
        )
        for number in range(times):
            for payload in PAYLOADS:
                facts = judge(payload, NOW + number)
                store.writer.ingest(Arrival("tok", "", NOW + number, facts)).result()
    finally:
        store.stop()


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = writing_engine(url)
    with engine.connect() as connection:
        held = {
            table.name: [
                tuple(_plain(value) for value in row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).all()
            ]
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return held


def _plain(value: object) -> object:
    import json

    if isinstance(value, str) and value.startswith("{"):
        return json.dumps(json.loads(value), sort_keys=True)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def quiet(_table: str, _done: int, _all: int) -> None:
    return


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'elsewhere' / 'copy.sqlite3'}"


def test_everything_moves_from_sqlite_to_postgresql_and_back(
    sqlite_url: str, own_postgres_url: str, elsewhere: str
) -> None:
    fill(sqlite_url, times=3)

    copied = copy_database(sqlite_url, own_postgres_url, quiet)
    copy_database(own_postgres_url, elsewhere, quiet)

    told = {one.table: one for one in copied}
    assert told["runs"].rows == 9
    assert told["buckets"].total_tokens == 3 * (150 + 7)
    assert told["buckets"].cost_nano == 3 * 250_000_000
    assert rows(elsewhere) == rows(sqlite_url) == rows(own_postgres_url)


def test_what_was_moved_goes_on_recording(sqlite_url: str, own_postgres_url: str) -> None:
    fill(sqlite_url)
    copy_database(sqlite_url, own_postgres_url, quiet)

    store = Store(own_postgres_url)
    store.start()
    try:
        facts = judge({"total_tokens": 1000}, NOW + 50)
        store.writer.ingest(Arrival("tok", "", NOW + 50, facts)).result()
        with store.read() as connection:
            total = connection.execute(select(func.sum(buckets.c.total_tokens))).scalar_one()
    finally:
        store.stop()

    assert total == 150 + 7 + 1000


def test_a_database_that_is_not_empty_is_left_alone(sqlite_url: str, own_postgres_url: str) -> None:
    fill(sqlite_url)
    fill(own_postgres_url)
    before = rows(own_postgres_url)

    with pytest.raises(SettingsError, match=r"not empty: there are rows in .*runs"):
        copy_database(sqlite_url, own_postgres_url, quiet)

    assert rows(own_postgres_url) == before


def test_a_database_is_not_copied_onto_itself(sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match="one database"):
        copy_database(sqlite_url, sqlite_url, quiet)


def test_a_database_that_is_not_there_is_not_made(elsewhere: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing.sqlite3"

    with pytest.raises(SettingsError, match="there is no database"):
        copy_database(f"sqlite:///{missing}", elsewhere, quiet)

    assert not missing.exists()


def test_an_interrupted_copy_leaves_nothing_behind(sqlite_url: str, own_postgres_url: str) -> None:
    fill(sqlite_url)

    def interrupted(table: str, _done: int, _all: int) -> None:
        if table == "runs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(sqlite_url, own_postgres_url, interrupted)

    assert not any(rows(own_postgres_url).values())


def test_progress_counts_the_rows_of_each_table(
    sqlite_url: str, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_url, times=2)
    monkeypatch.setattr("server_stub.store.copying.ROWS_AT_ONCE", 4)
    seen: list[tuple[int, int]] = []
    note: Callable[[str, int, int], None] = lambda table, done, of: (  # noqa: E731 - a spy
        seen.append((done, of)) if table == runs.name else None
    )

    copy_database(sqlite_url, own_postgres_url, note)

    assert seen == [(4, 6), (6, 6)]
