"""Prompts out of growing logs: each log from where it was read to, whatever happened to it since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import tail
from telemhq_agents.ledger.records import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from telemhq_agents.collecting import Namer
    from telemhq_agents.prompt_log import Progress, Prompt, PromptLog
    from telemhq_agents.usage import Source

State = dict[str, Any]


class Log(NamedTuple):
    """A log that may hold prompts; `key` names its content whatever path it lies at."""

    key: str
    path: Path


class Agent(NamedTuple):
    """One agent's logs, and who finds the prompts in their lines.

    The reader gets the lines and where it stood before them, and returns where it stands after.
    """

    source: Source
    logs: Sequence[Log]
    reader: Callable[[Iterable[bytes], State], tuple[list[Prompt], State]]


def catch_up(log: PromptLog, progress: Progress, agent: Agent, namer: Namer) -> list[str]:
    """Log the prompts that an agent's logs hold beyond `progress`; return what failed.

    What is found is on disk before the cursor moves, and is known by its key when it is read again:
    nothing is logged twice or lost, wherever this is cut off.
    """
    problems = []
    has_moved = _prune(progress, agent)
    for each in agent.logs:
        try:
            found, cursor = _new_prompts(each, progress, agent)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{each.path}: {error.strerror or error}")
            continue
        if cursor is not None:
            log.add(found, namer, progress)
            progress.cursors[_name(agent.source, each)] = cursor
            has_moved = True
    if has_moved:
        log.advance(progress)
    return problems


def _name(source: Source, log: Log) -> str:
    return f"{source.value}:{log.key}"


def _prune(progress: Progress, agent: Agent) -> bool:
    """Forget the cursors of logs that are gone; tell whether there were any."""
    present = {_name(agent.source, each) for each in agent.logs}
    prefix = f"{agent.source.value}:"
    gone = {name for name in progress.cursors if name.startswith(prefix)} - present
    for name in gone:
        del progress.cursors[name]
    return bool(gone)


def _new_prompts(log: Log, progress: Progress, agent: Agent) -> tuple[list[Prompt], Cursor | None]:
    known = progress.cursors.get(_name(agent.source, log))
    identity = tail.identify(log.path, known)
    if known is not None and tail.unchanged(known, identity):
        return [], None
    if identity.mtime_ns // 1_000_000 < progress.since_ms:
        return [], None  # nothing in it was written since the log of prompts began
    offset = tail.resume_offset(known, identity)
    if known is None or not _is_line_end(log.path, offset):
        offset = 0
    position = _Position(offset)
    found, state = agent.reader(position.data(log.path), known.state if known and offset else {})
    return found, _cursor(log, agent.source, identity, position.offset, state)


def _is_line_end(path: Path, offset: int) -> bool:
    """Tell whether a line ends at `offset`; a log that was rewritten seldom has one there."""
    if not offset or path.suffix == tail.COMPRESSED_SUFFIX:
        return True
    with path.open("rb") as stream:
        stream.seek(offset - 1)
        return stream.read(1) == b"\n"


class _Position:
    """Hands lines on and remembers where the last one ended."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def data(self, path: Path) -> Iterator[bytes]:
        for line in tail.lines(path, self.offset):
            self.offset = line.end_offset
            yield line.data


def _cursor(
    log: Log, source: Source, identity: tail.Identity, offset: int, state: Mapping[str, Any]
) -> Cursor:
    return Cursor(
        source,
        log.key,
        str(log.path),
        identity.inode,
        identity.size,
        identity.mtime_ns,
        identity.fingerprint,
        offset,
        dict(state),
    )
