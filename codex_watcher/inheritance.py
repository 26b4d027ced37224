"""How much of a rollout's beginning was copied from its parent, where turn ids do not tell.

From 0.107 on turns have ids that carry their time, and the fold knows a copied turn by its age.
Before that a fork's copy can only be told from its own spend by its equality with the parent's log
and by its having been written in one go. The first fails where the parent's log is gone, the second
where a long history took a while to copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from codex_watcher.decode import (
    Event,
    SessionMeta,
    TaskStarted,
    TokenCount,
    TokenInfo,
    TurnContext,
    decode,
    moment,
)
from codex_watcher.identity import uuid7_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BURST_GAP_MS = 100
PARENT_GONE = "the log it was forked from is gone"
FORK_NOT_MARKED = "migrated from a Codex version that did not mark forks"
_FIRST_TO_MARK_FORKS = (0, 92)


class Head(Enum):
    """What a rollout's head tells about copies, where it names no parent to compare with."""

    CLEAR = "clear"
    TOO_SHORT = "too short"


@dataclass(frozen=True, slots=True)
class Fork:
    """A rollout that must be compared with its parent's; `written_ms` is its first line's time.

    `parent_id` is "" for a log that may be a fork without saying so: one of a version that did not
    mark forks, rewritten since by a migration that drops the copied first lines.
    """

    parent_id: str
    written_ms: int


def read_head(lines: Iterable[bytes]) -> Head | Fork:
    """Return whether the rollout needs a comparison; reads no further than its first event."""
    metas: list[tuple[int, SessionMeta]] = []
    for event in events(lines):
        said = event.said
        if isinstance(said, SessionMeta):
            metas.append((event.at_ms, said))
        elif not isinstance(said, TokenCount) or said.info is not None:
            return _judge(metas, event) if metas else Head.CLEAR
    return Head.TOO_SHORT


def _judge(metas: list[tuple[int, SessionMeta]], first: Event) -> Head | Fork:
    written_ms, own = metas[0]
    others = [meta.id for _, meta in metas if meta.id != own.id]
    if own.history_base or _age_tells(own, first):
        return Head.CLEAR
    parent_id = own.forked_from_id or (others[0] if others else "")
    if parent_id or _may_be_an_unmarked_fork(own):
        return Fork(parent_id, written_ms or uuid7_ms(own.id) or 0)
    return Head.CLEAR


def _may_be_an_unmarked_fork(meta: SessionMeta) -> bool:
    number = (meta.cli_version or "").split(".")[:2]
    is_number = [part.isdecimal() for part in number] == [True, True]
    is_migrated = meta.history_mode == "paginated"
    return is_migrated and is_number and (int(number[0]), int(number[1])) < _FIRST_TO_MARK_FORKS


def copied_from_parent(
    fork: Fork, own_lines: Iterable[bytes], parent_lines: Iterable[bytes]
) -> int | None:
    """Return how many leading token counts are the parent's, None while that is still open.

    They are those that equal the parent's, one by one, as far as the parent had written them when
    the fork's first line was.
    """
    parents = (info for at_ms, info in _token_counts(parent_lines) if at_ms <= fork.written_ms)
    counted = _Copied()
    for _, info in _token_counts(own_lines):
        if info != next(parents, None):
            return counted.up_to_last_growth
        counted.add(info)
    return None


def copied_in_one_go(lines: Iterable[bytes]) -> int | None:
    """Return how many token counts stand in the first burst of lines, None while it may go on."""
    counted = _Copied()
    before_ms: int | None = None
    for line in lines:
        at_ms = moment(line)
        if at_ms is None:
            continue
        if before_ms is not None and at_ms - before_ms > BURST_GAP_MS:
            return counted.up_to_last_growth
        before_ms = at_ms
        for _, info in _token_counts([line]):
            counted.add(info)
    return None


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of the lines that have one."""
    for line in lines:
        event = decode(line)
        if isinstance(event, Event):
            yield event


class _Copied:
    """Counts token counts, and where the last one stood that told of new spend.

    Repeats after that one book nothing, and the thread's own first turn may lie between them.
    """

    def __init__(self) -> None:
        self.up_to_last_growth = 0
        self._seen = 0
        self._before: TokenInfo | None = None

    def add(self, info: TokenInfo) -> None:
        self._seen += 1
        if self._before is None or info.total_token_usage != self._before.total_token_usage:
            self.up_to_last_growth = self._seen
        self._before = info


def _token_counts(lines: Iterable[bytes]) -> Iterator[tuple[int, TokenInfo]]:
    for event in events(lines):
        if isinstance(event.said, TokenCount) and event.said.info is not None:
            yield event.at_ms, event.said.info


def _age_tells(own: SessionMeta, event: Event) -> bool:
    said = event.said
    turn_id = said.turn_id if isinstance(said, TurnContext | TaskStarted) else None
    return uuid7_ms(own.id) is not None and uuid7_ms(turn_id or "") is not None
