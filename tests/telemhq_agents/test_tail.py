from __future__ import annotations

import os
from itertools import accumulate
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from telemhq_agents import tail
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.usage import Source

READ_TO = 200


def cursor(
    *, inode: int = 7, size: int = 300, mtime_ns: int = 1000, fingerprint: str = "first"
) -> Cursor:
    return Cursor(Source.CODEX, "key", "/log", inode, size, mtime_ns, fingerprint, READ_TO)


def cursor_at(path: Path, offset: int) -> Cursor:
    seen = tail.identify(path)
    return Cursor(
        Source.CODEX,
        "key",
        str(path),
        seen.inode,
        seen.size,
        seen.mtime_ns,
        seen.fingerprint,
        offset,
    )


def compressed(content: bytes, *frames_at: int) -> bytes:
    starts = [0, *frames_at]
    ends = [*frames_at, len(content)]
    packer = zstandard.ZstdCompressor(level=3)
    pieces = zip(starts, ends, strict=True)
    return b"".join(packer.compress(content[start:end]) for start, end in pieces)


@pytest.mark.parametrize(
    ("what", "identity", "offset"),
    [
        ("untouched", tail.Identity(7, 300, 1000, "first"), READ_TO),
        ("grown", tail.Identity(7, 400, 2000, "first"), READ_TO),
        ("moved, its time touched", tail.Identity(7, 300, 2000, "first"), READ_TO),
        ("truncated", tail.Identity(7, 299, 2000, "first"), 0),
        ("emptied", tail.Identity(7, 0, 2000, ""), 0),
        ("rewritten in place, old time", tail.Identity(8, 350, 1000, "other"), 0),
        ("copied over", tail.Identity(8, 300, 1000, "first"), 0),
        ("inode used again", tail.Identity(7, 900, 2000, "other"), 0),
        ("compressed", tail.Identity(8, 90, 1000, "first", compressed=True), 0),
    ],
)
def test_a_log_is_read_on_only_when_it_is_the_same_one_and_grew(
    what: str, identity: tail.Identity, offset: int
) -> None:
    assert tail.resume_offset(cursor(), identity) == offset, what


def test_a_log_without_a_cursor_is_read_from_its_beginning() -> None:
    assert tail.resume_offset(None, tail.Identity(7, 300, 1000, "first")) == 0


@pytest.mark.parametrize(
    ("identity", "same"),
    [
        (tail.Identity(7, 300, 1000, "first"), True),
        (tail.Identity(8, 300, 1000, "first"), False),
        (tail.Identity(7, 301, 1000, "first"), False),
        (tail.Identity(7, 300, 1001, "first"), False),
    ],
)
def test_a_log_is_unchanged_when_inode_size_and_time_are(
    identity: tail.Identity, same: bool
) -> None:
    assert tail.unchanged(cursor(), identity) is same


def test_an_identity_tells_inode_size_and_time_as_the_disk_has_them(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"one\ntwo\n")
    os.utime(log, ns=(5, 1_700_000_000_000_000_000))

    seen = tail.identify(log)

    assert (seen.inode, seen.size) == (log.stat().st_ino, 8)
    assert seen.mtime_ns == 1_700_000_000_000_000_000


def test_the_fingerprint_is_that_of_the_first_line_whatever_follows(tmp_path: Path) -> None:
    short, long, other = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    short.write_bytes(b"one\n")
    long.write_bytes(b"one\ntwo\n" * 1000)
    other.write_bytes(b"two\none\n")

    assert tail.identify(short).fingerprint == tail.identify(long).fingerprint
    assert tail.identify(short).fingerprint != tail.identify(other).fingerprint


