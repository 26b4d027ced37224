"""How a turn ended, as the line that ends it tells. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_watcher.decode import TaskComplete, TurnAborted
from telemhq_agents import clock
from telemhq_agents.usage import TurnStatus, failure_kind

if TYPE_CHECKING:
    from codex_watcher.state import OpenTurn


def duration_ms(said: TaskComplete | TurnAborted, at_ms: int) -> int | None:
    """Return how long the turn took, None where the log does not tell or can't be believed."""
    told_ms = said.duration_ms
    return told_ms if told_ms is None or clock.is_plausible(at_ms - told_ms) else None


def started_ms(said: TaskComplete | TurnAborted, at_ms: int) -> int:
    """Return when the turn began, which a log may tell by its duration alone."""
    took_ms = duration_ms(said, at_ms)
    if took_ms is not None:
        return at_ms - took_ms
    told_ms = 0 if said.started_at is None else int(said.started_at * 1000)
    return min(at_ms, told_ms) if clock.is_plausible(told_ms) else at_ms


def status(said: TaskComplete | TurnAborted, turn: OpenTurn | None) -> TurnStatus:
    """Return how a turn ended that was seen to begin, or was not."""
    if isinstance(said, TurnAborted):
        return TurnStatus.INTERRUPTED
    if said.error is not None:
        return TurnStatus.ERROR
    # Before 0.145 (no `started_at`) a failure shows only as an answer that is missing.
    tells_errors = said.started_at is not None or turn is None or not turn.has_context
    answered = said.last_agent_message is not None
    return TurnStatus.SUCCESS if tells_errors or answered else TurnStatus.ERROR


def failure(said: TaskComplete | TurnAborted) -> str:
    """Return the kind of error that ended the turn, "" where none did or the log names no kind."""
    error = said.error if isinstance(said, TaskComplete) else None
    kind = error.get("codex_error_info") if isinstance(error, dict) else None
    if isinstance(kind, dict) and len(kind) == 1:
        (kind,) = kind
    return failure_kind(kind)
