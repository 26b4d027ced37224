"""The directory of small entries that hooks and wrappers leave behind, and who takes them out.

    spool/<time>-<pid>.json      an entry that waits
    spool/claimed/<claimer>/     entries that a process works on; it holds <claimer>.lock meanwhile
    spool/damaged/               entries that nobody can read, kept for a person
    spool/.waking                a hook has just started somebody who takes them
    spool/.full                  20,000 entries wait: hooks leave no more until somebody takes them

An entry is a JSON object with `v` (its version, 1) and `kind`: "hook" (written by
claude_code_hooks/hook.py, which shares no code with this file) or "ping"
(`key`, `url`, `body`, `created_ms`, `destination`). The wrapper's hot path imports this.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
from contextlib import suppress
from pathlib import Path  # noqa: TC003 - Claimed's annotations can be resolved
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents.clock import now_ms
from telemhq_agents.errors import DamagedError, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

VERSION = 1
SUFFIX = ".json"
UNFINISHED_SUFFIX = ".tmp"
ABANDONED_AFTER_MS = 3600 * 1000
WAKE_MARK, FULL_MARK = ".waking", ".full"


class _Desk(NamedTuple):
    """A folder under `claimed/`, and its open lock."""

    folder: Path
    lock: int


_serial = itertools.count()
_desks: dict[tuple[str, int], _Desk] = {}


class Claimed(NamedTuple):
    """An entry that this process alone works on, until it is `done` or put back."""

    path: Path
    entry: dict[str, Any]


def write(spool: Path, entry: dict[str, Any]) -> Path:
    """Leave an entry in the spool, on disk and whole, readable by this user alone.

    Returns where it lies; the name tells when it was written. Raises DamagedError when the spool
    cannot be written.
    """
    return _write(spool, entry, lambda: spool)


def write_claimed(spool: Path, entry: dict[str, Any]) -> Claimed:
    """Leave an entry that this process works on from the start, as if it had claimed it.

    Should the process die, the entry is anybody's. Raises DamagedError as `write` does.
    """
    return Claimed(_write(spool, entry, lambda: _desk(spool)), {"v": VERSION, **entry})


def leave(spool: Path) -> None:
    """Remove this process's own folder under `claimed/`, once nothing is in it any more."""
    mine = str(spool), os.getpid()
    desk = _desks.get(mine)
    if desk is not None and _remove(desk.folder):
        os.close(_desks.pop(mine).lock)


def _write(spool: Path, entry: dict[str, Any], folder: Callable[[], Path]) -> Path:
    moment = now_ms() * 1_000_000 + next(_serial) % 1_000_000
    name = f"{moment:020d}-{os.getpid()}-{os.urandom(3).hex()}"
    unfinished = spool / f".{name}{UNFINISHED_SUFFIX}"
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as stream:
            json.dump({"v": VERSION, **entry}, stream, separators=(",", ":"))
            stream.flush()
            os.fsync(stream.fileno())
        return unfinished.rename(folder() / f"{name}{SUFFIX}")
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise _unwritable(spool, error) from error


def claim(spool: Path, kinds: Collection[str] | None = None) -> Iterator[Claimed]:
    """Take entries (of these kinds) out of the spool, oldest first, for this process alone.

    Entries of a process that died with them come back first. One that a newer version of this
    program wrote, or another user, stays where it is; one that makes no sense moves to `damaged/`.
    Raises DamagedError when the spool cannot be written.
    """
    try:
        (spool / FULL_MARK).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(spool, error) from error
    waiting = _waiting(spool)
    if not waiting and not (spool / "claimed").is_dir():
        return
    _sweep(spool)
    _take_back(spool)
    for path in _waiting(spool):
        entry = _read(path)
        if entry is not None and not (entry and _is_ours(entry, kinds)):
            continue
        taken = _move(path, _own_desk(spool) / path.name)
        if taken is None:
            continue
        if entry is None:
            _set_aside(spool, taken)
            continue
        yield Claimed(taken, entry)


def done(claimed: Claimed) -> None:
    """Forget an entry whose work is finished. Doing so twice is no error."""
    claimed.path.unlink(missing_ok=True)


def put_back(spool: Path, claimed: Claimed) -> None:
    """Return an entry to the spool, to be claimed again later by anybody."""
    _move(claimed.path, spool / claimed.path.name)


