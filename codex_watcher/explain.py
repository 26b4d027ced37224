"""Which lines of a session's rollouts were counted, and by which rule the others were not.

What is said here is what the fold itself says while it counts: it cannot differ from the sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codex_watcher.decode import Event, SessionMeta, Skipped, decode, holds_record_copy
from codex_watcher.discover import Rollout, discover
from codex_watcher.fold import ThreadFold
from codex_watcher.inheritance import events
from codex_watcher.rollout import fresh_state, threads_of
from codex_watcher.spend import NOTHING, Parts, Rule, fitted
from telemhq_agents import tail
from telemhq_agents.collecting import FIGURES, Explained, Nowhere, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from codex_watcher.state import FoldState
    from telemhq_agents.usage import UsageFact


def explain(session_id: str, root: Path) -> Iterator[Explained]:
    """Yield every line that speaks of usage in the rollouts of a session or of one thread.

    Files come in the order in which they are booked, lines as they stand. A log that is gone, or
    not ours to read, or too young to tell what it copied, gives nothing.
    """
    rollouts = discover(root)
    parents = threads_of(rollouts)
    known: dict[str, Explained] = {}
    for rollout in rollouts:
        try:
            if session_id in names_of(rollout):
                for told in _lines(rollout, parents):
                    yield _once(told, known)
        except OSError:
            continue


def sessions(root: Path) -> set[str]:
    """Return the ids of all sessions and threads whose rollouts lie below `root`."""
    found: set[str] = set()
    for rollout in discover(root):
        try:
            found |= names_of(rollout)
        except OSError:
            continue
    return found


def names_of(rollout: Rollout) -> set[str]:
    """Return the ids of a rollout's thread and session. Raises OSError as `tail.lines` does."""
    lines = (line.data for line in tail.lines(rollout.path, block_bytes=tail.HEAD_BYTES))
    first = next(events(lines), None)
    named = {rollout.thread_id or rollout.file_key}
    if first is not None and isinstance(first.said, SessionMeta):
        named |= {first.said.id, first.said.session_id or first.said.id}
    return named


def _lines(rollout: Rollout, parents: Mapping[str, Path]) -> Iterator[Explained]:
    state = fresh_state(rollout, parents)
    if state is None:
        return
    witness = _Witness(rollout.path, state)
    fold = ThreadFold(state, Nowhere(), tail.glance(rollout.path).mtime_ns // 1_000_000, witness)
    for number, line in enumerate(tail.lines(rollout.path), start=1):
        said = decode(line.data)
        if isinstance(said, Event):
            fold.take(said)
        elif said is Skipped.BAD:
            witness(Rule.BAD, NOTHING, None)
        elif holds_record_copy(line.data):
            witness(Rule.COMPACTION, NOTHING, None)
        yield from witness.told_of(number)
        fold.drain()


class _Witness:
    """Hears from the fold what became of each line."""

    def __init__(self, path: Path, state: FoldState) -> None:
        self._path = path
        self._state = state
        self._heard: list[Explained] = []

    def __call__(self, rule: Rule, tokens: Parts, fact: UsageFact | None) -> None:
        tokens = fitted(tokens)
        state = self._state
        self._heard.append(
            Explained(
                path=self._path,
                line=0,
                at_ms=fact.at_ms if fact else state.last_ms,
                verdict=Verdict.COUNTED if fact else Verdict.SKIPPED,
                rule=rule.value,
                fact_key=fact.key if fact else "",
                session_id=state.session or state.thread,
                model=fact.model if fact else state.model,
                input_tokens=tokens[0],
                cached_input_tokens=tokens[1],
                cache_write_tokens=tokens[2],
                output_tokens=tokens[3],
                reasoning_tokens=tokens[4],
                estimate=fact.estimate if fact else "",
            )
        )

    def told_of(self, line: int) -> Iterable[Explained]:
        """Return what was heard of one line."""
        heard, self._heard = self._heard, []
        return [replace(told, line=line) for told in heard]


def _once(told: Explained, known: dict[str, Explained]) -> Explained:
    """Count each fact once, as the ledger does: told again it keeps the larger figures."""
    if told.verdict is not Verdict.COUNTED:
        return told
    before = known.get(told.fact_key)
    if before is None:
        known[told.fact_key] = told
        return told
    larger = {name: max(getattr(before, name), getattr(told, name)) for name in FIGURES}
    if all(larger[name] == getattr(before, name) for name in FIGURES):
        return replace(told, verdict=Verdict.SKIPPED, rule=Rule.KNOWN.value)
    grown = replace(told, **larger, verdict=Verdict.GREW)
    known[told.fact_key] = grown
    return grown