def test_the_fingerprint_survives_compression(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.zst"
    plain.write_bytes(b"one\ntwo\n")
    packed.write_bytes(compressed(b"one\ntwo\n", 2))

    assert tail.identify(packed).fingerprint == tail.identify(plain).fingerprint


@pytest.mark.parametrize("content", [b"", b"half a line", b"x" * 4095])
def test_there_is_no_fingerprint_before_the_first_line_is_whole(
    tmp_path: Path, content: bytes
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(content)

    assert tail.identify(log).fingerprint == ""


def test_a_long_first_line_has_its_fingerprint_before_its_end(tmp_path: Path) -> None:
    begun, finished = tmp_path / "a", tmp_path / "b"
    begun.write_bytes(b"x" * 4096)
    finished.write_bytes(b"x" * 9000 + b"\nmore\n")

    assert tail.identify(begun).fingerprint == tail.identify(finished).fingerprint != ""


def test_an_unchanged_log_is_not_opened_again(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"one\n")
    status = log.stat()
    known = cursor(
        inode=status.st_ino, size=4, mtime_ns=status.st_mtime_ns, fingerprint="as it was known"
    )

    assert tail.identify(log, known).fingerprint == "as it was known"


def test_only_complete_lines_are_lines(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"one\n\ntwo\r\nthr")

    assert list(tail.lines(log)) == [(4, b"one"), (5, b""), (10, b"two\r")]


def test_reading_goes_on_where_the_last_line_ended(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"one\ntw")
    (first,) = tail.lines(log)

    with log.open("ab") as writer:
        writer.write(b"o\nthree\n")

    assert list(tail.lines(log, first.end_offset)) == [(8, b"two"), (14, b"three")]


def test_lines_of_many_megabytes_come_whole(tmp_path: Path) -> None:
    long = b"x" * (3 * tail.BLOCK_BYTES + 17)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"a\n" + long + b"\nb\n")

    found = list(tail.lines(log))

    assert [line.data for line in found] == [b"a", long, b"b"]
    assert found[-1].end_offset == log.stat().st_size


def test_a_compressed_log_counts_the_bytes_of_its_plain_content(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl.zst"
    log.write_bytes(compressed(b"one\ntwo\nthree\nha", 6))

    assert list(tail.lines(log)) == [(4, b"one"), (8, b"two"), (14, b"three")]
    assert list(tail.lines(log, 8)) == [(14, b"three")]
    assert list(tail.lines(log, 99)) == []


def test_a_compressed_log_still_being_written_gives_the_lines_that_are_there(
    tmp_path: Path,
) -> None:
    content = b"".join(b"%d\n" % number for number in range(50_000))
    log = tmp_path / "log.jsonl.zst"
    log.write_bytes(compressed(content, 100_000)[:-2000])

    found = [line.data for line in tail.lines(log)]

    assert 0 < len(found) < 50_000
    assert found == content.split(b"\n")[: len(found)]


def test_a_log_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tail.identify(tmp_path / "gone.jsonl")
    with pytest.raises(FileNotFoundError):
        list(tail.lines(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("content", [b"not zstd at all\n", compressed(b"one\n") + b"garbage"])
def test_a_damaged_compressed_log_is_an_error_of_its_file(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "log.jsonl.zst"
    log.write_bytes(content)

    with pytest.raises(OSError, match="damaged zstd") as caught:
        list(tail.lines(log))

    assert caught.value.filename == str(log)


PIECES = st.lists(st.binary(max_size=40) | st.just(b"\n") | st.just(b"line\n"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES)
def test_however_a_log_grows_its_lines_are_read_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    log = tmp_path_factory.mktemp("grows") / "log.jsonl"
    log.touch()
    known: Cursor | None = None
    found: list[bytes] = []

    for piece in pieces:
        with log.open("ab") as writer:
            writer.write(piece)
        offset = tail.resume_offset(known, tail.identify(log, known))
        if offset == 0:
            found = []
        for line in tail.lines(log, offset):
            found.append(line.data)
            offset = line.end_offset
        known = cursor_at(log, offset)

    assert found == b"".join(pieces).split(b"\n")[:-1]


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, packed=st.booleans(), start=st.integers(0, 100))
def test_from_any_line_on_the_rest_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], packed: bool, start: int
) -> None:
    content = b"".join(pieces)
    frames = [at for at in accumulate(map(len, pieces)) if at < len(content)]
    log = tmp_path_factory.mktemp("rest") / ("log.jsonl" + ".zst" * packed)
    log.write_bytes(compressed(content, *frames) if packed else content)
    everything = list(tail.lines(log))

    line = start % (len(everything) + 1)
    offset = everything[line - 1].end_offset if line else 0

    assert [entry.data for entry in everything] == content.split(b"\n")[:-1]
    assert list(tail.lines(log, offset)) == everything[line:]


def test_only_what_leads_to_a_regular_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    names = ["file", "link", "gone", "pipe", "nowhere", "file/below", "."]

    assert [name for name in names if tail.is_regular(tmp_path / name)] == ["file", "link"]
    assert not tail.is_regular(Path("/dev/zero"))


def test_files_are_found_at_any_depth_as_is_regular_means_them(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "log.jsonl").touch()
    (tmp_path / "log.txt").touch()
    (tmp_path / "link.jsonl").symlink_to(deep / "log.jsonl")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    (tmp_path / "folder").symlink_to(tmp_path / "a")
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    missing: list[OSError] = []

    found = [entry.path for entry in tail.files_below(str(tmp_path), ".jsonl", missing.append)]

    assert sorted(Path(path).relative_to(tmp_path).as_posix() for path in found) == [
        "a/b/log.jsonl",
        "link.jsonl",
        "loop.jsonl",
    ]
    assert all(tail.is_regular(Path(path)) for path in found)
    assert missing == []
    assert list(tail.files_below(str(tmp_path / "none"), ".jsonl", missing.append)) == []
    assert [type(error) for error in missing] == [FileNotFoundError]


def test_what_cannot_be_asked_about_is_left_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert tail.is_regular(tmp_path / "loop")


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, packed=st.booleans(), start=st.integers(0, 100), size=st.integers(1, 40))
def test_blocks_hold_the_same_lines_whatever_their_size(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    packed: bool,
    start: int,
    size: int,
) -> None:
    content = b"".join(pieces)
    log = tmp_path_factory.mktemp("blocks") / ("log.jsonl" + ".zst" * packed)
    log.write_bytes(compressed(content) if packed else content)
    everything = list(tail.lines(log))
    line = start % (len(everything) + 1)
    offset = everything[line - 1].end_offset if line else 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "LINES_AT_ONCE_BYTES", size)
        blocks = list(tail.blocks(log, offset))

    held = b"".join(block.data[: block.end] for block in blocks)
    assert held == b"".join(line.data + b"\n" for line in everything[line:])
    assert all(block.data[block.end - 1 : block.end] == b"\n" for block in blocks)
    assert [block.end_offset for block in blocks] == [
        offset + end for end in accumulate(block.end for block in blocks)
    ]


def test_a_block_of_a_file_that_shrinks_meanwhile_ends_the_reading(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"x" * tail.LINES_AT_ONCE_BYTES + b"\n" + b"y\n" * tail.LINES_AT_ONCE_BYTES)
    reading = tail.blocks(log)

    first = next(reading)
    os.truncate(log, 10)

    assert first.data.startswith(b"x" * 99)
    assert list(reading) == []