def pending_count(spool: Path, kinds: Collection[str] | None = None) -> int:
    """Return how many entries (of these kinds) wait that this version could claim.

    Whoever asks means to take them: hooks that leave more from now on wake somebody again.
    """
    with suppress(OSError):
        (spool / WAKE_MARK).unlink()  # before looking: who finds the mark counts on being seen
    _take_back(spool)
    entries = (_read(path) for path in _waiting(spool))
    return sum(1 for entry in entries if entry is None or _is_ours(entry, kinds))


def is_full(spool: Path) -> bool:
    """Tell whether hooks gave up leaving entries because nobody took any."""
    return os.path.exists(spool / FULL_MARK)  # noqa: PTH110 - a closed directory is no error here


def newest_ms(spool: Path, kind: str) -> int:
    """Return when the newest entry of a kind was left that still waits, 0 where none does."""
    for path in reversed(_waiting(spool)):
        entry = _read(path)
        if entry and entry.get("kind") == kind:
            with suppress(FileNotFoundError):  # somebody has just claimed it
                return path.stat().st_mtime_ns // 1_000_000
    return 0


def damaged_count(spool: Path) -> int:
    """Return how many entries were set aside because nobody can read them."""
    return len(_listed(spool / "damaged"))


def _waiting(spool: Path) -> list[Path]:
    names = (name for name in _listed(spool) if name.endswith(SUFFIX) and name[0] != ".")
    return [spool / name for name in sorted(names)]


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, and no Path made for each
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _read(path: Path) -> dict[str, Any] | None:
    """Return the entry, {} when it is gone or another user's, None when it is not understood."""
    try:
        entry = json.loads(path.read_bytes())
    except (FileNotFoundError, PermissionError):
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    understood = isinstance(entry, dict) and isinstance(entry.get("v"), int)
    return entry if understood and isinstance(entry.get("kind"), str) else None


def _is_ours(entry: dict[str, Any], kinds: Collection[str] | None) -> bool:
    if entry.get("v", VERSION) > VERSION:
        return False
    return kinds is None or entry.get("kind") in kinds


def _move(source: Path, target: Path) -> Path | None:
    """Rename; None when another process was faster."""
    try:
        return source.rename(target)
    except FileNotFoundError:
        return None


def _set_aside(spool: Path, path: Path) -> None:
    folder = spool / "damaged"
    folder.mkdir(mode=0o700, exist_ok=True)
    _move(path, folder / path.name)


def _unwritable(spool: Path, error: OSError) -> DamagedError:
    return unwritable(DamagedError, f"The spool {spool}", error)


def _own_desk(spool: Path) -> Path:
    try:
        return _desk(spool)
    except OSError as error:
        raise _unwritable(spool, error) from error


def _desk(spool: Path) -> Path:
    """Return this process's own folder under `claimed/`, whose lock it holds until it ends."""
    known = _desks.get((str(spool), os.getpid()))
    if known is not None:
        return known.folder
    desk = spool / "claimed" / f"{os.getpid()}-{os.urandom(4).hex()}"
    desk.parent.mkdir(mode=0o700, exist_ok=True)
    # Locked before the folder is there: a folder whose lock is free belongs to nobody.
    lock = os.open(_lock_of(desk), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    desk.mkdir(mode=0o700)
    _desks[str(spool), os.getpid()] = _Desk(desk, lock)
    return desk


def _lock_of(desk: Path) -> Path:
    return desk.with_name(desk.name + ".lock")


def _take_back(spool: Path) -> None:
    """Return to the spool what dead processes had claimed."""
    for name in _listed(spool / "claimed"):
        desk = spool / "claimed" / name
        if not desk.is_dir():
            continue
        lock = _locked_if_free(_lock_of(desk))
        if lock is None:
            continue
        for entry in _listed(desk):
            _move(desk / entry, spool / entry)
        _remove(desk)
        os.close(lock)  # Only now: whoever gets the lock next must find nothing left to do.


def _locked_if_free(path: Path) -> int | None:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        return None  # another user's, as root's under sudo
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _remove(desk: Path) -> bool:
    """Remove a claimer's folder and lock, unless there is something in it, which the lock is for."""
    try:
        desk.rmdir()
    except FileNotFoundError:
        pass  # another process was faster
    except OSError:
        return False
    _lock_of(desk).unlink(missing_ok=True)
    return True


def _sweep(spool: Path) -> None:
    """Remove what writers left unfinished when they were killed."""
    for name in _listed(spool):
        if not name.endswith(UNFINISHED_SUFFIX):
            continue
        path = spool / name
        try:
            if now_ms() - path.stat().st_mtime_ns // 1_000_000 > ABANDONED_AFTER_MS:
                path.unlink()
        except FileNotFoundError:
            continue
