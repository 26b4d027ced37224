"""The prompt log: what a person asked of their agents, for that person's own eyes.

It exists only where the privacy level asks for it, with the secrets of known shapes masked, readable
by its owner alone. Nothing that sends anything reads it. What is logged is told apart by keys, so a
log that is read again, or copied into a fork, adds nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from telemhq_agents import clock, whole_file
from telemhq_agents.errors import DamagedError
from telemhq_agents.ledger.locks import held
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.privacy import is_private
from telemhq_agents.secrets import masked
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from telemhq_agents.collecting import Namer

MOST_BYTES = 4 * 1024 * 1024
"""Of one file. There are two: when the newer one is full, it takes the older one's place."""

LONGEST_PROMPT = 20_000
"""Characters. What is longer is cut, and says so."""

CUT = "… [cut]"


class Prompt(msgspec.Struct, frozen=True):
    """What a log holds of one prompt. `key` is the same in every copy of it."""

    key: str
    at_ms: int
    source: Source
    session_id: str
    cwd: str
    repository: str
    text: str


class Kept(msgspec.Struct, frozen=True):
    """What the prompt log holds of one prompt: secrets masked, too long ones cut."""

    key: str
    at: str
    source: Source
    session: str
    project: str
    prompt: str


class Progress(msgspec.Struct):
    """How far logs have been read for prompts. Nothing before `since_ms` is logged."""

    is_on: bool = False
    since_ms: int = 0
    cursors: dict[str, Cursor] = msgspec.field(default_factory=dict)


_progress = msgspec.json.Decoder(Progress)
_kept = msgspec.json.Decoder(Kept)


class PromptLog:
    """The log at `path` and the older part beside it. Hold it while you change it."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._older = path.with_name(f"{path.stem}.1{path.suffix}")
        self._state = path.with_name(f"{path.stem}.state.json")
        self._most_bytes = most_bytes

    def held(self, wait_s: float) -> AbstractContextManager[bool]:
        """Hold the log; yields whether it was got within `wait_s` seconds."""
        return held(self._path.parent / "locks" / "prompts.lock", wait_s)

    def progress(self) -> Progress:
        """Return how far logs were read. Raises DamagedError where nobody can tell."""
        try:
            return _progress.decode(self._state.read_bytes())
        except FileNotFoundError:
            return Progress()
        except (OSError, msgspec.MsgspecError) as error:
            raise DamagedError(
                f"{self._state} cannot be read: {error}.", "telemhq privacy forget"
            ) from error

    def advance(self, progress: Progress) -> None:
        """Keep how far logs were read."""
        whole_file.put(self._state, msgspec.json.encode(progress))

    def turn_on(self, now_ms: int) -> Progress:
        """Begin to log, from now on unless it was on; return how far logs were read."""
        progress = self.progress()
        if not progress.is_on:
            progress.is_on, progress.since_ms = True, max(now_ms, progress.since_ms)
            self.advance(progress)
        return progress

    def turn_off(self) -> None:
        """Log nothing more; what is there stays until somebody forgets it."""
        if self._state.exists() and (progress := self.progress()).is_on:
            progress.is_on = False
            self.advance(progress)

    def entries(self, session: str = "") -> Iterator[Kept]:
        """Yield what is logged, oldest first; of one session where it is named.

        Raises DamagedError where it cannot be read.
        """
        for path in (self._older, self._path):
            yield from (kept for kept in _entries(path) if session in {"", kept.session})

    def add(self, prompts: Sequence[Prompt], namer: Namer, progress: Progress) -> int:
        """Log what is new, masked, and not of a private directory; return how much that was."""
        asked = {one.key: one for one in prompts if one.at_ms >= progress.since_ms}
        if not asked:
            return 0
        known = {kept.key for kept in self.entries()}
        new = [_masked(one, namer) for key, one in asked.items() if key not in known]
        kept = [one for one in new if not is_private(one.project)]
        if kept:
            self._append(b"".join(msgspec.json.encode(one) + b"\n" for one in kept))
            self._rotate(progress)
        return len(kept)

    def forget(self, now_ms: int) -> int:
        """Delete what is logged, for good; return how many prompts that were.

        Raises DamagedError where it cannot be deleted.
        """
        try:
            count = sum(1 for _ in self.entries())
        except DamagedError:
            count = 0  # it goes all the same, if it can
        try:
            progress = self.progress()
        except DamagedError:
            progress = Progress()
        progress.since_ms = now_ms
        if count or self._state.exists():
            self.advance(progress)
        for path in (self._older, self._path):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _unusable(path, "deleted", error) from error
        return count

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(file, "r+b", buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size:
                stream.seek(size - 1)
                data = data if stream.read(1) == b"\n" else b"\n" + data
            stream.write(data)
            os.fsync(stream.fileno())

    def _rotate(self, progress: Progress) -> None:
        """Let the older half go when the newer is full; what goes is not logged a second time."""
        if self._path.stat().st_size <= self._most_bytes:
            return
        dropped = [clock.told_ms(kept.at) + 1 for kept in _entries(self._older)]
        progress.since_ms = max([progress.since_ms, *dropped])
        self.advance(progress)
        self._path.replace(self._older)


def _entries(path: Path) -> Iterator[Kept]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, "read", error) from error
    for line in lines:
        try:
            yield _kept.decode(line)
        except msgspec.MsgspecError:
            continue  # half a line: its writer was killed, and logged it again


def _unusable(path: Path, what: str, error: OSError) -> DamagedError:
    return DamagedError(
        f"{path} cannot be {what}: {error.strerror or error}.", f"Check the permissions of {path}."
    )


def _masked(prompt: Prompt, namer: Namer) -> Kept:
    text = masked(prompt.text)
    return Kept(
        prompt.key,
        clock.to_iso(prompt.at_ms),
        prompt.source,
        prompt.session_id,
        namer.place(prompt.cwd, prompt.repository).project,
        text if len(text) <= LONGEST_PROMPT else text[:LONGEST_PROMPT] + CUT,
    )
