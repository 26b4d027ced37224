"""Pruning beside pings: how long a slice keeps the writer, and what the pings notice of it.

`python -m bench.retention [ROWS] [DATABASE_URL]`: without a URL SQLite in a scratch directory; a
PostgreSQL database must be empty. Prints one line per measurement.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from server_stub.domain.payload import judge
from server_stub.domain.run import Arrival
from server_stub.settings import parse_database_url
from server_stub.store import retention as pruning
from server_stub.store.engine import Store, writing_engine
from server_stub.store.ids import first_of
from server_stub.store.migrate import upgrade
from server_stub.store.tables import accounts, archives, runs, trackers, tracking_tokens
from server_stub.workers.retention import REST_S, Retention
from telemhq_agents.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from server_stub.store.retention import Holding, Pruned

DAY_MS = 24 * 60 * 60 * 1000
ROWS = 200_000
TRACKERS = 50
SENDERS = 16
SECONDS = 8.0
PAYLOAD = {"status": "success", "project": "bench", "input_tokens": 120, "note": "x" * 320}


def fill(url: str, rows: int, now: int) -> None:
    """Give one free account so many runs, all older than it keeps."""
    # PostgreSQL takes JSON as it is, SQLite as text.
    payload: object = judge(PAYLOAD, now).payload if url.startswith("sqlite") else PAYLOAD
    engine = writing_engine(url)
    with engine.begin() as connection:
        connection.execute(
            insert(accounts).values(id=1, kind="team", name="E", created_ms=1, plan="free")
        )
        for account, first in ((1, 100), (2, 500)):
            place = {"account_id": account, "created_ms": 1}
            for number in range(first, first + TRACKERS):
                connection.execute(
                    insert(trackers).values(id=number, owner_id=9, name="t", **place)
                )
                connection.execute(
                    insert(tracking_tokens).values(token=f"t{number}", tracker_id=number, **place)
                )
        old = first_of(now - 40 * DAY_MS)
        for start in range(0, rows, 5000):
            connection.execute(
                insert(runs),
                [
                    {
                        "account_id": 1,
                        "tracker_id": 100 + number % TRACKERS,
                        "id": old + number,
                        "member_id": 9,
                        "received_ms": now - 40 * DAY_MS,
                        "ended_ms": now - 40 * DAY_MS + number,
                        "project": "bench",
                        "status": "success",
                        "runs": 1,
                        "payload": payload,
                    }
                    for number in range(start, min(start + 5000, rows))
                ],
            )
    engine.dispose()


def pings(store: Store, until: threading.Event) -> list[float]:
    """Send pings to other trackers, from many threads; return how long each took, in ms."""
    took: list[float] = []

    def send(side: int) -> None:
        number = 0
        while not until.is_set():
            token, now = f"t{500 + (side + number) % TRACKERS}", now_ms()
            arrival = Arrival(token, f"{side}-{number}-{now}", now, judge(PAYLOAD, now))
            began = time.perf_counter()
            store.writer.ingest(arrival).result()
            took.append((time.perf_counter() - began) * 1000)
            number += 1

    threads = [threading.Thread(target=send, args=(side,)) for side in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def prune(store: Store, until: threading.Event, slices: list[float]) -> None:
    """Prune as the loop of the workers does."""
    worker = Retention(store)
    original = pruning.prune

    def timed(connection: Connection, holding: Holding, **more: Any) -> Pruned:  # noqa: ANN401 - its own options
        began = time.perf_counter()
        pruned = original(connection, holding, **more)
        slices.append((time.perf_counter() - began) * 1000)
        return pruned

    pruning.prune = timed
    while not until.is_set() and worker.run_once(now_ms()):
        time.sleep(REST_S)
    pruning.prune = original


def of(values: Sequence[float]) -> str:
    """Return the middle, the 99th percentile and the largest of some milliseconds."""
    ordered = sorted(values)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {middle:.2f}, p99 {late:.2f}, max {ordered[-1]:.2f} ms"


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[2] if len(sys.argv) > 2 else str(Path(folder) / "bench.sqlite3")
        url = parse_database_url(given)
        upgrade(url)
        fill(url, rows, now_ms())
        store = Store(url)
        store.start()
        for name in ("pings alone", "pings while pruning"):
            until = threading.Event()
            slices: list[float] = []
            threading.Timer(SECONDS, until.set).start()
            worker = threading.Thread(target=prune, args=(store, until, slices))
            if name != "pings alone":
                worker.start()
            took = pings(store, until)
            print(f"{name}: {len(took) / SECONDS:,.0f}/s, {of(took)}")
            if slices:
                worker.join()
                with store.read() as connection:
                    gone = int(connection.execute(select(func.sum(archives.c.runs))).scalar() or 0)
                print(f"slices: {len(slices)}, {of(slices)}; {gone / SECONDS:,.0f} runs pruned/s")
        store.stop()


if __name__ == "__main__":
    main()
