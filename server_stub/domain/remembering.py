"""What a tracker remembers of its latest runs and of those that go on. Pure.

The order in which pings arrive must not matter: runs stand in the order in which they ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from server_stub.domain.run import RunFacts
    from server_stub.domain.vitals import Begun, Memory, Ran

MOST_BEGUN = 16
MOST_ENDED = 4


def with_run(recent: tuple[Ran, ...], ran: Ran, kept: int) -> tuple[Ran, ...]:
    """Return the latest runs with one more, in the order in which they ended.

    Of two that ended in the same millisecond the failed one counts as the later one.
    """
    if kept == 1:
        known = recent[-1] if recent else ran
        return (ran,) if _place(ran) >= _place(known) else (known,)
    return tuple(sorted((*recent, ran), key=_place)[-kept:])


def _place(ran: Ran) -> tuple[int, bool, int]:
    return ran.ended_ms, ran.failed, ran.run_id


def in_a_row(recent: tuple[Ran, ...], *, failed: bool) -> int:
    """Return how many of the latest runs, counted from the last one, failed or did not."""
    count = 0
    for ran in reversed(recent):
        if ran.failed is not failed:
            break
        count += 1
    return count


def with_start(memory: Memory, begun: Begun, kept: int = MOST_BEGUN) -> Memory:
    """Remember a run that began. A start without a key takes the place of the one before it."""
    others = tuple(other for other in memory.begun if other.key != begun.key)
    before = [other for other in memory.begun if other.key == begun.key and not other.stuck]
    if before:
        begun = replace(begun, first_ms=before[-1].first_ms or before[-1].heard_ms)
    return replace(memory, begun=(*others, begun)[-kept:])


def came_after_its_end(memory: Memory, facts: RunFacts, received_ms: int) -> bool:
    """Tell whether a start arrives after the end of its run, as delayed pings do.

    Without a key only its own date can tell, where its sender gave it one.
    """
    if facts.pair_key:
        return facts.pair_key in memory.ended
    if facts.ended_ms >= received_ms:
        return False
    return bool(memory.recent) and facts.ended_ms < memory.recent[-1].ended_ms


def partner(memory: Memory, facts: RunFacts) -> Begun | None:
    """Return the start that belongs to the run which ended, None where none is known.

    The same key pairs them. Without keys the order of arrival does, whatever their clocks say; an
    end without a key among starts with keys belongs to the latest of those before it.
    """
    if not memory.begun:
        return None
    same = [begun for begun in memory.begun if begun.key == facts.pair_key]
    if same and facts.pair_key:
        return same[-1]
    keyless = [begun for begun in memory.begun if not begun.key]
    if keyless or facts.pair_key:
        return keyless[-1] if keyless else None
    before = [begun for begun in memory.begun if begun.started_ms <= facts.ended_ms]
    return max(before or memory.begun[-1:], key=lambda begun: begun.started_ms)


def elapsed_ms(begun: Begun, facts: RunFacts, received_ms: int) -> int:
    """Return how long a run took: by its sender's clock, else by when its pings arrived.

    An end dated before its start shows that two clocks dated them.
    """
    by_sender_ms = facts.ended_ms - begun.started_ms
    return by_sender_ms if by_sender_ms >= 0 else max(received_ms - begun.heard_ms, 0)


def without_start(
    memory: Memory, facts: RunFacts, ended: Begun | None, *, pairs: bool
) -> tuple[tuple[Begun, ...], tuple[str, ...]]:
    """Return the runs that go on, and the keys of ends without a start, once a run has ended.

    Where nothing is judged by starts (`pairs` is false), those before it are forgotten: they tell
    only that somebody is at work.
    """
    if ended is None:
        if not pairs or not facts.pair_key or facts.pair_key in memory.ended:
            return memory.begun, memory.ended
        return memory.begun, (*memory.ended, facts.pair_key)[-MOST_ENDED:]
    others = tuple(begun for begun in memory.begun if begun is not ended)
    if not pairs:
        others = tuple(begun for begun in others if begun.started_ms > ended.started_ms)
    return others, memory.ended
