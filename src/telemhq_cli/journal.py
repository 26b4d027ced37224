"""The agent's own log: what it did and what kept it from it, without a path or a secret."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_BYTES = 1_000_000
"""A log of this size moves to `.1` (the one that was there goes) and a new one begins."""
LONGEST_LINE = 2000
NAMED = "…"

_OURS = frozenset(
    {"ledger.sqlite3", "credentials.json", "config.toml", "prices.toml", "agent.json", "spool"}
)
_LOG = re.compile(r"(rollout-[0-9A-Za-z_-]+|agent-[0-9a-f]+|[0-9a-f-]{36})\.jsonl(\.zst)?")
_ADDRESS = r"(?P<host>\b[a-z][a-z0-9+.-]*://)(?:[^\s/@'\"]*@)?(?P<name>[^\s/?#'\"]*)[^\s:'\",;)]*"
# A path that a message begins with goes up to its colon, whatever is in it. Elsewhere one ends at a
# colon, a quote, or the last word that has a slash in it: rather a word too many goes than half of a
# folder's name stays.
_PATH = r"\A(?:~|[A-Za-z]:)?[/\\][^\n:]*(?=: )|(?<![\w/.<])(?:~|[A-Za-z]:)?[/\\](?:[^\n:'\"]*[/\\])?[^\s:'\",;)]*"
_LONG_WORD = r"\btt_[A-Za-z0-9_-]+|\b[A-Za-z0-9_-]{40,}\b"
_HIDDEN = re.compile(f"(?P<address>{_ADDRESS})|(?P<path>{_PATH})|{_LONG_WORD}")


def without_places(text: str) -> str:
    """Return a message as a log may keep it: no path, no query, no token.

    Of a path the last part stays where it is a file of ours or a session's log; of an address the
    host.
    """
    one_line = " ".join(text.split())
    return masked(_HIDDEN.sub(_shortened, one_line))[:LONGEST_LINE]


def _shortened(found: re.Match[str]) -> str:
    if found["address"]:
        return f"{found['host']}{found['name']}/{NAMED}"
    if not found["path"]:
        return NAMED
    name = re.split(r"[/\\]", found["path"].rstrip("/\\."))[-1]
    return f"{NAMED}/{name}" if name in _OURS or _LOG.fullmatch(name) else NAMED


class Journal:
    """Lines with their time in one file that keeps its size, for its owner alone."""

    def __init__(self, path: Path, largest: int = LARGEST_BYTES) -> None:
        self._path = path
        self._largest = largest
        self._file = -1

    def write(self, message: str) -> None:
        """Add a line. A log that cannot be written stops nobody's work."""
        line = f"{clock.to_iso(clock.now_ms())} {without_places(message)}\n".encode()
        try:
            self._rotate(len(line))
            os.write(self._open(), line)
        except OSError:
            self.close()

    def close(self) -> None:
        """Let go of the file; the next line opens whatever lies in its place then."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self) -> int:
        if self._file < 0:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
        return self._file

    def _rotate(self, more: int) -> None:
        size = os.fstat(self._open()).st_size
        if size and size + more > self._largest:
            self.close()
            self._path.replace(before(self._path))


def before(path: Path) -> Path:
    """Return where the log lies that came before the one at `path`."""
    return path.with_name(f"{path.name}.1")


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of the log, with those of the one before where it is too short."""
    lines = _lines_of(path)
    if len(lines) < count:
        lines = _lines_of(before(path)) + lines
    return lines[-count:] if count else []


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def added(path: Path) -> Iterator[list[str]]:
    """Return an endless iterator of the lines that were added since, from this very moment on."""
    return _since(path, *_end_of(path))


def _since(path: Path, identity: tuple[int, int] | None, offset: int) -> Iterator[list[str]]:
    """Yield again and again the lines that were added since, from the log's present end on.

    Goes on in the new file when the log was rotated or deleted.
    """
    while True:
        now, size = _end_of(path)
        lines: list[str] = []
        if now != identity:
            # What came in between two looks and was moved away with the old file.
            lines += _from(before(path), offset) if _end_of(before(path))[0] == identity else []
            identity, offset = now, 0
        elif size < offset:
            offset = 0
        new = _bytes_from(path, offset)
        whole = new[: new.rfind(b"\n") + 1]
        offset += len(whole)
        yield lines + whole.decode("utf-8", "replace").splitlines()


def _end_of(path: Path) -> tuple[tuple[int, int] | None, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None, 0
    return (found.st_dev, found.st_ino), found.st_size


def _from(path: Path, offset: int) -> list[str]:
    return _bytes_from(path, offset).decode("utf-8", "replace").splitlines()


def _bytes_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""
