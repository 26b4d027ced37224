"""Reads what is new in Codex's rollouts and books it, file by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from codex_watcher import inheritance
from codex_watcher.decode import Event, Skipped, decode
from codex_watcher.discover import Rollout, discover
from codex_watcher.fold import FoldState, ThreadFold
from telemhq_agents import tail
from telemhq_agents.collecting import SILENCE_MS, Booking, LedgerPort, Namer, ScanReport
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.usage import RULE_VERSION, Source, Turn, UsageFact

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_FACTS = 2000
BATCH_FILES = 50
NOTHING: tuple[list[UsageFact], list[Turn]] = ([], [])


def scan(
    ledger: LedgerPort, root: Path, namer: Namer, *, now_ms: int, only: Path | None = None
) -> ScanReport:
    """Book what Codex's directory `root` holds beyond the ledger's cursors.

    `only` narrows the scan to one file. A file that cannot be read becomes a problem of the report
    and stays as it is in the ledger; one that vanished meanwhile is left to the next scan.
    """
    rollouts = discover(root)
    booking = Booking(ledger, BATCH_FACTS, BATCH_FILES)
    reader = _Reader(booking, namer, _parents(rollouts), now_ms)
    cursors = ledger.cursors(Source.CODEX)
    _forget_old_states(booking, cursors, rollouts)
    chosen = [rollout for rollout in rollouts if only is None or _is_same(rollout.path, only)]
    for rollout in chosen:
        try:
            reader.read(rollout, cursors.get(rollout.file_key))
        except FileNotFoundError:
            continue
        except OSError as error:
            where = error.filename or rollout.path
            reader.problems.append(f"{where}: {error.strerror or error}")
    booking.flush()
    return ScanReport(
        files=len(chosen),
        files_read=reader.files_read,
        lines=reader.lines,
        bad_lines=reader.bad_lines,
        new_facts=booking.new_facts,
        changed_facts=booking.changed_facts,
        problems=reader.problems,
    )


def _forget_old_states(
    booking: Booking, cursors: Mapping[str, Cursor], rollouts: list[Rollout]
) -> None:
    """Empty what older rules left in cursors of logs that are gone: it held remotes' URLs."""
    present = {rollout.file_key for rollout in rollouts}
    for key, cursor in cursors.items():
        if key not in present and not _is_of_this_rule(cursor):
            booking.add(NOTHING, replace(cursor, mtime_ns=-1, offset=0, state={}))


def _parents(rollouts: list[Rollout]) -> dict[str, Path]:
    return {
        rollout.thread_id: rollout.path
        for rollout in rollouts
        if rollout.thread_id and not rollout.is_segment
    }


def _is_same(path: Path, only: Path) -> bool:
    return path.name == only.name and path.resolve() == only.resolve()


@dataclass(slots=True)
class _Reader:
    """Reads rollouts one by one and keeps the report's sums."""

    booking: Booking
    namer: Namer
    parents: Mapping[str, Path]
    now_ms: int
    files_read: int = 0
    lines: int = 0
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)

    def read(self, rollout: Rollout, known: Cursor | None) -> None:
        """Read what is new in one rollout, if anything."""
        identity = tail.identify(rollout.path, known)
        if known and tail.unchanged(known, identity) and _is_of_this_rule(known):
            return
        self.files_read += 1
        offset = tail.resume_offset(known, identity)
        state = _resumed(known) if known and offset else None
        if state is None:
            offset, state = 0, self._fresh_state(rollout)
        if state is None:
            self.booking.add(NOTHING, _cursor(rollout, identity, 0, None))
            return
        written_ms = identity.mtime_ns // 1_000_000
        self._read_from(rollout, identity, offset, ThreadFold(state, self.namer, written_ms))

    def _fresh_state(self, rollout: Rollout) -> FoldState | None:
        """Return where a fold begins, None while the log cannot tell yet what was copied."""
        state = FoldState(thread=rollout.thread_id or rollout.file_key)
        head = inheritance.read_head(_data(rollout.path))
        match head:
            case inheritance.Head.CLEAR:
                return state
            case inheritance.Head.TOO_SHORT:
                return None
            case inheritance.Fork():
                return self._forked_state(rollout, head, state)

    def _forked_state(
        self, rollout: Rollout, fork: inheritance.Fork, state: FoldState
    ) -> FoldState | None:
        parent = self.parents.get(fork.parent_id)
        copied = inheritance.copied_in_one_go(_data(rollout.path))
        if parent and copied is not None:
            equal = inheritance.copied_from_parent(fork, _data(rollout.path), _data(parent))
            copied = None if equal is None else max(copied, equal)
        if copied is None:
            return None
        if copied and not parent:
            gone = inheritance.PARENT_GONE
            state.estimate = gone if fork.parent_id else inheritance.FORK_NOT_MARKED
        state.copied_counts = copied
        return state

    def _read_from(
        self, rollout: Rollout, identity: tail.Identity, offset: int, fold: ThreadFold
    ) -> None:
        for line in tail.lines(rollout.path, offset):
            offset = line.end_offset
            self.lines += 1
            event = decode(line.data)
            if isinstance(event, Event):
                fold.take(event)
                if len(fold.facts) >= BATCH_FACTS:
                    self._save(rollout, identity, offset, fold, is_partial=True)
            elif event is Skipped.BAD:
                self.bad_lines += 1
        if self.now_ms - identity.mtime_ns // 1_000_000 > SILENCE_MS:
            fold.rest()
        self._save(rollout, identity, offset, fold, is_partial=False)

    def _save(
        self,
        rollout: Rollout,
        identity: tail.Identity,
        offset: int,
        fold: ThreadFold,
        *,
        is_partial: bool,
    ) -> None:
        """Book what was read so far, unless the file was exchanged under the reading."""
        if rollout.path.stat().st_ino != identity.inode:
            raise FileNotFoundError(rollout.path)
        cursor = _cursor(rollout, identity, offset, fold.state)
        # A time that no file has makes the next scan go on where a broken-off one stopped.
        cursor = replace(cursor, mtime_ns=-1) if is_partial else cursor
        self.booking.add(fold.drain(), cursor)


def _data(path: Path) -> Iterator[bytes]:
    return (line.data for line in tail.lines(path))


def _is_of_this_rule(known: Cursor) -> bool:
    return not known.state or known.state.get("rule_version") == RULE_VERSION


def _resumed(known: Cursor) -> FoldState | None:
    if not _is_of_this_rule(known):
        return None
    try:
        return msgspec.convert(known.state, FoldState)
    except msgspec.ValidationError:
        return None


def _cursor(
    rollout: Rollout, identity: tail.Identity, offset: int, state: FoldState | None
) -> Cursor:
    return Cursor(
        source=Source.CODEX,
        file_key=rollout.file_key,
        path=str(rollout.path),
        inode=identity.inode,
        size=identity.size,
        mtime_ns=identity.mtime_ns,
        fingerprint=identity.fingerprint,
        offset=offset,
        state=msgspec.to_builtins(state) if state else {},
    )
