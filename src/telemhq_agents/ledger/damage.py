"""A damaged ledger is moved aside, and another one made of the newest backup that is whole.

What is newer than the backup is read from the logs again by whoever opens the ledger next; what
was told is learned from the server. The damaged file stays for whoever knows how to read it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.errors import BrokenLedgerError, DamagedError, TelemhqError, unwritable
from telemhq_agents.ledger import locks
from telemhq_agents.ledger.connection import explained, open_connection
from telemhq_agents.ledger.importing import import_lines
from telemhq_agents.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.pricing import Prices

BACKUP, EXPORT = ".sqlite3", ".jsonl"
WAIT_S = 60.0
_BESIDE = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of a damaged ledger.

    `source` is the backup or export that the new one was made of, None where there was none;
    `passed_over` says why newer ones were not; `pings` is how many of the wrapper's pings, which
    no log tells again, were got out of the damaged file.
    """

    aside: Path
    source: Path | None = None
    passed_over: list[str] = field(default_factory=list)
    pings: int = 0


def stamp(now_ms: int) -> str:
    """Return a moment as it stands in the names of files: 20261120T080000Z."""
    return clock.to_iso(now_ms)[:19].replace("-", "").replace(":", "") + "Z"


def backup(ledger: Ledger, target: Path) -> int:
    """Write a copy of the ledger as it stands at one moment (0600); return its size in bytes.

    Agents may go on booking meanwhile. Raises BrokenLedgerError where the copy is not whole, and
    DamagedError where it cannot be written; what lay at `target` is then untouched.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _make_private(unfinished)
        with ledger.lent() as connection:
            copy = sqlite3.connect(unfinished)
            try:
                connection.backup(copy)
                _check(copy)
            finally:
                copy.close()
        size = unfinished.stat().st_size
        unfinished.replace(target)
    except OSError as error:
        raise unwritable(DamagedError, target, error) from error
    finally:
        _remove(unfinished)
    return size


def is_damaged(path: Path) -> bool:
    """Tell whether the ledger at `path` is damaged: it holds no ledger, or not a whole one."""
    try:
        with explained(path):
            connection = open_connection(path)
            try:
                _check(connection)
            finally:
                connection.close()
    except BrokenLedgerError:
        return True
    return False


def replace(
    path: Path,
    backups: Path,
    *,
    device_id: str,
    now_ms: int,
    prices: Prices | None = None,
    is_sure: Callable[[Path], bool] = is_damaged,
) -> Replaced | None:
    """Move a damaged ledger aside and put another in its place; None where it is whole after all.

    Several processes may find the damage at once: one of them does this, the others wait and
    find a whole ledger. The other one is made of the newest file in `backups` that can be read,
    else it is empty.
    """
    with locks.held(path.parent / "locks" / "replacing.lock", WAIT_S) as got:
        if not got:
            raise TelemhqError(
                f"The ledger {path} is damaged, and another process is replacing it.",
                "Try again in a minute.",
            )
        if not is_sure(path):
            return None
        aside = _move_aside(path, now_ms)
        source, passed_over = _restore(path, backups, device_id, now_ms, prices)
        return Replaced(aside, source, passed_over, _rescue_pings(aside, path))


def _move_aside(path: Path, now_ms: int) -> Path:
    """Rename the ledger. Its log goes first: SQLite would apply one that is left to the next."""
    aside = path.with_name(f"{path.name}.damaged-{stamp(now_ms)}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp(now_ms)}-{number}")
    try:
        for suffix in (*_BESIDE, ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise DamagedError(
            f"The damaged ledger {path} cannot be moved aside: {error.strerror or error}.",
            "Check the permissions of its directory.",
        ) from error
    return aside


def _restore(
    path: Path, backups: Path, device_id: str, now_ms: int, prices: Prices | None
) -> tuple[Path | None, list[str]]:
    """Put the newest backup that can be read in place; return it, and why newer ones were not."""
    passed_over = []
    for candidate in _newest_first(backups):
        making = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            _make(making, candidate, device_id, now_ms, prices)
            making.replace(path)
        except (TelemhqError, OSError) as error:
            passed_over.append(f"{candidate} cannot be used: {getattr(error, 'message', error)}")
        else:
            return candidate, passed_over
        finally:
            _remove(making)
    return None, passed_over


def _newest_first(backups: Path) -> list[Path]:
    try:
        found = [one for one in backups.iterdir() if one.suffix in {BACKUP, EXPORT}]
        return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name), reverse=True)
    except FileNotFoundError:
        return []


def _make(
    making: Path, candidate: Path, device_id: str, now_ms: int, prices: Prices | None
) -> None:
    _make_private(making)
    if candidate.suffix == BACKUP:
        with candidate.open("rb") as source, making.open("wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
        _refuse_no_ledger(making)
    with Ledger.open(making, prices=prices, now_ms=lambda: now_ms) as ledger:
        if candidate.suffix == EXPORT:
            with candidate.open("rb") as export:
                import_lines(ledger, str(candidate), export, device_id)
        with ledger.lent() as connection:
            _check(connection)
            # What was on its way then may have arrived since.
            connection.execute("UPDATE outbox SET sending = 1")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _refuse_no_ledger(making: Path) -> None:
    """Raise for an empty file and for other programs' databases: opened, they would become ours."""
    with explained(making):
        connection = sqlite3.connect(making)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.close()
    if not version:
        raise DamagedError("it holds no ledger")


def _rescue_pings(aside: Path, path: Path) -> int:
    """Take what can still be read of the wrapper's pings into the new ledger; return how many."""
    pings: list[tuple[str, str, bytes, int]] = []
    with suppress(sqlite3.Error):
        damaged = sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)
        try:
            for row in damaged.execute(
                "SELECT destination, key, body, created_ms FROM outbox "
                "WHERE told_id IS NULL AND state = 'pending'"
            ):
                pings.append(row)  # noqa: PERF402 - what was read before the damage counts
        finally:
            damaged.close()
    whole = [ping for ping in pings if _is_ping(*ping)]
    with Ledger.open(path) as ledger, ledger.transaction(), ledger.lent() as connection:
        for ping in whole:
            if ledger.enqueue(*ping):
                connection.execute(
                    "UPDATE outbox SET sending = 1 WHERE destination = ? AND key = ?", ping[:2]
                )
    return len(whole)


def _is_ping(destination: object, key: object, body: object, created_ms: object) -> bool:
    return (
        isinstance(destination, str)
        and isinstance(key, str)
        and bool(destination and key)
        and isinstance(body, bytes)
        and isinstance(created_ms, int)
    )


def _check(connection: sqlite3.Connection) -> None:
    """Raise sqlite3's own error for a file that is not whole."""
    said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
    if said != ["ok"]:
        error = sqlite3.DatabaseError("; ".join(said) or "it cannot be checked")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))


def _remove(path: Path) -> None:
    for suffix in ("", *_BESIDE, "-journal"):
        with suppress(OSError):  # what was never made, or lies where nothing can be removed
            path.with_name(path.name + suffix).unlink()
