"""Complete lines of a growing log since a cursor.

Logs grow at their end, move to other folders, get compressed, get rewritten in place with the old
modification time, and end in half a line while their writer works or after it was killed. So a
place in a log is known by inode and first line, never by path or time, and counts bytes of the
plain content.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, NamedTuple

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from telemhq_agents.ledger.records import Cursor

BLOCK_BYTES = 1 << 20
LINES_AT_ONCE_BYTES = 1 << 18
HEAD_BYTES = 1 << 16
"""Enough for the first lines of nearly every log."""

FINGERPRINT_BYTES = 4096
COMPRESSED_SUFFIX = ".zst"


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one log file from another. `size` counts bytes on disk, compressed or not.

    `fingerprint` is a digest of the first 4 KiB of the plain content's first line, "" while
    neither that much nor a whole line is there.
    """

    inode: int
    size: int
    mtime_ns: int
    fingerprint: str
    compressed: bool = False


class Line(NamedTuple):
    """One complete line without its newline; `end_offset` is where the next line begins."""

    end_offset: int
    data: bytes


class Block(NamedTuple):
    """Many complete lines: `data` up to `end`, right behind a newline, which lies at `end_offset`."""

    end_offset: int
    data: bytes
    end: int


def identify(path: Path, known: Cursor | None = None) -> Identity:
    """Return the identity of the file at `path`.

    When inode, size and time are those of `known`, its fingerprint is taken over and the file is
    not opened. Raises OSError (FileNotFoundError: gone, PermissionError: not ours to read).
    """
    return recognised(path, glance(path), known)


def recognised(path: Path, seen: Identity, known: Cursor | None = None) -> Identity:
    """Return what `glance` saw of a file together with its fingerprint; errors as of `identify`."""
    fingerprint = known.fingerprint if known and unchanged(known, seen) else _fingerprint(path)
    return Identity(seen.inode, seen.size, seen.mtime_ns, fingerprint, seen.compressed)


def glance(path: Path) -> Identity:
    """Return the identity of the file at `path` without its fingerprint: nothing is opened.

    Raises OSError as `identify` does.
    """
    status = path.stat()
    compressed = path.suffix == COMPRESSED_SUFFIX
    return Identity(status.st_ino, status.st_size, status.st_mtime_ns, "", compressed)


def is_regular(path: Path) -> bool:
    """Tell whether a path leads to a regular file: a pipe would keep its reader waiting forever.

    What we may not ask about is left to its reader, who will say so.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def files_below(
    folder: str, endings: str | tuple[str, ...], note: Callable[[OSError], object] = id
) -> Iterator[os.DirEntry[str]]:
    """Yield the regular files below `folder` with such a name, as `is_regular` means it.

    Links to directories are not followed. `note` hears of each directory that cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        note(error)
        return
    for entry in entries:
        if _is_directory(entry):
            yield from files_below(entry.path, endings, note)
        elif entry.name.endswith(endings) and _leads_to_a_file(entry):
            yield entry


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _leads_to_a_file(entry: os.DirEntry[str]) -> bool:
    """Tell what `is_regular` does, of most files without asking the system once more."""
    try:
        return entry.is_file()
    except OSError:
        return True


def unchanged(cursor: Cursor, identity: Identity) -> bool:
    """Tell whether nothing was written to the file since `cursor` was taken."""
    return (cursor.inode, cursor.size, cursor.mtime_ns) == (
        identity.inode,
        identity.size,
        identity.mtime_ns,
    )


def resume_offset(cursor: Cursor | None, identity: Identity) -> int:
    """Return where to go on reading: the cursor's offset, or 0 when the log must be read anew.

    A log that grew or was renamed goes on. A new inode (rewritten in place, compressed, copied),
    another first line or a smaller size starts over, which costs time and never a wrong sum, as
    everything booked has a key of its own.
    """
    if cursor is None or not identity.fingerprint:
        return 0
    same_file = (cursor.inode, cursor.fingerprint) == (identity.inode, identity.fingerprint)
    return cursor.offset if same_file and identity.size >= cursor.size else 0


def lines(path: Path, offset: int = 0, block_bytes: int = BLOCK_BYTES) -> Iterator[Line]:
    """Yield the complete lines of `path` from the plain byte `offset` on; `.zst` is unpacked.

    What follows the last newline is not a line yet. The file is open only while the iterator runs;
    memory holds one block (`block_bytes`) and the longest line. Raises OSError at the first step when the file is
    gone (FileNotFoundError), closed to us (PermissionError) or is not the zstd file its name says.
    """
    with _plain_content(path) as stream:
        _skip(stream, offset)
        yield from _cut(iter(lambda: stream.read(block_bytes), b""), offset)


def blocks(path: Path, offset: int = 0) -> Iterator[Block]:
    """Yield the complete lines of `path` from the plain byte `offset` on, many at once.

    The same lines as `lines` gives, for readers that need not look at each; the same errors.
    """
    with _plain_content(path) as stream:
        if isinstance(stream, io.FileIO):
            yield from _seekable_blocks(stream, offset)
            return
        _skip(stream, offset)
        rest = b""
        while piece := stream.read(LINES_AT_ONCE_BYTES):
            data = rest + piece
            end = data.rfind(b"\n", len(rest)) + 1
            if end:
                offset += end
                yield Block(offset, data, end)
            rest = data[end:]


def _seekable_blocks(stream: io.FileIO, offset: int) -> Iterator[Block]:
    """Read half a line again with its end, which costs less than putting two pieces together."""
    file, size = stream.fileno(), LINES_AT_ONCE_BYTES
    seen = 0
    while len(data := os.pread(file, size, offset)) > seen:
        end = data.rfind(b"\n", seen) + 1
        if end:
            offset += end
            yield Block(offset, data, end)
        # A line that is longer than the block asks for more at once, until its end is there.
        seen, size = (0, LINES_AT_ONCE_BYTES) if end else (len(data), size * 2)


def _cut(blocks: Iterable[bytes], offset: int) -> Iterator[Line]:
    """Cut a stream that begins at `offset` into lines, wherever its blocks happen to end."""
    unfinished: list[bytes] = []
    end = offset
    for block in blocks:
        start = 0
        # One at a time: whoever looks for a log's first event wants a few of a block's lines.
        while (stop := block.find(b"\n", start)) >= 0:
            data = block[start:stop]
            start = stop + 1
            if unfinished:
                data = b"".join([*unfinished, data])
                unfinished = []
            end += len(data) + 1
            yield Line(end, data)
        if start < len(block):
            unfinished.append(block[start:])


@contextmanager
def _plain_content(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb", buffering=0) as raw:
        if path.suffix != COMPRESSED_SUFFIX:
            yield raw
            return
        unpacked = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        try:
            with unpacked:
                yield unpacked
        except zstandard.ZstdError as error:
            raise OSError(errno.EIO, f"damaged zstd data ({error})", str(path)) from error


def _skip(stream: IO[bytes], offset: int) -> None:
    if isinstance(stream, io.FileIO):
        stream.seek(offset)
        return
    left = offset
    while left and (block := stream.read(min(left, BLOCK_BYTES))):
        left -= len(block)


def _fingerprint(path: Path) -> str:
    with _plain_content(path) as stream:
        head = b""
        while len(head) < FINGERPRINT_BYTES and b"\n" not in head:
            block = stream.read(FINGERPRINT_BYTES - len(head))
            if not block:
                return ""
            head += block
    return blake2b(head.split(b"\n", 1)[0], digest_size=12).hexdigest()
