"""Reads what is new in Claude Code's transcripts and books it, file by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from claude_code_hooks import transcript
from claude_code_hooks.decode import BadLineError, decode, last_write, matters
from claude_code_hooks.fold import FoldState, TranscriptFold
from telemhq_agents import tail
from telemhq_agents.collecting import SILENCE_MS, Booking, LedgerPort, Namer, ScanReport
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.usage import RULE_VERSION, Place, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from claude_code_hooks.transcript import Transcript

BATCH_FACTS = 5000
BATCH_FILES = 200
ANCHOR_BYTES = 1024


def scan(
    ledger: LedgerPort,
    homes: Sequence[Path],
    namer: Namer,
    *,
    now_ms: int,
    only: Collection[Path] | None = None,
) -> ScanReport:
    """Book what the transcripts below `homes` hold beyond the ledger's cursors.

    `only` narrows the scan to these transcripts and their sub-agents'. A file that cannot be read
    becomes a problem of the report; one that vanished meanwhile is left to the next scan.
    """
    if only is None:
        found, problems = transcript.discover(homes)
    else:
        found, problems = transcript.around(homes, only)
    booking = Booking(ledger, BATCH_FACTS, BATCH_FILES)
    reader = _Reader(booking, _Names(namer), ledger.cursors(Source.CLAUDE), now_ms, problems)
    for each, identity in reader.identified(found):
        try:
            reader.read(each, identity)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{each.path}: {error.strerror or error}")
    booking.flush()
    return ScanReport(
        files=len(found),
        files_read=reader.files_read,
        lines=reader.lines,
        bad_lines=reader.bad_lines,
        new_facts=booking.new_facts,
        changed_facts=booking.changed_facts,
        problems=problems,
    )


class CursorState(msgspec.Struct):
    """What a cursor remembers. The anchor is a digest of the bytes that end at its offset.

    Claude Code takes a line back when its stream fails, and writes on from there: a file can be
    longer than last time and yet not hold what was read.
    """

    rule_version: int
    anchor: str
    fold: FoldState


@dataclass(slots=True)
class _Names:
    """Asks the namer once per directory and scan."""

    namer: Namer
    known: dict[str, Place] = field(default_factory=dict)

    def place(self, cwd: str, repository: str = "") -> Place:
        if cwd not in self.known:
            self.known[cwd] = self.namer.place(cwd, repository)
        return self.known[cwd]


@dataclass(slots=True)
class _Reader:
    """Reads transcripts one by one, books them in batches and keeps the report's sums."""

    booking: Booking
    namer: Namer
    cursors: Mapping[str, Cursor]
    now_ms: int
    problems: list[str]
    files_read: int = 0
    lines: int = 0
    bad_lines: int = 0

    def identified(self, found: list[Transcript]) -> list[tuple[Transcript, tail.Identity]]:
        """Return the files that changed, the longest untouched first.

        Where two files tell of one reply with the same rank and time, the one booked first has
        it, and a copy is written to more recently than what it was copied from.
        """
        changed = []
        for each in found:
            known = self.cursors.get(each.file_key)
            try:
                identity = tail.identify(each.path, known)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems.append(f"{each.path}: {error.strerror or error}")
                continue
            is_known = known is not None and tail.unchanged(known, identity)
            if not (is_known and _resumed(known)):
                changed.append((identity.mtime_ns, each.file_key, each, identity))
        changed.sort(key=itemgetter(0, 1))
        return [(each, identity) for _, _, each, identity in changed]

    def read(self, each: Transcript, identity: tail.Identity) -> None:
        """Read what is new in one file."""
        self.files_read += 1
        offset, state = self._resume(each, identity)
        fold = TranscriptFold(
            state.fold, self.namer, each.path.stem, identity.mtime_ns // 1_000_000
        )
        last = b""
        for line in tail.lines(each.path, offset):
            offset, last = line
            self.lines += 1
            if matters(last):
                self._take(fold, last)
            elif not _is_whole(last):
                self.bad_lines += 1
        if self.now_ms - identity.mtime_ns // 1_000_000 > SILENCE_MS:
            fold.rest()
        if offset:
            anchor = _anchor(last) if last else state.anchor
            state = CursorState(RULE_VERSION, anchor, fold.state)
        self.booking.add(fold.drain(), _cursor(each, identity, offset, state))

    def _resume(self, each: Transcript, identity: tail.Identity) -> tuple[int, CursorState]:
        """Return where to go on in a file, which is its beginning when it was rewritten."""
        known = self.cursors.get(each.file_key)
        offset = tail.resume_offset(known, identity)
        state = _resumed(known)
        if offset and state and state.anchor == _anchor(_bytes_before(each.path, offset)):
            return offset, state
        return 0, CursorState(RULE_VERSION, "", FoldState())

    def _take(self, fold: TranscriptFold, data: bytes) -> None:
        try:
            fold.take(decode(data))
        except BadLineError:
            self.bad_lines += 1
            rest = last_write(data)
            if rest is not None:
                self._take(fold, rest)


def _is_whole(data: bytes) -> bool:
    return not data.strip() or (data[:1] == b"{" and data.rstrip()[-1:] == b"}")


def _anchor(line: bytes) -> str:
    return blake2b(line[-ANCHOR_BYTES:], digest_size=12).hexdigest()


def _bytes_before(path: Path, offset: int) -> bytes:
    """Return the end of the line that ends at `offset`, without its newline."""
    start = max(0, offset - 1 - ANCHOR_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(offset - 1 - start).rpartition(b"\n")[2]


def _resumed(known: Cursor | None) -> CursorState | None:
    if known is None:
        return None
    try:
        state = msgspec.convert(known.state, CursorState)
    except msgspec.ValidationError:
        return None
    return state if state.rule_version == RULE_VERSION else None


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
