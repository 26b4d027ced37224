"""The store: one database, any number of readers, exactly one writer.

SQLite runs in WAL and answers once a commit is on the disk (sealing.py); readers see a steady snapshot for as long as their `read`
block lasts and cannot write. On PostgreSQL readers are read-only transactions.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from server_stub.domain.problem import ProblemError
from server_stub.store.dialect import is_unavailable, write_nothing_much
from server_stub.store.ids import new_id
from server_stub.store.sealing import Sealer
from server_stub.store.writer import UNAVAILABLE, Writer
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from server_stub.domain.run import Arrival
    from server_stub.store.line import BookingLine, Reply

T = TypeVar("T")

BUSY_SECONDS = 5
HEALTH_SECONDS = 2.0
CONNECT_SECONDS = 5
READERS = 10
MORE_READERS = 30
"""Opened when all are taken: together one for each of the server's 40 worker threads."""

CACHED_STATEMENTS = 512
SQLITE_FILE = "sqlite:///"
WRITER_PRAGMAS = (
    # Of a new file: a ping writes to half a dozen places, each of them a page to copy and to sum.
    "page_size=2048",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    # A checkpoint stops whoever writes: one for 64 MB copies a hot page once that 4 MB copy 16
    # times. The server's own writers leave most of it to a thread (sealing.py).
    "wal_autocheckpoint=32000",
    "cache_size=-65536",
)
READER_PRAGMAS = ("query_only=ON", "foreign_keys=ON")


def database_url(address: str) -> URL:
    """Read a database's address. Raises SettingsError where it is no SQLite or PostgreSQL URL."""
    if address.startswith(SQLITE_FILE):
        # Everything behind it is the path: a question mark begins no options here.
        return URL.create("sqlite", database=address.removeprefix(SQLITE_FILE))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "the database's URL cannot be read",
            "name a postgresql:// or sqlite:/// URL in TELEMHQ_DATABASE_URL",
        ) from error
    if url.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise SettingsError(
            f"a database of kind {url.drivername!r} is not known here",
            "name a postgresql:// or sqlite:/// URL in TELEMHQ_DATABASE_URL",
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def writing_engine(address: str) -> Engine:
    """Return an engine whose connections may write; each `connect` opens one."""
    url = database_url(address)
    if url.drivername != "sqlite":
        return _postgres(url, poolclass=NullPool, isolation_level="READ COMMITTED")
    _make_private_file(url)
    return _sqlite(url, WRITER_PRAGMAS, "BEGIN IMMEDIATE", poolclass=NullPool)


def reading_engine(address: str) -> Engine:
    """Return an engine with a pool of connections that cannot write."""
    url = database_url(address)
    if url.drivername != "sqlite":
        return _postgres(
            url,
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=MORE_READERS,
            pool_pre_ping=True,
            execution_options={"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"},
        )
    return _sqlite(
        url,
        READER_PRAGMAS,
        "BEGIN",
        poolclass=QueuePool,
        pool_size=READERS,
        max_overflow=MORE_READERS,
    )


def _postgres(url: URL, **options: Any) -> Engine:  # noqa: ANN401 - create_engine's own options
    patience = {"connect_timeout": CONNECT_SECONDS}
    try:
        return create_engine(url, connect_args=patience, hide_parameters=True, **options)
    except ModuleNotFoundError as error:
        raise SettingsError(
            "PostgreSQL needs the driver psycopg, which is not installed",
            "install it with: pip install 'telemhq[postgres]'",
        ) from error


def _sqlite(
    url: URL,
    pragmas: tuple[str, ...],
    begin: str,
    **options: Any,  # noqa: ANN401 - create_engine's own options
) -> Engine:
    engine = create_engine(
        url,
        connect_args={
            "timeout": BUSY_SECONDS,
            "check_same_thread": False,
            "cached_statements": CACHED_STATEMENTS,
        },
        hide_parameters=True,
        **options,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        # The driver would begin transactions by itself, too late and without IMMEDIATE.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def open_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _make_private_file(url: URL) -> None:
    """Make the SQLite file before SQLite does, readable by its owner alone."""
    path = Path(url.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsError(
            f"the database {path} cannot be opened: {error.strerror}",
            "name a writable place in TELEMHQ_DATABASE_URL",
        ) from error


def make_writer(address: str, line: BookingLine | None = None) -> Writer:
    """Return a writer that is not running yet; it takes turns with the booker at the line."""
    url = database_url(address)
    if url.drivername != "sqlite":
        return Writer(writing_engine(address))
    sealer = Sealer(Path(url.database or ""))
    return Writer(writing_engine(address), sealer, nullcontext if line is None else line.turn)


class Store:
    """The server's database. Reads run in the caller's thread, writes in the writer's."""

    def __init__(self, address: str, line: BookingLine | None = None) -> None:
        self._reading = reading_engine(address)
        self._line = line
        self.recorder_id = new_id()
        self.is_alone = database_url(address).drivername == "sqlite"
        """Whether no other process writes to this database."""
        self.troubles_told = 0
        """Of how many `troubles` the database was told: each is a gap once (recorder.py)."""
        self.writer = make_writer(address, line)
        if line is not None:
            line.otherwise = self.writer.book

    def start(self) -> None:
        """Start the writer. The schema must be there (store/migrate.py)."""
        self.writer.start()

    async def connect(self) -> None:
        """Take up the line to the booker, where there is one, on this event loop."""
        if self._line is not None:
            await self._line.connect()

    def book(self, arrival: Arrival, ticket: object, reply: Reply) -> None:
        """Book one arrival; call on the event loop. `reply` gets it with others, once durable."""
        if self._line is not None and self._line.is_open:
            self._line.book(arrival, ticket, reply)
        else:
            self.writer.book(arrival, ticket, reply)

    @property
    def troubles(self) -> int:
        """How often something could not be written since the start."""
        lost = 0 if self._line is None else self._line.troubles
        return self.writer.troubles + lost

    def heard_upto(self, now_ms: int) -> int:
        """Return until when, at most `now_ms`, all that arrived here is stored before a next write.

        The writer takes what comes in order; what the booker has not yet stored may come later.
        """
        waiting_ms = None if self._line is None else self._line.waiting_since_ms()
        return now_ms if waiting_ms is None else min(now_ms, waiting_ms - 1)

    def stop(self) -> None:
        """Finish what waits in the queue, stop the writer and close every connection."""
        if self._line is not None:
            self._line.close()
        self.writer.stop()
        self._reading.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a read-only connection with one steady snapshot of the database.

        Raises ProblemError (503) where the database is away or busy.
        """
        try:
            with self._reading.connect() as connection, connection.begin():
                yield connection
        except Exception as error:
            if is_unavailable(error):
                raise ProblemError(UNAVAILABLE) from error
            raise

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of the writer and return its value once committed.

        Raises whatever `work` raised (nothing is then written), or ProblemError (503).
        """
        return self.writer.submit(work).result()

    def is_well(self) -> bool:
        """Tell whether the writer runs and could write just now.

        A writer that wrote within the last second needs no proof; else something is written.
        Raises ProblemError (503) where the database takes no reads or no writes.
        """
        if not self.writer.is_alive():
            return False
        with self.read() as connection:
            connection.execute(text("SELECT 1"))
        if not self.writer.wrote_lately():
            self._prove_writing()
        return True

    def _prove_writing(self) -> None:
        proof = self.writer.submit(write_nothing_much)
        try:
            proof.result(HEALTH_SECONDS)
        except TimeoutError as error:
            proof.cancel()
            raise ProblemError(UNAVAILABLE) from error
