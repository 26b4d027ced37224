"""From hook entries to the ledger: wait until the transcripts are written, then read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from claude_code_hooks import activity, translate
from claude_code_hooks.scan import scan
from telemhq_agents import clock
from telemhq_agents.ledger.records import Batch, Cursor
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from claude_code_hooks.translate import HookEvent
    from telemhq_agents.collecting import LedgerPort, Namer, ScanReport

QUIET_MS = 250
"""Claude Code writes what it queued about every 100 ms."""
LONGEST_WAIT_MS = 1500
STEP_S = 0.05
MEMORY_KEY = "hooks"
"""The hook's events are a log too: its cursor holds what later ones need of earlier ones."""


def drain(
    ledger: LedgerPort,
    events: Sequence[HookEvent],
    homes: Sequence[Path],
    namer: Namer,
    *,
    now_ms: int,
    sleep: Callable[[float], object],
) -> ScanReport:
    """Book what these events announced: their transcripts, or the turns alone where none is kept.

    And what they told themselves, of tools and permissions. Waits up to 1.5 s for transcripts of
    ends that are that young. An event that nobody could read may have been about any session: then
    every transcript is looked at.
    """
    ends = [event for event in events if event.is_end]
    newest_ms = max((event.at_ms for event in ends), default=0)
    if now_ms - newest_ms < LONGEST_WAIT_MS:
        settle(translate.transcripts(ends), sleep=sleep, clock_ns=clock.monotonic_ns)
    only = None if any(not event.event for event in events) else translate.transcripts(events)
    report = scan(ledger, homes, namer, now_ms=now_ms, only=only)
    _book(ledger, [_dated(event, now_ms) for event in events], namer, now_ms)
    return report


def _book(ledger: LedgerPort, events: Sequence[HookEvent], namer: Namer, now_ms: int) -> None:
    """Book what the events tell by themselves, and what to remember of them, in one step."""
    memory = memory_of(ledger)
    submitted = {said.prompt_id: said.at_ms for said in memory.prompts.values()}
    told = activity.activities(events, memory, now_ms=now_ms)
    kept = {path for path in {event.transcript_path for event in events} if Path(path).is_file()}
    unkept = (
        event
        for event in events
        if event.transcript_path not in kept and event.prompt_id not in memory.machine_made
    )
    turns = translate.turns(unkept, namer, submitted)
    ledger.book(Batch(turns=turns, activities=told, cursors=[_cursor(memory)]))


def memory_of(ledger: LedgerPort) -> activity.Memory:
    """Return what the ledger remembers of earlier events; a memory that is damaged is a new one."""
    cursor = ledger.cursors(Source.CLAUDE).get(MEMORY_KEY)
    try:
        return msgspec.convert(cursor.state if cursor else {}, activity.Memory)
    except msgspec.ValidationError:
        return activity.Memory()


def _cursor(memory: activity.Memory) -> Cursor:
    state: dict[str, Any] = msgspec.to_builtins(memory)
    return Cursor(Source.CLAUDE, MEMORY_KEY, "", 0, 0, 0, "", 0, state)


def _dated(event: HookEvent, now_ms: int) -> HookEvent:
    return event if clock.is_plausible(event.at_ms) else structs.replace(event, at_ms=now_ms)


def settle(
    paths: Collection[Path],
    *,
    sleep: Callable[[float], object],
    clock_ns: Callable[[], int],
) -> bool:
    """Wait until the files have been still for a quarter of a second; tell whether they were.

    Gives up after 1.5 s: a session that goes on writing is read again at its next event.
    """
    began = still_since = clock_ns()
    seen = _state(paths)
    while clock_ns() - began < LONGEST_WAIT_MS * 1_000_000:
        sleep(STEP_S)
        state = _state(paths)
        if state != seen:
            seen, still_since = state, clock_ns()
        elif clock_ns() - still_since >= QUIET_MS * 1_000_000:
            return True
    return False


def _state(paths: Collection[Path]) -> list[tuple[int, int] | None]:
    return [_size_and_time(path) for path in sorted(paths)]


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
