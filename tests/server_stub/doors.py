"""One server per database for all tests of a module; each test finds it without rows."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import delete, insert, select, update

from server_stub.settings import Settings
from server_stub.store.engine import reading_engine, writing_engine
from server_stub.store.migrate import upgrade
from server_stub.store.tables import (
    accounts,
    memberships,
    metadata,
    ping_counts,
    runs,
    trackers,
    tracking_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.server_stub.conftest import LiveServer


@contextmanager
def one_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, name: str
) -> Iterator[LiveServer]:
    """Run a server on the database that `request.param` names: sqlite or postgresql."""
    run_server = request.getfixturevalue("run_server")
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp(name) / "telemhq.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        request.getfixturevalue("postgres_admin")(f"CREATE DATABASE {name}_telemhq")
        postgres = request.getfixturevalue("postgres_server")
        url = postgres.get_uri(database=f"{name}_telemhq", driver="psycopg")
        upgrade(url)
    with run_server(Settings(database_url=url, port=0)) as server:
        yield server
    if request.param == "postgresql":
        request.getfixturevalue("postgres_admin")(f"DROP DATABASE {name}_telemhq WITH (FORCE)")


def emptied(url: str) -> None:
    """Leave a database without rows."""
    engine = writing_engine(url)
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    engine.dispose()


@dataclass(frozen=True, slots=True)
class Door:
    """The ping door of a running server, and what lies behind it."""

    http: httpx.Client
    database_url: str
    token: str = "tok"

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Read a whole table behind the server's back."""
        engine = reading_engine(self.database_url)
        with engine.connect() as connection, connection.begin():
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        engine.dispose()
        return found

    def change(self, *statements: Any) -> None:
        """Run statements behind the server's back, as another process would."""
        engine = writing_engine(self.database_url)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)
        engine.dispose()

    def open(self, plan: str = "unlimited") -> None:
        """Make an account with this plan, a tracker and its token."""
        place = {"account_id": 1, "created_ms": 1}
        self.change(
            insert(accounts).values(id=1, kind="team", name="Engines", created_ms=1, plan=plan),
            insert(memberships).values(account_id=1, user_id=100, role="owner", joined_ms=1),
            insert(trackers).values(id=10, owner_id=100, name="nightly", **place),
            insert(tracking_tokens).values(token=self.token, tracker_id=10, **place),
        )

    def spend(self, month_ms: int, pings: int) -> None:
        """Let the account have sent so many pings in a month."""
        self.change(
            delete(ping_counts),
            insert(ping_counts).values(account_id=1, month_ms=month_ms, pings=pings),
        )

    def put_on(self, plan: str) -> None:
        """Change the account's plan."""
        self.change(update(accounts).values(plan=plan))

    def ping(self, end: str = "", method: str = "POST", **parts: Any) -> httpx.Response:
        """Send a ping; `end` is what follows the token."""
        return self.http.request(method, f"/ping/{self.token}{end}", **parts)

    def recorded(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the kind and the payload of each run, in order."""
        found = sorted(self.rows(runs), key=lambda run: run["id"])
        return [(run["kind"], _payload(run["payload"])) for run in found]


def _payload(stored: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stored) if isinstance(stored, str) else stored
    return read
