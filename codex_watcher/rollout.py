"""One rollout: what is new in it, and what its beginning owes to another thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from codex_watcher import inheritance
from codex_watcher.fold import ThreadFold
from codex_watcher.sift import sift
from codex_watcher.state import FoldState
from telemhq_agents import tail
from telemhq_agents.collecting import SILENCE_MS, Namer
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.reading import Reading
from telemhq_agents.usage import RULE_VERSION, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codex_watcher.discover import Rollout

MOST_FACTS = 5_000
"""A rollout with more comes in several parts, so that memory does not grow with it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading one rollout takes from outside it: `parents` are the logs of other threads."""

    parents: Mapping[str, Path]
    namer: Namer
    now_ms: int


def read_one(rollout: Rollout, known: Cursor | None, around: Surroundings) -> Iterator[Reading]:
    """Yield what is new in a rollout since its cursor, in parts; nothing where it vanished."""
    try:
        yield from _read(rollout, known, around)
    except FileNotFoundError:
        return
    except OSError as error:
        where = error.filename or rollout.path
        yield Reading(problems=[f"{where}: {error.strerror or error}"])


def is_of_this_rule(known: Cursor) -> bool:
    """Tell whether what a cursor remembers was counted as this version counts."""
    return not known.state or known.state.get("rule_version") == RULE_VERSION


def threads_of(rollouts: Sequence[Rollout]) -> dict[str, Path]:
    """Return where each thread's own log lies, its segments left out."""
    return {
        rollout.thread_id: rollout.path
        for rollout in rollouts
        if rollout.thread_id and not rollout.is_segment
    }


def fresh_state(rollout: Rollout, parents: Mapping[str, Path]) -> FoldState | None:
    """Return where the fold of a rollout begins, None while it cannot tell what was copied.

    Raises OSError as `tail.lines` does.
    """
    state = FoldState(thread=rollout.thread_id or rollout.file_key)
    head = inheritance.read_head(_data(rollout.path))
    match head:
        case inheritance.Head.CLEAR:
            return state
        case inheritance.Head.TOO_SHORT:
            return None
        case inheritance.Fork():
            return _forked_state(rollout, head, state, parents.get(head.parent_id))


def _forked_state(
    rollout: Rollout, fork: inheritance.Fork, state: FoldState, parent: Path | None
) -> FoldState | None:
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


def _read(rollout: Rollout, known: Cursor | None, around: Surroundings) -> Iterator[Reading]:
    identity = tail.identify(rollout.path, known)
    offset = tail.resume_offset(known, identity)
    state = _resumed(known) if known and offset else None
    if state is None:
        offset, state = 0, fresh_state(rollout, around.parents)
    if state is None:
        yield Reading(cursor=_cursor(rollout, identity, 0, None))
        return
    written_ms = identity.mtime_ns // 1_000_000
    fold = ThreadFold(state, around.namer, written_ms)
    lines = bad_lines = 0
    for block in tail.blocks(rollout.path, offset):
        sifted = sift(block.data, block.end)
        fold.take_all(sifted.events)
        offset = block.end_offset
        lines += sifted.lines
        bad_lines += sifted.bad_lines
        if len(fold.facts) >= MOST_FACTS:
            _must_be_the_same(rollout, identity)
            # A time that no file has makes the next scan go on where a broken-off one stopped.
            cursor = replace(_cursor(rollout, identity, offset, state), mtime_ns=-1)
            yield Reading(*fold.drain(), cursor=cursor, lines=lines, bad_lines=bad_lines)
            lines = bad_lines = 0
    if around.now_ms - written_ms > SILENCE_MS:
        fold.rest()
    _must_be_the_same(rollout, identity)
    cursor = _cursor(rollout, identity, offset, state)
    yield Reading(*fold.drain(), cursor=cursor, lines=lines, bad_lines=bad_lines)


def _must_be_the_same(rollout: Rollout, identity: tail.Identity) -> None:
    """Leave a file that was exchanged under the reading to the next scan."""
    if rollout.path.stat().st_ino != identity.inode:
        raise FileNotFoundError(rollout.path)


def _data(path: Path) -> Iterator[bytes]:
    return (line.data for line in tail.lines(path, block_bytes=tail.HEAD_BYTES))


def _resumed(known: Cursor) -> FoldState | None:
    if not is_of_this_rule(known):
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
