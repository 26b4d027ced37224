"""Reads what is new in one transcript. Knows no ledger, so it may run in a process of its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from claude_code_hooks.decode import UNREAD, BadLineError, decode, last_write, typed
from claude_code_hooks.fold import TranscriptFold
from claude_code_hooks.results import HEAD_AT, Results
from claude_code_hooks.state import FoldState
from telemhq_agents import tail
from telemhq_agents.collecting import SILENCE_MS
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.reading import Reading
from telemhq_agents.usage import RULE_VERSION, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from claude_code_hooks.transcript import Transcript
    from telemhq_agents.collecting import Namer

ANCHOR_BYTES = 1024
PART_FACTS = 5000
"""A part of a huge file is handed over when it has so many facts."""


class CursorState(msgspec.Struct):
    """What a cursor remembers. The anchor is a digest of the bytes that end at its offset.

    Claude Code takes a line back when its stream fails, and writes on from there: a file can be
    longer than last time and yet not hold what was read.
    """

    rule_version: int
    anchor: str
    fold: FoldState


def is_of_this_rule(known: Cursor) -> bool:
    """Tell whether a cursor was written by the counting rules of this program."""
    return known.state.get("rule_version") == RULE_VERSION


def read(
    each: Transcript,
    seen: tail.Identity,
    known: Cursor | None,
    namer: Namer,
    now_ms: int,
) -> Iterator[Reading]:
    """Yield what is new in one file, in parts; the last one has the cursor of the whole file.

    `seen` is what `tail.glance` saw of it: what was written later is new to the next reading.

    A cursor before the last is of a shorter file, so that a reading which ends there goes on. A
    file that cannot be read is a problem; one that is gone yields nothing.
    """
    try:
        identity = tail.recognised(each.path, seen, known)
        yield from _parts(each, identity, known, namer, now_ms)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Reading(problems=[f"{each.path}: {error.strerror or error}"])


def _parts(
    each: Transcript,
    identity: tail.Identity,
    known: Cursor | None,
    namer: Namer,
    now_ms: int,
) -> Iterator[Reading]:
    offset, state = _resume(each, identity, known)
    written_ms = identity.mtime_ns // 1_000_000
    fold = TranscriptFold(state.fold, namer, each.path.stem, written_ms)
    results = Results()
    lines = bad_lines = 0
    for block in tail.blocks(each.path, offset):
        if len(fold.facts) >= PART_FACTS:
            found = fold.drain()
            so_far = msgspec.structs.replace(_cursor(each, identity, offset, state), size=offset)
            yield Reading(*found, so_far, lines, bad_lines)
            lines = bad_lines = 0
        more, bad = _take_block(fold, results, block)
        lines, bad_lines = lines + more, bad_lines + bad
        offset = block.end_offset
        state.anchor = _anchor(block.data[max(0, block.end - 1 - ANCHOR_BYTES) : block.end - 1])
    if now_ms - written_ms > SILENCE_MS:
        fold.rest()
    found = fold.drain()
    yield Reading(*found, _cursor(each, identity, offset, state), lines, bad_lines)


def _take_block(fold: TranscriptFold, results: Results, block: tail.Block) -> tuple[int, int]:
    """Add the lines of a block; return how many there were, and how many could not be read."""
    data, size, take = block.data, block.end, fold.take
    find, begins_with = data.find, data.startswith
    lines = bad_lines = start = 0
    while start < size:
        end = find(b"\n", start)
        if not (begins_with(results.head, start + HEAD_AT) and results.has(data, start, end)):
            line = data[start:end]
            try:
                if take(typed(line)):
                    results.learn(line)
            except UNREAD:
                bad_lines += _take_odd(fold, line)
            except BadLineError:
                bad_lines += 1
        lines += 1
        start = end + 1
    return lines, bad_lines


def _take_odd(fold: TranscriptFold, data: bytes) -> int:
    """Add a line of another kind; return how many were bad of it and of what stands behind it."""
    try:
        fold.take(decode(data))
    except BadLineError:
        rest = last_write(data)
        return bool(data.strip()) + (0 if rest is None else _take_odd(fold, rest))
    return 0


def _resume(
    each: Transcript, identity: tail.Identity, known: Cursor | None
) -> tuple[int, CursorState]:
    """Return where to go on in a file, which is its beginning when it was rewritten."""
    offset = tail.resume_offset(known, identity)
    state = _resumed(known) if known and is_of_this_rule(known) else None
    if offset and state and state.anchor == _anchor(_bytes_before(each.path, offset)):
        return offset, state
    return 0, CursorState(RULE_VERSION, "", FoldState())


def _resumed(known: Cursor) -> CursorState | None:
    try:
        return msgspec.convert(known.state, CursorState)
    except msgspec.ValidationError:
        return None


def _anchor(end_of_line: bytes) -> str:
    return blake2b(end_of_line.rpartition(b"\n")[2], digest_size=12).hexdigest()


def _bytes_before(path: Path, offset: int) -> bytes:
    """Return what stands before the newline that ends at `offset`."""
    start = max(0, offset - 1 - ANCHOR_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(offset - 1 - start)


def _cursor(each: Transcript, identity: tail.Identity, offset: int, state: CursorState) -> Cursor:
    plain: dict[str, Any] = msgspec.to_builtins(state)
    return Cursor(
        source=Source.CLAUDE,
        file_key=each.file_key,
        path=str(each.path),
        inode=identity.inode,
        size=identity.size,
        mtime_ns=identity.mtime_ns,
        fingerprint=identity.fingerprint,
        offset=offset,
        state=plain,
    )
