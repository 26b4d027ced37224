"""From hook entries to the ledger: wait until the transcripts are written, then read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from claude_code_hooks import translate
from claude_code_hooks.scan import scan
from telemhq_agents import clock
from telemhq_agents.ledger.records import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from claude_code_hooks.translate import HookEvent
    from telemhq_agents.collecting import LedgerPort, Namer, ScanReport

QUIET_MS = 250
"""Claude Code writes what it queued about every 100 ms."""
LONGEST_WAIT_MS = 1500
STEP_S = 0.05


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

    Waits up to 1.5 s for transcripts of events that are that young. An event that nobody could
    read may have been about any session: then every transcript is looked at.
    """
    paths = translate.transcripts(events)
    newest_ms = max((event.at_ms for event in events), default=0)
    if now_ms - newest_ms < LONGEST_WAIT_MS:
        settle(paths, sleep=sleep, clock_ns=clock.monotonic_ns)
    only = None if any(not event.event for event in events) else paths
    report = scan(ledger, homes, namer, now_ms=now_ms, only=only)
    unkept = [event for event in events if not Path(event.transcript_path).is_file()]
    found = translate.turns([_dated(event, now_ms) for event in unkept], namer)
    if found:
        ledger.book(Batch(turns=found))
    return report


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
